//! Which mechanism signs with which key, chosen from the token's own list, and what the token is then given.
//!
//! Raw mechanisms come first (the digest is made here; a message of any size travels as 32 to 64 bytes, and a digest
//! made by the caller can be signed); where a token has only hashing ones, as some FIPS modules do, those.

use std::borrow::Cow;

use cryptoki::context::Pkcs11;
use cryptoki::error::Error;
use cryptoki::mechanism::MechanismType;
use cryptoki::slot::Slot;
use ring::digest::{SHA256, digest};

use crate::custody::Message;
use crate::custody::forms::ecdsa_der;
use crate::custody::{Algorithm, KeyKind, digest_info};

/// The mechanisms that a token says it signs with.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mechanisms {
    signing: Vec<MechanismType>,
    pub(crate) all: Vec<MechanismType>,
}

/// How one algorithm is done on one token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recipe {
    /// The token signs a digest made here.
    Raw(MechanismType),
    /// The token hashes as well.
    Hashing(MechanismType),
}

impl Mechanisms {
    pub(crate) fn read(context: &Pkcs11, slot: Slot) -> Result<Mechanisms, Error> {
        let all = context.get_mechanism_list(slot)?;
        // Only those we may use are asked about: describing all would be a call per mechanism and session.
        let signing = candidates()
            .into_iter()
            .filter(|m| all.contains(m))
            .filter(|m| context.get_mechanism_info(slot, *m).is_ok_and(|info| info.sign()))
            .collect();
        Ok(Mechanisms { signing, all })
    }

    pub(crate) fn has(&self, mechanism: MechanismType) -> bool {
        self.all.contains(&mechanism)
    }

    /// The way to make signatures of `algorithm`, if the token has one.
    pub(crate) fn recipe(&self, algorithm: Algorithm) -> Option<Recipe> {
        recipes(algorithm).into_iter().find(|r| self.signing.contains(&r.mechanism()))
    }
}

fn candidates() -> Vec<MechanismType> {
    Algorithm::ALL.into_iter().flat_map(recipes).map(Recipe::mechanism).collect()
}

/// In order of preference.
fn recipes(algorithm: Algorithm) -> Vec<Recipe> {
    use MechanismType as M;
    let (raw, hashing) = match algorithm {
        Algorithm::EcdsaP256Sha256 => (Some(M::ECDSA), M::ECDSA_SHA256),
        Algorithm::EcdsaP384Sha384 => (Some(M::ECDSA), M::ECDSA_SHA384),
        Algorithm::EcdsaP521Sha512 => (Some(M::ECDSA), M::ECDSA_SHA512),
        Algorithm::RsaPkcs1Sha256 => (Some(M::RSA_PKCS), M::SHA256_RSA_PKCS),
        Algorithm::RsaPssSha256 => (Some(M::RSA_PKCS_PSS), M::SHA256_RSA_PKCS_PSS),
        // Ed25519 hashes twice over the whole message (RFC 8032 section 5.1.6), ML-DSA with the key's own digest before it
        // (FIPS 204 section 5.2): the token must have all of it.
        Algorithm::Ed25519 => (None, M::EDDSA),
        Algorithm::MlDsa44 | Algorithm::MlDsa65 | Algorithm::MlDsa87 => (None, M::ML_DSA),
    };
    raw.map(Recipe::Raw).into_iter().chain([Recipe::Hashing(hashing)]).collect()
}

/// What a token is told that a key of PSS may be used with.
pub(crate) const PSS_MECHANISMS: [MechanismType; 2] = [MechanismType::RSA_PKCS_PSS, MechanismType::SHA256_RSA_PKCS_PSS];

impl Recipe {
    pub(crate) fn mechanism(self) -> MechanismType {
        match self {
            Recipe::Raw(mechanism) | Recipe::Hashing(mechanism) => mechanism,
        }
    }

    /// The bytes that `C_Sign` is given, or why there are none.
    pub(crate) fn input(self, algorithm: Algorithm, message: &Message) -> Result<Cow<'_, [u8]>, String> {
        match (self, message) {
            (Recipe::Hashing(_), Message::Whole(bytes)) => Ok(Cow::Borrowed(bytes)),
            (Recipe::Hashing(mechanism), Message::Sha256(_)) => {
                Err(format!("the token signs with {mechanism}, which takes the whole message and no digest"))
            }
            (Recipe::Raw(mechanism), Message::Whole(bytes)) => {
                let hash = algorithm.hash().ok_or_else(|| format!("{algorithm} is not made with {mechanism}"))?;
                Ok(raw_input(algorithm, digest(hash, bytes).as_ref()).into())
            }
            (Recipe::Raw(_), Message::Sha256(made)) => match algorithm.hash() {
                Some(hash) if *hash == SHA256 => Ok(raw_input(algorithm, made).into()),
                _ => Err(format!("{algorithm} does not sign a SHA-256 made elsewhere")),
            },
            (Recipe::Raw(_) | Recipe::Hashing(_), Message::Batch(_)) => {
                Err("a batch is signed message by message".into())
            }
        }
    }
}

/// CKM_RSA_PKCS pads what it is given and adds no DigestInfo of its own (PKCS#11 3.1 section 6.1.6); all others take the digest.
fn raw_input(algorithm: Algorithm, digest: &[u8]) -> Vec<u8> {
    match algorithm {
        Algorithm::RsaPkcs1Sha256 => [digest_info(&SHA256).unwrap_or_default(), digest].concat(),
        _ => digest.to_vec(),
    }
}

/// A token's signature in its X.509 form.
pub(crate) fn x509_form(kind: KeyKind, raw: Vec<u8>) -> Result<Vec<u8>, String> {
    match kind {
        KeyKind::P256 => ecdsa_der(&raw, 32),
        KeyKind::P384 => ecdsa_der(&raw, 48),
        KeyKind::P521 => ecdsa_der(&raw, 66),
        _ => Ok(raw),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(signing: &[MechanismType]) -> Mechanisms {
        Mechanisms { signing: signing.to_vec(), all: signing.to_vec() }
    }

    #[test]
    fn the_recipe_follows_the_tokens_own_list() {
        let softhsm = with(&[
            MechanismType::ECDSA,
            MechanismType::RSA_PKCS,
            MechanismType::SHA256_RSA_PKCS,
            MechanismType::EDDSA,
        ]);
        let fips = with(&[MechanismType::ECDSA_SHA256, MechanismType::ECDSA_SHA384, MechanismType::SHA256_RSA_PKCS]);
        let newer = with(&[MechanismType::RSA_PKCS_PSS, MechanismType::ML_DSA]);
        let cases = [
            (&softhsm, Algorithm::EcdsaP256Sha256, Some(Recipe::Raw(MechanismType::ECDSA))),
            (&softhsm, Algorithm::RsaPkcs1Sha256, Some(Recipe::Raw(MechanismType::RSA_PKCS))),
            (&softhsm, Algorithm::EcdsaP521Sha512, Some(Recipe::Raw(MechanismType::ECDSA))),
            (&softhsm, Algorithm::RsaPssSha256, None),
            (&softhsm, Algorithm::Ed25519, Some(Recipe::Hashing(MechanismType::EDDSA))),
            (&softhsm, Algorithm::MlDsa65, None),
            (&newer, Algorithm::RsaPssSha256, Some(Recipe::Raw(MechanismType::RSA_PKCS_PSS))),
            (&newer, Algorithm::MlDsa87, Some(Recipe::Hashing(MechanismType::ML_DSA))),
            (&fips, Algorithm::EcdsaP256Sha256, Some(Recipe::Hashing(MechanismType::ECDSA_SHA256))),
            (&fips, Algorithm::EcdsaP384Sha384, Some(Recipe::Hashing(MechanismType::ECDSA_SHA384))),
            (&fips, Algorithm::RsaPkcs1Sha256, Some(Recipe::Hashing(MechanismType::SHA256_RSA_PKCS))),
            (&fips, Algorithm::Ed25519, None),
        ];
        for (token, algorithm, recipe) in cases {
            assert_eq!(token.recipe(algorithm), recipe, "{algorithm}");
        }
    }

    #[test]
    fn a_digest_goes_only_where_it_means_the_message() {
        let hashed = Message::Sha256([7; 32]);
        let raw = Recipe::Raw(MechanismType::ECDSA);
        assert_eq!(raw.input(Algorithm::EcdsaP256Sha256, &hashed).unwrap().as_ref(), [7; 32]);
        let pss = Recipe::Raw(MechanismType::RSA_PKCS_PSS);
        assert_eq!(pss.input(Algorithm::RsaPssSha256, &hashed).unwrap().as_ref(), [7; 32], "PSS has no DigestInfo");
        for other in [Algorithm::EcdsaP384Sha384, Algorithm::EcdsaP521Sha512, Algorithm::MlDsa44] {
            assert!(raw.input(other, &hashed).is_err());
        }
        assert!(Recipe::Hashing(MechanismType::EDDSA).input(Algorithm::Ed25519, &hashed).is_err());
        assert!(Recipe::Hashing(MechanismType::ECDSA_SHA256).input(Algorithm::EcdsaP256Sha256, &hashed).is_err());
    }
}
