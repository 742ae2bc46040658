//! What was fetched, kept sealed on this host for as long as the server said, for when it is away.
//!
//! The values lie in one file of the cache's folder, which may be a disk's. Its key is drawn anew each time that it is written, and lies in
//! memory alone; what opens the file is made of that key and of the caller's own credential. So a stolen disk opens nothing, nor does another
//! caller of this user; a file of before, put back, has no key any more; and what was kept ends with the host's next start
//! (docs/decisions/020-cache.md).
//!
//! Trusted for: that nothing is given out after its end, whatever the host's clock is set to. Whoever runs as the same user, or as root, while
//! the host runs, can read what the caller can.

mod moment;

mod error;

mod seal;
mod shelf;

mod folder;
mod journal;

mod keeper;

pub use error::CacheError;
pub use journal::KeptRead;
pub use keeper::{Cache, Fresh, Taken, identity};
pub use moment::Moment;
pub use shelf::{ENTRIES_MAX, VALUES_BYTES_MAX};
