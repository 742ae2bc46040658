//! What a key is for, and how it is used.

use std::fmt;
use std::str::FromStr;

use super::fault::TransitError;

/// What a key does. One kind, one use: no key both seals and signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// Seals, by AES-256-GCM.
    Aes256Gcm,
    /// Seals, by ChaCha20-Poly1305 (RFC 8439).
    ChaCha20Poly1305,
    /// Authenticates, by HMAC with SHA-256 (RFC 2104).
    HmacSha256,
    /// Signs, by Ed25519 (RFC 8032).
    Ed25519,
    /// Signs, by ECDSA on P-256 with SHA-256 (FIPS 186-5); signatures are DER.
    EcdsaP256,
}

impl KeyKind {
    /// All.
    pub const ALL: &'static [KeyKind] =
        &[KeyKind::Aes256Gcm, KeyKind::ChaCha20Poly1305, KeyKind::HmacSha256, KeyKind::Ed25519, KeyKind::EcdsaP256];

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            KeyKind::Aes256Gcm => "aes256-gcm",
            KeyKind::ChaCha20Poly1305 => "chacha20-poly1305",
            KeyKind::HmacSha256 => "hmac-sha256",
            KeyKind::Ed25519 => "ed25519",
            KeyKind::EcdsaP256 => "ecdsa-p256",
        }
    }

    pub(super) fn code(self) -> u8 {
        match self {
            KeyKind::Aes256Gcm => 1,
            KeyKind::ChaCha20Poly1305 => 2,
            KeyKind::HmacSha256 => 3,
            KeyKind::Ed25519 => 4,
            KeyKind::EcdsaP256 => 5,
        }
    }

    /// The cipher; of those that do not seal, why not.
    pub(super) fn cipher(self, act: &'static str) -> Result<&'static ring::aead::Algorithm, TransitError> {
        match self {
            KeyKind::Aes256Gcm => Ok(&ring::aead::AES_256_GCM),
            KeyKind::ChaCha20Poly1305 => Ok(&ring::aead::CHACHA20_POLY1305),
            KeyKind::HmacSha256 | KeyKind::Ed25519 | KeyKind::EcdsaP256 => {
                Err(TransitError::NotForKind { kind: self.as_str(), act, takes: &["aes256-gcm", "chacha20-poly1305"] })
            }
        }
    }

    /// Refuses what neither signs nor authenticates.
    pub(super) fn signs(self, act: &'static str) -> Result<(), TransitError> {
        match self {
            KeyKind::HmacSha256 | KeyKind::Ed25519 | KeyKind::EcdsaP256 => Ok(()),
            KeyKind::Aes256Gcm | KeyKind::ChaCha20Poly1305 => Err(TransitError::NotForKind {
                kind: self.as_str(),
                act,
                takes: &["ed25519", "ecdsa-p256", "hmac-sha256"],
            }),
        }
    }

    /// Whether there are keys of this kind that are used like that.
    ///
    /// # Errors
    /// [`TransitError::NoMode`].
    pub fn takes(self, mode: Mode) -> Result<(), TransitError> {
        let no = |why| Err(TransitError::NoMode { kind: self.as_str(), mode: mode.as_str(), why });
        match (self, mode) {
            (_, Mode::Plain) | (KeyKind::Aes256Gcm | KeyKind::ChaCha20Poly1305, Mode::Derived | Mode::Convergent) => {
                Ok(())
            }
            (KeyKind::HmacSha256, Mode::Derived) => Ok(()),
            (KeyKind::HmacSha256, Mode::Convergent) => no("an HMAC is the same for the same message already"),
            (KeyKind::Ed25519 | KeyKind::EcdsaP256, Mode::Derived | Mode::Convergent) => {
                no("its signatures are verified by one public key, which who verifies has to know beforehand")
            }
        }
    }
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for KeyKind {
    type Err = TransitError;

    fn from_str(text: &str) -> Result<Self, TransitError> {
        let known = || format!("one of {}", words(KeyKind::ALL.iter().map(|kind| kind.as_str())));
        let found = KeyKind::ALL.iter().copied().find(|kind| kind.as_str() == text);
        found.ok_or_else(|| TransitError::invalid("kind", known()))
    }
}

/// How a key is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// As it is.
    Plain,
    /// Each context has a key of its own, derived from it.
    Derived,
    /// Derived, and the same plaintext becomes the same ciphertext: whoever holds the ciphertexts sees which are of the same.
    Convergent,
}

impl Mode {
    /// All.
    pub const ALL: &'static [Mode] = &[Mode::Plain, Mode::Derived, Mode::Convergent];

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Mode::Plain => "plain",
            Mode::Derived => "derived",
            Mode::Convergent => "convergent",
        }
    }

    pub(super) fn code(self) -> u8 {
        match self {
            Mode::Plain => 0,
            Mode::Derived => 1,
            Mode::Convergent => 2,
        }
    }

    /// The context, which a derived key has to have and another must not.
    pub(super) fn context(self, context: Option<&[u8]>) -> Result<&[u8], TransitError> {
        match (self, context) {
            (Mode::Plain, None) => Ok(&[]),
            (Mode::Plain, Some(_)) => Err(TransitError::ContextUnused),
            (Mode::Derived | Mode::Convergent, Some(context)) if !context.is_empty() => {
                super::fault::at_most("the context in bytes", context.len(), super::CONTEXT_BYTES_MAX)?;
                Ok(context)
            }
            (Mode::Derived | Mode::Convergent, Some(_) | None) => Err(TransitError::ContextMissing),
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Mode {
    type Err = TransitError;

    fn from_str(text: &str) -> Result<Self, TransitError> {
        let known = || format!("one of {}", words(Mode::ALL.iter().map(|mode| mode.as_str())));
        let found = Mode::ALL.iter().copied().find(|mode| mode.as_str() == text);
        found.ok_or_else(|| TransitError::invalid("mode", known()))
    }
}

fn words(words: impl Iterator<Item = &'static str>) -> String {
    words.collect::<Vec<_>>().join(", ")
}
