//! What the log means, replayed leaf by leaf: the same fold that a node makes, and what no honest node appends.
//!
//! Bytes that hold may still lie: a node that was taken over, or a program with a fault, appends sound leaves under a good
//! seal. So each leaf is judged by those below it: does it replace the present version, does a CRL list what was revoked,
//! was whoever acted known and not yet ended, can the texts it rests on be read.
//!
//! Memory: the fold, as a node has it; beside it the API tokens, ACME accounts and login certificates alone, and 40 bytes a
//! revocation.

mod actors;
mod crls;
mod der;
mod texts;

use std::collections::BTreeSet;

use super::Report;
use crate::leaf::{Event, Leaf};
use crate::log::Hash;
use crate::sql::Cell;
use crate::truth::{Change, Fold, Version};
use actors::Actors;
use crls::Crls;
use texts::Texts;

/// What all leaves so far amount to.
#[derive(Default)]
pub(super) struct Replay {
    fold: Fold,
    crls: Crls,
    actors: Actors,
    texts: Texts,
}

/// A leaf with its row, where the row is the one that the leaf stands for.
pub(super) struct Line<'a> {
    pub index: u64,
    pub hash: &'a Hash,
    pub leaf: &'a Leaf,
    /// None: missing, altered, or a refusal's. It was found already.
    pub row: Option<&'a [Cell]>,
    /// The bytes of its object, where they are there and fit.
    pub object: Option<&'a [u8]>,
}

impl Line<'_> {
    fn place(&self) -> String {
        format!("leaf idx={} column bytes", self.index)
    }
}

impl Replay {
    /// Replays one leaf.
    pub fn line(&mut self, line: &Line<'_>, report: &mut Report) {
        self.actors.judge(line, report);
        self.texts.judge(line);
        match Change::of(line.leaf) {
            Ok(change) => self.fold_in(line, change, report),
            Err(why) => report.find("leaf", line.place(), format!("cannot be folded: {why}")),
        }
        if line.leaf.event == Event::Intend {
            self.crls.judge(line, &self.fold, report);
        }
        self.actors.learn(line, report);
        self.texts.learn(line);
    }

    /// A leaf that cannot be read was found already; what it changed cannot be known, so what rests on it is not judged.
    pub fn unreadable(&mut self) {
        self.actors.unreadable();
        self.texts.unreadable();
    }

    fn fold_in(&mut self, line: &Line<'_>, change: Change, report: &mut Report) {
        let (what, place) = match &change {
            Change::Intended { .. } => ("crl", line.place()),
            Change::Settled { .. } => ("conclusion", format!("conclusion leaf={}", line.index)),
            Change::Revoked { issuer, revoked } => {
                if self.fold.revocation(revoked.operation).is_none() {
                    self.crls.revoked(issuer, line.index, line.hash);
                }
                ("revocation", format!("revocation leaf={}", line.index))
            }
            Change::Recorded { .. } => ("record", format!("record leaf={}", line.index)),
            Change::Nothing => return,
        };
        let overruled = match &change {
            Change::Recorded { key, digest, .. } => Some((*key, Version { leaf: line.index, digest: *digest })),
            Change::Intended { .. } | Change::Settled { .. } | Change::Revoked { .. } | Change::Nothing => None,
        };
        if let Err(why) = self.fold.apply(line.index, line.hash, change) {
            report.find(what, place, why);
            if let Some((key, version)) = overruled {
                self.fold.overrule(key, version);
            }
        }
    }

    /// Whether an operation waits for its conclusion.
    pub fn is_open(&self, op: u64) -> bool {
        self.fold.is_open(op)
    }

    /// The CRLs whose bytes must be there.
    pub fn kept(&self) -> BTreeSet<u64> {
        self.fold.kept()
    }

    /// Operations that never got a conclusion, and what only the whole log can tell.
    pub fn end(self, report: &mut Report) -> Vec<u64> {
        self.texts.end(report);
        self.fold.waiting().collect()
    }
}
