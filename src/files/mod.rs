//! Files of people: read once and within a bound, written whole or not at all, and never over something else.
//!
//! The one place where a command opens a file to write. `Outputs` looks at every place before anything is asked of the
//! server, so that nothing is made that nobody could keep; a `Place` is then filled, or given up without a trace. A link is
//! not followed, what is no regular file is written into and stays what it is, and what stands at a place goes away only
//! where it is known to be what the new one replaces, or by `--force`. A private key never goes away, but for a leased one that is over.

mod folder;
mod input;
mod names;
mod outputs;
mod place;
#[cfg(test)]
mod tests;

pub use folder::{Folder, empty_folder, folder, private_folder};
pub use input::{Input, deciding, deciding_folder, read, secret, text};
pub use names::{note, shown};
pub use outputs::{Outputs, Standing, is_stream};
pub use place::{PUBLIC, Place, SECRET};

use std::path::Path;

use crate::failure::Failure;

/// Writes a file of our own, such as the configuration: what stands there is replaced.
pub fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Failure> {
    Outputs::new(false).place(path, mode, Standing::Ours)?.fill(bytes)
}
