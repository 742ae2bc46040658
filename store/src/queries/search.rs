//! Looking for a part of a name, or for the beginning of a serial.
//!
//! No index knows parts of words on both engines, so names are walked, the newest first, and serials, which have one, the highest
//! first: as many as fill the page, and no more than a bound. A page that finds little says where the next goes on.

use std::collections::BTreeSet;

use super::beginning::{DIGITS_MAX, beginning};
use super::credentials::by_operations;
use super::list::{Position, by_place, matches, read};
use super::places::stacks;
use super::{PAGE_MAX, page_size};
use crate::nouns::credential::{Credential, Filter, Order, Page, SERIAL_CURSOR};
use crate::nouns::error::StoreError;
use crate::rows::NAME_SLOTS;
use crate::sql::{Sql, Value};

/// Names that one page walks: some ten milliseconds.
const NAMES_MAX: i64 = 50_000;
/// Names that are walked first: most of what is searched for stands in many names, or in none.
const NAMES_FIRST: i64 = 1_000;
/// Serials that one page looks at.
const SERIALS_MAX: usize = 10_000;
/// No name is longer.
const TEXT_BYTES_MAX: usize = 253;

/// What matches, page by page.
pub(crate) fn list(sql: &mut dyn Sql, filter: &Filter) -> Result<Page<Credential>, StoreError> {
    if filter.serial.is_none() && filter.text.is_none() {
        return by_place(sql, filter);
    }
    if filter.order != Order::Newest {
        return Err(StoreError::Invalid("what is searched for comes the newest first".into()));
    }
    match (&filter.serial, &filter.text) {
        (Some(digits), _) => by_serial(sql, filter, digits),
        (None, Some(text)) => by_text(sql, filter, text),
        (None, None) => by_place(sql, filter),
    }
}

/// What has the text in one of its names, the newest first.
fn by_text(sql: &mut dyn Sql, filter: &Filter, text: &str) -> Result<Page<Credential>, StoreError> {
    if text.is_empty() || text.len() > TEXT_BYTES_MAX {
        return Err(StoreError::Invalid(format!("a search is for 1 to {TEXT_BYTES_MAX} bytes")));
    }
    let mut below = match filter.after_cursor.as_deref() {
        Some(cursor) => Position::parse(cursor)?.op,
        None => i64::MAX / SLOTS,
    };
    let (pattern, places, mut sieve) = (pattern(text), places(sql, filter)?, Sieve::new(filter));
    let (mut walked, mut block) = (0, NAMES_FIRST);
    while walked < NAMES_MAX {
        let Some(floor) = lowest(sql, below, block)? else { return Ok(sieve.page(None)) };
        // With all names of the operation that the block ends in.
        let found = format!(
            "SELECT n.slot / {SLOTS}, c.place, c.pile, c.not_after, c.look FROM name n JOIN card c ON c.op = n.slot / {SLOTS} \
            WHERE n.slot < $1 AND n.slot >= $2 AND lower(n.name) LIKE $3 ESCAPE '!'"
        );
        let mut ops: BTreeSet<i64> = BTreeSet::new();
        let range = [Value::Int(below.saturating_mul(SLOTS)), Value::Int(floor * SLOTS), Value::Text(&pattern)];
        for mut row in sql.query(&found, &range)? {
            let (position, is_ours) = read(&mut row, filter, &places)?;
            if is_ours {
                ops.insert(position.op);
            }
        }
        let newest: Vec<i64> = ops.into_iter().rev().collect();
        if sieve.take(sql, &newest)? {
            let next = sieve.last().map(|last| cursor(i64::try_from(last.operation).unwrap_or(i64::MAX)));
            return Ok(sieve.page(next));
        }
        (below, walked, block) = (floor, walked + block, (block * 4).min(NAMES_MAX));
    }
    // Whoever was walked to its last name is done with; the lowest operation there is has number 0.
    let next = lowest(sql, below, 1)?.map(|_| cursor(below));
    Ok(sieve.page(next))
}

fn cursor(op: i64) -> String {
    Position { op, not_after: 0, look: None }.to_string()
}

/// The operation in which so many names below another one's end, where there are any.
fn lowest(sql: &mut dyn Sql, below: i64, names: i64) -> Result<Option<i64>, StoreError> {
    let text =
        "SELECT MIN(a1.slot) FROM (SELECT n.slot FROM name n WHERE n.slot < $1 ORDER BY n.slot DESC LIMIT $2) AS a1";
    let mut floor = None;
    for mut row in sql.query(text, &[Value::Int(below.saturating_mul(SLOTS)), Value::Int(names)])? {
        floor = row.opt_int()?;
    }
    Ok(floor.map(|slot| slot / SLOTS))
}

/// What has a serial that begins so, the highest first: of each node the newest first.
fn by_serial(sql: &mut dyn Sql, filter: &Filter, digits: &str) -> Result<Page<Credential>, StoreError> {
    let Some((from, mut to)) = beginning(digits) else {
        return Err(StoreError::Invalid(format!("a serial is up to {DIGITS_MAX} hexadecimal digits")));
    };
    if let Some(cursor) = filter.after_cursor.as_deref() {
        let last = cursor.strip_prefix(SERIAL_CURSOR).and_then(|serial| hex::decode(serial).ok());
        to = last.ok_or_else(|| StoreError::Invalid("the cursor is none of ours".into()))?.min(to);
    }
    let (places, mut sieve) = (places(sql, filter)?, Sieve::new(filter));
    let text = "SELECT i.op, c.place, c.pile, c.not_after, c.look, i.serial FROM intent i JOIN card c ON c.op = i.op \
        WHERE i.serial >= $1 AND i.serial < $2 ORDER BY i.serial DESC LIMIT $3";
    for _ in 0..SERIALS_MAX / PAGE_MAX {
        let rows = sql.query(text, &[Value::Blob(&from), Value::Blob(&to), Value::index(PAGE_MAX as u64)])?;
        let (is_last, mut ops) = (rows.len() < PAGE_MAX, Vec::new());
        for mut row in rows {
            let (position, is_ours) = read(&mut row, filter, &places)?;
            to = row.opt_blob()?.unwrap_or_default();
            if is_ours {
                ops.push(position.op);
            }
        }
        if sieve.take(sql, &ops)? {
            let next = sieve.last().map(|last| format!("{SERIAL_CURSOR}{}", last.serial_hex()));
            return Ok(sieve.page(next));
        }
        if is_last {
            return Ok(sieve.page(None));
        }
    }
    Ok(sieve.page(Some(format!("{SERIAL_CURSOR}{}", hex::encode(to)))))
}

/// What of the operations found is meant, until a page is full.
struct Sieve<'a> {
    filter: &'a Filter,
    limit: usize,
    items: Vec<Credential>,
}

impl<'a> Sieve<'a> {
    fn new(filter: &'a Filter) -> Self {
        Sieve { filter, limit: page_size(filter.limit), items: Vec::new() }
    }

    /// Takes those of them, in their order, that match; true: the page is full, and there is at least one more.
    fn take(&mut self, sql: &mut dyn Sql, ops: &[i64]) -> Result<bool, StoreError> {
        for some in ops.chunks(self.limit + 1) {
            let mut credentials = by_operations(sql, some)?;
            let in_order = some.iter().filter_map(|op| credentials.remove(&u64::try_from(*op).ok()?));
            self.items.extend(in_order.filter(|credential| matches(self.filter, credential)));
            if self.items.len() > self.limit {
                self.items.truncate(self.limit);
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn last(&self) -> Option<&Credential> {
        self.items.last()
    }

    fn page(self, next: Option<String>) -> Page<Credential> {
        Page { items: self.items, next }
    }
}

fn places(sql: &mut dyn Sql, filter: &Filter) -> Result<BTreeSet<i64>, StoreError> {
    Ok(stacks(sql, filter)?.into_iter().map(|stack| stack.place).collect())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_looked_for_as_it_stands() {
        assert_eq!(pattern("A_b%!c"), "%a!_b!%!!c%");
    }
}
