//! What a key is called.

use std::fmt;
use std::str::FromStr;

use crate::nouns::NameError;

/// A key's name, one word of an address: `payments`, `prod-tokens.v2`. At most 64 characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyName(String);

impl KeyName {
    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for KeyName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        const RULE: &str =
            "a small letter, then small letters, digits and _ . -, 64 characters at most; not `keys` or `random`";
        let begins = text.starts_with(|c: char| c.is_ascii_lowercase());
        let is_known = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_.-".contains(c);
        let is_free = !["keys", "random"].contains(&text);
        match begins && is_free && text.len() <= NAME_CHARS_MAX && text.chars().all(is_known) {
            true => Ok(Self(text.to_owned())),
            false => Err(NameError { what: "a transit key", rule: RULE }),
        }
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

const NAME_CHARS_MAX: usize = 64;
