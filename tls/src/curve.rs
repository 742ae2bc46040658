//! ECDSA on P-521, with each digest that certificates are signed with.

use p521::ecdsa::signature::hazmat::PrehashVerifier;
use p521::ecdsa::{Signature, VerifyingKey};
use ring::digest::{self, digest};
use rustls::pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id};

/// With SHA-256, which openssl takes where nobody says otherwise.
pub(crate) static SHA256: P521 = P521 { hash: &digest::SHA256, identifier: alg_id::ECDSA_SHA256 };
pub(crate) static SHA384: P521 = P521 { hash: &digest::SHA384, identifier: alg_id::ECDSA_SHA384 };
/// The curve's own.
pub(crate) static SHA512: P521 = P521 { hash: &digest::SHA512, identifier: alg_id::ECDSA_SHA512 };

#[derive(Debug)]
pub(crate) struct P521 {
    hash: &'static digest::Algorithm,
    identifier: AlgorithmIdentifier,
}

impl SignatureVerificationAlgorithm for P521 {
    fn verify_signature(&self, key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        let key = VerifyingKey::from_sec1_bytes(key).map_err(|_| InvalidSignature)?;
        let signature = Signature::from_der(signature).map_err(|_| InvalidSignature)?;
        let digest = digest(self.hash, message);
        // As a number of the order's length: the crate refuses SHA-256, which is half a byte too short for it.
        let zeros = ORDER_BYTES.saturating_sub(digest.as_ref().len());
        let digest = [&vec![0; zeros][..], digest.as_ref()].concat();
        key.verify_prehash(&digest, &signature).map_err(|_| InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::ECDSA_P521
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.identifier
    }
}

const ORDER_BYTES: usize = 66;
