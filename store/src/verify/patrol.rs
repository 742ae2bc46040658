//! The service's own auditor: new leaves as they come, and old ones round and round, a tile at a time, from the newest down: what
//! was done to the last rows before a start is found in its first seconds.
//!
//! What is read is held against the tree in memory, not against what the database says of itself: each leaf's bytes, the row
//! it stands for, the tile above it, the names beside it. Rows are written once, so no transaction spans the looks and no
//! reader's snapshot is held. What is found is an alarm of the node; a request that needs the row is refused by `truth` anyway.
//!
//! It does not replay meaning and checks no signatures: that is `verify`, which reads everything.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use policy::Timestamp;

use super::beside;
use super::database;
use super::report::{Finding, Report};
use super::rows::{self, table_of};
use crate::attest;
use crate::derived;
use crate::forms::leaf::Leaf;
use crate::forms::object::{self, OBJECT_SLOTS};
use crate::forms::schema::{BATCH, EXPORTED, INTENT, LEAFED};
use crate::log::{Hash, TILE_WIDTH, leaf_hash, tile_root};
use crate::nouns::error::StoreError;
use crate::queries;
use crate::rows::NAME_SLOTS;
use crate::rows::hashes;
use crate::sql::{Cell, Sql};
use crate::truth::{Node, proved_hash};

/// New leaves of one step, in tiles: a step a second keeps up with 512 issuances a second, day and night, for a hundredth of a
/// processor. What comes faster is looked at afterwards: a peak of load is not when the audit should ask for more.
pub(crate) const NEW_TILES: usize = 4;

/// Projections whose rows speak of one operation, by their keys.
const PROJECTED: [(&str, &str, u64); 3] = [("card", "op", 1), ("open", "op", 1), ("renewal", "op", 1)];

const WIDTH: u64 = TILE_WIDTH as u64;

/// How far the service's own audit is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AuditState {
    /// Leaves that came since the start, up to this one, were looked at when they came. Behind the log's size under load.
    pub newest: u64,
    /// When the present round through all leaves began.
    pub round_started: Option<Timestamp>,
    /// How many leaves this round looked at, of those that there were when it began, the newest first.
    pub round_at: u64,
    /// Every leaf and row was looked at since then, up to `newest`; none until the first round is through.
    pub all_since: Option<Timestamp>,
    /// How many findings there were, the same ones of later rounds too. Each is an alarm ([`Integrity`](crate::Integrity)).
    pub findings: u64,
}

/// Where the patrol is.
#[derive(Debug, Default)]
pub(crate) struct Patrol(Mutex<Option<Rounds>>);

#[derive(Debug, Default)]
struct Rounds {
    state: AuditState,
    /// The leaves below this one are left of the present round.
    left: u64,
}

impl Patrol {
    /// How far it is.
    pub fn state(&self) -> AuditState {
        self.held().as_ref().map(|rounds| rounds.state).unwrap_or_default()
    }

    /// The next new leaves; none where it has seen all. The first step begins at the log's end: what was there before is old.
    pub fn next_new(&self, size: u64) -> Option<Range<u64>> {
        let mut held = self.held();
        let begin = || Rounds { state: AuditState { newest: size, ..AuditState::default() }, left: 0 };
        let newest = held.get_or_insert_with(begin).state.newest;
        (newest < size).then(|| newest..size.min((newest / WIDTH + 1) * WIDTH))
    }

    /// The next old leaves, which are the newest that the round has not looked at; none where the log is empty.
    pub fn next_old(&self, size: u64, now: Timestamp) -> Option<Range<u64>> {
        let mut held = self.held();
        let Rounds { state, left } = held.get_or_insert_default();
        if state.round_started.is_some() && *left == 0 {
            (state.all_since, state.round_started) = (state.round_started, None);
        }
        if state.round_started.is_none() {
            (state.round_started, state.round_at, *left) = (Some(now), 0, size);
        }
        (*left > 0).then(|| (*left - 1) / WIDTH * WIDTH..*left)
    }

    /// New leaves were looked at.
    pub fn seen_new(&self, to: u64, findings: u64) {
        let mut held = self.held();
        let state = &mut held.get_or_insert_default().state;
        (state.newest, state.findings) = (state.newest.max(to), state.findings + findings);
    }

    /// Old leaves were looked at.
    pub fn seen_old(&self, seen: Range<u64>, findings: u64) {
        let mut held = self.held();
        let Rounds { state, left } = held.get_or_insert_default();
        state.findings += findings;
        if seen.end == *left {
            state.round_at += seen.end - seen.start;
            *left = seen.start;
        }
    }

    fn held(&self) -> MutexGuard<'_, Option<Rounds>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks at leaves of one tile, which this node knows; answers what it found.
pub(crate) fn look(node: &Node, sql: &mut dyn Sql, range: Range<u64>) -> Result<Vec<Finding>, StoreError> {
    let mut report = Report::default();
    let mut stored: HashMap<u64, _> = HashMap::new();
    for leaf in database::leaves(sql, range.start, range.end)? {
        stored.insert(u64::try_from(leaf.index).unwrap_or(u64::MAX), leaf);
    }
    let (mut leaves, mut hashes) = (BTreeMap::new(), Vec::new());
    for at in range.clone() {
        let Some(leaf) = stored.remove(&at) else {
            report.find("leaf", format!("leaf idx={at} column idx"), "the leaf is missing");
            hashes.push([0; 32]);
            continue;
        };
        let hash = leaf_hash(&leaf.bytes);
        if leaf.hash.as_deref() != Some(&hash[..]) {
            report.find("leaf", format!("leaf idx={at}"), "the column hash is not the hash of the column bytes");
        }
        if let Ok(leaf) = Leaf::parse(&leaf.bytes) {
            leaves.insert(at, leaf);
        }
        hashes.push(hash);
    }
    in_the_tree(node, sql, range.start, &hashes, &mut leaves, &mut report)?;
    stands_for(sql, range.clone(), &leaves, &mut report)?;
    batches(node, sql, range.clone(), &leaves, &mut report)?;
    objects(node, sql, range.clone(), &mut report)?;
    beside::look(node, sql, range.clone(), &mut report)?;
    projections(node, sql, &range, &mut report)?;
    ends(node, sql, &mut report)?;
    for Finding { where_, says, .. } in &report.findings {
        node.alarm(where_, says);
    }
    Ok(report.findings)
}

/// Holds leaves against the tree in memory; one that is not its leaf speaks for no row. A full tile is held as a whole.
fn in_the_tree(
    node: &Node,
    sql: &mut dyn Sql,
    from: u64,
    hashes: &[Hash],
    leaves: &mut BTreeMap<u64, Leaf>,
    report: &mut Report,
) -> Result<(), StoreError> {
    if hashes.len() as u64 == WIDTH && from.is_multiple_of(WIDTH) {
        let n = from / WIDTH;
        let root = tile_root(hashes);
        if proved_hash(node, sql, 1, n)? == Ok(root) {
            let place = format!("tile level=0 n={n}");
            match database::tile(sql, 0, n)? {
                Some(there) if there == [hashes.concat(), root.to_vec()] => {}
                Some(_) => report.find("tile", place, "is not what its leaves derive"),
                None => report.find("tile", place, "the full tile is missing"),
            }
            return Ok(());
        }
    }
    for (index, hash) in (from..).zip(hashes) {
        let says = match proved_hash(node, sql, 0, index)? {
            Ok(proved) if proved == *hash => continue,
            Ok(_) => "is not the leaf in the tree that this node knows".to_owned(),
            Err(why) => why,
        };
        leaves.remove(&index);
        // A missing one was said to be missing.
        if *hash != [0; 32] {
            report.find("leaf", format!("leaf idx={index} column bytes"), says);
        }
    }
    Ok(())
}

/// Holds the rows of a range against their leaves.
fn stands_for(
    sql: &mut dyn Sql,
    range: Range<u64>,
    leaves: &BTreeMap<u64, Leaf>,
    report: &mut Report,
) -> Result<(), StoreError> {
    for table in LEAFED {
        let mut there: BTreeMap<u64, Vec<Cell>> = BTreeMap::new();
        for row in database::rows(sql, table, range.start, range.end)? {
            if let Some(Cell::Int(key)) = row.first() {
                there.insert(u64::try_from(*key).unwrap_or(u64::MAX), row);
            }
        }
        if table.name == INTENT.name {
            rows::names(database::names(sql, range.start, range.end)?, Some(&there), report);
        }
        let place = |index: &u64| format!("{} {}={index}", table.name, table.key());
        for (index, leaf) in
            leaves.iter().filter(|(_, leaf)| table_of(leaf.event).is_some_and(|t| t.name == table.name))
        {
            match there.remove(index) {
                Some(row) => drop(rows::check(table, &row, leaf, report)),
                None => report.find(table.name, place(index), "the row of its leaf is missing"),
            }
        }
        for index in there.keys().filter(|index| leaves.contains_key(index)) {
            report.find(table.name, place(index), "the row has no leaf");
        }
    }
    Ok(())
}

/// Holds the hashes of batches' messages against the roots in their leaves.
fn batches(
    node: &Node,
    sql: &mut dyn Sql,
    range: Range<u64>,
    leaves: &BTreeMap<u64, Leaf>,
    report: &mut Report,
) -> Result<(), StoreError> {
    for (op, leaf) in leaves.iter().filter(|(_, leaf)| hashes::is_batch(leaf)) {
        if let Some(says) = attest::hashes_say(node, sql, *op, leaf)? {
            report.find("batch", hashes::place(*op), says);
        }
    }
    for row in database::rows(sql, &BATCH, range.start, range.end)? {
        let Some(Cell::Int(op)) = row.first() else { continue };
        let op = u64::try_from(*op).unwrap_or(u64::MAX);
        if leaves.get(&op).is_some_and(|leaf| !hashes::is_batch(leaf)) {
            report.find("batch", hashes::place(op), hashes::NO_BATCH);
        }
    }
    Ok(())
}

/// Holds the bytes of CRLs against the digests in their intents, and finds those that belong to none. What the register keeps
/// only ever grows older and goes: an operation that the fold keeps no more is not kept again.
fn objects(node: &Node, sql: &mut dyn Sql, range: Range<u64>, report: &mut Report) -> Result<(), StoreError> {
    let slots = |op: u64| i64::try_from(op.saturating_mul(OBJECT_SLOTS)).unwrap_or(i64::MAX);
    let mut from = slots(range.start);
    while let Some(slot) = queries::object_slots(sql, from, slots(range.end))?.first() {
        let op = u64::try_from(*slot).unwrap_or(0) / OBJECT_SLOTS;
        from = slots(op + 1);
        node.follow(sql, false)?;
        // What is not kept may have gone since its slot was read.
        if !node.fold(|fold, _| fold.keeps(op)) && !queries::object_slots(sql, slots(op), from)?.is_empty() {
            report.find("object", object::place(op), "no CRL whose bytes are kept");
        }
    }
    let kept = node.fold(|fold, _| fold.kept());
    for op in kept.range(range) {
        // An intent that was deleted or altered is found by itself.
        let Ok(Some(crl)) = attest::credential(node, sql, *op) else { continue };
        let says = attest::object_says(node, sql, *op, (crl.algorithm, &crl.tbs), &mut |_| ())?;
        if let Some(says) = says.filter(|_| node.fold(|fold, _| fold.keeps(*op))) {
            report.find("object", object::place(*op), says);
        }
    }
    Ok(())
}

/// Holds what lists and the renewal ask are answered from against the rows of its operations. Between the rows and the fold somebody may
/// have written a successor: what is wrong is looked at again, by a fold that is newer than the first look and then newer than the
/// second, and is found where both say the same.
fn projections(node: &Node, sql: &mut dyn Sql, range: &Range<u64>, report: &mut Report) -> Result<(), StoreError> {
    let look = |sql: &mut dyn Sql| -> Result<Vec<_>, StoreError> {
        let wrong = derived::part(node, sql, range)?;
        Ok(wrong.iter().flat_map(|wrong| wrong.says().into_iter().map(|said| (wrong.of.name, said))).collect())
    };
    let first = look(sql)?;
    if first.is_empty() {
        return Ok(());
    }
    let again = look(sql)?;
    for (table, (place, says)) in again.into_iter().filter(|said| first.contains(said)) {
        report.find(table, place, says);
    }
    Ok(())
}

/// Rows outside the log. Whatever was committed before the look is of leaves that this node knows after following.
fn ends(node: &Node, sql: &mut dyn Sql, report: &mut Report) -> Result<(), StoreError> {
    let keyed = EXPORTED.iter().map(|table| (table.name, table.key(), 1));
    let mut outer = Vec::new();
    for (table, key, slots) in keyed.chain(PROJECTED).chain([
        ("leaf", "idx", 1),
        ("name", "slot", NAME_SLOTS),
        ("object", "slot", OBJECT_SLOTS),
        ("beside", "leaf", 1),
    ]) {
        if let Some((least, greatest)) = database::ends(sql, table, key)? {
            outer.push((table, key, slots, least, greatest));
        }
    }
    node.follow(sql, false)?;
    let size = node.head().size;
    for (table, key, slots, least, greatest) in outer {
        let end = size.saturating_mul(slots);
        for at in [least, greatest] {
            if !u64::try_from(at).is_ok_and(|at| at < end) {
                report.find(table, format!("{table} {key}={at} column {key}"), "the row lies outside the log");
            }
        }
    }
    Ok(())
}
