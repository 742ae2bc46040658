//! What strangers ask: an OCSPRequest, read strictly and bounded.
//!
//! Answers the threats "a stranger sends us nonsense" and "one message asks for the work of many". Nothing is decided here.

use der::Decode;
use der::asn1::OctetStringRef;

use super::asn1::{CertId, Extension, OcspRequest};
use crate::encode::ocsp::{IdHash, NONCE};

/// The largest request: sixteen certificates named by SHA-256, a nonce, and a signature that nobody reads.
pub const OCSP_REQUEST_BYTES_MAX: usize = 8_192;

/// Whether it is a request that a responder reads (RFC 6960 section 4.1.1): nothing else is sent to one, a key for instance, whose DER begins
/// alike.
pub fn is_ocsp_request(der: &[u8]) -> bool {
    Asked::read(der).is_ok()
}
/// Certificates of one request. Each beyond the first makes an answer that nobody else can be given.
const CERTIFICATES_MAX: usize = 16;
/// RFC 9654 section 2.1: "the minimum nonce length MUST be 1 octet and the maximum 128".
const NONCE_BYTES_MAX: usize = 128;
/// RFC 5280 section 4.1.2.2.
const SERIAL_BYTES_MAX: usize = 20;

/// A request that can be answered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Asked<'a> {
    /// One certificate at least.
    pub(crate) certificates: Vec<Named<'a>>,
    pub(crate) nonce: Option<&'a [u8]>,
}

/// A certificate as it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Named<'a> {
    /// None where the issuer is named by a hash that no issuer is known by.
    pub(crate) hash: Option<IdHash>,
    pub(crate) issuer_name: &'a [u8],
    pub(crate) issuer_key: &'a [u8],
    /// As unsigned, without a leading zero.
    pub(crate) serial: &'a [u8],
}

/// Why it cannot: for the log of whoever debugs a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) &'static str);

impl<'a> Asked<'a> {
    /// Reads a request.
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Asked<'a>, Malformed> {
        if bytes.len() > OCSP_REQUEST_BYTES_MAX {
            return Err(Malformed("it is too large"));
        }
        let request = OcspRequest::from_der(bytes).map_err(|_| Malformed("it is no OCSPRequest"))?;
        let tbs = request.tbs;
        if tbs.version != 0 {
            return Err(Malformed("its version is none that there is"));
        }
        if tbs.list.is_empty() || tbs.list.len() > CERTIFICATES_MAX {
            return Err(Malformed("it names no certificate, or more than sixteen"));
        }
        for request in &tbs.list {
            refuse_critical(request.extensions.as_deref().unwrap_or_default(), &[])?;
        }
        let extensions = tbs.extensions.unwrap_or_default();
        refuse_critical(&extensions, &[NONCE])?;
        let nonce = nonce(&extensions)?;
        let certificates = tbs.list.into_iter().map(|request| named(request.id)).collect::<Result<_, _>>()?;
        Ok(Asked { certificates, nonce })
    }
}

fn named(id: CertId<'_>) -> Result<Named<'_>, Malformed> {
    let serial = match id.serial.as_bytes() {
        [0, rest @ ..] if !rest.is_empty() => rest,
        // RFC 5280 section 4.1.2.2: "Certificate users should be prepared to gracefully handle" negative ones: there is none here.
        [first, ..] if *first >= 0x80 => return Err(Malformed("its serial is negative")),
        bytes => bytes,
    };
    if serial.is_empty() || serial.len() > SERIAL_BYTES_MAX {
        return Err(Malformed("its serial has no bytes, or more than twenty"));
    }
    let hash = IdHash::ALL.into_iter().find(|hash| hash.oid() == id.hash.oid);
    if hash.is_some() && id.hash.parameters.is_some_and(|parameters| !parameters.is_null()) {
        return Err(Malformed("its hash has parameters"));
    }
    let (issuer_name, issuer_key) = (id.issuer_name.as_bytes(), id.issuer_key.as_bytes());
    Ok(Named { hash, issuer_name, issuer_key, serial })
}

fn refuse_critical(extensions: &[Extension<'_>], known: &[der::asn1::ObjectIdentifier]) -> Result<(), Malformed> {
    match extensions.iter().any(|extension| extension.critical && !known.contains(&extension.oid)) {
        true => Err(Malformed("a critical extension that is not known")),
        false => Ok(()),
    }
}

/// RFC 9654 section 2.1: "A server MUST reject any OCSP request that has a nonce in the Nonce extension with a length of 0 octets
/// or more than 128 octets with the malformedRequest OCSPResponseStatus".
fn nonce<'a>(extensions: &[Extension<'a>]) -> Result<Option<&'a [u8]>, Malformed> {
    let mut all = extensions.iter().filter(|extension| extension.oid == NONCE);
    let (first, None) = (all.next(), all.next()) else { return Err(Malformed("two nonces")) };
    let Some(extension) = first else { return Ok(None) };
    let value = <&OctetStringRef>::from_der(extension.value.as_bytes()).map_err(|_| Malformed("its nonce is none"))?;
    match value.as_bytes() {
        nonce if (1..=NONCE_BYTES_MAX).contains(&nonce.len()) => Ok(Some(nonce)),
        _ => Err(Malformed("its nonce has no bytes, or more than 128")),
    }
}
