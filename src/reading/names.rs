//! Names as people write them.

use std::net::{Ipv4Addr, Ipv6Addr};

use x509_parser::extensions::GeneralName;
use x509_parser::x509::X509Name;

use super::{oids, tlv};

/// A distinguished name, RFC 4514; an empty one is said to be.
pub fn distinguished(name: &X509Name<'_>) -> String {
    match ca::Dn::from_der(name.as_raw()) {
        Ok(dn) if dn.to_string().is_empty() => "(none)".to_owned(),
        Ok(dn) => dn.to_string(),
        // Of an odd shape: as the other parser has it.
        Err(_) => name.to_string(),
    }
}

/// A general name with its kind: `dns:host`, `ip:192.0.2.1`.
pub fn general(name: &GeneralName<'_>) -> String {
    match name {
        GeneralName::DNSName(text) => format!("dns:{text}"),
        GeneralName::RFC822Name(text) => format!("email:{text}"),
        GeneralName::URI(text) => format!("uri:{text}"),
        GeneralName::IPAddress(octets) => format!("ip:{}", address(octets)),
        GeneralName::DirectoryName(name) => format!("dn:{}", distinguished(name)),
        GeneralName::OtherName(oid, value) => other(&oid.to_id_string(), value),
        GeneralName::RegisteredID(oid) => format!("oid:{}", oid.to_id_string()),
        GeneralName::X400Address(_) => "an X.400 address".to_owned(),
        GeneralName::EDIPartyName(_) => "an EDI party".to_owned(),
        GeneralName::Invalid(tag, value) => format!("unreadable ({tag:?}, {})", hex::encode(value)),
    }
}

/// Several.
pub fn all(names: &[GeneralName<'_>]) -> Vec<String> {
    names.iter().map(general).collect()
}

/// An address, or one with its mask as name constraints have it.
fn address(octets: &[u8]) -> String {
    let four = |octets: &[u8]| <[u8; 4]>::try_from(octets).ok();
    let sixteen = |octets: &[u8]| <[u8; 16]>::try_from(octets).ok();
    match octets.len() {
        4 => four(octets).map(|a| Ipv4Addr::from(a).to_string()),
        16 => sixteen(octets).map(|a| Ipv6Addr::from(a).to_string()),
        8 => octets.split_at_checked(4).and_then(|(a, mask)| {
            let mask = u32::from_be_bytes(four(mask)?);
            Some(format!("{}{}", Ipv4Addr::from(four(a)?), length(u128::from(mask) << 96, 32)))
        }),
        32 => octets.split_at_checked(16).and_then(|(a, mask)| {
            let mask = u128::from_be_bytes(sixteen(mask)?);
            Some(format!("{}{}", Ipv6Addr::from(sixteen(a)?), length(mask, 128)))
        }),
        _ => None,
    }
    .unwrap_or_else(|| format!("unreadable ({})", hex::encode(octets)))
}

/// A mask as the length of a prefix, where it is one.
fn length(mask: u128, most: u32) -> String {
    let ones = mask.leading_ones();
    match mask.count_ones() == ones && ones <= most {
        true => format!("/{ones}"),
        false => format!(" with mask {mask:x}"),
    }
}

/// Another name: the few kinds that are texts as texts.
fn other(oid: &str, value: &[u8]) -> String {
    let explicit = tlv::first(value).map(|(element, _)| element);
    let inner = explicit.and_then(|outer| match outer.tag {
        tlv::CONTEXT => tlv::first(outer.content).map(|(element, _)| element),
        _ => Some(outer),
    });
    let text = inner.filter(|inner| matches!(inner.tag, UTF8_STRING | IA5_STRING));
    let text = text.and_then(|inner| std::str::from_utf8(inner.content).ok());
    match (oid, text) {
        ("1.3.6.1.4.1.311.20.2.3", Some(text)) => format!("upn:{text}"),
        ("1.3.6.1.5.5.7.8.9", Some(text)) => format!("email:{text}"),
        ("1.3.6.1.5.5.7.8.7", Some(text)) => format!("srv:{text}"),
        (_, Some(text)) => format!("other:{}={text}", oids::named(oid)),
        (_, None) => format!("other:{}={}", oids::named(oid), hex::encode(value)),
    }
}

const UTF8_STRING: u8 = 0x0c;
const IA5_STRING: u8 = 0x16;
