//! Reading and writing accounts, orders and authorizations in the register.
//!
//! Each write names the version it replaces, so a change that lost a race changes nothing and is made again on what is there
//! now. Several changes are one transaction; each leaves its leaf in the log.

use policy::{Actor, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;
use store::{ActorStamp, Attested, Ledger, Record, RecordFilter, StoreError, StoredRecord};

use super::account::{Account, KeyHolder};
use super::authz::Authz;
use super::order::Order;
use super::replacement::Replacement;
use crate::wire::{ErrorKind, Problem};

/// Something the register keeps versions of.
pub trait Kept: Serialize + DeserializeOwned {
    /// The record's kind.
    const KIND: &'static str;
    /// Its name within the kind.
    fn id(&self) -> &str;
    /// A second key to find it by.
    fn lookup(&self) -> Option<String>;
    /// When it lapses.
    fn expires(&self) -> Option<Timestamp>;
}

impl Kept for Account {
    const KIND: &'static str = "acme-account";
    fn id(&self) -> &str {
        &self.id
    }
    fn lookup(&self) -> Option<String> {
        Some(self.key.thumbprint())
    }
    fn expires(&self) -> Option<Timestamp> {
        None
    }
}

impl Kept for KeyHolder {
    const KIND: &'static str = "acme-key";
    fn id(&self) -> &str {
        &self.thumbprint
    }
    fn lookup(&self) -> Option<String> {
        self.account.clone()
    }
    fn expires(&self) -> Option<Timestamp> {
        None
    }
}

impl Kept for Order {
    const KIND: &'static str = "acme-order";
    fn id(&self) -> &str {
        &self.id
    }
    fn lookup(&self) -> Option<String> {
        Some(self.account.clone())
    }
    fn expires(&self) -> Option<Timestamp> {
        Some(self.expires)
    }
}

impl Kept for Authz {
    const KIND: &'static str = "acme-authz";
    fn id(&self) -> &str {
        &self.id
    }
    fn lookup(&self) -> Option<String> {
        Some(Self::lookup_of(&self.account, &self.identifier))
    }
    fn expires(&self) -> Option<Timestamp> {
        Some(self.expires)
    }
}

impl Kept for Replacement {
    const KIND: &'static str = "acme-replacement";
    fn id(&self) -> &str {
        &self.serial
    }
    fn lookup(&self) -> Option<String> {
        None
    }
    fn expires(&self) -> Option<Timestamp> {
        None
    }
}

/// An object with the version it was read at.
#[derive(Clone, Debug)]
pub struct Stored<T> {
    /// What it says.
    pub object: T,
    version: u64,
}

/// One object to write.
pub struct Change {
    kind: &'static str,
    id: String,
    lookup: Option<String>,
    expires: Option<Timestamp>,
    body: Result<serde_json::Value, serde_json::Error>,
    expect: u64,
}

impl Change {
    /// A new object: it must not exist yet.
    pub fn create<T: Kept>(object: &T) -> Self {
        Self::at(object, 0)
    }

    fn at<T: Kept>(object: &T, expect: u64) -> Self {
        Self {
            kind: T::KIND,
            id: object.id().to_owned(),
            lookup: object.lookup(),
            expires: object.expires(),
            body: serde_json::to_value(object),
            expect,
        }
    }
}

impl<T: Kept> Stored<T> {
    /// The next version of what was read.
    pub fn next(&self, changed: &T) -> Change {
        Change::at(changed, self.version)
    }
}

/// Why the register did not do it.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    /// Somebody else was faster: read again.
    #[error("the record moved meanwhile: {0}")]
    Moved(String),
    /// The register says no.
    #[error(transparent)]
    Store(StoreError),
    /// A record that cannot be read or written as what it should be.
    #[error("the {kind} record {id} is not readable: {source}")]
    Broken {
        /// Its kind.
        kind: String,
        /// Its id.
        id: String,
        /// Why.
        source: serde_json::Error,
    },
}

impl From<StoreError> for DeskError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict(what) => Self::Moved(what),
            other => Self::Store(other),
        }
    }
}

impl From<DeskError> for Problem {
    fn from(error: DeskError) -> Self {
        match error {
            DeskError::Moved(_) => {
                let says = "other requests changed the object while this one was at work: look at it, and try again";
                Self::malformed(says).with_status(409).retry_after(1)
            }
            DeskError::Store(error) => store_problem(&error),
            DeskError::Broken { .. } => {
                tracing::error!(%error, "a record of the register cannot be read");
                Self::new(ErrorKind::ServerInternal, "a record of the register cannot be read")
            }
        }
    }
}

/// What a client is told when the register fails; the operator gets the chain.
pub fn store_problem(error: &StoreError) -> Problem {
    match error {
        StoreError::Busy { retry_after_secs } => Problem::unavailable("the register is busy", *retry_after_secs),
        StoreError::Unavailable(_)
        | StoreError::Full(_)
        | StoreError::Token(_)
        | StoreError::Target(_)
        | StoreError::Unshown(_)
        | StoreError::Late { .. }
        | StoreError::Closed => {
            tracing::warn!(%error, "the register is unavailable");
            Problem::unavailable("the register is unavailable", UNAVAILABLE_RETRY_SECS)
        }
        StoreError::Held(_) => {
            tracing::warn!(%error, "nothing is written");
            Problem::held(store::HELD, None)
        }
        StoreError::Clock(held) => {
            tracing::warn!(%error, "nothing is written while the clock is not believed");
            Problem::held(held.to_string(), Some(CLOCK_RETRY_SECS))
        }
        StoreError::Unknown(_)
        | StoreError::Conflict(_)
        | StoreError::Duplicate(_)
        | StoreError::NotFound(_)
        | StoreError::Invalid(_)
        | StoreError::Altered(_)
        | StoreError::Corrupt(_)
        | StoreError::Database(_)
        | StoreError::Taken { .. } => {
            tracing::error!(%error, "the register failed");
            Problem::new(ErrorKind::ServerInternal, "the register failed")
        }
    }
}

const UNAVAILABLE_RETRY_SECS: u32 = 10;
/// A clock is set right by a person or by NTP, neither of them at once.
const CLOCK_RETRY_SECS: u32 = 60;

/// The register, for this room's objects.
#[derive(Clone)]
pub struct Desk {
    ledger: Ledger,
    owner: String,
}

impl Desk {
    /// Writes in this owner's name.
    pub fn new(ledger: Ledger, owner: &policy::Owner) -> Self {
        Self { ledger, owner: owner.as_str().to_owned() }
    }

    /// The newest version.
    pub async fn get<T: Kept>(&self, id: &str) -> Result<Option<Stored<T>>, DeskError> {
        match self.ledger.record_get(T::KIND, id).await? {
            Some(record) => read(record).map(Some),
            None => Ok(None),
        }
    }

    /// The newest versions under a second key, in the order of their ids.
    pub async fn find<T: Kept>(
        &self,
        lookup: String,
        after: Option<String>,
        limit: usize,
    ) -> Result<Vec<Stored<T>>, DeskError> {
        let filter = RecordFilter { lookup: Some(lookup), after, limit, ..RecordFilter::default() };
        self.ledger.record_list(T::KIND, filter).await?.into_iter().map(read).collect()
    }

    /// Writes all or nothing, durably.
    pub async fn write(&self, actor: &Actor, changes: Vec<Change>) -> Result<(), DeskError> {
        self.ledger.record(self.records(actor, changes)?).await?;
        Ok(())
    }

    /// The same for changes that take a right away: no clock holds them back.
    pub async fn withdraw(&self, actor: &Actor, changes: Vec<Change>) -> Result<(), DeskError> {
        self.ledger.withdraw(self.records(actor, changes)?).await?;
        Ok(())
    }

    fn records(&self, actor: &Actor, changes: Vec<Change>) -> Result<Vec<Record>, DeskError> {
        let stamp = ActorStamp::from(actor);
        let record = |change: Change| {
            let broken = |source| DeskError::Broken { kind: change.kind.to_owned(), id: change.id.clone(), source };
            Ok(Record {
                kind: change.kind,
                body: change.body.map_err(broken)?,
                id: change.id,
                owner: Some(self.owner.clone()),
                lookup: change.lookup,
                expires: change.expires,
                actor: stamp.clone(),
                expect: Some(change.expect),
            })
        };
        changes.into_iter().map(record).collect()
    }
}

/// Only an attested record becomes an object: what ACME decides, it decides by what a node of ours wrote.
fn read<T: Kept>(record: Attested<StoredRecord>) -> Result<Stored<T>, DeskError> {
    let record = record.into_inner();
    match serde_json::from_value(record.body) {
        Ok(object) => Ok(Stored { object, version: record.version }),
        Err(source) => Err(DeskError::Broken { kind: record.kind, id: record.id, source }),
    }
}
