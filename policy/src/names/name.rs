//! A name a certificate speaks for: DNS, IP, e-mail, URI or user principal name, as a typed value.
//!
//! The text form carries its type (`dns:www.example`), so that no name is taken for one of another kind (SSL.com, 2025: an
//! e-mail address's domain was recorded as a validated host).

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::names::dns::DnsName;
use crate::text::{Malformed, serde_as_text};

/// One subject alternative name (RFC 5280 section 4.2.1.6). Made by [`Name::parse`]; text order is `Ord`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Name {
    /// `dns:`
    Dns(DnsName),
    /// `ip:`
    Ip(IpAddr),
    /// `email:` an RFC 5321 mailbox, dot-atom local part only, domain lower-cased.
    Email(String),
    /// `uri:` absolute, with a host, which is lower-cased. Of the scheme `spiffe` it is a SPIFFE ID.
    Uri(String),
    /// `upn:` a user principal name, `alice@example.internal`, as Windows reads it of an otherName; its domain is lower-cased.
    Upn(String),
}

impl Name {
    /// `dns:...`, `ip:...`, `email:...`, `uri:...`, `upn:...`; bare text is read as what it looks like: an address, a URI (`://`), a mailbox
    /// (`@`), else a host name.
    pub fn parse(text: &str) -> Result<Name, Malformed> {
        match text.split_once(':') {
            Some(("dns", rest)) => DnsName::parse(rest).map(Name::Dns),
            Some(("ip", rest)) => ip(rest).map(Name::Ip),
            Some(("email", rest)) => email(rest).map(Name::Email),
            Some(("uri", rest)) => uri(rest).map(Name::Uri),
            Some(("upn", rest)) => at_a_domain("user principal name", rest).map(Name::Upn),
            Some(_) | None => bare(text),
        }
    }

    /// `dns`, `ip`, `email`, `uri` or `upn`.
    pub fn kind(&self) -> &'static str {
        match self {
            Name::Dns(_) => "dns",
            Name::Ip(_) => "ip",
            Name::Email(_) => "email",
            Name::Uri(_) => "uri",
            Name::Upn(_) => "upn",
        }
    }
}

impl From<DnsName> for Name {
    fn from(name: DnsName) -> Name {
        Name::Dns(name)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Name::Dns(name) => write!(f, "dns:{name}"),
            Name::Ip(ip) => write!(f, "ip:{ip}"),
            Name::Email(mailbox) => write!(f, "email:{mailbox}"),
            Name::Uri(uri) => write!(f, "uri:{uri}"),
            Name::Upn(upn) => write!(f, "upn:{upn}"),
        }
    }
}

impl FromStr for Name {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Name, Malformed> {
        Name::parse(text)
    }
}

serde_as_text!(Name);

fn bare(text: &str) -> Result<Name, Malformed> {
    if text.parse::<IpAddr>().is_ok() {
        ip(text).map(Name::Ip)
    } else if text.contains("://") {
        uri(text).map(Name::Uri)
    } else if text.contains('@') {
        email(text).map(Name::Email)
    } else {
        DnsName::parse(text).map(Name::Dns)
    }
}

/// An IPv4 address in IPv6 clothes would pass for another network than the one it is in: refused.
fn ip(text: &str) -> Result<IpAddr, Malformed> {
    let refuse = |why| Malformed::new("IP address", text, why);
    match text.parse() {
        Ok(IpAddr::V6(v6)) if v6.to_ipv4_mapped().is_some() => Err(refuse("write the IPv4 address it maps to")),
        Ok(ip) => Ok(ip),
        Err(_) => Err(refuse("write 192.0.2.1 or 2001:db8::1, without a prefix length or a zone")),
    }
}

/// RFC 5280 section 4.2.1.6: a Mailbox, "Local-part@Domain". Quoted local parts are refused: nobody uses them well.
fn email(text: &str) -> Result<String, Malformed> {
    at_a_domain("e-mail address", text)
}

/// A dot-atom at a domain.
fn at_a_domain(what: &'static str, text: &str) -> Result<String, Malformed> {
    let refuse = |why| Malformed::new(what, text, why);
    let (local, domain) = text.split_once('@').ok_or_else(|| refuse("it has no @"))?;
    if local.is_empty() || local.len() > LOCAL_MAX {
        return Err(refuse("the part before the @ is 1 to 64 characters"));
    }
    let atoms_ok = local.split('.').all(|atom| !atom.is_empty() && atom.bytes().all(is_atext));
    if !atoms_ok {
        return Err(refuse("the part before the @ is a dot-atom (RFC 5322 section 3.2.3)"));
    }
    let domain = DnsName::parse(domain).map_err(|_| refuse("the part after the @ is no host name"))?;
    if domain.is_wildcard() {
        return Err(refuse("the part after the @ is no host name"));
    }
    Ok(format!("{local}@{domain}"))
}

fn is_atext(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte)
}

/// RFC 5280 section 4.2.1.6: "The name MUST NOT be a relative URI" and must have a scheme and a host.
fn uri(text: &str) -> Result<String, Malformed> {
    let refuse = |why| Malformed::new("URI", text, why);
    if text.len() > URI_MAX {
        return Err(refuse("it is longer than 1024 characters"));
    }
    let (scheme, rest) = text.split_once("://").ok_or_else(|| refuse("write scheme://host/path"))?;
    let scheme_ok = scheme.starts_with(|c: char| c.is_ascii_lowercase())
        && scheme.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+-.".contains(&b));
    if !scheme_ok {
        return Err(refuse("its scheme is lower-case letters, digits, + - ."));
    }
    if !rest.bytes().all(|b| b.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&b)) {
        return Err(refuse("it has characters that RFC 3986 wants percent-encoded"));
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let Some(host) = DnsName::parse(authority).ok().filter(|host| !host.is_wildcard()) else {
        return Err(refuse("its authority is a host name alone, without user or port"));
    };
    // RFC 3986 section 5.2.4: who takes them out reads another path than who does not.
    let segments = || path.split(['?', '#']).next().unwrap_or_default().split('/');
    if segments().any(|segment| matches!(segment.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..")) {
        return Err(refuse("its path has a segment `.` or `..`"));
    }
    if scheme == SPIFFE && !is_spiffe_path(path) {
        return Err(refuse("a SPIFFE ID is spiffe://TRUST-DOMAIN/PATH, whose segments are letters, digits, . _ and -"));
    }
    Ok(format!("{scheme}://{host}{path}"))
}

/// SPIFFE-ID section 2.2: no empty segment, no slash at the end, no query, no fragment, no percent-encoding.
fn is_spiffe_path(path: &str) -> bool {
    let is_segment = |segment: &str| {
        !segment.is_empty() && segment.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    };
    path.is_empty() || path.strip_prefix('/').is_some_and(|path| path.split('/').all(is_segment))
}

/// The scheme of workload identities.
const SPIFFE: &str = "spiffe";
/// RFC 5321 section 4.5.3.1.1.
const LOCAL_MAX: usize = 64;
/// Workload identities (SPIFFE) allow 2048; a certificate with 100 names should stay below 128 KiB.
const URI_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_read_as_what_they_say_or_look_like() {
        for (text, shown) in [
            ("dns:WWW.example", "dns:www.example"),
            ("www.example", "dns:www.example"),
            ("*.a.example", "dns:*.a.example"),
            ("ip:127.0.0.1", "ip:127.0.0.1"),
            ("127.0.0.1", "ip:127.0.0.1"),
            ("::1", "ip:::1"),
            ("ip:2001:DB8:0::1", "ip:2001:db8::1"),
            ("email:Al.Ice@Example.com", "email:Al.Ice@example.com"),
            ("a+b@example", "email:a+b@example"),
            ("spiffe://example.internal/web", "uri:spiffe://example.internal/web"),
            ("uri:https://example.com/", "uri:https://example.com/"),
            ("uri:https://Example.COM/A%20b?x=../#y", "uri:https://example.com/A%20b?x=../#y"),
            ("uri:spiffe://Example.internal/ns/web/sa/api-1.0_x", "uri:spiffe://example.internal/ns/web/sa/api-1.0_x"),
            ("upn:Al.Ice@Example.internal", "upn:Al.Ice@example.internal"),
        ] {
            assert_eq!(Name::parse(text).unwrap().to_string(), shown, "{text}");
        }
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for text in [
            "",
            "dns:",
            "DNS:www.example",
            "ip:www.example",
            "dns:127.0.0.1",
            "ip:10.0.0.0/8",
            "ip:fe80::1%eth0",
            "ip:::ffff:127.0.0.1",
            "ip:127.0.0.1 ",
            "ip:010.0.0.1",
            "email:alice",
            "email:@example.com",
            "email:alice@",
            "email:a@b@example.com",
            "email:a..b@example.com",
            "email:\"a b\"@example.com",
            "email:alice@*.example.com",
            "email:alice@example.com\n",
            "uri:/relative",
            "uri:mailto:alice@example.com",
            "uri:https://user@example.com/",
            "uri:https://example.com:8443/",
            "uri:https:///path",
            "uri:https://example.com/a b",
            "uri:JavaScript://example.com/",
            "uri:https://example.com/a/../b",
            "uri:https://example.com/a/%2E%2e/b",
            "uri:https://example.com/.",
            "uri:spiffe://example.internal/",
            "uri:spiffe://example.internal/web/",
            "uri:spiffe://example.internal//web",
            "uri:spiffe://example.internal/web?x",
            "uri:spiffe://example.internal/web#x",
            "uri:spiffe://example.internal/%77eb",
            "uri:spiffe://example.internal:8443/web",
            "upn:alice",
            "upn:alice@*.example.internal",
            "upn:al ice@example.internal",
            "rid:1.2.3",
            "www.example:443",
        ] {
            assert!(Name::parse(text).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn every_name_survives_its_text_form(text in "((dns|ip|email|uri|upn):)?[a-z0-9:/.@*-]{0,40}") {
            if let Ok(name) = Name::parse(&text) {
                prop_assert_eq!(&Name::parse(&name.to_string()).unwrap(), &name);
                let json = serde_json::to_string(&name).unwrap();
                prop_assert_eq!(serde_json::from_str::<Name>(&json).unwrap(), name);
            }
        }

        #[test]
        fn no_text_panics_the_parser(text in "((dns|ip|email|uri|upn):)?\\PC{0,60}") {
            let _ = Name::parse(&text);
        }
    }
}
