//! One group commit: lock the head, check, write rows and leaves, move the head, flush.

use policy::Timestamp;

use super::batch::{Batch, Present, int};
use super::{Item, Reply};
use crate::clock::Clock;
use crate::error::StoreError;
use crate::log::{Hash, Tree, partial_width};
use crate::sql::{Row, Sql, SqlError, Value};

/// What a transaction made.
#[derive(Debug)]
pub(super) struct Done {
    pub tree: Tree,
    pub replies: Vec<Result<Reply, StoreError>>,
    first_leaf: Option<(u64, Hash)>,
}

/// Where it failed, which is what can be known about it.
#[derive(Debug)]
pub(super) enum Failure {
    /// Nothing was written.
    Before(SqlError),
    /// Nothing was written; the log was read again from the register and the batch can be tried on it.
    Behind(Box<Tree>),
    /// Nobody knows.
    AtCommit { error: SqlError, done: Box<Done> },
}

impl From<SqlError> for Failure {
    fn from(error: SqlError) -> Failure {
        Failure::Before(error)
    }
}

pub(super) fn run(sql: &mut dyn Sql, tree: &Tree, clock: &Clock, items: &[Item]) -> Result<Done, Failure> {
    sql.begin()?;
    // From here on no other node appends: the head row is locked until the transaction ends.
    // A crash before COMMIT leaves nothing behind.
    let (size, edge, in_force) = lock_head(sql)?;
    let tree = at_head(sql, tree, size, &edge)?;
    let present = Present::read(sql, items)?;
    let mut batch = Batch::new(tree, present);
    let mut stamp = clock.stamp(in_force);
    let replies = items.iter().map(|item| {
        let (at, size) = (stamp.time_for(&item.op)?, batch.size());
        let reply = batch.take(&item.op, at)?;
        if batch.size() > size {
            stamp.took(at);
        }
        Ok(reply)
    });
    let replies = replies.collect();
    if batch.is_empty() {
        sql.rollback();
        return Ok(Done { tree: batch.into_tree(), replies, first_leaf: None });
    }
    batch.write(sql, stamp.in_force())?;
    let first_leaf = batch.first_leaf();
    let outcome = sql.commit();
    // A crash here: the rows are durable and no caller heard of it. Intents stay without conclusion and are listed as
    // such; conclusions are simply there.
    let done = Done { tree: batch.into_tree(), replies, first_leaf };
    match outcome {
        Ok(()) => {
            clock.learn(stamp.in_force());
            Ok(done)
        }
        Err(error) => Err(Failure::AtCommit { error, done: Box::new(done) }),
    }
}

/// Takes the head's lock in both engines, and reads it: size, edge, the time in force.
fn lock_head(sql: &mut dyn Sql) -> Result<(u64, Vec<u8>, Timestamp), SqlError> {
    let rows = sql.query_and_lock("SELECT size, edge, time FROM head WHERE id = $1", &[Value::Int(1)])?;
    let head = |mut row: Row| Some((row.index().ok()?, row.blob().ok()?, Timestamp::from_unix(row.int().ok()?)));
    let row = rows.into_iter().next().and_then(head);
    row.ok_or_else(|| SqlError::Corrupt("the head row is missing or malformed".into()))
}

/// The log at the locked head: ours, or ours and what other nodes appended since.
fn at_head(sql: &mut dyn Sql, tree: &Tree, size: u64, edge: &[u8]) -> Result<Tree, Failure> {
    let mut ours = tree.clone();
    if size > ours.size() {
        let range = [int(ours.size()), int(size)];
        let rows = sql.query("SELECT hash FROM leaf WHERE idx >= $1 AND idx < $2 ORDER BY idx", &range)?;
        for mut row in rows {
            let hash = row.hash().map_err(|e| SqlError::Corrupt(e.to_string()))?;
            ours.append(hash, &mut Vec::new());
        }
    }
    if ours.size() == size && ours.edge().concat() == edge {
        return Ok(ours);
    }
    // Not an extension of what this node saw: a restored backup, or a register that was tampered with. What its own rows
    // derive is the truth that `verify` judges; if they do not derive the head, nothing is appended.
    tracing::error!(ours = ours.size(), theirs = size, "the register's log is not the one this node left");
    let read = load_tree(sql).map_err(|error| match error {
        StoreError::Unavailable(why) => SqlError::Lost(why),
        other => SqlError::Corrupt(other.to_string()),
    })?;
    Err(Failure::Behind(Box::new(read)))
}

/// Reads the log's edge from the register and holds it against the head row.
pub(super) fn load_tree(sql: &mut dyn Sql) -> Result<Tree, StoreError> {
    let rows = sql.query("SELECT size, edge FROM head WHERE id = $1", &[Value::Int(1)])?;
    let mut head = rows.into_iter().next().ok_or_else(|| StoreError::Corrupt("the head row is missing".into()))?;
    let (size, edge) = (head.index()?, head.blob()?);
    let mut partial = Vec::new();
    for level in 0..8_u8 {
        let end = size >> (8 * u32::from(level));
        let range = [int(end - u64::from(partial_width(size, level))), int(end), Value::Int(i64::from(level) - 1)];
        let rows = if level == 0 {
            sql.query("SELECT hash FROM leaf WHERE idx >= $1 AND idx < $2 ORDER BY idx", &range[..2])?
        } else {
            sql.query("SELECT root FROM tile WHERE n >= $1 AND n < $2 AND level = $3 ORDER BY n", &range)?
        };
        partial.push(rows.into_iter().map(|mut row| row.hash()).collect::<Result<Vec<Hash>, _>>()?);
    }
    let tree = Tree::from_partial(size, partial)?;
    if tree.edge().concat() != edge {
        return Err(StoreError::Corrupt("the head row is not what the leaves and tiles derive; run verify".into()));
    }
    Ok(tree)
}

/// Whether a batch whose COMMIT had no answer is in the register. The head's lock makes it wait for the end of a
/// transaction that the server may still be working on: what is not there then will never be.
pub(super) fn is_there(sql: &mut dyn Sql, done: &Done) -> Result<bool, SqlError> {
    let Some((index, hash)) = done.first_leaf else {
        // Only checkpoints: writing them again changes nothing.
        return Ok(false);
    };
    sql.begin()?;
    lock_head(sql)?;
    let rows = sql.query("SELECT hash FROM leaf WHERE idx = $1", &[int(index)])?;
    sql.rollback();
    Ok(rows.into_iter().next().is_some_and(|mut row| row.hash().is_ok_and(|there| there == hash)))
}
