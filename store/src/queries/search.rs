//! Looking for a part of a name, or for the beginning of a serial.
//!
//! No index knows parts of words on both engines, so names are walked, the newest first, so many a page and no more: a page that
//! finds little says where the next goes on.

use std::collections::BTreeSet;

use super::credentials::by_operations;
use super::list::{Position, by_place, matches, read};
use super::places::stacks;
use super::{PAGE_MAX, page_size};
use crate::credential::{Credential, Filter, Order, Page};
use crate::error::StoreError;
use crate::prepare::NAME_SLOTS;
use crate::sql::{Sql, Value};

/// Names that one page walks: some ten milliseconds.
const NAMES_MAX: i64 = 50_000;
/// No name is longer.
const TEXT_BYTES_MAX: usize = 253;

/// What matches, page by page.
pub(crate) fn list(sql: &mut dyn Sql, filter: &Filter) -> Result<Page<Credential>, StoreError> {
    match (&filter.text, &filter.serial) {
        (Some(text), _) => by_text(sql, filter, text),
        (None, Some(digits)) => by_serial(sql, filter, digits),
        (None, None) => by_place(sql, filter),
    }
}

/// What has the text in one of its names, the newest first.
fn by_text(sql: &mut dyn Sql, filter: &Filter, text: &str) -> Result<Page<Credential>, StoreError> {
    if filter.order != Order::Newest {
        return Err(StoreError::Invalid("what is searched for comes the newest first".into()));
    }
    if text.is_empty() || text.len() > TEXT_BYTES_MAX {
        return Err(StoreError::Invalid(format!("a search is for 1 to {TEXT_BYTES_MAX} bytes")));
    }
    let at = match filter.after_cursor.as_deref() {
        Some(cursor) => Position::parse(cursor)?.op,
        None => i64::MAX / SLOTS,
    };
    let places = places(sql, filter)?;
    let (below, limit) = (at.saturating_mul(SLOTS), page_size(filter.limit));
    let walked =
        "SELECT MIN(a1.slot) FROM (SELECT n.slot FROM name n WHERE n.slot < $1 ORDER BY n.slot DESC LIMIT $2) AS a1";
    let mut floor = None;
    for mut row in sql.query(walked, &[Value::Int(below), Value::Int(NAMES_MAX)])? {
        floor = row.opt_int()?;
    }
    // The operation that the walk ended in may have more names: it is walked again with the next page.
    let Some(floor) = floor.map(|slot| slot / SLOTS) else { return Ok(Page { items: Vec::new(), next: None }) };
    let found = format!(
        "SELECT a1.slot / {SLOTS}, c.place, c.pile, c.not_after, c.look FROM \
        (SELECT n.slot, n.name FROM name n WHERE n.slot < $1 ORDER BY n.slot DESC LIMIT $2) AS a1 \
        JOIN card c ON c.op = a1.slot / {SLOTS} WHERE lower(a1.name) LIKE $3 ESCAPE '!'"
    );
    let pattern = pattern(text);
    let mut ops: BTreeSet<i64> = BTreeSet::new();
    for row in sql.query(&found, &[Value::Int(below), Value::Int(NAMES_MAX), Value::Text(&pattern)])? {
        let (position, is_ours) = read(row, filter, &places)?;
        if is_ours {
            ops.insert(position.op);
        }
    }
    let newest: Vec<i64> = ops.into_iter().rev().collect();
    let (items, is_more) = some(sql, filter, &newest, limit)?;
    let last = items.last().map(|last| i64::try_from(last.operation).unwrap_or(i64::MAX));
    let next = match last.filter(|_| is_more) {
        Some(last) => Some(last),
        // Whoever was walked to its last name is done with; the lowest operation there is has number 0.
        None => (floor > 0 && has_below(sql, floor)?).then_some(floor),
    };
    Ok(Page { items, next: next.map(|op| Position { op, not_after: 0, look: None }.to_string()) })
}

/// What has a serial that begins so, the newest first, of the thousand that such serials end with.
fn by_serial(sql: &mut dyn Sql, filter: &Filter, digits: &str) -> Result<Page<Credential>, StoreError> {
    let Some((from, to)) = range(digits) else {
        return Err(StoreError::Invalid("a serial is up to 64 hexadecimal digits".into()));
    };
    let places = places(sql, filter)?;
    let text = "SELECT i.op, c.place, c.pile, c.not_after, c.look FROM intent i JOIN card c ON c.op = i.op \
        WHERE i.serial >= $1 AND i.serial < $2 ORDER BY i.serial DESC LIMIT $3";
    let mut ops = BTreeSet::new();
    for row in sql.query(text, &[Value::Blob(&from), Value::Blob(&to), Value::index(PAGE_MAX as u64)])? {
        let (position, is_ours) = read(row, filter, &places)?;
        if is_ours {
            ops.insert(position.op);
        }
    }
    let newest: Vec<i64> = ops.into_iter().rev().collect();
    let (items, _) = some(sql, filter, &newest, page_size(filter.limit))?;
    Ok(Page { items, next: None })
}

fn places(sql: &mut dyn Sql, filter: &Filter) -> Result<BTreeSet<i64>, StoreError> {
    Ok(stacks(sql, filter)?.into_iter().map(|stack| stack.place).collect())
}

/// The first of these that match, and whether there are more.
fn some(sql: &mut dyn Sql, filter: &Filter, ops: &[i64], limit: usize) -> Result<(Vec<Credential>, bool), StoreError> {
    let mut items = Vec::new();
    for chunk in ops.chunks(limit + 1) {
        let mut credentials = by_operations(sql, chunk)?;
        let in_order = chunk.iter().filter_map(|op| credentials.remove(&u64::try_from(*op).ok()?));
        items.extend(in_order.filter(|credential| matches(filter, credential)));
        if items.len() > limit {
            items.truncate(limit);
            return Ok((items, true));
        }
    }
    Ok((items, false))
}

fn has_below(sql: &mut dyn Sql, op: i64) -> Result<bool, StoreError> {
    let text = "SELECT n.slot FROM name n WHERE n.slot < $1 ORDER BY n.slot DESC LIMIT 1";
    Ok(!sql.query(text, &[Value::Int(op * SLOTS)])?.is_empty())
}

const SLOTS: i64 = NAME_SLOTS as i64;

/// As LIKE wants it, in lower case.
fn pattern(text: &str) -> String {
    let mut pattern = String::from("%");
    for letter in text.chars().flat_map(char::to_lowercase) {
        if matches!(letter, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(letter);
    }
    pattern.push('%');
    pattern
}

/// Serials from the first on and below the second.
fn range(digits: &str) -> Option<(Vec<u8>, Vec<u8>)> {
    let digits = digits.to_ascii_lowercase();
    if digits.is_empty() || digits.len() > 64 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let even = |fill: char| {
        let odd = digits.len() % 2 == 1;
        hex::decode(format!("{digits}{}", if odd { fill.to_string() } else { String::new() })).ok()
    };
    let mut to = even('f')?;
    // No serial has more bytes than these.
    to.resize(33, 0xff);
    Some((even('0')?, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_looked_for_as_it_stands() {
        assert_eq!(pattern("A_b%!c"), "%a!_b!%!!c%");
    }

    #[test]
    fn a_prefix_is_a_range_of_serials() {
        let (from, to) = range("0A1").unwrap();
        assert_eq!((from, &to[..3]), (vec![0x0a, 0x10], &[0x0a, 0x1f, 0xff][..]));
        assert!(range("").is_none() && range("0x").is_none() && range(&"0".repeat(65)).is_none());
    }
}
