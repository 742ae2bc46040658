//! One key, one certificate: where a profile says so, a key is certified once and never again.
//!
//! A record of the key is written before its certificate is: of two who ask at one time, on whichever nodes, one gets it. Where
//! nothing was signed the key is free again; where that is not known it is not. After a crash between the two it is not either: a
//! new key costs its holder nothing.

use policy::Actor;
use serde_json::json;
use store::{ActorStamp, Filter, Kind, Record, State, StoreError};

use crate::craft::office::Office;
use crate::error::CaError;
use crate::intake::SubjectKey;

/// A key that nobody else gets certified meanwhile.
pub(crate) struct Claim {
    id: String,
    version: u64,
    actor: ActorStamp,
}

/// Why a key is not certified again; `None` while it may be.
pub(crate) async fn taken(office: &Office, key: &SubjectKey) -> Result<Option<String>, CaError> {
    let id = hex::encode(key.hash());
    if let Some(record) = office.ledger.record_get(KIND, &id).await?
        && record.body[FREE] != true
    {
        return Ok(Some(again("a certificate was asked for it before")));
    }
    // Of profiles that do not say so.
    let filter =
        Filter { kind: Some(Kind::Certificate), key_hash: Some(key.hash()), limit: LOOKED_AT, ..Filter::default() };
    let found = office.ledger.matching(filter).await?;
    let first = found.iter().find(|credential| credential.state != State::Failed);
    Ok(first.map(|credential| again(&format!("certificate {} is for it", credential.serial_hex()))))
}

/// Takes a key for one certificate.
pub(crate) async fn claim(office: &Office, actor: &Actor, key: &SubjectKey) -> Result<Claim, CaError> {
    let (id, actor) = (hex::encode(key.hash()), ActorStamp::from(actor));
    // Before the question: whatever is written after it is a conflict.
    let expect = office.ledger.record_version(KIND, &id);
    if let Some(why) = taken(office, key).await? {
        return Err(CaError::bad("key", why));
    }
    match office.ledger.record(vec![record(&id, false, &actor, expect)]).await {
        Ok(versions) => Ok(Claim { id, version: versions.first().copied().unwrap_or_default(), actor }),
        Err(StoreError::Conflict(_)) => Err(CaError::bad("key", again("somebody asks for it at this moment"))),
        Err(other) => Err(other.into()),
    }
}

impl Claim {
    /// Gives it back after an error that says that nothing was signed.
    pub(crate) async fn unless_signed(self, office: &Office, error: CaError) -> CaError {
        if matches!(error, CaError::Unknown { .. }) {
            return error;
        }
        let free = record(&self.id, true, &self.actor, self.version);
        if let Err(e) = office.ledger.record(vec![free]).await {
            tracing::warn!(key = self.id, error = %e, "a key for which nothing was signed stays taken");
        }
        error
    }
}

fn record(id: &str, free: bool, actor: &ActorStamp, expect: u64) -> Record {
    let body = json!({ FREE: free });
    let expect = Some(expect);
    Record {
        kind: KIND,
        id: id.to_owned(),
        owner: None,
        lookup: None,
        expires: None,
        body,
        actor: actor.clone(),
        expect,
    }
}

fn again(why: &str) -> String {
    format!("{why}, and the profile wants a new key for each certificate; make one")
}

/// Of records; its id is the SHA-256 of the SubjectPublicKeyInfo.
const KIND: &str = "certified-key";
const FREE: &str = "free";
/// Certificates of one key: those that failed do not count.
const LOOKED_AT: usize = 16;
