//! A stream, back into an empty database, whole or not at all; or only looked through.

use std::fs;
use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::contents::Contents;
use super::manifest::{BackedUp, Companion, Manifest};
use super::parts::Part;
use super::settings::Settings;
use super::walk::{Sink, walk};
use crate::forms::schema::make_tables;
use crate::log::Head;
use crate::nouns::database::Database;
use crate::nouns::error::StoreError;
use crate::sql::{Cell, Sql, Use, Value, connect_with, make, own_sessions};
use crate::verify::{Kept, Progress};

/// What a pause of whoever gives the stream may take, and the last step, which flushes everything.
const STEP_MAX: Duration = Duration::from_secs(1_800);

/// The place that a backup is for.
#[derive(Clone, Debug, Default)]
pub struct Place {
    /// The name of its log; none where any will do.
    pub origin: Option<String>,
    /// The heads that it knows.
    pub known: Vec<Kept>,
}

/// Reads a stream whole, and answers the files that lie in it. Writes nothing.
pub fn look_through(input: &mut dyn BufRead, each: &mut dyn FnMut(Progress)) -> Result<Contents, StoreError> {
    let mut looking = Looking::default();
    let walked = walk(input, &[], &mut looking, each)?;
    Ok(looking.contents(walked))
}

#[derive(Default)]
struct Looking {
    companions: Vec<Companion>,
    settings: Settings,
}

impl Sink for Looking {
    fn begin(&mut self, _: &Manifest) -> Result<(), StoreError> {
        Ok(())
    }
    fn companion(&mut self, companion: Companion) -> Result<(), StoreError> {
        self.companions.push(companion);
        Ok(())
    }
    fn row(&mut self, part: &'static Part, row: Vec<Cell>) -> Result<(), StoreError> {
        self.look(part, &row);
        Ok(())
    }
}

impl Looking {
    fn look(&mut self, part: &'static Part, row: &[Cell]) {
        match part.table.name {
            "leaf" => self.settings.leaf(row),
            "record" => self.settings.record(row),
            _ => {}
        }
    }

    /// What it saw, of a stream that was walked to its end.
    fn contents(self, (backed_up, at_checkpoint): (BackedUp, Option<Head>)) -> Contents {
        let (settings, leaves) = self.settings.told();
        Contents { backed_up, companions: self.companions, settings, leaves, at_checkpoint }
    }
}

/// Puts a register into a database that has none, in one transaction: what breaks off, however it does, leaves a database without one.
/// `Conflict`: there is a register already, or the place knows another log. Needs neither a ledger nor a token. Blocks: call it off the
/// async threads.
pub fn restore(
    database: &Database,
    input: &mut dyn BufRead,
    place: &Place,
    each: &mut dyn FnMut(Progress),
) -> Result<BackedUp, StoreError> {
    restore_looking(database, input, place, each).map(|found| found.backed_up)
}

/// The same, and answers what [`look_through`] does, of the very bytes that were restored.
pub fn restore_looking(
    database: &Database,
    input: &mut dyn BufRead,
    place: &Place,
    each: &mut dyn FnMut(Progress),
) -> Result<Contents, StoreError> {
    let made = New::of(database)?;
    own_sessions(database, Use::Write)?;
    let mut sql = connect_with(database, Use::Write, STEP_MAX)?;
    let restored = fill(sql.as_mut(), input, place, each);
    if restored.is_err() {
        sql.rollback();
        drop(sql);
        made.undo();
    }
    restored
}

fn fill(
    sql: &mut dyn Sql,
    input: &mut dyn BufRead,
    place: &Place,
    each: &mut dyn FnMut(Progress),
) -> Result<Contents, StoreError> {
    sql.begin()?;
    make_tables(sql)?;
    // The row that a new register begins with.
    sql.execute("DELETE FROM head WHERE id = $1", &[Value::Int(1)])?;
    let looking = Looking::default();
    let mut filling = Filling { sql, origin: place.origin.as_deref(), part: None, rows: Vec::new(), looking };
    let walked = walk(input, &place.known, &mut filling, each)?;
    filling.flush()?;
    let looking = filling.looking;
    // A crash up to here: no register. From here on: all of it.
    sql.commit()?;
    Ok(looking.contents(walked))
}

struct Filling<'a> {
    sql: &'a mut dyn Sql,
    origin: Option<&'a str>,
    part: Option<&'static Part>,
    rows: Vec<Vec<Cell>>,
    looking: Looking,
}

impl Filling<'_> {
    fn flush(&mut self) -> Result<(), StoreError> {
        let Some(part) = self.part.filter(|_| !self.rows.is_empty()) else { return Ok(()) };
        let values: Vec<Value<'_>> = self.rows.iter().flatten().map(Cell::as_value).collect();
        self.sql.insert(part.table.insert(), part.table.columns.len(), &values)?;
        self.rows.clear();
        Ok(())
    }
}

impl Sink for Filling<'_> {
    fn begin(&mut self, manifest: &Manifest) -> Result<(), StoreError> {
        match self.origin.filter(|ours| *ours != manifest.origin) {
            None => Ok(()),
            Some(ours) => Err(StoreError::Conflict(format!(
                "the backup is of the log `{}`, and this place is for `{ours}`",
                manifest.origin
            ))),
        }
    }

    fn companion(&mut self, companion: Companion) -> Result<(), StoreError> {
        self.looking.companion(companion)
    }

    fn row(&mut self, part: &'static Part, row: Vec<Cell>) -> Result<(), StoreError> {
        self.looking.look(part, &row);
        let is_other = self.part.is_none_or(|now| now.table.name != part.table.name);
        if is_other || self.rows.len() >= part.page {
            self.flush()?;
            self.part = Some(part);
        }
        self.rows.push(row);
        Ok(())
    }
}

/// The file that was made for it, where it is one.
struct New(Option<PathBuf>);

impl New {
    fn of(database: &Database) -> Result<New, StoreError> {
        let path = match database {
            Database::Sqlite(path) if !path.exists() => Some(path.clone()),
            Database::Sqlite(_) | Database::Postgres(_) => None,
        };
        make(database)?;
        Ok(New(path))
    }

    /// It held nothing.
    fn undo(self) {
        let Some(path) = self.0 else { return };
        for beside in ["", "-wal", "-shm"] {
            let mut name = path.clone().into_os_string();
            name.push(beside);
            let _ = fs::remove_file(Path::new(&name));
        }
    }
}
