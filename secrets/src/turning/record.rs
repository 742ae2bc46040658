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
        let (rotation, number) = (&self.body.rotation, |credential: &Credential| credential.version);
        let pending = rotation.pending().map(number);
        // While a node is at it nobody knows yet; nothing ends before what came of it was taken down.
        let is_set = self.body.claim.is_none() && rotation.may_be_set();
        Labels {
            current: rotation.current().version,
            pending,
            previous: rotation.previous().map(number),
            set: pending.filter(|_| is_set),
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

#[cfg(test)]
mod tests {
    use super::super::place::{Line, Product};
    use super::*;
    use crate::rotation::{Bounds, Outcome, Plan, Schedule, Settings};

    #[test]
    fn a_pending_version_is_in_use_once_it_may_be_set_at_its_target() {
        let plan = Plan::Pair { users: ["app-a".to_owned(), "app-b".to_owned()] };
        let (bounds, schedule) = (Bounds::default(), Schedule::default());
        let settings = Settings { plan, overlap_secs: 600, distance_secs: 600, bounds, schedule };
        let current = Credential { version: 1, user: "app-a".to_owned() };
        let rotation = Rotation::new("prod/db", settings, current, 0).unwrap();
        let at = At {
            product: Product::PostgreSql,
            host: "127.0.0.1".to_owned(),
            port: 5432,
            database: None,
            account_host: None,
            admin: None,
            pinned: None,
            line: Line::Plain,
        };
        let (path, owner) = ("prod/db".parse().unwrap(), Owner::parse("web").unwrap());
        let body = Body { rotation, at, claim: None, ended: false, leaked: None };
        let mut turning = Turning { path, owner, version: 1, body, changed: None };
        let made = turning.body.rotation.outcome(&Step::Make { user: "app-b".to_owned() }, Outcome::Made(2), 1_000);
        made.unwrap();
        let labels = turning.labels();
        assert_eq!((labels.pending, labels.set), (Some(2), None), "it is made");
        for (now, outcome, set) in
            [(1_000, Outcome::Away("no answer".to_owned()), None), (100_000, Outcome::Done, Some(2))]
        {
            let step = turning.body.rotation.next(now);
            assert!(matches!(step, Step::Set { .. }), "{step:?}");
            turning.body.rotation.intend(&step);
            turning.body.claim = Some(Claim { node: 1, until: now + 120 });
            assert_eq!(turning.labels().set, None, "nobody knows yet");
            turning.body.rotation.outcome(&step, outcome, now).unwrap();
            turning.body.claim = None;
            assert_eq!(turning.labels().set, set, "{now}");
        }
    }
}
