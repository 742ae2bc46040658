//! Records: the present version of one, or of those found by a second key or an owner.

use policy::Timestamp;

use super::{number, page_size};
use crate::entry::ActorStamp;
use crate::error::StoreError;
use crate::record::{RecordFilter, StoredRecord};
use crate::sql::{Row, Sql, Value};

const RECORD: &str = "SELECT v.leaf, v.kind, v.id, v.at, v.owner, v.lookup, v.expires, v.body, v.actor, v.proof, v.proof_id \
    FROM present p JOIN record v ON v.leaf = p.leaf";

fn record_of(mut row: Row) -> Result<StoredRecord, StoreError> {
    Ok(StoredRecord {
        version: row.index()? + 1,
        kind: row.text()?,
        id: row.text()?,
        at: Timestamp::from_unix(row.int()?),
        owner: row.opt_text()?,
        lookup: row.opt_text()?,
        expires: row.opt_int()?.map(Timestamp::from_unix),
        body: serde_json::from_str(&row.text()?).map_err(|e| StoreError::Corrupt(e.to_string()))?,
        actor: ActorStamp { id: row.text()?, proof: row.text()?, proof_id: row.text()? },
    })
}

pub(crate) fn record_get(sql: &mut dyn Sql, kind: &str, id: &str) -> Result<Option<StoredRecord>, StoreError> {
    let text = format!("{RECORD} WHERE p.kind = $1 AND p.id = $2");
    sql.query(&text, &[Value::Text(kind), Value::Text(id)])?.into_iter().next().map(record_of).transpose()
}

/// The present versions that match, by id. A version that was replaced does not match, whatever it said.
pub(crate) fn record_list(
    sql: &mut dyn Sql,
    kind: &str,
    filter: &RecordFilter,
) -> Result<Vec<StoredRecord>, StoreError> {
    let (owner, lookup) = (filter.owner.as_deref().map(Value::Text), filter.lookup.as_deref().map(Value::Text));
    let (by, mut params) = match (owner, lookup) {
        (None, None) => ("", vec![]),
        (Some(owner), None) => (" AND p.owner = $2", vec![owner]),
        (None, Some(lookup)) => (" AND p.lookup = $2", vec![lookup]),
        (Some(owner), Some(lookup)) => (" AND p.lookup = $2 AND p.owner = $3", vec![lookup, owner]),
    };
    params.insert(0, Value::Text(kind));
    // Ids are never empty.
    params.push(Value::Text(filter.after.as_deref().unwrap_or_default()));
    params.push(number(page_size(filter.limit) as u64));
    let (after, limit) = (params.len() - 1, params.len());
    let text = format!("{RECORD} WHERE p.kind = $1{by} AND p.id > ${after} ORDER BY p.id LIMIT ${limit}");
    sql.query(&text, &params)?.into_iter().map(record_of).collect()
}
