//! Signed messages of ACME accounts (RFC 8555 section 6.2), straight on ring.

use std::path::Path;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde::Deserialize;
use serde_json::json;

use crate::error::CompareError;

/// An account whose key is here.
#[derive(Clone)]
pub(super) struct Account {
    id: String,
    pair: Arc<EcdsaKeyPair>,
    thumbprint: String,
}

/// The accounts that `seed --account-keys` wrote down.
pub(super) struct Accounts(Vec<Account>);

#[derive(Deserialize)]
struct Kept {
    id: String,
    pkcs8: String,
}

impl Accounts {
    pub(super) fn load(path: &Path) -> Result<Accounts, CompareError> {
        let text = std::fs::read(path).map_err(|e| CompareError::Io(path.display().to_string(), e))?;
        let kept: Vec<Kept> = serde_json::from_slice(&text).map_err(|e| failed("the accounts' keys", &e))?;
        kept.into_iter().map(Account::read).collect::<Result<_, _>>().map(Accounts)
    }

    /// The account of a caller.
    pub(super) fn one(&self, number: usize) -> Account {
        self.0[number % self.0.len()].clone()
    }
}

impl Account {
    fn read(kept: Kept) -> Result<Account, CompareError> {
        let pkcs8 = STANDARD.decode(&kept.pkcs8).map_err(|e| failed("an account's key", &e))?;
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pkcs8, &SystemRandom::new());
        let pair = pair.map_err(|e| failed("an account's key", &e))?;
        let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
        let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
        // RFC 7638 section 3: the members in this order, without white space.
        let canonical = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        let thumbprint = URL_SAFE_NO_PAD.encode(digest(&SHA256, canonical.as_bytes()));
        Ok(Account { id: kept.id, pair: Arc::new(pair), thumbprint })
    }

    pub(super) fn thumbprint(&self) -> &str {
        &self.thumbprint
    }

    /// A message for this URL; an empty payload reads (RFC 8555 section 6.3).
    pub(super) fn message(&self, base: &str, url: &str, nonce: &str, payload: &str) -> Result<String, CompareError> {
        let kid = format!("{base}/account/{}", self.id);
        let protected = json!({ "alg": "ES256", "kid": kid, "nonce": nonce, "url": url }).to_string();
        let (protected, payload) = (URL_SAFE_NO_PAD.encode(protected), URL_SAFE_NO_PAD.encode(payload));
        let signed = format!("{protected}.{payload}");
        let signature = self.pair.sign(&SystemRandom::new(), signed.as_bytes()).map_err(|e| failed("ring", &e))?;
        let signature = URL_SAFE_NO_PAD.encode(signature);
        Ok(format!(r#"{{"protected":"{protected}","payload":"{payload}","signature":"{signature}"}}"#))
    }
}

pub(super) fn failed(what: &str, why: &dyn std::fmt::Display) -> CompareError {
    CompareError::Failed(format!("{what}: {why}"))
}
