//! Backups: the register as one file that only named recipients can read, where it lies, for how long, and back.
//!
//! `store` writes the register as a stream and reads it back; here it is encrypted (age, X25519), written to a folder, a pipe or an
//! S3-compatible store so that nothing half-written ever has its name, kept for as long as is said, and written down in the log.
//!
//! Trusted for: that a backup is whole when it has its name, and that nobody but its recipients reads it. Whoever holds a recipient's
//! public half can make a file that looks like one; what is in it, the log's head and the token's seal tell (docs/BACKUP.md).
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod beside;
mod diary;
mod error;
mod name;
mod seal;
mod target;
mod work;

pub use beside::Beside;
pub use diary::{Diary, Drilled, LAST_DRILL, Last, RUN_SECS_MAX};
pub use error::BackupError;
pub use name::{Name, Pruned, Stay, pruned};
pub use seal::{Identities, RECIPIENTS_MAX, Recipients};
pub use target::{Access, Found, Source, Target};
pub use work::{Job, Made, Plan, make, prune, read};
