//! The token's keys and signatures as SSH writes them.

use hsm::{Algorithm, Key, KeyKind};

use crate::encode::spki::public_bits;
use crate::encode::wire::Wire;

/// The key blob of a CA key of the token; `None` for kinds that sign no SSH certificates here.
pub(crate) fn ca_blob(key: &Key) -> Option<Vec<u8>> {
    let bits = public_bits(key.spki_der())?;
    let wire = Wire::default().string(signature_name(key.algorithm())?);
    let wire = match key.kind() {
        KeyKind::P256 => wire.string("nistp256"),
        KeyKind::P384 => wire.string("nistp384"),
        KeyKind::P521 => wire.string("nistp521"),
        KeyKind::Ed25519 => wire,
        _ => return None,
    };
    Some(wire.string(bits).0)
}

/// The signature blob: algorithm and signature; ECDSA as two mpints (RFC 5656 section 3.1.2), Ed25519 raw (RFC 8709).
pub(crate) fn signature_blob(algorithm: Algorithm, signature: &[u8]) -> Option<Vec<u8>> {
    let wire = Wire::default().string(signature_name(algorithm)?);
    match algorithm {
        Algorithm::EcdsaP256Sha256 | Algorithm::EcdsaP384Sha384 | Algorithm::EcdsaP521Sha512 => {
            let (r, s) = hsm::ecdsa_parts(signature)?;
            Some(wire.string(Wire::default().mpint(&r).mpint(&s).0).0)
        }
        Algorithm::Ed25519 => Some(wire.string(signature).0),
        _ => None,
    }
}

fn signature_name(algorithm: Algorithm) -> Option<&'static str> {
    match algorithm {
        Algorithm::EcdsaP256Sha256 => Some("ecdsa-sha2-nistp256"),
        Algorithm::EcdsaP384Sha384 => Some("ecdsa-sha2-nistp384"),
        Algorithm::EcdsaP521Sha512 => Some("ecdsa-sha2-nistp521"),
        Algorithm::Ed25519 => Some("ssh-ed25519"),
        _ => None,
    }
}
