//! The auditor, called.

use std::path::PathBuf;

use super::evidence::Evidence;
use super::report::{Pins, Progress, Report};
use super::walk::Walk;
use super::{database, folder};
use crate::nouns::database::Database;
use crate::nouns::error::StoreError;

/// What is verified.
#[derive(Clone, Debug)]
pub enum Source {
    /// A register in place.
    Database(Database),
    /// An exported folder; needs no database.
    Folder(PathBuf),
}

impl From<Database> for Source {
    fn from(database: Database) -> Source {
        Source::Database(database)
    }
}

/// Verifies a register, against a checkpoint saved earlier where given. Blocks: call it off the async threads.
pub fn verify(
    source: impl Into<Source>,
    saved_checkpoint: Option<&str>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Report, StoreError> {
    let pins = Pins { checkpoint: saved_checkpoint.map(str::to_owned), verifier_key: None, kept: Vec::new() };
    verify_pinned(source, &pins, progress)
}

/// Verifies a register against everything the auditor brings. Blocks: call it off the async threads.
pub fn verify_pinned(
    source: impl Into<Source>,
    pins: &Pins,
    progress: &mut dyn FnMut(Progress),
) -> Result<Report, StoreError> {
    let mut evidence: Box<dyn Evidence> = match source.into() {
        Source::Database(database) => Box::new(database::Tables::open(&database)?),
        Source::Folder(dir) => Box::new(folder::Folder::open(&dir)?),
    };
    // Counted by who walks, and not by who asks for one thing.
    evidence.look_again()?;
    Walk::new(evidence.as_mut(), pins)?.run(progress)
}
