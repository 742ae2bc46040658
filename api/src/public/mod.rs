//! What anyone may read without a credential, on both listeners, and the log's tiles.
//!
//! Nothing here writes. All of it is signed or public as it is, but for the entry bundles of the log, which name people and
//! take an auditor's grant.

mod published;

pub(crate) mod log;
mod ocsp;
mod plain;

pub(crate) use plain::routes;
