//! From bytes to what they are.

use policy::Timestamp;

use super::described::Described;
use super::split::{Raw, Unread, split};
use super::{certificate, container, crl, key, keystore, ocsp, request, ssh, tlv};

/// Every object of a file: PEM, DER, OpenSSH, Java's keystore.
pub fn read(bytes: &[u8], now: Timestamp) -> Result<Vec<Described>, Unread> {
    let placed = |(place, raw): (usize, Raw)| one(raw, now).map_err(|unread| Unread { place, ..unread });
    (1..).zip(split(bytes)?).map(placed).collect()
}

fn one(raw: Raw, now: Timestamp) -> Result<Described, Unread> {
    match raw {
        Raw::Labelled(label, der) => labelled(&label, &der, now),
        Raw::Closed(label) => Ok(key::closed(&format!("{label}, as OpenSSL of old wrote it"))),
        Raw::Text(text) => ssh::private(&text),
        Raw::Bare(der) => shaped(&der, now),
        Raw::Line(line) => ssh::line(&line, now),
        Raw::Keystore(bytes) => keystore::described(&bytes, now),
    }
}

fn labelled(label: &str, der: &[u8], now: Timestamp) -> Result<Described, Unread> {
    match label {
        "CERTIFICATE" | "X509 CERTIFICATE" | "TRUSTED CERTIFICATE" => certificate::described(der, now),
        "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST" => request::described(der),
        "X509 CRL" => crl::described(der, now),
        "PRIVATE KEY" => key::pkcs8(der),
        "ENCRYPTED PRIVATE KEY" => key::encrypted(der),
        "RSA PRIVATE KEY" => key::rsa(der),
        "EC PRIVATE KEY" => key::ec(der),
        "PUBLIC KEY" => Ok(key::public(der)),
        "RSA PUBLIC KEY" => key::rsa_public(der),
        "PKCS7" | "CMS" => container::pkcs7(der, now),
        "PKCS12" => container::pkcs12(der),
        "OCSP RESPONSE" => ocsp::described(der, now),
        "EC PARAMETERS" | "DH PARAMETERS" => Ok(Described::new("parameters")),
        _ => Err(Unread::new(format!("a PEM block `{label}`, which is not known here"))),
    }
}

/// By the tags that stand where an object has them.
fn shaped(der: &[u8], now: Timestamp) -> Result<Described, Unread> {
    let parts = tlv::sequence(der).ok_or_else(|| Unread::new("DER of a kind that is not known here"))?;
    let inner = parts.first().and_then(|first| tlv::elements(first.content)).unwrap_or_default();
    let (outer, inner) = (tlv::tags(&parts), tlv::tags(&inner));
    match outer.as_slice() {
        [tlv::ENUMERATED, ..] => ocsp::described(der, now),
        [tlv::OID, tlv::CONTEXT] => container::pkcs7(der, now),
        [tlv::INTEGER, tlv::SEQUENCE, tlv::OCTET_STRING, ..] => key::pkcs8(der),
        [tlv::INTEGER, tlv::OCTET_STRING, ..] => key::ec(der),
        [tlv::INTEGER, tlv::INTEGER, tlv::INTEGER, tlv::INTEGER, ..] => key::rsa(der),
        [tlv::INTEGER, tlv::INTEGER] => key::rsa_public(der),
        [tlv::INTEGER, tlv::SEQUENCE] | [tlv::INTEGER, tlv::SEQUENCE, tlv::SEQUENCE] => container::pkcs12(der),
        [tlv::SEQUENCE, tlv::OCTET_STRING] => key::encrypted(der),
        [tlv::SEQUENCE, tlv::BIT_STRING] => Ok(key::public(der)),
        [tlv::SEQUENCE, tlv::SEQUENCE, tlv::BIT_STRING] => signed(der, &inner, now),
        _ => Err(Unread::new("DER of a kind that is not known here")),
    }
}

/// Of what is signed the inner part tells what it is.
fn signed(der: &[u8], inner: &[u8], now: Timestamp) -> Result<Described, Unread> {
    match inner {
        [tlv::SEQUENCE, tlv::SEQUENCE, tlv::UTC_TIME | tlv::GENERALIZED_TIME, ..]
        | [tlv::INTEGER, tlv::SEQUENCE, tlv::SEQUENCE, tlv::UTC_TIME | tlv::GENERALIZED_TIME, ..] => {
            crl::described(der, now)
        }
        [tlv::INTEGER, tlv::SEQUENCE, tlv::SEQUENCE] | [tlv::INTEGER, tlv::SEQUENCE, tlv::SEQUENCE, tlv::CONTEXT] => {
            request::described(der)
        }
        _ => certificate::described(der, now),
    }
}
