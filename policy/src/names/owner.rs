//! Who answers for a certificate or a key: a team, a service, a person.
//!
//! An owner is a plain identifier that the configuration declares with its name rules ([`crate::deciding::OwnerRules`]); certificates,
//! keys, tokens and renewals all carry one.

use std::fmt;
use std::str::FromStr;

use crate::text::{Malformed, serde_as_text};

/// `[a-z0-9][a-z0-9._-]{0,62}`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner(String);

impl Owner {
    /// Parses; no lower-casing, because an owner is written by people who know its spelling.
    pub fn parse(text: &str) -> Result<Owner, Malformed> {
        let refuse = |why| Err(Malformed::new("owner", text, why));
        if text.is_empty() || text.len() > OWNER_MAX {
            return refuse("it is 1 to 63 characters");
        }
        if !text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit()) {
            return refuse("it begins with a lower-case letter or a digit");
        }
        if !text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b)) {
            return refuse("it has only lower-case letters, digits, dot, underscore and hyphen");
        }
        Ok(Owner(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for Owner {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Owner, Malformed> {
        Owner::parse(text)
    }
}

serde_as_text!(Owner);

/// Fits a label, a column heading and a file name.
const OWNER_MAX: usize = 63;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_a_plain_identifier() {
        for text in ["web", "0", "team-a.web_1", &"a".repeat(63)] {
            assert_eq!(Owner::parse(text).unwrap().as_str(), text);
        }
        for text in ["", "Web", "-web", ".web", "_web", "web team", "web,ops", "*", "wéb", "web\n", &"a".repeat(64)] {
            assert!(Owner::parse(text).is_err(), "{text:?}");
        }
    }
}
