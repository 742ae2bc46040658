//! A serial that no row has: whether there was one all the same.
//!
//! A serial of ours says when it was made, an intent's leaf has it and follows at once, and the leaves are in the order of time. So the
//! few leaves that could have it are found and read, each proved by the tree: "there is none" is more than the absence of a row.
//!
//! What is not looked for: serials that are not of our form, leaves that came later or behind more others than the bounds
//! here say, and those from before an operator's word that set the time back.

use policy::{Serial, Timestamp};

use crate::forms::leaf::{Event, Leaf};
use crate::log::leaf_hash;
use crate::nouns::error::StoreError;
use crate::queries;
use crate::sql::Sql;
use crate::truth::{Node, proved_hash, proved_leaf};

use super::look::refused;

/// So long after its serial was made an intent is durable, or it was seldom one.
const WITHIN_SECS: i64 = 10;
/// What is read at most: what a fast node writes in a second or two.
const LEAVES_MAX: u64 = 4_096;
/// What is read at once.
const PAGE: u64 = 256;

/// The operation whose leaf has this serial, though the row that should have it was not found.
pub(super) fn operation_of_serial(node: &Node, sql: &mut dyn Sql, serial: &[u8]) -> Result<Option<u64>, StoreError> {
    let Some(made) = made_at(serial) else { return Ok(None) };
    let size = node.head().size;
    let serial = hex::encode(serial);
    let first = first_at(node, sql, made, size)?;
    let end = size.min(first.saturating_add(LEAVES_MAX));
    let mut from = first;
    while from < end {
        let to = end.min(from + PAGE);
        let page = queries::leaves(sql, from, to)?;
        for index in from..to {
            let leaf = page.get((index - from) as usize).filter(|(at, _)| *at == index);
            let leaf = leaf.ok_or_else(|| refused(node, &place(index), "the leaf is missing"))?;
            let leaf = proved(node, sql, index, leaf.1.as_bytes())?;
            if leaf.event == Event::Intend && leaf.serial.as_deref() == Some(&serial) {
                return Ok(Some(index));
            }
            if at(&leaf) > made.plus_secs(WITHIN_SECS) {
                return Ok(None);
            }
        }
        from = to;
    }
    Ok(None)
}

/// When a serial of ours was made.
fn made_at(serial: &[u8]) -> Option<Timestamp> {
    let serial = Serial::from_bytes(serial.try_into().ok()?).ok()?;
    Some(serial.made_at())
}

/// The first leaf that is not earlier.
fn first_at(node: &Node, sql: &mut dyn Sql, time: Timestamp, size: u64) -> Result<u64, StoreError> {
    let (mut low, mut high) = (0, size);
    while low < high {
        let middle = low + (high - low) / 2;
        let leaf = proved_leaf(node, sql, middle)?.map_err(|why| refused(node, &place(middle), &why))?;
        if at(&leaf) < time {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(low)
}

fn proved(node: &Node, sql: &mut dyn Sql, index: u64, bytes: &[u8]) -> Result<Leaf, StoreError> {
    let hash = proved_hash(node, sql, 0, index)?.map_err(|why| refused(node, &place(index), &why))?;
    if hash != leaf_hash(bytes) {
        return Err(refused(node, &place(index), "the leaf is not the one in the log"));
    }
    Leaf::parse(bytes).map_err(|why| refused(node, &place(index), &why))
}

fn at(leaf: &Leaf) -> Timestamp {
    Timestamp::parse_rfc3339(&leaf.time).unwrap_or(Timestamp::from_unix(0))
}

fn place(index: u64) -> String {
    format!("leaf idx={index}")
}
