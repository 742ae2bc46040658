//! Large objects, a chunk at a time: no statement takes longer because an object is larger.

use crate::forms::object::OBJECT_SLOTS;
use crate::nouns::entry::Kind;
use crate::nouns::error::StoreError;
use crate::sql::{Sql, Value};

/// Hands over an object's chunks in their order; answers how many there are. A gap ends it.
pub(crate) fn object(sql: &mut dyn Sql, op: u64, each: &mut dyn FnMut(&[u8])) -> Result<u64, StoreError> {
    for n in 0..OBJECT_SLOTS {
        let slot = Value::index(op.saturating_mul(OBJECT_SLOTS).saturating_add(n));
        let rows = sql.query("SELECT bytes FROM object WHERE slot = $1", &[slot])?;
        let Some(mut row) = rows.into_iter().next() else { return Ok(n) };
        each(&row.blob()?);
    }
    Ok(OBJECT_SLOTS)
}

/// The slots in a range, ascending, at most so many as one object has.
pub(crate) fn object_slots(sql: &mut dyn Sql, from: i64, to: i64) -> Result<Vec<i64>, StoreError> {
    let text = format!("SELECT slot FROM object WHERE slot >= $1 AND slot < $2 ORDER BY slot LIMIT {OBJECT_SLOTS}");
    let rows = sql.query(&text, &[Value::Int(from), Value::Int(to)])?;
    rows.into_iter().map(|mut row| row.int()).collect()
}

/// Whether a CRL was concluded by this leaf or a later one. Walks what came since: call it with a recent leaf.
pub(crate) fn crl_settled_since(sql: &mut dyn Sql, leaf: u64) -> Result<bool, StoreError> {
    let text = "SELECT c.leaf FROM conclusion c JOIN intent i ON i.op = c.op WHERE c.leaf >= $1 AND i.kind = $2 \
        ORDER BY c.leaf LIMIT 1";
    Ok(!sql.query(text, &[Value::index(leaf), Value::Text(Kind::Crl.as_str())])?.is_empty())
}
