//! What the auditor brings, and what it says.

use super::kept::Kept;
use crate::clock::word::Word;
use crate::derived::Wrong;

/// What the auditor brings from elsewhere.
#[derive(Clone, Debug, Default)]
pub struct Pins {
    /// A checkpoint saved earlier, on another host.
    pub checkpoint: Option<String>,
    /// The log's verifier key string.
    pub verifier_key: Option<String>,
    /// What the node itself kept outside the database.
    pub kept: Vec<Kept>,
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
    /// The class: `leaf`, `time`, `tile`, `head`, `checkpoint`, `intent`, `batch`, `object`, `conclusion`, `revocation`, `record`, `name`, `place`,
    /// `card`, `open`, `renewal`, `expiring`, `present`, `migration`, `signature`, `key`, `file`; of what the log means: `actor`, `crl`,
    /// `text`.
    pub what: &'static str,
    /// Which row or leaf, and which column where that can be told: `intent op=17 column serial`.
    pub where_: String,
    /// What is wrong with it.
    pub says: String,
}

/// Lists in a report stop here; the totals go on.
pub(super) const LISTED_MAX: usize = 1_000;

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
    /// Certificates that other programs signed and the register took in; none of them counts as signed here.
    pub imported: u64,
    /// Checkpoints checked.
    pub checkpoints: u64,
    /// Leaves after the newest good checkpoint: nothing signed vouches for them. A running service signs within a second or
    /// two; many of them, or all, mean that the token was away, or that somebody rewrote the tail and took its checkpoints away.
    pub unsigned: u64,
    /// The log's root over all leaves, hexadecimal.
    pub root: String,
    /// How often an operator set the time in force: not findings, but worth the question why.
    pub times_set: u64,
    /// How often a node went on by an operator's word after it had stopped: as often entries may have been lost.
    pub resumptions: u64,
    /// What operators said, and why, in the log's order. At most 1000 are listed.
    pub words: Vec<Word>,
    /// Operations without a conclusion: not a finding, an alarm. At most 1000 are listed.
    pub unconcluded: Vec<u64>,
    /// How many operations are without a conclusion.
    pub unconcluded_total: u64,
    /// What is wrong; empty means: all is as it was written. At most 1000 are listed.
    pub findings: Vec<Finding>,
    /// How many findings there are.
    pub findings_total: u64,
}

impl Report {
    pub(super) fn find(&mut self, what: &'static str, place: impl Into<String>, says: impl Into<String>) {
        self.findings_total += 1;
        if self.findings.len() < LISTED_MAX {
            self.findings.push(Finding { what, where_: place.into(), says: says.into() });
        }
    }

    pub(super) fn find_wrong(&mut self, wrong: &Wrong) {
        for (place, says) in wrong.says() {
            self.find(wrong.of.name, place, says);
        }
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.where_, self.says)
    }
}
