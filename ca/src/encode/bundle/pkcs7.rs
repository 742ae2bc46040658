//! PKCS#7 "certs-only" (RFC 5652 section 5, RFC 8551 section 3.8): a SignedData that nobody signed.

use der::Encode;
use der::asn1::ObjectIdentifier;

use crate::encode::tlv::{context, sequence, set_of};

/// Certificates, DER each, as one ContentInfo.
pub(crate) fn pkcs7(certificates: &[&[u8]]) -> Result<Vec<u8>, der::Error> {
    let mut sorted = certificates.to_vec();
    // CertificateSet is a SET OF (X.690 section 11.6), here as [0] IMPLICIT.
    sorted.sort_unstable();
    let signed_data = sequence(&[
        &1u8.to_der()?,
        &set_of(Vec::new())?,
        &sequence(&[&DATA.to_der()?])?,
        &context(0, &sorted.concat())?,
        &set_of(Vec::new())?,
    ])?;
    sequence(&[&SIGNED_DATA.to_der()?, &context(0, &signed_data)?])
}

const DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.1");
const SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");
