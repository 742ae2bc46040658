//! One file of secrets in its place: written whole beside it, and then by one rename. Never follows a link, and never writes on a disk
//! unless the plan says so.
//!
//! Trusted for: the file is the agent's or its owner's before anything is in it, whoever opens it sees all of one moment, and nothing else in
//! its folder is touched. Whoever owns that folder can at most make the agent fail in it, or take the file away.

use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::path::PathBuf;

use crate::disk::{Disk, Folder, Image, Op, Owner, parent};
use crate::error::AgentError;
use crate::plan::FilePlace;

/// The open folder of one file.
pub(crate) struct Placing<'a> {
    disk: &'a dyn Disk,
    folder: Folder,
    name: &'a OsStr,
    /// The file's hidden neighbour, which takes its place.
    next: OsString,
}

impl<'a> Placing<'a> {
    /// Opens the folder, which is made where it alone is missing, and takes away what a run before left beside the file.
    ///
    /// # Errors
    /// It is somebody else's, leads over a link, or lies on a disk and the plan does not say that it may.
    pub fn open(disk: &'a dyn Disk, file: &'a FilePlace) -> Result<Self, AgentError> {
        let path = parent(&file.path);
        let owner = Owner::Named(file.uid);
        let failed = |e| AgentError::disk(path, "the folder cannot be used", e);
        let folder = match Folder::open(path, owner) {
            Err(e) if e.kind() == ErrorKind::NotFound => {
                let above = Folder::open(parent(path), owner).map_err(failed)?;
                disk.make_dir(&above, path.file_name().unwrap_or_default(), FOLDER_MODE, owner)?
            }
            opened => opened.map_err(failed)?,
        };
        if !file.on_disk && !delivery::is_in_memory(&folder) {
            let why = "it lies on a disk, where values outlive the host's start: name a folder on a tmpfs (/run), or write \
                       on_disk = true into file";
            return Err(AgentError::Content { path: path.to_owned(), why: why.to_owned() });
        }
        // The plan refuses paths that name no file.
        let name = file.path.file_name().unwrap_or_default();
        if folder.is_mount(name) {
            let why = "it is a mount of its own, which cannot be replaced at once: mount its folder instead";
            return Err(AgentError::Content { path: file.path.clone(), why: why.to_owned() });
        }
        let mut next = OsString::from(".");
        next.push(name);
        next.push(".chancery-new");
        let placing = Self { disk, folder, name, next };
        placing.discard()?;
        Ok(placing)
    }

    /// What stands there now. A link, or what is no regular file, is refused.
    pub fn standing(&self) -> Result<Option<Image>, AgentError> {
        let path = self.folder.path().join(self.name);
        self.folder.read(self.name).map_err(|e| AgentError::disk(&path, "the file cannot be read", e))
    }

    /// What can be seen of it without reading it: another one is seen when somebody else wrote to it.
    pub fn seen(&self) -> Option<Seen> {
        let stat = self.folder.look(self.name).ok().flatten()?;
        let changed = (stat.st_ctime, stat.st_ctime_nsec);
        Some(Seen { of: (stat.st_dev, stat.st_ino), size: stat.st_size, changed })
    }

    /// The new file, whole, beside the old one.
    pub fn write(&self, image: &Image) -> Result<PathBuf, AgentError> {
        self.disk.make(Op::Write(self.folder.spot(&self.next), image))?;
        Ok(self.folder.path().join(&self.next))
    }

    /// Takes the place of the old one.
    pub fn place(&self) -> Result<(), AgentError> {
        self.disk.make(Op::Rename { folder: &self.folder, from: &self.next, to: self.name })?;
        self.disk.make(Op::SyncDir(&self.folder))
    }

    /// Takes the new file away.
    pub fn discard(&self) -> Result<(), AgentError> {
        self.disk.make(Op::Remove(self.folder.spot(&self.next)))
    }

    /// Takes the file away: its values are not to be used any more.
    pub fn remove(&self) -> Result<(), AgentError> {
        self.disk.make(Op::Remove(self.folder.spot(self.name)))?;
        self.disk.make(Op::SyncDir(&self.folder))
    }
}

/// What can be seen of a file without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    of: (u64, u64),
    size: i64,
    /// Whoever writes to it, or gives it another mode, moves this (ctime), and cannot set it.
    changed: (i64, u64),
}

/// The service gets through to its file, and lists nothing; the file's own mode guards it.
const FOLDER_MODE: u32 = 0o711;
