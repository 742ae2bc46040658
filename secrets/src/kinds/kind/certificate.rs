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
}

/// A text that is none of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "give certificates in PEM (`-----BEGIN CERTIFICATE-----`), chy://PATH#FIELD of another secret, or certificate:SERIAL in 32 hexadecimal digits"
)]
pub struct SourceError;

impl FromStr for CertificateSource {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, SourceError> {
        if text.starts_with(Reference::SCHEME) {
            return text.parse().map(CertificateSource::Secret).map_err(|_| SourceError);
        }
        if let Some(serial) = text.strip_prefix(ISSUED) {
            let is_digit = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
            let is_serial = serial.len() == SERIAL_DIGITS && serial.bytes().all(is_digit);
            return is_serial.then(|| CertificateSource::Issued(serial.to_owned())).ok_or(SourceError);
        }
        are_pem(text).then_some(CertificateSource::Pem).ok_or(SourceError)
    }
}

impl fmt::Display for CertificateSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CertificateSource::Pem => f.write_str("PEM"),
            CertificateSource::Secret(reference) => reference.fmt(f),
            CertificateSource::Issued(serial) => write!(f, "{ISSUED}{serial}"),
        }
    }
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
