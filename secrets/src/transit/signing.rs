//! Signatures and HMACs, in batches: `chy:v3:` and what was made, in base64.

use p256::elliptic_curve::sec1::ToEncodedPoint as _;
use ring::hmac;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
    UnparsedPublicKey,
};

use super::crypting::Each;
use super::deriving::{For, expand, extract};
use super::fault::{TransitError, at_most};
use super::keyset::{Bytes, Key, scalar};
use super::kind::{KeyKind, Mode};
use super::text::{self, Texts, Writer};
use super::{BATCH_MAX, ITEM_BYTES_MAX};

/// What is to be signed, or authenticated by HMAC.
#[derive(Clone, Copy, Debug)]
pub struct Sign<'a> {
    /// The message itself: no digest of it.
    pub message: &'a [u8],
    /// For which context, of a derived key.
    pub context: Option<&'a [u8]>,
}

/// A message and what was made of it.
#[derive(Clone, Copy, Debug)]
pub struct Verify<'a> {
    /// The message.
    pub message: &'a [u8],
    /// For which context, of a derived key.
    pub context: Option<&'a [u8]>,
    /// As it was answered.
    pub text: &'a str,
}

impl Key<'_> {
    /// Signs these: a signature of a key that signs, an HMAC of one that authenticates.
    ///
    /// # Errors
    /// Where nothing of it can be signed: [`TransitError::NotForKind`], [`TransitError::TooLong`], [`TransitError::Retired`],
    /// [`TransitError::NoVersion`]. Of each: [`TransitError::ContextMissing`], [`TransitError::ContextUnused`], [`TransitError::TooLong`].
    pub fn sign(&self, version: Option<u32>, items: &[Sign<'_>]) -> Result<Texts, TransitError> {
        self.keys.kind().signs("sign")?;
        at_most("a batch in items", items.len(), BATCH_MAX)?;
        let (version, key) = self.making(version)?;
        let mut signs = Signs::of(self, version, key)?;
        let mut texts = Writer::new(version, items.len(), items.len() * SIGNATURE_BYTES_MAX);
        for Sign { message, context } in items {
            let made = at_most("the message in bytes", message.len(), ITEM_BYTES_MAX)
                .and_then(|()| signs.sign(message, self.keys.mode().context(*context)?));
            texts.push(made.as_deref().map_err(Clone::clone));
        }
        Ok(texts.end())
    }

    /// Whether each was made of its message by this key.
    ///
    /// # Errors
    /// As [`Key::sign`]; of each also [`TransitError::Malformed`], [`TransitError::Retired`], [`TransitError::NoVersion`].
    pub fn verify(&self, items: &[Verify<'_>]) -> Result<Each<bool>, TransitError> {
        self.keys.kind().signs("verify")?;
        at_most("a batch in items", items.len(), BATCH_MAX)?;
        let mut before: Option<(u32, Signs<'_>)> = None;
        let verified = items.iter().map(|Verify { message, context, text }| {
            at_most("the message in bytes", message.len(), ITEM_BYTES_MAX)?;
            let context = self.keys.mode().context(*context)?;
            let mut made = Vec::new();
            let version = text::read(text, &mut made, SIGNATURE_BYTES_MAX)?;
            let key = self.made(version)?;
            let signs = match before.take().filter(|(there, _)| *there == version) {
                Some((_, signs)) => signs,
                None => Signs::of(self, version, key)?,
            };
            before.insert((version, signs)).1.verify(message, context, &made)
        });
        Ok(verified.collect())
    }
}

/// What signs under one version.
enum Signs<'a> {
    Hmac(hmac::Key),
    /// A key for each context, made when it comes.
    Derived(For<'a>, &'a Bytes, Option<(Vec<u8>, hmac::Key)>),
    Ed25519(Ed25519KeyPair),
    EcdsaP256(EcdsaKeyPair, SystemRandom),
}

impl<'a> Signs<'a> {
    fn of(of: &'a Key<'_>, version: u32, key: &'a Bytes) -> Result<Signs<'a>, TransitError> {
        let broken = || TransitError::invalid("key", "it cannot sign");
        match (of.keys.kind(), of.keys.mode()) {
            (KeyKind::HmacSha256, Mode::Derived) => {
                let what = For { purpose: "hmac", keys: of.keys, version, context: &[] };
                Ok(Signs::Derived(what, key, None))
            }
            (KeyKind::HmacSha256, Mode::Plain | Mode::Convergent) => {
                Ok(Signs::Hmac(hmac::Key::new(hmac::HMAC_SHA256, key.as_slice())))
            }
            (KeyKind::Ed25519, _) => {
                Ed25519KeyPair::from_seed_unchecked(key.as_slice()).map(Signs::Ed25519).map_err(|_| broken())
            }
            (KeyKind::EcdsaP256, _) => {
                let random = SystemRandom::new();
                let public = scalar(key).ok_or_else(broken)?.public_key().to_encoded_point(false);
                let (signing, public) = (&ECDSA_P256_SHA256_ASN1_SIGNING, public.as_bytes());
                let pair = EcdsaKeyPair::from_private_key_and_public_key(signing, key.as_slice(), public, &random);
                pair.map(|pair| Signs::EcdsaP256(pair, random)).map_err(|_| broken())
            }
            (KeyKind::Aes256Gcm | KeyKind::ChaCha20Poly1305, _) => Err(broken()),
        }
    }

    fn sign(&mut self, message: &[u8], context: &[u8]) -> Result<Vec<u8>, TransitError> {
        match self {
            Signs::Hmac(key) => Ok(hmac::sign(key, message).as_ref().to_vec()),
            Signs::Derived(what, key, before) => {
                Ok(hmac::sign(derived(*what, key, before, context)?, message).as_ref().to_vec())
            }
            Signs::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
            Signs::EcdsaP256(pair, random) => {
                let signature = pair.sign(random, message).map_err(|_| TransitError::NoRandom)?;
                Ok(signature.as_ref().to_vec())
            }
        }
    }

    fn verify(&mut self, message: &[u8], context: &[u8], made: &[u8]) -> Result<bool, TransitError> {
        Ok(match self {
            Signs::Hmac(key) => hmac::verify(key, message, made).is_ok(),
            Signs::Derived(what, key, before) => {
                hmac::verify(derived(*what, key, before, context)?, message, made).is_ok()
            }
            Signs::Ed25519(pair) => UnparsedPublicKey::new(&ED25519, pair.public_key()).verify(message, made).is_ok(),
            Signs::EcdsaP256(pair, _) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, pair.public_key()).verify(message, made).is_ok()
            }
        })
    }
}

/// The HMAC key of a context.
fn derived<'k>(
    what: For<'_>,
    key: &Bytes,
    before: &'k mut Option<(Vec<u8>, hmac::Key)>,
    context: &[u8],
) -> Result<&'k hmac::Key, TransitError> {
    let made = match before.take().filter(|(there, _)| there == context) {
        Some((_, made)) => made,
        None => {
            let info = For { context, ..what }.info();
            expand(&extract(key, b""), &info, hmac::HMAC_SHA256)?
        }
    };
    Ok(&before.insert((context.to_vec(), made)).1)
}

/// The longest is DER of two numbers of 33 bytes.
const SIGNATURE_BYTES_MAX: usize = 72;
