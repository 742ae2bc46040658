//! Accesses: that somebody is shown what is sealed, written down before it is opened.

use policy::Timestamp;

use crate::nouns::entry::{ActorStamp, GrantStamp};
use crate::nouns::place::RecordPlace;

/// The kind of an access's leaf.
pub(crate) const ACCESS: &str = "secret";
/// So many sealed records are opened by one access, at most: its leaf names each.
pub const ACCESSED_MAX: usize = 64;

/// A sealed record and its version.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Accessed {
    /// The record's id.
    pub id: String,
    /// Its version ([`StoredRecord::version`](crate::StoredRecord::version)).
    pub version: u64,
}

/// A record by which something was judged, in the version that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// Which it is.
    pub place: RecordPlace,
    /// Its version ([`StoredRecord::version`](crate::StoredRecord::version)).
    pub version: u64,
}

/// How it comes to be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Showing {
    /// It is opened.
    Opened,
    /// It was opened before, within a lease, and was given out once more by whoever holds it.
    Leased,
}

impl Showing {
    /// As its leaf has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Showing::Opened => "opened",
            Showing::Leased => "leased",
        }
    }
}

/// What is computed with what is opened, and not shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Used {
    /// What is done: a word of the caller's own.
    pub act: &'static str,
    /// With how many things.
    pub items: u64,
    /// Under which of the versions that a key has, by their numbers: those that the request names, or the newest.
    pub versions: Vec<u32>,
}

/// So many versions are named by one access, at most.
pub const USED_VERSIONS_MAX: usize = 256;

/// What is to be shown to whom.
#[derive(Clone, Debug)]
pub struct AccessEntry {
    /// Who asks.
    pub actor: ActorStamp,
    /// What allows it.
    pub grant: GrantStamp,
    /// How.
    pub showing: Showing,
    /// Of what was leased: when it was given out first.
    pub since: Option<Timestamp>,
    /// Of what is opened: until when who is shown it may keep it. Of what was leased: when it was given out last.
    pub until: Option<Timestamp>,
    /// What: 1 to [`ACCESSED_MAX`].
    pub opened: Vec<Accessed>,
    /// By which records it was judged that it may be, beside those: as many at most. Where one has another version by the time the leaf
    /// is written, nothing is written. The leaf does not name them.
    pub judged: Vec<Judged>,
    /// What is computed with it; none where it is shown itself.
    pub used: Option<Used>,
}

/// An access that is in the log, durable: the right to open what it names. Only the ledger makes one.
///
/// ```compile_fail,E0451
/// fn forged(opened: Vec<store::Accessed>) -> store::Recorded {
///     store::Recorded { leaf: 7, opened }
/// }
/// ```
#[derive(Debug)]
pub struct Recorded {
    leaf: u64,
    opened: Vec<Accessed>,
}

impl Recorded {
    pub(crate) fn new(leaf: u64, opened: Vec<Accessed>) -> Recorded {
        Recorded { leaf, opened }
    }

    /// The index of its leaf.
    pub fn leaf(&self) -> u64 {
        self.leaf
    }

    /// Whether it is of this one.
    pub fn is_of(&self, id: &str, version: u64) -> bool {
        self.opened.iter().any(|there| there.id == id && there.version == version)
    }
}
