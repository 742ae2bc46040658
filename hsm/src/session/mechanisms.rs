//! Which mechanism signs with which key, chosen from the token's own list, and what the token is then given.
//!
//! Raw mechanisms come first (the digest is made here; a message of any size travels as 32 or 48 bytes, and a digest
//! made by the caller can be signed); where a token has only hashing ones, as some FIPS modules do, those.

use std::borrow::Cow;

use cryptoki::context::Pkcs11;
use cryptoki::error::Error;
use cryptoki::mechanism::MechanismType;
use cryptoki::slot::Slot;
use ring::digest::{SHA256, SHA384, digest};

use crate::custody::Message;
use crate::custody::forms::{SHA256_DIGEST_INFO, ecdsa_der};
use crate::custody::{Algorithm, KeyKind};

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
    match algorithm {
        Algorithm::EcdsaP256Sha256 => {
            vec![Recipe::Raw(MechanismType::ECDSA), Recipe::Hashing(MechanismType::ECDSA_SHA256)]
        }
        Algorithm::EcdsaP384Sha384 => {
            vec![Recipe::Raw(MechanismType::ECDSA), Recipe::Hashing(MechanismType::ECDSA_SHA384)]
        }
        Algorithm::RsaPkcs1Sha256 => {
            vec![Recipe::Raw(MechanismType::RSA_PKCS), Recipe::Hashing(MechanismType::SHA256_RSA_PKCS)]
        }
        // Pure Ed25519 hashes twice over the whole message (RFC 8032 section 5.1.6): the token must have all of it.
        Algorithm::Ed25519 => vec![Recipe::Hashing(MechanismType::EDDSA)],
    }
}

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
            (Recipe::Raw(_), Message::Whole(bytes)) => match algorithm {
                Algorithm::EcdsaP256Sha256 => Ok(digest(&SHA256, bytes).as_ref().to_vec().into()),
                Algorithm::EcdsaP384Sha384 => Ok(digest(&SHA384, bytes).as_ref().to_vec().into()),
                Algorithm::RsaPkcs1Sha256 => Ok(digest_info(digest(&SHA256, bytes).as_ref()).into()),
                Algorithm::Ed25519 => Err("Ed25519 has no raw mechanism".into()),
            },
            (Recipe::Raw(_), Message::Sha256(made)) => match algorithm {
                Algorithm::EcdsaP256Sha256 => Ok(Cow::Owned(made.to_vec())),
                Algorithm::RsaPkcs1Sha256 => Ok(digest_info(made).into()),
                Algorithm::EcdsaP384Sha384 | Algorithm::Ed25519 => {
                    Err(format!("{algorithm} does not sign a SHA-256 made elsewhere"))
                }
            },
            (Recipe::Raw(_) | Recipe::Hashing(_), Message::Batch(_)) => {
                Err("a batch is signed message by message".into())
            }
        }
    }
}

/// CKM_RSA_PKCS pads what it is given and adds no DigestInfo of its own (PKCS#11 3.1 section 6.1.6).
fn digest_info(sha256: &[u8]) -> Vec<u8> {
    [&SHA256_DIGEST_INFO, sha256].concat()
}

/// A token's signature in its X.509 form.
pub(crate) fn x509_form(kind: KeyKind, raw: Vec<u8>) -> Result<Vec<u8>, String> {
    match kind {
        KeyKind::P256 => ecdsa_der(&raw, 32),
        KeyKind::P384 => ecdsa_der(&raw, 48),
        KeyKind::Rsa2048 | KeyKind::Rsa3072 | KeyKind::Rsa4096 | KeyKind::Ed25519 => Ok(raw),
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
        let cases = [
            (&softhsm, Algorithm::EcdsaP256Sha256, Some(Recipe::Raw(MechanismType::ECDSA))),
            (&softhsm, Algorithm::RsaPkcs1Sha256, Some(Recipe::Raw(MechanismType::RSA_PKCS))),
            (&softhsm, Algorithm::Ed25519, Some(Recipe::Hashing(MechanismType::EDDSA))),
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
        assert!(raw.input(Algorithm::EcdsaP384Sha384, &hashed).is_err());
        assert!(Recipe::Hashing(MechanismType::EDDSA).input(Algorithm::Ed25519, &hashed).is_err());
        assert!(Recipe::Hashing(MechanismType::ECDSA_SHA256).input(Algorithm::EcdsaP256Sha256, &hashed).is_err());
    }
}
