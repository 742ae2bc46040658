//! Rows that decide something, held against what the node knows to be so.
//!
//! The order of two looks makes it exact: what is known first, the row after. What is known was published after its commit,
//! so a row read later is never older; one that is newer is followed first. What is left is a row that nobody of ours wrote,
//! or one that somebody took away.

use std::ops::Deref;

use hsm::Algorithm;

use crate::credential::{Credential, Crl};
use crate::error::StoreError;
use crate::leaf::Event;
use crate::object::{self, ObjectDigest};
use crate::queries;
use crate::record::StoredRecord;
use crate::row::row_digest;
use crate::schema::{CONCLUSION, INTENT, RECORD};
use crate::sql::{Cell, Row, Sql, Value};
use crate::truth::{Node, Version, proved_leaf, record_key};

/// Looks at what others change all the time; then the caller is told to come back.
const LOOKS_MAX: usize = 64;
const RETRY_AFTER_SECS: u32 = 1;

/// Something of the register that was held against the log: the present version, as a node of ours wrote it.
///
/// Nothing outside this room can make one:
///
/// ```compile_fail
/// fn forge(record: store::StoredRecord) -> store::Attested<store::StoredRecord> {
///     store::Attested(record)
/// }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Attested<T>(T);

impl<T> Attested<T> {
    /// What was attested.
    pub fn into_inner(self) -> T {
        self.0
    }
    /// A part of it, which is attested as the whole is.
    pub fn map<U>(self, part: impl FnOnce(T) -> U) -> Attested<U> {
        Attested(part(self.0))
    }
}

/// Compared as what was attested.
impl<T: PartialEq> PartialEq<T> for Attested<T> {
    fn eq(&self, other: &T) -> bool {
        self.0 == *other
    }
}

impl<T> Deref for Attested<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

/// What one look found.
pub(crate) enum Taken<T> {
    /// It is so.
    So(T),
    /// The register is ahead of this node, at this leaf: follow, and look again.
    Newer(u64),
    /// It is not what a node of ours wrote.
    Altered { place: String, says: String },
}

fn altered<T>(place: impl Into<String>, says: impl Into<String>) -> Taken<T> {
    Taken::Altered { place: place.into(), says: says.into() }
}

/// Looks until the answer is settled.
pub(crate) fn settled<T>(
    node: &Node,
    sql: &mut dyn Sql,
    mut look: impl FnMut(&Node, &mut dyn Sql) -> Result<Taken<T>, StoreError>,
) -> Result<T, StoreError> {
    for _ in 0..LOOKS_MAX {
        match look(node, sql)? {
            Taken::So(found) => return Ok(found),
            Taken::Newer(leaf) => {
                node.follow(sql, false)?;
                if node.head().size <= leaf {
                    return Err(refused(
                        node,
                        "register",
                        &format!("a row is of leaf {leaf}, beyond the end of the log"),
                    ));
                }
            }
            Taken::Altered { place, says } => return Err(refused(node, &place, &says)),
        }
    }
    Err(StoreError::Busy { retry_after_secs: RETRY_AFTER_SECS })
}

fn refused(node: &Node, place: &str, says: &str) -> StoreError {
    node.alarm(place, says);
    StoreError::Altered(format!("{place}: {says}"))
}

/// The present version of a record.
pub(crate) fn record(
    node: &Node,
    sql: &mut dyn Sql,
    kind: &str,
    id: &str,
) -> Result<Option<Attested<StoredRecord>>, StoreError> {
    let key = record_key(kind, id);
    settled(node, sql, |node, sql| {
        let (size, known) = node.record(&key);
        let place = || format!("record kind={kind} id={id}");
        let row = queries::record_get(sql, kind, id)?;
        Ok(match (known, row) {
            (None, None) => Taken::So(None),
            (Some(_), None) => altered(place(), "the row was deleted"),
            (known, Some(row)) => match judge_record(size, known, row)? {
                Taken::So(record) => Taken::So(Some(record)),
                Taken::Newer(leaf) => Taken::Newer(leaf),
                Taken::Altered { says, .. } => altered(place(), says),
            },
        })
    })
}

/// Present versions of a kind. One that is missing from the list is not noticed here: a list decides nothing by what it lacks.
pub(crate) fn records(
    node: &Node,
    sql: &mut dyn Sql,
    kind: &str,
    filter: &crate::record::RecordFilter,
) -> Result<Vec<Attested<StoredRecord>>, StoreError> {
    settled(node, sql, |node, sql| {
        let size = node.head().size;
        let rows = queries::record_list(sql, kind, filter)?;
        let mut list = Vec::with_capacity(rows.len());
        for row in rows {
            // Column 2 is the id; what is none has no place in the fold either.
            let id = match row.get(2) {
                Some(Cell::Text(id)) => id.clone(),
                _ => String::new(),
            };
            let place = format!("record kind={kind} id={id}");
            let known = node.record(&record_key(kind, &id)).1;
            match judge_record(size, known, row)? {
                Taken::So(record) => list.push(record),
                Taken::Newer(leaf) => return Ok(Taken::Newer(leaf)),
                Taken::Altered { says, .. } => {
                    // A version that was replaced between the two looks is not an alteration.
                    if node.head().size != size {
                        return Ok(Taken::Newer(size));
                    }
                    return Ok(altered(place, says));
                }
            }
        }
        Ok(Taken::So(list))
    })
}

fn judge_record(
    size: u64,
    known: Option<Version>,
    row: Vec<Cell>,
) -> Result<Taken<Attested<StoredRecord>>, StoreError> {
    let leaf = match row.first() {
        Some(Cell::Int(leaf)) => u64::try_from(*leaf).unwrap_or(u64::MAX),
        _ => u64::MAX,
    };
    Ok(match known {
        _ if leaf >= size => Taken::Newer(leaf),
        Some(version) if version.leaf == leaf && version.digest == record_digest(&row) => {
            Taken::So(Attested(queries::record_of(Row::new(row))?))
        }
        Some(version) if version.leaf == leaf => altered("", "the row is not the one its leaf stands for"),
        Some(version) if leaf < version.leaf => altered("", "an older version was put back"),
        Some(_) | None => altered("", "the row has no leaf"),
    })
}

/// An operation with its conclusion and revocation.
pub(crate) fn credential(
    node: &Node,
    sql: &mut dyn Sql,
    operation: u64,
) -> Result<Option<Attested<Credential>>, StoreError> {
    settled(node, sql, |node, sql| {
        let (size, open, revoked) = node.fold(|fold, size| {
            (size, fold.is_open(operation), fold.revocation(operation).map(|r| (r.revoked_at, r.reason)))
        });
        let Some(intent) = cells(sql, &format!("{} WHERE op = $1", INTENT.select()), operation)? else {
            // The caller has the number from somewhere: an operation that waits for its conclusion was there.
            return Ok(if open {
                altered(format!("intent op={operation}"), "the row was deleted")
            } else {
                Taken::So(None)
            });
        };
        if operation >= size {
            return Ok(Taken::Newer(operation));
        }
        let conclusion = cells(sql, &format!("{} WHERE op = $1", CONCLUSION.select()), operation)?;
        if let Some(says) = intent_fault(node, sql, operation, &intent)? {
            return Ok(altered(format!("intent op={operation}"), says));
        }
        match &conclusion {
            None if open => {}
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
            Some((at, reason)) => [Cell::Int(at.unix()), Cell::Int(reason.into())],
            None => [Cell::Null, Cell::Null],
        });
        Ok(Taken::So(Some(Attested(queries::credential_of(Row::new(row))?))))
    })
}

/// A signed CRL with its bytes; none where there is no such CRL, or where a newer one has taken its place.
pub(crate) fn crl(node: &Node, sql: &mut dyn Sql, operation: u64) -> Result<Option<Attested<Crl>>, StoreError> {
    let Some(Attested(credential)) = credential(node, sql, operation)? else { return Ok(None) };
    let Ok(issued) = credential.issued() else { return Ok(None) };
    let mut tbs = Vec::new();
    match object_says(node, sql, operation, (issued.algorithm, &issued.tbs), &mut |chunk| tbs.extend_from_slice(chunk))?
    {
        None => Ok(Some(Attested(Crl::new(issued, tbs.into())))),
        Some(_) if !node.fold(|fold, _| fold.keeps(operation)) => Ok(None),
        Some(says) => Err(refused(node, &object::place(operation), says)),
    }
}

/// What is wrong with the bytes of a CRL that the register should keep; they are handed over a chunk at a time. What is not
/// there any more because a newer CRL was signed is wrong here too: the fold tells, which has followed by then.
pub(crate) fn object_says(
    node: &Node,
    sql: &mut dyn Sql,
    operation: u64,
    (algorithm, digest): (Algorithm, &[u8]),
    each: &mut dyn FnMut(&[u8]),
) -> Result<Option<&'static str>, StoreError> {
    let mut read = ObjectDigest::of(algorithm);
    let chunks = queries::object(sql, operation, &mut |chunk| {
        read.update(chunk);
        each(chunk);
    })?;
    if read.is(digest) {
        return Ok(None);
    }
    node.follow(sql, false)?;
    Ok(Some(if chunks == 0 { "its bytes were deleted" } else { "its bytes are not those of its intent's digest" }))
}

/// The newest operation with this serial.
pub(crate) fn credential_by_serial(
    node: &Node,
    sql: &mut dyn Sql,
    serial: &[u8],
) -> Result<Option<Attested<Credential>>, StoreError> {
    match queries::operation_of_serial(sql, serial)? {
        Some(operation) => credential(node, sql, operation),
        None => Ok(None),
    }
}

fn cells(sql: &mut dyn Sql, text: &str, operation: u64) -> Result<Option<Vec<Cell>>, StoreError> {
    Ok(sql.query(text, &[Value::index(operation)])?.into_iter().next().map(Row::cells))
}

fn intent_fault(node: &Node, sql: &mut dyn Sql, operation: u64, row: &[Cell]) -> Result<Option<String>, StoreError> {
    let leaf = match proved_leaf(node, sql, operation)? {
        Ok(leaf) => leaf,
        Err(why) => return Ok(Some(why)),
    };
    let ours = leaf.event == Event::Intend && says_row(leaf.row.as_deref(), digest(&INTENT, row));
    Ok((!ours).then(|| "the row is not the one its leaf stands for".to_owned()))
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

fn digest(table: &'static crate::schema::Table, row: &[Cell]) -> [u8; 32] {
    row_digest(table, row.iter().skip(table.stated).map(Cell::as_value))
}

fn says_row(said: Option<&str>, digest: [u8; 32]) -> bool {
    said == Some(hex::encode(digest).as_str())
}

/// The digest of a record's row as it was read: every column after the leaf's own number.
fn record_digest(row: &[Cell]) -> [u8; 32] {
    row_digest(&RECORD, row.iter().skip(1).map(Cell::as_value))
}
