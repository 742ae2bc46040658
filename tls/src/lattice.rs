//! ML-DSA, pure and with an empty context (RFC 9881 section 3).

use std::marker::PhantomData;

use ml_dsa::{EncodedVerifyingKey, MlDsa44, MlDsa65, MlDsa87, MlDsaParams, Signature, VerifyingKey};
use rustls::pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id};

pub(crate) static ML_DSA_44: Lattice<MlDsa44> = Lattice(alg_id::ML_DSA_44, PhantomData);
pub(crate) static ML_DSA_65: Lattice<MlDsa65> = Lattice(alg_id::ML_DSA_65, PhantomData);
pub(crate) static ML_DSA_87: Lattice<MlDsa87> = Lattice(alg_id::ML_DSA_87, PhantomData);

/// A parameter set; key and signature are called the same.
#[derive(Debug)]
pub(crate) struct Lattice<P>(AlgorithmIdentifier, PhantomData<fn() -> P>);

impl<P: MlDsaParams> SignatureVerificationAlgorithm for Lattice<P>
where
    Lattice<P>: std::fmt::Debug,
{
    fn verify_signature(&self, key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        let key = EncodedVerifyingKey::<P>::try_from(key).map_err(|_| InvalidSignature)?;
        let signature = Signature::<P>::try_from(signature).map_err(|_| InvalidSignature)?;
        match VerifyingKey::<P>::decode(&key).verify_with_context(message, &[], &signature) {
            true => Ok(()),
            false => Err(InvalidSignature),
        }
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.0
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.0
    }
}
