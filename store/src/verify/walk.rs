//! The walk over the log: leaf by leaf in order, in pages, so that memory stays flat however long the log is.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use policy::Timestamp;

use super::batches;
use super::checkpoints::Checkpoints;
use super::evidence::{Derived, Evidence, StoredLeaf};
use super::hashes::Hashes;
use super::replay::{Line, Replay};
use super::report::{LISTED_MAX, Pins, Progress, Report};
use super::rows::{self, cell, table_of};
use super::signatures::{self, Job, Keys};
use crate::clock;
use crate::clock::word::{RESUMPTION, Word};
use crate::forms::leaf::{BEFORE_ALL, Event, Leaf};
use crate::forms::object::{self, ObjectDigest};
use crate::forms::projection;
use crate::forms::schema::{BATCH, CONCLUSION, INTENT, LEAFED, RECORD, Table};
use crate::log::{FullTile, Hash, Tree, leaf_hash};
use crate::nouns::entry::IMPORTED;
use crate::nouns::error::StoreError;
use crate::queries;
use crate::rows::FORM_OBJECT;
use crate::sql::{Cell, Row};

/// Leaves of a page; four bundles of a folder.
const PAGE: u64 = 1_024;
/// The source is looked at again so often while it grows by more than a page during a walk; what is left is walked in one moment.
const LOOKS_MAX: usize = 16;

/// The state of a walk.
pub(super) struct Walk<'a> {
    evidence: &'a mut dyn Evidence,
    keys: Keys,
    checkpoints: Checkpoints,
    tree: Tree,
    /// What the leaves so far amount to.
    replay: Replay,
    /// The operations whose bytes lie beside their intents, and in how many chunks.
    objects: BTreeMap<u64, u64>,
    /// Those whose bytes were not there whole when they were read: a newer CRL may have taken their place meanwhile.
    doubtful: BTreeSet<u64>,
    hashes: Hashes,
    /// The time in force after them.
    in_force: Timestamp,
    report: Report,
}

/// A leaf that could be read.
struct Read {
    index: u64,
    hash: Hash,
    leaf: Leaf,
}

type Rows = HashMap<&'static str, BTreeMap<u64, Vec<Cell>>>;

impl<'a> Walk<'a> {
    pub fn new(evidence: &'a mut dyn Evidence, pins: &Pins) -> Result<Walk<'a>, StoreError> {
        let mut report = Report::default();
        let checkpoints = Checkpoints::new(pins, &mut report)?;
        let mut walk = Walk {
            keys: Keys::read(&[]),
            evidence,
            checkpoints,
            tree: Tree::default(),
            replay: Replay::default(),
            objects: BTreeMap::new(),
            doubtful: BTreeSet::new(),
            hashes: Hashes::default(),
            in_force: BEFORE_ALL,
            report,
        };
        walk.look_beside()?;
        Ok(walk)
    }

    pub fn run(mut self, progress: &mut dyn FnMut(Progress)) -> Result<Report, StoreError> {
        self.checkpoints_here()?;
        for _ in 0..LOOKS_MAX {
            self.walk(progress)?;
            self.evidence.look_again()?;
            if self.evidence.size().saturating_sub(self.tree.size()) <= PAGE {
                break;
            }
            self.look_beside()?;
        }
        self.evidence.settle()?;
        self.look_beside()?;
        self.walk(progress)?;
        let total = self.evidence.size();
        self.checkpoints.end(self.evidence, total, &mut self.report)?;
        let tree = &self.tree;
        let partial = |level| tree.partial(level).concat();
        let derived = Derived { size: tree.size(), edge: tree.edge(), in_force: self.in_force, partial: &partial };
        self.evidence.rest(&derived, &mut self.report)?;
        self.objects_kept();
        self.hashes.end(&mut self.report);
        self.report.leaves = self.tree.size();
        self.report.root = hex::encode(self.tree.root());
        self.report.unconcluded = self.replay.end(&mut self.report);
        self.report.unconcluded_total = self.report.unconcluded.len() as u64;
        self.report.unconcluded.truncate(LISTED_MAX);
        Ok(self.report)
    }

    /// What lies beside the leaves that there are by now: a key is recorded before it signs, bytes are written with their intent.
    fn look_beside(&mut self) -> Result<(), StoreError> {
        self.keys = Keys::read(&self.evidence.keys()?);
        self.objects = self.evidence.objects()?;
        let newest = self.evidence.size().checked_sub(1).map_or(Ok(None), |index| self.evidence.leaf(index))?;
        self.hashes.newest(newest.as_deref());
        Ok(())
    }

    /// As far as the source was, when last looked at.
    fn walk(&mut self, progress: &mut dyn FnMut(Progress)) -> Result<(), StoreError> {
        let total = self.evidence.size();
        while self.tree.size() < total {
            let from = self.tree.size();
            self.page(from, total.min(from + PAGE))?;
            progress(Progress { done: self.tree.size(), total });
        }
        Ok(())
    }

    fn page(&mut self, from: u64, to: u64) -> Result<(), StoreError> {
        let stored = self.evidence.leaves(from, to)?;
        let mut by_index: BTreeMap<u64, StoredLeaf> = BTreeMap::new();
        for leaf in stored {
            by_index.insert(u64::try_from(leaf.index).unwrap_or(u64::MAX), leaf);
        }
        let mut read = Vec::with_capacity(by_index.len());
        for at in from..to {
            read.extend(self.leaf(at, by_index.remove(&at))?);
        }
        self.rows(from, to, &read)
    }

    /// One leaf: its hash, its place, its tile.
    fn leaf(&mut self, index: u64, stored: Option<StoredLeaf>) -> Result<Option<Read>, StoreError> {
        let place = format!("leaf idx={index}");
        let Some(stored) = stored else {
            self.report.find("leaf", format!("{place} column idx"), "the leaf is missing");
            self.replay.unreadable();
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
                Ok(Some(Read { index, hash, leaf }))
            }
            Ok(leaf) => {
                let says = format!("is leaf {} by its own words: it was moved", leaf.i);
                self.report.find("leaf", format!("{place} column bytes"), says);
                self.replay.unreadable();
                Ok(None)
            }
            Err(why) => {
                self.report.find("leaf", format!("{place} column bytes"), format!("is no leaf of ours: {why}"));
                self.replay.unreadable();
                Ok(None)
            }
        }
    }

    /// Times do not go back but by an operator's word, which is counted.
    fn time(&mut self, index: u64, leaf: &Leaf) {
        self.report.times_set += u64::from(clock::is_word(leaf));
        match clock::in_force_after(self.in_force, leaf) {
            Ok(in_force) => {
                self.in_force = in_force;
                self.hashes.at(in_force);
            }
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
        let mut hashes = self.table(&BATCH, from, to)?;
        let mut jobs = Vec::new();
        for Read { index, hash, leaf } in read {
            let row = table_of(leaf.event).and_then(|table| held.get_mut(table.name)?.remove(index));
            let holds = match (table_of(leaf.event), &row) {
                (Some(table), Some(row)) => rows::check(table, row, leaf, &mut self.report),
                (Some(table), None) => {
                    let place = format!("{} {}={index}", table.name, table.key());
                    self.report.find(table.name, place, "the row of its leaf is missing");
                    false
                }
                (None, _) => false,
            };
            self.life(*index, leaf, row.as_deref(), &mut jobs)?;
            self.hashes.look(*index, leaf, hashes.remove(index), &mut self.report);
            let row = row.as_deref().filter(|_| holds);
            self.word(leaf, row)?;
            let object = self.object(*index, row)?;
            let line = Line { index: *index, hash, leaf, row, object: object.as_deref() };
            self.replay.line(&line, &mut self.report);
        }
        Hashes::strays(hashes.keys(), &mut self.report);
        for (table, rows) in held {
            for (key, _) in rows {
                let name = LEAFED.iter().find(|known| known.name == table).map_or("", |known| known.key());
                self.report.find(table, format!("{table} {name}={key} column {name}"), "the row has no leaf");
            }
        }
        self.signatures(jobs)
    }

    /// What an operator said, and why.
    fn word(&mut self, leaf: &Leaf, row: Option<&[Cell]>) -> Result<(), StoreError> {
        if leaf.event != Event::Record || !Word::is(&leaf.kind) {
            return Ok(());
        }
        self.report.resumptions += u64::from(leaf.kind == RESUMPTION);
        // As readers of records ask for them: without the version that it replaces.
        let replaces = RECORD.position("replaces");
        let cells = |row: &[Cell]| {
            let cells = row.iter().enumerate().filter(|(at, _)| Some(*at) != replaces);
            cells.map(|(_, cell)| cell.clone()).collect()
        };
        if let Some(row) = row.filter(|_| self.report.words.len() < LISTED_MAX) {
            self.report.words.extend(Word::of(queries::record_of(Row::new(cells(row)))?));
        }
        Ok(())
    }

    /// The bytes beside an intent, where they are there and are those of its digest.
    fn object(&mut self, op: u64, row: Option<&[Cell]>) -> Result<Option<Vec<u8>>, StoreError> {
        let (Some(row), Some(chunks)) = (row, self.objects.get(&op)) else { return Ok(None) };
        let column = |name| cell(&INTENT, row, name);
        let (Some(Cell::Text(form)), Some(Cell::Text(algorithm)), Some(Cell::Blob(digest))) =
            (column("form"), column("algorithm"), column("message"))
        else {
            return Ok(None);
        };
        let Some(algorithm) = algorithm.parse().ok().filter(|_| form == FORM_OBJECT) else { return Ok(None) };
        let bytes = self.evidence.object(op, *chunks)?;
        let mut read = ObjectDigest::of(algorithm);
        read.update(bytes.as_deref().unwrap_or_default());
        if bytes.is_some() && read.is(digest) {
            return Ok(bytes);
        }
        self.doubtful.insert(op);
        Ok(None)
    }

    /// The register keeps the bytes of the newest CRLs, all of them and no others.
    fn objects_kept(&mut self) {
        let kept = self.replay.kept();
        for op in kept.iter().filter(|op| !self.objects.contains_key(op)) {
            self.report.find("object", object::place(*op), "the bytes of this CRL are missing");
        }
        for op in self.doubtful.iter().filter(|op| self.objects.contains_key(op)) {
            self.report.find("object", object::place(*op), "its bytes are not those of its intent's digest");
        }
        for op in self.objects.keys().filter(|op| !kept.contains(op)) {
            self.report.find("object", object::place(*op), "no CRL whose bytes are kept");
        }
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

    /// The life of an operation: intended, then concluded at most once (the fold says so); revoked only where it exists.
    fn life(&mut self, index: u64, leaf: &Leaf, row: Option<&[Cell]>, jobs: &mut Vec<Job>) -> Result<(), StoreError> {
        match leaf.event {
            Event::Intend if leaf.op == index => {
                if let Err(why) = batches::intended(leaf, row) {
                    self.report.find("intent", format!("intent op={index}"), why);
                }
                self.renews(index, leaf, row)?;
            }
            Event::Record | Event::Refuse | Event::Access if leaf.op == index => {}
            Event::Import if leaf.op == index => {
                self.report.imported += 1;
                if leaf.outcome.as_deref() != Some(IMPORTED) {
                    self.report.find(
                        "intent",
                        format!("intent op={index}"),
                        "its leaf does not say that it was imported",
                    );
                }
                jobs.push(Job { op: index, signature: Vec::new(), intent: None, object: None });
            }
            Event::Intend | Event::Record | Event::Refuse | Event::Import | Event::Access => {
                self.report.find(
                    "leaf",
                    format!("leaf idx={index} column bytes"),
                    "its operation is not its own index",
                );
            }
            Event::Conclude if batches::is_batch(leaf) || leaf.signed.is_some() => {
                let intended = if leaf.op < index { self.evidence.leaf(leaf.op)? } else { None };
                let intended = intended.and_then(|bytes| Leaf::parse(&bytes).ok());
                if let Err(why) = batches::concluded(leaf, row, intended.as_ref()) {
                    self.report.find("conclusion", format!("conclusion leaf={index}"), why);
                }
            }
            Event::Conclude if self.replay.is_open(leaf.op) => {
                let signature = match row.and_then(|row| cell(&CONCLUSION, row, "signature")) {
                    Some(Cell::Blob(signature)) => signature.clone(),
                    _ => Vec::new(),
                };
                jobs.push(Job { op: leaf.op, signature, intent: None, object: None });
            }
            Event::Conclude | Event::Fail => {}
            Event::Revoke => self.revoked(index, leaf)?,
        }
        Ok(())
    }

    /// A successor says in its leaf what it says in its details: the certificate it renews, by number and serial, with its end.
    fn renews(&mut self, index: u64, leaf: &Leaf, row: Option<&[Cell]>) -> Result<(), StoreError> {
        let details = match row.and_then(|row| cell(&INTENT, row, "details")) {
            Some(Cell::Text(details)) => serde_json::from_str(details).unwrap_or_default(),
            _ => return Ok(()),
        };
        let by_row = projection::renews(&details);
        let older = match &leaf.renews {
            None if by_row.is_none() => return Ok(()),
            Some(renews) if renews.op < index => self.evidence.intent(renews.op)?.map(|row| (row, &renews.until)),
            Some(_) | None => None,
        };
        let fits = older.is_some_and(|(older, until)| {
            let until = Timestamp::parse_rfc3339(until).map_or(Cell::Null, |at| Cell::Int(at.unix()));
            let column = |name| cell(&INTENT, &older, name);
            by_row.is_some_and(|serial| column("serial") == Some(&Cell::Blob(serial)))
                && column("kind") == Some(&Cell::Text(leaf.kind.clone()))
                && column("not_after") == Some(&until)
        });
        if !fits {
            let says = "its leaf and its details do not name one certificate that it renews, with that one's end";
            self.report.find("intent", format!("intent op={index}"), says);
        }
        Ok(())
    }

    /// A revocation says of its credential what the intent says: CRLs are made of nothing else.
    fn revoked(&mut self, index: u64, leaf: &Leaf) -> Result<(), StoreError> {
        let place = format!("revocation leaf={index}");
        if leaf.op == index {
            // Of a certificate that the register lost: there is nothing else that speaks of it.
            return Ok(());
        }
        let intended = if leaf.op < index { self.evidence.leaf(leaf.op)? } else { None };
        let intended = intended.and_then(|bytes| Leaf::parse(&bytes).ok());
        let same = |of: &Leaf| of.serial == leaf.serial && of.issuer == leaf.issuer && of.kind == leaf.kind;
        // What was said before of a certificate that the register lost.
        let is_of_lost = |of: &Leaf| of.event == Event::Revoke && of.op == leaf.op && of.op == of.i;
        match intended.filter(|of| same(of)) {
            Some(of) if matches!(of.event, Event::Intend | Event::Import) => {}
            Some(of) if is_of_lost(&of) => return Ok(()),
            Some(_) | None => {
                let says = format!("operation {} is no intent of this kind, issuer and serial", leaf.op);
                self.report.find("revocation", place, says);
                return Ok(());
            }
        }
        let row = self.evidence.intent(leaf.op)?;
        let Some(row) = row else { return Ok(()) };
        let subject = leaf.subject.as_deref().and_then(|hash| hex::decode(hash).ok()).map(Cell::Blob);
        let until = leaf.until.as_deref().and_then(|at| Timestamp::parse_rfc3339(at).ok());
        let until = until.map_or(Cell::Null, |at| Cell::Int(at.unix()));
        let fits = cell(&INTENT, &row, "subject_key_hash") == subject.as_ref()
            && cell(&INTENT, &row, "not_after") == Some(&until);
        if !fits {
            self.report.find("revocation", place, format!("its key or its end is not that of operation {}", leaf.op));
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
            if job.wants_object() {
                job.object = self.objects.get(&job.op).map_or(Ok(None), |n| self.evidence.object(job.op, *n))?;
            }
        }
        jobs.retain(|job| !job.wants_object() || job.object.is_some());
        self.report.certificates += signatures::check(&self.keys, &jobs, &mut self.report);
        Ok(())
    }

    fn names(&mut self, from: u64, to: u64, intents: Option<&BTreeMap<u64, Vec<Cell>>>) -> Result<(), StoreError> {
        if let Some(names) = self.evidence.names(from, to)? {
            rows::names(names, intents, &mut self.report);
        }
        Ok(())
    }
}
