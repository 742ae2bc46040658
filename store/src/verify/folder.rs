//! Evidence from an exported folder (LEAF.md): files alone, no database.
//!
//! Row files are read once, line by line; of an intent only its place in the file is kept until its conclusion comes.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::evidence::{Derived, Evidence, StoredCheckpoint, StoredLeaf, Traces};
use super::report::Report;
use super::rows::cell;
use crate::export::{CHECKPOINT_FILE, CHECKPOINTS_FILE, KEY_FILE, OBJECTS_DIR, object_path, rows_file};
use crate::forms::keys;
use crate::forms::lines::{canonical, row_of};
use crate::forms::schema::{BATCH, EXPORTED, INTENT, RECORD, Table};
use crate::log::{Checkpoint, LogKey, TILE_WIDTH, entries_path, partial_width, tile_path};
use crate::nouns::batch::Sought;
use crate::nouns::entry::Kind;
use crate::nouns::error::StoreError;
use crate::sql::Cell;

/// Checkpoints handed out at a time.
const CHECKPOINTS: usize = 256;

pub(super) struct Folder {
    dir: PathBuf,
    size: u64,
    newest: String,
    rows: HashMap<&'static str, Lines>,
    checkpoints: Lines,
    last_checkpoint: String,
    /// Where the line of an intent without conclusion begins.
    intents: HashMap<u64, u64>,
    /// What is wrong with the files themselves: place and why.
    problems: Vec<(String, String)>,
}

/// A file of rows under way.
struct Lines {
    name: String,
    file: BufReader<File>,
    offset: u64,
    number: u64,
    /// The row that belongs to a later range.
    ahead: Option<(u64, Vec<Cell>)>,
}

impl Folder {
    pub fn open(dir: &Path) -> Result<Folder, StoreError> {
        let newest = std::fs::read(dir.join(CHECKPOINT_FILE)).map_err(|e| {
            StoreError::NotFound(format!("{}: no checkpoint, so no finished export: {e}", dir.display()))
        })?;
        let newest = String::from_utf8_lossy(&newest).into_owned();
        let mut rows = HashMap::new();
        for table in EXPORTED {
            rows.insert(table.name, Lines::open(dir, &rows_file(table))?);
        }
        let checkpoints = Lines::open(dir, CHECKPOINTS_FILE)?;
        let size = match Checkpoint::parse(&newest) {
            Ok(checkpoint) => checkpoint.size,
            Err(_) => last_size(dir)?,
        };
        Ok(Folder {
            dir: dir.to_owned(),
            size,
            newest,
            rows,
            checkpoints,
            last_checkpoint: String::new(),
            intents: HashMap::new(),
            problems: Vec::new(),
        })
    }

    fn read(&mut self, path: &str) -> Option<Vec<u8>> {
        match std::fs::read(self.dir.join(path)) {
            Ok(bytes) => Some(bytes),
            Err(error) => {
                self.problems.push((path.to_owned(), error.to_string()));
                None
            }
        }
    }

    /// The bundle that holds a leaf, taken apart.
    fn bundle(&mut self, n: u64) -> Vec<Vec<u8>> {
        let there = self.size.saturating_sub(n * u64::from(TILE_WIDTH)).min(TILE_WIDTH.into());
        let path = entries_path(n, there as u16);
        let Some(bytes) = self.read(&path) else { return Vec::new() };
        let mut leaves = Vec::with_capacity(there as usize);
        let mut rest = bytes.as_slice();
        while let Some((length, after)) = rest.split_first_chunk::<2>() {
            let Some((leaf, after)) = after.split_at_checked(u16::from_be_bytes(*length).into()) else { break };
            leaves.push(leaf.to_vec());
            rest = after;
        }
        if !rest.is_empty() || leaves.len() as u64 != there {
            self.problems.push((path, format!("is not a bundle of {there} entries")));
        }
        leaves
    }
}

/// When the file `checkpoint` cannot be read, the rows still say how long the log was.
fn last_size(dir: &Path) -> Result<u64, StoreError> {
    let mut lines = Lines::open(dir, CHECKPOINTS_FILE)?;
    let mut size = None;
    while let Some((_, line)) = lines.next_line()? {
        size = checkpoint_of(&line).and_then(|checkpoint| u64::try_from(checkpoint.size).ok()).or(size);
    }
    size.ok_or_else(|| StoreError::Corrupt(format!("{}: no checkpoint can be read", dir.display())))
}

fn checkpoint_of(line: &[u8]) -> Option<StoredCheckpoint> {
    let line = line.strip_suffix(b"\n")?;
    let value: Value = serde_json::from_slice(line).ok()?;
    let (size, note) = (value.get("size")?.as_i64()?, value.get("note")?.as_str()?.to_owned());
    canonical(["size", "note"].into_iter(), &[Cell::Int(size), Cell::Text(note.clone())], line).ok()?;
    Some(StoredCheckpoint { size, note })
}

impl Lines {
    fn open(dir: &Path, name: &str) -> Result<Lines, StoreError> {
        let path = dir.join(name);
        let file = File::open(&path).map_err(|e| StoreError::NotFound(format!("{}: {e}", path.display())))?;
        Ok(Lines { name: name.to_owned(), file: BufReader::new(file), offset: 0, number: 0, ahead: None })
    }

    /// The next line and where it begins.
    fn next_line(&mut self) -> Result<Option<(u64, Vec<u8>)>, StoreError> {
        let (start, mut line) = (self.offset, Vec::new());
        let read = self.file.read_until(b'\n', &mut line);
        let read = read.map_err(|e| StoreError::Unavailable(format!("{}: {e}", self.name)))?;
        self.offset += read as u64;
        self.number += 1;
        Ok((read > 0).then_some((start, line)))
    }

    fn place(&self) -> String {
        format!("{} line {}", self.name, self.number)
    }

    /// The next row and where its line begins. Lines that are no rows are problems, and skipped.
    fn next_row(
        &mut self,
        table: &Table,
        problems: &mut Vec<(String, String)>,
    ) -> Result<Option<(u64, Vec<Cell>)>, StoreError> {
        while let Some((start, line)) = self.next_line()? {
            match row_of(table, &line) {
                Ok(row) => return Ok(Some((start, row))),
                Err(why) => problems.push((self.place(), why)),
            }
        }
        Ok(None)
    }
}

fn key_of(row: &[Cell]) -> u64 {
    match row.first() {
        Some(Cell::Int(key)) => u64::try_from(*key).unwrap_or(u64::MAX),
        _ => u64::MAX,
    }
}

impl Evidence for Folder {
    fn size(&self) -> u64 {
        self.size
    }

    fn look_again(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    fn settle(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    fn leaves(&mut self, from: u64, to: u64) -> Result<Vec<StoredLeaf>, StoreError> {
        let width = u64::from(TILE_WIDTH);
        let mut leaves = Vec::new();
        for n in from / width..to.div_ceil(width) {
            for (at, bytes) in self.bundle(n).into_iter().enumerate() {
                let index = n * width + at as u64;
                if (from..to).contains(&index) {
                    leaves.push(StoredLeaf { index: i64::try_from(index).unwrap_or(i64::MAX), hash: None, bytes });
                }
            }
        }
        Ok(leaves)
    }

    fn leaf(&mut self, index: u64) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.leaves(index, index.saturating_add(1))?.pop().map(|leaf| leaf.bytes))
    }

    fn rows(&mut self, table: &'static Table, _: u64, to: u64) -> Result<Vec<Vec<Cell>>, StoreError> {
        let Some(lines) = self.rows.get_mut(table.name) else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        loop {
            let next = match lines.ahead.take() {
                Some(ahead) => Some(ahead),
                None => lines.next_row(table, &mut self.problems)?,
            };
            let Some((start, row)) = next else { return Ok(found) };
            if key_of(&row) >= to {
                lines.ahead = Some((start, row));
                return Ok(found);
            }
            if table.name == INTENT.name {
                self.intents.insert(key_of(&row), start);
            }
            found.push(row);
        }
    }

    fn intents(&mut self, ops: &[u64]) -> Result<Vec<Vec<Cell>>, StoreError> {
        let mut lines = Lines::open(&self.dir, &rows_file(&INTENT))?;
        let mut found = Vec::with_capacity(ops.len());
        for op in ops {
            let Some(start) = self.intents.remove(op) else { continue };
            let seek = lines.file.seek(SeekFrom::Start(start));
            seek.map_err(|e| StoreError::Unavailable(format!("{}: {e}", lines.name)))?;
            // It was read before: a problem with it is already written down.
            found.extend(lines.next_row(&INTENT, &mut Vec::new())?.map(|(_, row)| row));
        }
        Ok(found)
    }

    fn objects(&mut self) -> Result<BTreeMap<u64, u64>, StoreError> {
        let mut found = BTreeMap::new();
        let files = match std::fs::read_dir(self.dir.join(OBJECTS_DIR)) {
            Ok(files) => files,
            // Without a CRL there is no folder of them; one that should be there is missed by its operations.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(found),
            Err(error) => return Err(StoreError::Unavailable(format!("{OBJECTS_DIR}: {error}"))),
        };
        for file in files {
            let name = file.map_err(|e| StoreError::Unavailable(format!("{OBJECTS_DIR}: {e}")))?.file_name();
            let name = name.to_string_lossy().into_owned();
            match name.parse::<u64>() {
                Ok(op) if object_path(op) == format!("{OBJECTS_DIR}/{name}") => drop(found.insert(op, 1)),
                Ok(_) | Err(_) => {
                    self.problems.push((format!("{OBJECTS_DIR}/{name}"), "is named after no operation".into()));
                }
            }
        }
        Ok(found)
    }

    fn object(&mut self, op: u64, _: u64) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.read(&object_path(op)))
    }

    fn intent(&mut self, op: u64) -> Result<Option<Vec<Cell>>, StoreError> {
        self.row(&INTENT, op)
    }

    fn keys(&mut self) -> Result<Vec<Vec<Cell>>, StoreError> {
        let mut lines = Lines::open(&self.dir, &rows_file(&RECORD))?;
        let (mut found, kind) = (Vec::new(), Cell::Text(keys::KIND.into()));
        // The walk reads the file again and reports what is wrong with it.
        while let Some((_, row)) = lines.next_row(&RECORD, &mut Vec::new())? {
            if cell(&RECORD, &row, "kind") == Some(&kind) {
                found.push(row);
            }
        }
        Ok(found)
    }

    fn tile(&mut self, level: u8, n: u64) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.read(&tile_path(level, n, TILE_WIDTH)))
    }

    fn tile_root(&mut self, _: u8, _: u64) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(None)
    }

    fn checkpoints(&mut self, _: Option<i64>) -> Result<Vec<StoredCheckpoint>, StoreError> {
        let mut found = Vec::new();
        while let Some((_, line)) = self.checkpoints.next_line()? {
            match checkpoint_of(&line) {
                Some(checkpoint) => {
                    self.last_checkpoint.clone_from(&checkpoint.note);
                    found.push(checkpoint);
                }
                None => self.problems.push((self.checkpoints.place(), "is no checkpoint".into())),
            }
            if found.len() >= CHECKPOINTS {
                break;
            }
        }
        Ok(found)
    }

    fn names(&mut self, _: u64, _: u64) -> Result<Option<Vec<(i64, Cell)>>, StoreError> {
        Ok(None)
    }

    fn rest(&mut self, derived: &Derived<'_>, report: &mut Report) -> Result<(), StoreError> {
        for level in 0..8 {
            let width = partial_width(derived.size, level);
            let path = tile_path(level, derived.size.checked_shr(8 * (u32::from(level) + 1)).unwrap_or(0), width);
            if width > 0 && self.read(&path).is_some_and(|bytes| bytes != (derived.partial)(level)) {
                report.find("tile", path, "is not what the leaves derive");
            }
        }
        if self.newest != self.last_checkpoint {
            report.find("checkpoint", CHECKPOINT_FILE, format!("is not the newest of {CHECKPOINTS_FILE}"));
        }
        self.key(report);
        for table in EXPORTED {
            let Some(mut lines) = self.rows.remove(table.name) else { continue };
            let mut stray = lines.ahead.take();
            while let Some((_, row)) = stray {
                let place = format!("{} {}={}", lines.place(), table.key(), key_of(&row));
                report.find(table.name, place, "the row lies outside the log");
                stray = lines.next_row(table, &mut self.problems)?;
            }
        }
        for (place, why) in self.problems.drain(..) {
            report.find("file", place, why);
        }
        Ok(())
    }
}

impl Traces for Folder {
    fn newest(&mut self) -> Result<Option<String>, StoreError> {
        Ok(Some(self.newest.clone()))
    }

    fn batches(&mut self, sought: &Sought) -> Result<Vec<u64>, StoreError> {
        let mut lines = Lines::open(&self.dir, &rows_file(&INTENT))?;
        let asked = [
            ("kind", Cell::Text(Kind::OcspBatch.as_str().to_owned())),
            ("not_before", Cell::Int(sought.begins.unix())),
            ("key_hash", Cell::Blob(sought.key_hash.to_vec())),
        ];
        let (mut found, word) = (Vec::new(), format!("\"{}\"", Kind::OcspBatch.as_str()));
        while let Some((_, line)) = lines.next_line()? {
            // Of a file that may have millions of lines those alone are read that may be meant.
            if !std::str::from_utf8(&line).is_ok_and(|line| line.contains(&word)) {
                continue;
            }
            let Ok(row) = row_of(&INTENT, &line) else { continue };
            if asked.iter().all(|(column, is)| cell(&INTENT, &row, column) == Some(is)) {
                found.push(key_of(&row));
            }
        }
        Ok(found)
    }

    fn hashes(&mut self, op: u64) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(match self.row(&BATCH, op)?.as_deref().and_then(|row| cell(&BATCH, row, "hashes")) {
            Some(Cell::Blob(bytes)) => Some(bytes.clone()),
            Some(_) | None => None,
        })
    }

    fn part(&mut self, level: u8, n: u64, width: u16) -> Result<Option<Vec<u8>>, StoreError> {
        let full = std::fs::read(self.dir.join(tile_path(level, n, TILE_WIDTH)));
        let there = full.or_else(|_| std::fs::read(self.dir.join(tile_path(level, n, width))));
        Ok(there.ok().and_then(|bytes| bytes.get(..usize::from(width) * 32).map(<[u8]>::to_vec)))
    }
}

impl Folder {
    /// A row, out of order.
    fn row(&self, table: &Table, key: u64) -> Result<Option<Vec<Cell>>, StoreError> {
        let mut lines = Lines::open(&self.dir, &rows_file(table))?;
        let away = |e: std::io::Error| StoreError::Unavailable(format!("{}: {e}", rows_file(table)));
        let (mut low, mut high) = (0, lines.file.get_ref().metadata().map_err(away)?.len());
        // By halves: rows lie in the order of their operations. Below `low` begin lines of lesser ones alone.
        while low < high {
            let middle = low + (high - low) / 2;
            // The first line that begins at the middle or after it.
            lines.offset = middle.saturating_sub(u64::from(middle > low));
            lines.file.seek(SeekFrom::Start(lines.offset)).map_err(away)?;
            if middle > low {
                lines.next_line()?;
            }
            let begins = lines.offset;
            let row = if begins < high { lines.next_row(table, &mut Vec::new())?.map(|(_, row)| row) } else { None };
            match row {
                Some(row) if key_of(&row) == key => return Ok(Some(row)),
                Some(row) if key_of(&row) < key => low = lines.offset,
                Some(_) | None => high = middle,
            }
        }
        Ok(None)
    }

    /// The key that clients of the log are given must be the one that signed its newest checkpoint.
    fn key(&mut self, report: &mut Report) {
        let Some(bytes) = self.read(KEY_FILE) else { return };
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let key = text.strip_suffix('\n').ok_or_else(|| "the line does not end".to_owned());
        let key = key.and_then(|text| LogKey::parse(text).map_err(|e| e.to_string()));
        let verdict = key.and_then(|key| key.verify(&Checkpoint::parse(&self.newest)?));
        if let Err(why) = verdict {
            report.find("key", KEY_FILE, format!("is not the key of the newest checkpoint: {why}"));
        }
    }
}
