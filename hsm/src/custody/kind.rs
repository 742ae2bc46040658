//! The kinds of keys there are, and the one algorithm each signs with, by their stable names.

use std::fmt;
use std::str::FromStr;

/// What a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KeyKind {
    /// ECDSA on P-256.
    P256,
    /// ECDSA on P-384.
    P384,
    /// RSA, 2048 bits.
    Rsa2048,
    /// RSA, 3072 bits.
    Rsa3072,
    /// RSA, 4096 bits.
    Rsa4096,
    /// Ed25519.
    Ed25519,
}

impl KeyKind {
    /// Every kind, in display order.
    pub const ALL: [KeyKind; 6] =
        [KeyKind::P256, KeyKind::P384, KeyKind::Rsa2048, KeyKind::Rsa3072, KeyKind::Rsa4096, KeyKind::Ed25519];

    /// The stable name: `p256`, `p384`, `rsa2048`, `rsa3072`, `rsa4096`, `ed25519`.
    pub fn as_str(self) -> &'static str {
        match self {
            KeyKind::P256 => "p256",
            KeyKind::P384 => "p384",
            KeyKind::Rsa2048 => "rsa2048",
            KeyKind::Rsa3072 => "rsa3072",
            KeyKind::Rsa4096 => "rsa4096",
            KeyKind::Ed25519 => "ed25519",
        }
    }

    /// The one algorithm a key of this kind signs with.
    pub fn algorithm(self) -> Algorithm {
        match self {
            KeyKind::P256 => Algorithm::EcdsaP256Sha256,
            KeyKind::P384 => Algorithm::EcdsaP384Sha384,
            KeyKind::Rsa2048 | KeyKind::Rsa3072 | KeyKind::Rsa4096 => Algorithm::RsaPkcs1Sha256,
            KeyKind::Ed25519 => Algorithm::Ed25519,
        }
    }
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A name that is none of ours.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a known name here")]
pub struct UnknownName(pub String);

impl FromStr for KeyKind {
    type Err = UnknownName;
    fn from_str(s: &str) -> Result<KeyKind, UnknownName> {
        KeyKind::ALL.into_iter().find(|k| k.as_str() == s).ok_or_else(|| UnknownName(s.to_owned()))
    }
}

/// How a signature is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256.
    EcdsaP256Sha256,
    /// ECDSA on P-384 with SHA-384.
    EcdsaP384Sha384,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RsaPkcs1Sha256,
    /// Ed25519.
    Ed25519,
}

impl Algorithm {
    /// Every algorithm.
    pub const ALL: [Algorithm; 4] =
        [Algorithm::EcdsaP256Sha256, Algorithm::EcdsaP384Sha384, Algorithm::RsaPkcs1Sha256, Algorithm::Ed25519];

    /// The stable name, as written in the ledger: `ecdsa-p256-sha256`, `ecdsa-p384-sha384`, `rsa-pkcs1-sha256`, `ed25519`.
    pub fn as_str(self) -> &'static str {
        match self {
            Algorithm::EcdsaP256Sha256 => "ecdsa-p256-sha256",
            Algorithm::EcdsaP384Sha384 => "ecdsa-p384-sha384",
            Algorithm::RsaPkcs1Sha256 => "rsa-pkcs1-sha256",
            Algorithm::Ed25519 => "ed25519",
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Algorithm {
    type Err = UnknownName;
    fn from_str(s: &str) -> Result<Algorithm, UnknownName> {
        Algorithm::ALL.into_iter().find(|a| a.as_str() == s).ok_or_else(|| UnknownName(s.to_owned()))
    }
}
