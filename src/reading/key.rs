//! Keys. Of a private one its kind, its size and whether a password protects it; never more.

use super::described::Described;
use super::split::Unread;
use super::{oids, spki, tlv};

/// A SubjectPublicKeyInfo.
pub fn public(der: &[u8]) -> Described {
    let mut shown = Described::new("public-key");
    spki::facts(&mut shown, der);
    shown
}

/// RSAPublicKey (RFC 8017 appendix A.1.1).
pub fn rsa_public(der: &[u8]) -> Result<Described, Unread> {
    let parts = tlv::sequence(der).unwrap_or_default();
    let [modulus, exponent] = parts.as_slice() else { return Err(Unread::new("not an RSA public key")) };
    let mut shown = Described::new("public-key");
    let (kind, note) = spki::rsa(modulus.content, exponent.content);
    shown.noted("key", kind, note);
    Ok(shown)
}

/// PKCS#8 (RFC 5958).
pub fn pkcs8(der: &[u8]) -> Result<Described, Unread> {
    let parts = tlv::sequence(der).unwrap_or_default();
    let algorithm = parts.get(1).and_then(|part| tlv::sequence(part.whole)).unwrap_or_default();
    let inner = parts.get(2).filter(|part| part.tag == tlv::OCTET_STRING);
    let (Some((oid, curve)), Some(inner)) = (spki::named(&algorithm), inner) else {
        return Err(Unread::new("not a private key (PKCS#8)"));
    };
    match (oid.as_str(), curve) {
        (spki::RSA, _) => rsa(inner.content),
        (spki::EC, Some(curve)) => Ok(open(format!("EC {}", oids::named(&curve)), "")),
        _ => Ok(open(oids::named(&oid), "")),
    }
}

/// RSAPrivateKey (RFC 8017 appendix A.1.2).
pub fn rsa(der: &[u8]) -> Result<Described, Unread> {
    let parts = tlv::sequence(der).unwrap_or_default();
    let [_, modulus, exponent, ..] = parts.as_slice() else { return Err(Unread::new("not an RSA private key")) };
    let (kind, note) = spki::rsa(modulus.content, exponent.content);
    Ok(open(kind, &note))
}

/// ECPrivateKey (RFC 5915).
pub fn ec(der: &[u8]) -> Result<Described, Unread> {
    let parts = tlv::sequence(der).ok_or_else(|| Unread::new("not an EC private key"))?;
    let parameters = parts.iter().find(|part| part.tag == tlv::CONTEXT).and_then(|part| tlv::first(part.content));
    let curve = parameters.filter(|(part, _)| part.tag == tlv::OID).and_then(|(part, _)| tlv::oid(part.content));
    Ok(open(format!("EC {}", curve.map_or_else(|| "of an unnamed curve".to_owned(), |oid| oids::named(&oid))), ""))
}

/// EncryptedPrivateKeyInfo (RFC 5958 section 3): how, and no more.
pub fn encrypted(der: &[u8]) -> Result<Described, Unread> {
    let parts = tlv::sequence(der).unwrap_or_default();
    let algorithm = parts.first().and_then(|part| tlv::sequence(part.whole)).unwrap_or_default();
    let (oid, _) = spki::named(&algorithm).ok_or_else(|| Unread::new("not an encrypted private key"))?;
    Ok(closed(&oids::named(&oid)))
}

/// A private key below a password.
pub fn closed(how: &str) -> Described {
    let mut shown = Described::new("private-key");
    shown.fact("key", "unknown: a password protects it");
    shown.noted("encrypted", true, how);
    shown
}

fn open(kind: String, note: &str) -> Described {
    let mut shown = Described::new("private-key");
    shown.noted("key", kind, note);
    shown.noted("encrypted", false, "whoever reads the file has the key");
    shown
}
