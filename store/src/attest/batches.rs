//! Which batch has a response, proved by the hashes beside it, its leaf and the tree.

use policy::Timestamp;

use super::look::{Taken, altered, refused, settled};
use crate::forms::leaf::Leaf;
use crate::log::{leaf_hash, path_among};
use crate::nouns::batch::{Found, InBatch, Sought};
use crate::nouns::error::StoreError;
use crate::queries;
use crate::rows::hashes;
use crate::sql::Sql;
use crate::truth::{Node, proved_leaf};

/// Batches of one second that are looked through: those of a responder that signs for whoever asks are fifty. Where a revocation is told,
/// those of a whole minute begin with it.
const LOOKED_AT_MAX: usize = 4_096;
const PAGE: usize = 64;

/// The batch that has a message, with the path to its root.
pub(crate) fn batch_with(node: &Node, sql: &mut dyn Sql, sought: &Sought) -> Result<Found, StoreError> {
    let hash = leaf_hash(&sought.message);
    let (mut after, mut looked_at, mut gone, mut doubt) = (-1, 0, None, None);
    while looked_at < LOOKED_AT_MAX {
        let ops = queries::batches_beginning(sql, (sought.begins, &sought.key_hash), after, PAGE)?;
        for op in &ops {
            match settled(node, sql, |node, sql| held(node, sql, *op))? {
                Held::So(leaf, there) => {
                    if let Some(at) = there.iter().position(|there| *there == hash) {
                        return placed(*op, &leaf, &there, at);
                    }
                }
                Held::Gone => gone = gone.or(Some(*op)),
                Held::Not(says) => doubt = doubt.or(Some((*op, says))),
            }
            after = i64::try_from(*op).unwrap_or(i64::MAX);
        }
        looked_at += ops.len();
        if ops.len() < PAGE {
            break;
        }
    }
    match (doubt, gone) {
        // It may be the very one.
        (Some((op, says)), _) => Err(refused(node, &hashes::place(op), says)),
        (None, Some(op)) => Ok(Found::Gone(op)),
        (None, None) => Ok(Found::Nowhere),
    }
}

fn placed(op: u64, leaf: &Leaf, hashes: &[[u8; 32]], at: usize) -> Result<Found, StoreError> {
    let path = path_among(hashes, at).ok_or_else(|| StoreError::Corrupt("a hash beyond its batch".into()))?;
    let messages = leaf.messages.unwrap_or_default();
    Ok(Found::In(InBatch { operation: op, position: at as u64, messages, path }))
}

enum Held {
    So(Box<Leaf>, Vec<[u8; 32]>),
    /// It is so old that nobody keeps them.
    Gone,
    Not(&'static str),
}

fn held(node: &Node, sql: &mut dyn Sql, op: u64) -> Result<Taken<Held>, StoreError> {
    if op >= node.head().size {
        return Ok(Taken::Newer(op));
    }
    let leaf = match proved_leaf(node, sql, op)? {
        Ok(leaf) => leaf,
        Err(why) => return Ok(altered(format!("leaf idx={op}"), why)),
    };
    if !hashes::is_batch(&leaf) {
        return Ok(altered(format!("intent op={op}"), "the row is not the one its leaf stands for"));
    }
    Ok(Taken::So(match queries::hashes(sql, op)? {
        None if is_old(node, &leaf) => Held::Gone,
        None => Held::Not(hashes::MISSING),
        Some(bytes) => match hashes::held(&leaf, &bytes) {
            Ok(hashes) => Held::So(Box::new(leaf), hashes),
            Err(says) => Held::Not(says),
        },
    }))
}

/// Whether the hashes of a batch may be gone by now.
fn is_old(node: &Node, leaf: &Leaf) -> bool {
    let written = Timestamp::parse_rfc3339(&leaf.time);
    written.is_ok_and(|at| hashes::may_be_gone(at, Timestamp::from_unix(node.time())))
}

/// What is wrong with the hashes beside a batch, of whose leaf this node knows that it is the log's.
pub(crate) fn hashes_say(
    node: &Node,
    sql: &mut dyn Sql,
    op: u64,
    leaf: &Leaf,
) -> Result<Option<&'static str>, StoreError> {
    Ok(match queries::hashes(sql, op)? {
        None if is_old(node, leaf) => None,
        None => Some(hashes::MISSING),
        Some(bytes) => hashes::held(leaf, &bytes).err(),
    })
}
