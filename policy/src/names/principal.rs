//! A principal of an SSH certificate: the account or host it opens.
//!
//! OpenSSH CVE-2026-35414: a principal `deploy,root` was split on its comma and opened root. Here the alphabet has no comma,
//! no space, no wildcard and no quote, so there is nothing that any reader could split or expand.

use std::fmt;
use std::str::FromStr;

use crate::text::{Malformed, serde_as_text};

/// `[A-Za-z0-9._@-]{1,64}`, not beginning with a hyphen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Principal(String);

impl Principal {
    /// Parses; case is kept, because account names have it.
    pub fn parse(text: &str) -> Result<Principal, Malformed> {
        let refuse = |why| Err(Malformed::new("principal", text, why));
        if text.is_empty() || text.len() > PRINCIPAL_MAX {
            return refuse("it is 1 to 64 characters");
        }
        if !text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._@-".contains(&b)) {
            return refuse(
                "it has only letters, digits, dot, underscore, @ and hyphen: one principal, no list, no wildcard",
            );
        }
        // A leading hyphen would be an option to whatever command line the principal ends up on.
        if text.starts_with('-') {
            return refuse("it begins with a hyphen");
        }
        Ok(Principal(text.to_owned()))
    }

    /// The same as a host: ssh lowers the name that it was given before it looks for it, so that one in capitals opens nothing.
    pub fn of_host(self) -> Principal {
        Principal(self.0.to_ascii_lowercase())
    }

    /// The text, as it goes into a certificate.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for Principal {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Principal, Malformed> {
        Principal::parse(text)
    }
}

serde_as_text!(Principal);

/// Linux account names end at 32, host names in practice below 64.
const PRINCIPAL_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn accounts_and_hosts_are_principals() {
        for text in
            ["root", "Alice", "svc_deploy", "alice@example.com", "web1.example.internal", "a-b", "0", &"a".repeat(64)]
        {
            assert_eq!(Principal::parse(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn lists_wildcards_and_options_are_no_principals() {
        for text in [
            "",
            "deploy,root",
            "deploy root",
            " root",
            "root\n",
            "*",
            "web*",
            "?",
            "!root",
            "-oProxyCommand",
            "a\"b",
            "a'b",
            "a/b",
            "a\\b",
            "root\0",
            "rööt",
            &"a".repeat(65),
        ] {
            assert!(Principal::parse(text).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_accepted_can_be_split_or_expanded(text in "\\PC{0,70}") {
            if let Ok(principal) = Principal::parse(&text) {
                prop_assert!(!principal.as_str().contains([',', ' ', '\t', '*', '?', '"', '\'', '!', '\\', '\n']));
            }
        }
    }
}
