//! The hashes beside batches: those of the root in the leaf, and there for as long as they have to be.

use std::collections::BTreeMap;

use policy::Timestamp;

use super::report::Report;
use super::rows::cell;
use crate::forms::leaf::{BEFORE_ALL, Leaf};
use crate::forms::schema::BATCH;
use crate::rows::hashes::{self, MISSING, NO_BATCH, held, is_batch, may_be_gone};
use crate::sql::Cell;

/// What the walk saw of them so far.
pub(super) struct Hashes {
    /// The time that the newest leaf of the source put into force, when last looked at, or a later one that the walk came by.
    latest: Timestamp,
    /// Batches whose hashes are missing, with their times, which are too young for that as far as was seen.
    missing: BTreeMap<u64, Timestamp>,
}

impl Default for Hashes {
    fn default() -> Hashes {
        Hashes { latest: BEFORE_ALL, missing: BTreeMap::new() }
    }
}

impl Hashes {
    /// A time that a leaf put into force.
    pub fn at(&mut self, time: Timestamp) {
        self.latest = self.latest.max(time);
    }

    /// The source's newest leaf, which the walk comes to later.
    pub fn newest(&mut self, leaf: Option<&[u8]>) {
        if let Some(at) = leaf.and_then(|bytes| Leaf::parse(bytes).ok()).and_then(|leaf| leaf.time.parse().ok()) {
            self.at(at);
        }
    }

    /// A leaf, and the row that bears its number, if there is one.
    pub fn look(&mut self, op: u64, leaf: &Leaf, row: Option<Vec<Cell>>, report: &mut Report) {
        let bytes = match row.as_deref().map(|row| cell(&BATCH, row, "hashes")) {
            Some(Some(Cell::Blob(bytes))) => Some(bytes.as_slice()),
            Some(Some(_) | None) => Some(&[][..]),
            None => None,
        };
        let says = match (is_batch(leaf), bytes) {
            (true, Some(bytes)) => held(leaf, bytes).err(),
            (true, None) => {
                match leaf.time.parse() {
                    Ok(at) if !may_be_gone(at, self.latest) => drop(self.missing.insert(op, at)),
                    Ok(_) | Err(_) => {}
                }
                None
            }
            (false, Some(_)) => Some(NO_BATCH),
            (false, None) => None,
        };
        if let Some(says) = says {
            report.find("batch", hashes::place(op), says);
        }
    }

    /// Rows that no leaf was read for.
    pub fn strays<'a>(ops: impl Iterator<Item = &'a u64>, report: &mut Report) {
        for op in ops {
            report.find("batch", hashes::place(*op), NO_BATCH);
        }
    }

    /// What was too young when it was seen may have gone since, while the source was written to.
    pub fn end(&mut self, report: &mut Report) {
        for (op, at) in std::mem::take(&mut self.missing) {
            if !may_be_gone(at, self.latest) {
                report.find("batch", hashes::place(op), MISSING);
            }
        }
    }
}
