//! Records of keys: what `verify` checks signatures against.
//!
//! A record is believed for its fingerprint alone: leaves name the SHA-256 of the SubjectPublicKeyInfo that signs.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hsm::Algorithm;
use serde_json::{Value, json};

use crate::forms::schema::sha256;
use crate::nouns::entry::ActorStamp;
use crate::nouns::record::{Record, StoredRecord};

/// The record kind.
pub(crate) const KIND: &str = "key";
/// The purpose of keys that sign checkpoints.
pub(crate) const LOG_PURPOSE: &str = "log";
/// The one purpose of keys that may be destroyed: OCSP responders'.
pub(crate) const PASSING_PURPOSE: &str = "ocsp";
const DISMISSED: &str = "dismissed";

pub(crate) fn record(label: &str, algorithm: Algorithm, spki: &[u8], purpose: &str, actor: ActorStamp) -> Record {
    Record {
        kind: KIND,
        id: hex::encode(sha256(spki)),
        owner: None,
        lookup: Some(label.to_owned()),
        expires: None,
        body: json!({
            "label": label,
            "algorithm": algorithm.as_str(),
            "purpose": purpose,
            "spki": STANDARD.encode(spki),
        }),
        actor,
        expect: Some(0),
    }
}

/// What is recorded of a key that is to be destroyed: what it was, and that it is done with.
pub(crate) fn dismissed(there: &StoredRecord, actor: ActorStamp) -> Record {
    let mut body = there.body.clone();
    if let Some(body) = body.as_object_mut() {
        body.insert(DISMISSED.to_owned(), Value::Bool(true));
    }
    Record {
        kind: KIND,
        id: there.id.clone(),
        owner: None,
        lookup: there.lookup.clone(),
        expires: None,
        body,
        actor,
        expect: Some(there.version),
    }
}

/// Whether it is one whose purpose passes: every other key stays for as long as its token does.
pub(crate) fn is_passing(there: &StoredRecord) -> bool {
    there.body.get("purpose").and_then(Value::as_str) == Some(PASSING_PURPOSE)
}

/// Whether it was said to be done with.
pub(crate) fn is_dismissed(there: &StoredRecord) -> bool {
    there.body.get(DISMISSED) == Some(&Value::Bool(true))
}

/// A recorded key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RecordedKey {
    pub fingerprint: [u8; 32],
    pub algorithm: Algorithm,
    pub spki: Vec<u8>,
    pub purpose: String,
}

/// Reads a key record's body.
pub(crate) fn read(body: &str) -> Result<RecordedKey, String> {
    let body: Value = serde_json::from_str(body).map_err(|e| e.to_string())?;
    let text = |field: &str| body.get(field).and_then(Value::as_str).ok_or(format!("no `{field}`"));
    let spki = STANDARD.decode(text("spki")?).map_err(|e| e.to_string())?;
    Ok(RecordedKey {
        fingerprint: sha256(&spki),
        algorithm: text("algorithm")?.parse().map_err(|e: hsm::UnknownName| e.to_string())?,
        purpose: text("purpose")?.to_owned(),
        spki,
    })
}
