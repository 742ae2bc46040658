//! Which database: one embedded file, or a PostgreSQL shared by several nodes.

use std::fmt;
use std::path::PathBuf;

use crate::nouns::error::StoreError;

/// Where the register lives.
#[derive(Clone, PartialEq, Eq)]
pub enum Database {
    /// An SQLite file.
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
            if has_password(url) {
                return Err(StoreError::Database(
                    "a password in the URL is in every copy of the configuration, and in the list of processes where a command \
                     has it: write it to a file that its owner alone can read, and name that"
                        .into(),
                ));
            }
            return Ok(Database::Postgres(url.to_owned()));
        }
        Err(StoreError::Database("expected `sqlite:PATH` or `postgres://USER@HOST/NAME`".into()))
    }
}

/// Between the user and the host, or as a parameter.
fn has_password(url: &str) -> bool {
    let (place, query) = url.split_once('?').unwrap_or((url, ""));
    let authority = place.split_once("://").map_or("", |(_, rest)| rest).split('/').next().unwrap_or_default();
    let user = authority.rsplit_once('@').map_or("", |(user, _)| user);
    user.contains(':') || query.split('&').any(|pair| pair.split('=').next() == Some("password"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_does_not_stand_in_a_url() {
        for url in ["postgres://a:b@h/x", "postgresql://a:@h/x", "postgres://a@h/x?sslmode=require&password=b"] {
            assert!(matches!(Database::parse(url), Err(StoreError::Database(why)) if why.contains("file")), "{url}");
        }
        for url in ["postgres://a@h:5432/x", "postgres://a@[::1]:5432/x?password_file=/p", "postgres://h:1/a@b"] {
            assert!(Database::parse(url).is_ok(), "{url}");
        }
    }
}
