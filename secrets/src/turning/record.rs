//! The record of a rotation, as the register has it.

use policy::{Grant, Owner, Timestamp};
use serde::{Deserialize, Serialize};
use store::{ActorStamp, Record, StoreError, StoredRecord};

use super::place::At;
use crate::due;
use crate::error::SecretError;
use crate::nouns::SecretPath;
use crate::rotation::{Credential, Rotation, Step};
use crate::vault::Labels;

/// The kind of the record; its id is the secret's path.
pub(super) const ROTATION: &str = "rotation";

/// A rotation of a secret, attested by the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Turning {
    pub(super) path: SecretPath,
    pub(super) owner: Owner,
    /// The version of its record; 0: there is none yet.
    pub(super) version: u64,
    pub(super) body: Body,
    pub(super) changed: Option<(Timestamp, String)>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Body {
    pub rotation: Rotation,
    pub at: At,
    /// Which node is at a step, and until when no other takes it up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<Claim>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ended: bool,
    /// Who said last that it leaked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaked: Option<Leaked>,
}

/// Somebody's word that what is in use leaked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Leaked {
    /// Who said so.
    pub by: String,
    /// When, in seconds since 1970.
    pub at: u64,
    /// What happened.
    pub reason: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Claim {
    pub node: u16,
    pub until: u64,
}

impl Turning {
    pub(super) fn of(record: StoredRecord) -> Result<Turning, SecretError> {
        let corrupt = |why: String| SecretError::Store(StoreError::Corrupt(format!("rotation {}: {why}", record.id)));
        let body: Body = serde_json::from_value(record.body).map_err(|e| corrupt(e.to_string()))?;
        let path: SecretPath = record.id.parse().map_err(|e| corrupt(format!("{e}")))?;
        let owner = record.owner.as_deref().ok_or("no owner".to_owned());
        let owner = owner.and_then(|owner| Owner::parse(owner).map_err(|e| e.to_string())).map_err(corrupt)?;
        Ok(Turning { path, owner, version: record.version, body, changed: Some((record.at, record.actor.id)) })
    }

    /// Of which secret.
    pub fn path(&self) -> &SecretPath {
        &self.path
    }

    /// Whose that is.
    pub fn owner(&self) -> &Owner {
        &self.owner
    }

    /// The rotation.
    pub fn rotation(&self) -> &Rotation {
        &self.body.rotation
    }

    /// Where it is done.
    pub fn at(&self) -> &At {
        &self.body.at
    }

    /// Who said last that what was in use leaked.
    pub fn leaked(&self) -> Option<&Leaked> {
        self.body.leaked.as_ref()
    }

    /// Whether it was ended: nothing is exchanged any more.
    pub fn is_ended(&self) -> bool {
        self.body.ended
    }

    /// When anything of it was written last, and by whom.
    pub fn changed(&self) -> Option<(Timestamp, &str)> {
        self.changed.as_ref().map(|(at, by)| (*at, by.as_str()))
    }

    /// Where the labels stand by it.
    pub(super) fn labels(&self) -> Labels {
        let number = |credential: &Credential| credential.version;
        Labels {
            current: self.body.rotation.current().version,
            pending: self.body.rotation.pending().map(number),
            previous: self.body.rotation.previous().map(number),
        }
    }

    /// When something is to be done next, whoever does it; `now` where it is now.
    pub(super) fn due(&self, now: u64) -> Option<u64> {
        match self.body.rotation.next(now) {
            Step::Rest { until } => until,
            Step::Halt => None,
            Step::Make { .. } | Step::Set { .. } | Step::Test { .. } | Step::Promote { .. } => Some(now),
            Step::Retire { .. } | Step::Discard { .. } | Step::GiveUp => Some(now),
        }
    }

    /// The record as it is written; what ended is found under no second key.
    pub(super) fn record(&self, grant: &Grant, now: u64) -> Result<Record, SecretError> {
        let is_troubled = self.body.rotation.trouble().is_some() || self.body.rotation.times_away() > 0;
        let body = serde_json::to_value(&self.body).map_err(|e| SecretError::invalid("rotation", e.to_string()))?;
        Ok(Record {
            kind: ROTATION,
            id: self.path.as_str().to_owned(),
            owner: Some(self.owner.as_str().to_owned()),
            lookup: (!self.body.ended).then(|| due::key(is_troubled, self.due(now), self.path.as_str())),
            expires: None,
            body,
            actor: ActorStamp::from(grant.actor()),
            expect: Some(self.version),
        })
    }
}
