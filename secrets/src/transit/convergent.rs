//! Sealing without chance: the same plaintext, context and associated data become the same bytes.
//!
//! A synthetic IV as RFC 5297 has it: an HMAC of all that is sealed and bound, 256 bits, under one key; from it, under another, the key
//! that seals this plaintext and no other: IV, ciphertext, tag. Whoever opens it computes the IV again. So two plaintexts would have to
//! collide in SHA-256's whole output before anything but their equality is seen, where an IV cut to a nonce of 96 bits collides after 2^48,
//! and two plaintexts under one nonce of AES-GCM give up each other and the key of its tags.

use ring::aead::{Aad, LessSafeKey, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, Prk};
use ring::hmac;

use super::deriving::{For, expand, extract};
use super::fault::TransitError;
use super::keyset::Bytes;

/// The two keys of one version for one context.
pub(super) struct Converging {
    cipher: &'static ring::aead::Algorithm,
    names: hmac::Key,
    seals: Prk,
}

impl Converging {
    pub fn of(key: &Bytes, what: For<'_>) -> Result<Converging, TransitError> {
        let prk = extract(key, b"");
        let names = For { purpose: "convergent-iv", ..what }.info();
        let seals = For { purpose: "convergent-key", ..what }.info();
        Ok(Converging {
            cipher: what.keys.kind().cipher(what.purpose)?,
            names: expand(&prk, &names, hmac::HMAC_SHA256)?,
            seals: expand(&prk, &seals, HKDF_SHA256)?,
        })
    }

    pub fn seal(&self, plain: &[u8], bound: &[u8], sealed: &mut Vec<u8>) -> Result<(), TransitError> {
        let iv = self.named(plain, bound).sign();
        sealed.clear();
        sealed.reserve_exact(plain.len() + OVERHEAD);
        sealed.extend_from_slice(iv.as_ref());
        sealed.extend_from_slice(plain);
        let key = self.under(iv.as_ref())?;
        let (_, body) = sealed.split_at_mut(IV_BYTES);
        let tag = key.seal_in_place_separate_tag(nonce(), Aad::from(bound), body);
        sealed.extend_from_slice(tag.map_err(|_| TransitError::Forged)?.as_ref());
        Ok(())
    }

    /// Opens it where it lies; answers how long it is.
    pub fn open(&self, sealed: &mut [u8], bound: &[u8]) -> Result<usize, TransitError> {
        let iv = *sealed.first_chunk::<IV_BYTES>().ok_or(TransitError::Forged)?;
        let opened = self.under(&iv)?.open_within(nonce(), Aad::from(bound), sealed, IV_BYTES..);
        let plain = opened.map_err(|_| TransitError::Forged)?;
        // In constant time: the HMAC of what was computed and of what came, under the key that names.
        let there = hmac::sign(&self.names, self.named(plain, bound).sign().as_ref());
        match hmac::verify(&self.names, &iv, there.as_ref()) {
            Ok(()) => Ok(plain.len()),
            Err(_) => Err(TransitError::Forged),
        }
    }

    fn named(&self, plain: &[u8], bound: &[u8]) -> hmac::Context {
        let mut named = hmac::Context::with_key(&self.names);
        named.update(&(bound.len() as u64).to_be_bytes());
        named.update(bound);
        named.update(plain);
        named
    }

    fn under(&self, iv: &[u8]) -> Result<LessSafeKey, TransitError> {
        expand::<_, UnboundKey>(&self.seals, iv, self.cipher).map(LessSafeKey::new)
    }
}

/// Each key seals one plaintext.
fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; ring::aead::NONCE_LEN])
}

const IV_BYTES: usize = 32;
/// What is sealed is longer than it was by this.
pub(super) const OVERHEAD: usize = IV_BYTES + 16;
