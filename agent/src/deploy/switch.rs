//! The switch behind which the files of a certificate stand: its names, and what it shows.

use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::disk::{Disk, Folder, Image, Op, Owner, parent};
use crate::error::AgentError;

/// What stands at `path` for the certificate `name`: a file, or what the agent's own link shows. Any other link is refused.
pub(super) fn look(name: &str, path: &Path) -> io::Result<Option<Image>> {
    let folder = match Folder::open(parent(path), Owner::Any) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let base = base(path);
    if folder.link(base).is_none_or(|target| target != link_of(name, base)) {
        return folder.read(base);
    }
    let Some(store) = store(&folder, name)? else { return Ok(None) };
    current(&store)?.map_or(Ok(None), |current| current.read(base))
}

/// The folder of a certificate's versions, where there is one. Its name is chosen by whoever owns the folder above, who can give it
/// to any folder that stands there, root's too: so one with something in it has the agent's mark, or is not believed.
pub(super) fn store(folder: &Folder, name: &str) -> io::Result<Option<Folder>> {
    let store = match folder.below(&store_name(name), Owner::Agent) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    match is_marked(&store, name)? || is_unused(&store)? {
        true => Ok(Some(store)),
        false => Err(foreign(&store, name)),
    }
}

/// The same, made if need be. The mark comes before anything else is in it. Crash before: an empty folder, or one with half a mark.
pub(super) fn make_store(disk: &dyn Disk, folder: &Folder, name: &str) -> Result<Folder, AgentError> {
    let store = disk.make_dir(folder, &store_name(name), FOLDER_MODE, Owner::Agent)?;
    let failed = |e| AgentError::disk(store.path(), "the folder cannot be used", e);
    if !is_marked(&store, name).map_err(failed)? {
        if !is_unused(&store).map_err(failed)? {
            return Err(failed(foreign(&store, name)));
        }
        disk.make(Op::Write(store.spot(OsStr::new(MARK)), &Image::new(name.as_bytes().to_vec(), 0o644)))?;
        disk.make(Op::SyncDir(&store))?;
    }
    Ok(store)
}

/// Whether the agent made it for this certificate: only the agent writes in a folder of its own.
fn is_marked(store: &Folder, name: &str) -> io::Result<bool> {
    let stat = store.stat()?;
    let closed = stat.st_mode & 0o022 == 0;
    let mark = store.read(OsStr::new(MARK))?;
    Ok(closed && mark.is_some_and(|mark| mark.content() == name.as_bytes() && mark.uid == Some(stat.st_uid)))
}

fn is_unused(store: &Folder) -> io::Result<bool> {
    Ok(store.names()?.iter().all(|one| one.as_bytes() == MARK.as_bytes()))
}

fn foreign(store: &Folder, name: &str) -> io::Error {
    let path = store.path().display();
    io::Error::other(format!(
        "{path} is no folder that the agent made for {name}: whoever put it there has to move it away"
    ))
}

/// The version that the switch shows; none before the first.
pub(super) fn current(store: &Folder) -> io::Result<Option<Folder>> {
    let Some(target) = store.link(OsStr::new(CURRENT)) else { return Ok(None) };
    // A number, and so a name of one part: it leads nowhere else.
    if target.to_str().is_none_or(|text| text.parse::<u64>().is_err()) {
        return Ok(None);
    }
    match store.below(target.as_os_str(), Owner::Agent) {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        opened => opened.map(Some),
    }
}

/// Relative, so that the folder may be mounted elsewhere.
pub(super) fn link_of(name: &str, base: &OsStr) -> PathBuf {
    Path::new(&store_name(name)).join(CURRENT).join(base)
}

pub(super) fn store_name(name: &str) -> OsString {
    format!(".chancery-{name}").into()
}

/// The plan refuses paths that name no file.
pub(super) fn base(path: &Path) -> &OsStr {
    path.file_name().unwrap_or(path.as_os_str())
}

/// The switch.
pub(super) const CURRENT: &str = "current";
/// Says whose store it is.
const MARK: &str = "certificate";
/// Others must get through to the certificate; the key's own mode guards the key.
pub(super) const FOLDER_MODE: u32 = 0o755;
