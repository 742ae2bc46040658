//! The bytes beside sealed records, one record's at a time: each may be a mebibyte.

use super::PAGE_MAX;
use crate::nouns::error::StoreError;
use crate::nouns::sealed::SEALED;
use crate::sql::{Sql, Value};

/// The bytes beside the version of a record that a leaf stands for.
pub(crate) fn beside(sql: &mut dyn Sql, leaf: u64) -> Result<Option<Vec<u8>>, StoreError> {
    let rows = sql.query("SELECT bytes FROM beside WHERE leaf = $1", &[Value::index(leaf)])?;
    rows.into_iter().next().map(|mut row| row.blob()).transpose()
}

/// Sealed records of a range of leaves, present or not: leaf, id and body.
pub(crate) fn sealed_in(sql: &mut dyn Sql, from: u64, to: u64) -> Result<Vec<(u64, String, String)>, StoreError> {
    let text = "SELECT leaf, id, body FROM record WHERE leaf >= $1 AND leaf < $2 AND kind = $3 ORDER BY leaf";
    let rows = sql.query(text, &[Value::index(from), Value::index(to), Value::Text(SEALED)])?;
    rows.into_iter().map(|mut row| Ok((row.index()?, row.text()?, row.text()?))).collect()
}

/// The leaves in a range whose versions have bytes beside them.
pub(crate) fn beside_in(sql: &mut dyn Sql, from: u64, to: u64) -> Result<Vec<u64>, StoreError> {
    let text = "SELECT leaf FROM beside WHERE leaf >= $1 AND leaf < $2 ORDER BY leaf";
    let rows = sql.query(text, &[Value::index(from), Value::index(to)])?;
    rows.into_iter().map(|mut row| row.index()).collect()
}

/// A page of present sealed records by id: their leaf, id and body.
pub(crate) fn sealed_present(sql: &mut dyn Sql, after: &str) -> Result<Vec<(u64, String, String)>, StoreError> {
    let text = "SELECT r.leaf, r.id, r.body FROM present p JOIN record r ON r.leaf = p.leaf WHERE p.kind = $1 AND p.id > $2 \
        ORDER BY p.id LIMIT $3";
    let rows = sql.query(text, &[Value::Text(SEALED), Value::Text(after), Value::index(PAGE_MAX as u64)])?;
    rows.into_iter().map(|mut row| Ok((row.index()?, row.text()?, row.text()?))).collect()
}

/// A page of leaves that have bytes beside them, each with the leaf of the present version of its record, where it is one.
pub(crate) fn beside_owners(sql: &mut dyn Sql, after: i64) -> Result<Vec<(i64, Option<i64>)>, StoreError> {
    let text = "SELECT b.leaf, p.leaf FROM beside b LEFT JOIN record r ON r.leaf = b.leaf LEFT JOIN present p ON p.kind = r.kind \
        AND p.id = r.id WHERE b.leaf > $1 ORDER BY b.leaf LIMIT $2";
    let rows = sql.query(text, &[Value::Int(after), Value::index(PAGE_MAX as u64)])?;
    rows.into_iter().map(|mut row| Ok((row.int()?, row.opt_int()?))).collect()
}
