//! What every engine does.

use super::error::SqlError;
use super::value::{Row, Value};

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// Writes.
    Write,
    /// Reads only; the engine enforces it. What is read is what the writers wrote, not a copy that is behind.
    Read,
    /// Reads only, a copy too: an auditor's.
    Audit,
    /// Reads only, one moment for as long as it takes: a backup's. The write-ahead log of SQLite grows meanwhile, as under another
    /// program that reads.
    Backup,
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
    /// Whether what is written now will be there: the file has its name, and there is room. Asked between transactions; costs no question.
    fn is_there(&mut self) -> Result<(), SqlError>;
    /// Takes this node's number for as long as the connection lives. Answers who has it, where somebody else does.
    fn claim(&mut self, node: u16) -> Result<Option<String>, SqlError>;
    /// What there is to do between transactions. Answers how long a write-ahead log has become that another program keeps.
    fn tend(&mut self) -> Option<u64>;
    /// Ends it without a trace; errors do not matter, the engine does the same by itself.
    fn rollback(&mut self);
}
