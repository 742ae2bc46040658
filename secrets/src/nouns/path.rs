//! Where a secret stands.

use std::fmt;
use std::str::FromStr;

use super::name::NameError;

/// Where a secret stands, and under which paths policy may speak of it: `prod/billing/db`.
///
/// Letters, digits and `_ + = . @ -` between slashes, as far as the clouds' own names go; 512 characters and 16 levels at most. No level
/// is empty, `.` or `..`: a path that a client or a proxy would shorten is another one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretPath(String);

impl SecretPath {
    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its levels, from the top.
    pub fn levels(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }

    /// Whether it stands at another one, or below it: `prod` has `prod/db`, and has not `production`.
    pub fn is_within(&self, above: &SecretPath) -> bool {
        self.0.strip_prefix(above.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl FromStr for SecretPath {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        const RULE: &str = "levels of letters, digits and _ + = . @ - with / between them, none of them empty, . or .., 16 levels and \
                            512 characters at most";
        let is_known = |c: char| c.is_ascii_alphanumeric() || "_+=.@-".contains(c);
        let is_level = |level: &str| !["", ".", ".."].contains(&level) && level.chars().all(is_known);
        let fits = text.len() <= PATH_CHARS_MAX && text.split('/').count() <= LEVELS_MAX;
        match fits && text.split('/').all(is_level) {
            true => Ok(Self(text.to_owned())),
            false => Err(NameError { what: "a path", rule: RULE }),
        }
    }
}

impl fmt::Display for SecretPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

const PATH_CHARS_MAX: usize = 512;
const LEVELS_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_what_nobody_shortens() {
        for good in ["a", "prod/billing/db", "a.b", "...", "AWS/x+y=z@1", &["l"; 16].join("/"), &"p".repeat(512)] {
            assert_eq!(good.parse::<SecretPath>().unwrap().as_str(), good);
        }
        let bad = ["", "/", "/a", "a/", "a//b", ".", "a/..", "a/./b", "a b", "a#b", "a%2f", "ä", "a\\b", "a\nb"];
        for bad in bad.into_iter().chain([&*["l"; 17].join("/"), &*"p".repeat(513)]) {
            assert!(bad.parse::<SecretPath>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn what_is_below_is_below_a_level_and_no_part_of_one() {
        let within = |a: &str, b: &str| a.parse::<SecretPath>().unwrap().is_within(&b.parse().unwrap());
        assert!(within("prod", "prod") && within("prod/db", "prod") && within("prod/db/x", "prod/db"));
        assert!(!within("production", "prod") && !within("prod", "prod/db") && !within("a/prod", "prod"));
    }
}
