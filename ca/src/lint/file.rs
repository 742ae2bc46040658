//! Any file: what is in it, and what is to be said of each.
//!
//! A pure function of the bytes: no clock, no network, no trust. Bytes of strangers: everything is bounded by their length.

use crate::lint::findings::{Finding, Findings};
use crate::lint::split::{NoObject, Shape, objects};
use crate::lint::{certificate, crl, ocsp};

/// What an object was judged as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A certificate of an end entity.
    Certificate,
    /// A certificate of a CA.
    CaCertificate,
    /// A certificate revocation list.
    Crl,
    /// An OCSP response.
    OcspResponse,
}

impl Kind {
    /// As a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Certificate => "certificate",
            Kind::CaCertificate => "ca-certificate",
            Kind::Crl => "crl",
            Kind::OcspResponse => "ocsp-response",
        }
    }
}

/// One object, and what was found.
#[derive(Clone, Debug)]
pub struct Judged {
    /// As what.
    pub kind: Kind,
    /// Whom a certificate names; who made a CRL or a response. Empty where it cannot be read.
    pub name: String,
    /// What does not hold, in the order in which it was found.
    pub findings: Vec<Finding>,
}

/// Judges each object of a file: PEM or DER, one or many.
pub fn judge(bytes: &[u8]) -> Result<Vec<Judged>, NoObject> {
    Ok(objects(bytes)?.into_iter().map(|(shape, der)| one(shape, &der)).collect())
}

fn one(shape: Shape, der: &[u8]) -> Judged {
    let mut f = Findings::default();
    let (kind, name) = match shape {
        Shape::Certificate => match certificate::whole(der, &mut f) {
            Some(about) if about.is_ca => (Kind::CaCertificate, about.subject),
            Some(about) => (Kind::Certificate, about.subject),
            None => (Kind::Certificate, String::new()),
        },
        Shape::Crl => (Kind::Crl, crl::whole(der, &mut f).unwrap_or_default()),
        Shape::Ocsp => (Kind::OcspResponse, ocsp::whole(der, &mut f).unwrap_or_default()),
    };
    Judged { kind, name, findings: f.0 }
}
