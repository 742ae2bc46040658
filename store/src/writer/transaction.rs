//! One group commit: lock the head, follow it, write rows and leaves, move the head, flush.

use std::sync::Arc;

use super::batch::{Batch, Belief, concluded};
use super::item::{Item, Reply};
use crate::clock::Clock;
use crate::log::Hash;
use crate::nouns::error::StoreError;
use crate::rows::{IntentRow, Op};
use crate::sql::{Sql, SqlError, Value};
use crate::truth::{Divergence, Node};

/// What a transaction made.
#[derive(Debug)]
pub(super) struct Done {
    pub belief: Belief,
    pub replies: Vec<Result<Reply, StoreError>>,
    first_leaf: Option<(u64, Hash)>,
}

/// Where it failed, which is what can be known about it.
#[derive(Debug)]
pub(super) enum Failure {
    /// Nothing was written.
    Before(SqlError),
    /// Nothing was written, and nothing will be: the log is not an extension of what this node knows.
    Held(String),
    /// Nobody knows.
    AtCommit { error: SqlError, done: Box<Done> },
}

impl From<SqlError> for Failure {
    fn from(error: SqlError) -> Failure {
        Failure::Before(error)
    }
}

impl From<Divergence> for Failure {
    fn from(divergence: Divergence) -> Failure {
        match divergence {
            Divergence::Sql(error) => Failure::Before(error),
            Divergence::Held(why) => Failure::Held(why),
        }
    }
}

pub(super) fn run(sql: &mut dyn Sql, node: &Node, clock: &Clock, items: &[Item]) -> Result<Done, Failure> {
    sql.begin()?;
    // From here on no other node appends: the head row is locked until the transaction ends.
    // A crash before COMMIT leaves nothing behind.
    node.follow(sql, true)?;
    let concluded = concluded(sql, items)?;
    let mut batch = Batch::new(node, concluded);
    let mut stamp = clock.stamp(node);
    let replies = items.iter().map(|item| {
        let (at, size) = (stamp.time_for(&item.op)?, batch.size());
        let reply = batch.take(&item.op, at)?;
        if batch.size() > size {
            stamp.took(at);
        }
        Ok(reply)
    });
    let replies = replies.collect();
    let in_force = stamp.in_force();
    if batch.is_empty() {
        sql.rollback();
        return Ok(Done { belief: batch.into_belief(in_force), replies, first_leaf: None });
    }
    batch.write(sql, in_force)?;
    let first_leaf = batch.first_leaf();
    let outcome = sql.commit();
    // A crash here: the rows are durable and no caller heard of it. Intents stay without conclusion and are listed as
    // such; conclusions are simply there.
    let done = Done { belief: batch.into_belief(in_force), replies, first_leaf };
    match outcome {
        Ok(()) => {
            #[cfg(any(test, feature = "testing"))]
            crate::testing::note_commit();
            Ok(done)
        }
        Err(error) => Err(Failure::AtCommit { error, done: Box::new(done) }),
    }
}

/// Whether a batch whose COMMIT had no answer is in the register. The head's lock makes it wait for the end of a
/// transaction that the server may still be working on: what is not there then will never be.
pub(super) fn is_there(sql: &mut dyn Sql, done: &Done) -> Result<bool, SqlError> {
    let Some((index, hash)) = done.first_leaf else {
        // Only checkpoints: writing them again changes nothing.
        return Ok(false);
    };
    sql.begin()?;
    sql.query_and_lock("SELECT size FROM head WHERE id = $1", &[Value::index(1)])?;
    let rows = sql.query("SELECT hash FROM leaf WHERE idx = $1", &[Value::index(index)])?;
    sql.rollback();
    Ok(rows.into_iter().next().is_some_and(|mut row| row.hash().is_ok_and(|there| there == hash)))
}

/// An intent that nobody was given: a batch's COMMIT had no answer, and nobody could look whether it is there.
#[derive(Debug)]
pub(super) struct Forgone {
    pub row: Arc<IntentRow>,
    pub op: u64,
    hash: Hash,
}

impl Done {
    /// The intents of a batch whose callers are told that they have none.
    pub fn forgone(self, items: &[Item]) -> impl Iterator<Item = Forgone> {
        let Belief { first, leaves, .. } = self.belief;
        items.iter().zip(self.replies).filter_map(move |(item, reply)| match (&item.op, reply) {
            (Op::Intend(row), Ok(Reply::Leaf(op, _))) => {
                let (hash, _) = leaves.get(usize::try_from(op - first).ok()?)?;
                Some(Forgone { row: Arc::clone(row), op, hash: *hash })
            }
            (_, _) => None,
        })
    }
}

/// Those of them that are in the register after all and have no conclusion. What is not there under the head's lock will never be.
pub(super) fn there(sql: &mut dyn Sql, node: &Node, forgone: &[Forgone]) -> Result<Vec<bool>, Failure> {
    sql.begin()?;
    node.follow(sql, true)?;
    let mut there = Vec::with_capacity(forgone.len());
    for Forgone { op, hash, .. } in forgone {
        let rows = sql.query("SELECT hash FROM leaf WHERE idx = $1", &[Value::index(*op)])?;
        let is_ours = rows.into_iter().next().is_some_and(|mut row| row.hash().is_ok_and(|there| there == *hash));
        there.push(is_ours && node.fold(|fold, _| fold.is_open(*op)));
    }
    sql.rollback();
    Ok(there)
}

/// Whether the register takes writes: one that changes nothing.
pub(super) fn touch(sql: &mut dyn Sql) -> Result<(), SqlError> {
    sql.begin()?;
    let outcome = sql.execute("UPDATE head SET size = size WHERE id = $1", &[Value::index(1)]);
    match outcome.and_then(|_| sql.commit()) {
        Ok(()) => Ok(()),
        Err(error) => {
            sql.rollback();
            Err(error)
        }
    }
}
