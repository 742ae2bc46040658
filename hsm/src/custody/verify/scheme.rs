//! Ways to sign, free of the kind of key: what an algorithm is made of, and what strangers may choose.

use ring::digest::{self, SHA256, SHA384, SHA512, digest};
use ring::signature::{self, UnparsedPublicKey, VerificationAlgorithm};

use super::{BadSignature, ecdsa, lattice, no_match, odd, rsa};
use crate::custody::kind::Algorithm;

type Hash = &'static digest::Algorithm;

/// How a message is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// ECDSA over that digest, which need not be as long as the curve's order.
    Ecdsa(Hash),
    /// RSASSA-PKCS1-v1_5 over that digest: SHA-256, SHA-384 or SHA-512.
    RsaPkcs1(Hash),
    /// RSASSA-PSS over that digest, MGF1 with the same, and a salt of so many bytes.
    RsaPss(Hash, usize),
    /// Ed25519 and ML-DSA: the whole message, and nothing to choose.
    Whole,
}

impl Scheme {
    /// The scheme of an algorithm of ours.
    pub(super) fn of(algorithm: Algorithm) -> Scheme {
        match (algorithm, algorithm.hash()) {
            (Algorithm::RsaPkcs1Sha256, Some(hash)) => Scheme::RsaPkcs1(hash),
            (Algorithm::RsaPssSha256, Some(hash)) => Scheme::RsaPss(hash, hash.output_len()),
            (_, Some(hash)) => Scheme::Ecdsa(hash),
            (_, None) => Scheme::Whole,
        }
    }

    /// Verifies under a key of the kind that makes `of`.
    pub(super) fn verify_whole(
        self,
        of: Algorithm,
        key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), BadSignature> {
        if let Some(ring) = self.ring(of) {
            return UnparsedPublicKey::new(ring, key).verify(message, signature).map_err(|_| no_match());
        }
        match self {
            Scheme::Ecdsa(hash) | Scheme::RsaPkcs1(hash) | Scheme::RsaPss(hash, _) => {
                self.verify_digest(of, key, digest(hash, message).as_ref(), signature)
            }
            Scheme::Whole => lattice::verify(of, key, message, signature),
        }
    }

    /// Verifies where only the digest is left.
    pub(super) fn verify_digest(
        self,
        of: Algorithm,
        key: &[u8],
        digest: &[u8],
        signature: &[u8],
    ) -> Result<(), BadSignature> {
        match self {
            Scheme::Whole => Err(BadSignature(format!("{of} makes no digest that could be kept"))),
            Scheme::Ecdsa(hash) | Scheme::RsaPkcs1(hash) | Scheme::RsaPss(hash, _)
                if digest.len() != hash.output_len() =>
            {
                Err(odd("the digest is not as long as its algorithm makes it"))
            }
            Scheme::Ecdsa(_) => ecdsa::verify(of, key, digest, signature),
            Scheme::RsaPkcs1(hash) => rsa::verify_pkcs1(of, key, hash, digest, signature),
            Scheme::RsaPss(hash, salt) => rsa::verify_pss(of, key, (hash, salt), digest, signature),
        }
    }

    /// What ring has of it.
    fn ring(self, of: Algorithm) -> Option<&'static dyn VerificationAlgorithm> {
        let is_rsa = matches!(of, Algorithm::RsaPkcs1Sha256 | Algorithm::RsaPssSha256);
        let ring: &'static dyn VerificationAlgorithm = match (self, of) {
            (Scheme::Ecdsa(hash), Algorithm::EcdsaP256Sha256) if *hash == SHA256 => &signature::ECDSA_P256_SHA256_ASN1,
            (Scheme::Ecdsa(hash), Algorithm::EcdsaP256Sha256) if *hash == SHA384 => &signature::ECDSA_P256_SHA384_ASN1,
            (Scheme::Ecdsa(hash), Algorithm::EcdsaP384Sha384) if *hash == SHA256 => &signature::ECDSA_P384_SHA256_ASN1,
            (Scheme::Ecdsa(hash), Algorithm::EcdsaP384Sha384) if *hash == SHA384 => &signature::ECDSA_P384_SHA384_ASN1,
            (Scheme::RsaPkcs1(hash), _) if is_rsa && *hash == SHA256 => &signature::RSA_PKCS1_2048_8192_SHA256,
            (Scheme::RsaPkcs1(hash), _) if is_rsa && *hash == SHA384 => &signature::RSA_PKCS1_2048_8192_SHA384,
            (Scheme::RsaPkcs1(hash), _) if is_rsa && *hash == SHA512 => &signature::RSA_PKCS1_2048_8192_SHA512,
            (Scheme::RsaPss(hash, 32), _) if is_rsa && *hash == SHA256 => &signature::RSA_PSS_2048_8192_SHA256,
            (Scheme::RsaPss(hash, 48), _) if is_rsa && *hash == SHA384 => &signature::RSA_PSS_2048_8192_SHA384,
            (Scheme::RsaPss(hash, 64), _) if is_rsa && *hash == SHA512 => &signature::RSA_PSS_2048_8192_SHA512,
            (Scheme::Whole, Algorithm::Ed25519) => &signature::ED25519,
            _ => return None,
        };
        Some(ring)
    }
}
