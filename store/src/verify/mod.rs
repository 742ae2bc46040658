//! The auditor: re-derives the whole log and everything it says of the register, from bytes alone.
//!
//! It believes nothing it reads: leaves derive the tree, the tree derives the tiles, the head and every checkpoint's root;
//! each leaf judges its row; each row's signature is checked under the key it names; what the leaves mean is replayed. What it cannot know by itself is
//! whether the register's owner keeps two of them: that takes a checkpoint saved elsewhere ([`Pins`]).

mod auditor;
mod batches;
mod beside;
mod checkpoints;
mod database;
mod evidence;
mod folder;
mod hashes;
mod kept;
mod patrol;
mod projections;
mod replay;
mod report;
mod rows;
mod signatures;
mod trace;
mod walk;

pub use auditor::{Source, verify, verify_pinned};
pub use kept::Kept;
pub use patrol::AuditState;
pub(crate) use patrol::{NEW_TILES, Patrol, look};
pub use report::{Finding, Identity, Pins, Progress, Report};
pub use trace::trace;
