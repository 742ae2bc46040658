//! What became of the records of one kind, in the order of the log: each version, and the one that it replaced.
//!
//! Each is proved by the tree in memory, as a leaf of any age is. A version whose row somebody altered is left out, with an alarm; one whose
//! row somebody took away is not noticed here, as it is on no list: the service's own audit finds it.

use super::look::refused;
use super::pages::held;
use super::records::version;
use crate::log::Hash;
use crate::nouns::error::StoreError;
use crate::nouns::record::{RecordChange, RecordChanges};
use crate::queries;
use crate::sql::Sql;
use crate::truth::{Node, proved_hash};

/// So many leaves are looked at for one page: who is far behind gets there page by page.
const LEAVES_MAX: u64 = 65_536;

/// A page of what came from a leaf on, as far as this node knows the log.
pub(crate) fn changes(
    node: &Node,
    sql: &mut dyn Sql,
    kind: &str,
    from: u64,
    limit: usize,
) -> Result<RecordChanges, StoreError> {
    let end = node.head().size.min(from.saturating_add(LEAVES_MAX));
    let leaves = queries::record_leaves(sql, kind, from..end, limit)?;
    let through = match leaves.last() {
        Some(last) if leaves.len() >= limit => last + 1,
        Some(_) | None => end.max(from),
    };
    let asked = leaves.len();
    let mut items = Vec::with_capacity(asked);
    for leaf in leaves {
        items.extend(believed(change(node, sql, kind, leaf))?);
    }
    held(node, sql, items.len() < asked)?;
    Ok(RecordChanges { items, through })
}

/// One that somebody altered is refused, with an alarm, and keeps no other back.
fn believed<T>(found: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(StoreError::Altered(_)) => Ok(None),
        Err(other) => Err(other),
    }
}

fn change(node: &Node, sql: &mut dyn Sql, kind: &str, leaf: u64) -> Result<RecordChange, StoreError> {
    let mut at = |leaf: u64| {
        let found = version(node, sql, leaf, |there| there == kind)?;
        found.ok_or_else(|| refused(node, &format!("record leaf={leaf}"), "its leaf is none of such a record"))
    };
    let (now, replaces) = at(leaf)?;
    // What it replaced is not believed where that was altered: then it is told as what is new.
    let before = match replaces.checked_sub(1) {
        Some(before) => believed(at(before))?.map(|(record, _)| record),
        None => None,
    };
    Ok(RecordChange { now, before })
}

/// The hash of the last of the log's first so many leaves, which tells this log from every other; none where it does not reach so far.
pub(crate) fn mark(node: &Node, sql: &mut dyn Sql, leaves: u64) -> Result<Option<Hash>, StoreError> {
    if leaves > node.head().size {
        return Ok(None);
    }
    let Some(last) = leaves.checked_sub(1) else { return Ok(Some([0; 32])) };
    proved_hash(node, sql, 0, last)?.map(Some).map_err(|why| refused(node, "log", &why))
}
