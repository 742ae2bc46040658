//! SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7), read as it stands. Whether a key is fit is not asked here.

use der::asn1::BitStringRef;
use der::{AnyRef, Decode, Sequence};
use spki::ObjectIdentifier;

/// The bits of the subjectPublicKey BIT STRING, without tag, length and unused-bits octet.
pub(crate) fn public_bits(spki_der: &[u8]) -> Option<Vec<u8>> {
    Spki::from_der(spki_der).ok()?.key.as_bytes().map(<[u8]>::to_vec)
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
