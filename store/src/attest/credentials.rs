//! Operations, too many for memory: each is proved by its leaf and the tree.

use super::attested::Attested;
use super::look::{Taken, altered, settled};
use crate::forms::leaf::Event;
use crate::forms::row::row_digest;
use crate::forms::schema::{CONCLUSION, INTENT, Table};
use crate::nouns::credential::Credential;
use crate::nouns::error::StoreError;
use crate::queries;
use crate::rows::FORM_IMPORTED;
use crate::sql::{Cell, Row, Sql, Value};
use crate::truth::{Node, Word, proved_leaf};

/// An operation with its conclusion and revocation.
pub(crate) fn credential(
    node: &Node,
    sql: &mut dyn Sql,
    operation: u64,
) -> Result<Option<Attested<Credential>>, StoreError> {
    settled(node, sql, |node, sql| {
        let (size, open, revoked) = node.fold(|fold, size| {
            (size, fold.is_open(operation), fold.revocation(operation).map(|revoked| *revoked.word()))
        });
        let Some(intent) = cells(sql, &format!("{} WHERE op = $1", INTENT.select()), operation)? else {
            // The caller has the number from somewhere: an operation that waits for its conclusion was there.
            return Ok(if open {
                altered(format!("intent op={operation}"), "the row was deleted")
            } else {
                Taken::So(None)
            });
        };
        // Its leaf does not say the row's number again: a view may answer with another's.
        if intent.first() != Some(&Cell::Int(operation as i64)) {
            return Ok(altered(format!("intent op={operation}"), "another row was answered in its place"));
        }
        if operation >= size {
            return Ok(Taken::Newer(operation));
        }
        let conclusion = cells(sql, &format!("{} WHERE op = $1", CONCLUSION.select()), operation)?;
        if let Some(says) = intent_fault(node, sql, operation, &intent)? {
            return Ok(altered(format!("intent op={operation}"), says));
        }
        match &conclusion {
            None if open || is_imported(&intent) => {}
            None => return Ok(altered(format!("conclusion op={operation}"), "the row was deleted")),
            Some(row) => match row.first() {
                Some(Cell::Int(leaf)) if u64::try_from(*leaf).is_ok_and(|leaf| leaf >= size) => {
                    return Ok(Taken::Newer(leaf.unsigned_abs()));
                }
                _ => {
                    if let Some(says) = conclusion_fault(node, sql, operation, row)? {
                        return Ok(altered(format!("conclusion op={operation}"), says));
                    }
                }
            },
        }
        let mut row = intent;
        match conclusion {
            Some(conclusion) => row.extend(conclusion.into_iter().skip(CONCLUSION.stated)),
            None => row.extend(std::iter::repeat_n(Cell::Null, CONCLUSION.columns.len() - CONCLUSION.stated)),
        }
        row.extend(match revoked {
            Some(Word { reason, since, invalid, .. }) => {
                let invalid = invalid.map_or(Cell::Null, |at| Cell::Int(at.unix()));
                [Cell::Int(since.unix()), Cell::Int(reason.into()), invalid]
            }
            None => [Cell::Null, Cell::Null, Cell::Null],
        });
        Ok(Taken::So(Some(Attested(queries::credential_of(Row::new(row))?))))
    })
}

fn cells(sql: &mut dyn Sql, text: &str, operation: u64) -> Result<Option<Vec<Cell>>, StoreError> {
    Ok(sql.query(text, &[Value::index(operation)])?.into_iter().next().map(Row::cells))
}

fn intent_fault(node: &Node, sql: &mut dyn Sql, operation: u64, row: &[Cell]) -> Result<Option<String>, StoreError> {
    let leaf = match proved_leaf(node, sql, operation)? {
        Ok(leaf) => leaf,
        Err(why) => return Ok(Some(why)),
    };
    let event = if is_imported(row) { Event::Import } else { Event::Intend };
    let ours = leaf.event == event && says_row(leaf.row.as_deref(), digest(&INTENT, row));
    Ok((!ours).then(|| "the row is not the one its leaf stands for".to_owned()))
}

/// Whether it was signed elsewhere, so that no conclusion follows. The leaf's digest covers the column.
fn is_imported(row: &[Cell]) -> bool {
    INTENT.position("form").and_then(|at| row.get(at)) == Some(&Cell::Text(FORM_IMPORTED.to_owned()))
}

fn conclusion_fault(
    node: &Node,
    sql: &mut dyn Sql,
    operation: u64,
    row: &[Cell],
) -> Result<Option<String>, StoreError> {
    let index = match row.first() {
        Some(Cell::Int(leaf)) => u64::try_from(*leaf).unwrap_or(u64::MAX),
        _ => u64::MAX,
    };
    let leaf = match proved_leaf(node, sql, index)? {
        Ok(leaf) => leaf,
        Err(why) => return Ok(Some(why)),
    };
    let concludes = matches!(leaf.event, Event::Conclude | Event::Fail) && leaf.op == operation;
    let ours = concludes && says_row(leaf.row.as_deref(), digest(&CONCLUSION, row));
    Ok((!ours).then(|| "the row is not the one its leaf stands for".to_owned()))
}

fn digest(table: &'static Table, row: &[Cell]) -> [u8; 32] {
    row_digest(table, row.iter().skip(table.stated).map(Cell::as_value))
}

fn says_row(said: Option<&str>, digest: [u8; 32]) -> bool {
    said == Some(hex::encode(digest).as_str())
}
