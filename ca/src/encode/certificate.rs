//! The bytes of certificates before they are signed.
//!
//! Encoded once, from parts; the issuer's name and the subject's key are spliced in as the raw DER they came as, never
//! decoded and encoded again. Nothing here decides anything: the parts come from the draft, and the lint reads the bytes back.

use der::asn1::UintRef;
use der::{AnyRef, Decode, Encode, Sequence};
use hsm::Algorithm;
use policy::Validity;
use x509_cert::ext::Extension;
use x509_cert::time::Time;

use crate::encode::x509::time;

/// What a TBSCertificate is made of.
pub(crate) struct CertificateParts<'a> {
    pub(crate) serial: &'a [u8],
    pub(crate) algorithm: Algorithm,
    pub(crate) issuer: &'a [u8],
    pub(crate) validity: Validity,
    pub(crate) subject: &'a [u8],
    pub(crate) spki: &'a [u8],
    pub(crate) extensions: Vec<Extension>,
}

impl CertificateParts<'_> {
    /// The TBSCertificate (RFC 5280 section 4.1), DER.
    pub(crate) fn encode(self) -> Result<Vec<u8>, der::Error> {
        TbsCertificate {
            version: V3,
            serial: UintRef::new(self.serial)?,
            signature: AnyRef::from_der(self.algorithm.identifier())?,
            issuer: AnyRef::from_der(self.issuer)?,
            validity: TbsValidity {
                not_before: time(self.validity.not_before())?,
                not_after: time(self.validity.not_after())?,
            },
            subject: AnyRef::from_der(self.subject)?,
            spki: AnyRef::from_der(self.spki)?,
            extensions: self.extensions,
        }
        .to_der()
    }
}

#[derive(Sequence)]
struct TbsCertificate<'a> {
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    version: u8,
    serial: UintRef<'a>,
    signature: AnyRef<'a>,
    issuer: AnyRef<'a>,
    validity: TbsValidity,
    subject: AnyRef<'a>,
    spki: AnyRef<'a>,
    #[asn1(context_specific = "3", tag_mode = "EXPLICIT")]
    extensions: Vec<Extension>,
}

#[derive(Sequence)]
struct TbsValidity {
    not_before: Time,
    not_after: Time,
}

const V3: u8 = 2;

#[cfg(test)]
mod tests {
    use policy::Timestamp;

    use super::*;
    use crate::encode::Dn;

    #[test]
    fn a_spliced_name_is_byte_exact() {
        let odd = Dn::parse("/DC=com/DC=example/O=Example+OU=PKI+L=Here/CN=x").unwrap();
        let spki = {
            let key = rcgen::KeyPair::generate().unwrap();
            rcgen::PublicKeyData::subject_public_key_info(&key)
        };
        let parts = CertificateParts {
            serial: &[1; 16],
            algorithm: Algorithm::EcdsaP256Sha256,
            issuer: odd.as_der(),
            validity: Validity::starting(Timestamp::from_unix(1_800_000_000), 60),
            subject: odd.as_der(),
            spki: &spki,
            extensions: Vec::new(),
        };
        let tbs = parts.encode().unwrap();
        let hits = tbs.windows(odd.as_der().len()).filter(|w| *w == odd.as_der()).count();
        assert_eq!(hits, 2);
    }
}
