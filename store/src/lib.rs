//! The only owner of the disk: SQL tables, the ledger, the Merkle log, checkpoints, `verify`.
//!
//! [`Ledger::intend`] writes a row and a log leaf, durably, and only then hands out the [`hsm::Intent`] without which
//! nothing can be signed; [`Ledger::conclude`] writes what came of it. Rows are written once and never changed; what a
//! credential *is* (issued, failed, revoked) is derived from its rows. Every row has a leaf that holds a digest of all
//! its columns, in the same transaction; [`verify`](fn@verify) re-derives everything from bytes alone. LEAF.md has the formats.
//!
//! Trusted for: durability on return, and one leaf per change. Whoever controls this room's database can lose or alter
//! what it holds, but not unseen by `verify` with a checkpoint kept elsewhere; it holds no private key.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod attest;
mod clock;
mod condition;
mod credential;
mod database;
mod derived;
mod entry;
mod error;
mod export;
mod follower;
mod held;
mod keys;
mod leaf;
mod ledger;
mod log;
mod meeting;
mod object;
mod pending;
mod prepare;
mod projection;
mod queries;
mod reader;
mod rebuild;
mod record;
mod register;
mod renewer;
mod row;
mod schema;
mod sql;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod texts;
mod truth;
mod verify;
mod word;
mod writer;
mod x509;

pub use attest::Attested;
pub use condition::Condition;
pub use credential::{
    Counts, Credential, Crl, Due, DueFilter, ExpiringHour, Filter, Issued, Kin, Order, Outlook, Page, RevokedRow,
    SERIAL_CURSOR, State,
};
pub use database::Database;
pub use entry::{
    ActorStamp, Covers, Entry, GrantStamp, Kind, Lost, LostRevocation, RefusalEntry, Renews, Revocation, is_the_server,
};
pub use error::{HELD, StoreError};
pub use export::{Exported, export_database};
pub use held::{Held, Witness};
pub use ledger::Ledger;
pub use log::{Head, verifier_key};
pub use rebuild::Rebuilt;
pub use record::{Record, RecordFilter, SETTING, StoredRecord};
pub use register::{LogConfig, RESUMED_RECORDS_MAX, Resumed, SignedHead};
pub use renewer::{Class, Renewer};
pub use texts::TextKind;
pub use truth::{Alarm, Integrity, RENEWED_KNOWN_SECS, Revocations};
pub use verify::{AuditState, Finding, Identity, Kept, Pins, Progress, Report, Source, verify, verify_pinned};
pub use word::{RESCUE, Word};
