//! One SQL text for two engines: a small synchronous layer over SQLite and PostgreSQL.
//!
//! Rules of the text: parameters are `$1..$n`, first used in that order, none skipped (SQLite binds them by position);
//! types are BIGINT, TEXT and BYTEA. Two things of a schema SQLite reads otherwise (the substitutions, in [`sqlite`]): a table's numeric
//! key, `BIGINT PRIMARY KEY`, is its `INTEGER PRIMARY KEY`, so that it is the row's own address; and what is marked `/* WITHOUT ROWID */`
//! lies in the order of its key. A column declared BYTEA has
//! NUMERIC affinity in SQLite, which leaves blobs alone (SQLite datatype3 section 3.1); every column is bound by its own type.

mod connect;
mod engine;
mod error;
mod postgres;
mod sqlite;
mod text;
mod value;

pub(crate) use connect::{connect, connect_with, make, own_sessions};
pub(crate) use engine::{Sql, Use};
pub(crate) use error::SqlError;
pub(crate) use value::{Cell, Row, Value};
