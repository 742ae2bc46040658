//! The records of roles and leases, as the register has them.

use policy::{Grant, Owner};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use store::{ActorStamp, Record, StoreError, StoredRecord};

use crate::due;
use crate::error::SecretError;
use crate::nouns::{NameError, SecretPath};
use crate::rotation::is_ahead;
use crate::turning::At;

/// The kind of a role's record; its id is its path.
pub(super) const ROLE: &str = "lease-role";
/// The kind of a lease's record; its id is the lease's.
pub(super) const LEASE: &str = "lease";

/// What users are made of: where, with whose rights, for how long.
#[derive(Clone, Debug)]
pub struct LeaseRole {
    pub(super) path: SecretPath,
    pub(super) owner: Owner,
    pub(super) version: u64,
    pub(super) body: RoleBody,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RoleBody {
    pub at: At,
    pub like: String,
    pub secs: u64,
    pub secs_max: u64,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ended: bool,
}

/// A user that lives for a while, attested by the log.
#[derive(Clone, Debug)]
pub struct Lease {
    pub(super) id: String,
    pub(super) role: SecretPath,
    pub(super) owner: Owner,
    pub(super) version: u64,
    pub(super) body: LeaseBody,
}

/// All that a revocation needs stands in it: the role may be another meanwhile.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LeaseBody {
    pub role: String,
    pub at: At,
    pub like: String,
    pub user: String,
    /// Which node makes him, or renewed him last.
    pub node: u16,
    pub stage: Stage,
    /// Who asked for it.
    pub by: String,
    pub since: u64,
    pub until: u64,
    pub until_max: u64,
    /// Of SSH: the key with which he logs in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key: Option<String>,
    /// What was made out to him, by what it is taken back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub documents: Vec<String>,
    /// One more may be, of which nobody took down the name.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_doubtful: bool,
    /// When that node asked the target for something of which no answer is written down; 0 where nothing is open.
    #[serde(default, skip_serializing_if = "is_zero_too")]
    pub asked: u64,
    /// How often his end was tried without success.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub tries: u32,
    /// His end is not tried before.
    #[serde(default, skip_serializing_if = "is_zero_too")]
    pub not_before: u64,
    /// What the target said last.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub said: String,
    /// Why somebody took him off who could not be ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forgotten: Option<String>,
}

/// How far a lease has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// He is written down, and may be made at the target.
    Making,
    /// He is there.
    Live,
    /// He is to be ended.
    Ending,
    /// He is gone.
    Ended,
}

impl Stage {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Stage::Making => "making",
            Stage::Live => "live",
            Stage::Ending => "ending",
            Stage::Ended => "ended",
        }
    }
}

impl LeaseRole {
    pub(super) fn of(record: StoredRecord) -> Result<LeaseRole, SecretError> {
        let body = body(&record)?;
        let path = record.id.parse().map_err(|error: NameError| corrupt(&record, error))?;
        Ok(LeaseRole { path, owner: owner(&record)?, version: record.version, body })
    }

    /// By what it is asked for, and policies speak of it.
    pub fn path(&self) -> &SecretPath {
        &self.path
    }

    /// Whose it is.
    pub fn owner(&self) -> &Owner {
        &self.owner
    }

    /// Where its users are made.
    pub fn at(&self) -> &At {
        &self.body.at
    }

    /// Whose rights they get.
    pub fn like(&self) -> &str {
        &self.body.like
    }

    /// How long a lease is where nobody says, and how long at most with all renewals, in seconds.
    pub fn secs(&self) -> (u64, u64) {
        (self.body.secs, self.body.secs_max)
    }

    pub(super) fn record(&self, grant: &Grant) -> Result<Record, SecretError> {
        Ok(Record {
            kind: ROLE,
            id: self.path.as_str().to_owned(),
            owner: Some(self.owner.as_str().to_owned()),
            lookup: None,
            expires: None,
            body: text(&self.body)?,
            actor: ActorStamp::from(grant.actor()),
            expect: Some(self.version),
        })
    }
}

impl Lease {
    pub(super) fn of(record: StoredRecord) -> Result<Lease, SecretError> {
        let body: LeaseBody = body(&record)?;
        let role = body.role.parse().map_err(|error: NameError| corrupt(&record, error))?;
        Ok(Lease { role, owner: owner(&record)?, version: record.version, body, id: record.id })
    }

    /// Its name.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Of which role.
    pub fn role(&self) -> &SecretPath {
        &self.role
    }

    /// Whose that is.
    pub fn owner(&self) -> &Owner {
        &self.owner
    }

    /// What the user is called at the target.
    pub fn user(&self) -> &str {
        &self.body.user
    }

    /// Where he is.
    pub fn at(&self) -> &At {
        &self.body.at
    }

    /// Whose rights he has: of SSH the accounts that he logs in to.
    pub fn like(&self) -> &str {
        &self.body.like
    }

    /// Of SSH the key with which he logs in, as a line of OpenSSH.
    pub fn public_key(&self) -> Option<&str> {
        self.body.public_key.as_deref()
    }

    /// What was made out to him, by what it is taken back.
    pub fn documents(&self) -> &[String] {
        &self.body.documents
    }

    /// Whether one more may have been made out to him, of which nobody took down the name.
    pub fn is_doubtful(&self) -> bool {
        self.body.is_doubtful
    }

    /// Who asked for him.
    pub fn by(&self) -> &str {
        &self.body.by
    }

    /// How far it has come.
    pub fn stage(&self) -> Stage {
        self.body.stage
    }

    /// Since when, until when, and until when at most, in seconds since 1970.
    pub fn times(&self) -> (u64, u64, u64) {
        (self.body.since, self.body.until, self.body.until_max)
    }

    /// How often his end was tried without success, and what the target said last.
    pub fn trouble(&self) -> Option<(u32, &str)> {
        (self.body.tries > 0).then_some((self.body.tries, self.body.said.as_str()))
    }

    /// Whether his end was tried so often that it is tried no more: he may be there.
    pub fn is_given_up(&self) -> bool {
        self.body.stage == Stage::Ending && self.body.tries >= ENDS_TRIED_MAX
    }

    /// Why somebody took him off.
    pub fn forgotten(&self) -> Option<&str> {
        self.body.forgotten.as_deref()
    }

    /// What was made out to him is known from now on.
    pub(super) fn takes_down(&mut self, document: Option<String>) {
        self.body.documents.extend(document);
        self.body.is_doubtful = false;
        self.body.asked = 0;
    }

    /// These were made out too, whoever took them down.
    pub(super) fn knows(&mut self, documents: &[String]) {
        let new = documents.iter().filter(|one| !self.body.documents.contains(one)).cloned().collect::<Vec<_>>();
        self.body.documents.extend(new);
    }

    /// When whoever asked the target for him has surely come to an end; none where nothing is open.
    pub(super) fn settled(&self) -> Option<u64> {
        (self.body.asked > 0).then(|| self.body.asked.saturating_add(MAKING_SECS_MAX))
    }

    /// He is to be ended from now on: behind whoever is due already.
    pub(super) fn ends_from(&mut self, now: u64) {
        self.body.stage = Stage::Ending;
        self.body.not_before = now;
    }

    /// Puts right what a clock wrote that was ahead: a lease of then is as long as it was to be, from `now` on, and a pause before another
    /// try is over. Whether there was something.
    pub(super) fn put_right(&mut self, now: u64) -> bool {
        let before = self.body.clone();
        if is_ahead(self.body.since, now) {
            let ahead = self.body.since.saturating_sub(now);
            self.body.since = now;
            self.body.until = self.body.until.saturating_sub(ahead);
            self.body.until_max = self.body.until_max.saturating_sub(ahead);
        }
        if is_ahead(self.body.asked, now) {
            self.body.asked = now;
        }
        if is_ahead(self.body.not_before.saturating_sub(PAUSE_LAST_SECS), now) {
            self.body.not_before = now;
        }
        self.body != before
    }

    /// When something is to be done with it, as it is found: who is being made may be forgotten at any moment.
    pub(super) fn due(&self) -> Option<u64> {
        match self.body.stage {
            Stage::Making => Some(self.body.since),
            Stage::Live => Some(self.body.until.max(self.body.not_before)),
            Stage::Ending => Some(self.body.not_before).filter(|_| !self.is_given_up()),
            Stage::Ended => None,
        }
    }

    /// The value in which his password lies. A colon stands in no path: it is no secret's.
    pub(super) fn value_path(id: &str) -> String {
        format!("lease:{id}")
    }

    pub(super) fn record(&self, actor: ActorStamp) -> Result<Record, SecretError> {
        let lookup = due::key(self.body.tries > 0, self.due(), &self.id);
        Ok(Record {
            kind: LEASE,
            id: self.id.clone(),
            owner: Some(self.owner.as_str().to_owned()),
            lookup: (self.body.stage != Stage::Ended).then_some(lookup),
            expires: None,
            body: text(&self.body)?,
            actor,
            expect: Some(self.version),
        })
    }
}

fn body<T: DeserializeOwned>(record: &StoredRecord) -> Result<T, SecretError> {
    serde_json::from_value(record.body.clone()).map_err(|error| corrupt(record, error))
}

fn owner(record: &StoredRecord) -> Result<Owner, SecretError> {
    Owner::parse(record.owner.as_deref().unwrap_or_default()).map_err(|error| corrupt(record, error))
}

fn corrupt(record: &StoredRecord, why: impl std::fmt::Display) -> SecretError {
    SecretError::Store(StoreError::Corrupt(format!("{} {}: {why}", record.kind, record.id)))
}

fn text(body: &impl Serialize) -> Result<serde_json::Value, SecretError> {
    serde_json::to_value(body).map_err(|error| SecretError::invalid("lease", error.to_string()))
}

// serde hands both over so.
fn is_zero(number: &u32) -> bool {
    *number == 0
}

fn is_zero_too(number: &u64) -> bool {
    *number == 0
}

/// An end that failed so often, over three days, is tried no more: somebody looks at the target, and gives the lease back again or has it
/// forgotten.
pub const ENDS_TRIED_MAX: u32 = 80;
/// The shortest lease: within it somebody logs in.
pub const LEASE_SECS_MIN: u64 = 10;
/// The longest, with all renewals: thirty days; who is there for longer is rotated.
pub const LEASE_SECS_MAX: u64 = 30 * 86_400;
/// Longer than a driver takes (150 s) and than two clocks that are believed differ (300 s): whom another node has not made by then is ended,
/// and who is ended before is looked for once more.
pub(super) const MAKING_SECS_MAX: u64 = 450;
/// The longest pause before an end that failed is tried again.
pub(super) const PAUSE_LAST_SECS: u64 = 3_600;
