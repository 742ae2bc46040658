//! Records: the present version of one, or of those found by a second key or an owner.

use std::collections::HashMap;
use std::ops::Range;

use policy::Timestamp;

use super::{PAGE_MAX, page_size};
use crate::forms::schema::RECORD as RECORD_TABLE;
use crate::nouns::entry::ActorStamp;
use crate::nouns::error::StoreError;
use crate::nouns::record::{RecordFilter, StoredRecord};
use crate::sql::{Cell, Row, Sql, Value};

const COLUMNS: &str =
    "SELECT v.leaf, v.kind, v.id, v.at, v.owner, v.lookup, v.expires, v.body, v.actor, v.proof, v.proof_id";
const PLACE: &str = ", p.id, p.lookup";
const RECORD: &str = "FROM present p JOIN record v ON v.leaf = p.leaf";

pub(crate) fn record_of(mut row: Row) -> Result<StoredRecord, StoreError> {
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

/// The present version of a record as it stands there, not attested.
pub(crate) fn record_get(sql: &mut dyn Sql, kind: &str, id: &str) -> Result<Option<Vec<Cell>>, StoreError> {
    let text = format!("{COLUMNS} {RECORD} WHERE p.kind = $1 AND p.id = $2");
    Ok(sql.query(&text, &[Value::Text(kind), Value::Text(id)])?.into_iter().next().map(Row::cells))
}

/// The same of several, by id.
pub(crate) fn records_by_id(
    sql: &mut dyn Sql,
    kind: &str,
    ids: &[String],
) -> Result<HashMap<String, Vec<Cell>>, StoreError> {
    let mut found = HashMap::with_capacity(ids.len());
    for some in ids.chunks(ASK_MAX) {
        let asked = some.len().next_power_of_two();
        let marks: Vec<String> = (2..asked + 2).map(|at| format!("${at}")).collect();
        let ids = some.iter().cycle().take(asked).map(|id| Value::Text(id));
        let params: Vec<Value<'_>> = std::iter::once(Value::Text(kind)).chain(ids).collect();
        let text = format!("{COLUMNS} {RECORD} WHERE p.kind = $1 AND p.id IN ({})", marks.join(", "));
        for row in sql.query(&text, &params)? {
            let cells = row.cells();
            // Column 2 is the id.
            if let Some(Cell::Text(id)) = cells.get(2) {
                found.insert(id.clone(), cells);
            }
        }
    }
    Ok(found)
}

/// How many ids there are between two, up to a number.
pub(crate) fn count_records(
    sql: &mut dyn Sql,
    kind: &str,
    (above, below): (&str, &str),
    most: u64,
) -> Result<u64, StoreError> {
    let meant = "FROM present p WHERE p.kind = $1 AND p.id > $2 AND p.id < $3";
    let params = [Value::Text(kind), Value::Text(above), Value::Text(below)];
    // Whether there are so many first: then none of them is counted.
    let text = format!("SELECT p.id {meant} ORDER BY p.id LIMIT 1 OFFSET $4");
    let last = [&params[..], &[Value::index(most.saturating_sub(1))]].concat();
    if !sql.query(&text, &last)?.is_empty() {
        return Ok(most);
    }
    let text = format!("SELECT COUNT(*) {meant}");
    sql.query(&text, &params)?.into_iter().next().map_or(Ok(0), |mut row| row.index())
}

/// The version of a record that a leaf stands for, present or not, and not attested.
pub(crate) fn record_at(sql: &mut dyn Sql, leaf: u64) -> Result<Option<Vec<Cell>>, StoreError> {
    let text = format!("{COLUMNS} FROM record v WHERE v.leaf = $1");
    Ok(sql.query(&text, &[Value::index(leaf)])?.into_iter().next().map(Row::cells))
}

/// The leaves of versions of records of a kind, present or not, in a stretch of the log.
pub(crate) fn record_leaves(
    sql: &mut dyn Sql,
    kind: &str,
    leaves: Range<u64>,
    limit: usize,
) -> Result<Vec<u64>, StoreError> {
    let text = "SELECT leaf FROM record WHERE leaf >= $1 AND leaf < $2 AND kind = $3 ORDER BY leaf LIMIT $4";
    let range = [Value::index(leaves.start), Value::index(leaves.end)];
    let params = [range[0], range[1], Value::Text(kind), Value::index(page_size(limit) as u64)];
    sql.query(text, &params)?.into_iter().map(|mut row| row.index()).collect()
}

/// The present versions that match, by id. A version that was replaced does not match, whatever it said.
pub(crate) fn record_list(sql: &mut dyn Sql, kind: &str, filter: &RecordFilter) -> Result<Vec<Vec<Cell>>, StoreError> {
    Ok(record_page(sql, kind, filter)?.into_iter().map(|row| row.cells).collect())
}

/// A row, and where the index of what is present has it: by that the list goes on, whatever the row itself says.
pub(crate) struct PresentRow {
    pub id: String,
    pub lookup: Option<String>,
    pub cells: Vec<Cell>,
}

/// The same, each with its place.
pub(crate) fn record_page(sql: &mut dyn Sql, kind: &str, filter: &RecordFilter) -> Result<Vec<PresentRow>, StoreError> {
    if let Some((above, below)) = &filter.between {
        return record_between(sql, kind, (above, below), filter);
    }
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
    params.push(Value::index(page_size(filter.limit) as u64));
    let (after, limit) = (params.len() - 1, params.len());
    let text =
        format!("{COLUMNS}{PLACE} {RECORD} WHERE p.kind = $1{by} AND p.id > ${after} ORDER BY p.id LIMIT ${limit}");
    Ok(sql.query(&text, &params)?.into_iter().map(placed).collect())
}

/// The present versions whose second key is between two, in its order.
fn record_between(
    sql: &mut dyn Sql,
    kind: &str,
    (above, below): (&str, &str),
    filter: &RecordFilter,
) -> Result<Vec<PresentRow>, StoreError> {
    let mut params = vec![Value::Text(kind), Value::Text(above), Value::Text(below)];
    let by = filter.owner.as_deref().map_or("", |owner| {
        params.push(Value::Text(owner));
        " AND p.owner = $4"
    });
    params.push(Value::index(page_size(filter.limit) as u64));
    let limit = params.len();
    let text = format!(
        "{COLUMNS}{PLACE} {RECORD} WHERE p.kind = $1 AND p.lookup > $2 AND p.lookup < $3{by} ORDER BY p.lookup, p.id LIMIT ${limit}"
    );
    Ok(sql.query(&text, &params)?.into_iter().map(placed).collect())
}

/// What the index says stands behind the row's own columns.
fn placed(row: Row) -> PresentRow {
    let mut cells = row.cells();
    let lookup = cells.pop();
    let id = cells.pop();
    let text = |cell: Option<Cell>| match cell {
        Some(Cell::Text(text)) => Some(text),
        Some(_) | None => None,
    };
    PresentRow { id: text(id).unwrap_or_default(), lookup: text(lookup), cells }
}

/// Kind and id of every present record.
pub(crate) fn each_present(sql: &mut dyn Sql, each: &mut dyn FnMut(&str, &str)) -> Result<(), StoreError> {
    let text = "SELECT kind, id FROM present WHERE (kind, id) > ($1, $2) ORDER BY kind, id LIMIT $3";
    let (mut kind, mut id) = (String::new(), String::new());
    loop {
        let rows = sql.query(text, &[Value::Text(&kind), Value::Text(&id), Value::index(PAGE_MAX as u64)])?;
        let is_last = rows.len() < PAGE_MAX;
        for mut row in rows {
            (kind, id) = (row.text()?, row.text()?);
            each(&kind, &id);
        }
        if is_last {
            return Ok(());
        }
    }
}

/// The whole rows, in the schema's order, of the present versions of a kind of which there are few.
pub(crate) fn record_rows(sql: &mut dyn Sql, kind: &str) -> Result<Vec<Vec<Cell>>, StoreError> {
    let columns: Vec<String> = RECORD_TABLE.columns.iter().map(|(column, _)| format!("v.{column}")).collect();
    let text = format!(
        "SELECT {} FROM present p JOIN record v ON v.leaf = p.leaf WHERE p.kind = $1 AND p.id > $2 ORDER BY p.id LIMIT $3",
        columns.join(", ")
    );
    let id_at = RECORD_TABLE.position("id").unwrap_or_default();
    let (mut found, mut after) = (Vec::new(), String::new());
    loop {
        let rows = sql.query(&text, &[Value::Text(kind), Value::Text(&after), Value::index(PAGE_MAX as u64)])?;
        let count = rows.len();
        found.extend(rows.into_iter().map(Row::cells));
        match found.last().and_then(|row| row.get(id_at)) {
            Some(Cell::Text(last)) if count == PAGE_MAX => after.clone_from(last),
            _ => return Ok(found),
        }
    }
}

/// Ids asked for at once: few sizes, so that few statements are parsed.
const ASK_MAX: usize = 64;
