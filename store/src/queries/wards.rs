//! Secrets by when they end, were read and wait; and who reads them. Each question is a range of an index.

use std::collections::HashMap;

use policy::Timestamp;

use super::page_size;
use crate::nouns::error::StoreError;
use crate::nouns::ward::{Reading, WARDS_COUNTED_MAX, Ward, WardBy, WardFilter};
use crate::sql::{Row, Sql, Value};

const COLUMNS: &str = "SELECT w.id, w.owner, w.ends, w.seen, w.pending, w.reader, w.leaf FROM ward w";

fn column(by: WardBy) -> &'static str {
    match by {
        WardBy::Ends => "ends",
        WardBy::Seen => "seen",
        WardBy::Pending => "pending",
    }
}

/// The condition on the owner, and how many parameters it has: they are named in the order of their numbers.
fn owned(filter: &WardFilter) -> (&'static str, usize) {
    if filter.owner.is_some() { ("w.owner = $1 AND ", 1) } else { ("", 0) }
}

fn ward(mut row: Row) -> Result<Ward, StoreError> {
    let (id, owner, ends, seen, pending) = (row.text()?, row.text()?, row.opt_int()?, row.int()?, row.opt_int()?);
    let (reader, leaf) = (row.opt_text()?, row.opt_int()?);
    let time = Timestamp::from_unix;
    let read = reader.zip(leaf.and_then(|leaf| u64::try_from(leaf).ok()));
    Ok(Ward { id, owner, ends: ends.map(time), seen: time(seen), pending: pending.map(time), read })
}

/// A page.
pub(crate) fn wards(sql: &mut dyn Sql, filter: &WardFilter) -> Result<Vec<Ward>, StoreError> {
    let column = column(filter.by);
    // An id is never empty: what begins with the first moment begins before all of them.
    let (at, id) = match &filter.after {
        Some((at, id)) => (at.unix(), id.as_str()),
        None => (filter.from.map_or(i64::MIN, Timestamp::unix), ""),
    };
    let (of, n) = owned(filter);
    let mut params: Vec<Value<'_>> = filter.owner.as_deref().map(Value::Text).into_iter().collect();
    params.extend([Value::Int(at), Value::Text(id), Value::Int(filter.before.unix())]);
    params.push(Value::index(page_size(filter.limit) as u64));
    let text = format!(
        "{COLUMNS} WHERE {of}(w.{column}, w.id) > (${}, ${}) AND w.{column} < ${} ORDER BY w.{column}, w.id LIMIT ${}",
        n + 1,
        n + 2,
        n + 3,
        n + 4
    );
    sql.query(&text, &params)?.into_iter().map(ward).collect()
}

/// How many there are, up to [`WARDS_COUNTED_MAX`].
pub(crate) fn count_wards(sql: &mut dyn Sql, filter: &WardFilter) -> Result<u64, StoreError> {
    let column = column(filter.by);
    let from = filter.from.map_or(i64::MIN, Timestamp::unix);
    let (of, n) = owned(filter);
    let mut params: Vec<Value<'_>> = filter.owner.as_deref().map(Value::Text).into_iter().collect();
    params.extend([Value::Int(from), Value::Int(filter.before.unix())]);
    let meant = format!("FROM ward w WHERE {of}w.{column} >= ${} AND w.{column} < ${}", n + 1, n + 2);
    // Whether there are so many first: then none of them is counted.
    let text = format!("SELECT w.id {meant} ORDER BY w.{column}, w.id LIMIT 1 OFFSET ${}", n + 3);
    let last = [params.as_slice(), &[Value::index(WARDS_COUNTED_MAX - 1)]].concat();
    if !sql.query(&text, &last)?.is_empty() {
        return Ok(WARDS_COUNTED_MAX);
    }
    let text = format!("SELECT COUNT(*) {meant}");
    sql.query(&text, &params)?.into_iter().next().map_or(Ok(0), |mut row| row.index())
}

/// Those whose ids lie between two, by id.
pub(crate) fn wards_between(
    sql: &mut dyn Sql,
    (above, below): (&str, &str),
    limit: usize,
) -> Result<Vec<Ward>, StoreError> {
    let text = format!("{COLUMNS} WHERE w.id > $1 AND w.id < $2 ORDER BY w.id LIMIT $3");
    let params = [Value::Text(above), Value::Text(below), Value::index(page_size(limit) as u64)];
    sql.query(&text, &params)?.into_iter().map(ward).collect()
}

/// When they end, from one moment on and before another, the first first: so many at most, of an owner or of all.
pub(crate) fn ward_ends(
    sql: &mut dyn Sql,
    owner: Option<&str>,
    (from, before): (Timestamp, Timestamp),
    most: usize,
) -> Result<Vec<Timestamp>, StoreError> {
    let of = if owner.is_some() { "w.owner = $1 AND " } else { "" };
    let mut params: Vec<Value<'_>> = owner.map(Value::Text).into_iter().collect();
    let n = params.len();
    params.extend([Value::Int(from.unix()), Value::Int(before.unix()), Value::index(most as u64)]);
    let text = format!(
        "SELECT w.ends FROM ward w WHERE {of}w.ends >= ${} AND w.ends < ${} ORDER BY w.ends, w.id LIMIT ${}",
        n + 1,
        n + 2,
        n + 3
    );
    let rows = sql.query(&text, &params)?;
    rows.into_iter().map(|mut row| Ok(Timestamp::from_unix(row.int()?))).collect()
}

/// Those of these ids that are there.
pub(crate) fn wards_of(sql: &mut dyn Sql, ids: &[String]) -> Result<HashMap<String, Ward>, StoreError> {
    let mut found = HashMap::with_capacity(ids.len());
    for some in ids.chunks(ASK_MAX) {
        let asked = some.len().next_power_of_two();
        let marks: Vec<String> = (1..=asked).map(|at| format!("${at}")).collect();
        let params: Vec<Value<'_>> = some.iter().cycle().take(asked).map(|id| Value::Text(id)).collect();
        for row in sql.query(&format!("{COLUMNS} WHERE w.id IN ({})", marks.join(", ")), &params)? {
            let ward = ward(row)?;
            found.insert(ward.id.clone(), ward);
        }
    }
    Ok(found)
}

/// Who read a secret, whoever did last first.
pub(crate) fn readers(sql: &mut dyn Sql, id: &str, limit: usize) -> Result<Vec<Reading>, StoreError> {
    let text = "SELECT r.id, r.reader, r.leaf, r.at FROM reading r WHERE r.id = $1 ORDER BY r.leaf DESC LIMIT $2";
    let rows = sql.query(text, &[Value::Text(id), Value::index(page_size(limit) as u64)])?;
    rows.into_iter().map(reading).collect()
}

/// A page of who read what, by secret and reader.
pub(crate) fn readings(
    sql: &mut dyn Sql,
    (id, reader): (&str, &str),
    limit: usize,
) -> Result<Vec<Reading>, StoreError> {
    let text = "SELECT r.id, r.reader, r.leaf, r.at FROM reading r WHERE (r.id, r.reader) > ($1, $2) \
        ORDER BY r.id, r.reader LIMIT $3";
    let rows = sql.query(text, &[Value::Text(id), Value::Text(reader), Value::index(page_size(limit) as u64)])?;
    rows.into_iter().map(self::reading).collect()
}

fn reading(mut row: Row) -> Result<Reading, StoreError> {
    let (id, reader, leaf) = (row.text()?, row.text()?, row.index()?);
    Ok(Reading { id, reader, leaf, at: Timestamp::from_unix(row.int()?) })
}

/// Ids asked for at once: few sizes, so that few statements are parsed.
const ASK_MAX: usize = 64;
