//! Evidence from the tables of a register that is written to meanwhile.

use std::collections::BTreeMap;

use super::beside;
use super::evidence::{Derived, Evidence, StoredCheckpoint, StoredLeaf, Traces};
use super::projections;
use super::report::Report;
use crate::forms::keys;
use crate::forms::object::OBJECT_SLOTS;
use crate::forms::schema::{EXPORTED, INTENT, MIGRATIONS, Table};
use crate::nouns::batch::Sought;
use crate::nouns::database::Database;
use crate::nouns::error::StoreError;
use crate::queries;
use crate::rows::NAME_SLOTS;
use crate::sql::{Cell, Row, Sql, Use, Value, connect, own_sessions};
use crate::truth;

/// Keys of a page of leaves; also rows of everything else that is read by pages.
const PAGE: i64 = 1_024;
/// Operations asked for at once.
const ASK_MAX: usize = 64;
/// Rows outside the log are listed up to this; one is enough to know.
const STRAY_MAX: i64 = 100;

pub(super) struct Tables {
    sql: Box<dyn Sql + Send>,
    size: u64,
}

impl Tables {
    pub fn open(database: &Database) -> Result<Tables, StoreError> {
        own_sessions(database, Use::Audit)?;
        Ok(Tables { sql: connect(database, Use::Audit)?, size: 0 })
    }

    fn cells(&mut self, text: &str, params: &[Value<'_>]) -> Result<Vec<Vec<Cell>>, StoreError> {
        cells(self.sql.as_mut(), text, params)
    }
}

fn cells(sql: &mut dyn Sql, text: &str, params: &[Value<'_>]) -> Result<Vec<Vec<Cell>>, StoreError> {
    Ok(sql.query(text, params)?.into_iter().map(Row::cells).collect())
}

/// Leaves with an index in the range.
pub(super) fn leaves(sql: &mut dyn Sql, from: u64, to: u64) -> Result<Vec<StoredLeaf>, StoreError> {
    let range = [Value::Int(int(from)), Value::Int(int(to))];
    let rows = cells(sql, "SELECT idx, hash, bytes FROM leaf WHERE idx >= $1 AND idx < $2 ORDER BY idx", &range)?;
    let leaf = |row: Vec<Cell>| match <[Cell; 3]>::try_from(row) {
        Ok([Cell::Int(index), hash, bytes]) => Some(StoredLeaf { index, hash: Some(blob(hash)), bytes: blob(bytes) }),
        _ => None,
    };
    Ok(rows.into_iter().filter_map(leaf).collect())
}

/// Rows of a table whose leaf is in the range.
pub(super) fn rows(sql: &mut dyn Sql, table: &'static Table, from: u64, to: u64) -> Result<Vec<Vec<Cell>>, StoreError> {
    let (select, key) = (table.select(), table.key());
    let text = format!("{select} WHERE {key} >= $1 AND {key} < $2 ORDER BY {key}");
    cells(sql, &text, &[Value::Int(int(from)), Value::Int(int(to))])
}

/// The name index of operations in the range.
pub(super) fn names(sql: &mut dyn Sql, from: u64, to: u64) -> Result<Vec<(i64, Cell)>, StoreError> {
    let range = [Value::Int(int(from * NAME_SLOTS)), Value::Int(int(to * NAME_SLOTS))];
    let rows = cells(sql, "SELECT slot, name FROM name WHERE slot >= $1 AND slot < $2 ORDER BY slot", &range)?;
    let name = |row: Vec<Cell>| match <[Cell; 2]>::try_from(row) {
        Ok([Cell::Int(slot), name]) => Some((slot, name)),
        _ => None,
    };
    Ok(rows.into_iter().filter_map(name).collect())
}

/// The hashes and the root of a full tile.
pub(super) fn tile(sql: &mut dyn Sql, level: u8, n: u64) -> Result<Option<[Vec<u8>; 2]>, StoreError> {
    let key = [Value::Int(level.into()), Value::Int(int(n))];
    let rows = cells(sql, "SELECT hashes, root FROM tile WHERE level = $1 AND n = $2", &key)?;
    let tile = |row: Vec<Cell>| <[Cell; 2]>::try_from(row).ok().map(|tile| tile.map(blob));
    Ok(rows.into_iter().next().and_then(tile))
}

/// The greatest and the least key of a table.
pub(super) fn ends(sql: &mut dyn Sql, table: &str, key: &str) -> Result<Option<(i64, i64)>, StoreError> {
    // Two questions in one: SQLite takes the end of an index for one aggregate alone, and walks the table for two.
    let text = format!("SELECT (SELECT MIN({key}) FROM {table}), (SELECT MAX({key}) FROM {table})");
    let rows = cells(sql, &text, &[])?;
    Ok(rows.into_iter().next().and_then(|row| match row.as_slice() {
        [Cell::Int(least), Cell::Int(greatest)] => Some((*least, *greatest)),
        _ => None,
    }))
}

fn int(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

impl Evidence for Tables {
    fn size(&self) -> u64 {
        self.size
    }

    /// A head that says less or more than there is must not hide leaves from the walk; `rest` reports it.
    fn look_again(&mut self) -> Result<(), StoreError> {
        let rows = self.sql.query("SELECT size FROM head WHERE id = $1", &[Value::Int(1)])?;
        // Malformed or gone: what the leaves derive will differ from it, and is reported as such.
        let size = rows.into_iter().next().and_then(|mut row| row.index().ok()).unwrap_or(0);
        let rows = self.sql.query("SELECT COUNT(*) FROM leaf", &[])?;
        let count = rows.into_iter().next().map_or(Ok(0), |mut row| row.index())?;
        // One more than there is: the walk then names the first leaf that is missing.
        self.size = if count < size { count + 1 } else { count };
        Ok(())
    }

    fn settle(&mut self) -> Result<(), StoreError> {
        self.sql.begin()?;
        self.look_again()
    }

    fn leaves(&mut self, from: u64, to: u64) -> Result<Vec<StoredLeaf>, StoreError> {
        leaves(self.sql.as_mut(), from, to)
    }

    fn leaf(&mut self, index: u64) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.leaves(index, index.saturating_add(1))?.into_iter().next().map(|leaf| leaf.bytes))
    }

    fn rows(&mut self, table: &'static Table, from: u64, to: u64) -> Result<Vec<Vec<Cell>>, StoreError> {
        rows(self.sql.as_mut(), table, from, to)
    }

    fn intents(&mut self, ops: &[u64]) -> Result<Vec<Vec<Cell>>, StoreError> {
        let mut found = Vec::with_capacity(ops.len());
        for some in ops.chunks(ASK_MAX) {
            // Few sizes, so that few statements are parsed.
            let asked = some.len().next_power_of_two();
            let marks: Vec<String> = (1..=asked).map(|at| format!("${at}")).collect();
            let text = format!("{} WHERE op IN ({})", INTENT.select(), marks.join(", "));
            let params: Vec<Value<'_>> = some.iter().cycle().take(asked).map(|op| Value::Int(int(*op))).collect();
            found.append(&mut self.cells(&text, &params)?);
        }
        Ok(found)
    }

    fn objects(&mut self) -> Result<BTreeMap<u64, u64>, StoreError> {
        let (mut found, mut from) = (BTreeMap::new(), i64::MIN);
        loop {
            let slots = queries::object_slots(self.sql.as_mut(), from, i64::MAX)?;
            for slot in &slots {
                // A negative one is of no operation there can be.
                let op = u64::try_from(*slot).map_or(u64::MAX, |slot| slot / OBJECT_SLOTS);
                *found.entry(op).or_insert(0) += 1;
                from = slot.saturating_add(1);
            }
            if slots.is_empty() {
                return Ok(found);
            }
        }
    }

    fn object(&mut self, op: u64, chunks: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let mut bytes = Vec::new();
        let there = queries::object(self.sql.as_mut(), op, &mut |chunk| bytes.extend_from_slice(chunk))?;
        Ok((there == chunks).then_some(bytes))
    }

    fn intent(&mut self, op: u64) -> Result<Option<Vec<Cell>>, StoreError> {
        Ok(self.intents(&[op])?.pop())
    }

    fn keys(&mut self) -> Result<Vec<Vec<Cell>>, StoreError> {
        // A key is recorded once. Of how many there are nobody decides but who opens the token.
        queries::record_rows(self.sql.as_mut(), keys::KIND)
    }

    fn tile(&mut self, level: u8, n: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let key = [Value::Int(level.into()), Value::Int(int(n))];
        let rows = self.cells("SELECT hashes FROM tile WHERE level = $1 AND n = $2", &key)?;
        Ok(rows.into_iter().flatten().next().map(blob))
    }

    fn tile_root(&mut self, level: u8, n: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let key = [Value::Int(level.into()), Value::Int(int(n))];
        let rows = self.cells("SELECT root FROM tile WHERE level = $1 AND n = $2", &key)?;
        Ok(rows.into_iter().flatten().next().map(blob))
    }

    fn checkpoints(&mut self, after: Option<i64>) -> Result<Vec<StoredCheckpoint>, StoreError> {
        let text = format!("SELECT size, note FROM checkpoint WHERE size > $1 ORDER BY size LIMIT {PAGE}");
        let rows = self.cells(&text, &[Value::Int(after.unwrap_or(i64::MIN))])?;
        let checkpoint = |row: Vec<Cell>| match <[Cell; 2]>::try_from(row) {
            Ok([Cell::Int(size), Cell::Text(note)]) => Some(StoredCheckpoint { size, note }),
            // A note that is no text is no note: it is judged as an empty one.
            Ok([Cell::Int(size), _]) => Some(StoredCheckpoint { size, note: String::new() }),
            _ => None,
        };
        Ok(rows.into_iter().filter_map(checkpoint).collect())
    }

    fn names(&mut self, from: u64, to: u64) -> Result<Option<Vec<(i64, Cell)>>, StoreError> {
        names(self.sql.as_mut(), from, to).map(Some)
    }

    fn rest(&mut self, derived: &Derived<'_>, report: &mut Report) -> Result<(), StoreError> {
        self.head(derived, report)?;
        self.strays("leaf", "leaf", "idx", derived.size, report)?;
        for table in EXPORTED {
            self.strays(table.name, table.name, table.key(), derived.size, report)?;
        }
        self.strays("name", "name", "slot", derived.size * NAME_SLOTS, report)?;
        projections::check(self.sql.as_mut(), report)?;
        beside::check(self.sql.as_mut(), report)?;
        self.stray_tiles(derived.size, report)?;
        self.migrations(report)
    }
}

impl Traces for Tables {
    fn newest(&mut self) -> Result<Option<String>, StoreError> {
        Ok(queries::checkpoint(self.sql.as_mut())?.map(|(_, note)| note))
    }

    fn batches(&mut self, sought: &Sought) -> Result<Vec<u64>, StoreError> {
        let (mut found, mut after) = (Vec::new(), -1);
        loop {
            let asked = (sought.begins, &sought.key_hash);
            let some = queries::batches_beginning(self.sql.as_mut(), asked, after, ASK_MAX)?;
            found.extend_from_slice(&some);
            match some.last() {
                Some(last) if some.len() == ASK_MAX => after = int(*last),
                Some(_) | None => return Ok(found),
            }
        }
    }

    fn hashes(&mut self, op: u64) -> Result<Option<Vec<u8>>, StoreError> {
        queries::hashes(self.sql.as_mut(), op)
    }

    fn part(&mut self, level: u8, n: u64, width: u16) -> Result<Option<Vec<u8>>, StoreError> {
        crate::log::tile(self.sql.as_mut(), level, n, width)
    }
}

impl Tables {
    /// The one mutable row says nothing that the leaves do not say better.
    fn head(&mut self, derived: &Derived<'_>, report: &mut Report) -> Result<(), StoreError> {
        let rows = self.cells("SELECT id, size, edge, time FROM head ORDER BY id", &[])?;
        let (size, time) = (Cell::Int(int(derived.size)), Cell::Int(derived.in_force.unix()));
        let expected = [Cell::Int(1), size, Cell::Blob(derived.edge.concat()), time];
        if !rows.iter().any(|row| row.first() == Some(&Cell::Int(1))) {
            report.find("head", "head id=1", "the row is missing");
        }
        for row in rows {
            let id = show(row.first());
            let columns = ["id", "size", "edge", "time"];
            let wrong = row.iter().zip(&expected).zip(columns).find(|((is, should), _)| is != should);
            if let Some((_, column)) = wrong {
                report.find("head", format!("head id={id} column {column}"), "is not what the leaves derive");
            }
        }
        self.head_key(report)
    }

    /// The sealed key beside the head is that of its record, which was judged by its leaf. Before there is a record it proves itself by
    /// opening.
    fn head_key(&mut self, report: &mut Report) -> Result<(), StoreError> {
        let beside = self.cells("SELECT sealed_key, size FROM head WHERE id = $1", &[Value::Int(1)])?;
        let recorded = truth::recorded(self.sql.as_mut())?;
        if let (Some([beside, _]), Some(recorded)) = (beside.first().map(Vec::as_slice), recorded)
            && *beside != Cell::Blob(recorded.to_string().into_bytes())
        {
            report.find("head", "head id=1 column sealed_key", "is not what the record of the key says");
        }
        Ok(())
    }

    fn strays(
        &mut self,
        what: &'static str,
        table: &str,
        key: &str,
        end: u64,
        report: &mut Report,
    ) -> Result<(), StoreError> {
        for (side, bound) in [("<", 0), (">=", int(end))] {
            let text = format!("SELECT {key} FROM {table} WHERE {key} {side} $1 ORDER BY {key} LIMIT {STRAY_MAX}");
            for row in self.cells(&text, &[Value::Int(bound)])? {
                let place = format!("{table} {key}={} column {key}", show(row.first()));
                report.find(what, place, "the row lies outside the log");
            }
        }
        Ok(())
    }

    /// Every tile the tree has was asked for by its place; one more row is one too many.
    fn stray_tiles(&mut self, size: u64, report: &mut Report) -> Result<(), StoreError> {
        let mut expected = 0;
        let mut full = size / 256;
        while full > 0 {
            expected += full;
            full /= 256;
        }
        let count = self.cells("SELECT COUNT(*) FROM tile", &[])?;
        if count.first().and_then(|row| row.first()) == Some(&Cell::Int(int(expected))) {
            return Ok(());
        }
        let mut after = (i64::MIN, i64::MIN);
        loop {
            let text = format!("SELECT level, n FROM tile WHERE (level, n) > ($1, $2) ORDER BY level, n LIMIT {PAGE}");
            let rows = self.cells(&text, &[Value::Int(after.0), Value::Int(after.1)])?;
            for row in &rows {
                let [Cell::Int(level), Cell::Int(n)] = row.as_slice() else { continue };
                after = (*level, *n);
                let shift = level.checked_add(1).and_then(|l| u32::try_from(l.checked_mul(8)?).ok());
                let there = shift.and_then(|shift| size.checked_shr(shift)).unwrap_or(0);
                if *level < 0 || !u64::try_from(*n).is_ok_and(|n| n < there) {
                    report.find("tile", format!("tile level={level} n={n}"), "the log has no such full tile");
                }
            }
            if rows.len() < PAGE as usize {
                return Ok(());
            }
        }
    }

    fn migrations(&mut self, report: &mut Report) -> Result<(), StoreError> {
        let rows = self.cells("SELECT version, name, sha256 FROM migration ORDER BY version", &[])?;
        let known: Vec<[Cell; 3]> = MIGRATIONS
            .iter()
            .map(|m| [Cell::Int(m.version), Cell::Text(m.name.to_owned()), Cell::Blob(m.sha256().to_vec())])
            .collect();
        for row in &rows {
            let version = show(row.first());
            match known.iter().find(|known| Some(&known[0]) == row.first()) {
                None => report.find("migration", format!("migration version={version} column version"), "no such step"),
                Some(known) => {
                    let columns = ["version", "name", "sha256"];
                    let wrong = row.iter().zip(known).zip(columns).find(|((is, should), _)| is != should);
                    if let Some((_, column)) = wrong {
                        let place = format!("migration version={version} column {column}");
                        report.find("migration", place, "is not the step this program knows");
                    }
                }
            }
        }
        for known in &known {
            if !rows.iter().any(|row| row.first() == Some(&known[0])) {
                let place = format!("migration version={}", show(Some(&known[0])));
                report.find("migration", place, "the row is missing");
            }
        }
        Ok(())
    }
}

fn blob(cell: Cell) -> Vec<u8> {
    match cell {
        Cell::Blob(bytes) => bytes,
        Cell::Text(text) => text.into_bytes(),
        Cell::Null | Cell::Int(_) => Vec::new(),
    }
}

fn show(cell: Option<&Cell>) -> String {
    match cell {
        Some(Cell::Int(n)) => n.to_string(),
        Some(Cell::Text(text)) => text.clone(),
        Some(Cell::Blob(bytes)) => hex::encode(bytes),
        Some(Cell::Null) | None => "NULL".into(),
    }
}
