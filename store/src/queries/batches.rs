//! Batches of OCSP responses: which may have a response, and the hashes beside them.

use policy::Timestamp;

use crate::nouns::error::StoreError;
use crate::rows::hashes::GO_MAX;
use crate::sql::{Sql, SqlError, Value};

/// Batches after an operation whose responses begin to hold at this second and are signed with this key, in their order.
pub(crate) fn batches_beginning(
    sql: &mut dyn Sql,
    (begins, key_hash): (Timestamp, &[u8; 32]),
    after: i64,
    most: usize,
) -> Result<Vec<u64>, StoreError> {
    let text = "SELECT op FROM intent WHERE kind = 'ocsp-batch' AND not_before = $1 AND op > $2 AND key_hash = $3 \
        ORDER BY op LIMIT $4";
    let asked = [Value::Int(begins.unix()), Value::Int(after), Value::Blob(key_hash), Value::Int(most as i64)];
    sql.query(text, &asked)?.into_iter().map(|mut row| row.index()).collect()
}

/// The hashes beside a batch.
pub(crate) fn hashes(sql: &mut dyn Sql, op: u64) -> Result<Option<Vec<u8>>, StoreError> {
    let rows = sql.query("SELECT hashes FROM batch WHERE op = $1", &[Value::index(op)])?;
    rows.into_iter().next().map(|mut row| row.blob()).transpose()
}

/// The last of the first few whose batches were all written before this.
pub(crate) fn hashes_before(sql: &mut dyn Sql, before: Timestamp) -> Result<Option<u64>, SqlError> {
    let text = format!(
        "SELECT b.op, i.at FROM batch b JOIN intent i ON i.op = b.op WHERE b.op >= $1 ORDER BY b.op LIMIT {GO_MAX}"
    );
    let mut last = None;
    for mut row in sql.query(&text, &[Value::Int(0)])? {
        match (row.index(), row.int()) {
            (Ok(op), Ok(at)) if at < before.unix() => last = Some(op),
            (Ok(_) | Err(_), Ok(_) | Err(_)) => break,
        }
    }
    Ok(last)
}
