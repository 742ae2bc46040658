//! PKCS#12 (RFC 7292) with trusted certificates alone: neither encrypted nor with a MAC, since both would take a password that everybody
//! knows. Java takes it with any password or none, openssl with an empty one.

use der::Encode;
use der::asn1::{BmpString, ObjectIdentifier, OctetStringRef};

use super::alias;
use crate::encode::tlv::{context, sequence, set_of};

/// Certificates, DER each, as a PFX.
pub(crate) fn pkcs12(certificates: &[&[u8]]) -> Result<Vec<u8>, der::Error> {
    let bags = certificates.iter().map(|certificate| bag(certificate)).collect::<Result<Vec<_>, _>>()?;
    let contents = sequence(&bags.iter().map(Vec::as_slice).collect::<Vec<_>>())?;
    let safe = sequence(&[&data(&contents)?])?;
    sequence(&[&3u8.to_der()?, &data(&safe)?])
}

/// A ContentInfo of type data.
fn data(content: &[u8]) -> Result<Vec<u8>, der::Error> {
    sequence(&[&DATA.to_der()?, &context(0, &OctetStringRef::new(content)?.to_der()?)?])
}

/// A SafeBag with one certificate. Java holds one without the second attribute for a chain of somebody's key, and trusts it with nothing.
fn bag(certificate: &[u8]) -> Result<Vec<u8>, der::Error> {
    let inner = context(0, &OctetStringRef::new(certificate)?.to_der()?)?;
    let certificate_bag = sequence(&[&X509_CERTIFICATE.to_der()?, &inner])?;
    let name = BmpString::from_utf8(&alias(certificate))?.to_der()?;
    let attributes = [
        sequence(&[&FRIENDLY_NAME.to_der()?, &set_of(vec![&name])?])?,
        sequence(&[&TRUSTED_KEY_USAGE.to_der()?, &set_of(vec![&ANY_PURPOSE.to_der()?])?])?,
    ];
    let attributes = set_of(attributes.iter().map(Vec::as_slice).collect())?;
    sequence(&[&CERT_BAG.to_der()?, &context(0, &certificate_bag)?, &attributes])
}

const DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.1");
const CERT_BAG: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.10.1.3");
const X509_CERTIFICATE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.22.1");
const FRIENDLY_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.20");
/// Oracle's, which Java's `keytool -importcert` writes too.
const TRUSTED_KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.113894.746875.1.1");
const ANY_PURPOSE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37.0");
