//! Names of environment variables and of files.

use std::fmt;
use std::str::FromStr;

/// A name that is refused: which, and what it has to be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} is {rule}")]
pub struct NameError {
    /// What it was to be.
    pub what: &'static str,
    /// How it is written.
    pub rule: &'static str,
}

/// A variable of an environment, as POSIX writes names (XBD section 3.216): letters, digits and `_`, no digit first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VariableName(String);

impl VariableName {
    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for VariableName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        const RULE: &str = "letters, digits and _, no digit first, 256 characters at most";
        let begins = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        let is_known = |c: char| c.is_ascii_alphanumeric() || c == '_';
        match begins && text.len() <= NAME_CHARS_MAX && text.chars().all(is_known) {
            true => Ok(Self(text.to_owned())),
            false => Err(NameError { what: "a variable", rule: RULE }),
        }
    }
}

impl fmt::Display for VariableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A file of the credential directory. No dot first: `..data` and what lies behind it are ours.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileName(String);

impl FileName {
    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for FileName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        const RULE: &str = "a letter, a digit or _, then letters, digits and _ . -, 128 characters at most";
        let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
        let is_known = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
        match begins && text.len() <= FILE_CHARS_MAX && text.chars().all(is_known) {
            true => Ok(Self(text.to_owned())),
            false => Err(NameError { what: "a file of the credential directory", rule: RULE }),
        }
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

const NAME_CHARS_MAX: usize = 256;
const FILE_CHARS_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_what_a_shell_can_write_and_what_stays_in_its_folder() {
        for good in ["A", "_x9", "DB_PASSWORD", &"V".repeat(256)] {
            assert_eq!(good.parse::<VariableName>().unwrap().as_str(), good);
        }
        for bad in ["", "9A", "A=B", "A-B", "A B", "Ä", "A\0", &"V".repeat(257)] {
            assert!(bad.parse::<VariableName>().is_err(), "{bad:?}");
        }
        for good in ["a", "tls.crt", "9", "_-_", &"f".repeat(128)] {
            assert_eq!(good.parse::<FileName>().unwrap().as_str(), good);
        }
        for bad in ["", ".", "..", "..data", ".x", "a/b", "/a", "a b", "a\0", &"f".repeat(129)] {
            assert!(bad.parse::<FileName>().is_err(), "{bad:?}");
        }
    }
}
