//! The last leaves, which a start reads again: it goes on from an image of the fold, that says nothing of what somebody took away
//! since it was written.

use super::node::{Node, read_leaves};
use super::proof::proved_hash;
use crate::log::{Hash, TILE_WIDTH, tile_root};
use crate::nouns::error::StoreError;
use crate::sql::Sql;

/// Holds the leaves of the unfinished tile, and of the one before, against the tree in memory: one that is missing or another is a log
/// that was cut, although its head says nothing of it.
pub(crate) fn last_leaves(node: &Node, sql: &mut dyn Sql) -> Result<(), StoreError> {
    let (size, width) = (node.head().size, u64::from(TILE_WIDTH));
    let unfinished = size - size % width;
    let from = unfinished.saturating_sub(width);
    let hashes: Vec<Hash> = read_leaves(sql, from, size)?.into_iter().map(|(hash, _)| hash).collect();
    let (finished, rest) = hashes.split_at(usize::try_from(unfinished - from).unwrap_or(hashes.len()));
    for (index, hash) in (unfinished..).zip(rest) {
        if node.unfinished(0, index) != Ok(Some(*hash)) {
            return Err(StoreError::Held(format!("the register's leaf {index} is not the one this node saw")));
        }
    }
    // A tile above that is missing or altered is found by whoever needs it.
    match proved_hash(node, sql, 1, from / width)? {
        Ok(root) if !finished.is_empty() && root != tile_root(finished) => Err(StoreError::Held(format!(
            "of the register's leaves {from} to {unfinished} some are not those this node saw"
        ))),
        Ok(_) | Err(_) => Ok(()),
    }
}
