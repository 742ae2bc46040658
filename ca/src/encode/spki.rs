//! SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7), read as it stands and written in its one form. Whether a key is fit is not
//! asked here.

use der::asn1::{BitStringRef, UintRef};
use der::{AnyRef, Decode, Encode, Sequence};
use hsm::KeyKind;
use spki::ObjectIdentifier;

/// The bits of the subjectPublicKey BIT STRING, without tag, length and unused-bits octet.
pub(crate) fn public_bits(spki_der: &[u8]) -> Option<Vec<u8>> {
    Spki::from_der(spki_der).ok()?.key.as_bytes().map(<[u8]>::to_vec)
}

/// Of a point of a named curve (RFC 5480 section 2).
pub(crate) fn of_curve(curve: ObjectIdentifier, point: &[u8]) -> Result<Vec<u8>, der::Error> {
    write(ID_EC, Some(AnyRef::from(&curve)), point)
}

/// Of an RSA key (RFC 3279 section 2.3.1).
pub(crate) fn of_rsa(modulus: &[u8], exponent: &[u8]) -> Result<Vec<u8>, der::Error> {
    let key = RsaKey { modulus: UintRef::new(modulus)?, exponent: UintRef::new(exponent)? }.to_der()?;
    write(ID_RSA, Some(AnyRef::NULL), &key)
}

/// Of a key whose algorithm has no parameters: Ed25519 (RFC 8410 section 4), ML-DSA (RFC 9881 section 4).
pub(crate) fn of_bare(oid: ObjectIdentifier, key: &[u8]) -> Result<Vec<u8>, der::Error> {
    write(oid, None, key)
}

/// What a key is, of one that is certified already: how strong it is is not asked.
pub(crate) fn kind_of(spki_der: &[u8]) -> Option<KeyKind> {
    let spki = Spki::from_der(spki_der).ok()?;
    match spki.algorithm.oid {
        ID_EC => match spki.algorithm.parameters?.decode_as::<ObjectIdentifier>().ok()? {
            P256 => Some(KeyKind::P256),
            P384 => Some(KeyKind::P384),
            _ => None,
        },
        ID_RSA => {
            let bytes = RsaKey::from_der(spki.key.as_bytes()?).ok()?.modulus.as_bytes().len();
            let sizes = [(512, KeyKind::Rsa4096), (384, KeyKind::Rsa3072), (256, KeyKind::Rsa2048)];
            sizes.into_iter().find(|(least, _)| bytes >= *least).map(|(_, kind)| kind)
        }
        ID_ED25519 => Some(KeyKind::Ed25519),
        _ => None,
    }
}

fn write(oid: ObjectIdentifier, parameters: Option<AnyRef<'_>>, key: &[u8]) -> Result<Vec<u8>, der::Error> {
    Spki { algorithm: Algorithm { oid, parameters }, key: BitStringRef::from_bytes(key)? }.to_der()
}

/// A SubjectPublicKeyInfo, its key as bits.
#[derive(Sequence)]
pub(crate) struct Spki<'a> {
    pub(crate) algorithm: Algorithm<'a>,
    pub(crate) key: BitStringRef<'a>,
}

/// An AlgorithmIdentifier as it stands in the input.
#[derive(Sequence)]
pub(crate) struct Algorithm<'a> {
    pub(crate) oid: ObjectIdentifier,
    pub(crate) parameters: Option<AnyRef<'a>>,
}

/// RSAPublicKey (RFC 8017 appendix A.1.1).
#[derive(Sequence)]
pub(crate) struct RsaKey<'a> {
    pub(crate) modulus: UintRef<'a>,
    pub(crate) exponent: UintRef<'a>,
}

pub(crate) const ID_EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
pub(crate) const ID_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
/// An RSA key for PSS alone (RFC 4055 section 1.2).
pub(crate) const ID_RSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");
pub(crate) const ID_ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
pub(crate) const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
pub(crate) const ID_ML_DSA_44: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.3.17");
pub(crate) const ID_ML_DSA_65: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.3.18");
pub(crate) const ID_ML_DSA_87: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.3.19");
pub(crate) const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
pub(crate) const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");
