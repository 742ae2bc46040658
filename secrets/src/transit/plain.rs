//! Sealing with a nonce that never comes twice, and without a count that somebody would have to keep.
//!
//! Each batch draws a salt of 192 bits and derives a key from it, under which it numbers its items: salt, number, ciphertext, tag.
//! Random nonces of 96 bits under one key are good for 2^32 of them (NIST SP 800-38D section 8.3), and to refuse the next one would take a
//! count of all nodes that survives a restart. Of 2^64 batches, two have the same salt with a probability of 2^-65.

use ring::aead::{Aad, LessSafeKey, Nonce, UnboundKey};

use super::deriving::{For, expand, extract};
use super::fault::TransitError;
use super::keyset::Bytes;
use crate::kinds::Random;

/// What seals the items of one batch that have a context in common.
pub(super) struct Sealing {
    salt: [u8; SALT_BYTES],
    key: LessSafeKey,
    next: u32,
}

impl Sealing {
    pub fn begin(key: &Bytes, what: For<'_>, random: &mut dyn Random) -> Result<Sealing, TransitError> {
        let mut salt = [0; SALT_BYTES];
        random.fill(&mut salt).map_err(|_| TransitError::NoRandom)?;
        Ok(Sealing { key: under(key, &salt, what)?, salt, next: 0 })
    }

    /// Seals an item into `sealed`, in place of what was there.
    pub fn seal(&mut self, plain: &[u8], bound: &[u8], sealed: &mut Vec<u8>) -> Result<(), TransitError> {
        let number = self.next;
        // A batch has far fewer items than there are numbers.
        self.next = number.checked_add(1).ok_or(TransitError::NoRandom)?;
        sealed.clear();
        sealed.reserve_exact(plain.len() + OVERHEAD);
        sealed.extend_from_slice(&self.salt);
        sealed.extend_from_slice(&number.to_be_bytes());
        sealed.extend_from_slice(plain);
        let (_, body) = sealed.split_at_mut(HEAD_BYTES);
        let tag = self.key.seal_in_place_separate_tag(nonce(number), Aad::from(bound), body);
        sealed.extend_from_slice(tag.map_err(|_| TransitError::Forged)?.as_ref());
        Ok(())
    }
}

/// What opens items; those that follow one another in a batch have a salt in common, mostly.
pub(super) struct Opening {
    salt: [u8; SALT_BYTES],
    key: LessSafeKey,
}

impl Opening {
    /// For what was sealed; `before` where that is its key already.
    pub fn of(sealed: &[u8], before: Option<Opening>, key: &Bytes, what: For<'_>) -> Result<Opening, TransitError> {
        let salt = *sealed.first_chunk::<SALT_BYTES>().ok_or(TransitError::Forged)?;
        match before {
            Some(before) if before.salt == salt => Ok(before),
            Some(_) | None => Ok(Opening { salt, key: under(key, &salt, what)? }),
        }
    }

    /// Opens it where it lies; answers how long it is. What is no plaintext is not left there.
    pub fn open(&self, sealed: &mut [u8], bound: &[u8]) -> Result<usize, TransitError> {
        let number = sealed.get(SALT_BYTES..HEAD_BYTES).and_then(|bytes| bytes.try_into().ok());
        let number = u32::from_be_bytes(number.ok_or(TransitError::Forged)?);
        let opened = self.key.open_within(nonce(number), Aad::from(bound), sealed, HEAD_BYTES..);
        opened.map(|plain| plain.len()).map_err(|_| TransitError::Forged)
    }
}

fn under(key: &Bytes, salt: &[u8; SALT_BYTES], what: For<'_>) -> Result<LessSafeKey, TransitError> {
    let cipher = what.keys.kind().cipher(what.purpose)?;
    expand::<_, UnboundKey>(&extract(key, salt), &what.info(), cipher).map(LessSafeKey::new)
}

fn nonce(number: u32) -> Nonce {
    let mut nonce = [0; ring::aead::NONCE_LEN];
    if let Some(last) = nonce.last_chunk_mut() {
        *last = number.to_be_bytes();
    }
    Nonce::assume_unique_for_key(nonce)
}

/// As XChaCha20 has it: as many random bytes as never come twice.
const SALT_BYTES: usize = 24;
const HEAD_BYTES: usize = SALT_BYTES + 4;
/// What is sealed is longer than it was by this.
pub(super) const OVERHEAD: usize = HEAD_BYTES + 16;
