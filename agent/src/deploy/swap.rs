//! All files of a certificate replaced as a unit.
//!
//! No file system renames two files at once, and a key beside another key's certificate stops a service at its next
//! start. So where all configured paths lie in one folder, they become links through one switch:
//!
//! ```text
//! web.key -> .chancery-web/current/web.key      .chancery-web/current -> 7      .chancery-web/7/web.key
//! web.pem -> .chancery-web/current/web.pem                                      .chancery-web/7/web.pem
//! ```
//!
//! Renaming `current` replaces every file in the same instant: at no step, and after no crash, does the folder show
//! a key and a certificate that do not match. Files that stood there before are moved behind the switch first,
//! unchanged, one link at a time.
//!
//! Paths in several folders cannot share a switch (a link into a folder that others may not enter would take the
//! file from them). Their files are written beside their places, flushed, and renamed back to back; a crash between
//! two renames leaves a mixed pair until the next run, which finds the journal (`journal.rs`) and installs again.
//!
//! `install` may be run again after any crash or error, with the same set or an older one, and ends in that set.
//! Nothing here decides anything: what to install, and when to go back, is `keep/keeper.rs`.

use std::fs;
use std::path::{Path, PathBuf};

use super::files::{FileSet, Target};
use crate::disk::{Disk, Image, Op, parent};
use crate::error::AgentError;

/// Makes the configured paths show `set`; durable on return.
pub(crate) fn install(disk: &dyn Disk, set: &FileSet) -> Result<(), AgentError> {
    match common_folder(set) {
        Some(folder) => linked(disk, folder, set),
        None => scattered(disk, set),
    }
}

/// One folder: everything behind one switch.
fn linked(disk: &dyn Disk, folder: &Path, set: &FileSet) -> Result<(), AgentError> {
    let room = Room { disk, folder, store: folder.join(store_name(set)) };
    // 1. A place for versions, there before any link leads into it. Crash after: an empty folder.
    disk.make_dir(&room.store, FOLDER_MODE)?;

    // 2. Files that are not behind the switch go there as they are. Crash after any step: each path shows the bytes
    //    it showed before, some through a link.
    if set.targets.iter().any(|target| room.foreign(&target.path)) {
        let found = FileSet::read(&set.name, set.targets.iter().map(|t| t.path.as_path()))?;
        room.switch_to(&found)?;
        room.link(&found)?;
    }

    // 3. The switch. Crash before its one rename: all old; after: all new.
    room.switch_to(set)?;

    // 4. Paths that had no file before get their link, and lose it where the set has no file. Crash after any step:
    //    a new path is missing; no pair is mixed, as all links go through the one switch.
    room.link(set)?;

    // 5. Older versions hold older keys. Crash after any step: a folder too many, until the next install.
    room.sweep();
    Ok(())
}

/// Several folders: every file beside its place first, then the renames back to back.
fn scattered(disk: &dyn Disk, set: &FileSet) -> Result<(), AgentError> {
    // 1. Everything that can be slow or fail for want of space. Crash after: leftovers that the next run overwrites.
    for target in &set.targets {
        if let Some(image) = &target.image {
            disk.make(Op::Write(&beside(&target.path, "new"), image))?;
        }
    }
    // 2. The renames. Crash between two: a mixed pair; the journal stands, and the next run installs again.
    for target in &set.targets {
        match target.image {
            Some(_) => disk.make(Op::Rename { from: &beside(&target.path, "new"), to: &target.path })?,
            None => disk.make(Op::Remove(&target.path))?,
        }
    }
    // 3. Crash before: the journal stands; the next run installs again.
    for target in &set.targets {
        disk.make(Op::SyncDir(parent(&target.path)))?;
    }
    Ok(())
}

/// The folder whose paths share one switch.
struct Room<'a> {
    disk: &'a dyn Disk,
    folder: &'a Path,
    store: PathBuf,
}

impl Room<'_> {
    /// Whether something stands at `path` that is not our link.
    fn foreign(&self, path: &Path) -> bool {
        fs::symlink_metadata(path).is_ok() && !self.ours(path)
    }

    fn ours(&self, path: &Path) -> bool {
        fs::read_link(path).is_ok_and(|target| target == self.link_of(path))
    }

    /// Relative, so that the folder may be mounted elsewhere.
    fn link_of(&self, path: &Path) -> PathBuf {
        let store = self.store.file_name().unwrap_or_default();
        Path::new(store).join(CURRENT).join(base(path))
    }

    /// Makes `current` show `set`, through one rename.
    fn switch_to(&self, set: &FileSet) -> Result<(), AgentError> {
        if self.shows(set) {
            return Ok(());
        }
        let version = self.next_version();
        let folder = self.store.join(version.to_string());
        self.disk.make(Op::MakeDir(&folder, FOLDER_MODE))?;
        for Target { path, image } in &set.targets {
            if let Some(image) = image {
                self.disk.make(Op::Write(&folder.join(base(path)), image))?;
            }
        }
        self.disk.make(Op::SyncDir(&folder))?;
        self.disk.make(Op::SyncDir(&self.store))?;
        let next = self.store.join("current.new");
        self.disk.make(Op::Link { at: &next, target: Path::new(&version.to_string()) })?;
        self.disk.make(Op::Rename { from: &next, to: &self.store.join(CURRENT) })?;
        self.disk.make(Op::SyncDir(&self.store))
    }

    /// Whether `current` shows exactly this set already: bytes, modes and owners.
    fn shows(&self, set: &FileSet) -> bool {
        let current = self.store.join(CURRENT);
        current.exists()
            && set
                .targets
                .iter()
                .all(|target| Image::read(&current.join(base(&target.path))).is_ok_and(|image| image == target.image))
    }

    fn link(&self, set: &FileSet) -> Result<(), AgentError> {
        for Target { path, image } in &set.targets {
            match image {
                Some(_) if self.ours(path) => {}
                Some(_) => {
                    let next = beside(path, "link");
                    self.disk.make(Op::Link { at: &next, target: &self.link_of(path) })?;
                    self.disk.make(Op::Rename { from: &next, to: path })?;
                }
                None => self.disk.make(Op::Remove(path))?,
            }
        }
        self.disk.make(Op::SyncDir(self.folder))
    }

    /// Removes every version but the current one. A version that stays is no harm that should undo an install.
    fn sweep(&self) {
        let current = fs::read_link(self.store.join(CURRENT)).unwrap_or_default();
        for version in self.versions() {
            if current != Path::new(&version.to_string()) {
                let folder = self.store.join(version.to_string());
                if let Err(e) = self.disk.make(Op::RemoveTree(&folder)) {
                    tracing::warn!(folder = %folder.display(), error = %e, "an old version stays on disk");
                }
            }
        }
    }

    fn next_version(&self) -> u64 {
        self.versions().max().unwrap_or(0).saturating_add(1)
    }

    fn versions(&self) -> impl Iterator<Item = u64> {
        fs::read_dir(&self.store)
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
    }
}

/// The one folder of all paths, if there is one.
fn common_folder(set: &FileSet) -> Option<&Path> {
    let folder = parent(&set.targets.first()?.path);
    set.targets.iter().all(|target| parent(&target.path) == folder).then_some(folder)
}

fn store_name(set: &FileSet) -> String {
    format!(".chancery-{}", set.name)
}

/// The plan refuses paths that name no file.
fn base(path: &Path) -> &Path {
    path.file_name().map_or(path, Path::new)
}

/// A hidden name beside `path`, in the same folder and so on the same file system.
fn beside(path: &Path, what: &str) -> PathBuf {
    parent(path).join(format!(".{}.chancery-{what}", base(path).display()))
}

/// The switch.
const CURRENT: &str = "current";
/// Others must get through to the certificate; the key's own mode guards the key.
const FOLDER_MODE: u32 = 0o755;

#[cfg(test)]
mod tests;
