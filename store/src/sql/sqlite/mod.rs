//! SQLite: the embedded default, one file beside its write-ahead log.

mod connection;
mod gate;
mod log;

pub(super) use connection::{Sqlite, make};
