//! Names of fields and of labels.

use std::fmt;
use std::str::FromStr;

/// A name that is refused: which, and what it has to be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} is {rule}")]
pub struct NameError {
    /// What it was to be: `a path`, `a field`, `a label`, `a reference`.
    pub what: &'static str,
    /// How it is written.
    pub rule: &'static str,
}

/// A field of a secret: `password`, `host`, `tls.crt`. At most 64 characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldName(String);

impl FieldName {
    /// The field of a secret that has one alone.
    pub const VALUE: &'static str = "value";

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for FieldName {
    fn default() -> Self {
        Self(Self::VALUE.to_owned())
    }
}

impl FromStr for FieldName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        const RULE: &str = "a letter or _, then letters, digits and _ . -, 64 characters at most";
        let begins = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        let is_known = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
        match begins && text.len() <= FIELD_CHARS_MAX && text.chars().all(is_known) {
            true => Ok(Self(text.to_owned())),
            false => Err(NameError { what: "a field", rule: RULE }),
        }
    }
}

impl fmt::Display for FieldName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A label, which stands at one version of a secret and moves: `current`, `pending`, `previous`, or one's own. At most 32 characters;
/// never digits first, so that none is taken for a version's number.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label(String);

impl Label {
    /// The version that is used.
    pub const CURRENT: &'static str = "current";
    /// The version that a rotation is bringing.
    pub const PENDING: &'static str = "pending";
    /// The version that was used before.
    pub const PREVIOUS: &'static str = "previous";

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a rotation moves it, and nobody else.
    pub fn is_ours(&self) -> bool {
        [Self::CURRENT, Self::PENDING, Self::PREVIOUS].contains(&self.as_str())
    }
}

impl Default for Label {
    fn default() -> Self {
        Self(Self::CURRENT.to_owned())
    }
}

impl FromStr for Label {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        const RULE: &str = "a small letter, then small letters, digits and -, 32 characters at most";
        let begins = text.starts_with(|c: char| c.is_ascii_lowercase());
        let is_known = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        match begins && text.len() <= LABEL_CHARS_MAX && text.chars().all(is_known) {
            true => Ok(Self(text.to_owned())),
            false => Err(NameError { what: "a label", rule: RULE }),
        }
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

const FIELD_CHARS_MAX: usize = 64;
const LABEL_CHARS_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_and_labels_are_what_a_reference_can_carry() {
        for good in ["value", "_x", "tls.crt", "A-1", &"f".repeat(64)] {
            assert_eq!(good.parse::<FieldName>().unwrap().as_str(), good);
        }
        for bad in ["", "1st", "-x", "a b", "a#b", "a@b", "é", "a/b", &"f".repeat(65)] {
            assert!(bad.parse::<FieldName>().is_err(), "{bad:?}");
        }
        for good in ["current", "blue-2", "a", &"l".repeat(32)] {
            assert_eq!(good.parse::<Label>().unwrap().as_str(), good);
        }
        for bad in ["", "7", "7a", "Current", "a_b", "a.b", &"l".repeat(33)] {
            assert!(bad.parse::<Label>().is_err(), "{bad:?}");
        }
        assert!(Label::default().is_ours() && !"blue".parse::<Label>().unwrap().is_ours());
    }
}
