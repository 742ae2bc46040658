//! Which engine it is.

use std::time::Duration;

use super::engine::{Sql, Use};
use super::error::SqlError;
use super::{postgres, sqlite};
use crate::database::Database;

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
