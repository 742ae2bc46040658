//! One SQL text for two engines: a small synchronous layer over SQLite and PostgreSQL.
//!
//! Rules of the text: parameters are `$1..$n`, first used in that order, none skipped (SQLite binds them by position);
//! types are BIGINT, TEXT and BYTEA; a table's numeric key is written `BIGINT PRIMARY KEY`, which SQLite reads as `INTEGER
//! PRIMARY KEY` so that it is the row's own address (the one substitution, in [`sqlite`]). A column declared BYTEA has
//! NUMERIC affinity in SQLite, which leaves blobs alone (SQLite datatype3 section 3.1); every column is bound by its own type.

mod postgres;
mod sqlite;

use std::time::Duration;

use crate::database::Database;
use crate::error::StoreError;

/// A parameter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    Null,
    Int(i64),
    Text(&'a str),
    Blob(&'a [u8]),
}

/// A column of a row that was read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell {
    Null,
    Int(i64),
    Text(String),
    Blob(Vec<u8>),
}

impl Cell {
    pub(crate) fn as_value(&self) -> Value<'_> {
        match self {
            Cell::Null => Value::Null,
            Cell::Int(n) => Value::Int(*n),
            Cell::Text(s) => Value::Text(s),
            Cell::Blob(b) => Value::Blob(b),
        }
    }
}

/// A row that was read, taken apart from left to right.
#[derive(Debug)]
pub(crate) struct Row(std::vec::IntoIter<Cell>);

impl Row {
    pub(crate) fn new(cells: Vec<Cell>) -> Row {
        Row(cells.into_iter())
    }
    pub(crate) fn cells(self) -> Vec<Cell> {
        self.0.collect()
    }
    fn next(&mut self) -> Result<Cell, StoreError> {
        self.0.next().ok_or_else(|| StoreError::Corrupt("a row has too few columns".into()))
    }
    pub(crate) fn int(&mut self) -> Result<i64, StoreError> {
        self.opt_int()?.ok_or_else(|| StoreError::Corrupt("NULL where a number belongs".into()))
    }
    pub(crate) fn opt_int(&mut self) -> Result<Option<i64>, StoreError> {
        match self.next()? {
            Cell::Int(n) => Ok(Some(n)),
            Cell::Null => Ok(None),
            Cell::Text(_) | Cell::Blob(_) => Err(StoreError::Corrupt("not a number where one belongs".into())),
        }
    }
    /// A number that is never negative: an index, a size, an operation.
    pub(crate) fn index(&mut self) -> Result<u64, StoreError> {
        let n = self.int()?;
        u64::try_from(n).map_err(|_| StoreError::Corrupt(format!("negative number {n} where an index belongs")))
    }
    pub(crate) fn text(&mut self) -> Result<String, StoreError> {
        self.opt_text()?.ok_or_else(|| StoreError::Corrupt("NULL where a text belongs".into()))
    }
    pub(crate) fn opt_text(&mut self) -> Result<Option<String>, StoreError> {
        match self.next()? {
            Cell::Text(s) => Ok(Some(s)),
            Cell::Null => Ok(None),
            Cell::Int(_) | Cell::Blob(_) => Err(StoreError::Corrupt("not a text where one belongs".into())),
        }
    }
    pub(crate) fn blob(&mut self) -> Result<Vec<u8>, StoreError> {
        self.opt_blob()?.ok_or_else(|| StoreError::Corrupt("NULL where bytes belong".into()))
    }
    pub(crate) fn opt_blob(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        match self.next()? {
            Cell::Blob(b) => Ok(Some(b)),
            Cell::Null => Ok(None),
            Cell::Int(_) | Cell::Text(_) => Err(StoreError::Corrupt("not bytes where they belong".into())),
        }
    }
    pub(crate) fn hash(&mut self) -> Result<[u8; 32], StoreError> {
        let bytes = self.blob()?;
        bytes.try_into().map_err(|_| StoreError::Corrupt("a hash is not 32 bytes".into()))
    }
}

/// Why a statement failed, by what can be done about it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SqlError {
    /// A unique index refused the row.
    #[error("{0}")]
    Taken(String),
    /// Disk full, I/O error, lock not obtained, server shutting down: later it may work.
    #[error("{0}")]
    Away(String),
    /// The connection is gone: reconnect. At COMMIT the outcome is unknown.
    #[error("{0}")]
    Lost(String),
    /// The file is not what SQLite wrote.
    #[error("{0}")]
    Corrupt(String),
    /// The statement took longer than its deadline, and was ended.
    #[error("a statement took longer than {0:?}, and was ended")]
    Late(Duration),
    /// The statement itself is wrong for this database.
    #[error("{0}")]
    Wrong(String),
}

impl From<SqlError> for StoreError {
    fn from(error: SqlError) -> StoreError {
        match error {
            SqlError::Taken(why) => StoreError::Duplicate(why),
            SqlError::Away(why) | SqlError::Lost(why) => StoreError::Unavailable(why),
            SqlError::Corrupt(why) => StoreError::Corrupt(why),
            SqlError::Late(limit) => StoreError::Late { limit },
            SqlError::Wrong(why) => StoreError::Database(why),
        }
    }
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// Makes the file where it is missing, migrates, writes.
    Write,
    /// Reads only; the engine enforces it.
    Read,
}

/// A connection.
pub(crate) trait Sql {
    /// Runs one statement; answers how many rows it touched.
    fn execute(&mut self, sql: &str, params: &[Value<'_>]) -> Result<u64, SqlError>;
    /// Runs one query.
    fn query(&mut self, sql: &str, params: &[Value<'_>]) -> Result<Vec<Row>, SqlError>;
    /// The same in a transaction that writes; nobody else changes the rows it gives until the transaction ends.
    fn query_and_lock(&mut self, sql: &str, params: &[Value<'_>]) -> Result<Vec<Row>, SqlError>;
    /// Inserts rows of `columns` values each, laid end to end. `into` is `INSERT INTO table (a, b)`, or
    /// `INSERT INTO table (a, b) VALUES ? ON CONFLICT ...`.
    fn insert(&mut self, into: &'static str, columns: usize, values: &[Value<'_>]) -> Result<(), SqlError>;
    /// What the clock of the server shows, seconds since 1970; none where there is no server.
    fn server_time(&mut self) -> Result<Option<i64>, SqlError>;
    /// Runs the statements of a migration.
    fn script(&mut self, sql: &str) -> Result<(), SqlError>;
    /// Begins a transaction that writes (or, on a connection for reading, one that sees a single moment).
    fn begin(&mut self) -> Result<(), SqlError>;
    /// Flushes and ends it. After an error nobody knows whether it is durable.
    fn commit(&mut self) -> Result<(), SqlError>;
    /// Ends it without a trace; errors do not matter, the engine does the same by itself.
    fn rollback(&mut self);
}

/// What an auditor's statement may take, and what one of the writer's: it has met a lock or a sick disk, and the caller is told.
/// The engine within the process has no such bound for writes: there a lock is bounded by its own, and a flush cannot be ended.
pub(crate) const STATEMENT_MAX: Duration = Duration::from_secs(30);

/// Connects.
pub(crate) fn connect(database: &Database, usage: Use) -> Result<Box<dyn Sql + Send>, SqlError> {
    connect_with(database, usage, STATEMENT_MAX)
}

/// Connects; a statement that takes longer than `limit` is ended in the engine.
pub(crate) fn connect_with(database: &Database, usage: Use, limit: Duration) -> Result<Box<dyn Sql + Send>, SqlError> {
    match database {
        Database::Sqlite(path) => Ok(Box::new(sqlite::Sqlite::open(path, usage, limit)?)),
        Database::Postgres(url) => Ok(Box::new(postgres::Postgres::open(url, usage, limit)?)),
    }
}

/// Tests hold every statement to its plan; this is how they come to know them.
fn noted(sql: &str) {
    #[cfg(any(test, feature = "testing"))]
    crate::testing::note_statement(sql);
    let _ = sql;
}

/// The text that inserts so many rows.
fn insert_text(into: &str, rows: usize, columns: usize) -> String {
    let (into, end) = into.split_once(" VALUES ?").unwrap_or((into, ""));
    format!("{into} VALUES {}{end}", values_list(rows, columns))
}

/// `($1, $2), ($3, $4)`: the VALUES of an insert.
fn values_list(rows: usize, columns: usize) -> String {
    let mut text = String::with_capacity(rows * columns * 6);
    for row in 0..rows {
        text.push_str(if row == 0 { "(" } else { ", (" });
        for column in 0..columns {
            text.push_str(if column == 0 { "$" } else { ", $" });
            text.push_str(&(row * columns + column + 1).to_string());
        }
        text.push(')');
    }
    text
}
