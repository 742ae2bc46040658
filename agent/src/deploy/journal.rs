//! What the agent keeps in its state folder about one certificate, one small file each, each replaced by one rename:
//!
//! * `journal.json` stands while files are being changed. It holds the old set and the new one in full, so that a run
//!   after a crash needs nothing else to go forward or back. It is the first thing a pass looks at.
//! * `candidate.json` is a certificate that was fetched and verified but is not in service yet. A broken reload command
//!   then costs the CA one certificate, not one per attempt (public ACME servers allow five a week).
//! * `kept.json` says with what the certificate in service was asked for, so that a plan that changed since is noticed.
//! * `status.json` is for people and monitoring (`look/status.rs`).
//!
//! The first two hold private keys: mode 0600 in a folder of mode 0700. While a server is asked, `.room` holds the room that they
//! will need: a certificate that could not be written down would be nobody's.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use policy::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::files::FileSet;
use crate::credential::Bundle;
use crate::disk::{Disk, Folder, Image, Op, Owner, read_json, write_json};
use crate::error::AgentError;
use crate::plan::Wish;

/// A change of files under way.
#[derive(Serialize, Deserialize)]
pub(crate) struct Journal {
    pub direction: Direction,
    pub old: FileSet,
    pub new: FileSet,
    /// What the new one was asked for with.
    pub wish: Wish,
}

/// What the certificate in service was asked for with.
#[derive(Serialize, Deserialize)]
pub(crate) struct Kept {
    /// SHA-256 of the certificate, hex.
    pub fingerprint: String,
    pub wish: Wish,
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
    pub wish: Wish,
    pub bundle: Bundle,
}

/// One certificate's folder in the state folder.
pub(crate) struct Desk<'a> {
    disk: &'a dyn Disk,
    folder: Folder,
}

impl<'a> Desk<'a> {
    /// The folder of the certificate called `name`, made if need be.
    pub fn open(disk: &'a dyn Disk, state_dir: &Path, name: &str) -> Result<Self, AgentError> {
        let failed = |e| AgentError::disk(state_dir, "the state folder cannot be used", e);
        let state = Folder::open(state_dir, Owner::Agent).map_err(failed)?;
        Ok(Self { disk, folder: disk.make_dir(&state, OsStr::new(name), 0o700, Owner::Agent)? })
    }

    pub fn journal(&self) -> Result<Option<Journal>, AgentError> {
        self.read(JOURNAL)
    }

    pub fn write_journal(&self, journal: &Journal) -> Result<(), AgentError> {
        self.write(JOURNAL, journal)
    }

    pub fn close_journal(&self) -> Result<(), AgentError> {
        self.remove(JOURNAL)
    }

    pub fn candidate(&self) -> Result<Option<Candidate>, AgentError> {
        self.read(CANDIDATE)
    }

    pub fn write_candidate(&self, candidate: &Candidate) -> Result<(), AgentError> {
        self.write(CANDIDATE, candidate)
    }

    pub fn drop_candidate(&self) -> Result<(), AgentError> {
        self.remove(CANDIDATE)
    }

    /// Makes sure of the room that a candidate and its journal need, and keeps it.
    pub fn take_room(&self) -> Result<(), AgentError> {
        let room = Image::new(vec![0; ROOM_BYTES], 0o600);
        self.disk.make(Op::Write(self.folder.spot(OsStr::new(ROOM)), &room))
    }

    /// Gives it up, for them.
    pub fn give_room(&self) -> Result<(), AgentError> {
        self.disk.make(Op::Remove(self.folder.spot(OsStr::new(ROOM))))
    }

    pub fn kept(&self) -> Result<Option<Kept>, AgentError> {
        self.read(KEPT)
    }

    pub fn write_kept(&self, kept: &Kept) -> Result<(), AgentError> {
        self.write(KEPT, kept)
    }

    pub fn write_status(&self, status: &impl Serialize) -> Result<(), AgentError> {
        self.write(STATUS, status)
    }

    pub(super) fn write(&self, name: &str, value: &impl Serialize) -> Result<(), AgentError> {
        write_json(self.disk, &self.folder, name, value)
    }

    /// One of its files, by name.
    pub(super) fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, AgentError> {
        read_json(&self.folder.path().join(name))
    }

    fn remove(&self, name: &str) -> Result<(), AgentError> {
        self.disk.make(Op::Remove(self.folder.spot(OsStr::new(name))))?;
        self.disk.make(Op::SyncDir(&self.folder))
    }
}

/// Where the status of the certificate called `name` stands.
pub(crate) fn status_path(state_dir: &Path, name: &str) -> PathBuf {
    state_dir.join(name).join(STATUS)
}

const JOURNAL: &str = "journal.json";
const CANDIDATE: &str = "candidate.json";
const KEPT: &str = "kept.json";
const STATUS: &str = "status.json";
const ROOM: &str = ".room";
/// More than old and new files, their chains and keys have.
const ROOM_BYTES: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{WatchedDisk, at, bundle, folder};

    #[test]
    fn a_power_loss_takes_no_folder_with_a_journal_in_it() {
        let (state_dir, disk) = (folder(), WatchedDisk::default());
        let desk = Desk::open(&disk, state_dir.path(), "web").unwrap();
        disk.assert_durable();
        let wish: Wish = serde_json::from_value(serde_json::json!({"names": [], "key": "p256", "from": "x"})).unwrap();
        desk.write_candidate(&Candidate { fetched: at(0), wish, bundle: bundle("www.example.internal") }).unwrap();
        assert!(desk.candidate().unwrap().is_some());
    }
}
