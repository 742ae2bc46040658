//! Certificates as other software takes them by the handful: PKCS#7, PKCS#12, Java's keystore. No key is ever in one of these.
//!
//! Each is a function of the certificates alone, so that whoever has it already is told so. What protects them is what protects any
//! certificate: a fingerprint from elsewhere. A password that everybody knows would protect nothing.

mod jks;
mod pkcs12;
mod pkcs7;

pub(crate) use jks::jks;
pub(crate) use pkcs7::pkcs7;
pub(crate) use pkcs12::pkcs12;

use crate::encode::sha256;

/// A form in which several certificates are one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BundleForm {
    /// PKCS#7 certs-only: Windows, AIA.
    Pkcs7,
    /// PKCS#12 without keys, encryption or MAC: Java, any password or none.
    Pkcs12,
    /// Java's own keystore, password `changeit`.
    Jks,
}

/// The name under which a certificate stands in a store: by its fingerprint, as `chancery trust install` has it too.
fn alias(certificate: &[u8]) -> String {
    format!("chancery-{}", hex::encode(sha256(certificate)))
}
