//! The kinds of keys there are, and the one algorithm each signs with, by their stable names.

use std::fmt;
use std::str::FromStr;

use ring::digest;

/// What a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KeyKind {
    /// ECDSA on P-256.
    P256,
    /// ECDSA on P-384.
    P384,
    /// ECDSA on P-521.
    P521,
    /// RSA, 2048 bits.
    Rsa2048,
    /// RSA, 3072 bits.
    Rsa3072,
    /// RSA, 4096 bits.
    Rsa4096,
    /// RSA, 2048 bits, that the token lets sign with PSS alone. To everybody else it is an RSA key like any other.
    Rsa2048Pss,
    /// The same of 3072 bits.
    Rsa3072Pss,
    /// The same of 4096 bits.
    Rsa4096Pss,
    /// Ed25519.
    Ed25519,
    /// ML-DSA-44 (FIPS 204).
    MlDsa44,
    /// ML-DSA-65.
    MlDsa65,
    /// ML-DSA-87.
    MlDsa87,
}

/// What kinds have in common: what such a key can do, and what it may be said to be for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// RSA of any size, for any padding.
    Rsa,
    /// The NIST curves.
    Curve,
    /// Ed25519.
    Edwards,
    /// ML-DSA.
    Lattice,
}

impl KeyKind {
    /// Every kind, in display order.
    pub const ALL: [KeyKind; 13] = [
        KeyKind::P256,
        KeyKind::P384,
        KeyKind::P521,
        KeyKind::Rsa2048,
        KeyKind::Rsa3072,
        KeyKind::Rsa4096,
        KeyKind::Rsa2048Pss,
        KeyKind::Rsa3072Pss,
        KeyKind::Rsa4096Pss,
        KeyKind::Ed25519,
        KeyKind::MlDsa44,
        KeyKind::MlDsa65,
        KeyKind::MlDsa87,
    ];

    /// The stable name: `p256`, `p384`, `p521`, `rsa2048`, `rsa3072`, `rsa4096`, these with `-pss`, `ed25519`, `mldsa44`,
    /// `mldsa65`, `mldsa87`.
    pub fn as_str(self) -> &'static str {
        match self {
            KeyKind::P256 => "p256",
            KeyKind::P384 => "p384",
            KeyKind::P521 => "p521",
            KeyKind::Rsa2048 => "rsa2048",
            KeyKind::Rsa3072 => "rsa3072",
            KeyKind::Rsa4096 => "rsa4096",
            KeyKind::Rsa2048Pss => "rsa2048-pss",
            KeyKind::Rsa3072Pss => "rsa3072-pss",
            KeyKind::Rsa4096Pss => "rsa4096-pss",
            KeyKind::Ed25519 => "ed25519",
            KeyKind::MlDsa44 => "mldsa44",
            KeyKind::MlDsa65 => "mldsa65",
            KeyKind::MlDsa87 => "mldsa87",
        }
    }

    /// The one algorithm a key of this kind signs with.
    pub fn algorithm(self) -> Algorithm {
        match self {
            KeyKind::P256 => Algorithm::EcdsaP256Sha256,
            KeyKind::P384 => Algorithm::EcdsaP384Sha384,
            KeyKind::P521 => Algorithm::EcdsaP521Sha512,
            KeyKind::Rsa2048 | KeyKind::Rsa3072 | KeyKind::Rsa4096 => Algorithm::RsaPkcs1Sha256,
            KeyKind::Rsa2048Pss | KeyKind::Rsa3072Pss | KeyKind::Rsa4096Pss => Algorithm::RsaPssSha256,
            KeyKind::Ed25519 => Algorithm::Ed25519,
            KeyKind::MlDsa44 => Algorithm::MlDsa44,
            KeyKind::MlDsa65 => Algorithm::MlDsa65,
            KeyKind::MlDsa87 => Algorithm::MlDsa87,
        }
    }

    /// Which family it belongs to.
    pub fn family(self) -> Family {
        match self.algorithm() {
            Algorithm::EcdsaP256Sha256 | Algorithm::EcdsaP384Sha384 | Algorithm::EcdsaP521Sha512 => Family::Curve,
            Algorithm::RsaPkcs1Sha256 | Algorithm::RsaPssSha256 => Family::Rsa,
            Algorithm::Ed25519 => Family::Edwards,
            Algorithm::MlDsa44 | Algorithm::MlDsa65 | Algorithm::MlDsa87 => Family::Lattice,
        }
    }

    /// The same key as one that signs PSS alone; itself where it is one, none where it is no RSA key.
    pub fn pss(self) -> Option<KeyKind> {
        match self {
            KeyKind::Rsa2048 | KeyKind::Rsa2048Pss => Some(KeyKind::Rsa2048Pss),
            KeyKind::Rsa3072 | KeyKind::Rsa3072Pss => Some(KeyKind::Rsa3072Pss),
            KeyKind::Rsa4096 | KeyKind::Rsa4096Pss => Some(KeyKind::Rsa4096Pss),
            _ => None,
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
    /// ECDSA on P-521 with SHA-512.
    EcdsaP521Sha512,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RsaPkcs1Sha256,
    /// RSASSA-PSS with SHA-256, MGF1 with SHA-256 and a salt of 32 bytes.
    RsaPssSha256,
    /// Ed25519.
    Ed25519,
    /// ML-DSA-44, pure, with an empty context.
    MlDsa44,
    /// ML-DSA-65, likewise.
    MlDsa65,
    /// ML-DSA-87, likewise.
    MlDsa87,
}

impl Algorithm {
    /// Every algorithm.
    pub const ALL: [Algorithm; 9] = [
        Algorithm::EcdsaP256Sha256,
        Algorithm::EcdsaP384Sha384,
        Algorithm::EcdsaP521Sha512,
        Algorithm::RsaPkcs1Sha256,
        Algorithm::RsaPssSha256,
        Algorithm::Ed25519,
        Algorithm::MlDsa44,
        Algorithm::MlDsa65,
        Algorithm::MlDsa87,
    ];

    /// The stable name, as written in the ledger: `ecdsa-p256-sha256`, `ecdsa-p384-sha384`, `ecdsa-p521-sha512`,
    /// `rsa-pkcs1-sha256`, `rsa-pss-sha256`, `ed25519`, `ml-dsa-44`, `ml-dsa-65`, `ml-dsa-87`.
    pub fn as_str(self) -> &'static str {
        match self {
            Algorithm::EcdsaP256Sha256 => "ecdsa-p256-sha256",
            Algorithm::EcdsaP384Sha384 => "ecdsa-p384-sha384",
            Algorithm::EcdsaP521Sha512 => "ecdsa-p521-sha512",
            Algorithm::RsaPkcs1Sha256 => "rsa-pkcs1-sha256",
            Algorithm::RsaPssSha256 => "rsa-pss-sha256",
            Algorithm::Ed25519 => "ed25519",
            Algorithm::MlDsa44 => "ml-dsa-44",
            Algorithm::MlDsa65 => "ml-dsa-65",
            Algorithm::MlDsa87 => "ml-dsa-87",
        }
    }

    /// The digest that it makes of a message and signs in its place. None where the whole message is signed: Ed25519 and ML-DSA
    /// leave nothing of it that could be kept or made elsewhere.
    pub fn hash(self) -> Option<&'static digest::Algorithm> {
        match self {
            Algorithm::EcdsaP256Sha256 | Algorithm::RsaPkcs1Sha256 | Algorithm::RsaPssSha256 => Some(&digest::SHA256),
            Algorithm::EcdsaP384Sha384 => Some(&digest::SHA384),
            Algorithm::EcdsaP521Sha512 => Some(&digest::SHA512),
            Algorithm::Ed25519 | Algorithm::MlDsa44 | Algorithm::MlDsa65 | Algorithm::MlDsa87 => None,
        }
    }

    /// Its AlgorithmIdentifier, DER: parameters absent for ECDSA (RFC 5758 section 3.2), Ed25519 (RFC 8410 section 3) and ML-DSA
    /// (RFC 9881 section 2), NULL for RSA PKCS#1 (RFC 4055 section 5), and for PSS all that are not the default (RFC 4055
    /// section 3.1), with the NULL that section 2.1 writes after SHA-256.
    pub fn identifier(self) -> &'static [u8] {
        match self {
            Algorithm::EcdsaP256Sha256 => &[0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02],
            Algorithm::EcdsaP384Sha384 => &[0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03],
            Algorithm::EcdsaP521Sha512 => &[0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x04],
            Algorithm::RsaPkcs1Sha256 => {
                &[0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b, 0x05, 0x00]
            }
            Algorithm::RsaPssSha256 => &[
                0x30, 0x41, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a, 0x30, 0x34, 0xa0, 0x0f,
                0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0xa1, 0x1c,
                0x30, 0x1a, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x08, 0x30, 0x0d, 0x06, 0x09,
                0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0xa2, 0x03, 0x02, 0x01, 0x20,
            ],
            Algorithm::Ed25519 => &[0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70],
            Algorithm::MlDsa44 => &[0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03, 0x11],
            Algorithm::MlDsa65 => &[0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03, 0x12],
            Algorithm::MlDsa87 => &[0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03, 0x13],
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
