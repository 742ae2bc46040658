//! A batch as rows: who gets which leaf, who is refused before anything is written.

use std::collections::{HashMap, HashSet};

use policy::Timestamp;

use super::{Item, Reply};
use crate::error::StoreError;
use crate::leaf::{Numbers, Tail};
use crate::log::{FullTile, Hash, Tree, leaf_hash};
use crate::prepare::{ConclusionRow, IntentRow, NAME_SLOTS, Op, Outcome, RecordRow, RevocationRow, Timed};
use crate::schema::{CONCLUSION, INTENT, RECORD, REVOCATION};
use crate::sql::{Sql, SqlError, Value};

/// Why a batch was not written.
#[derive(Debug)]
pub(super) enum Fault {
    /// The register refuses one of its rows.
    Row(SqlError),
    /// The disk is full or the database is away.
    Away(String),
    /// Nobody knows whether it was written.
    Unknown(String),
    /// The register is not as this node left it.
    Corrupt(String),
}

impl Fault {
    /// A failure before COMMIT: surely nothing was written.
    pub fn before(error: SqlError) -> Fault {
        match error {
            SqlError::Away(why) | SqlError::Lost(why) => Fault::Away(why),
            SqlError::Corrupt(why) => Fault::Corrupt(why),
            row @ (SqlError::Taken(_) | SqlError::Wrong(_)) => Fault::Row(row),
        }
    }

    /// What the caller of one operation is told.
    pub fn as_error(&self, op: &Op) -> StoreError {
        match (self, op) {
            (Fault::Away(why), _) => StoreError::Unavailable(why.clone()),
            (Fault::Unknown(why), _) => StoreError::Unknown(why.clone()),
            (Fault::Corrupt(why), _) => StoreError::Corrupt(why.clone()),
            (Fault::Row(SqlError::Taken(_)), Op::Intend(row)) => {
                StoreError::Duplicate(format!("serial {} of this issuer's key", hex::encode(&row.entry.serial)))
            }
            (Fault::Row(SqlError::Taken(_)), Op::Conclude(row)) => already_concluded(row.op),
            (Fault::Row(error), Op::Intend(_) | Op::Conclude(_) | Op::Refuse(..) | Op::Revoke(_))
            | (Fault::Row(error), Op::Record(_) | Op::Checkpoint(..)) => StoreError::Database(error.to_string()),
        }
    }
}

fn already_concluded(op: u64) -> StoreError {
    StoreError::Conflict(format!("operation {op} is concluded already"))
}

/// What the register knows of the operations and records a batch touches; read under the head's lock.
#[derive(Default)]
pub(super) struct Present {
    /// The present version of each record, 0 where there is none.
    versions: HashMap<(String, String), u64>,
    revoked: HashSet<u64>,
    /// The signatures of concluded operations; only asked for those that were parked.
    concluded: HashMap<u64, Option<Vec<u8>>>,
}

/// More parameters make a statement of their own per size; a batch seldom needs more than one.
const ASK_MAX: usize = 64;

impl Present {
    pub fn read(sql: &mut dyn Sql, items: &[Item]) -> Result<Present, SqlError> {
        let mut present = Present::default();
        let (mut records, mut revocations, mut parked) = (Vec::new(), Vec::new(), Vec::new());
        for item in items {
            match &item.op {
                Op::Record(rows) => records.extend(rows.iter()),
                Op::Revoke(row) => revocations.push(row.revocation.operation),
                Op::Conclude(row) if item.answer.is_none() => parked.push(row.op),
                Op::Intend(_) | Op::Conclude(_) | Op::Refuse(..) | Op::Checkpoint(..) => {}
            }
        }
        for some in records.chunks(ASK_MAX) {
            present.read_versions(sql, some)?;
        }
        for some in revocations.chunks(ASK_MAX) {
            let rows = ask(sql, "SELECT op FROM revocation WHERE op IN", some)?;
            present.revoked.extend(rows.into_iter().filter_map(|mut row| row.index().ok()));
        }
        for some in parked.chunks(ASK_MAX) {
            for mut row in ask(sql, "SELECT op, signature FROM conclusion WHERE op IN", some)? {
                if let (Ok(op), Ok(signature)) = (row.index(), row.opt_blob()) {
                    present.concluded.insert(op, signature);
                }
            }
        }
        Ok(present)
    }

    fn read_versions(&mut self, sql: &mut dyn Sql, rows: &[&RecordRow]) -> Result<(), SqlError> {
        let asked = rows.len().next_power_of_two();
        let pairs: Vec<String> = (0..asked).map(|at| format!("(${}, ${})", 2 * at + 1, 2 * at + 2)).collect();
        let text = format!(
            "SELECT kind, id, MAX(leaf) FROM record WHERE (kind, id) IN (VALUES {}) GROUP BY kind, id",
            pairs.join(", ")
        );
        let mut params = Vec::with_capacity(asked * 2);
        for row in rows.iter().cycle().take(asked) {
            params.extend([Value::Text(row.record.kind), Value::Text(&row.record.id)]);
        }
        for mut row in sql.query(&text, &params)? {
            if let (Ok(kind), Ok(id), Ok(leaf)) = (row.text(), row.text(), row.index()) {
                self.versions.insert((kind, id), leaf + 1);
            }
        }
        Ok(())
    }
}

fn ask(sql: &mut dyn Sql, select: &str, ops: &[u64]) -> Result<Vec<crate::sql::Row>, SqlError> {
    let asked = ops.len().next_power_of_two();
    let marks: Vec<String> = (1..=asked).map(|at| format!("${at}")).collect();
    let params: Vec<Value<'_>> = ops.iter().cycle().take(asked).map(|op| int(*op)).collect();
    sql.query(&format!("{select} ({})", marks.join(", ")), &params)
}

/// The rows of a batch, and what its callers will be told once they are durable.
pub(super) struct Batch<'a> {
    tree: Tree,
    present: Present,
    leaves: Vec<(u64, Hash, Vec<u8>)>,
    tiles: Vec<FullTile>,
    intents: Vec<(u64, Timestamp, &'a IntentRow)>,
    conclusions: Vec<(u64, Timestamp, &'a ConclusionRow)>,
    revocations: Vec<(u64, Timestamp, &'a RevocationRow)>,
    records: Vec<(u64, u64, Timestamp, &'a RecordRow)>,
    checkpoints: Vec<(u64, &'a str)>,
}

impl<'a> Batch<'a> {
    pub fn new(tree: Tree, present: Present) -> Batch<'a> {
        Batch {
            tree,
            present,
            leaves: Vec::new(),
            tiles: Vec::new(),
            intents: Vec::new(),
            conclusions: Vec::new(),
            revocations: Vec::new(),
            records: Vec::new(),
            checkpoints: Vec::new(),
        }
    }

    /// Gives an operation its leaves with this time, or refuses it.
    pub fn take(&mut self, op: &'a Op, at: Timestamp) -> Result<Reply, StoreError> {
        match op {
            Op::Intend(row) => {
                let op = self.append(&row.tail_at(at), None, None);
                self.intents.push((op, at, row));
                Ok(Reply::Leaf(op, at))
            }
            Op::Conclude(row) => self.conclude(row, at),
            Op::Refuse(asked, tail) => {
                let index = match at == *asked {
                    true => self.append(tail, None, None),
                    false => self.append(&tail.restamped(at, None), None, None),
                };
                Ok(Reply::Leaf(index, at))
            }
            Op::Revoke(row) => {
                let op = row.revocation.operation;
                if !self.present.revoked.insert(op) {
                    return Err(StoreError::Conflict(format!("operation {op} is revoked already")));
                }
                let leaf = self.append(&row.tail_at(at), Some(op), None);
                self.revocations.push((leaf, at, row));
                Ok(Reply::Leaf(leaf, at))
            }
            Op::Record(rows) => self.record(rows, at),
            Op::Checkpoint(size, note) => {
                self.checkpoints.push((*size, note));
                Ok(Reply::Note(note.to_string()))
            }
        }
    }

    fn conclude(&mut self, row: &'a ConclusionRow, at: Timestamp) -> Result<Reply, StoreError> {
        if let Some(signature) = self.present.concluded.get(&row.op) {
            // A parked conclusion that had reached the disk after all.
            return match (&row.outcome, signature) {
                (Outcome::Issued(ours), Some(theirs)) if ours == theirs => Ok(Reply::Leaf(row.op, at)),
                (Outcome::Failed(_), None) => Ok(Reply::Leaf(row.op, at)),
                (Outcome::Issued(_) | Outcome::Failed(_), _) => Err(already_concluded(row.op)),
            };
        }
        let leaf = self.append(&row.tail_at(at), Some(row.op), None);
        self.conclusions.push((leaf, at, row));
        Ok(Reply::Leaf(leaf, at))
    }

    /// All versions of one call, or none.
    fn record(&mut self, rows: &'a [RecordRow], at: Timestamp) -> Result<Reply, StoreError> {
        let mut seen = HashSet::new();
        for row in rows {
            let key = (row.record.kind.to_owned(), row.record.id.clone());
            let present = self.present.versions.get(&key).copied().unwrap_or(0);
            if row.record.expect.is_some_and(|expected| expected != present) || !seen.insert(key) {
                let (kind, id) = (row.record.kind, &row.record.id);
                return Err(StoreError::Conflict(format!("{kind} {id} has version {present} now")));
            }
        }
        let mut versions = Vec::with_capacity(rows.len());
        for row in rows {
            let key = (row.record.kind.to_owned(), row.record.id.clone());
            let replaces = self.present.versions.get(&key).copied().unwrap_or(0);
            let leaf = self.append(&row.tail_at(at), None, Some(replaces));
            self.present.versions.insert(key, leaf + 1);
            self.records.push((leaf, replaces, at, row));
            versions.push(leaf + 1);
        }
        Ok(Reply::Versions(versions))
    }

    fn append(&mut self, tail: &Tail, op: Option<u64>, replaces: Option<u64>) -> u64 {
        let index = self.tree.size();
        let bytes = tail.leaf(Numbers { index, op: op.unwrap_or(index), replaces });
        let hash = leaf_hash(&bytes);
        self.tree.append(hash, &mut self.tiles);
        self.leaves.push((index, hash, bytes));
        index
    }

    /// Leaves of the log with those of the batch so far.
    pub fn size(&self) -> u64 {
        self.tree.size()
    }

    /// The first leaf of the batch, by which it can be recognised later.
    pub fn first_leaf(&self) -> Option<(u64, Hash)> {
        self.leaves.first().map(|(index, hash, _)| (*index, *hash))
    }

    pub fn is_empty(&self) -> bool {
        self.leaves.is_empty() && self.checkpoints.is_empty()
    }

    pub fn into_tree(self) -> Tree {
        self.tree
    }

    /// Writes all rows. The order does not matter: they become visible together or not at all.
    pub fn write(&self, sql: &mut dyn Sql, in_force: Timestamp) -> Result<(), SqlError> {
        let mut values = Vec::with_capacity(self.leaves.len() * 3);
        for (index, hash, bytes) in &self.leaves {
            values.extend([int(*index), Value::Blob(hash), Value::Blob(bytes)]);
        }
        sql.insert("INSERT INTO leaf (idx, hash, bytes)", 3, &values)?;
        self.write_intents(sql)?;
        let mut values = Vec::with_capacity(self.conclusions.len() * CONCLUSION.columns.len());
        for (leaf, at, row) in &self.conclusions {
            values.extend([int(*leaf), int(row.op)]);
            values.extend(row.values(*at));
        }
        sql.insert(CONCLUSION.insert(), CONCLUSION.columns.len(), &values)?;
        let mut values = Vec::new();
        for (leaf, at, row) in &self.revocations {
            values.extend([int(*leaf), int(row.revocation.operation)]);
            values.extend(row.values(*at));
        }
        sql.insert(REVOCATION.insert(), REVOCATION.columns.len(), &values)?;
        let mut values = Vec::new();
        for (leaf, replaces, at, row) in &self.records {
            values.extend([int(*leaf), int(*replaces)]);
            values.extend(row.values(*at));
        }
        sql.insert(RECORD.insert(), RECORD.columns.len(), &values)?;
        self.write_log(sql, in_force)
    }

    fn write_intents(&self, sql: &mut dyn Sql) -> Result<(), SqlError> {
        let mut values = Vec::with_capacity(self.intents.len() * INTENT.columns.len());
        let mut names = Vec::with_capacity(self.intents.len() * 2);
        for (op, at, row) in &self.intents {
            values.push(int(*op));
            values.extend(row.values(*at));
            for (at, name) in row.entry.names.iter().enumerate() {
                names.extend([int(op * NAME_SLOTS + at as u64), Value::Text(name)]);
            }
        }
        sql.insert(INTENT.insert(), INTENT.columns.len(), &values)?;
        sql.insert("INSERT INTO name (slot, name)", 2, &names)
    }

    fn write_log(&self, sql: &mut dyn Sql, in_force: Timestamp) -> Result<(), SqlError> {
        let mut values = Vec::new();
        for tile in &self.tiles {
            values.extend([
                Value::Int(tile.level.into()),
                int(tile.n),
                Value::Blob(&tile.hashes),
                Value::Blob(&tile.root),
            ]);
        }
        sql.insert("INSERT INTO tile (level, n, hashes, root)", 4, &values)?;
        for (size, note) in &self.checkpoints {
            let row = [int(*size), Value::Text(note)];
            // Another node may have signed the same head: both notes are true, the first stays.
            sql.execute("INSERT INTO checkpoint (size, note) VALUES ($1, $2) ON CONFLICT (size) DO NOTHING", &row)?;
        }
        if self.leaves.is_empty() {
            return Ok(());
        }
        let edge = self.tree.edge().concat();
        let head = [int(self.tree.size()), Value::Blob(&edge), Value::Int(in_force.unix()), Value::Int(1)];
        sql.execute("UPDATE head SET size = $1, edge = $2, time = $3 WHERE id = $4", &head).map(drop)
    }
}

/// Indexes stay far below 2^63: at 30,000 a second, for ten million years.
pub(super) fn int(n: u64) -> Value<'static> {
    Value::Int(i64::try_from(n).unwrap_or(i64::MAX))
}
