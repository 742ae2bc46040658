//! What the agent keeps in its state folder about one certificate, one small file each, each replaced by one rename:
//!
//! * `journal.json` stands while files are being changed. It holds the old set and the new one in full, so that a run
//!   after a crash needs nothing else to go forward or back. It is the first thing a pass looks at.
//! * `candidate.json` is a certificate that was fetched and verified but is not in service yet. A broken reload command
//!   then costs the CA one certificate, not one per attempt (public ACME servers allow five a week).
//! * `status.json` is for people and monitoring (`status.rs`).
//!
//! The first two hold private keys: mode 0600 in a folder of mode 0700.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use policy::{Secret, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::disk::{Disk, Op, parent};
use crate::error::AgentError;
use crate::files::{FileSet, Image};
use crate::material::Bundle;

/// A change of files under way.
#[derive(Serialize, Deserialize)]
pub(crate) struct Journal {
    pub direction: Direction,
    pub old: FileSet,
    pub new: FileSet,
}

/// Which set is being installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Direction {
    /// The new one: install, reload, check.
    Forward,
    /// The old one, and why.
    Back(String),
}

/// A certificate fetched and verified, not yet in service.
#[derive(Serialize, Deserialize)]
pub(crate) struct Candidate {
    pub fetched: Timestamp,
    pub bundle: Bundle,
}

/// One certificate's folder in the state folder.
pub(crate) struct Desk<'a> {
    disk: &'a dyn Disk,
    folder: PathBuf,
}

impl<'a> Desk<'a> {
    /// The folder of the certificate called `name`, made if need be.
    pub fn open(disk: &'a dyn Disk, state_dir: &Path, name: &str) -> Result<Self, AgentError> {
        let desk = Self { disk, folder: state_dir.join(name) };
        desk.disk.make_dir(&desk.folder, 0o700)?;
        Ok(desk)
    }

    pub fn journal(&self) -> Result<Option<Journal>, AgentError> {
        read(&self.folder.join(JOURNAL))
    }

    pub fn write_journal(&self, journal: &Journal) -> Result<(), AgentError> {
        self.write(JOURNAL, journal)
    }

    pub fn close_journal(&self) -> Result<(), AgentError> {
        self.remove(JOURNAL)
    }

    pub fn candidate(&self) -> Result<Option<Candidate>, AgentError> {
        read(&self.folder.join(CANDIDATE))
    }

    pub fn write_candidate(&self, candidate: &Candidate) -> Result<(), AgentError> {
        self.write(CANDIDATE, candidate)
    }

    pub fn drop_candidate(&self) -> Result<(), AgentError> {
        self.remove(CANDIDATE)
    }

    pub fn write_status(&self, status: &impl Serialize) -> Result<(), AgentError> {
        self.write(STATUS, status)
    }

    fn write(&self, name: &str, value: &impl Serialize) -> Result<(), AgentError> {
        write_json(self.disk, &self.folder.join(name), value)
    }

    fn remove(&self, name: &str) -> Result<(), AgentError> {
        self.disk.make(Op::Remove(&self.folder.join(name)))?;
        self.disk.make(Op::SyncDir(&self.folder))
    }
}

/// Where the status of the certificate called `name` stands.
pub(crate) fn status_path(state_dir: &Path, name: &str) -> PathBuf {
    state_dir.join(name).join(STATUS)
}

/// Writes a small file of mode 0600 whole: beside its place, flushed, renamed, and the name flushed.
pub(crate) fn write_json(disk: &dyn Disk, path: &Path, value: &impl Serialize) -> Result<(), AgentError> {
    let text = serde_json::to_vec_pretty(value)
        .map_err(|e| AgentError::Content { path: path.to_owned(), why: e.to_string() })?;
    let next = path.with_extension("new");
    disk.make(Op::Write(&next, &Image::new(text, 0o600)))?;
    disk.make(Op::Rename { from: &next, to: path })?;
    disk.make(Op::SyncDir(parent(path)))
}

/// Reads such a file; `None` where there is none.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, AgentError> {
    let text = match fs::read(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        read => Secret::new(read.map_err(|e| AgentError::disk(path, "the file cannot be read", e))?),
    };
    // Only the place: serde_json's own message may quote what it found, and that may be a key.
    let parsed = serde_json::from_slice(text.expose()).map_err(|e| AgentError::Content {
        path: path.to_owned(),
        why: format!("not readable ({:?} at line {}); move it away to go on without it", e.classify(), e.line()),
    })?;
    Ok(Some(parsed))
}

const JOURNAL: &str = "journal.json";
const CANDIDATE: &str = "candidate.json";
const STATUS: &str = "status.json";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{WatchedDisk, at, bundle, folder};

    #[test]
    fn a_power_loss_takes_no_folder_with_a_journal_in_it() {
        let (state_dir, disk) = (folder(), WatchedDisk::default());
        let desk = Desk::open(&disk, state_dir.path(), "web").unwrap();
        disk.assert_durable();
        desk.write_candidate(&Candidate { fetched: at(0), bundle: bundle("www.example.internal") }).unwrap();
        assert!(desk.candidate().unwrap().is_some());
    }
}
