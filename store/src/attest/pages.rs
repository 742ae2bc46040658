//! Records for eyes, and for work that is done one by one: each stands for itself, and one that somebody altered keeps no other back.
//!
//! What is refused here is refused as everywhere, with an alarm; only whoever asked for the others gets them. Of what is refused nothing is
//! known but where the index found it, which a thief may have written: nobody's right is judged by that.

use std::collections::HashMap;

use super::attested::Attested;
use super::look::{Taken, refused};
use super::records::{judge_record, record};
use crate::nouns::error::StoreError;
use crate::nouns::record::{RecordFilter, StoredRecord};
use crate::queries;
use crate::sql::Sql;
use crate::truth::{Node, record_key};

/// A record of a page.
#[derive(Debug)]
pub struct ListedRecord {
    /// Its id, as the index has it: by that the list goes on.
    pub id: String,
    /// Its second key, as the index has it.
    pub lookup: Option<String>,
    /// The record; or why it is not believed.
    pub record: Result<Attested<StoredRecord>, StoreError>,
}

/// Records by id, each attested or refused; those that there are not are not in it.
pub type RecordsOf = HashMap<String, Result<Attested<StoredRecord>, StoreError>>;

/// A page of the present versions of a kind that match by what they are themselves. What the list leaves out is not noticed.
pub(crate) fn records_page(
    node: &Node,
    sql: &mut dyn Sql,
    kind: &str,
    filter: &RecordFilter,
) -> Result<Vec<ListedRecord>, StoreError> {
    let size = node.head().size;
    let rows = queries::record_page(sql, kind, filter)?;
    let mut page = Vec::with_capacity(rows.len());
    for queries::PresentRow { id, lookup, cells } in rows {
        let known = node.record(&record_key(kind, &id)).1;
        let record = match judge_record(size, known, cells)? {
            Taken::So(record) if filter.matches(&record) => Ok(record),
            Taken::So(_) => {
                Err(refused(node, &place(kind, &id), "it stands on a list under a key that is not its own"))
            }
            Taken::Newer(_) | Taken::Altered { .. } => again(node, sql, kind, &id)?,
        };
        page.push(ListedRecord { id, lookup, record });
    }
    held(node, sql, page.iter().any(|listed| listed.record.is_err()))?;
    Ok(page)
}

/// The present versions of those of these records that there are, each for itself.
pub(crate) fn records_of(node: &Node, sql: &mut dyn Sql, kind: &str, ids: &[String]) -> Result<RecordsOf, StoreError> {
    // What is known first, the rows after.
    let known: Vec<_> = ids.iter().map(|id| (id, node.record(&record_key(kind, id)))).collect();
    let mut rows = queries::records_by_id(sql, kind, ids)?;
    let mut found = RecordsOf::with_capacity(rows.len());
    for (id, (size, known)) in known {
        // Asked for twice, it was judged already.
        if found.contains_key(id) {
            continue;
        }
        let judged = match (rows.remove(id), known) {
            (None, None) => continue,
            (None, Some(_)) => again(node, sql, kind, id)?,
            (Some(row), known) => match judge_record(size, known, row)? {
                Taken::So(record) => Ok(record),
                Taken::Newer(_) | Taken::Altered { .. } => again(node, sql, kind, id)?,
            },
        };
        found.insert(id.clone(), judged);
    }
    held(node, sql, found.values().any(Result::is_err))?;
    Ok(found)
}

/// One that does not fit what was known is looked at by itself: it may have been replaced between the two looks.
fn again(
    node: &Node,
    sql: &mut dyn Sql,
    kind: &str,
    id: &str,
) -> Result<Result<Attested<StoredRecord>, StoreError>, StoreError> {
    match record(node, sql, kind, id) {
        Ok(Some(record)) => Ok(Ok(record)),
        Ok(None) => Ok(Err(refused(node, &place(kind, id), "the row has no leaf"))),
        Err(why @ StoreError::Altered(_)) => Ok(Err(why)),
        Err(other) => Err(other),
    }
}

/// Where one was refused: a register that was put back or cut is no row's fault, and then nothing of it is shown.
pub(super) fn held(node: &Node, sql: &mut dyn Sql, is_refused: bool) -> Result<(), StoreError> {
    if is_refused {
        node.follow(sql, false)?;
    }
    Ok(())
}

fn place(kind: &str, id: &str) -> String {
    format!("record kind={kind} id={id}")
}
