//! Versioned records of any kind (ACME accounts, API tokens, keys): each version is a row with its own leaf.

use policy::Timestamp;

use crate::nouns::entry::ActorStamp;

/// The kind of the record that says what an operator put into force: part, hash and what changed.
pub const SETTING: &str = "setting";

/// A new version of a record.
#[derive(Clone, Debug)]
pub struct Record {
    /// Of what kind.
    pub kind: &'static str,
    /// Its name within the kind.
    pub id: String,
    /// Whose it is.
    pub owner: Option<String>,
    /// A second key to find it by (a token hash, an account's thumbprint).
    pub lookup: Option<String>,
    /// When it lapses.
    pub expires: Option<Timestamp>,
    /// What it says; at most 64 KiB as JSON. Never a secret.
    pub body: serde_json::Value,
    /// Who writes it.
    pub actor: ActorStamp,
    /// The version it replaces ([`StoredRecord::version`]); `Some(0)`: must not exist yet; `None`: whatever is there.
    pub expect: Option<u64>,
}

/// The newest version of a record.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredRecord {
    /// Of what kind.
    pub kind: String,
    /// Its name within the kind.
    pub id: String,
    /// This version: 1 + the index of its leaf, so that 0 can mean "none yet".
    pub version: u64,
    /// Whose it is.
    pub owner: Option<String>,
    /// The second key.
    pub lookup: Option<String>,
    /// When it lapses.
    pub expires: Option<Timestamp>,
    /// What it says.
    pub body: serde_json::Value,
    /// Who wrote this version.
    pub actor: ActorStamp,
    /// When.
    pub at: Timestamp,
}

/// One version of a record, and the one that it replaced.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordChange {
    /// What was written.
    pub now: StoredRecord,
    /// What was there before; none where it is the first.
    pub before: Option<StoredRecord>,
}

/// A stretch of the log, as far as it speaks of records of one kind.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RecordChanges {
    /// In the order of the log.
    pub items: Vec<RecordChange>,
    /// So many leaves of the log were looked at, from its beginning: what comes next begins there.
    pub through: u64,
}

/// Which records of a kind.
#[derive(Clone, Debug, Default)]
pub struct RecordFilter {
    /// Of this owner.
    pub owner: Option<String>,
    /// With this second key.
    pub lookup: Option<String>,
    /// With a second key above the first of these and below the other; in the order of their second keys. Without `lookup` and `after`:
    /// who wants another page takes the last second key for the first of these.
    pub between: Option<(String, String)>,
    /// Where the last page ended: the id of its last record.
    pub after: Option<String>,
    /// How many, at most 1000; 0 means 100.
    pub limit: usize,
}

impl RecordFilter {
    /// Whether a record is one of those.
    pub(crate) fn matches(&self, record: &StoredRecord) -> bool {
        let is = |wanted: &Option<String>, there: &Option<String>| wanted.is_none() || wanted == there;
        is(&self.owner, &record.owner)
            && is(&self.lookup, &record.lookup)
            && self.between.as_ref().is_none_or(|(above, below)| {
                record.lookup.as_ref().is_some_and(|lookup| above < lookup && lookup < below)
            })
            && self.after.as_ref().is_none_or(|after| record.id > *after)
    }
}
