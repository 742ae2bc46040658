//! Account keys: parse a JWK into a type that cannot be weak, hash it (RFC 7638), verify with it (ring).
//!
//! The key decides the algorithm, never the message: an `alg` that does not belong to the key's type is refused before
//! any signature is looked at, which is what leaves `none`, HMAC and key confusion without a foothold.
//! Members must be canonical (fixed widths, no leading zeros), so that one key has one thumbprint.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{digest, signature};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::problem::{ErrorKind, Problem};

/// Smallest RSA modulus accepted.
pub const RSA_BITS_MIN: usize = 2048;
/// Largest RSA modulus accepted: verifying costs the square of it, and strangers choose the key.
pub const RSA_BITS_MAX: usize = 4096;
/// RSA exponents: F4 and up (NIST SP 800-56B), at most the 33 bits ring verifies with.
const RSA_EXPONENT_MIN: u64 = 65_537;
const RSA_EXPONENT_MAX: u64 = (1 << 33) - 1;

/// The signature algorithms accepted in a JWS (RFC 7518, RFC 8037). Everything else is badSignatureAlgorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alg {
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// Ed25519.
    EdDsa,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
}

impl Alg {
    /// The whole list.
    pub const ALL: [Self; 4] = [Self::Es256, Self::Es384, Self::EdDsa, Self::Rs256];

    /// Its JWA name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
            Self::Rs256 => "RS256",
        }
    }

    /// By JWA name; RFC 8555 section 6.2: the error "MUST include an "algorithms" field" with what is accepted.
    pub fn parse(name: &str) -> Result<Self, Problem> {
        Self::ALL.into_iter().find(|alg| alg.as_str() == name).ok_or_else(|| {
            let mut problem =
                Problem::new(ErrorKind::BadSignatureAlgorithm, format!("the JWS algorithm {name:?} is not accepted"));
            problem.algorithms = Self::ALL.iter().map(|alg| alg.as_str().to_owned()).collect();
            problem
        })
    }
}

/// A public key that is allowed to hold an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub enum Jwk {
    /// Uncompressed P-256 coordinates.
    P256 {
        /// x
        x: [u8; 32],
        /// y
        y: [u8; 32],
    },
    /// Uncompressed P-384 coordinates.
    P384 {
        /// x
        x: [u8; 48],
        /// y
        y: [u8; 48],
    },
    /// An Ed25519 public key.
    Ed25519 {
        /// x
        x: [u8; 32],
    },
    /// An RSA public key, big endian without leading zeros.
    Rsa {
        /// Modulus.
        n: Vec<u8>,
        /// Exponent.
        e: Vec<u8>,
    },
}

/// Why a JWK was refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub struct BadKey(pub String);

impl From<BadKey> for Problem {
    fn from(bad: BadKey) -> Self {
        Self::new(ErrorKind::BadPublicKey, bad.0)
    }
}

impl TryFrom<Value> for Jwk {
    type Error = BadKey;

    fn try_from(value: Value) -> Result<Self, BadKey> {
        let member = |name: &str| value.get(name).and_then(Value::as_str);
        if ["d", "p", "q", "k", "dp", "dq", "qi"].iter().any(|private| value.get(*private).is_some()) {
            return Err(BadKey(
                "the jwk holds private or symmetric key members: this key is burnt, make a new one".into(),
            ));
        }
        if member("use").is_some_and(|purpose| purpose != "sig") {
            return Err(BadKey("the jwk is not a signing key (use)".into()));
        }
        match (member("kty"), member("crv")) {
            (Some("EC"), Some("P-256")) => Ok(Self::P256 { x: fixed(member("x"), "x")?, y: fixed(member("y"), "y")? }),
            (Some("EC"), Some("P-384")) => Ok(Self::P384 { x: fixed(member("x"), "x")?, y: fixed(member("y"), "y")? }),
            (Some("OKP"), Some("Ed25519")) => Ok(Self::Ed25519 { x: fixed(member("x"), "x")? }),
            (Some("RSA"), _) => rsa(member("n"), member("e")),
            (kty, crv) => Err(BadKey(format!(
                "the key type {:?} {:?} is not accepted: use EC P-256 or P-384, OKP Ed25519, or RSA {RSA_BITS_MIN}-{RSA_BITS_MAX}",
                kty.unwrap_or_default(),
                crv.unwrap_or_default()
            ))),
        }
    }
}

fn decode(text: Option<&str>, member: &str) -> Result<Vec<u8>, BadKey> {
    let text = text.ok_or_else(|| BadKey(format!("the jwk has no string member {member:?}")))?;
    URL_SAFE_NO_PAD.decode(text).map_err(|_| BadKey(format!("the jwk member {member:?} is not unpadded base64url")))
}

fn fixed<const N: usize>(text: Option<&str>, member: &str) -> Result<[u8; N], BadKey> {
    let raw = decode(text, member)?;
    let len = raw.len();
    raw.try_into().map_err(|_| BadKey(format!("the jwk member {member:?} has {len} bytes, this key type has {N}")))
}

fn rsa(n: Option<&str>, e: Option<&str>) -> Result<Jwk, BadKey> {
    let (n, e) = (decode(n, "n")?, decode(e, "e")?);
    let Some(first) = n.first().filter(|first| **first != 0) else {
        return Err(BadKey("the jwk member \"n\" is empty or has leading zeros".into()));
    };
    let bits = n.len().saturating_mul(8).saturating_sub(first.leading_zeros() as usize);
    if !(RSA_BITS_MIN..=RSA_BITS_MAX).contains(&bits) {
        return Err(BadKey(format!("the RSA key has {bits} bits: {RSA_BITS_MIN} to {RSA_BITS_MAX} are accepted")));
    }
    if n.last().is_none_or(|last| last & 1 == 0) {
        return Err(BadKey("the RSA modulus is even".into()));
    }
    if e.first().is_none_or(|first| *first == 0) || e.len() > 8 {
        return Err(BadKey("the jwk member \"e\" is empty, has leading zeros, or is too long".into()));
    }
    let exponent = e.iter().fold(0u64, |sum, byte| (sum << 8) | u64::from(*byte));
    if !(RSA_EXPONENT_MIN..=RSA_EXPONENT_MAX).contains(&exponent) || exponent & 1 == 0 {
        return Err(BadKey(format!("the RSA exponent {exponent} is not accepted: use 65537")));
    }
    Ok(Jwk::Rsa { n, e })
}

impl From<Jwk> for Value {
    fn from(key: Jwk) -> Self {
        // The required members alone, in the order of RFC 7638: what is stored is what is hashed.
        serde_json::from_str(&key.canonical()).unwrap_or(Self::Null)
    }
}

impl Jwk {
    /// Reads a JWK, strictly.
    pub fn parse(value: Value) -> Result<Self, Problem> {
        Ok(Self::try_from(value)?)
    }

    /// The required members in lexicographic order without white space (RFC 7638 section 3).
    fn canonical(&self) -> String {
        let b64 = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match self {
            Self::P256 { x, y } => format!(r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#, b64(x), b64(y)),
            Self::P384 { x, y } => format!(r#"{{"crv":"P-384","kty":"EC","x":"{}","y":"{}"}}"#, b64(x), b64(y)),
            Self::Ed25519 { x } => format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, b64(x)),
            Self::Rsa { n, e } => format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, b64(e), b64(n)),
        }
    }

    /// The SHA-256 thumbprint, base64url (RFC 7638).
    pub fn thumbprint(&self) -> String {
        URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, self.canonical().as_bytes()))
    }

    /// The one algorithm this key signs with.
    pub fn alg(&self) -> Alg {
        match self {
            Self::P256 { .. } => Alg::Es256,
            Self::P384 { .. } => Alg::Es384,
            Self::Ed25519 { .. } => Alg::EdDsa,
            Self::Rsa { .. } => Alg::Rs256,
        }
    }

    /// Whether `signature` is this key's over `message`.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        let with = |algorithm: &'static dyn signature::VerificationAlgorithm, public: &[u8]| {
            signature::UnparsedPublicKey::new(algorithm, public).verify(message, signature).is_ok()
        };
        match self {
            Self::P256 { x, y } => with(&signature::ECDSA_P256_SHA256_FIXED, &uncompressed(x, y)),
            Self::P384 { x, y } => with(&signature::ECDSA_P384_SHA384_FIXED, &uncompressed(x, y)),
            Self::Ed25519 { x } => with(&signature::ED25519, x),
            Self::Rsa { n, e } => signature::RsaPublicKeyComponents { n, e }
                .verify(&signature::RSA_PKCS1_2048_8192_SHA256, message, signature)
                .is_ok(),
        }
    }

    /// The same key as a DER SubjectPublicKeyInfo, to compare it with the one in a certificate or CSR.
    pub fn spki_der(&self) -> Vec<u8> {
        match self {
            Self::P256 { x, y } => sequence(&[P256_ALGORITHM, &bit_string(&uncompressed(x, y))]),
            Self::P384 { x, y } => sequence(&[P384_ALGORITHM, &bit_string(&uncompressed(x, y))]),
            Self::Ed25519 { x } => sequence(&[ED25519_ALGORITHM, &bit_string(x)]),
            Self::Rsa { n, e } => {
                let key = sequence(&[&unsigned(n), &unsigned(e)]);
                sequence(&[RSA_ALGORITHM, &bit_string(&key)])
            }
        }
    }
}

fn uncompressed(x: &[u8], y: &[u8]) -> Vec<u8> {
    [&[4u8], x, y].concat()
}

/// AlgorithmIdentifier { ecPublicKey, prime256v1 } (RFC 5480).
const P256_ALGORITHM: &[u8] = &[
    0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03,
    0x01, 0x07,
];
/// AlgorithmIdentifier { ecPublicKey, secp384r1 } (RFC 5480).
const P384_ALGORITHM: &[u8] =
    &[0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22];
/// AlgorithmIdentifier { id-Ed25519 } (RFC 8410).
const ED25519_ALGORITHM: &[u8] = &[0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70];
/// AlgorithmIdentifier { rsaEncryption, NULL } (RFC 3279).
const RSA_ALGORITHM: &[u8] =
    &[0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];

fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    tlv(0x30, &parts.concat())
}

fn bit_string(bytes: &[u8]) -> Vec<u8> {
    tlv(0x03, &[&[0u8], bytes].concat())
}

/// A positive INTEGER from big endian bytes without leading zeros.
fn unsigned(bytes: &[u8]) -> Vec<u8> {
    let sign: &[u8] = if bytes.first().is_some_and(|first| first & 0x80 != 0) { &[0] } else { &[] };
    tlv(0x02, &[sign, bytes].concat())
}

fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let len = content.len();
    let mut out = vec![tag];
    match u8::try_from(len) {
        Ok(short @ 0..=0x7f) => out.push(short),
        Ok(byte) => out.extend([0x81, byte]),
        // Contents are RSA keys of at most RSA_BITS_MAX: far below 65,536 bytes.
        Err(_) => {
            out.push(0x82);
            out.extend(u16::try_from(len).unwrap_or(u16::MAX).to_be_bytes());
        }
    }
    out.extend_from_slice(content);
    out
}

#[cfg(test)]
#[path = "jwk_tests.rs"]
mod tests;
