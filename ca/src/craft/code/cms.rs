//! Detached CMS signatures (RFC 5652): the attributes that are signed, and the SignedData around their signature.
//!
//! Certificates and issuer names are spliced in as the raw DER they are, so that the signer is found by exactly the bytes
//! its certificate has. The digest of the content comes from the caller: a file of any size is signed without being carried.

use der::Encode;
use der::asn1::{ObjectIdentifier, OctetStringRef, UintRef};
use hsm::Algorithm;
use policy::Timestamp;

use crate::encode::sha256;
use crate::encode::tlv::{context, sequence, set_of};
use crate::encode::x509::time;

/// The SET OF signed attributes (section 5.3), DER: what the key signs.
pub(crate) fn signed_attributes(
    digest: &[u8; 32],
    at: Timestamp,
    certificate_der: &[u8],
) -> Result<Vec<u8>, der::Error> {
    let attributes = [
        // Section 11.1 and 11.2: both MUST be present when there are signed attributes.
        attribute(CONTENT_TYPE, &DATA.to_der()?)?,
        attribute(MESSAGE_DIGEST, &OctetStringRef::new(digest)?.to_der()?)?,
        attribute(SIGNING_TIME, &time(at)?.to_der()?)?,
        // RFC 5035: binds the signature to one certificate, so that no other one for the same key can be put in its place.
        attribute(SIGNING_CERTIFICATE_V2, &signing_certificate(certificate_der)?)?,
    ];
    set_of(attributes.iter().map(Vec::as_slice).collect())
}

/// Who signed: how their certificate names its issuer, and its serial.
pub(crate) struct Signer<'a> {
    pub(crate) issuer: &'a [u8],
    pub(crate) serial: &'a [u8],
    pub(crate) algorithm: Algorithm,
    /// The signer's certificate and those above it, without the root.
    pub(crate) certificates: Vec<&'a [u8]>,
}

/// The detached SignedData in its ContentInfo, DER.
pub(crate) fn signed_data(attributes: &[u8], signature: &[u8], signer: Signer<'_>) -> Result<Vec<u8>, der::Error> {
    let version = 1u8.to_der()?;
    let certificates = set_of(signer.certificates)?;
    let serial = UintRef::new(signer.serial)?.to_der()?;
    let signer_info = sequence(&[
        &version,
        &sequence(&[signer.issuer, &serial])?,
        SHA256,
        // The same elements that were signed as a SET OF, here as [0] IMPLICIT (section 5.3).
        &context(0, content(attributes)?)?,
        signer.algorithm.identifier(),
        &OctetStringRef::new(signature)?.to_der()?,
    ])?;
    let signed_data = sequence(&[
        &version,
        &set_of(vec![SHA256])?,
        // Detached: the content type alone.
        &sequence(&[&DATA.to_der()?])?,
        &context(0, content(&certificates)?)?,
        &set_of(vec![&signer_info])?,
    ])?;
    sequence(&[&SIGNED_DATA.to_der()?, &context(0, &signed_data)?])
}

/// SigningCertificateV2 (RFC 5035 section 3): the SHA-256 of the certificate, the default hash algorithm left out.
pub(crate) fn signing_certificate(certificate_der: &[u8]) -> Result<Vec<u8>, der::Error> {
    let hash = OctetStringRef::new(&sha256(certificate_der))?.to_der()?;
    sequence(&[&sequence(&[&sequence(&[&hash])?])?])
}

fn attribute(oid: ObjectIdentifier, value: &[u8]) -> Result<Vec<u8>, der::Error> {
    sequence(&[&oid.to_der()?, &set_of(vec![value])?])
}

fn content(der: &[u8]) -> Result<&[u8], der::Error> {
    use der::Decode;
    Ok(der::AnyRef::from_der(der)?.value())
}

pub(crate) const DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.1");
const SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");
pub(crate) const CONTENT_TYPE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.3");
pub(crate) const MESSAGE_DIGEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.4");
pub(crate) const SIGNING_TIME: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.5");
pub(crate) const SIGNING_CERTIFICATE_V2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.47");

/// AlgorithmIdentifier of SHA-256, parameters absent (RFC 5754 section 2).
const SHA256: &[u8] = &[0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];
