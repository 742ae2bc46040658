//! ML-DSA (FIPS 204), pure and with an empty context, as X.509 has it (RFC 9881 section 3).

use ml_dsa::{EncodedVerifyingKey, MlDsa44, MlDsa65, MlDsa87, MlDsaParams, Signature, VerifyingKey};

use super::{BadSignature, no_match};
use crate::custody::kind::Algorithm;

pub(super) fn verify(of: Algorithm, key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
    match of {
        Algorithm::MlDsa44 => under::<MlDsa44>(key, message, signature),
        Algorithm::MlDsa65 => under::<MlDsa65>(key, message, signature),
        Algorithm::MlDsa87 => under::<MlDsa87>(key, message, signature),
        other => Err(BadSignature(format!("a key of {other} does not sign whole messages"))),
    }
}

fn under<P: MlDsaParams>(key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
    let key = EncodedVerifyingKey::<P>::try_from(key).map_err(|_| super::odd("no ML-DSA key of that set"))?;
    let signature = Signature::<P>::try_from(signature).map_err(|_| no_match())?;
    match VerifyingKey::<P>::decode(&key).verify_with_context(message, &[], &signature) {
        true => Ok(()),
        false => Err(no_match()),
    }
}
