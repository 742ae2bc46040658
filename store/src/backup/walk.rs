//! A stream, read line by line: each is of its place, in its one spelling, and the last proves that all came.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, Read};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{Context, SHA256};
use serde::Deserialize;

use super::history::History;
use super::manifest::{
    BackedUp, COMPANION, COMPANIONS_MAX, Companion, LINE_BYTES_MAX, Manifest, TABLE, TRAILER, Trailer, line,
};
use super::parts::{PARTS, Part};
use crate::forms::lines::row_of;
use crate::log::Head;
use crate::nouns::error::StoreError;
use crate::sql::Cell;
use crate::verify::{Kept, Progress};

/// What becomes of what is read. Nothing is true before the walk has ended.
pub(super) trait Sink {
    /// The first line.
    fn begin(&mut self, manifest: &Manifest) -> Result<(), StoreError>;
    /// A file beside the register.
    fn companion(&mut self, companion: Companion) -> Result<(), StoreError>;
    /// A row.
    fn row(&mut self, part: &'static Part, row: Vec<Cell>) -> Result<(), StoreError>;
}

/// Reads a stream to its end; answers what it is, and the tree that its leaves make where its checkpoint speaks of them. What is missing,
/// altered, exchanged or too much is an error, and the sink's work is void.
pub(super) fn walk(
    input: &mut dyn BufRead,
    known: &[Kept],
    sink: &mut dyn Sink,
    each: &mut dyn FnMut(Progress),
) -> Result<(BackedUp, Option<Head>), StoreError> {
    let mut lines = Lines { input, digest: Context::new(&SHA256), bytes: 0, number: 0 };
    let first = lines.next()?;
    let manifest: Manifest = serde_json::from_slice(&first)
        .map_err(|_| StoreError::Invalid("this is no backup of Chancery, or not the beginning of one".into()))?;
    manifest.check()?;
    lines.covers(&first);
    sink.begin(&manifest)?;
    let (mut history, mut rows, mut names) =
        (History::new(known).marking(manifest.signed_size()), BTreeMap::new(), BTreeSet::new());
    let (mut files, mut left, mut at): (u64, _, Option<&'static Part>) = (0, PARTS.iter(), None);
    loop {
        let text = lines.next()?;
        if text.starts_with(TRAILER) {
            if left.next().is_some() {
                return Err(lines.wrong("a table is missing"));
            }
            let backed_up = lines.end(&text, manifest, &history, rows, files)?;
            return Ok((backed_up, history.at_mark()));
        }
        if text.starts_with(TABLE) {
            let part = left.next().filter(|part| text == format!("{{\"table\":\"{}\"}}\n", part.table.name).as_bytes());
            let part = part.ok_or_else(|| lines.wrong("not the table that comes here"))?;
            rows.insert(part.table.name.to_owned(), 0);
            at = Some(part);
        } else if let Some(part) = at {
            let row = row_of(part.table, &text).map_err(|why| lines.wrong(&why))?;
            let count = rows.entry(part.table.name.to_owned()).or_default();
            *count += 1;
            if part.table.name == "leaf" {
                history.leaf(&row)?;
                each(Progress { done: *count, total: manifest.size });
            }
            sink.row(part, row)?;
        } else if text.starts_with(COMPANION) {
            files += 1;
            let companion = companion(&text, files).map_err(|why| lines.wrong(why))?;
            // Of two of one name one would be looked at, and the other written.
            if !names.insert(companion.name.clone()) {
                return Err(lines.wrong("a file that was there before"));
            }
            sink.companion(companion)?;
        } else {
            return Err(lines.wrong("not what comes here"));
        }
        lines.covers(&text);
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    file: String,
    bytes: String,
}

fn companion(line: &[u8], count: u64) -> Result<Companion, &'static str> {
    let File { file, bytes } = serde_json::from_slice(line).map_err(|_| "not a file")?;
    let bytes = STANDARD.decode(bytes).map_err(|_| "not a file's bytes")?;
    let companion = Companion { name: file, bytes };
    match count <= COMPANIONS_MAX as u64 && companion.check().is_ok() {
        true => Ok(companion),
        false => Err("a file that no backup has"),
    }
}

struct Lines<'a> {
    input: &'a mut dyn BufRead,
    digest: Context,
    bytes: u64,
    number: u64,
}

impl Lines<'_> {
    /// The next line, which has to be there.
    fn next(&mut self) -> Result<Vec<u8>, StoreError> {
        let mut line = Vec::new();
        let read = (&mut *self.input).take(LINE_BYTES_MAX as u64 + 1).read_until(b'\n', &mut line);
        read.map_err(|e| StoreError::Invalid(format!("the backup cannot be read to its end: {e}")))?;
        self.number += 1;
        self.bytes += line.len() as u64;
        match line.last() {
            Some(b'\n') => Ok(line),
            Some(_) | None => Err(self.wrong("the backup ends here, or a line is too long: it was cut off")),
        }
    }

    fn covers(&mut self, line: &[u8]) {
        self.digest.update(line);
    }

    fn wrong(&self, why: &str) -> StoreError {
        StoreError::Invalid(format!("line {} of the backup: {why}; it is not taken", self.number))
    }

    /// The last line says what was counted here, in this spelling, and nothing comes after it.
    fn end(
        self,
        text: &[u8],
        manifest: Manifest,
        history: &History,
        rows: BTreeMap<String, u64>,
        files: u64,
    ) -> Result<BackedUp, StoreError> {
        let sha256 = hex::encode(self.digest.clone().finish());
        if text != line(&Trailer { end: &rows, files, sha256: &sha256 })? {
            return Err(self.wrong("what came is not what the last line says"));
        }
        let more = self.input.read(&mut [0]).map_err(|e| StoreError::Invalid(format!("the backup's end: {e}")))?;
        if more > 0 {
            return Err(self.wrong("something comes after the last line"));
        }
        let head = history.head();
        if (head.size, hex::encode(head.root)) != (manifest.size, manifest.root.clone()) {
            return Err(self.wrong("the leaves are not those of the head that the first line says"));
        }
        Ok(BackedUp { manifest, rows, files, bytes: self.bytes, sha256 })
    }
}
