//! The auditor: re-derives the whole log and everything it says of the register, from bytes alone.
//!
//! It believes nothing it reads: leaves derive the tree, the tree derives the tiles, the head and every checkpoint's root;
//! each leaf judges its row; each row's signature is checked under the key it names; what the leaves mean is replayed. What it cannot know by itself is
//! whether the register's owner keeps two of them: that takes a checkpoint saved elsewhere ([`Pins`]).

mod checkpoints;
mod database;
mod evidence;
mod folder;
mod patrol;
mod projections;
mod replay;
mod rows;
mod signatures;
mod walk;

use std::path::PathBuf;

use crate::database::Database;
use crate::error::StoreError;
use evidence::Evidence;
pub use patrol::AuditState;
pub(crate) use patrol::{NEW_TILES, Patrol, look};
use walk::Walk;

/// What is verified.
#[derive(Clone, Debug)]
pub enum Source {
    /// A register in place.
    Database(Database),
    /// An exported folder; needs no database.
    Folder(PathBuf),
}

impl From<Database> for Source {
    fn from(database: Database) -> Source {
        Source::Database(database)
    }
}

/// What the auditor brings from elsewhere.
#[derive(Clone, Debug, Default)]
pub struct Pins {
    /// A checkpoint saved earlier, on another host.
    pub checkpoint: Option<String>,
    /// The log's verifier key string.
    pub verifier_key: Option<String>,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Leaves checked.
    pub done: u64,
    /// Leaves in all.
    pub total: u64,
}

/// Something that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The class: `leaf`, `tile`, `head`, `checkpoint`, `intent`, `object`, `conclusion`, `revocation`, `record`, `name`, `place`, `card`,
    /// `open`, `renewal`, `expiring`, `present`, `migration`, `signature`, `key`, `file`; of what the log means: `actor`, `crl`,
    /// `text`.
    pub what: &'static str,
    /// Which row or leaf, and which column where that can be told: `intent op=17 column serial`.
    pub where_: String,
    /// What is wrong with it.
    pub says: String,
}

/// Lists in a report stop here; the totals go on.
const LISTED_MAX: usize = 1_000;

/// Whether it is the log that the auditor means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Identity {
    /// Its checkpoints were held against a verifier key that the auditor brought.
    Pinned,
    /// Against a key that it records itself: it is consistent with itself, and whoever wrote it all anew is not found.
    #[default]
    Unchecked,
}

impl Identity {
    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Identity::Pinned => "pinned",
            Identity::Unchecked => "unchecked",
        }
    }
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The log's name: that of the pinned key, or else what its checkpoints say; empty where there are none.
    pub origin: String,
    /// The verifier key string that checkpoints were held against: the pinned one, or else the newest that the register
    /// records; empty where there is none.
    pub key: String,
    /// Where that key comes from.
    pub identity: Identity,
    /// Leaves checked.
    pub leaves: u64,
    /// Concluded signatures checked.
    pub certificates: u64,
    /// Checkpoints checked.
    pub checkpoints: u64,
    /// Leaves after the newest good checkpoint: nothing signed vouches for them. A running service signs within a second or
    /// two; many of them, or all, mean that the token was away, or that somebody rewrote the tail and took its checkpoints away.
    pub unsigned: u64,
    /// The log's root over all leaves, hexadecimal.
    pub root: String,
    /// Operations without a conclusion: not a finding, an alarm. At most 1000 are listed.
    pub unconcluded: Vec<u64>,
    /// How many operations are without a conclusion.
    pub unconcluded_total: u64,
    /// What is wrong; empty means: all is as it was written. At most 1000 are listed.
    pub findings: Vec<Finding>,
    /// How many findings there are.
    pub findings_total: u64,
}

/// Verifies a register, against a checkpoint saved earlier where given. Blocks: call it off the async threads.
pub fn verify(
    source: impl Into<Source>,
    saved_checkpoint: Option<&str>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Report, StoreError> {
    let pins = Pins { checkpoint: saved_checkpoint.map(str::to_owned), verifier_key: None };
    verify_pinned(source, &pins, progress)
}

/// Verifies a register against everything the auditor brings. Blocks: call it off the async threads.
pub fn verify_pinned(
    source: impl Into<Source>,
    pins: &Pins,
    progress: &mut dyn FnMut(Progress),
) -> Result<Report, StoreError> {
    let mut evidence: Box<dyn Evidence> = match source.into() {
        Source::Database(database) => Box::new(database::Tables::open(&database)?),
        Source::Folder(dir) => Box::new(folder::Folder::open(&dir)?),
    };
    Walk::new(evidence.as_mut(), pins)?.run(progress)
}

impl Report {
    fn find(&mut self, what: &'static str, place: impl Into<String>, says: impl Into<String>) {
        self.findings_total += 1;
        if self.findings.len() < LISTED_MAX {
            self.findings.push(Finding { what, where_: place.into(), says: says.into() });
        }
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.where_, self.says)
    }
}
