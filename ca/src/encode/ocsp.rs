//! The bytes of OCSP responses (RFC 6960 section 4.2.1), before they are signed and after.
//!
//! One spelling for everything: what was signed is put together again for each reader from the little that differs, and comes out
//! byte for byte the same. Nothing here decides anything.

use der::Encode;
use der::asn1::{GeneralizedTime, OctetStringRef, UintRef};
use hsm::Algorithm;
use policy::Timestamp;
use spki::ObjectIdentifier;

use crate::encode::tlv;

/// How a request names an issuer: by which hash of its name and key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum IdHash {
    /// What most clients ask with (RFC 5019 section 2.1.1).
    Sha1,
    /// What RFC 9654 and newer clients recommend.
    Sha256,
}

impl IdHash {
    pub(crate) const ALL: [IdHash; 2] = [IdHash::Sha1, IdHash::Sha256];

    pub(crate) fn oid(self) -> ObjectIdentifier {
        match self {
            IdHash::Sha1 => ObjectIdentifier::new_unwrap("1.3.14.3.2.26"),
            IdHash::Sha256 => ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1"),
        }
    }

    pub(crate) fn digest(self, bytes: &[u8]) -> Vec<u8> {
        let algorithm = match self {
            // RFC 6960 section 4.3: it names a key here and secures nothing.
            IdHash::Sha1 => &ring::digest::SHA1_FOR_LEGACY_USE_ONLY,
            IdHash::Sha256 => &ring::digest::SHA256,
        };
        ring::digest::digest(algorithm, bytes).as_ref().to_vec()
    }

    /// The AlgorithmIdentifier, DER, its parameters NULL as everybody writes them.
    fn identifier(self) -> &'static [u8] {
        match self {
            IdHash::Sha1 => &[0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00],
            IdHash::Sha256 => {
                &[0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00]
            }
        }
    }
}

/// What is said of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Good,
    Revoked { at: Timestamp, reason: u8 },
    Unknown,
}

/// An issuer as requests name it by one hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IssuerId {
    pub(crate) hash: IdHash,
    pub(crate) name: Vec<u8>,
    pub(crate) key: Vec<u8>,
}

impl IssuerId {
    /// Of its subject (DER) and the bits of its key.
    pub(crate) fn new(hash: IdHash, subject: &[u8], key_bits: &[u8]) -> IssuerId {
        IssuerId { hash, name: hash.digest(subject), key: hash.digest(key_bits) }
    }
}

/// One SingleResponse.
pub(crate) struct Single<'a> {
    pub(crate) issuer: &'a IssuerId,
    pub(crate) serial: &'a [u8],
    pub(crate) status: Status,
    pub(crate) next_update: Timestamp,
}

/// From when to when responses hold at the most, and when they were made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Times {
    pub(crate) produced: Timestamp,
    pub(crate) this_update: Timestamp,
    pub(crate) next_update: Timestamp,
}

/// The ResponseData, which is what is signed. `responder` is the SHA-1 of the responder's key bits.
pub(crate) fn response_data(
    responder: &[u8],
    times: Times,
    singles: &[Single<'_>],
    nonce: Option<&[u8]>,
) -> Result<Vec<u8>, der::Error> {
    let this_update = time(times.this_update)?;
    let list: Vec<Vec<u8>> =
        singles.iter().map(|single| single_response(single, &this_update)).collect::<Result<_, _>>()?;
    let list: Vec<&[u8]> = list.iter().map(Vec::as_slice).collect();
    let extensions = match nonce {
        Some(nonce) => tlv::context(1, &tlv::sequence(&[&nonce_extension(nonce)?])?)?,
        None => Vec::new(),
    };
    let by_key = tlv::context(2, &OctetStringRef::new(responder)?.to_der()?)?;
    tlv::sequence(&[&by_key, &time(times.produced)?, &tlv::sequence(&list)?, &extensions])
}

fn single_response(single: &Single<'_>, this_update: &[u8]) -> Result<Vec<u8>, der::Error> {
    let id = cert_id(single.issuer, single.serial)?;
    tlv::sequence(&[&id, &status(single.status)?, this_update, &tlv::context(0, &time(single.next_update)?)?])
}

/// The CertID (section 4.1.1).
pub(crate) fn cert_id(issuer: &IssuerId, serial: &[u8]) -> Result<Vec<u8>, der::Error> {
    tlv::sequence(&[
        issuer.hash.identifier(),
        &OctetStringRef::new(&issuer.name)?.to_der()?,
        &OctetStringRef::new(&issuer.key)?.to_der()?,
        &UintRef::new(serial)?.to_der()?,
    ])
}

fn status(status: Status) -> Result<Vec<u8>, der::Error> {
    Ok(match status {
        Status::Good => vec![0x80, 0],
        Status::Unknown => vec![0x82, 0],
        Status::Revoked { at, reason: 0 } => tlv::context(1, &time(at)?)?,
        Status::Revoked { at, reason } => {
            tlv::context(1, &[time(at)?, tlv::context(0, &[ENUMERATED, 1, reason])?].concat())?
        }
    })
}

/// RFC 9654 section 2.1: the value is an OCTET STRING within the extension's.
fn nonce_extension(nonce: &[u8]) -> Result<Vec<u8>, der::Error> {
    let inner = OctetStringRef::new(nonce)?.to_der()?;
    tlv::sequence(&[&NONCE.to_der()?, &OctetStringRef::new(&inner)?.to_der()?])
}

/// The whole OCSPResponse, `successful`, around a signed ResponseData and the responder's certificate.
pub(crate) fn response(
    data: &[u8],
    algorithm: Algorithm,
    signature: &[u8],
    certificate: &[u8],
) -> Result<Vec<u8>, der::Error> {
    let signature = der::asn1::BitStringRef::from_bytes(signature)?.to_der()?;
    let certificates = tlv::context(0, &tlv::sequence(&[certificate])?)?;
    let basic = tlv::sequence(&[data, algorithm.identifier(), &signature, &certificates])?;
    let bytes = tlv::sequence(&[&BASIC.to_der()?, &OctetStringRef::new(&basic)?.to_der()?])?;
    tlv::sequence(&[&[ENUMERATED, 1, 0], &tlv::context(0, &bytes)?])
}

/// An OCSPResponse that is no answer (section 2.3): unsigned, as everybody's is.
pub(crate) fn refusal(status: Refusal) -> [u8; 5] {
    let code = match status {
        Refusal::Malformed => 1,
        Refusal::Later => 3,
        Refusal::Unauthorized => 6,
    };
    [SEQUENCE, 3, ENUMERATED, 1, code]
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It is no request.
    Malformed,
    /// Not now.
    Later,
    /// Not ours to say (RFC 5019 section 2.2.3).
    Unauthorized,
}

/// Section 4.2.2.1: "GeneralizedTime", without fractions, in UTC.
fn time(at: Timestamp) -> Result<Vec<u8>, der::Error> {
    let since_epoch = std::time::Duration::from_secs(u64::try_from(at.unix()).map_err(|_| der::ErrorKind::DateTime)?);
    GeneralizedTime::from_unix_duration(since_epoch)?.to_der()
}

const SEQUENCE: u8 = 0x30;
const ENUMERATED: u8 = 0x0a;
/// id-pkix-ocsp-basic.
pub(crate) const BASIC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1.1");
/// id-pkix-ocsp-nonce.
pub(crate) const NONCE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1.2");
/// id-pkix-ocsp-nocheck.
pub(crate) const NO_CHECK: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1.5");

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Timestamp = Timestamp::from_unix(1_800_000_000);

    fn data(status: Status, nonce: Option<&[u8]>) -> String {
        let issuer = IssuerId { hash: IdHash::Sha1, name: vec![0xaa; 20], key: vec![0xbb; 20] };
        let times = Times { produced: AT, this_update: AT.plus_secs(-60), next_update: AT.plus_secs(3_600) };
        let single = Single { issuer: &issuer, serial: &[0x81, 1], status, next_update: times.next_update };
        hex::encode(response_data(&[0xcc; 20], times, &[single], nonce).unwrap())
    }

    /// On the wire, byte for byte. 2027-01-15T08:00:00Z.
    #[test]
    fn responses_are_written_as_they_were() {
        let responder = format!("a2160414{}180f32303237303131353038303030305a", "cc".repeat(20));
        let id = format!("303c300906052b0e03021a05000414{}0414{}0203008101", "aa".repeat(20), "bb".repeat(20));
        let times = "180f32303237303131353037353930305aa011180f32303237303131353039303030305a";
        let golden = |status: &str, more: &str| {
            let single = format!("{id}{status}{times}");
            let single = format!("30{}{single}", len(single.len() / 2));
            let list = format!("30{}{single}", len(single.len() / 2));
            let all = format!("{responder}{list}{more}");
            format!("30{}{all}", len(all.len() / 2))
        };
        assert_eq!(data(Status::Good, None), golden("8000", ""));
        assert_eq!(data(Status::Unknown, None), golden("8200", ""));
        let revoked = |reason| Status::Revoked { at: AT, reason };
        let at = "180f32303237303131353038303030305a";
        assert_eq!(data(revoked(0), None), golden(&format!("a111{at}"), ""));
        assert_eq!(data(revoked(1), None), golden(&format!("a116{at}a0030a0101"), ""));
        let nonce = "a1153013301106092b0601050507300102040404020707";
        assert_eq!(data(Status::Good, Some(&[7, 7])), golden("8000", nonce));
    }

    fn len(bytes: usize) -> String {
        if bytes < 128 { format!("{bytes:02x}") } else { format!("81{bytes:02x}") }
    }

    #[test]
    fn a_refusal_is_five_bytes() {
        for (why, code) in [(Refusal::Malformed, 1), (Refusal::Later, 3), (Refusal::Unauthorized, 6)] {
            assert_eq!(refusal(why), [0x30, 3, 0x0a, 1, code]);
        }
    }
}
