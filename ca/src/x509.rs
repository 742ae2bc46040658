//! The bytes of certificates and CRLs before they are signed.
//!
//! Encoded once, from parts; the issuer's name and the subject's key are spliced in as the raw DER they came as, never
//! decoded and encoded again. Nothing here decides anything: the parts come from the draft, and the lint reads the bytes back.

use der::asn1::{Any, GeneralizedTime, OctetString, UintRef, UtcTime};
use der::{AnyRef, Decode, Encode, Sequence};
use hsm::Algorithm;
use policy::{Timestamp, Validity};
use spki::ObjectIdentifier;
use x509_cert::ext::Extension;
use x509_cert::time::Time;

use crate::algorithm::identifier;
use crate::subject_key::{public_bits, sha256};

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
            signature: AnyRef::from_der(identifier(self.algorithm))?,
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

/// What a TBSCertList is made of.
pub(crate) struct CrlParts<'a> {
    pub(crate) algorithm: Algorithm,
    pub(crate) issuer: &'a [u8],
    pub(crate) validity: Validity,
    pub(crate) revoked: Vec<RevokedEntry>,
    pub(crate) extensions: Vec<Extension>,
}

/// One line of a CRL.
pub(crate) struct RevokedEntry {
    pub(crate) serial: Vec<u8>,
    pub(crate) at: Timestamp,
    pub(crate) extensions: Option<Vec<Extension>>,
}

impl CrlParts<'_> {
    /// The TBSCertList (RFC 5280 section 5.1), DER.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, der::Error> {
        let revoked = self.revoked.iter().map(Revoked::new).collect::<Result<Vec<_>, _>>()?;
        TbsCertList {
            version: V2,
            signature: AnyRef::from_der(identifier(self.algorithm))?,
            issuer: AnyRef::from_der(self.issuer)?,
            this_update: time(self.validity.not_before())?,
            next_update: time(self.validity.not_after())?,
            // Section 5.1.2.6: "When there are no revoked certificates, the revoked certificates list MUST be absent."
            revoked: if revoked.is_empty() { None } else { Some(revoked) },
            extensions: self.extensions.clone(),
        }
        .to_der()
    }
}

/// An extension from the DER of its value.
pub(crate) fn extension(oid: ObjectIdentifier, critical: bool, value: &[u8]) -> Result<Extension, der::Error> {
    Ok(Extension { extn_id: oid, critical, extn_value: OctetString::new(value)? })
}

/// RFC 5280 section 4.1.2.5: "CAs conforming to this profile MUST always encode certificate validity dates through the
/// year 2049 as UTCTime; certificate validity dates in 2050 or later MUST be encoded as GeneralizedTime."
pub(crate) fn time(at: Timestamp) -> Result<Time, der::Error> {
    let since_epoch = std::time::Duration::from_secs(u64::try_from(at.unix()).map_err(|_| der::ErrorKind::DateTime)?);
    match at.unix() < YEAR_2050 {
        true => Ok(Time::UtcTime(UtcTime::from_unix_duration(since_epoch)?)),
        false => Ok(Time::GeneralTime(GeneralizedTime::from_unix_duration(since_epoch)?)),
    }
}

/// RFC 7093 section 2, method 1: the leftmost 160 bits of the SHA-256 of the subjectPublicKey bits.
pub(crate) fn key_identifier(spki_der: &[u8]) -> Option<[u8; 20]> {
    let hash = sha256(&public_bits(spki_der)?);
    hash.first_chunk().copied()
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

#[derive(Sequence)]
struct TbsCertList<'a> {
    version: u8,
    signature: AnyRef<'a>,
    issuer: AnyRef<'a>,
    this_update: Time,
    next_update: Time,
    revoked: Option<Vec<Revoked>>,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    extensions: Vec<Extension>,
}

#[derive(Sequence)]
struct Revoked {
    serial: Any,
    at: Time,
    extensions: Option<Vec<Extension>>,
}

impl Revoked {
    fn new(entry: &RevokedEntry) -> Result<Revoked, der::Error> {
        let serial = Any::encode_from(&UintRef::new(&entry.serial)?)?;
        Ok(Revoked { serial, at: time(entry.at)?, extensions: entry.extensions.clone() })
    }
}

const V3: u8 = 2;
const V2: u8 = 1;
/// 2050-01-01T00:00:00Z.
const YEAR_2050: i64 = 2_524_608_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_change_their_type_with_the_year_2050() {
        let last = Timestamp::parse_rfc3339("2049-12-31T23:59:59Z").unwrap();
        assert!(matches!(time(last), Ok(Time::UtcTime(_))));
        assert!(matches!(time(last.plus_secs(1)), Ok(Time::GeneralTime(_))));
        assert!(time(Timestamp::from_unix(-1)).is_err());
    }

    #[test]
    fn a_key_identifier_is_that_of_the_bits_and_not_of_the_whole_structure() {
        let key = rcgen::KeyPair::generate().unwrap();
        let spki = rcgen::PublicKeyData::subject_public_key_info(&key);
        let hash = ring::digest::digest(&ring::digest::SHA256, rcgen::PublicKeyData::der_bytes(&key));
        assert_eq!(key_identifier(&spki).unwrap(), hash.as_ref()[..20]);
    }

    #[test]
    fn a_spliced_name_is_byte_exact() {
        let odd = crate::Dn::parse("/DC=com/DC=example/O=Example+OU=PKI+L=Here/CN=x").unwrap();
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
