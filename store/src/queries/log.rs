//! The log as the readers ask for it: its head, checkpoints, leaves.

use super::PAGE_MAX;
use crate::log::{Head, fold_edge};
use crate::nouns::error::StoreError;
use crate::sql::{Row, Sql, Value};

pub(crate) fn head(sql: &mut dyn Sql) -> Result<Head, StoreError> {
    let rows = sql.query("SELECT size, edge FROM head WHERE id = $1", &[Value::Int(1)])?;
    let mut row = rows.into_iter().next().ok_or_else(|| StoreError::Corrupt("the head row is missing".into()))?;
    let (size, edge) = (row.index()?, row.blob()?);
    let hashes: Vec<[u8; 32]> = edge.chunks_exact(32).filter_map(|hash| hash.try_into().ok()).collect();
    Ok(Head { size, root: fold_edge(&hashes) })
}

/// The newest checkpoint: its size and its note.
pub(crate) fn checkpoint(sql: &mut dyn Sql) -> Result<Option<(u64, String)>, StoreError> {
    let rows = sql.query("SELECT size, note FROM checkpoint WHERE size = (SELECT MAX(size) FROM checkpoint)", &[])?;
    rows.into_iter().next().map(|mut row| Ok((row.index()?, row.text()?))).transpose()
}

pub(crate) fn checkpoint_of(sql: &mut dyn Sql, size: u64) -> Result<Option<String>, StoreError> {
    let Ok(size) = i64::try_from(size) else { return Ok(None) };
    let rows = sql.query("SELECT note FROM checkpoint WHERE size = $1", &[Value::Int(size)])?;
    rows.into_iter().next().map(|mut row| row.text()).transpose()
}

/// Leaves `from..to`, at most a thousand.
pub(crate) fn leaves(sql: &mut dyn Sql, from: u64, to: u64) -> Result<Vec<(u64, String)>, StoreError> {
    let to = to.min(from.saturating_add(PAGE_MAX as u64));
    let (Ok(from), Ok(to)) = (i64::try_from(from), i64::try_from(to)) else { return Ok(Vec::new()) };
    let range = [Value::Int(from), Value::Int(to)];
    let rows = sql.query("SELECT idx, bytes FROM leaf WHERE idx >= $1 AND idx < $2 ORDER BY idx", &range)?;
    let leaf = |mut row: Row| {
        let (index, bytes) = (row.index()?, row.blob()?);
        Ok((index, String::from_utf8(bytes).map_err(|e| StoreError::Corrupt(e.to_string()))?))
    };
    rows.into_iter().map(leaf).collect()
}
