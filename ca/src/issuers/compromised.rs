//! Keys that are known to be in other hands, and are certified by nobody here again.
//!
//! Of what an operation here certified the fold knows them, by its revocation. Of a CA's key that is said beside: its certificate may
//! have come from elsewhere, or it has none (an SSH CA). Then it is a record, whose presence the fold answers as well.

use store::{ActorStamp, Ledger, Record};

/// Whether a key (SHA-256 of its SubjectPublicKeyInfo) is.
pub(crate) fn is_compromised(ledger: &Ledger, key_hash: &[u8; 32]) -> bool {
    ledger.is_compromised(key_hash) || ledger.record_version(KIND, &hex::encode(key_hash)) > 0
}

/// That the key of a generation is, with which `why`; none where it was said before.
pub(crate) fn said(ledger: &Ledger, key_hash: &str, why: &str, actor: &ActorStamp) -> Option<Record> {
    (ledger.record_version(KIND, key_hash) == 0).then(|| Record {
        kind: KIND,
        id: key_hash.to_owned(),
        owner: None,
        lookup: None,
        expires: None,
        body: serde_json::json!({ "of": why }),
        actor: actor.clone(),
        expect: Some(0),
    })
}

/// The kind of the record; its id is the key's hash.
const KIND: &str = "compromised-key";
