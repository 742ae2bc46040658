//! A register as a stream, in one moment of it, beside those who write it.

use std::collections::BTreeMap;
use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{Context, SHA256};
use serde::Serialize;

use super::history::History;
use super::manifest::{About, BackedUp, COMPANIONS_MAX, Companion, LINE_BYTES_MAX, Manifest, Trailer, line};
use super::parts::{PARTS, Part};
use crate::forms::lines::write_line;
use crate::forms::schema::Type;
use crate::log::{Checkpoint, Head, fold_edge};
use crate::nouns::database::Database;
use crate::nouns::error::StoreError;
use crate::queries;
use crate::sql::{Cell, Row, Sql, Use, Value, connect, own_sessions};
use crate::verify::Progress;

/// Writes the register to `out`, with the files beside it, as it is at one moment; whoever writes to it goes on meanwhile. Needs neither a
/// ledger nor a token. What is written is held against the log's own head: a register whose leaves are not what its head says is not
/// backed up. `each` hears how far it is. Blocks: call it off the async threads.
pub fn back_up(
    database: &Database,
    about: &About,
    companions: &[Companion],
    out: &mut dyn Write,
    each: &mut dyn FnMut(Progress),
) -> Result<BackedUp, StoreError> {
    own_sessions(database, Use::Backup)?;
    let mut sql = connect(database, Use::Backup)?;
    sql.begin()?;
    let engine = match database {
        Database::Sqlite(_) => "sqlite",
        Database::Postgres(_) => "postgresql",
    };
    let written = write(sql.as_mut(), (about, engine), companions, out, each);
    sql.rollback();
    written
}

fn write(
    sql: &mut dyn Sql,
    (about, engine): (&About, &str),
    companions: &[Companion],
    out: &mut dyn Write,
    each: &mut dyn FnMut(Progress),
) -> Result<BackedUp, StoreError> {
    let (head, edge) = head(sql)?;
    let checkpoint = queries::checkpoint(sql)?.map(|(_, note)| note);
    named_alike(checkpoint.as_deref(), &about.origin)?;
    let manifest = Manifest::new(about, &head, checkpoint, engine);
    let mut stream = Stream { out, digest: Context::new(&SHA256), bytes: 0 };
    stream.put(&line(&manifest)?)?;
    beside(companions, &mut stream)?;
    let (mut rows, mut history) = (BTreeMap::new(), History::new(&[]));
    for part in &PARTS {
        stream.put(&line(&Header { table: part.table.name })?)?;
        let mut sees = |row: &[Cell], count: u64| {
            if part.table.name == "leaf" {
                history.leaf(row)?;
                each(Progress { done: count, total: head.size });
            }
            Ok(())
        };
        rows.insert(part.table.name.to_owned(), table(sql, part, &mut stream, &mut sees)?);
    }
    if !history.is_edge(head.size, &edge) {
        let says = "the leaves are not what the head says, and are not backed up: run `chancery audit verify`";
        return Err(StoreError::Corrupt(says.into()));
    }
    stream.end(manifest, rows, companions.len() as u64)
}

#[derive(Serialize)]
struct Header<'a> {
    table: &'a str,
}

#[derive(Serialize)]
struct File<'a> {
    file: &'a str,
    bytes: String,
}

fn beside(companions: &[Companion], stream: &mut Stream<'_>) -> Result<(), StoreError> {
    if companions.len() > COMPANIONS_MAX {
        return Err(StoreError::Invalid(format!("at most {COMPANIONS_MAX} files lie beside a backup")));
    }
    for companion in companions {
        companion.check()?;
        let Companion { name, bytes } = companion;
        stream.put(&line(&File { file: name, bytes: STANDARD.encode(bytes) })?)?;
    }
    Ok(())
}

/// What the head's row says.
fn head(sql: &mut dyn Sql) -> Result<(Head, Vec<u8>), StoreError> {
    let rows = sql.query("SELECT size, edge FROM head WHERE id = $1", &[Value::Int(1)])?;
    let mut row = rows.into_iter().next().ok_or_else(|| StoreError::Corrupt("the head is missing".into()))?;
    let (size, edge) = (row.index()?, row.blob()?);
    let hashes: Vec<_> = edge.chunks(32).filter_map(|hash| hash.try_into().ok()).collect();
    Ok((Head { size, root: fold_edge(&hashes) }, edge))
}

/// A backup under a wrong name could not be told from one of another log.
fn named_alike(checkpoint: Option<&str>, ours: &str) -> Result<(), StoreError> {
    let named = checkpoint.and_then(|note| Checkpoint::parse(note).ok()).map(|checkpoint| checkpoint.origin);
    match named.filter(|origin| origin != ours) {
        Some(origin) => Err(StoreError::Invalid(format!(
            "this register's log is `{origin}`, the configuration says `{ours}`: put it right in [log] origin"
        ))),
        None => Ok(()),
    }
}

/// Who looks at each row as it is written, with its number.
type Sees<'a> = dyn FnMut(&[Cell], u64) -> Result<(), StoreError> + 'a;

/// Writes a table page by page; answers how many rows.
fn table(
    sql: &mut dyn Sql,
    part: &'static Part,
    stream: &mut Stream<'_>,
    sees: &mut Sees<'_>,
) -> Result<u64, StoreError> {
    let (first, next) = (part.select(true), part.select(false));
    let (mut count, mut after): (u64, Vec<Cell>) = (0, Vec::new());
    loop {
        let text = if after.is_empty() { &first } else { &next };
        let key: Vec<Value<'_>> = after.iter().map(Cell::as_value).collect();
        let rows = sql.query(text, &key)?;
        let there = rows.len();
        for cells in rows.into_iter().map(Row::cells) {
            count += 1;
            fits(part, &cells)?;
            sees(&cells, count)?;
            let mut line = Vec::new();
            let columns = part.table.columns.iter().map(|(name, _)| *name);
            write_line(&mut line, columns.zip(&cells)).map_err(|e| StoreError::Corrupt(e.to_string()))?;
            stream.put(&line)?;
            after = cells.into_iter().take(part.key).collect();
        }
        if there < part.page {
            return Ok(count);
        }
    }
}

/// What somebody else wrote into a row could not be read back.
fn fits(part: &Part, cells: &[Cell]) -> Result<(), StoreError> {
    let is = |cell: &Cell, ty: Type| match cell {
        Cell::Null => true,
        Cell::Int(_) => ty == Type::Int,
        Cell::Text(_) => ty == Type::Text,
        Cell::Blob(_) => ty == Type::Blob,
    };
    match cells.iter().zip(part.table.columns).find(|(cell, (_, ty))| !is(cell, *ty)) {
        None => Ok(()),
        Some((_, (column, _))) => {
            let name = part.table.name;
            Err(StoreError::Corrupt(format!("{name} column {column} is of another type: run `chancery audit verify`")))
        }
    }
}

/// What is written, counted and hashed.
struct Stream<'a> {
    out: &'a mut dyn Write,
    digest: Context,
    bytes: u64,
}

impl Stream<'_> {
    fn put(&mut self, line: &[u8]) -> Result<(), StoreError> {
        if line.len() > LINE_BYTES_MAX {
            return Err(StoreError::Invalid(format!(
                "a row is longer than the {LINE_BYTES_MAX} bytes of a backup's line"
            )));
        }
        self.digest.update(line);
        self.write(line)
    }

    fn write(&mut self, line: &[u8]) -> Result<(), StoreError> {
        self.bytes += line.len() as u64;
        self.out.write_all(line).map_err(|e| StoreError::Target(e.to_string()))
    }

    fn end(mut self, manifest: Manifest, rows: BTreeMap<String, u64>, files: u64) -> Result<BackedUp, StoreError> {
        let sha256 = hex::encode(self.digest.clone().finish());
        self.write(&line(&Trailer { end: &rows, files, sha256: &sha256 })?)?;
        Ok(BackedUp { manifest, rows, files, bytes: self.bytes, sha256 })
    }
}
