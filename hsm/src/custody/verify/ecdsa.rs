//! ECDSA over a digest, on each of the curves.

use p256::ecdsa::signature::hazmat::PrehashVerifier;

use super::{BadSignature, no_match, odd};
use crate::custody::kind::Algorithm;

/// A digest longer than the curve's order is cut to its leftmost bits (FIPS 186-5 section 6.4.2, step 2).
pub(super) fn verify(of: Algorithm, key: &[u8], digest: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
    let verdict = match of {
        Algorithm::EcdsaP256Sha256 => {
            let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(key).map_err(|_| odd("no P-256 key"))?;
            let signature = p256::ecdsa::Signature::from_der(signature).map_err(|_| no_match())?;
            key.verify_prehash(digest, &signature)
        }
        Algorithm::EcdsaP384Sha384 => {
            let key = p384::ecdsa::VerifyingKey::from_sec1_bytes(key).map_err(|_| odd("no P-384 key"))?;
            let signature = p384::ecdsa::Signature::from_der(signature).map_err(|_| no_match())?;
            key.verify_prehash(digest, &signature)
        }
        Algorithm::EcdsaP521Sha512 => {
            let key = p521::ecdsa::VerifyingKey::from_sec1_bytes(key).map_err(|_| odd("no P-521 key"))?;
            let signature = p521::ecdsa::Signature::from_der(signature).map_err(|_| no_match())?;
            key.verify_prehash(&widened(digest), &signature)
        }
        other => return Err(BadSignature(format!("a key of {other} makes no ECDSA"))),
    };
    verdict.map_err(|_| no_match())
}

/// The crate refuses a digest of less than half the order's length, which SHA-256 is by a byte; as a number it is the same with
/// zeros before it.
fn widened(digest: &[u8]) -> Vec<u8> {
    let zeros = P521_BYTES.saturating_sub(digest.len());
    [&vec![0; zeros][..], digest].concat()
}

/// Bytes of a number below the order of P-521.
const P521_BYTES: usize = 66;
