//! Public keys: their kind, how strong they are, their hash.

use super::described::{Described, sha256};
use super::{oids, tlv};

/// What is told of a SubjectPublicKeyInfo: kind, note, hash.
pub fn facts(into: &mut Described, spki: &[u8]) {
    match kind(spki) {
        Some((kind, note)) => into.noted("key", kind, note),
        None => into.fact("key", "unreadable"),
    }
    into.fact("spki_sha256", sha256(spki));
}

/// Kind with its size, and what is to be said of its strength.
fn kind(spki: &[u8]) -> Option<(String, String)> {
    let parts = tlv::sequence(spki)?;
    let algorithm = tlv::sequence(parts.first()?.whole)?;
    let bits = parts.get(1).filter(|part| part.tag == tlv::BIT_STRING)?.content.get(1..)?;
    let (oid, parameters) = named(&algorithm)?;
    Some(described(&oid, parameters.as_deref(), bits))
}

/// An algorithm's identifier, and the object identifier in its parameters.
pub fn named(algorithm: &[tlv::Element<'_>]) -> Option<(String, Option<String>)> {
    let oid = algorithm.first().filter(|part| part.tag == tlv::OID).and_then(|part| tlv::oid(part.content))?;
    let parameters = algorithm.get(1).filter(|part| part.tag == tlv::OID).and_then(|part| tlv::oid(part.content));
    Some((oid, parameters))
}

fn described(oid: &str, parameters: Option<&str>, bits: &[u8]) -> (String, String) {
    match (oid, parameters) {
        (RSA, _) => match tlv::sequence(bits).as_deref() {
            Some([modulus, exponent]) => rsa(modulus.content, exponent.content),
            _ => ("RSA".to_owned(), "its numbers cannot be read".to_owned()),
        },
        (EC, Some(curve)) => (format!("EC {}", oids::named(curve)), strength_of(curve)),
        (EC, None) => ("EC".to_owned(), "of a curve without a name".to_owned()),
        (oid, _) => (oids::named(oid), strength_of(oid)),
    }
}

/// Of an RSA key: from its modulus and exponent.
pub fn rsa(modulus: &[u8], exponent: &[u8]) -> (String, String) {
    let modulus = trimmed(modulus);
    let bits = modulus.first().map_or(0, |first| modulus.len() * 8 - first.leading_zeros() as usize);
    let weak = match bits {
        ..2048 => "too weak",
        2048..3072 => "112 bits of security",
        _ => "128 bits of security or more",
    };
    let odd = if trimmed(exponent) == [1, 0, 1] { "" } else { ", an exponent other than 65537" };
    (format!("RSA {bits}"), format!("{weak}{odd}"))
}

fn trimmed(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

fn strength_of(oid: &str) -> String {
    match oids::named(oid).as_str() {
        "P-256" | "Ed25519" | "X25519" | "secp256k1" => "128 bits of security",
        "P-384" => "192 bits of security",
        "Ed448" | "X448" => "224 bits of security",
        "P-521" => "256 bits of security",
        "ML-DSA-44" => "post-quantum, category 2",
        "ML-DSA-65" => "post-quantum, category 3",
        "ML-DSA-87" => "post-quantum, category 5",
        "DSA" => "nobody takes it any more",
        _ => "",
    }
    .to_owned()
}

pub const RSA: &str = "1.2.840.113549.1.1.1";
pub const EC: &str = "1.2.840.10045.2.1";
