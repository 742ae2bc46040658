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
mod backup;
mod clock;
mod derived;
mod export;
mod forms;
mod ledger;
mod log;
mod nouns;
mod queries;
mod reader;
mod register;
mod rows;
mod sql;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod truth;
mod verify;
mod writer;

pub use attest::{Attested, EachRecord, ListedRecord, RecordsOf};
pub use backup::{
    About, BackedUp, COMPANION_BYTES_MAX, COMPANIONS_MAX, Companion, Contents, HeldLog, LINE_BYTES_MAX, Manifest,
    Place, Unproved, back_up, look_through, restore, restore_looking, settings_unsigned,
};
pub use clock::word::{RESCUE, Word};
pub use derived::rebuild::Rebuilt;
pub use export::{Exported, export_database};
pub use forms::texts::TextKind;
pub use ledger::{EachKey, Ledger, as_it_stands, wrapped_heads_as_they_stand};
pub use log::{Head, check_verifier_key, leaf_hash, root_by_path, signed_head, verifier_key};
pub use nouns::access::{ACCESSED_MAX, AccessEntry, Accessed, Judged, Recorded, Showing, USED_VERSIONS_MAX, Used};
pub use nouns::batch::{Found, InBatch, LeafProof, Sought, Traced};
pub use nouns::beside::{BESIDE_BYTES_MAX, NewValue, SealedValue};
pub use nouns::condition::Condition;
pub use nouns::credential::{
    Counts, Credential, Crl, Due, DueFilter, ExpiringHour, Filter, Holding, Issued, Kin, Order, Outlook, Page,
    RevokedRow, SERIAL_CURSOR, State,
};
pub use nouns::database::Database;
pub use nouns::entry::{
    ActorStamp, Base, Covers, DELTA, Entry, GrantStamp, HOLD, IMPORTED, Import, ImportedEnd, Kind, Lost,
    LostRevocation, RELEASED, RefusalEntry, Renews, Revocation, is_the_server,
};
pub use nouns::error::{HELD, StoreError};
pub use nouns::held::{Held, Witness};
pub use nouns::keyword::{
    KEYWORD_CHARS_MAX, KEYWORDS_MAX, Keyword, KeywordFilter, KeywordPage, KeywordRange, Keywords,
};
pub use nouns::place::RecordPlace;
pub use nouns::record::{Record, RecordChange, RecordChanges, RecordFilter, SETTING, StoredRecord};
pub use nouns::renewer::{Class, Renewer};
pub use nouns::sealed::{Rewrapped, SEAL_END, SEALED, SEALED_BYTES_MAX, Seals};
pub use nouns::shard::{SHARDS_MAX, Shard};
pub use nouns::ward::{Reading, WARDS_COUNTED_MAX, Ward, WardBy, WardFilter};
pub use nouns::wrapped::{SealedKey, WRAPPED_BYTES_MAX};
pub use register::{LogConfig, RESUMED_RECORDS_MAX, Resumed, SignedHead};
pub use truth::{Alarm, Integrity, RENEWED_KNOWN_SECS, Revocations};
pub use verify::{AuditState, Finding, Identity, Kept, Pins, Progress, Report, Source, trace, verify, verify_pinned};
