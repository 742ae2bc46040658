//! Which engine it is.

use std::time::Duration;

use super::engine::{Sql, Use};
use super::error::SqlError;
use super::{postgres, sqlite};
use crate::nouns::database::Database;

/// What an auditor's statement may take.
pub(crate) const AUDIT_MAX: Duration = Duration::from_secs(30);
/// What one of the writer's may take: it has met a lock or a sick disk. A server that does not answer at all is given up soon
/// enough for callers to be answered over another connection. The engine within the process has no such bound for writes: there
/// a lock is bounded by its own, and a flush cannot be ended.
pub(crate) const WRITE_MAX: Duration = Duration::from_secs(10);

/// Makes an empty register where there is none: the file, where it is one. An operator makes a PostgreSQL database.
pub(crate) fn make(database: &Database) -> Result<(), SqlError> {
    match database {
        Database::Sqlite(path) => sqlite::make(path),
        Database::Postgres(_) => Ok(()),
    }
}

/// Connects.
pub(crate) fn connect(database: &Database, usage: Use) -> Result<Box<dyn Sql + Send>, SqlError> {
    match usage {
        Use::Write => connect_with(database, usage, WRITE_MAX),
        Use::Read | Use::Audit | Use::Backup => connect_with(database, usage, AUDIT_MAX),
    }
}

/// Connects; a statement that takes longer than `limit` is ended in the engine.
pub(crate) fn connect_with(database: &Database, usage: Use, limit: Duration) -> Result<Box<dyn Sql + Send>, SqlError> {
    match database {
        Database::Sqlite(path) => Ok(Box::new(sqlite::Sqlite::open(path, usage, limit)?)),
        Database::Postgres(url) => Ok(Box::new(postgres::Postgres::open(url, usage, limit)?)),
    }
}

/// Refuses a database whose sessions are not one's own; asked before anything is set in one.
pub(crate) fn own_sessions(database: &Database, usage: Use) -> Result<(), SqlError> {
    match database {
        Database::Sqlite(_) => Ok(()),
        Database::Postgres(url) => postgres::own_sessions(url, usage),
    }
}
