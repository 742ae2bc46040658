//! Which database: one embedded file, or a PostgreSQL shared by several nodes.

use std::fmt;
use std::path::PathBuf;

use crate::error::StoreError;

/// Where the register lives.
#[derive(Clone, PartialEq, Eq)]
pub enum Database {
    /// An SQLite file, made where it is missing.
    Sqlite(PathBuf),
    /// A PostgreSQL URL. Its password never shows in `Debug` or `Display`.
    Postgres(String),
}

impl Database {
    /// Reads `sqlite:PATH` or `postgres://...`.
    pub fn parse(url: &str) -> Result<Database, StoreError> {
        if let Some(path) = url.strip_prefix("sqlite:") {
            if path.is_empty() {
                return Err(StoreError::Database("`sqlite:` needs a path: sqlite:chancery.db".into()));
            }
            return Ok(Database::Sqlite(PathBuf::from(path)));
        }
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return Ok(Database::Postgres(url.to_owned()));
        }
        Err(StoreError::Database("expected `sqlite:PATH` or `postgres://USER@HOST/NAME`".into()))
    }
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Database::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Database::Postgres(url) => {
                let rest = url.split_once('@').map_or("", |(_, rest)| rest);
                write!(f, "postgres://...@{}", rest.split('?').next().unwrap_or_default())
            }
        }
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
