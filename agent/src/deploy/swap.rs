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
//! two renames leaves a mixed pair until the next run, which finds the journal (`journal.rs`) and installs again. A file that is a
//! mount of its own (a container's, bound from its host) cannot be renamed over: it is rewritten where it is, under the same journal.
//!
//! Each folder is opened once, without following a link, and belongs to the agent, to root or to the owner whom the plan names;
//! everything in it is done by its descriptor. What is behind the switch is the agent's own.
//!
//! `install` may be run again after any crash or error, with the same set or an older one, and ends in that set.
//! Nothing here decides anything: what to install, and when to go back, is `keep/keeper.rs`.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::path::Path;

use super::files::{FileSet, Target};
use super::switch::{CURRENT, FOLDER_MODE, base, current, link_of, make_store, store};
use crate::disk::{Disk, Folder, Image, Op, Owner, parent};
use crate::error::AgentError;

/// Makes the configured paths show `set`; durable on return.
pub(crate) fn install(disk: &dyn Disk, set: &FileSet) -> Result<(), AgentError> {
    let folders = folders(set)?;
    let is_mount = |target: &Target| folders.of(&target.path).is_ok_and(|folder| folder.is_mount(base(&target.path)));
    match common_folder(set) {
        Some(path) if !set.targets.iter().any(is_mount) => linked(disk, folders.in_folder(path)?, set),
        Some(_) | None => scattered(disk, &folders, set),
    }
}

/// Whether the places of a certificate's files can be used, before anybody is asked for one.
pub(crate) fn ready<'a>(
    name: &str,
    owner: Option<u32>,
    paths: impl Iterator<Item = &'a Path>,
) -> Result<(), AgentError> {
    for path in paths {
        let above = parent(path);
        let failed = |e| AgentError::disk(above, "the folder cannot be used", e);
        store(&Folder::open(above, Owner::Named(owner)).map_err(failed)?, name).map_err(failed)?;
    }
    Ok(())
}

/// The folders of a set, each opened once.
struct Folders<'a>(BTreeMap<&'a Path, Folder>);

fn folders(set: &FileSet) -> Result<Folders<'_>, AgentError> {
    let mut open = BTreeMap::new();
    for Target { path, .. } in &set.targets {
        let path = parent(path);
        if !open.contains_key(path) {
            let folder = Folder::open(path, Owner::Named(set.owner));
            open.insert(path, folder.map_err(|e| AgentError::disk(path, "the folder cannot be used", e))?);
        }
    }
    Ok(Folders(open))
}

impl Folders<'_> {
    fn in_folder(&self, path: &Path) -> Result<&Folder, AgentError> {
        let missing = || AgentError::disk(path, "the folder cannot be used", ErrorKind::NotFound.into());
        self.0.get(path).ok_or_else(missing)
    }

    /// The folder that a path is in.
    fn of(&self, path: &Path) -> Result<&Folder, AgentError> {
        self.in_folder(parent(path))
    }
}

/// One folder: everything behind one switch.
fn linked(disk: &dyn Disk, folder: &Folder, set: &FileSet) -> Result<(), AgentError> {
    // 1. A place for versions, there before any link leads into it. Crash after: a folder without a version.
    let store = make_store(disk, folder, &set.name)?;
    let room = Room { disk, folder, store, name: &set.name };

    // 2. Files that are not behind the switch go there as they are. Crash after any step: each path shows the bytes
    //    it showed before, some through a link.
    if set.targets.iter().any(|target| room.foreign(&target.path)) {
        let found = FileSet::read(&set.name, set.owner, set.targets.iter().map(|t| t.path.as_path()))?;
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
fn scattered(disk: &dyn Disk, folders: &Folders<'_>, set: &FileSet) -> Result<(), AgentError> {
    let mut places = Vec::new();
    for target in &set.targets {
        let (folder, name) = (folders.of(&target.path)?, base(&target.path));
        places.push((folder, name, beside(name, "new"), folder.is_mount(name), &target.image));
    }
    // 1. Everything that can be slow or fail for want of space. Crash after: leftovers that the next run overwrites.
    for (folder, _, next, is_mount, image) in &places {
        if let (Some(image), false) = (image, is_mount) {
            disk.make(Op::Write(folder.spot(next), image))?;
        }
    }
    // 2. The renames, and what is rewritten in place. Crash between two: a mixed pair, and of a mount half a file; the journal
    //    stands, and the next run installs again.
    for (folder, name, next, is_mount, image) in &places {
        match (image, is_mount) {
            (Some(_), false) => disk.make(Op::Rename { folder, from: next, to: name })?,
            (Some(image), true) => disk.make(Op::Rewrite(folder.spot(name), image))?,
            (None, false) => disk.make(Op::Remove(folder.spot(name)))?,
            // A mount cannot be removed; nothing is in it then.
            (None, true) => disk.make(Op::Rewrite(folder.spot(name), &Image::new(Vec::new(), 0o600)))?,
        }
    }
    // 3. Crash before: the journal stands; the next run installs again.
    folders.0.values().try_for_each(|folder| disk.make(Op::SyncDir(folder)))
}

/// The folder whose paths share one switch.
struct Room<'a> {
    disk: &'a dyn Disk,
    folder: &'a Folder,
    store: Folder,
    name: &'a str,
}

impl Room<'_> {
    /// Whether something stands at `path` that is not our link.
    fn foreign(&self, path: &Path) -> bool {
        self.folder.look(base(path)).is_ok_and(|stands| stands.is_some()) && !self.ours(path)
    }

    fn ours(&self, path: &Path) -> bool {
        self.folder.link(base(path)).is_some_and(|target| target == link_of(self.name, base(path)))
    }

    /// Makes `current` show `set`, through one rename.
    fn switch_to(&self, set: &FileSet) -> Result<(), AgentError> {
        if self.shows(set) {
            return Ok(());
        }
        let version = OsString::from(self.next_version().to_string());
        let folder = {
            self.disk.make(Op::MakeDir(self.store.spot(&version), FOLDER_MODE))?;
            let opened = self.store.below(&version, Owner::Agent);
            opened.map_err(|e| AgentError::disk(&self.store.path().join(&version), "the folder cannot be used", e))?
        };
        for Target { path, image } in &set.targets {
            if let Some(image) = image {
                self.disk.make(Op::Write(folder.spot(base(path)), image))?;
            }
        }
        self.disk.make(Op::SyncDir(&folder))?;
        self.disk.make(Op::SyncDir(&self.store))?;
        let (next, current) = (OsStr::new("current.new"), OsStr::new(CURRENT));
        self.disk.make(Op::Link { at: self.store.spot(next), target: Path::new(&version) })?;
        self.disk.make(Op::Rename { folder: &self.store, from: next, to: current })?;
        self.disk.make(Op::SyncDir(&self.store))
    }

    /// Whether `current` shows exactly this set already: bytes, modes and owners.
    fn shows(&self, set: &FileSet) -> bool {
        let Ok(Some(current)) = current(&self.store) else { return false };
        set.targets.iter().all(|target| current.read(base(&target.path)).is_ok_and(|image| image == target.image))
    }

    fn link(&self, set: &FileSet) -> Result<(), AgentError> {
        for Target { path, image } in &set.targets {
            let name = base(path);
            match image {
                Some(_) if self.ours(path) => {}
                Some(_) => {
                    let next = beside(name, "link");
                    let target = link_of(self.name, name);
                    self.disk.make(Op::Link { at: self.folder.spot(&next), target: &target })?;
                    self.disk.make(Op::Rename { folder: self.folder, from: &next, to: name })?;
                }
                None => self.disk.make(Op::Remove(self.folder.spot(name)))?,
            }
        }
        self.disk.make(Op::SyncDir(self.folder))
    }

    /// Removes every version but the current one. A version that stays is no harm that should undo an install.
    fn sweep(&self) {
        let current = self.store.link(OsStr::new(CURRENT)).unwrap_or_default();
        for version in self.versions() {
            let name = OsString::from(version.to_string());
            if current.as_os_str() != name {
                let at = self.store.spot(&name);
                if let Err(e) = self.disk.make(Op::RemoveDir(at)) {
                    tracing::warn!(folder = %at.path().display(), error = %e, "an old version stays on disk");
                }
            }
        }
    }

    fn next_version(&self) -> u64 {
        self.versions().max().unwrap_or(0).saturating_add(1)
    }

    fn versions(&self) -> impl Iterator<Item = u64> {
        let names = self.store.names().unwrap_or_default();
        names.into_iter().filter_map(|name| name.to_str()?.parse().ok())
    }
}

/// The one folder of all paths, if there is one.
fn common_folder(set: &FileSet) -> Option<&Path> {
    let folder = parent(&set.targets.first()?.path);
    set.targets.iter().all(|target| parent(&target.path) == folder).then_some(folder)
}

/// A hidden name beside `name`, in the same folder and so on the same file system.
fn beside(name: &OsStr, what: &str) -> OsString {
    let mut hidden = OsString::from(".");
    hidden.push(name);
    hidden.push(format!(".chancery-{what}"));
    hidden
}

#[cfg(test)]
mod tests;
