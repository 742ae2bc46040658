//! Names: those of X.500, and those that clients compare.

use std::collections::BTreeSet;

use x509_cert::name::Name;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::X509Name;
use x509_parser::prelude::asn1_rs::Tag;

use crate::encode::Dn;
use crate::lint::findings::Findings;
use crate::lint::named::lints;

lints! { NAMES;
    NAME_PARTS_FULL Error "name-parts-are-not-empty"
        "a part of a name without an attribute" ["RFC 5280 4.1.2.4", "CPS 3.1"]
    NAME_VALUES_FULL Warning "name-values-are-not-empty"
        "an attribute of a name that is empty, or begins or ends with a blank" ["BR 7.1.4.2", "CPS 3.1"]
    NAME_VALUES_FIT Error "name-values-are-not-too-long"
        "an attribute of a name that is longer than it may be" ["RFC 5280 A.1", "CPS 3.1"]
    NAME_TYPES_RIGHT Error "name-values-are-of-the-right-type"
        "an attribute of a name in a type of string that is not its own" ["RFC 5280 A.1", "BR 7.1.4.2", "CPS 3.1"]
    NAME_TYPES_KNOWN Warning "name-values-are-utf8-or-printable"
        "an attribute of a name that is neither UTF8String nor PrintableString" ["RFC 5280 4.1.2.4", "CPS 3.1"]
    NAME_COUNTRY Error "name-country-has-two-letters"
        "a country that is not two letters" ["RFC 5280 A.1", "BR 7.1.4.2", "CPS 3.1"]
    SAN_DNS Error "san-dns-names-are-well-formed"
        "a DNS name that is none" ["RFC 5280 4.2.1.6", "CPS 3.1"]
    SAN_UNDERSCORE Warning "san-dns-names-have-no-underscore"
        "a DNS name with an underscore" ["BR 7.1.2.7.12", "CPS 3.1"]
    SAN_WILDCARD Warning "san-wildcards-are-whole-labels"
        "a wildcard that is not the whole first label, or has less than two behind it" ["RFC 9525 6.3", "BR 3.2.2.6", "CPS 3.1"]
    SAN_EMAIL Error "san-emails-are-mailboxes"
        "an e-mail address that is none" ["RFC 5280 4.2.1.6", "CPS 3.1"]
    SAN_URI Error "san-uris-are-absolute"
        "a URI that is not absolute" ["RFC 5280 4.2.1.6", "CPS 3.1"]
    SAN_IP Error "san-addresses-have-4-or-16-bytes"
        "an IP address of another length" ["RFC 5280 4.2.1.6", "CPS 3.1"]
    SAN_READABLE Error "san-names-are-readable"
        "a name that cannot be read" ["RFC 5280 4.2.1.6", "CPS 3.1"]
    SAN_ONCE Warning "san-names-stand-once"
        "a name stands in it twice" ["BR 7.1.2.7.12", "CPS 3.1"]
}

/// For eyes.
pub(crate) fn shown(name: &X509Name<'_>) -> String {
    Dn::from_der(name.as_raw()).map_or_else(|_| "(unreadable)".to_owned(), |name| name.to_string())
}

/// RFC 5280 section 4.1.2.4: a part of a name is a `SET SIZE (1..MAX)`, which both parsers let pass; x509-parser reads no further.
pub(crate) fn parts(whose: &str, name: &Name, f: &mut Findings) {
    if name.iter_rdn().any(|rdn| rdn.is_empty()) {
        f.add_with(&NAME_PARTS_FULL, whose);
    }
}

/// A distinguished name: the subject's, or the issuer's.
pub(crate) fn distinguished(whose: &str, name: &X509Name<'_>, f: &mut Findings) {
    for rdn in name.iter() {
        for attribute in rdn.iter() {
            let (oid, tag, value) = (attribute.attr_type(), attribute.attr_value().tag(), attribute.as_slice());
            let found = |lint, f: &mut Findings| f.add_with(lint, format!("{whose}, attribute {oid}"));
            if value.is_empty() || value.first() == Some(&b' ') || value.last() == Some(&b' ') {
                found(&NAME_VALUES_FULL, f);
            }
            let row = KNOWN.iter().find(|row| row.0 == oid.as_bytes());
            let (form, most) = row.map_or((Form::Any, usize::MAX), |row| (row.1, row.2));
            if characters(tag, value) > most {
                found(&NAME_VALUES_FIT, f);
            }
            match form {
                Form::Country if value.len() != 2 || !value.iter().all(u8::is_ascii_alphabetic) => {
                    found(&NAME_COUNTRY, f)
                }
                Form::Country | Form::Printable if tag != Tag::PrintableString => found(&NAME_TYPES_RIGHT, f),
                Form::Ascii if tag != Tag::Ia5String => found(&NAME_TYPES_RIGHT, f),
                Form::Text if !matches!(tag, Tag::PrintableString | Tag::Utf8String) => found(&NAME_TYPES_KNOWN, f),
                Form::Country | Form::Printable | Form::Ascii | Form::Text | Form::Any => {}
            }
            if tag == Tag::PrintableString && !value.iter().all(is_printable) {
                found(&NAME_TYPES_RIGHT, f);
            }
        }
    }
}

/// The names that a client compares with the one it asked for.
pub(crate) fn alternative(names: &[GeneralName<'_>], f: &mut Findings) {
    let mut seen = BTreeSet::new();
    for name in names {
        match name {
            GeneralName::DNSName(text) => dns(text, f),
            GeneralName::RFC822Name(text) if !is_mailbox(text) => f.add_with(&SAN_EMAIL, *text),
            GeneralName::URI(text) if !is_absolute(text) => f.add_with(&SAN_URI, *text),
            GeneralName::IPAddress(bytes) if !matches!(bytes.len(), 4 | 16) => {
                f.add_with(&SAN_IP, format!("{} bytes", bytes.len()))
            }
            GeneralName::Invalid(tag, _) => f.add_with(&SAN_READABLE, format!("[{}]", tag.0)),
            GeneralName::RFC822Name(_)
            | GeneralName::URI(_)
            | GeneralName::IPAddress(_)
            | GeneralName::OtherName(..)
            | GeneralName::X400Address(_)
            | GeneralName::DirectoryName(_)
            | GeneralName::EDIPartyName(_)
            | GeneralName::RegisteredID(_) => {}
        }
        let as_compared = format!("{name:?}").to_ascii_lowercase();
        if !seen.insert(as_compared) {
            f.add_with(&SAN_ONCE, name.to_string());
        }
    }
}

/// RFC 5280 section 4.2.1.6: "The name MUST be in the "preferred name syntax", as specified by Section 3.5 of [RFC1034]".
fn dns(text: &str, f: &mut Findings) {
    let (wildcard, rest) = match text.strip_prefix("*.") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let labels: Vec<&str> = rest.split('.').collect();
    let is_label = |label: &&str| {
        let alphabet = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'*');
        (1..=63).contains(&label.len())
            && label.bytes().all(alphabet)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if text.len() > 253 || !labels.iter().all(is_label) {
        return f.add_with(&SAN_DNS, text);
    }
    if text.contains('_') {
        f.add_with(&SAN_UNDERSCORE, text);
    }
    if rest.contains('*') || (wildcard && labels.len() < 2) {
        f.add_with(&SAN_WILDCARD, text);
    }
}

fn is_mailbox(text: &str) -> bool {
    let plain = !text.contains(['<', '>', ' ']);
    plain && text.rsplit_once('@').is_some_and(|(local, host)| !local.is_empty() && !host.is_empty())
}

/// RFC 5280 section 4.2.1.6: "The name MUST NOT be a relative URI".
pub(crate) fn is_absolute(text: &str) -> bool {
    text.split_once(':').is_some_and(|(scheme, rest)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
            && !rest.is_empty()
    })
}

fn characters(tag: Tag, value: &[u8]) -> usize {
    match tag {
        Tag::Utf8String => std::str::from_utf8(value).map_or(value.len(), |text| text.chars().count()),
        Tag::BmpString => value.len() / 2,
        Tag::UniversalString => value.len() / 4,
        _ => value.len(),
    }
}

/// X.680 section 41.4.
fn is_printable(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b" '()+,-./:=?".contains(byte)
}

/// What type of string an attribute is.
#[derive(Clone, Copy)]
enum Form {
    Country,
    Printable,
    Ascii,
    Text,
    Any,
}

/// RFC 5280 appendix A.1: types and upper bounds.
const KNOWN: &[(&[u8], Form, usize)] = &[
    (&[0x55, 4, 3], Form::Text, 64),
    (&[0x55, 4, 4], Form::Text, 32_768),
    (&[0x55, 4, 5], Form::Printable, 64),
    (&[0x55, 4, 6], Form::Country, 2),
    (&[0x55, 4, 7], Form::Text, 128),
    (&[0x55, 4, 8], Form::Text, 128),
    (&[0x55, 4, 10], Form::Text, 64),
    (&[0x55, 4, 11], Form::Text, 64),
    (&[0x55, 4, 12], Form::Text, 64),
    (&[0x55, 4, 42], Form::Text, 32_768),
    (&[0x55, 4, 46], Form::Printable, usize::MAX),
    // emailAddress, domainComponent.
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x01], Form::Ascii, 255),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 0x19], Form::Ascii, usize::MAX),
];
