//! The versions of one key, and the terms on which they are used.

use ed25519_dalek::pkcs8::EncodePublicKey as _;
use p256::pkcs8::LineEnding;
use zeroize::Zeroizing;

use super::VERSIONS_MAX;
use super::fault::TransitError;
use super::kind::{KeyKind, Mode};
use super::name::KeyName;
use crate::kinds::Random;

/// The bytes of one version: a key of a cipher or an HMAC, a seed of Ed25519, a scalar of P-256.
pub(super) type Bytes = Zeroizing<[u8; KEY_BYTES]>;

/// A key's versions. They are wiped, printed nowhere, and never change: a rotation makes another keyset.
pub struct Keyset {
    name: KeyName,
    kind: KeyKind,
    mode: Mode,
    /// The number of the oldest that is kept; those that follow are numbered on.
    oldest: u32,
    keys: Vec<Bytes>,
}

/// Which versions are used for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The oldest version under which something is opened and verified.
    pub min_decrypt: u32,
    /// The oldest under which something new is made, where somebody asks for it by its number. Without a number it is the newest.
    pub min_encrypt: u32,
}

/// A key as it is used now.
pub struct Key<'a> {
    pub(super) keys: &'a Keyset,
    pub(super) terms: Terms,
}

impl Keyset {
    /// A new key, with its version 1.
    ///
    /// # Errors
    /// [`TransitError::NoMode`], [`TransitError::NoRandom`].
    pub fn draw(name: KeyName, kind: KeyKind, mode: Mode, random: &mut dyn Random) -> Result<Keyset, TransitError> {
        kind.takes(mode)?;
        Ok(Keyset { name, kind, mode, oldest: 1, keys: vec![drawn(kind, random)?] })
    }

    /// The same with one more version.
    ///
    /// # Errors
    /// [`TransitError::Full`], [`TransitError::NoRandom`].
    pub fn rotated(&self, random: &mut dyn Random) -> Result<Keyset, TransitError> {
        if self.keys.len() >= VERSIONS_MAX || self.newest() == u32::MAX {
            return Err(TransitError::Full(self.keys.len()));
        }
        let mut keys = self.copied(0, self.keys.len() + 1);
        keys.push(drawn(self.kind, random)?);
        Ok(Keyset { name: self.name.clone(), keys, ..*self })
    }

    /// The same without what the terms open no more. What was made under those versions is lost with them.
    ///
    /// # Errors
    /// [`TransitError::Invalid`]: the terms are of another keyset.
    pub fn trimmed(&self, terms: Terms) -> Result<Keyset, TransitError> {
        terms.check(self)?;
        let gone = terms.min_decrypt.saturating_sub(self.oldest) as usize;
        let keys = self.copied(gone, self.keys.len());
        Ok(Keyset { name: self.name.clone(), oldest: terms.min_decrypt, keys, ..*self })
    }

    /// Room from the start: a list that grows leaves what was in it behind.
    fn copied(&self, from: usize, room: usize) -> Vec<Bytes> {
        let mut keys = Vec::with_capacity(room);
        keys.extend(self.keys.iter().skip(from).cloned());
        keys
    }

    /// The key on these terms.
    ///
    /// # Errors
    /// [`TransitError::Invalid`].
    pub fn on(&self, terms: Terms) -> Result<Key<'_>, TransitError> {
        terms.check(self)?;
        Ok(Key { keys: self, terms })
    }

    /// Its name.
    pub fn name(&self) -> &KeyName {
        &self.name
    }

    /// Its kind.
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// How it is used.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The number of the oldest version that is kept.
    pub fn oldest(&self) -> u32 {
        self.oldest
    }

    /// The newest version's number.
    pub fn newest(&self) -> u32 {
        let after = u32::try_from(self.keys.len().saturating_sub(1)).unwrap_or(u32::MAX);
        self.oldest.saturating_add(after)
    }

    /// The public half of a version as PEM (SubjectPublicKeyInfo), for who verifies without us; none of a kind that has none.
    ///
    /// # Errors
    /// [`TransitError::NoVersion`].
    pub fn public_key(&self, version: u32) -> Result<Option<String>, TransitError> {
        let bytes = self.bytes(version)?;
        let broken = |_| TransitError::invalid("key", "its public half has no form");
        match self.kind {
            KeyKind::Ed25519 => {
                let public = ed25519_dalek::SigningKey::from_bytes(bytes).verifying_key();
                public.to_public_key_pem(LineEnding::LF).map(Some).map_err(broken)
            }
            KeyKind::EcdsaP256 => {
                let public = scalar(bytes).ok_or(TransitError::Forged)?.public_key();
                public.to_public_key_pem(LineEnding::LF).map(Some).map_err(broken)
            }
            KeyKind::Aes256Gcm | KeyKind::ChaCha20Poly1305 | KeyKind::HmacSha256 => Ok(None),
        }
    }

    pub(super) fn bytes(&self, version: u32) -> Result<&Bytes, TransitError> {
        let place = version.checked_sub(self.oldest).and_then(|place| usize::try_from(place).ok());
        place.and_then(|place| self.keys.get(place)).ok_or(TransitError::NoVersion(version))
    }

    /// Its one form of bytes, to be sealed.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let name = self.name.as_str().as_bytes();
        let mut bytes = Zeroizing::new(Vec::with_capacity(HEAD_BYTES + name.len() + self.keys.len() * KEY_BYTES));
        // A name has 64 bytes at most.
        bytes.extend_from_slice(&[FORM, self.kind.code(), self.mode.code(), name.len() as u8]);
        bytes.extend_from_slice(&self.oldest.to_be_bytes());
        bytes.extend_from_slice(name);
        self.keys.iter().for_each(|key| bytes.extend_from_slice(key.as_slice()));
        bytes
    }

    /// Of its form of bytes; none where they are no keyset.
    pub fn decode(bytes: &[u8]) -> Option<Keyset> {
        let (&[form, kind, mode, name, a, b, c, d], rest) = bytes.split_first_chunk::<HEAD_BYTES>()?;
        let (name, keys) = rest.split_at_checked(usize::from(name))?;
        let kind = KeyKind::ALL.iter().copied().find(|there| there.code() == kind)?;
        let mode = Mode::ALL.iter().copied().find(|there| there.code() == mode)?;
        let oldest = u32::from_be_bytes([a, b, c, d]);
        let (keys, none) = keys.as_chunks::<KEY_BYTES>();
        let fits = form == FORM && oldest > 0 && none.is_empty() && (1..=VERSIONS_MAX).contains(&keys.len());
        let is_numbered = u32::try_from(keys.len()).is_ok_and(|count| oldest.checked_add(count).is_some());
        let is_right = fits && is_numbered && kind.takes(mode).is_ok() && keys.iter().all(|key| is_key(kind, key));
        let name = std::str::from_utf8(name).ok()?.parse().ok()?;
        let mut kept = Vec::with_capacity(keys.len());
        kept.extend(keys.iter().map(|key| Zeroizing::new(*key)));
        is_right.then_some(Keyset { name, kind, mode, oldest, keys: kept })
    }
}

impl std::fmt::Debug for Keyset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keyset({}, {}, {}, {} to {})", self.name, self.kind, self.mode, self.oldest, self.newest())
    }
}

impl Terms {
    /// Whether they can be those of a keyset.
    ///
    /// # Errors
    /// [`TransitError::Invalid`].
    pub fn check(self, keys: &Keyset) -> Result<(), TransitError> {
        self.check_within(keys.oldest(), keys.newest())
    }

    /// The same, by the versions that are kept.
    pub(crate) fn check_within(self, oldest: u32, newest: u32) -> Result<(), TransitError> {
        if !(oldest..=newest).contains(&self.min_decrypt) {
            let why = format!("it is one of the versions that are kept, {oldest} to {newest}");
            return Err(TransitError::invalid("min_decrypt", why));
        }
        if !(self.min_decrypt..=newest).contains(&self.min_encrypt) {
            let why = format!("it is from min_decrypt ({}) to the newest version ({newest})", self.min_decrypt);
            return Err(TransitError::invalid("min_encrypt", why));
        }
        Ok(())
    }
}

impl Key<'_> {
    /// The version under which something new is made.
    pub(super) fn making(&self, asked: Option<u32>) -> Result<(u32, &Bytes), TransitError> {
        let version = asked.unwrap_or_else(|| self.keys.newest());
        let least = self.terms.min_encrypt;
        match version < least {
            true => Err(TransitError::Retired { version, least }),
            false => Ok((version, self.keys.bytes(version)?)),
        }
    }

    /// The version that made something.
    pub(super) fn made(&self, version: u32) -> Result<&Bytes, TransitError> {
        let least = self.terms.min_decrypt;
        match version < least {
            true => Err(TransitError::Retired { version, least }),
            false => self.keys.bytes(version),
        }
    }
}

/// The private key of P-256 that bytes are, if they are one.
pub(super) fn scalar(bytes: &[u8; KEY_BYTES]) -> Option<p256::SecretKey> {
    p256::SecretKey::from_slice(bytes).ok()
}

fn is_key(kind: KeyKind, bytes: &[u8; KEY_BYTES]) -> bool {
    kind != KeyKind::EcdsaP256 || scalar(bytes).is_some()
}

/// A scalar is drawn again where it is none (FIPS 186-5 appendix A.2.2).
fn drawn(kind: KeyKind, random: &mut dyn Random) -> Result<Bytes, TransitError> {
    let mut bytes = Zeroizing::new([0; KEY_BYTES]);
    for _ in 0..DRAWS_MAX {
        random.fill(bytes.as_mut_slice()).map_err(|_| TransitError::NoRandom)?;
        if is_key(kind, &bytes) {
            return Ok(bytes);
        }
    }
    Err(TransitError::NoRandom)
}

pub(super) const KEY_BYTES: usize = 32;
const HEAD_BYTES: usize = 8;
const FORM: u8 = 1;
/// One in 2^32 is none: that so many were means that the source is none.
const DRAWS_MAX: usize = 8;
