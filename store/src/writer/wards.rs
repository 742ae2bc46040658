//! What a batch makes known of secrets: that they are there, and that somebody read them. projection.rs has the rules.
//!
//! A reading costs a row for the first of its hour and reader, and nothing after that.

use std::collections::{BTreeMap, HashMap};

use policy::Timestamp;

use crate::forms::projection;
use crate::forms::ward::{SECRET, Standing, ward_of};
use crate::nouns::error::StoreError;
use crate::rows::{AccessRow, RecordRow};
use crate::sql::{Sql, SqlError, Value};
use crate::truth::{Node, RecordKey};

/// The last version of each secret in a batch has its row, or takes it away.
pub(super) fn records(sql: &mut dyn Sql, rows: &[(u64, u64, Timestamp, &RecordRow)]) -> Result<(), SqlError> {
    let secrets = rows.iter().filter(|(.., row)| row.record.kind == SECRET);
    let last: BTreeMap<&str, _> = secrets.map(|row| (row.3.record.id.as_str(), row)).collect();
    let mut there = Vec::new();
    for (path, (_, replaces, at, row)) in last {
        match ward_of(path, row.record.owner.as_deref(), at.unix(), &row.record.body) {
            // What is new was never read.
            Some(Standing::There(ward)) if *replaces == 0 => there.push((ward, None)),
            Some(Standing::There(ward)) => {
                let read = last_reading(sql, &ward.id)?;
                there.push((ward, read));
            }
            Some(Standing::Away(id)) => drop(sql.execute("DELETE FROM ward WHERE id = $1", &[Value::Text(&id)])?),
            None => {}
        }
    }
    let mut values = Vec::with_capacity(there.len() * 7);
    for (ward, read) in &there {
        let optional = |at: Option<i64>| at.map_or(Value::Null, Value::Int);
        let seen = read.as_ref().map_or(ward.made, |(_, _, at)| *at);
        values.extend([Value::Text(&ward.id), Value::Text(&ward.owner), optional(ward.ends), Value::Int(seen)]);
        values.extend([optional(ward.pending), read.as_ref().map_or(Value::Null, |(reader, ..)| Value::Text(reader))]);
        values.push(optional(read.as_ref().map(|(_, leaf, _)| *leaf)));
    }
    let into = "INSERT INTO ward (id, owner, ends, seen, pending, reader, leaf) VALUES ? ON CONFLICT (id) DO UPDATE SET \
        owner = excluded.owner, ends = excluded.ends, seen = excluded.seen, pending = excluded.pending, \
        reader = excluded.reader, leaf = excluded.leaf";
    sql.insert(into, 7, &values)
}

/// Reader, leaf and time.
type Last = (String, i64, i64);

fn last_reading(sql: &mut dyn Sql, id: &str) -> Result<Option<Last>, SqlError> {
    let text = "SELECT r.reader, r.leaf, r.at FROM reading r WHERE r.id = $1 ORDER BY r.leaf DESC LIMIT 1";
    let row = sql.query(text, &[Value::Text(id)])?.into_iter().next();
    row.map(|mut row| Ok((row.text()?, row.int()?, row.int()?))).transpose().map_err(corrupt)
}

/// In which hours these accesses were, by secret and reader.
pub(super) fn hours(accesses: &[(u64, Timestamp, &AccessRow)]) -> Vec<(RecordKey, i64)> {
    let each = accesses.iter().flat_map(|(_, at, row)| row.read.iter().map(move |(_, key)| (*key, at)));
    each.map(|(key, at)| (key, projection::hour(at.unix()))).collect()
}

/// Of each secret and reader the first reading of the newest hour, where that is news.
pub(super) fn readings(
    sql: &mut dyn Sql,
    node: &Node,
    accesses: &[(u64, Timestamp, &AccessRow)],
) -> Result<(), SqlError> {
    let mut news: BTreeMap<(&str, &str), (i64, u64, i64)> = BTreeMap::new();
    for (leaf, at, row) in accesses {
        let hour = projection::hour(at.unix());
        for (id, _) in row.read.iter().filter(|(_, key)| !node.has_read(key, hour)) {
            let there = news.entry((id, &row.reader)).or_insert((hour, *leaf, at.unix()));
            if hour > there.0 {
                *there = (hour, *leaf, at.unix());
            }
        }
    }
    let news: Vec<_> = news.into_iter().collect();
    let mut last: HashMap<String, Last> = HashMap::new();
    let mut rest = news.as_slice();
    while !rest.is_empty() {
        // Few sizes, so that few statements are parsed.
        let size = (1 << rest.len().ilog2()).min(ASK_MAX);
        let (some, others) = rest.split_at(size);
        rest = others;
        let rows: Vec<String> = (0..size)
            .map(|at| format!("(${}, ${}, ${}, ${})", 4 * at + 1, 4 * at + 2, 4 * at + 3, 4 * at + 4))
            .collect();
        let text = format!(
            "INSERT INTO reading (id, reader, leaf, at) VALUES {} ON CONFLICT (id, reader) DO UPDATE SET leaf = excluded.leaf, \
            at = excluded.at WHERE excluded.at / {HOUR} > reading.at / {HOUR} RETURNING id, reader, leaf, at",
            rows.join(", "),
            HOUR = projection::HOUR_SECS
        );
        let values = some.iter().flat_map(|((id, reader), (_, leaf, at))| {
            [Value::Text(id), Value::Text(reader), Value::index(*leaf), Value::Int(*at)]
        });
        let values: Vec<Value<'_>> = values.collect();
        for mut row in sql.query(&text, &values)? {
            let mut read = || Ok((row.text()?, (row.text()?, row.int()?, row.int()?)));
            let (id, reading) = read().map_err(corrupt)?;
            match last.get(&id) {
                Some((_, leaf, _)) if *leaf > reading.1 => {}
                Some(_) | None => drop(last.insert(id, reading)),
            }
        }
    }
    for (id, (reader, leaf, at)) in last {
        let text = "UPDATE ward SET seen = $1, reader = $2, leaf = $3 WHERE id = $4";
        sql.execute(text, &[Value::Int(at), Value::Text(&reader), Value::Int(leaf), Value::Text(&id)])?;
    }
    Ok(())
}

fn corrupt(error: StoreError) -> SqlError {
    SqlError::Corrupt(error.to_string())
}

/// Readings of one statement.
const ASK_MAX: usize = 64;
