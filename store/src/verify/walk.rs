//! The walk over the log: leaf by leaf in order, in pages, so that memory stays flat however long the log is.

use std::collections::{BTreeMap, HashMap, HashSet};

use policy::Timestamp;

use super::checkpoints::Checkpoints;
use super::evidence::{Derived, Evidence, StoredLeaf};
use super::rows::{self, cell, table_of};
use super::signatures::{self, Job, Keys};
use super::{LISTED_MAX, Pins, Progress, Report};
use crate::clock::{self, BEFORE_ALL};
use crate::entry::Kind;
use crate::error::StoreError;
use crate::leaf::{Event, Leaf};
use crate::log::{FullTile, Hash, Tree, leaf_hash};
use crate::prepare::NAME_SLOTS;
use crate::schema::{CONCLUSION, INTENT, LEAFED, Table};
use crate::sql::Cell;

/// Leaves of a page; four bundles of a folder.
const PAGE: u64 = 1_024;
/// A CRL may be megabytes: a page ends after this many leaves that speak of one.
const LARGE_PER_PAGE: usize = 16;

/// The state of a walk.
pub(super) struct Walk<'a> {
    evidence: &'a mut dyn Evidence,
    keys: Keys,
    checkpoints: Checkpoints,
    tree: Tree,
    /// The time in force after the leaves so far.
    in_force: Timestamp,
    /// Intents without a conclusion so far: in the end, the alarm list.
    open: HashSet<u64>,
    report: Report,
}

/// A leaf that could be read.
struct Read {
    index: u64,
    leaf: Leaf,
}

type Rows = HashMap<&'static str, BTreeMap<u64, Vec<Cell>>>;

impl<'a> Walk<'a> {
    pub fn new(evidence: &'a mut dyn Evidence, pins: &Pins) -> Result<Walk<'a>, StoreError> {
        let keys = Keys::read(&evidence.keys()?);
        let checkpoints = Checkpoints::new(pins)?;
        let (tree, in_force, open, report) = (Tree::default(), BEFORE_ALL, HashSet::new(), Report::default());
        Ok(Walk { evidence, keys, checkpoints, tree, in_force, open, report })
    }

    pub fn run(mut self, progress: &mut dyn FnMut(Progress)) -> Result<Report, StoreError> {
        let total = self.evidence.size();
        self.checkpoints_here()?;
        while self.tree.size() < total {
            let from = self.tree.size();
            self.page(from, total.min(from + PAGE))?;
            progress(Progress { done: self.tree.size(), total });
        }
        self.checkpoints.end(self.evidence, total, &mut self.report)?;
        let tree = &self.tree;
        let partial = |level| tree.partial(level).concat();
        let derived = Derived { size: tree.size(), edge: tree.edge(), in_force: self.in_force, partial: &partial };
        self.evidence.rest(&derived, &mut self.report)?;
        self.report.leaves = self.tree.size();
        self.report.root = hex::encode(self.tree.root());
        self.report.unconcluded_total = self.open.len() as u64;
        self.report.unconcluded = self.open.iter().copied().collect();
        self.report.unconcluded.sort_unstable();
        self.report.unconcluded.truncate(LISTED_MAX);
        Ok(self.report)
    }

    fn page(&mut self, from: u64, to: u64) -> Result<(), StoreError> {
        let stored = self.evidence.leaves(from, to)?;
        let mut by_index: BTreeMap<u64, StoredLeaf> = BTreeMap::new();
        for leaf in stored {
            by_index.insert(u64::try_from(leaf.index).unwrap_or(u64::MAX), leaf);
        }
        let mut read = Vec::with_capacity(by_index.len());
        let (mut at, mut large) = (from, 0);
        while at < to && large < LARGE_PER_PAGE {
            if let Some(leaf) = self.leaf(at, by_index.remove(&at))? {
                large += usize::from(leaf.leaf.kind == Kind::Crl.as_str());
                read.push(leaf);
            }
            at += 1;
        }
        self.rows(from, at, &read)
    }

    /// One leaf: its hash, its place, its tile.
    fn leaf(&mut self, index: u64, stored: Option<StoredLeaf>) -> Result<Option<Read>, StoreError> {
        let place = format!("leaf idx={index}");
        let Some(stored) = stored else {
            self.report.find("leaf", format!("{place} column idx"), "the leaf is missing");
            self.append([0; 32], index)?;
            return Ok(None);
        };
        let hash = leaf_hash(&stored.bytes);
        if stored.hash.as_deref().is_some_and(|there| there != hash) {
            let says = "the column hash is not the hash of the column bytes: one of the two was changed";
            self.report.find("leaf", place.clone(), says);
        }
        self.append(hash, index)?;
        match Leaf::parse(&stored.bytes) {
            Ok(leaf) if leaf.i == index => {
                self.time(index, &leaf);
                Ok(Some(Read { index, leaf }))
            }
            Ok(leaf) => {
                let says = format!("is leaf {} by its own words: it was moved", leaf.i);
                self.report.find("leaf", format!("{place} column bytes"), says);
                Ok(None)
            }
            Err(why) => {
                self.report.find("leaf", format!("{place} column bytes"), format!("is no leaf of ours: {why}"));
                Ok(None)
            }
        }
    }

    /// Times do not go back but by an operator's word, which is counted.
    fn time(&mut self, index: u64, leaf: &Leaf) {
        self.report.times_set += u64::from(clock::is_word(leaf));
        match clock::in_force_after(self.in_force, leaf) {
            Ok(in_force) => self.in_force = in_force,
            Err(why) => self.report.find("time", format!("leaf idx={index} column bytes"), why),
        }
    }

    fn append(&mut self, hash: Hash, index: u64) -> Result<(), StoreError> {
        let mut full = Vec::new();
        self.tree.append(hash, &mut full);
        debug_assert_eq!(self.tree.size(), index + 1);
        for tile in &full {
            self.tile(tile)?;
        }
        self.checkpoints_here()
    }

    fn tile(&mut self, derived: &FullTile) -> Result<(), StoreError> {
        let place = format!("tile level={} n={}", derived.level, derived.n);
        let Some(hashes) = self.evidence.tile(derived.level, derived.n)? else {
            self.report.find("tile", place, "the full tile is missing");
            return Ok(());
        };
        if hashes != derived.hashes {
            let differs = hashes.chunks(32).zip(derived.hashes.chunks(32)).position(|(is, should)| is != should);
            let says = match differs {
                Some(at) => format!("its hash {at} is not the one the leaves derive"),
                None => "is not 256 hashes".into(),
            };
            self.report.find("tile", format!("{place} column hashes"), says);
        }
        let root = self.evidence.tile_root(derived.level, derived.n)?;
        if root.is_some_and(|root| root != derived.root) {
            self.report.find("tile", format!("{place} column root"), "is not the one the leaves derive");
        }
        Ok(())
    }

    fn checkpoints_here(&mut self) -> Result<(), StoreError> {
        let tree = &self.tree;
        self.checkpoints.at(self.evidence, &self.keys, tree.size(), || tree.root(), &mut self.report)
    }

    /// The rows of a page before their leaves, and what is left on either side.
    fn rows(&mut self, from: u64, to: u64, read: &[Read]) -> Result<(), StoreError> {
        let mut held = Rows::new();
        for table in LEAFED {
            held.insert(table.name, self.table(table, from, to)?);
        }
        self.names(from, to, held.get(INTENT.name))?;
        let mut jobs = Vec::new();
        for Read { index, leaf } in read {
            let Some(table) = table_of(leaf.event) else { continue };
            let row = held.get_mut(table.name).and_then(|rows| rows.remove(index));
            match &row {
                Some(row) => rows::check(table, row, leaf, &mut self.report),
                None => {
                    let place = format!("{} {}={index}", table.name, table.key());
                    self.report.find(table.name, place, "the row of its leaf is missing");
                }
            }
            self.follow(*index, leaf, row, &mut jobs)?;
        }
        for (table, rows) in held {
            for (key, _) in rows {
                let name = LEAFED.iter().find(|known| known.name == table).map_or("", |known| known.key());
                self.report.find(table, format!("{table} {name}={key} column {name}"), "the row has no leaf");
            }
        }
        self.signatures(jobs)
    }

    fn table(&mut self, table: &'static Table, from: u64, to: u64) -> Result<BTreeMap<u64, Vec<Cell>>, StoreError> {
        let mut by_key = BTreeMap::new();
        for row in self.evidence.rows(table, from, to)? {
            let key = match row.first() {
                Some(Cell::Int(key)) => u64::try_from(*key).unwrap_or(u64::MAX),
                _ => u64::MAX,
            };
            if by_key.insert(key, row).is_some() {
                self.report.find(table.name, format!("{} {}={key}", table.name, table.key()), "the row is there twice");
            }
        }
        Ok(by_key)
    }

    /// The life of an operation: intended, then concluded at most once; revoked only where it exists.
    fn follow(
        &mut self,
        index: u64,
        leaf: &Leaf,
        row: Option<Vec<Cell>>,
        jobs: &mut Vec<Job>,
    ) -> Result<(), StoreError> {
        match leaf.event {
            Event::Intend if leaf.op == index => drop(self.open.insert(index)),
            Event::Record | Event::Refuse if leaf.op == index => {}
            Event::Intend | Event::Record | Event::Refuse => {
                self.report.find(
                    "leaf",
                    format!("leaf idx={index} column bytes"),
                    "its operation is not its own index",
                );
            }
            Event::Conclude | Event::Fail => {
                if !self.open.remove(&leaf.op) {
                    let says = format!("operation {} has another conclusion, or was never intended", leaf.op);
                    self.report.find("conclusion", format!("conclusion leaf={index}"), says);
                } else if leaf.event == Event::Conclude {
                    let signature = match row.as_deref().and_then(|row| cell(&CONCLUSION, row, "signature")) {
                        Some(Cell::Blob(signature)) => signature.clone(),
                        _ => Vec::new(),
                    };
                    jobs.push(Job { op: leaf.op, signature, intent: None });
                }
            }
            Event::Revoke => self.revoked(index, leaf)?,
        }
        Ok(())
    }

    fn revoked(&mut self, index: u64, leaf: &Leaf) -> Result<(), StoreError> {
        let intended = if leaf.op < index { self.evidence.leaf(leaf.op)? } else { None };
        let intended = intended.and_then(|bytes| Leaf::parse(&bytes).ok());
        let ours = intended.is_some_and(|of| of.event == Event::Intend && of.serial == leaf.serial);
        if !ours {
            let says = format!("operation {} is no intent with this serial", leaf.op);
            self.report.find("revocation", format!("revocation leaf={index}"), says);
        }
        Ok(())
    }

    fn signatures(&mut self, mut jobs: Vec<Job>) -> Result<(), StoreError> {
        let ops: Vec<u64> = jobs.iter().map(|job| job.op).collect();
        let mut intents: HashMap<u64, Vec<Cell>> = HashMap::with_capacity(ops.len());
        for row in self.evidence.intents(&ops)? {
            if let Some(Cell::Int(op)) = row.first() {
                intents.insert(u64::try_from(*op).unwrap_or(u64::MAX), row);
            }
        }
        for job in &mut jobs {
            job.intent = intents.remove(&job.op);
        }
        self.report.certificates += signatures::check(&self.keys, &jobs, &mut self.report);
        Ok(())
    }

    /// The name index says what the intents say, no less and no more.
    fn names(&mut self, from: u64, to: u64, intents: Option<&BTreeMap<u64, Vec<Cell>>>) -> Result<(), StoreError> {
        let Some(names) = self.evidence.names(from, to)? else { return Ok(()) };
        let mut indexed: BTreeMap<i64, Cell> = names.into_iter().collect();
        for (op, row) in intents.into_iter().flatten() {
            let Some(Cell::Text(listed)) = cell(&INTENT, row, "names") else { continue };
            // A list that cannot be read is found by the row's digest.
            let listed: Vec<String> = serde_json::from_str(listed).unwrap_or_default();
            for (at, name) in listed.into_iter().enumerate() {
                let slot = i64::try_from(op * NAME_SLOTS + at as u64).unwrap_or(i64::MAX);
                match indexed.remove(&slot) {
                    Some(Cell::Text(there)) if there == name => {}
                    Some(_) => {
                        let place = format!("name slot={slot} column name");
                        self.report.find("name", place, format!("is not `{name}`, as its intent op={op} says"));
                    }
                    None => {
                        let says = format!("the row for `{name}` of intent op={op} is missing");
                        self.report.find("name", format!("name slot={slot}"), says);
                    }
                }
            }
        }
        for slot in indexed.into_keys() {
            self.report.find("name", format!("name slot={slot} column slot"), "no intent has this name");
        }
        Ok(())
    }
}
