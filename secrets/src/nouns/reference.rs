//! References to secrets, which may stand in files that everybody reads.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

use super::name::{FieldName, Label, NameError};
use super::path::SecretPath;

/// Which version of a secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Which {
    /// Where a label stands when it is read.
    Label(Label),
    /// That one, for ever.
    Version(NonZeroU64),
}

impl Default for Which {
    fn default() -> Self {
        Which::Label(Label::default())
    }
}

impl FromStr for Which {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let is_number = !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
        if !is_number {
            return text.parse().map(Which::Label);
        }
        let wrong = NameError { what: "a version", rule: "a number from 1 on, without zeros before it" };
        match text.parse() {
            Ok(number) if !text.starts_with('0') => Ok(Which::Version(number)),
            _ => Err(wrong),
        }
    }
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Which::Label(label) => label.fmt(f),
            Which::Version(number) => number.fmt(f),
        }
    }
}

/// `chy://PATH[#FIELD][@LABEL]`, or `@NUMBER`: one field of one version. Without a field it is `value`, without a version `current`.
///
/// An `@` of the path itself is written `%40` there, and nothing else is: each reference has one text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reference {
    /// Where the secret stands.
    pub path: SecretPath,
    /// Which of its fields.
    pub field: FieldName,
    /// Which of its versions.
    pub which: Which,
}

impl Reference {
    /// How each begins.
    pub const SCHEME: &'static str = "chy://";
}

impl FromStr for Reference {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let wrong = NameError {
            what: "a reference",
            rule: "chy://PATH#FIELD@LABEL, without #FIELD and @LABEL where it is #value@current",
        };
        let rest = text.strip_prefix(Self::SCHEME).ok_or(wrong)?;
        let (rest, which) = match rest.split_once('@') {
            Some((rest, which)) => (rest, which.parse()?),
            None => (rest, Which::default()),
        };
        let (path, field) = match rest.split_once('#') {
            Some((path, field)) => (path, field.parse()?),
            None => (rest, FieldName::default()),
        };
        Ok(Self { path: path.replace(AT, "@").parse()?, field, which })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", Self::SCHEME, self.path.as_str().replace('@', AT))?;
        if self.field != FieldName::default() {
            write!(f, "#{}", self.field)?;
        }
        match self.which == Which::default() {
            true => Ok(()),
            false => write!(f, "@{}", self.which),
        }
    }
}

/// An `@` in a path.
const AT: &str = "%40";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_reference_names_one_field_of_one_version() {
        let read = |text: &str| {
            let Reference { path, field, which } = text.parse().unwrap();
            (path.to_string(), field.to_string(), which.to_string())
        };
        let of = |path: &str, field: &str, which: &str| (path.to_owned(), field.to_owned(), which.to_owned());
        assert_eq!(read("chy://prod/db"), of("prod/db", "value", "current"));
        assert_eq!(read("chy://prod/db#password"), of("prod/db", "password", "current"));
        assert_eq!(read("chy://prod/db@previous"), of("prod/db", "value", "previous"));
        assert_eq!(read("chy://prod/db#password@7"), of("prod/db", "password", "7"));
        assert_eq!(read("chy://a%40b#c@d"), of("a@b", "c", "d"));
        let bad = [
            "",
            "chy:",
            "chy://",
            "vault://a",
            "chy://a#",
            "chy://a@",
            "chy://a#b#c",
            "chy://a@b@c",
            "chy://a@b#c",
            "chy://a@0",
        ];
        for bad in
            bad.into_iter().chain(["chy://a@07", "chy://a@18446744073709551616", "chy:///a", "chy://a%2fb", "CHY://a"])
        {
            assert!(bad.parse::<Reference>().is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn each_reference_has_one_text(path in "[a-zA-Z0-9_+=@-]{1,8}(/[a-zA-Z0-9_+=.@-]{3,8}){0,3}", field in "[a-zA-Z_][a-zA-Z0-9_.-]{0,8}", which in "[a-z][a-z0-9-]{0,8}|[1-9][0-9]{0,8}") {
            let there = Reference { path: path.parse()?, field: field.parse()?, which: which.parse()? };
            let text = there.to_string();
            prop_assert_eq!(&text.parse::<Reference>()?, &there);
            prop_assert_eq!(text.parse::<Reference>()?.to_string(), text);
        }
    }
}
