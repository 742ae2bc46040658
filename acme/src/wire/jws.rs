//! JWS in the flattened JSON form that ACME prescribes (RFC 8555 section 6.2), read strictly, verified on ring.
//!
//! Two steps, because the account key must be fetched between them: [`Jws::parse`] yields what the message claims,
//! [`Jws::verify`] what a key proves. Only a [`Verified`] has a payload anyone may look at.
//! Threats answered: `alg: none`, HMAC and key confusion (the key decides the algorithm), unprotected headers, several
//! signatures, `crit` extensions, a request replayed at another URL (`url` is compared by the routes).

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::jwk::{Alg, Jwk};
use super::object;
use super::problem::{ErrorKind, Problem};

/// Longest `kid` and `url`: ours are below 200 characters.
const URL_CHARS_MAX: usize = 512;

/// How the signer names its key: exactly one of the two (RFC 8555 section 6.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signer {
    /// The key itself: newAccount, and revokeCert by certificate key.
    Jwk(Jwk),
    /// An account URL.
    Kid(String),
}

/// A message as claimed: nothing in it is proven yet.
#[derive(Debug)]
pub struct Jws {
    alg: Alg,
    signer: Signer,
    url: String,
    nonce: Option<String>,
    signed: Vec<u8>,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

/// A message whose signature was checked.
#[derive(Debug)]
pub struct Verified {
    payload: Vec<u8>,
}

/// The flattened serialization. `header` and `signatures` are listed so that they are refused and not overlooked.
#[derive(Deserialize)]
struct Flattened {
    protected: String,
    payload: String,
    signature: String,
    #[serde(default)]
    header: Option<Value>,
    #[serde(default)]
    signatures: Option<Value>,
}

#[derive(Deserialize)]
struct Protected {
    alg: String,
    url: Option<String>,
    nonce: Option<String>,
    jwk: Option<Value>,
    kid: Option<String>,
    crit: Option<Value>,
    b64: Option<Value>,
}

impl Jws {
    /// Reads the message. A repeated JSON member, padding or a stray bit in base64url make it malformed.
    pub fn parse(body: &[u8]) -> Result<Self, Problem> {
        let outer: Flattened = object::read(body)
            .map_err(|error| Problem::malformed(format!("the body is not a flattened JWS: {error}")))?;
        if outer.header.is_some() {
            // "The JWS Unprotected Header [RFC7515] MUST NOT be used"
            return Err(Problem::malformed("the JWS has an unprotected header"));
        }
        if outer.signatures.is_some() {
            // "The JWS MUST NOT have multiple signatures"
            return Err(Problem::malformed("the JWS has several signatures"));
        }
        let header: Protected = object::read(&base64url(&outer.protected, "protected")?).map_err(|error| {
            Problem::malformed(format!("the protected header is not what ACME prescribes: {error}"))
        })?;
        if header.crit.is_some() || header.b64.is_some() {
            // RFC 7515 section 4.1.11: an extension marked critical that is not understood makes the JWS invalid.
            return Err(Problem::malformed("the protected header has critical extensions (crit, b64)"));
        }
        let alg = Alg::parse(&header.alg)?;
        let signer = match (header.jwk, header.kid) {
            (Some(jwk), None) => Signer::Jwk(Jwk::parse(jwk)?),
            (None, Some(kid)) if kid.len() <= URL_CHARS_MAX => Signer::Kid(kid),
            (None, Some(_)) => {
                return Err(Problem::malformed("the kid is too long to be an account URL of this server"));
            }
            // "The "jwk" and "kid" fields are mutually exclusive. Servers MUST reject requests that contain both."
            (Some(_), Some(_)) => return Err(Problem::malformed("the protected header has both jwk and kid")),
            (None, None) => return Err(Problem::malformed("the protected header has neither jwk nor kid")),
        };
        let url = header.url.filter(|url| url.len() <= URL_CHARS_MAX);
        let url = url.ok_or_else(|| Problem::malformed("the protected header has no url, or one that is too long"))?;
        Ok(Self {
            alg,
            signer,
            url,
            nonce: header.nonce,
            payload: base64url(&outer.payload, "payload")?,
            signature: base64url(&outer.signature, "signature")?,
            signed: format!("{}.{}", outer.protected, outer.payload).into_bytes(),
        })
    }

    /// Who claims to have signed.
    pub fn signer(&self) -> &Signer {
        &self.signer
    }

    /// The URL it claims to be for.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The nonce it carries.
    pub fn nonce(&self) -> Option<&str> {
        self.nonce.as_deref()
    }

    /// Checks that `key` signed this, with the algorithm that belongs to `key`.
    pub fn verify(self, key: &Jwk) -> Result<Verified, Problem> {
        if self.alg != key.alg() {
            return Err(Problem::malformed(format!(
                "the JWS says {}, but this key signs with {}",
                self.alg.as_str(),
                key.alg().as_str()
            )));
        }
        if !key.verify(&self.signed, &self.signature) {
            return Err(Problem::malformed("the JWS signature does not verify"));
        }
        Ok(Verified { payload: self.payload })
    }
}

impl Verified {
    /// The payload as a typed object.
    pub fn object<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        object::read(&self.payload)
            .map_err(|error| Problem::malformed(format!("the payload is not what this resource takes: {error}")))
    }

    /// The raw payload: a JWS again in a key change.
    pub fn bytes(&self) -> &[u8] {
        &self.payload
    }

    /// Whether it is a POST-as-GET: a zero-length payload (RFC 8555 section 6.3).
    pub fn is_empty(&self) -> bool {
        self.payload.is_empty()
    }

    /// Insists on POST-as-GET.
    pub fn nothing(&self) -> Result<(), Problem> {
        match self.is_empty() {
            true => Ok(()),
            false => Err(Problem::malformed("this resource is read by POST-as-GET: the payload must be empty")),
        }
    }
}

/// Unpadded base64url, no stray bits: RFC 8555 section 6.1 "Encoded values that include trailing '=' characters MUST be
/// rejected as improperly encoded."
pub fn base64url(text: &str, what: &str) -> Result<Vec<u8>, Problem> {
    URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| Problem::new(ErrorKind::Malformed, format!("the {what} is not unpadded base64url")))
}

#[cfg(test)]
#[path = "jws_tests.rs"]
mod tests;
