//! Signature verification with the public key alone, for this room, for offline auditors, and of what strangers signed.
//!
//! Whole messages are verified by ring where it can. What it does not do is done beside it: a digest made elsewhere, P-521 and
//! hashes that are not a curve's own ([`ecdsa`]), RSA by the one modular power it takes ([`rsa`]), ML-DSA ([`lattice`]). All see
//! public values only.

mod ecdsa;
mod lattice;
mod rsa;

mod scheme;

#[cfg(test)]
mod tests;

pub(crate) use rsa::digest_info;
pub use scheme::Scheme;

use ring::digest::SHA256;

use super::batch::Message;
use super::forms::bare_key;
use super::kind::{Algorithm, KeyKind};

/// The signature is not one of this key over this message.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("bad signature: {0}")]
pub struct BadSignature(pub(crate) String);

/// Verifies a signature in its X.509 form (ECDSA as DER, all others raw) under a SubjectPublicKeyInfo.
pub fn verify(algorithm: Algorithm, spki_der: &[u8], message: &Message, signature: &[u8]) -> Result<(), BadSignature> {
    let key = bare_key(algorithm, spki_der).map_err(BadSignature)?;
    verify_bare(algorithm, key, message, signature)
}

/// Verifies a signature where of the message only its digest is left: the one that the algorithm makes itself
/// ([`Algorithm::hash`]). Who signs whole messages makes none.
pub fn verify_digest(
    algorithm: Algorithm,
    spki_der: &[u8],
    digest: &[u8],
    signature: &[u8],
) -> Result<(), BadSignature> {
    let key = bare_key(algorithm, spki_der).map_err(BadSignature)?;
    Scheme::of(algorithm).verify_digest(algorithm, key, digest, signature)
}

/// As [`verify`], with the bare public key: the hot path parses its key once.
pub(crate) fn verify_bare(
    algorithm: Algorithm,
    key: &[u8],
    message: &Message,
    signature: &[u8],
) -> Result<(), BadSignature> {
    let scheme = Scheme::of(algorithm);
    match message {
        Message::Whole(bytes) => scheme.verify_whole(algorithm, key, bytes, signature),
        Message::Sha256(digest) if algorithm.hash() == Some(&SHA256) => {
            scheme.verify_digest(algorithm, key, digest, signature)
        }
        Message::Sha256(_) => Err(BadSignature(format!("{algorithm} does not sign a SHA-256 made elsewhere"))),
        Message::Batch(_) => Err(BadSignature("a batch has no signature of its own".into())),
    }
}

/// Verifies what somebody else signed, in a way of their own choice: `key` is the content of the subjectPublicKey of a key of that
/// kind.
pub fn verify_as(
    scheme: Scheme,
    kind: KeyKind,
    key: &[u8],
    message: &[u8],
    signature: &[u8],
) -> Result<(), BadSignature> {
    scheme.verify_whole(kind.algorithm(), key, message, signature)
}

fn no_match() -> BadSignature {
    BadSignature("it does not match key and message".into())
}

fn odd(why: &str) -> BadSignature {
    BadSignature(why.into())
}
