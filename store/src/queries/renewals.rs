//! What is due for renewal by the server.

use super::credentials::by_operations;
use super::page_size;
use crate::nouns::credential::{Due, DueFilter};
use crate::nouns::error::StoreError;
use crate::sql::{Sql, Value};

/// Certificates that are due, the longest due first.
pub(crate) fn due(sql: &mut dyn Sql, filter: &DueFilter) -> Result<Vec<Due>, StoreError> {
    let text = "SELECT due, op FROM renewal WHERE (due, op) > ($1, $2) AND due <= $3 AND not_after >= $4 \
        ORDER BY due, op LIMIT $5";
    let (after_due, after_op) = filter.after.map_or((i64::MIN, -1), |(due, op)| (due.unix(), op as i64));
    let params = [
        Value::Int(after_due),
        Value::Int(after_op),
        Value::Int(filter.until.unix()),
        Value::Int(filter.ends_after.unix()),
        Value::index(page_size(filter.limit) as u64),
    ];
    let mut rows = Vec::new();
    for mut row in sql.query(text, &params)? {
        rows.push((policy::Timestamp::from_unix(row.int()?), row.int()?));
    }
    let ops: Vec<i64> = rows.iter().map(|(_, op)| *op).collect();
    let mut found = by_operations(sql, &ops)?;
    let due =
        |(at, op): (policy::Timestamp, i64)| Some(Due { at, credential: found.remove(&u64::try_from(op).ok()?)? });
    Ok(rows.into_iter().filter_map(due).collect())
}
