//! What certificates and CRLs are written with: extensions, times, key identifiers.

use const_oid::db::rfc5280;
use der::Encode;
use der::asn1::{GeneralizedTime, OctetString, UtcTime};
use policy::Timestamp;
use spki::ObjectIdentifier;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::AuthorityKeyIdentifier;
use x509_cert::time::Time;

use crate::encode::digest::sha256;
use crate::encode::spki::public_bits;

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

/// RFC 5280 section 5.3.2 wants this type, whatever the year.
pub(crate) fn generalized(at: Timestamp) -> Result<GeneralizedTime, der::Error> {
    let since_epoch = u64::try_from(at.unix()).map_err(|_| der::ErrorKind::DateTime)?;
    GeneralizedTime::from_unix_duration(std::time::Duration::from_secs(since_epoch))
}

/// RFC 7093 section 2, method 1: the leftmost 160 bits of the SHA-256 of the subjectPublicKey bits.
pub(crate) fn key_identifier(spki_der: &[u8]) -> Option<[u8; 20]> {
    let hash = sha256(&public_bits(spki_der)?);
    hash.first_chunk().copied()
}

/// RFC 5280 section 4.2.1.1: the keyIdentifier alone, copied from the issuer's own subjectKeyIdentifier.
pub(crate) fn authority_key_identifier(key_identifier: &[u8]) -> Result<Extension, der::Error> {
    let aki = AuthorityKeyIdentifier { key_identifier: Some(OctetString::new(key_identifier)?), ..Default::default() };
    extension(rfc5280::ID_CE_AUTHORITY_KEY_IDENTIFIER, false, &aki.to_der()?)
}

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
}
