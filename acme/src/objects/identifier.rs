//! What an order asks for: `dns` (RFC 8555 section 9.7.7) and `ip` (RFC 8738) identifiers, and which challenges can prove each.
//!
//! An identifier keeps its type from the request to the certificate: nothing here turns a host name into an address or back.

use std::net::IpAddr;

use policy::{DnsName, Name};
use serde::{Deserialize, Serialize};

use crate::wire::{ErrorKind, Problem, Wire};

/// Longest value read at all; the longest DNS name has 253 characters.
const VALUE_CHARS_MAX: usize = 300;

/// One identifier of an order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Wire", into = "Wire")]
pub enum Identifier {
    /// A host name, perhaps a wildcard.
    Dns(DnsName),
    /// An address.
    Ip(IpAddr),
}

/// The challenges this server can check. Closed: tls-alpn-01 will be a third variant, and the compiler will list what it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ChallengeKind {
    /// RFC 8555 section 8.3.
    #[serde(rename = "http-01")]
    Http01,
    /// RFC 8555 section 8.4.
    #[serde(rename = "dns-01")]
    Dns01,
}

impl ChallengeKind {
    /// Every kind.
    pub const ALL: [Self; 2] = [Self::Http01, Self::Dns01];

    /// Its registered name, which is also the last segment of its URL.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http01 => "http-01",
            Self::Dns01 => "dns-01",
        }
    }

    /// By its name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

impl TryFrom<Wire> for Identifier {
    type Error = Problem;

    fn try_from(wire: Wire) -> Result<Self, Problem> {
        if wire.value.len() > VALUE_CHARS_MAX {
            return Err(Problem::malformed("the identifier's value is too long"));
        }
        match wire.kind.as_str() {
            "dns" => match DnsName::parse(&wire.value) {
                Ok(name) => Ok(Self::Dns(name)),
                Err(why) if wire.value.parse::<IpAddr>().is_ok() => {
                    Err(Problem::malformed(format!("{why}; order it as type \"ip\"")))
                }
                Err(why) => Err(Problem::new(ErrorKind::RejectedIdentifier, why.to_string())),
            },
            "ip" => address(&wire.value).map(Self::Ip),
            other => Err(Problem::new(
                ErrorKind::UnsupportedIdentifier,
                format!("identifiers of type {other:?} are not supported: use \"dns\" or \"ip\""),
            )),
        }
    }
}

/// RFC 8738 section 3: an IPv6 value "MUST be in the form described in RFC 5952", so one address has one spelling.
fn address(text: &str) -> Result<IpAddr, Problem> {
    let Ok(Name::Ip(ip)) = Name::parse(&format!("ip:{text}")) else {
        return Err(Problem::malformed(format!("{text:?} is not an IP address")));
    };
    if ip.to_string() != text {
        return Err(Problem::malformed(format!("write the address {text:?} as {ip} (RFC 5952)")));
    }
    Ok(ip)
}

impl From<Identifier> for Wire {
    fn from(identifier: Identifier) -> Self {
        let kind = match &identifier {
            Identifier::Dns(_) => "dns",
            Identifier::Ip(_) => "ip",
        };
        Self { kind: kind.to_owned(), value: identifier.value() }
    }
}

impl std::fmt::Display for Identifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.name().fmt(f)
    }
}

impl Identifier {
    /// The value, as in JSON.
    pub fn value(&self) -> String {
        match self {
            Self::Dns(name) => name.as_str().to_owned(),
            Self::Ip(ip) => ip.to_string(),
        }
    }

    /// The same as a name of a certificate.
    pub fn name(&self) -> Name {
        match self {
            Self::Dns(name) => Name::Dns(name.clone()),
            Self::Ip(ip) => Name::Ip(*ip),
        }
    }

    /// Whether it is a wildcard.
    pub fn is_wildcard(&self) -> bool {
        match self {
            Self::Dns(name) => name.is_wildcard(),
            Self::Ip(_) => false,
        }
    }

    /// What its authorization shows: RFC 8555 section 7.1.4, the wildcard prefix is removed and `wildcard` set.
    pub fn shown(&self) -> Wire {
        let wire = Wire::from(self.clone());
        match wire.value.strip_prefix("*.") {
            Some(base) => Wire { kind: wire.kind, value: base.to_owned() },
            None => wire,
        }
    }

    /// The challenges that can prove it.
    pub fn challenges(&self) -> &'static [ChallengeKind] {
        match self {
            // One host's web server does not speak for all the others below the wildcard.
            Self::Dns(name) if name.is_wildcard() => &[ChallengeKind::Dns01],
            Self::Dns(_) => &[ChallengeKind::Http01, ChallengeKind::Dns01],
            // RFC 8738 section 7: "The "dns-01" challenge MUST NOT be used to validate IP identifiers."
            Self::Ip(_) => &[ChallengeKind::Http01],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(kind: &str, value: &str) -> Result<Identifier, Problem> {
        Identifier::try_from(Wire { kind: kind.into(), value: value.into() })
    }

    #[test]
    fn identifiers_are_read_by_their_type() {
        for (kind, value, name) in [
            ("dns", "www.example", "dns:www.example"),
            ("dns", "WWW.Example", "dns:www.example"),
            ("dns", "*.a.example", "dns:*.a.example"),
            ("dns", "localhost", "dns:localhost"),
            ("ip", "127.0.0.1", "ip:127.0.0.1"),
            ("ip", "2001:db8::1", "ip:2001:db8::1"),
        ] {
            assert_eq!(parse(kind, value).unwrap().to_string(), name);
        }
    }

    #[test]
    fn what_is_no_identifier_is_refused_with_its_type() {
        use ErrorKind::{Malformed, RejectedIdentifier, UnsupportedIdentifier};
        for (kind, value, expected) in [
            ("dns", "", RejectedIdentifier),
            ("dns", "a_b.example", RejectedIdentifier),
            ("dns", "example.", RejectedIdentifier),
            ("dns", "*.*.example", RejectedIdentifier),
            ("dns", "127.0.0.1", Malformed),
            ("dns", "::1", Malformed),
            ("ip", "www.example", Malformed),
            ("ip", "127.1", Malformed),
            ("ip", "2001:DB8::1", Malformed),
            ("ip", "2001:db8:0:0:0:0:0:1", Malformed),
            ("ip", "::ffff:127.0.0.1", Malformed),
            ("ip", "10.0.0.0/8", Malformed),
            ("ip", "fe80::1%eth0", Malformed),
            ("DNS", "www.example", UnsupportedIdentifier),
            ("email", "a@example.com", UnsupportedIdentifier),
            ("", "", UnsupportedIdentifier),
        ] {
            assert_eq!(parse(kind, value).unwrap_err().kind, expected, "{kind} {value}");
        }
        assert!(parse("dns", &"a.".repeat(400)).is_err());
    }

    #[test]
    fn a_wildcard_is_proven_by_dns_alone_and_an_address_never_by_dns() {
        assert_eq!(parse("dns", "*.a.example").unwrap().challenges(), [ChallengeKind::Dns01]);
        assert_eq!(parse("ip", "::1").unwrap().challenges(), [ChallengeKind::Http01]);
        assert_eq!(parse("dns", "a.example").unwrap().challenges(), [ChallengeKind::Http01, ChallengeKind::Dns01]);
    }

    #[test]
    fn an_authorization_shows_a_wildcard_by_its_base() {
        let wildcard = parse("dns", "*.a.example").unwrap();
        assert_eq!(wildcard.shown().value, "a.example");
        assert_eq!(wildcard.value(), "*.a.example");
        assert!(wildcard.is_wildcard());
    }
}
