//! JWT signing keys: PKCS#8 in, and of them the public half alone as a JWK (RFC 7517), under the thumbprint of RFC 7638.
//!
//! The type of what is published has no member for a private value: none can be printed by mistake.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use ed25519_dalek::pkcs8::KeypairBytes;
use p256::elliptic_curve::sec1::ToEncodedPoint as _;
use p256::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, LineEnding};
use ring::digest::{SHA256, digest};
use ring::signature::{RsaKeyPair, RsaPublicKeyComponents};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::fields::Fields;
use super::random::{NoRandom, Random};

/// What tokens are signed with (RFC 7518 section 3.1, RFC 8037).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum JwtAlgorithm {
    /// ECDSA on P-256: every library has it.
    #[default]
    Es256,
    /// Ed25519.
    EdDsa,
    /// RSA, PKCS #1 v1.5. Read and published; made by others, since nothing that is linked here makes RSA keys.
    Rs256,
}

impl JwtAlgorithm {
    /// All, as a token's header has them.
    pub const NAMES: &'static [&'static str] = &["ES256", "EdDSA", "RS256"];

    /// As a token's header has it.
    pub fn as_str(self) -> &'static str {
        match self {
            JwtAlgorithm::Es256 => "ES256",
            JwtAlgorithm::EdDsa => "EdDSA",
            JwtAlgorithm::Rs256 => "RS256",
        }
    }
}

impl fmt::Display for JwtAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for JwtAlgorithm {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let all = [JwtAlgorithm::Es256, JwtAlgorithm::EdDsa, JwtAlgorithm::Rs256];
        all.into_iter().find(|algorithm| algorithm.as_str() == text).ok_or(KeyError::Unknown)
    }
}

/// Why a text is no signing key. Nothing of the text is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// No PEM at all.
    #[error(
        "it is no PEM of PKCS#8: write it as `-----BEGIN PRIVATE KEY-----`; `openssl pkcs8 -topk8 -nocrypt -in KEY` does"
    )]
    NotPkcs8,
    /// Under a password, which nothing here asks for.
    #[error("it lies under a password: take that off with `openssl pkcs8 -topk8 -nocrypt -in KEY`; it is sealed here")]
    Encrypted,
    /// None of those that are known.
    #[error(
        "it is no key for ES256 (P-256), EdDSA (Ed25519) or RS256 (RSA of 2048 to 4096 bits, exponent 65537 or above): make one of these"
    )]
    Unknown,
    /// No RSA key is made here.
    #[error(
        "RSA keys are read and not made here: make it with `openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072` and put it, or ask for ES256"
    )]
    NotMade,
    /// The system has no random bytes.
    #[error(transparent)]
    NoRandom(#[from] NoRandom),
}

/// The public half of a signing key, as verifiers fetch it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jwk(Public);

/// The members, in base64url.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Public {
    Es256 { x: String, y: String },
    EdDsa { x: String },
    Rs256 { n: String, e: String },
}

impl Jwk {
    /// Of the private key in PKCS#8 PEM.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn of_private_pem(pem: &str) -> Result<Jwk, KeyError> {
        let (label, der) = pem_rfc7468::decode_vec(pem.trim().as_bytes()).map_err(|_| KeyError::NotPkcs8)?;
        let der = Zeroizing::new(der);
        match label {
            "PRIVATE KEY" => of_der(&der).map(Jwk).ok_or(KeyError::Unknown),
            "ENCRYPTED PRIVATE KEY" => Err(KeyError::Encrypted),
            _ => Err(KeyError::NotPkcs8),
        }
    }

    /// Of the fields of a signing key.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn of_fields(fields: &Fields) -> Result<Jwk, KeyError> {
        Jwk::of_private_pem(fields.text("private_key").ok_or(KeyError::NotPkcs8)?)
    }

    /// What it verifies.
    pub fn algorithm(&self) -> JwtAlgorithm {
        match self.0 {
            Public::Es256 { .. } => JwtAlgorithm::Es256,
            Public::EdDsa { .. } => JwtAlgorithm::EdDsa,
            Public::Rs256 { .. } => JwtAlgorithm::Rs256,
        }
    }

    /// Its name: the SHA-256 thumbprint of RFC 7638, so that the same key has the same name everywhere.
    pub fn kid(&self) -> String {
        // "the required members ... ordered lexicographically ... no whitespace or line breaks" (section 3). None has to be escaped.
        let canonical = match &self.0 {
            Public::Es256 { x, y } => format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#),
            Public::EdDsa { x } => format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#),
            Public::Rs256 { n, e } => format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#),
        };
        BASE64URL.encode(digest(&SHA256, canonical.as_bytes()))
    }

    /// The JWK by itself, as JSON.
    pub fn json(&self) -> String {
        self.value().to_string()
    }

    fn value(&self) -> Value {
        let (alg, kid) = (self.algorithm().as_str(), self.kid());
        match &self.0 {
            Public::Es256 { x, y } => {
                json!({"kty": "EC", "crv": "P-256", "x": x, "y": y, "use": "sig", "alg": alg, "kid": kid})
            }
            Public::EdDsa { x } => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": x, "use": "sig", "alg": alg, "kid": kid})
            }
            Public::Rs256 { n, e } => json!({"kty": "RSA", "n": n, "e": e, "use": "sig", "alg": alg, "kid": kid}),
        }
    }
}

/// The keys of several versions as one JWK set (RFC 7517 section 5), in their order, each once: while a rotation overlaps, the one that
/// comes, the one that signs, and the one that has signed what is still out.
pub fn jwks(keys: &[Jwk]) -> String {
    let once = keys.iter().enumerate().filter(|(at, key)| !keys.iter().take(*at).any(|before| before == *key));
    json!({"keys": once.map(|(_, key)| key.value()).collect::<Vec<_>>()}).to_string()
}

/// Draws a key: PKCS#8 PEM.
pub(super) fn draw(algorithm: JwtAlgorithm, random: &mut dyn Random) -> Result<Zeroizing<String>, KeyError> {
    let mut seed = Zeroizing::new([0; 32]);
    match algorithm {
        JwtAlgorithm::EdDsa => {
            random.fill(seed.as_mut_slice())?;
            // Version 1 of the form, without the public key in it: OpenSSL reads no other (RFC 8410 section 7).
            let bytes = KeypairBytes { secret_key: *seed, public_key: None };
            bytes.to_pkcs8_pem(LineEnding::LF).map_err(|_| KeyError::Unknown)
        }
        JwtAlgorithm::Es256 => scalar(random)?.to_pkcs8_pem(LineEnding::LF).map_err(|_| KeyError::Unknown),
        JwtAlgorithm::Rs256 => Err(KeyError::NotMade),
    }
}

/// A private key of P-256: 32 bytes that are drawn again where they are none (FIPS 186-5 appendix A.2.2).
pub(super) fn scalar(random: &mut dyn Random) -> Result<p256::SecretKey, NoRandom> {
    let mut bytes = Zeroizing::new([0; 32]);
    for _ in 0..SCALARS_MAX {
        random.fill(bytes.as_mut_slice())?;
        if let Ok(key) = p256::SecretKey::from_slice(bytes.as_slice()) {
            return Ok(key);
        }
    }
    Err(NoRandom)
}

fn of_der(der: &[u8]) -> Option<Public> {
    if let Ok(key) = p256::SecretKey::from_pkcs8_der(der) {
        let point = key.public_key().to_encoded_point(false);
        return Some(Public::Es256 { x: BASE64URL.encode(point.x()?), y: BASE64URL.encode(point.y()?) });
    }
    if let Ok(key) = ed25519_dalek::SigningKey::from_pkcs8_der(der) {
        return Some(Public::EdDsa { x: BASE64URL.encode(key.verifying_key()) });
    }
    let key = RsaKeyPair::from_pkcs8(der).ok()?;
    let RsaPublicKeyComponents { n, e } = RsaPublicKeyComponents::<Vec<u8>>::from(key.public());
    Some(Public::Rs256 { n: BASE64URL.encode(n), e: BASE64URL.encode(e) })
}

/// One in 2^32 is none: that so many were means that the source is none.
const SCALARS_MAX: usize = 8;

#[cfg(test)]
#[path = "jwk_tests.rs"]
mod tests;
