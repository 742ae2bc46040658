//! What issuers and their generations are called.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The names that a new authority begins with; what an operator adds has names of its own.
pub(crate) const ROOT: &str = "root";
pub(crate) const TLS: &str = "tls";
pub(crate) const CODE: &str = "code";
pub(crate) const SSH_USER: &str = "ssh-user";
pub(crate) const SSH_HOST: &str = "ssh-host";
/// Signs the log's heads.
pub(crate) const LOG: &str = "log";
/// Seals what lies in the register and must not be read there.
pub(crate) const SEAL: &str = "seal";

/// One generation of an issuer: `tls/1`. It is what certificates, CRLs and leaves name as their issuer, and what URLs have in them,
/// so it is never used a second time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct GenerationName {
    issuer: String,
    number: u32,
}

impl GenerationName {
    /// The first generation has the number 1.
    pub(crate) fn new(issuer: &str, number: u32) -> GenerationName {
        GenerationName { issuer: issuer.to_owned(), number }
    }

    /// The issuer's name.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Which one.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// The label of its key in the token, where nobody chose another.
    pub(crate) fn label(&self) -> String {
        format!("{}-{}", self.issuer, self.number)
    }
}

impl fmt::Display for GenerationName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.issuer, self.number)
    }
}

impl From<GenerationName> for String {
    fn from(name: GenerationName) -> String {
        name.to_string()
    }
}

/// It is no `issuer/number`.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` names no generation; write it as tls/1")]
pub struct NoGeneration(String);

impl FromStr for GenerationName {
    type Err = NoGeneration;
    fn from_str(text: &str) -> Result<GenerationName, NoGeneration> {
        let wrong = || NoGeneration(policy::shown(text).chars().take(SHOWN_CHARS).collect());
        let (issuer, number) = text.split_once('/').ok_or_else(wrong)?;
        let number: u32 = number.parse().ok().filter(|n: &u32| n.to_string() == number && *n > 0).ok_or_else(wrong)?;
        check_name(issuer).map_err(|_| wrong())?;
        Ok(GenerationName::new(issuer, number))
    }
}

impl TryFrom<String> for GenerationName {
    type Error = NoGeneration;
    fn try_from(text: String) -> Result<GenerationName, NoGeneration> {
        text.parse()
    }
}

/// An issuer's name goes into URLs, labels and the log: `[a-z][a-z0-9-]{0,30}`, and its last character is no `-`.
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    let fits = name.len() <= NAME_BYTES_MAX
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !name.ends_with('-');
    match fits {
        true => Ok(()),
        false => Err(format!("a name has 1 to {NAME_BYTES_MAX} of a-z, 0-9 and -, and begins with a letter")),
    }
}

/// It is a part of URLs that stand in every certificate.
const NAME_BYTES_MAX: usize = 31;
const SHOWN_CHARS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generations_name_survives_its_text_and_nothing_else_is_one() {
        for text in ["tls/1", "a/4294967295", "ssh-user/12"] {
            assert_eq!(text.parse::<GenerationName>().unwrap().to_string(), text);
        }
        for text in [
            "", "tls", "tls/", "tls/0", "tls/01", "tls/+1", "tls/-1", "tls/1/2", "/1", "TLS/1", "t s/1", "t-/1", "../1",
        ] {
            assert!(text.parse::<GenerationName>().is_err(), "{text:?}");
        }
        assert!(
            check_name(&"a".repeat(NAME_BYTES_MAX)).is_ok() && check_name(&"a".repeat(NAME_BYTES_MAX + 1)).is_err()
        );
    }
}
