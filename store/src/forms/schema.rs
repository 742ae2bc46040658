//! The tables, as data: what is inserted, read, digested and verified follows from one list of columns per table.

use std::sync::LazyLock;

use ring::digest::{SHA256, digest};

use crate::forms::leaf::BEFORE_ALL;
use crate::nouns::error::StoreError;
use crate::sql::{Row, Sql, SqlError, Value};

/// A column's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Int,
    Text,
    Blob,
}

/// A table whose rows have leaves.
#[derive(Debug)]
pub(crate) struct Table {
    pub name: &'static str,
    /// The numeric key first: the index of the row's leaf.
    pub columns: &'static [(&'static str, Type)],
    /// How many columns, from the left, the leaf states in its own numbers; the digest covers the others.
    pub stated: usize,
    pub insert: LazyLock<String>,
    pub select: LazyLock<String>,
}

impl Table {
    /// `INSERT INTO table (a, b, ...)`.
    pub fn insert(&'static self) -> &'static str {
        &self.insert
    }
    /// `SELECT a, b, ... FROM table`.
    pub fn select(&'static self) -> &'static str {
        &self.select
    }
    /// The name of the key column.
    pub fn key(&self) -> &'static str {
        self.columns.first().map_or("", |(name, _)| name)
    }
    /// The position of a column.
    pub fn position(&self, column: &str) -> Option<usize> {
        self.columns.iter().position(|(name, _)| *name == column)
    }
}

macro_rules! table {
    ($static:ident, $name:literal, stated $stated:literal, $(($column:literal, $type:ident)),+ $(,)?) => {
        pub(crate) static $static: $crate::forms::schema::Table = $crate::forms::schema::Table {
            name: $name,
            columns: &[$(($column, $crate::forms::schema::Type::$type)),+],
            stated: $stated,
            insert: std::sync::LazyLock::new(|| format!("INSERT INTO {} ({})", $name, [$($column),+].join(", "))),
            select: std::sync::LazyLock::new(|| format!("SELECT {} FROM {}", [$($column),+].join(", "), $name)),
        };
    };
}

pub(crate) use table;

table!(
    INTENT,
    "intent",
    stated 1,
    ("op", Int),
    ("kind", Text),
    ("at", Int),
    ("actor", Text),
    ("proof", Text),
    ("proof_id", Text),
    ("action", Text),
    ("rule", Text),
    ("policy_hash", Blob),
    ("profile", Text),
    ("profile_hash", Blob),
    ("key_label", Text),
    ("key_hash", Blob),
    ("algorithm", Text),
    ("form", Text),
    ("message", Blob),
    ("serial", Blob),
    ("issuer", Text),
    ("owner", Text),
    ("subject", Text),
    ("names", Text),
    ("subject_key_hash", Blob),
    ("not_before", Int),
    ("not_after", Int),
    ("details", Text),
);

table!(
    CONCLUSION,
    "conclusion",
    stated 2,
    ("leaf", Int),
    ("op", Int),
    ("at", Int),
    ("outcome", Text),
    ("signature", Blob),
    ("reason", Text),
);

table!(
    REVOCATION,
    "revocation",
    stated 2,
    ("leaf", Int),
    ("op", Int),
    ("at", Int),
    ("revoked_at", Int),
    ("reason", Int),
    ("invalid_at", Int),
    ("actor", Text),
    ("proof", Text),
    ("proof_id", Text),
    ("action", Text),
    ("rule", Text),
    ("policy_hash", Blob),
);

table!(
    RECORD,
    "record",
    stated 2,
    ("leaf", Int),
    ("replaces", Int),
    ("kind", Text),
    ("id", Text),
    ("at", Int),
    ("owner", Text),
    ("lookup", Text),
    ("expires", Int),
    ("body", Text),
    ("actor", Text),
    ("proof", Text),
    ("proof_id", Text),
);

table!(
    BATCH,
    "batch",
    stated 1,
    ("op", Int),
    ("hashes", Blob),
);

/// The tables whose rows have leaves, by name.
pub(crate) static LEAFED: [&Table; 4] = [&INTENT, &CONCLUSION, &REVOCATION, &RECORD];

/// Those that are exported row by row: beside them what a leaf has the root of.
pub(crate) static EXPORTED: [&Table; 5] = [&INTENT, &CONCLUSION, &REVOCATION, &RECORD, &BATCH];

/// The counters of a place, in the order of the schema.
pub(crate) const PLACE_COUNTERS: [&str; 5] = ["intended", "issued", "failed", "revoked", "replaced"];

/// A numbered step of the schema. A text once released is never edited: its hash is in every register.
pub(crate) struct Migration {
    pub version: i64,
    pub name: &'static str,
    pub text: &'static str,
}

impl Migration {
    pub fn sha256(&self) -> [u8; 32] {
        sha256(self.text.as_bytes())
    }
}

/// All steps, in order.
pub(crate) const MIGRATIONS: &[Migration] =
    &[Migration { version: 1, name: "register", text: include_str!("../../migrations/001_register.sql") }];

const MIGRATION_TABLE: &str =
    "CREATE TABLE IF NOT EXISTS migration (version BIGINT PRIMARY KEY, name TEXT NOT NULL, sha256 BYTEA NOT NULL)";

/// Two nodes that start at once race for the same step; the loser sees it done the next time round.
const ATTEMPTS: usize = 5;

/// Brings the schema up to date, or refuses a register that another program wrote.
pub(crate) fn migrate(sql: &mut dyn Sql) -> Result<(), StoreError> {
    for _ in 0..ATTEMPTS {
        // A crash anywhere inside leaves the register as it was: DDL is transactional in both engines.
        sql.begin()?;
        let outcome = steps(sql).and_then(|()| Ok(sql.commit()?));
        match outcome {
            Ok(()) => return Ok(()),
            Err(StoreError::Duplicate(_)) => sql.rollback(),
            Err(other) => {
                sql.rollback();
                return Err(other);
            }
        }
    }
    Err(StoreError::Unavailable("another node is migrating the register".into()))
}

/// Refuses a register whose schema is not this program's, and makes nothing: a database that was emptied under a service is no new
/// register.
pub(crate) fn is_migrated(sql: &mut dyn Sql) -> Result<(), StoreError> {
    sql.begin()?;
    let found = sql.query("SELECT version, name, sha256 FROM migration ORDER BY version", &[]);
    sql.rollback();
    let rows = found.map_err(|error| match StoreError::from(error) {
        StoreError::Database(why) => StoreError::Database(format!(
            "there is no register in it ({why}): `chancery init` makes one, and where there was one before, put a backup back"
        )),
        other => other,
    })?;
    let mut done = rows.into_iter();
    for migration in MIGRATIONS {
        match done.next() {
            Some(mut row) => check_step(migration, row.int()?, &row.text()?, &row.blob()?)?,
            None => {
                let step = migration.version;
                return Err(StoreError::Database(format!(
                    "the register lacks schema step {step}: run `chancery init`"
                )));
            }
        }
    }
    no_more(done.next())
}

fn no_more(row: Option<Row>) -> Result<(), StoreError> {
    match row {
        Some(mut row) => Err(StoreError::Database(format!(
            "the register has schema step {}, which this program does not know: run the newer program",
            row.int()?
        ))),
        None => Ok(()),
    }
}

/// Makes the tables within a transaction of the caller's, where there are none of a register yet.
pub(crate) fn make_tables(sql: &mut dyn Sql) -> Result<(), StoreError> {
    sql.script(MIGRATION_TABLE)?;
    match sql.query("SELECT version FROM migration ORDER BY version", &[])?.is_empty() {
        true => steps(sql),
        false => Err(StoreError::Conflict("there is a register in this database already".into())),
    }
}

fn steps(sql: &mut dyn Sql) -> Result<(), StoreError> {
    sql.script(MIGRATION_TABLE)?;
    let mut done = sql.query("SELECT version, name, sha256 FROM migration ORDER BY version", &[])?.into_iter();
    for migration in MIGRATIONS {
        match done.next() {
            Some(mut row) => check_step(migration, row.int()?, &row.text()?, &row.blob()?)?,
            None => take_step(sql, migration)?,
        }
    }
    no_more(done.next())
}

fn check_step(migration: &Migration, version: i64, name: &str, sha256: &[u8]) -> Result<(), StoreError> {
    if version == migration.version && name == migration.name && sha256 == migration.sha256() {
        return Ok(());
    }
    Err(StoreError::Database(format!(
        "schema step {version} ({name}) in the register is not the step {} ({}) of this program",
        migration.version, migration.name
    )))
}

/// The row first: its key makes a second node wait and then fail, instead of running the step twice.
fn take_step(sql: &mut dyn Sql, migration: &Migration) -> Result<(), SqlError> {
    sql.insert(
        "INSERT INTO migration (version, name, sha256)",
        3,
        &[Value::Int(migration.version), Value::Text(migration.name), Value::Blob(&migration.sha256())],
    )?;
    sql.script(migration.text)?;
    if migration.version == 1 {
        let empty = [Value::Int(1), Value::Int(0), Value::Blob(b""), Value::Int(BEFORE_ALL.unix()), Value::Blob(b"")];
        sql.insert("INSERT INTO head (id, size, edge, time, seal)", 5, &empty)?;
    }
    Ok(())
}

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, bytes).as_ref());
    hash
}
