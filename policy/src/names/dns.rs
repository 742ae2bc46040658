//! A host name as it may stand in a certificate: lower-case letters, digits, hyphens, dots.
//!
//! Stricter than DNS and than many CAs, on purpose: what two parsers can read differently is refused, with the reason.
//! Underscores are refused (no host name has them; DigiCert, 2024). A-labels (`xn--`) are decoded and checked
//! ([`international`](super::international)), and kept as the bytes they are. Never resolves anything.

use std::fmt;
use std::str::FromStr;

use crate::names::international;
use crate::text::{Malformed, serde_as_text};

/// A DNS name, lower-cased, at most 253 characters, perhaps with one leading `*.`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DnsName(String);

impl DnsName {
    /// Parses and lower-cases.
    pub fn parse(text: &str) -> Result<DnsName, Malformed> {
        check(text).map_err(|why| Malformed::new("DNS name", text, why))?;
        Ok(DnsName(text.to_ascii_lowercase()))
    }

    /// Whether it begins with `*.`.
    pub fn is_wildcard(&self) -> bool {
        self.0.starts_with("*.")
    }

    /// The name without its `*.`: the zone whose children a wildcard names; the name itself where there is none.
    pub fn base(&self) -> &str {
        self.0.strip_prefix("*.").unwrap_or(&self.0)
    }

    /// The text, as it goes into a certificate.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DnsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for DnsName {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<DnsName, Malformed> {
        DnsName::parse(text)
    }
}

serde_as_text!(DnsName);

fn check(text: &str) -> Result<(), &'static str> {
    if text.len() > NAME_MAX {
        return Err("it is longer than 253 characters (RFC 1035 section 2.3.4)");
    }
    if !text.is_ascii() {
        return Err("it has characters outside ASCII; write internationalised labels as A-labels (xn--...)");
    }
    let base = match text.strip_prefix("*.") {
        // RFC 6125 section 6.4.3 leaves it open; clients (webpki among them) ignore a wildcard right below a top-level label.
        Some(base) if !base.contains('.') => return Err("a wildcard needs at least two labels after the *."),
        Some(base) => base,
        None => text,
    };
    if base.ends_with('.') && base.len() > 1 {
        return Err("it ends with a dot; certificates carry names without the root's dot (RFC 5280 section 4.2.1.6)");
    }
    for label in base.split('.') {
        check_label(label)?;
    }
    match base.rsplit('.').next() {
        Some(last) if last.bytes().all(|b| b.is_ascii_digit()) => {
            Err("its last label is a number, so clients would read it as an IP address")
        }
        Some(_) | None => international::check(&base.to_ascii_lowercase()),
    }
}

/// RFC 1034 section 3.5: letters, digits, hyphens; RFC 1123 section 2.1 lets a digit lead.
fn check_label(label: &str) -> Result<(), &'static str> {
    if label.is_empty() {
        return Err("it has an empty label");
    }
    if label.len() > LABEL_MAX {
        return Err("it has a label longer than 63 characters (RFC 1035 section 2.3.4)");
    }
    if label.starts_with('-') || label.ends_with('-') {
        return Err("it has a label that begins or ends with a hyphen");
    }
    match label.bytes().find(|b| !b.is_ascii_alphanumeric() && *b != b'-') {
        None => Ok(()),
        Some(b'_') => Err("it has an underscore, which no host name may have (RFC 5280 section 4.2.1.6)"),
        Some(b'*') => Err("it has a * elsewhere than as its whole first label"),
        Some(_) => Err("a label has only letters, digits and hyphens"),
    }
}

/// RFC 1035 section 2.3.4 allows 255 octets on the wire, which are 253 characters of text.
const NAME_MAX: usize = 253;
/// RFC 1035 section 2.3.4.
const LABEL_MAX: usize = 63;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn host_names_are_read_and_lower_cased() {
        for (text, read) in [
            ("localhost", "localhost"),
            ("WWW.Example", "www.example"),
            ("*.Example.Internal", "*.example.internal"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("3com.example", "3com.example"),
            ("a--b.example", "a--b.example"),
            ("1.2.3.example", "1.2.3.example"),
        ] {
            assert_eq!(DnsName::parse(text).unwrap().as_str(), read);
        }
    }

    #[test]
    fn what_is_no_host_name_is_refused_with_its_reason() {
        for (text, reason) in [
            ("", "empty label"),
            (".", "empty label"),
            ("a..example", "empty label"),
            (".example", "empty label"),
            ("*..example", "empty label"),
            ("example.", "ends with a dot"),
            ("*.example.com.", "ends with a dot"),
            ("_acme.example", "underscore"),
            ("a_b.example", "underscore"),
            ("-a.example", "hyphen"),
            ("a-.example", "hyphen"),
            ("xn--.example", "hyphen"),
            ("*", "whole first label"),
            ("a.*.example", "whole first label"),
            ("w*.example", "whole first label"),
            ("*.*.example", "whole first label"),
            ("*.example", "two labels"),
            ("*.", "two labels"),
            ("bücher.example", "A-labels"),
            ("a b.example", "only letters"),
            ("a,b.example", "only letters"),
            ("a\0.example", "only letters"),
            ("a/b.example", "only letters"),
            ("a.example\n", "only letters"),
            ("10.0.0.1", "IP address"),
            ("1", "IP address"),
            ("XN--99999999.www.example", "no Punycode"),
            ("*.xn--99999999.example", "no Punycode"),
        ] {
            let why = DnsName::parse(text).unwrap_err().why().to_owned();
            assert!(why.contains(reason), "{text:?}: {why}");
        }
    }

    #[test]
    fn the_length_bounds_are_63_and_253() {
        let label = |n: usize| "a".repeat(n);
        assert!(DnsName::parse(&format!("{}.example", label(63))).is_ok());
        assert!(DnsName::parse(&format!("{}.example", label(64))).is_err());
        let longest = format!("{}.{}.{}.{}", label(63), label(63), label(63), label(61));
        assert_eq!(longest.len(), 253);
        assert!(DnsName::parse(&longest).is_ok());
        assert!(DnsName::parse(&format!("{longest}a")).is_err());
        assert!(DnsName::parse(&format!("*.{longest}")).is_err(), "the *. counts");
    }

    #[test]
    fn a_wildcard_knows_its_base() {
        let wildcard = DnsName::parse("*.a.example").unwrap();
        assert!(wildcard.is_wildcard());
        assert_eq!(wildcard.base(), "a.example");
        let plain = DnsName::parse("a.example").unwrap();
        assert!(!plain.is_wildcard());
        assert_eq!(plain.base(), "a.example");
    }

    proptest! {
        #[test]
        fn what_is_accepted_is_ldh_and_reads_as_itself(text in "[a-zA-Z0-9_*. -]{0,80}") {
            if let Ok(name) = DnsName::parse(&text) {
                prop_assert_eq!(&DnsName::parse(name.as_str()).unwrap(), &name);
                prop_assert!(name.base().bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.'));
                prop_assert!(name.base().split('.').all(|label| (1..=63).contains(&label.len())));
            }
        }

        #[test]
        fn well_formed_names_are_accepted(text in "([a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?\\.){0,5}[a-z][a-z0-9]{0,10}") {
            prop_assert!(DnsName::parse(&text).is_ok());
        }

        #[test]
        fn no_text_panics_the_parser(text in "\\PC{0,300}") {
            let _ = DnsName::parse(&text);
        }
    }
}
