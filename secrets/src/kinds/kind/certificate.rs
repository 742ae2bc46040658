//! Where a certificate of a bundle is: in the field, in another secret, or in the register of what was issued.

use std::fmt;
use std::str::FromStr;

use crate::nouns::Reference;

/// What stands in a field that is a certificate or a reference to one. Nothing here reads the certificate itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateSource {
    /// The field has it, in PEM, one or a chain.
    Pem,
    /// A field of another secret has it.
    Secret(Reference),
    /// It was issued here, under this serial number: `certificate:` and its 32 hexadecimal digits. Who renews it renews the bundle.
    Issued(String),
    /// The newest that was issued here with this DNS name: `certificate:` and the name, in small letters.
    Named(String),
}

/// A text that is none of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "give certificates in PEM (`-----BEGIN CERTIFICATE-----`), chy://PATH#FIELD of another secret, certificate:SERIAL in 32 hexadecimal digits, or certificate:NAME, a DNS name in small letters"
)]
pub struct SourceError;

impl FromStr for CertificateSource {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, SourceError> {
        if text.starts_with(Reference::SCHEME) {
            return text.parse().map(CertificateSource::Secret).map_err(|_| SourceError);
        }
        if let Some(named) = text.strip_prefix(ISSUED) {
            let is_digit = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
            let is_serial = named.len() == SERIAL_DIGITS && named.bytes().all(is_digit);
            return match is_serial {
                true => Ok(CertificateSource::Issued(named.to_owned())),
                false if is_name(named) => Ok(CertificateSource::Named(named.to_owned())),
                false => Err(SourceError),
            };
        }
        are_pem(text).then_some(CertificateSource::Pem).ok_or(SourceError)
    }
}

impl fmt::Display for CertificateSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CertificateSource::Pem => f.write_str("PEM"),
            CertificateSource::Secret(reference) => reference.fmt(f),
            CertificateSource::Issued(named) | CertificateSource::Named(named) => write!(f, "{ISSUED}{named}"),
        }
    }
}

/// Whether a text is a DNS name as certificates have it, with a star for its first label perhaps. One of hexadecimal digits alone would be
/// a serial number that lost some.
fn is_name(text: &str) -> bool {
    let is_label = |label: &str| {
        let is_known = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
        (1..=63).contains(&label.len())
            && label.bytes().all(is_known)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let name = text.strip_prefix("*.").unwrap_or(text);
    text.len() <= NAME_CHARS_MAX && name.split('.').all(is_label) && !text.bytes().all(|c| c.is_ascii_hexdigit())
}

/// Whether a text is certificates in PEM, one after the other, with nothing but blanks between.
fn are_pem(text: &str) -> bool {
    let mut blocks = text.split_inclusive(END).peekable();
    let is_some = blocks.peek().is_some_and(|block| block.ends_with(END));
    is_some
        && blocks.filter(|block| !block.trim().is_empty()).all(|block| {
            let block = block.trim();
            let read = pem_rfc7468::decode_vec(block.as_bytes());
            // A certificate is a SEQUENCE; what is in it is the business of others.
            block.starts_with("-----BEGIN")
                && read.is_ok_and(|(label, der)| label == "CERTIFICATE" && der.first() == Some(&0x30))
        })
}

const END: &str = "-----END CERTIFICATE-----";
const ISSUED: &str = "certificate:";
const SERIAL_DIGITS: usize = 32;
/// RFC 1035 section 2.3.4, without the last dot.
const NAME_CHARS_MAX: usize = 253;
