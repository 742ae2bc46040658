//! The register's recovery keys, as its records have them.
//!
//! One record a generation, without a gap, each written once: the newest is the one that nothing follows, which the log says and not the
//! database. A record is taken as attested alone: whoever could put a key of his own there had what is wrapped from then on.

use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use store::{ActorStamp, Record, StoreError};

use crate::error::SecretError;
use crate::recovery::RecoveryKey;

/// The kind of a recovery key's record; its id is the generation.
pub(super) const RECOVERY_KEY: &str = "recovery-key";

/// The newest key that was read, and the version of its record.
#[derive(Default)]
pub(super) struct RecoveryKeys(Mutex<Option<(Arc<RecoveryKey>, u64)>>);

impl RecoveryKeys {
    /// The newest that is known, if its record is what was read.
    pub fn held(&self, version: impl Fn(u16) -> u64) -> Option<Arc<RecoveryKey>> {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (key, read) = held.as_ref()?;
        (version(key.generation()) == *read).then(|| Arc::clone(key))
    }

    pub fn hold(&self, key: &Arc<RecoveryKey>, version: u64) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((Arc::clone(key), version));
    }
}

/// As it is written.
pub(super) fn record_of(key: &RecoveryKey, actor: ActorStamp) -> Record {
    Record {
        kind: RECOVERY_KEY,
        id: key.generation().to_string(),
        owner: None,
        lookup: None,
        expires: None,
        body: json!({
            "key": STANDARD.encode(key.to_bytes()),
            "set": key.set().to_string(),
            "threshold": key.threshold(),
            "shares": key.shares(),
            "fingerprint": data_encoding::HEXLOWER.encode(&key.fingerprint()),
        }),
        actor,
        // Written once.
        expect: Some(0),
    }
}

/// Of a record's body: the key of that register and that generation.
pub(super) fn key_of(body: &Value, origin: &str, generation: u16) -> Result<RecoveryKey, SecretError> {
    let bytes = body.get("key").and_then(Value::as_str).and_then(|text| STANDARD.decode(text).ok());
    let key = bytes.and_then(|bytes| RecoveryKey::from_bytes(&bytes).ok());
    let key = key.filter(|key| key.origin() == origin && key.generation() == generation);
    let says = || format!("the record `{RECOVERY_KEY}` / `{generation}` has no recovery key of this register");
    key.ok_or_else(|| SecretError::Store(StoreError::Corrupt(says())))
}
