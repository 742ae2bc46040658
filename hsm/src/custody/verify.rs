//! Signature verification with the public key alone, for this room and for offline auditors.
//!
//! Whole messages are verified by ring. ring takes no digest made elsewhere, so a message that the caller hashed is
//! verified by `p256`, `p384` and, for RSA, by the one modular power it takes; all see public values only.

use num_bigint::BigUint;
use p256::ecdsa::signature::hazmat::PrehashVerifier;
use ring::digest::SHA384_OUTPUT_LEN;
use ring::signature::{self, UnparsedPublicKey, VerificationAlgorithm};

use der::Decode;

use super::forms::{RsaPublicKey, SHA256_DIGEST_INFO, bare_key};
use super::intent::Message;
use super::kind::Algorithm;

/// The signature is not one of this key over this message.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("bad signature: {0}")]
pub struct BadSignature(pub(crate) String);

/// Verifies a signature in its X.509 form (ECDSA as DER, RSA and Ed25519 raw) under a SubjectPublicKeyInfo.
pub fn verify(algorithm: Algorithm, spki_der: &[u8], message: &Message, signature: &[u8]) -> Result<(), BadSignature> {
    let key = bare_key(algorithm, spki_der).map_err(BadSignature)?;
    verify_bare(algorithm, key, message, signature)
}

/// Verifies a signature where of the message only its digest is left: the one that the algorithm makes itself, SHA-256 or, on
/// P-384, SHA-384. Ed25519 makes none: what it signed takes the whole message.
pub fn verify_digest(
    algorithm: Algorithm,
    spki_der: &[u8],
    digest: &[u8],
    signature: &[u8],
) -> Result<(), BadSignature> {
    let key = bare_key(algorithm, spki_der).map_err(BadSignature)?;
    let sha256 = || digest.try_into().map_err(|_| BadSignature("the digest is no SHA-256".into()));
    match algorithm {
        Algorithm::EcdsaP256Sha256 => verify_p256_digest(key, sha256()?, signature),
        Algorithm::EcdsaP384Sha384 => verify_p384_digest(key, digest, signature),
        Algorithm::RsaPkcs1Sha256 => verify_rsa_digest(key, sha256()?, signature),
        Algorithm::Ed25519 => Err(BadSignature(format!("{algorithm} makes no digest that could be kept"))),
    }
}

/// As [`verify`], with the bare public key: the hot path parses its key once.
pub(crate) fn verify_bare(
    algorithm: Algorithm,
    key: &[u8],
    message: &Message,
    signature: &[u8],
) -> Result<(), BadSignature> {
    match message {
        Message::Whole(bytes) => {
            UnparsedPublicKey::new(ring_algorithm(algorithm), key).verify(bytes, signature).map_err(|_| no_match())
        }
        Message::Sha256(digest) => match algorithm {
            Algorithm::EcdsaP256Sha256 => verify_p256_digest(key, digest, signature),
            Algorithm::RsaPkcs1Sha256 => verify_rsa_digest(key, digest, signature),
            Algorithm::EcdsaP384Sha384 | Algorithm::Ed25519 => {
                Err(BadSignature(format!("{algorithm} does not sign a SHA-256 made elsewhere")))
            }
        },
        Message::Batch(_) => Err(BadSignature("a batch has no signature of its own".into())),
    }
}

fn ring_algorithm(algorithm: Algorithm) -> &'static dyn VerificationAlgorithm {
    match algorithm {
        Algorithm::EcdsaP256Sha256 => &signature::ECDSA_P256_SHA256_ASN1,
        Algorithm::EcdsaP384Sha384 => &signature::ECDSA_P384_SHA384_ASN1,
        Algorithm::RsaPkcs1Sha256 => &signature::RSA_PKCS1_2048_8192_SHA256,
        Algorithm::Ed25519 => &signature::ED25519,
    }
}

fn no_match() -> BadSignature {
    BadSignature("it does not match key and message".into())
}

fn verify_p256_digest(key: &[u8], digest: &[u8; 32], signature: &[u8]) -> Result<(), BadSignature> {
    let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(key).map_err(|_| BadSignature("no P-256 key".into()))?;
    let signature = p256::ecdsa::Signature::from_der(signature).map_err(|_| no_match())?;
    key.verify_prehash(digest, &signature).map_err(|_| no_match())
}

fn verify_p384_digest(key: &[u8], digest: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
    if digest.len() != SHA384_OUTPUT_LEN {
        return Err(BadSignature("the digest is no SHA-384".into()));
    }
    let key = p384::ecdsa::VerifyingKey::from_sec1_bytes(key).map_err(|_| BadSignature("no P-384 key".into()))?;
    let signature = p384::ecdsa::Signature::from_der(signature).map_err(|_| no_match())?;
    key.verify_prehash(digest, &signature).map_err(|_| no_match())
}

/// RSASSA-PKCS1-v1_5 by comparison of the whole encoded message, never by parsing what the signature decrypts to
/// (RFC 8017 section 8.2.2; parsing is how Bleichenbacher forged with e = 3).
fn verify_rsa_digest(key: &[u8], digest: &[u8; 32], signature: &[u8]) -> Result<(), BadSignature> {
    let key = RsaPublicKey::from_der(key).map_err(|_| BadSignature("no RSA key".into()))?;
    let len = key.n.as_bytes().len();
    if !(256..=1024).contains(&len) || key.e.as_bytes().len() > 5 {
        return Err(BadSignature("an RSA key of an unusual size".into()));
    }
    let (n, e) = (BigUint::from_bytes_be(key.n.as_bytes()), BigUint::from_bytes_be(key.e.as_bytes()));
    let s = BigUint::from_bytes_be(signature);
    if signature.len() != len || s >= n {
        return Err(no_match());
    }
    let padding = vec![0xff; len - 3 - SHA256_DIGEST_INFO.len() - digest.len()];
    let expected = [&[0x00, 0x01][..], &padding, &[0x00], &SHA256_DIGEST_INFO, digest].concat();
    match s.modpow(&e, &n) == BigUint::from_bytes_be(&expected) {
        true => Ok(()),
        false => Err(no_match()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::custody::KeyKind;
    use crate::custody::forms::{ec_spki, rsa_spki};
    use ring::digest::{SHA256, SHA384, digest};
    use ring::rand::SystemRandom;
    use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, KeyPair};

    #[test]
    fn a_digest_and_its_message_verify_alike() {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref(), &random).unwrap();
        let spki = ec_spki(KeyKind::P256, pair.public_key().as_ref()).unwrap();
        let signature = pair.sign(&random, b"the charter").unwrap();
        let hashed = Message::Sha256(digest(&SHA256, b"the charter").as_ref().try_into().unwrap());
        let other = Message::Sha256(digest(&SHA256, b"the chartes").as_ref().try_into().unwrap());
        let whole = Message::from(b"the charter".to_vec());
        for (message, good) in [(&whole, true), (&hashed, true), (&other, false)] {
            assert_eq!(verify(Algorithm::EcdsaP256Sha256, &spki, message, signature.as_ref()).is_ok(), good);
        }
        let mut flipped = signature.as_ref().to_vec();
        *flipped.last_mut().unwrap() ^= 1;
        assert!(verify(Algorithm::EcdsaP256Sha256, &spki, &hashed, &flipped).is_err());
        assert!(verify(Algorithm::EcdsaP256Sha256, &spki, &hashed, &[]).is_err());
    }

    #[test]
    fn what_is_left_as_a_digest_verifies_under_its_own_algorithm_alone() {
        let random = SystemRandom::new();
        for (kind, algorithm, signing, hash) in [
            (KeyKind::P256, Algorithm::EcdsaP256Sha256, &ECDSA_P256_SHA256_ASN1_SIGNING, &SHA256),
            (KeyKind::P384, Algorithm::EcdsaP384Sha384, &ECDSA_P384_SHA384_ASN1_SIGNING, &SHA384),
        ] {
            let pkcs8 = EcdsaKeyPair::generate_pkcs8(signing, &random).unwrap();
            let pair = EcdsaKeyPair::from_pkcs8(signing, pkcs8.as_ref(), &random).unwrap();
            let spki = ec_spki(kind, pair.public_key().as_ref()).unwrap();
            let signature = pair.sign(&random, b"the charter").unwrap();
            let left = digest(hash, b"the charter");
            let is_good =
                |algorithm, digest: &[u8]| verify_digest(algorithm, &spki, digest, signature.as_ref()).is_ok();
            assert!(is_good(algorithm, left.as_ref()));
            assert!(!is_good(algorithm, digest(hash, b"the chartes").as_ref()));
            assert!(!is_good(algorithm, &left.as_ref()[1..]) && !is_good(algorithm, &[]));
            assert!(Algorithm::ALL.into_iter().filter(|other| *other != algorithm).all(|a| !is_good(a, left.as_ref())));
        }
    }

    #[test]
    fn nonsense_is_refused_without_a_panic() {
        let (_, rsa) = rsa_spki(&[0xff; 256], &[3]).unwrap();
        let p256 = ec_spki(KeyKind::P256, &[4; 65]).unwrap();
        for spki in [&rsa[..], &p256, &[], &[0x30, 0x80]] {
            for algorithm in Algorithm::ALL {
                for message in [Message::Sha256([0; 32]), Message::from(Vec::new())] {
                    for signature in [&[][..], &[0; 256], &[0xff; 256], &[0x30, 0x06, 2, 1, 0, 2, 1, 0]] {
                        assert!(verify(algorithm, spki, &message, signature).is_err());
                        assert!(verify_digest(algorithm, spki, &[0; 32], signature).is_err());
                        assert!(verify_digest(algorithm, spki, &[0; 48], signature).is_err());
                    }
                }
            }
        }
    }
}
