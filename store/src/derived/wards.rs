//! Secrets and who read them, derived again from the present records and from the leaves of the accesses.

use std::collections::BTreeMap;

use policy::Timestamp;

use super::wrong::{READING, WARD, Wrong, text_of};
use super::{PAGE, Sink};
use crate::forms::leaf::{Event, Leaf};
use crate::forms::projection;
use crate::forms::ward::{SECRET, Standing, ward_of};
use crate::nouns::error::StoreError;
use crate::nouns::ward::{is_reading, of_value};
use crate::sql::{Cell, Sql, Value};

/// Compares `reading` and `ward` with what the register says.
pub(crate) fn wards(sql: &mut dyn Sql, sink: &mut Sink<'_>) -> Result<(), StoreError> {
    readings_of_nothing(sql, sink)?;
    readings_of_leaves(sql, sink)?;
    wards_of_records(sql, sink)?;
    wards_of_nothing(sql, sink)
}

/// What an access says: who read which secrets, and when.
struct Read {
    reader: String,
    at: i64,
    ids: Vec<String>,
}

fn read_of(bytes: &[u8]) -> Option<Read> {
    // Most leaves are of something else, and need not be read.
    bytes.windows(ACCESS.len()).find(|there| *there == ACCESS)?;
    let leaf = Leaf::parse(bytes).ok().filter(|leaf| leaf.event == Event::Access)?;
    let at = Timestamp::parse_rfc3339(&leaf.time).ok()?.unix();
    leaf.grant.filter(|grant| is_reading(&grant.action))?;
    let opened = leaf.opened.unwrap_or_default();
    let ids = opened.iter().filter_map(|of| of_value(&of.id)).map(str::to_owned).collect();
    Some(Read { reader: leaf.actor?.id, at, ids })
}

const ACCESS: &[u8] = b"\"event\":\"access\"";

/// Every row stands for a leaf that says so.
fn readings_of_nothing(sql: &mut dyn Sql, sink: &mut Sink<'_>) -> Result<(), StoreError> {
    let text = "SELECT r.id, r.reader, r.at, l.bytes FROM reading r LEFT JOIN leaf l ON l.idx = r.leaf \
        WHERE (r.id, r.reader) > ($1, $2) ORDER BY r.id, r.reader LIMIT $3";
    let (mut id, mut reader) = (String::new(), String::new());
    loop {
        let rows = sql.query(text, &[Value::Text(&id), Value::Text(&reader), Value::Int(PAGE)])?;
        let (count, mut wrong) = (rows.len(), Vec::new());
        for row in rows {
            let cells = row.cells();
            let [there_id, there_reader, at, bytes] = &cells[..] else { continue };
            (id, reader) = (text_of(there_id).to_owned(), text_of(there_reader).to_owned());
            let read = match bytes {
                Cell::Blob(bytes) => read_of(bytes),
                Cell::Null | Cell::Int(_) | Cell::Text(_) => None,
            };
            let is_so =
                read.is_some_and(|read| read.reader == reader && Cell::Int(read.at) == *at && read.ids.contains(&id));
            let there = (!is_so).then(Vec::new);
            wrong.extend(Wrong::unless_same(&READING, vec![there_id.clone(), there_reader.clone()], there, None));
        }
        sink(sql, wrong)?;
        if count < PAGE as usize {
            return Ok(());
        }
    }
}

/// Every leaf that says so has its row, or an earlier one of its hour has, or one of a later hour.
fn readings_of_leaves(sql: &mut dyn Sql, sink: &mut Sink<'_>) -> Result<(), StoreError> {
    let text = "SELECT idx, bytes FROM leaf WHERE idx > $1 ORDER BY idx LIMIT $2";
    let mut after = i64::MIN;
    loop {
        let rows = sql.query(text, &[Value::Int(after), Value::Int(PAGE)])?;
        let (count, mut first) = (rows.len(), BTreeMap::new());
        for row in rows {
            let [Cell::Int(leaf), Cell::Blob(bytes)] = &row.cells()[..] else { continue };
            after = *leaf;
            let Some(read) = read_of(bytes) else { continue };
            for id in read.ids {
                let there = first.entry((id, read.reader.clone())).or_insert((*leaf, read.at));
                if projection::hour(read.at) > projection::hour(there.1) {
                    *there = (*leaf, read.at);
                }
            }
        }
        let mut wrong = Vec::new();
        for ((id, reader), (leaf, at)) in first {
            let text = "SELECT leaf, at FROM reading WHERE id = $1 AND reader = $2";
            let row = sql.query(text, &[Value::Text(&id), Value::Text(&reader)])?.into_iter().next();
            let there = row.map(|row| row.cells());
            let is_covered = match there.as_deref() {
                Some([Cell::Int(there), Cell::Int(when)]) => {
                    let (theirs, ours) = (projection::hour(*when), projection::hour(at));
                    theirs > ours || (theirs == ours && *there <= leaf)
                }
                Some(_) | None => false,
            };
            let key = vec![Cell::Text(id), Cell::Text(reader)];
            let expected = vec![Cell::Int(leaf), Cell::Int(at)];
            wrong.extend((!is_covered).then_some(Wrong { of: &READING, key, there, expected: Some(expected) }));
        }
        sink(sql, wrong)?;
        if count < PAGE as usize {
            return Ok(());
        }
    }
}

/// The present records of secrets after a path.
pub(super) const SECRETS: &str = "SELECT p.id, r.owner, r.at, r.body FROM present p JOIN record r ON r.leaf = p.leaf \
    WHERE p.kind = $1 AND p.id > $2 ORDER BY p.id LIMIT $3";

/// Every secret that is there has its row.
fn wards_of_records(sql: &mut dyn Sql, sink: &mut Sink<'_>) -> Result<(), StoreError> {
    let mut after = String::new();
    loop {
        let rows = sql.query(SECRETS, &[Value::Text(SECRET), Value::Text(&after), Value::Int(PAGE)])?;
        let (count, mut wrong) = (rows.len(), Vec::new());
        for row in rows {
            let cells = row.cells();
            let [path, owner, Cell::Int(at), body] = &cells[..] else { continue };
            text_of(path).clone_into(&mut after);
            let Some(expected) = row_of(sql, (text_of(path), owner, *at, text_of(body)))? else { continue };
            let (id, expected) = expected;
            let there = there(sql, &id)?;
            wrong.extend(Wrong::unless_same(&WARD, vec![Cell::Text(id)], there, expected));
        }
        sink(sql, wrong)?;
        if count < PAGE as usize {
            return Ok(());
        }
    }
}

/// The id of a row and its columns; none where there is to be no row.
type Expected = (String, Option<Vec<Cell>>);

/// Id and columns of the row that a present record derives; no columns: there is to be no row.
fn row_of(
    sql: &mut dyn Sql,
    (path, owner, at, body): (&str, &Cell, i64, &str),
) -> Result<Option<Expected>, StoreError> {
    let body: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    let owner = Some(text_of(owner)).filter(|_| *owner != Cell::Null);
    let ward = match ward_of(path, owner, at, &body) {
        Some(Standing::There(ward)) => ward,
        Some(Standing::Away(id)) => return Ok(Some((id, None))),
        None => return Ok(None),
    };
    let text = "SELECT reader, leaf, at FROM reading WHERE id = $1 ORDER BY leaf DESC LIMIT 1";
    let last = sql.query(text, &[Value::Text(&ward.id)])?.into_iter().next().map(|row| row.cells());
    let (reader, leaf, seen) = match last.as_deref() {
        Some([reader, leaf, at]) => (reader.clone(), leaf.clone(), at.clone()),
        Some(_) | None => (Cell::Null, Cell::Null, Cell::Int(ward.made)),
    };
    let int = |at: Option<i64>| at.map_or(Cell::Null, Cell::Int);
    let columns = vec![Cell::Text(ward.owner), int(ward.ends), seen, int(ward.pending), reader, leaf];
    Ok(Some((ward.id, Some(columns))))
}

fn there(sql: &mut dyn Sql, id: &str) -> Result<Option<Vec<Cell>>, StoreError> {
    let text = "SELECT owner, ends, seen, pending, reader, leaf FROM ward WHERE id = $1";
    Ok(sql.query(text, &[Value::Text(id)])?.into_iter().next().map(|row| row.cells()))
}

/// Every row is of a secret that is there.
fn wards_of_nothing(sql: &mut dyn Sql, sink: &mut Sink<'_>) -> Result<(), StoreError> {
    let mut after = String::new();
    loop {
        let text = "SELECT id FROM ward WHERE id > $1 ORDER BY id LIMIT $2";
        let rows = sql.query(text, &[Value::Text(&after), Value::Int(PAGE)])?;
        let (count, mut wrong) = (rows.len(), Vec::new());
        for row in rows {
            let [id] = &row.cells()[..] else { continue };
            text_of(id).clone_into(&mut after);
            let path = after.rsplit_once('@').map_or("", |(path, _)| path);
            let text = "SELECT r.owner, r.at, r.body FROM present p JOIN record r ON r.leaf = p.leaf \
                WHERE p.kind = $1 AND p.id = $2";
            let record = sql.query(text, &[Value::Text(SECRET), Value::Text(path)])?.into_iter().next();
            let record = record.map(|row| row.cells());
            let expected = match record.as_deref() {
                Some([owner, Cell::Int(at), body]) => row_of(sql, (path, owner, *at, text_of(body)))?,
                Some(_) | None => None,
            };
            let is_so = expected.is_some_and(|(theirs, columns)| theirs == after && columns.is_some());
            let there = (!is_so).then(Vec::new);
            wrong.extend(Wrong::unless_same(&WARD, vec![id.clone()], there, None));
        }
        sink(sql, wrong)?;
        if count < PAGE as usize {
            return Ok(());
        }
    }
}
