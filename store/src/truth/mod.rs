//! What a running node holds for true, whatever the database says: the tree and the fold of its leaves, in memory.
//!
//! The database is a witness. A node takes from it what extends the tree in memory under a sealed head, folds it, and
//! compares every row that decides something with the fold ([`Attested`]). What does not fit is refused and raises an alarm;
//! a log that is not an extension stops all writing. docs/decisions/006 weighs this against other ways.
//!
//! Trusted for: which row is the present one. Whoever controls the database can withhold rows, and nothing else.

mod alarm;
mod anchor;
mod change;
mod crls;
mod fold;
mod image;
mod key;
mod last;
mod node;
mod proof;
mod read_hours;
mod tiles;
mod token_note;

pub use alarm::{Alarm, Integrity};
pub(crate) use anchor::{Anchor, CHECKPOINT as CHECKPOINT_FILE, HEAD as HEAD_FILE, parse_head};
pub(crate) use change::{Change, RecordKey, Revoked, Word, accessed, record_key};
pub(crate) use crls::{CrlFold, CrlIntent, number, scope};
pub(crate) use fold::{Fold, Version, chained};
pub use fold::{RENEWED_KNOWN_SECS, Revocations};
pub(crate) use key::{Kept, adopt_key, body_as_it_stands, make_key, open_key, read_kept, recorded, refuse_taken};
pub(crate) use last::last_leaves;
pub(crate) use node::{Before, Divergence, Node};
pub(crate) use proof::{TileAt, leaf as proved_leaf, proved_hash, root_at, tile, tile_at};
pub(crate) use token_note::{Apart, TokenNote};
