//! The register as files: the log as any C2SP tlog-tiles client reads it, and the rows its leaves stand for.
//!
//! LEAF.md has the layout. An export ends at the newest checkpoint, so that everything in it is signed for; the file
//! `checkpoint` is written last, and a folder without it is an export that did not finish. It is a copy: nothing waits
//! for the disk here.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Duration;

use crate::forms::keys;
use crate::forms::lines::write_line;
use crate::forms::object::OBJECT_SLOTS;
use crate::forms::schema::{EXPORTED, RECORD, Table};
use crate::log::{Checkpoint, LogKey, TILE_WIDTH, entries, entries_path, partial_width, tile, tile_path};
use crate::nouns::database::Database;
use crate::nouns::error::StoreError;
use crate::queries;
use crate::sql::{Cell, Row, Sql, Use, Value, connect, own_sessions};

/// Rows of a page.
const PAGE: usize = 64;
/// How often a checkpoint over what there is, and above the newest CRL, is looked for: for as long as a running service takes to
/// sign one, and some.
const CHECKPOINT_LOOKS: usize = 60;
const CHECKPOINT_PAUSE: Duration = Duration::from_millis(50);
/// The rows of the checkpoint table.
pub(crate) const CHECKPOINTS_FILE: &str = "rows/checkpoint.jsonl";
/// The newest checkpoint, and what its signature is checked with.
pub(crate) const CHECKPOINT_FILE: &str = "checkpoint";
pub(crate) const KEY_FILE: &str = "key";

/// The bytes of CRLs, a file each, named after the operation.
pub(crate) const OBJECTS_DIR: &str = "object";

/// The file of an object.
pub(crate) fn object_path(op: u64) -> String {
    format!("{OBJECTS_DIR}/{op}")
}

/// The file of a table's rows.
pub(crate) fn rows_file(table: &Table) -> String {
    format!("rows/{}.jsonl", table.name)
}

/// What an export holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exported {
    /// Entries of the log up to the newest checkpoint.
    pub entries: u64,
    /// Entries after it, which are not in the export.
    pub left_out: u64,
}

/// Exports a register that nobody has opened here, or that others are writing to: needs neither a ledger nor a token.
/// Blocks: call it off the async threads.
pub fn export_database(database: &Database, dir: &Path) -> Result<Exported, StoreError> {
    own_sessions(database, Use::Audit)?;
    let mut sql = connect(database, Use::Audit)?;
    export(sql.as_mut(), dir)
}

pub(crate) fn export(sql: &mut dyn Sql, dir: &Path) -> Result<Exported, StoreError> {
    prepare(dir)?;
    // Below a checkpoint everything but CRLs' bytes stays as it is, so no moment has to be held while the other files are written:
    // a long reader would keep SQLite's write-ahead log.
    let (size, note) = write_objects(sql, dir)?;
    let key = signer(sql, &note)?;
    write_tiles(sql, dir, size)?;
    for table in EXPORTED {
        write_rows(sql, dir, table, size)?;
    }
    write_checkpoints(sql, dir, size)?;
    write(&dir.join(KEY_FILE), format!("{key}\n").as_bytes())?;
    write(&dir.join(CHECKPOINT_FILE), note.as_bytes())?;
    Ok(Exported { entries: size, left_out: queries::head(sql)?.size.saturating_sub(size) })
}

fn prepare(dir: &Path) -> Result<(), StoreError> {
    fs::create_dir_all(dir.join("rows")).map_err(|e| away(dir, &e))?;
    let mut there = fs::read_dir(dir).map_err(|e| away(dir, &e))?;
    let foreign = there.find_map(|entry| entry.ok().filter(|entry| entry.file_name() != "rows"));
    match foreign {
        Some(entry) => Err(StoreError::Invalid(format!("{} is not empty: {:?}", dir.display(), entry.file_name()))),
        None => Ok(()),
    }
}

/// Writes the CRLs' bytes as they were at the newest checkpoint, which it answers. A CRL that was concluded after it has taken
/// the place of one below it; then the next checkpoint is waited for, which a running service signs within seconds.
fn write_objects(sql: &mut dyn Sql, dir: &Path) -> Result<(u64, String), StoreError> {
    // Who exports wants what there was when he asked. Where nobody signs, as where no service runs, it is what is signed for.
    let wanted = queries::head(sql)?.size;
    let signed =
        |sql: &mut dyn Sql| Ok::<_, StoreError>(queries::checkpoint(sql)?.is_none_or(|(size, _)| size >= wanted));
    for look in 1..=CHECKPOINT_LOOKS {
        if look == CHECKPOINT_LOOKS || signed(sql)? {
            sql.begin()?;
            let there = objects_at_checkpoint(sql, dir);
            sql.rollback();
            if let Some(checkpoint) = there? {
                return Ok(checkpoint);
            }
        }
        std::thread::sleep(CHECKPOINT_PAUSE);
    }
    Err(StoreError::Unavailable("a CRL was signed after the newest checkpoint: sign another, then export".into()))
}

fn objects_at_checkpoint(sql: &mut dyn Sql, dir: &Path) -> Result<Option<(u64, String)>, StoreError> {
    let newest = queries::checkpoint(sql)?;
    let (size, note) = newest.ok_or_else(|| StoreError::NotFound("no checkpoint yet: sign one, then export".into()))?;
    if queries::crl_settled_since(sql, size)? {
        return Ok(None);
    }
    let end = i64::try_from(size.saturating_mul(OBJECT_SLOTS)).unwrap_or(i64::MAX);
    let mut from = 0;
    while let Some(slot) = queries::object_slots(sql, from, end)?.first() {
        let op = u64::try_from(*slot).unwrap_or(0) / OBJECT_SLOTS;
        write_object(sql, dir, op)?;
        from = i64::try_from((op + 1) * OBJECT_SLOTS).unwrap_or(i64::MAX);
    }
    Ok(Some((size, note)))
}

fn write_object(sql: &mut dyn Sql, dir: &Path, op: u64) -> Result<(), StoreError> {
    let path = dir.join(object_path(op));
    fs::create_dir_all(dir.join(OBJECTS_DIR)).map_err(|e| away(dir, &e))?;
    let mut file = File::create(&path).map_err(|e| away(&path, &e))?;
    let mut written = Ok(());
    queries::object(sql, op, &mut |chunk| {
        if written.is_ok() {
            written = file.write_all(chunk);
        }
    })?;
    written.map_err(|e| away(&path, &e))
}

/// The recorded log key that signed a checkpoint.
fn signer(sql: &mut dyn Sql, note: &str) -> Result<LogKey, StoreError> {
    let checkpoint = Checkpoint::parse(note).map_err(StoreError::Corrupt)?;
    for cells in queries::record_rows(sql, keys::KIND)? {
        let Some(Cell::Text(body)) = RECORD.position("body").and_then(|at| cells.get(at)) else { continue };
        let Ok(key) = keys::read(body) else { continue };
        let Ok(key) = LogKey::new(&checkpoint.origin, key.algorithm, &key.spki) else { continue };
        if key.verify(&checkpoint).is_ok() {
            return Ok(key);
        }
    }
    Err(StoreError::Corrupt("no recorded key signed the newest checkpoint: run verify".into()))
}

fn write_tiles(sql: &mut dyn Sql, dir: &Path, size: u64) -> Result<(), StoreError> {
    let gone = |path: &str| StoreError::Corrupt(format!("{path} is not there: run verify"));
    for level in 0..8_u8 {
        let hashes = size.checked_shr(8 * u32::from(level)).unwrap_or(0);
        if hashes == 0 {
            break;
        }
        for (n, width) in widths(hashes, partial_width(size, level)) {
            let path = tile_path(level, n, width);
            let bytes = tile(sql, level, n, width)?.ok_or_else(|| gone(&path))?;
            write(&dir.join(&path), &bytes)?;
            if level == 0 {
                let path = entries_path(n, width);
                let bytes = entries(sql, n, width)?.ok_or_else(|| gone(&path))?;
                write(&dir.join(&path), &bytes)?;
            }
        }
    }
    Ok(())
}

/// The tiles over so many hashes: full ones, then one of the width that is left.
fn widths(hashes: u64, partial: u16) -> impl Iterator<Item = (u64, u16)> {
    let full = hashes / u64::from(TILE_WIDTH);
    let last = (partial > 0).then_some((full, partial));
    (0..full).map(|n| (n, TILE_WIDTH)).chain(last)
}

fn write_rows(sql: &mut dyn Sql, dir: &Path, table: &'static Table, size: u64) -> Result<(), StoreError> {
    let path = dir.join(rows_file(table));
    let mut file = BufWriter::new(File::create(&path).map_err(|e| away(&path, &e))?);
    let (key, select) = (table.key(), table.select());
    let text = format!("{select} WHERE {key} > $1 AND {key} < $2 ORDER BY {key} LIMIT {PAGE}");
    let (mut after, end) = (-1, i64::try_from(size).unwrap_or(i64::MAX));
    loop {
        let rows = sql.query(&text, &[Value::Int(after), Value::Int(end)])?;
        let count = rows.len();
        for cells in rows.into_iter().map(Row::cells) {
            if let Some(Cell::Int(key)) = cells.first() {
                after = *key;
            }
            let names = table.columns.iter().map(|(name, _)| *name);
            write_line(&mut file, names.zip(&cells)).map_err(|e| away(&path, &e))?;
        }
        if count < PAGE {
            return file.flush().map_err(|e| away(&path, &e));
        }
    }
}

fn write_checkpoints(sql: &mut dyn Sql, dir: &Path, size: u64) -> Result<(), StoreError> {
    let path = dir.join(CHECKPOINTS_FILE);
    let mut file = BufWriter::new(File::create(&path).map_err(|e| away(&path, &e))?);
    let text = format!("SELECT size, note FROM checkpoint WHERE size > $1 AND size <= $2 ORDER BY size LIMIT {PAGE}");
    let (mut after, end) = (-1, i64::try_from(size).unwrap_or(i64::MAX));
    loop {
        let rows = sql.query(&text, &[Value::Int(after), Value::Int(end)])?;
        let count = rows.len();
        for cells in rows.into_iter().map(Row::cells) {
            if let Some(Cell::Int(size)) = cells.first() {
                after = *size;
            }
            write_line(&mut file, ["size", "note"].into_iter().zip(&cells)).map_err(|e| away(&path, &e))?;
        }
        if count < PAGE {
            return file.flush().map_err(|e| away(&path, &e));
        }
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(|e| away(parent, &e))?;
    }
    fs::write(path, bytes).map_err(|e| away(path, &e))
}

fn away(path: &Path, error: &std::io::Error) -> StoreError {
    StoreError::Unavailable(format!("{}: {error}", path.display()))
}
