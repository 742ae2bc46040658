//! A batch as rows: who gets which leaf, who is refused before anything is written.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use hsm::Message;
use policy::Timestamp;

use super::item::{Item, Reply};
use super::keywords;
use super::projections::{self, Tally};
use super::wards;
use crate::forms::leaf::{Numbers, Tail};
use crate::forms::object::{OBJECT_SLOTS, Object};
use crate::forms::projection::Pile;
use crate::forms::schema::{BATCH, CONCLUSION, INTENT, RECORD, REVOCATION};
use crate::log::{FullTile, Hash, Tree, leaf_hash};
use crate::nouns::beside::Beside;
use crate::nouns::error::StoreError;
use crate::nouns::sealed::{SEALED, Under};
use crate::nouns::shard::Shard;
use crate::queries;
use crate::rows::hashes;
use crate::rows::{
    AccessRow, ConclusionRow, ImportRow, IntentRow, NAME_SLOTS, Op, Outcome, RecordRow, RevocationRow, Timed,
};
use crate::sql::{Sql, SqlError, Value};
use crate::truth::{Change, CrlFold, Node, RecordKey, scope};

/// Why a batch was not written.
#[derive(Debug)]
pub(super) enum Fault {
    /// The register refuses one of its rows.
    Row(SqlError),
    /// The database is away.
    Away(String),
    /// The disk is full.
    Full(String),
    /// Nobody knows whether it was written.
    Unknown(String),
    /// The file is not what the engine wrote.
    Corrupt(String),
    /// The log is not an extension of what this node knows.
    Held(String),
}

impl Fault {
    /// A failure before COMMIT: surely nothing was written.
    pub fn before(error: SqlError) -> Fault {
        match error {
            SqlError::Away(why) | SqlError::Lost(why) | SqlError::Missing(why) => Fault::Away(why),
            SqlError::Full(why) => Fault::Full(why),
            late @ SqlError::Late(_) => Fault::Away(late.to_string()),
            SqlError::Corrupt(why) => Fault::Corrupt(why),
            row @ (SqlError::Taken(_) | SqlError::Unfit(_) | SqlError::Wrong(_)) => Fault::Row(row),
        }
    }

    /// What the caller of one operation is told.
    pub fn as_error(&self, op: &Op) -> StoreError {
        match (self, op) {
            (Fault::Away(why), _) => StoreError::Unavailable(why.clone()),
            (Fault::Full(why), _) => StoreError::Full(why.clone()),
            (Fault::Unknown(why), _) => StoreError::Unknown(why.clone()),
            (Fault::Corrupt(why), _) => StoreError::Corrupt(why.clone()),
            (Fault::Held(why), _) => StoreError::Held(why.clone()),
            (Fault::Row(SqlError::Taken(_)), Op::Intend(row)) => {
                StoreError::Duplicate(format!("serial {} of this issuer's key", hex::encode(&row.entry.serial)))
            }
            (Fault::Row(SqlError::Taken(_)), Op::Import(_)) => {
                StoreError::Duplicate("a serial of one of them is there already".into())
            }
            (Fault::Row(SqlError::Taken(_)), Op::Conclude(row)) => already_concluded(row.op),
            (Fault::Row(SqlError::Unfit(why)), _) => StoreError::Invalid(why.clone()),
            (Fault::Row(error), Op::Intend(_) | Op::Conclude(_) | Op::Refuse(..) | Op::Revoke(_) | Op::Access(_))
            | (Fault::Row(error), Op::Record(_) | Op::Import(_) | Op::Checkpoint(..)) => {
                StoreError::Database(error.to_string())
            }
        }
    }
}

fn already_concluded(op: u64) -> StoreError {
    StoreError::Conflict(format!("operation {op} is concluded already"))
}

/// The signatures of concluded operations: asked only for conclusions that were parked, which may be there after all.
pub(super) type Concluded = HashMap<u64, Option<Vec<u8>>>;

/// Reads them, under the head's lock.
pub(super) fn concluded(sql: &mut dyn Sql, items: &[Item]) -> Result<Concluded, SqlError> {
    let parked = |item: &Item| match &item.op {
        Op::Conclude(row) if item.answer.is_none() => Some(row.op),
        Op::Conclude(_) | Op::Intend(_) | Op::Refuse(..) | Op::Revoke(_) | Op::Import(_) => None,
        Op::Record(_) | Op::Access(_) | Op::Checkpoint(..) => None,
    };
    let parked: Vec<u64> = items.iter().filter_map(parked).collect();
    let mut concluded = Concluded::new();
    for mut row in projections::ask(sql, "SELECT op, signature FROM conclusion WHERE op IN", &parked, "")? {
        if let (Ok(op), Ok(signature)) = (row.index(), row.opt_blob()) {
            concluded.insert(op, signature);
        }
    }
    Ok(concluded)
}

/// What a node believes once a batch is durable.
#[derive(Debug)]
pub(super) struct Belief {
    pub first: u64,
    pub tree: Tree,
    pub leaves: Vec<(Hash, Change)>,
    pub time: i64,
    /// In which hour somebody read a secret.
    pub read: Vec<(RecordKey, i64)>,
}

/// The rows of a batch, and what its callers will be told once they are durable.
pub(super) struct Batch<'a> {
    node: &'a Node,
    /// What this node's head was before the batch.
    first: u64,
    tree: Tree,
    concluded: Concluded,
    /// What the batch itself changed of the fold so far.
    versions: HashMap<RecordKey, u64>,
    revoked: HashSet<u64>,
    /// Of how many parts the revocations of an issuer are.
    shards: HashMap<String, u16>,
    settled: HashSet<u64>,
    crls: HashMap<String, CrlFold>,
    leaves: Vec<(u64, Hash, Vec<u8>)>,
    changes: Vec<Change>,
    tiles: Vec<FullTile>,
    intents: Vec<(u64, Timestamp, &'a IntentRow)>,
    conclusions: Vec<(u64, Timestamp, &'a ConclusionRow)>,
    revocations: Vec<(u64, Timestamp, Cow<'a, RevocationRow>)>,
    records: Vec<(u64, u64, Timestamp, &'a RecordRow)>,
    accesses: Vec<(u64, Timestamp, &'a AccessRow)>,
    checkpoints: Vec<(u64, &'a str)>,
    /// CRLs whose bytes go: a newer one is signed, or they never were.
    replaced: Vec<u64>,
}

impl<'a> Batch<'a> {
    /// A batch on top of what this node knows, which is the register's head: the caller holds its lock.
    pub fn new(node: &'a Node, concluded: Concluded) -> Batch<'a> {
        let tree = node.tree();
        Batch {
            node,
            first: tree.size(),
            tree,
            concluded,
            versions: HashMap::new(),
            revoked: HashSet::new(),
            shards: HashMap::new(),
            settled: HashSet::new(),
            crls: HashMap::new(),
            leaves: Vec::new(),
            changes: Vec::new(),
            tiles: Vec::new(),
            intents: Vec::new(),
            conclusions: Vec::new(),
            revocations: Vec::new(),
            records: Vec::new(),
            accesses: Vec::new(),
            checkpoints: Vec::new(),
            replaced: Vec::new(),
        }
    }

    /// Gives an operation its leaves with this time, or refuses it.
    pub fn take(&mut self, op: &'a Op, at: Timestamp) -> Result<Reply, StoreError> {
        match op {
            Op::Intend(row) => self.intend(row, at),
            Op::Conclude(row) => self.conclude(row, at),
            Op::Refuse(asked, tail) => {
                let index = match at == *asked {
                    true => self.append(tail, None, None, |_| Change::Nothing),
                    false => self.append(&tail.restamped(at, None), None, None, |_| Change::Nothing),
                };
                Ok(Reply::Leaf(index, at))
            }
            Op::Access(row) => self.access(row, at),
            Op::Revoke(row) => self.revoke(Cow::Borrowed(row.as_ref()), at),
            Op::Import(rows) => self.import(rows, at),
            Op::Record(rows) => self.record(rows, at),
            Op::Checkpoint(size, note) => {
                self.checkpoints.push((*size, note));
                Ok(Reply::Note(note.to_string()))
            }
        }
    }

    /// A CRL that covers less than the newest one, or has not a greater number, by whichever node, is not begun (invariant 13).
    fn intend(&mut self, row: &'a IntentRow, at: Timestamp) -> Result<Reply, StoreError> {
        if let Some(crl) = row.crl() {
            let op = self.tree.size();
            let crls = self.crls(&crl.issuer);
            crls.may_begin(&crl).map_err(StoreError::Conflict)?;
            crls.begin(op, &crl);
        }
        let op = self.append(&row.tail_at(at), None, None, |_| row.change(at));
        self.intents.push((op, at, row));
        Ok(Reply::Leaf(op, at))
    }

    /// The CRLs of a series, with what the batch itself changed of them.
    fn crls(&mut self, issuer: &str) -> &mut CrlFold {
        let node = self.node;
        self.crls.entry(scope(issuer).to_owned()).or_insert_with(|| node.fold(|fold, _| fold.crls(issuer)))
    }

    fn conclude(&mut self, row: &'a ConclusionRow, at: Timestamp) -> Result<Reply, StoreError> {
        if let Some(signature) = self.concluded.get(&row.op) {
            // A parked conclusion that had reached the disk after all.
            return match (&row.outcome, signature) {
                (Outcome::Issued(ours), Some(theirs)) if ours == theirs => Ok(Reply::Leaf(row.op, at)),
                (Outcome::Failed(_), None) => Ok(Reply::Leaf(row.op, at)),
                (Outcome::Issued(_) | Outcome::Failed(_), _) => Err(already_concluded(row.op)),
            };
        }
        let open = self.node.fold(|fold, _| fold.is_open(row.op));
        if !open || !self.settled.insert(row.op) {
            return Err(already_concluded(row.op));
        }
        let issued = matches!(row.outcome, Outcome::Issued(_));
        if let Some(issuer) = self.node.fold(|fold, _| fold.open_crl(row.op)) {
            let gone = self.crls(&issuer).settle(row.op, &issuer, issued);
            self.replaced.extend(gone);
        }
        let leaf = self.append(&row.tail_at(at), Some(row.op), None, |_| row.change());
        self.conclusions.push((leaf, at, row));
        Ok(Reply::Leaf(leaf, at))
    }

    /// What may be said of it, the fold says. One word a batch: the next is for whoever saw this one.
    fn revoke(&mut self, row: Cow<'a, RevocationRow>, at: Timestamp) -> Result<Reply, StoreError> {
        let (issuer, serial) = row.names();
        let revoked = row.revoked(self.tree.size());
        self.node.fold(|fold, _| fold.may_revoke(issuer, &revoked)).map_err(StoreError::Conflict)?;
        let of = self.shards.entry(issuer.to_owned()).or_insert(revoked.shard.map_or(1, Shard::of));
        if *of != revoked.shard.map_or(1, Shard::of) {
            return Err(StoreError::Conflict(format!("certificate {} is of another shard", hex::encode(serial))));
        }
        let again = match row.operation {
            Some(op) => !self.revoked.insert(op),
            None => self.revocations.iter().any(|(_, _, other)| other.names() == row.names()),
        };
        if again {
            return Err(StoreError::Conflict(format!("certificate {} is revoked already", hex::encode(serial))));
        }
        let leaf = self.append(&row.tail_at(at), row.operation, None, |leaf| row.change(leaf));
        self.revocations.push((leaf, at, row));
        Ok(Reply::Leaf(leaf, at))
    }

    /// Certificates that another program signed. Each is there with its end from the first moment on.
    fn import(&mut self, rows: &'a [ImportRow], at: Timestamp) -> Result<Reply, StoreError> {
        // What may be refused is refused before the first has its leaf: all or none.
        for end in rows.iter().filter_map(|row| row.end.as_ref()) {
            // An operation that no leaf has yet.
            let revoked = end.of_operation(u64::MAX).revoked(self.tree.size());
            let (issuer, _) = end.names();
            self.node.fold(|fold, _| fold.may_revoke(issuer, &revoked)).map_err(StoreError::Conflict)?;
            let of = revoked.shard.map_or(1, Shard::of);
            if *self.shards.entry(issuer.to_owned()).or_insert(of) != of {
                return Err(StoreError::Conflict("what is revoked is of another shard".to_owned()));
            }
        }
        let first = self.tree.size();
        for ImportRow { intent, end } in rows {
            let op = self.append(&intent.tail_at(at), None, None, |_| intent.change(at));
            self.intents.push((op, at, intent));
            if let Some(end) = end {
                self.revoke(Cow::Owned(end.of_operation(op)), at)?;
            }
        }
        Ok(Reply::Leaf(first, at))
    }

    /// What is shown is what is present, and so is by what it was judged: whoever read an older version reads again.
    fn access(&mut self, row: &'a AccessRow, at: Timestamp) -> Result<Reply, StoreError> {
        let is_past = |(key, version): &(RecordKey, u64)| *version == 0 || self.version(key) != *version;
        if row.of.iter().chain(&row.judged).any(is_past) {
            return Err(StoreError::Conflict("what was to be opened has another version now".into()));
        }
        let index = self.append(&row.tail_at(at), None, None, |_| row.change());
        self.accesses.push((index, at, row));
        Ok(Reply::Leaf(index, at))
    }

    /// All versions of one call, or none.
    fn record(&mut self, rows: &'a [RecordRow], at: Timestamp) -> Result<Reply, StoreError> {
        let mut seen = HashSet::new();
        for row in rows {
            let present = self.version(&row.key);
            if row.record.expect.is_some_and(|expected| expected != present) || !seen.insert(row.key) {
                let (kind, id) = (row.record.kind, &row.record.id);
                return Err(StoreError::Conflict(format!("{kind} {id} has version {present} now")));
            }
        }
        for row in rows {
            self.may_stand(row.under)?;
        }
        let mut versions = Vec::with_capacity(rows.len());
        for row in rows {
            let replaces = self.version(&row.key);
            let leaf = self.append(&row.tail_at(at), None, Some(replaces), |_| row.change(replaces, at));
            self.versions.insert(row.key, leaf + 1);
            self.records.push((leaf, replaces, at, row));
            versions.push(leaf + 1);
        }
        Ok(Reply::Versions(versions))
    }

    /// The fold's word, and this batch's own: what comes under a generation in it and what ends one keep out of each other's way.
    fn may_stand(&self, under: Option<Under>) -> Result<(), StoreError> {
        self.node.fold(|fold, _| fold.may_stand(under)).map_err(StoreError::Conflict)?;
        let is_against = |other: &Under| match (under, *other) {
            (Some(Under::Stands(ours)), Under::Ends(theirs)) | (Some(Under::Ends(ours)), Under::Stands(theirs)) => {
                ours == theirs
            }
            (Some(Under::Stands(_)), Under::Stands(_)) | (Some(Under::Ends(_)), Under::Ends(_)) | (None, _) => false,
        };
        match self.records.iter().filter_map(|(_, _, _, row)| row.under.as_ref()).any(is_against) {
            true => Err(StoreError::Conflict("the sealing key's generations change at this moment".into())),
            false => Ok(()),
        }
    }

    /// The present version of a record, this batch's own included.
    fn version(&self, key: &RecordKey) -> u64 {
        self.versions.get(key).copied().unwrap_or_else(|| self.node.fold(|fold, _| fold.version(key)))
    }

    fn append(
        &mut self,
        tail: &Tail,
        op: Option<u64>,
        replaces: Option<u64>,
        change: impl FnOnce(u64) -> Change,
    ) -> u64 {
        let index = self.tree.size();
        let bytes = tail.leaf(Numbers { index, op: op.unwrap_or(index), replaces });
        let hash = leaf_hash(&bytes);
        self.tree.append(hash, &mut self.tiles);
        self.leaves.push((index, hash, bytes));
        self.changes.push(change(index));
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

    /// What this node believes once the batch is durable, with the time in force after it.
    pub fn into_belief(self, in_force: Timestamp) -> Belief {
        let hashes = self.leaves.iter().map(|(_, hash, _)| *hash);
        let leaves = hashes.zip(self.changes).collect();
        let read = wards::hours(&self.accesses);
        Belief { first: self.first, tree: self.tree, leaves, time: in_force.unix(), read }
    }

    /// Writes all rows. The order does not matter: they become visible together or not at all.
    pub fn write(&self, sql: &mut dyn Sql, in_force: Timestamp) -> Result<(), SqlError> {
        let mut values = Vec::with_capacity(self.leaves.len() * 3);
        for (index, hash, bytes) in &self.leaves {
            values.extend([Value::index(*index), Value::Blob(hash), Value::Blob(bytes)]);
        }
        sql.insert("INSERT INTO leaf (idx, hash, bytes)", 3, &values)?;
        self.write_intents(sql)?;
        self.write_objects(sql)?;
        self.write_hashes(sql, in_force)?;
        let mut values = Vec::with_capacity(self.conclusions.len() * CONCLUSION.columns.len());
        for (leaf, at, row) in &self.conclusions {
            values.extend([Value::index(*leaf), Value::index(row.op)]);
            values.extend(row.values(*at));
        }
        sql.insert(CONCLUSION.insert(), CONCLUSION.columns.len(), &values)?;
        let mut values = Vec::new();
        for (leaf, at, row) in &self.revocations {
            let row: &RevocationRow = row;
            values.extend([Value::index(*leaf), Value::index(row.operation_at(*leaf))]);
            values.extend(row.values(*at));
        }
        sql.insert(REVOCATION.insert(), REVOCATION.columns.len(), &values)?;
        let mut values = Vec::new();
        for (leaf, replaces, at, row) in &self.records {
            values.extend([Value::index(*leaf), Value::index(*replaces)]);
            values.extend(row.values(*at));
        }
        sql.insert(RECORD.insert(), RECORD.columns.len(), &values)?;
        self.write_beside(sql)?;
        // A start reads it before it can read anything else.
        for (_, _, _, row) in self.records.iter().filter(|(_, _, _, row)| row.is_head_key()) {
            let text = "UPDATE head SET sealed_key = $1 WHERE id = $2";
            sql.execute(text, &[Value::Blob(row.sealed_text().as_bytes()), Value::Int(1)])?;
        }
        self.write_projections(sql)?;
        self.write_log(sql, in_force)
    }

    /// The bytes beside sealed records: of each its present version has them, or nobody.
    fn write_beside(&self, sql: &mut dyn Sql) -> Result<(), SqlError> {
        for (leaf, replaces, _, row) in self.records.iter().filter(|(.., row)| row.record.kind == SEALED) {
            let before = replaces.checked_sub(1).map(Value::index);
            if let (Some(before), Beside::Nothing | Beside::Put(_)) = (before, &row.beside) {
                sql.execute("DELETE FROM beside WHERE leaf = $1", &[before])?;
            }
            match (&row.beside, before) {
                (Beside::Put(bytes), _) => {
                    sql.insert("INSERT INTO beside (leaf, bytes)", 2, &[Value::index(*leaf), Value::Blob(bytes)])?;
                }
                (Beside::Kept, Some(before)) => {
                    sql.execute("UPDATE beside SET leaf = $1 WHERE leaf = $2", &[Value::index(*leaf), before])?;
                }
                (Beside::Kept, None) | (Beside::Nothing, _) => {}
            }
        }
        Ok(())
    }

    fn write_projections(&self, sql: &mut dyn Sql) -> Result<(), SqlError> {
        let mut tally = Tally::default();
        // What is taken in with its end is counted with it; everything else that ends was counted before.
        let taken: HashSet<u64> =
            self.intents.iter().filter(|(_, _, row)| row.source.is_some()).map(|(op, ..)| *op).collect();
        let ended = self.revocations.iter().filter_map(|(_, _, row)| Some((row.operation?, row.pile())));
        let arrived: HashMap<u64, Pile> = ended.filter(|(op, _)| taken.contains(op)).collect();
        tally.intents(sql, &self.intents, &arrived)?;
        let is_renewed = |of| self.node.fold(|fold, _| fold.renewed(of).is_some() || !fold.remembers(of));
        let revocations: Vec<(u64, Timestamp, &RevocationRow)> =
            self.revocations.iter().map(|(leaf, at, row)| (*leaf, *at, row.as_ref())).collect();
        tally.releases(sql, &revocations, is_renewed)?;
        tally.conclusions(sql, &self.conclusions)?;
        tally.revocations(sql, &revocations, &arrived)?;
        tally.successions(sql)?;
        tally.write(sql)?;
        projections::records(sql, &self.records)?;
        wards::records(sql, &self.records)?;
        keywords::records(sql, &self.records)?;
        wards::readings(sql, self.node, &self.accesses)
    }

    fn write_intents(&self, sql: &mut dyn Sql) -> Result<(), SqlError> {
        let mut values = Vec::with_capacity(self.intents.len() * INTENT.columns.len());
        let mut names = Vec::with_capacity(self.intents.len() * 2);
        for (op, at, row) in &self.intents {
            values.push(Value::index(*op));
            values.extend(row.values(*at));
            for (place, name) in row.entry.names.iter().enumerate() {
                names.extend([Value::index(op * NAME_SLOTS + place as u64), Value::Text(name)]);
            }
        }
        sql.insert(INTENT.insert(), INTENT.columns.len(), &values)?;
        sql.insert("INSERT INTO name (slot, name)", 2, &names)
    }

    fn write_objects(&self, sql: &mut dyn Sql) -> Result<(), SqlError> {
        for (op, _, row) in &self.intents {
            for (n, chunk) in (0..).zip(row.object.iter().flat_map(Object::chunks)) {
                let values = [Value::index(op * OBJECT_SLOTS + n), Value::Blob(chunk)];
                sql.insert("INSERT INTO object (slot, bytes)", 2, &values)?;
            }
        }
        for op in &self.replaced {
            let slots = [Value::index(op * OBJECT_SLOTS), Value::index((op + 1) * OBJECT_SLOTS)];
            sql.execute("DELETE FROM object WHERE slot >= $1 AND slot < $2", &slots)?;
        }
        Ok(())
    }

    /// What leads to the roots of batches, and of the oldest no more.
    fn write_hashes(&self, sql: &mut dyn Sql, in_force: Timestamp) -> Result<(), SqlError> {
        let mut batches = Vec::new();
        for (op, _, row) in &self.intents {
            match &row.entry.message {
                Message::Batch(batch) => batches.push((*op, hashes::of(batch))),
                Message::Whole(_) | Message::Sha256(_) => {}
            }
        }
        if batches.is_empty() {
            return Ok(());
        }
        let values: Vec<Value<'_>> =
            batches.iter().flat_map(|(op, hashes)| [Value::index(*op), Value::Blob(hashes)]).collect();
        sql.insert(BATCH.insert(), BATCH.columns.len(), &values)?;
        let before = in_force.plus_secs(-hashes::GONE_SECS);
        if let Some(last) = queries::hashes_before(sql, before)? {
            sql.execute("DELETE FROM batch WHERE op <= $1", &[Value::index(last)])?;
        }
        Ok(())
    }

    fn write_log(&self, sql: &mut dyn Sql, in_force: Timestamp) -> Result<(), SqlError> {
        let mut values = Vec::new();
        for tile in &self.tiles {
            values.extend([
                Value::Int(tile.level.into()),
                Value::index(tile.n),
                Value::Blob(&tile.hashes),
                Value::Blob(&tile.root),
            ]);
        }
        sql.insert("INSERT INTO tile (level, n, hashes, root)", 4, &values)?;
        for (size, note) in &self.checkpoints {
            let row = [Value::index(*size), Value::Text(note)];
            // Another node may have signed the same head: both notes are true. A note that is none is replaced.
            sql.execute("INSERT INTO checkpoint (size, note) VALUES ($1, $2) ON CONFLICT (size) DO UPDATE SET note = excluded.note", &row)?;
        }
        if self.leaves.is_empty() {
            return Ok(());
        }
        let (edge, time) = (self.tree.edge().concat(), in_force.unix());
        let seal = self.node.seal(&self.tree, time);
        let head =
            [Value::index(self.tree.size()), Value::Blob(&edge), Value::Int(time), Value::Blob(&seal), Value::Int(1)];
        sql.execute("UPDATE head SET size = $1, edge = $2, time = $3, seal = $4 WHERE id = $5", &head).map(drop)
    }
}
