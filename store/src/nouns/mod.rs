//! What is said at the ledger's door: what callers write, what readers get, and what either can be told.
//!
//! Values alone: nothing here opens a file or speaks SQL.

pub(crate) mod access;
pub(crate) mod batch;
pub(crate) mod beside;
pub(crate) mod condition;
pub(crate) mod credential;
pub(crate) mod database;
pub(crate) mod entry;
pub(crate) mod error;
pub(crate) mod held;
pub(crate) mod keyword;
pub(crate) mod place;
pub(crate) mod record;
pub(crate) mod renewer;
pub(crate) mod sealed;
pub(crate) mod shard;
pub(crate) mod ward;
pub(crate) mod wrapped;
pub(crate) mod x509;
