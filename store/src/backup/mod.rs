//! The register as one stream of lines, whichever engine it lies in, and back into an empty database of either.
//!
//! The first line says whose log it is and how long (`manifest`), then come the files that a restore needs beside the register, then
//! every row of every table (`parts`), projections too, so that what is restored is what was there; the last line counts them and has
//! the SHA-256 of all before it. Whoever has no more than `head -1` and a JSON reader can tell what a backup is.
//!
//! Trusted for: nothing. A stream proves by its last line that it is whole, and not whose it is: that is the log's matter, whose head a
//! restored register is held against, and whose key proves its files (`contents`).

mod awaited;
mod contents;
mod copy;
mod held;
mod history;
mod manifest;
mod parts;
mod restore;
mod settings;
mod walk;

pub use awaited::settings_unsigned;
pub use contents::{Contents, Unproved};
pub use copy::back_up;
pub use held::HeldLog;
pub use manifest::{About, BackedUp, COMPANION_BYTES_MAX, COMPANIONS_MAX, Companion, LINE_BYTES_MAX, Manifest};
pub use restore::{Place, look_through, restore, restore_looking};
