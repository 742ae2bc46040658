//! How a register's recovery stands: whether what is sealed in it would come back without the token.
//!
//! What is written after a ceremony is wrapped as it is written; what was there before, by a walk. That the walk came to its end, and with
//! what it could not be done, is a record of its own, one for each generation of the recovery key: so nobody walks again to know it. That the
//! shares were joined in a machine is another.

use std::sync::Arc;

use policy::Timestamp;
use serde_json::{Value, json};
use store::{ActorStamp, Record, StoreError};

use super::base::Vault;
use super::recovery_keys::RECOVERY_KEY;
use super::walking::{Left, Walked};
use crate::error::SecretError;
use crate::recovery::RecoveryKey;

/// How it stands.
#[derive(Clone, Debug)]
pub struct Recovery {
    /// The newest recovery key; none before a ceremony.
    pub key: Option<Arc<RecoveryKey>>,
    /// How many keys are sealed by the token: those of versions, and that of the register's heads.
    pub sealed: u64,
    /// How far it is that they are wrapped to it.
    pub wrapping: Wrapping,
    /// Who took the newest [`TAKEN_SHOWN_MAX`] recovery keys, and when; the newest first.
    pub taken: Vec<Hand>,
    /// Who joined the shares of the newest one in a machine, and when: it is to be followed by another.
    pub joined: Option<Hand>,
}

/// Who did something with a recovery key, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hand {
    /// Of which generation.
    pub generation: u16,
    /// Who.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// How far it is that everything is wrapped to the newest recovery key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrapping {
    /// There is no recovery key.
    NoKey,
    /// Nobody has walked over all of it yet, or not to the end. Where this node does, so many were looked at, of so many.
    Begun(Option<(u64, u64)>),
    /// All was looked at. With so many it could not be done, the first of which are named.
    Done(u64, Vec<Left>),
}

impl Recovery {
    /// Whether the shares open everything that is sealed.
    pub fn is_whole(&self) -> bool {
        matches!(self.wrapping, Wrapping::Done(0, _))
    }

    /// Whether there are secrets, beside the key of the register's heads, which every register has.
    pub fn has_secrets(&self) -> bool {
        self.sealed > 1
    }
}

impl Vault {
    /// How this register's recovery stands.
    ///
    /// # Errors
    /// [`SecretError::Store`].
    pub async fn recovery(&self) -> Result<Recovery, SecretError> {
        let key = self.recovery_key().await?;
        let wrapping = match &key {
            None => Wrapping::NoKey,
            Some(key) => self.wrapping(key.generation()).await?,
        };
        let newest = key.as_ref().map_or(0, |key| key.generation());
        let mut taken = Vec::new();
        for generation in (1..=newest).rev().take(TAKEN_SHOWN_MAX) {
            taken.extend(self.hand(RECOVERY_KEY, generation).await?);
        }
        let joined = if newest > 0 { self.hand(JOINED, newest).await? } else { None };
        Ok(Recovery { key, sealed: self.ledger.standing().values().sum(), wrapping, taken, joined })
    }

    /// Who wrote the record of a generation, and when.
    async fn hand(&self, kind: &str, generation: u16) -> Result<Option<Hand>, SecretError> {
        let there = self.ledger.record_get(kind, &generation.to_string()).await?;
        Ok(there.map(|there| Hand { generation, by: there.actor.id.clone(), at: there.at }))
    }

    /// Writes down that the shares of a generation were joined in a machine, once.
    pub(super) async fn note_joined(&self, generation: u16, actor: ActorStamp) -> Result<(), SecretError> {
        let id = generation.to_string();
        if self.ledger.record_version(JOINED, &id) > 0 {
            return Ok(());
        }
        let (body, expect) = (json!({}), Some(0));
        let record = Record { kind: JOINED, id, owner: None, lookup: None, expires: None, body, actor, expect };
        match self.ledger.record(vec![record]).await {
            Ok(_) | Err(StoreError::Conflict(_)) => Ok(()),
            Err(other) => Err(other.into()),
        }
    }

    /// How far the walk is that this node does, if it does one: how many keys it looked at, of how many.
    pub fn walked_so_far(&self) -> Option<(u64, u64)> {
        self.progress.now()
    }

    async fn wrapping(&self, generation: u16) -> Result<Wrapping, SecretError> {
        match self.ledger.record_get(WRAPPED, &generation.to_string()).await? {
            None => Ok(Wrapping::Begun(self.progress.now())),
            Some(there) => {
                let says = || format!("the record `{WRAPPED}` / `{generation}` does not say what is wrapped");
                let read = read(&there.body).ok_or_else(|| SecretError::Store(StoreError::Corrupt(says())))?;
                Ok(Wrapping::Done(read.0, read.1))
            }
        }
    }

    /// Writes down that a walk came to its end, where that is news.
    pub(super) async fn note_wrapped(
        &self,
        generation: u16,
        walked: &Walked,
        actor: ActorStamp,
    ) -> Result<(), SecretError> {
        let (id, body) = (generation.to_string(), body(walked));
        let there = self.ledger.record_get(WRAPPED, &id).await?;
        if there.as_ref().is_some_and(|there| there.body == body) {
            return Ok(());
        }
        let expect = Some(there.map_or(0, |there| there.version));
        let record = Record { kind: WRAPPED, id, owner: None, lookup: None, expires: None, body, actor, expect };
        match self.ledger.record(vec![record]).await {
            // Another node came to its end too, and says the same.
            Ok(_) | Err(StoreError::Conflict(_)) => Ok(()),
            Err(other) => Err(other.into()),
        }
    }
}

/// Such a record's body. How many were done says nothing of the register, and so is not in it.
fn body(walked: &Walked) -> Value {
    let which: Vec<_> = walked.which.iter().map(|left| json!({ "id": left.id, "why": left.why })).collect();
    json!({ "left": walked.left, "which": which })
}

fn read(body: &Value) -> Option<(u64, Vec<Left>)> {
    let which = body.get("which")?.as_array()?.iter().map(|left| {
        let text = |name| left.get(name).and_then(Value::as_str).map(str::to_owned);
        Some(Left { id: text("id")?, why: text("why")? })
    });
    Some((body.get("left")?.as_u64()?, which.collect::<Option<_>>()?))
}

/// The kind of the record; its id is the generation of the recovery key.
const WRAPPED: &str = "recovery-wrapped";
/// The kind of the record that the shares of a generation were joined in a machine; its id is that.
const JOINED: &str = "recovery-joined";
/// Of so many recovery keys it is told who took them.
pub const TAKEN_SHOWN_MAX: usize = 8;
