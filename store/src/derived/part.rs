//! Those of the operations of a few leaves, which a running node holds against its fold.

use std::collections::HashSet;
use std::ops::Range;

use policy::Timestamp;

use super::operation::{OPERATION, Operation};
use super::wrong::{CARD, OPEN, RENEWAL, Wrong, strays};
use crate::nouns::entry::Renews;
use crate::nouns::error::StoreError;
use crate::sql::{Cell, Sql, Value};
use crate::truth::{Fold, Node};

/// What is wrong of `card`, `open` and `renewal`: by the rows of one moment, and by what a fold that is newer knows of successors.
pub(crate) fn part(node: &Node, sql: &mut dyn Sql, range: &Range<u64>) -> Result<Vec<Wrong>, StoreError> {
    let mut wrong = Vec::new();
    let text = format!("{OPERATION} WHERE i.op >= $1 AND i.op < $2 ORDER BY i.op");
    let rows = sql.query(&text, &[Value::index(range.start), Value::index(range.end)])?;
    let replaced = replaced(sql, range)?;
    node.follow(sql, false)?;
    for operation in rows.into_iter().map(Operation::read) {
        let succeeded = node.fold(|fold, _| succeeded(fold, &operation));
        wrong.extend(operation.wrong(succeeded, replaced.contains(&operation.op)));
    }
    let ends = |index: u64| i64::try_from(index).unwrap_or(i64::MAX).saturating_sub(1);
    for of in [&CARD, &OPEN, &RENEWAL] {
        let mut after = ends(range.start);
        while let Some((stray, last)) = strays(sql, of, (after, ends(range.end)))? {
            wrong.extend(stray);
            after = last;
        }
    }
    Ok(wrong)
}

/// Those of a range of whose family a later one is live: by the cards, each of which the audit holds against its rows in its turn.
fn replaced(sql: &mut dyn Sql, range: &Range<u64>) -> Result<HashSet<i64>, StoreError> {
    let text = "SELECT c.op, (SELECT n.op FROM card n LEFT JOIN open o ON o.op = n.op WHERE n.family = c.family AND n.pile = 0 \
        AND n.op > c.op AND o.op IS NULL ORDER BY n.op LIMIT 1) FROM card c WHERE c.op >= $1 AND c.op < $2 ORDER BY c.op";
    let mut replaced = HashSet::new();
    for row in sql.query(text, &[Value::index(range.start), Value::index(range.end)])? {
        if let [Cell::Int(op), Cell::Int(_)] = &row.cells()[..] {
            replaced.insert(*op);
        }
    }
    Ok(replaced)
}

/// Whether a later conclusion says that it renews this one, where the fold knows.
fn succeeded(fold: &Fold, operation: &Operation) -> Option<bool> {
    let (Some(op), Some(end)) = (u64::try_from(operation.op).ok(), operation.card.not_after) else {
        return Some(false);
    };
    let of = Renews::new(op, Timestamp::from_unix(end));
    match fold.renewed(of) {
        None => fold.remembers(of).then_some(false),
        // Intended before this one was concluded: which of the two was concluded first the fold does not know.
        Some(by) => operation.concluded.is_none_or(|at| u64::try_from(at).is_ok_and(|at| at < by)).then_some(true),
    }
}
