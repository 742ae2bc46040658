//! Every change the agent makes on disk, as a value.
//!
//! Nothing else in this crate writes. One door means that a test can refuse, tear or survive each step by itself
//! (`deploy/swap/tests.rs`), and that a reader sees in one place how a file comes into being: created closed (0600),
//! given its owner, then its mode, then flushed, and only then named.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, fchown, symlink};
use std::path::Path;

use super::image::Image;
use crate::error::AgentError;

/// One change.
pub(crate) enum Op<'a> {
    /// Make a folder with this mode; fine if it is there. See `make_dir` for one that lasts.
    MakeDir(&'a Path, u32),
    /// Make a new file with this content, owner and mode, and flush it. What stood there before is removed first.
    Write(&'a Path, &'a Image),
    /// Make a symbolic link; fine if something stands there: it is removed first.
    Link { at: &'a Path, target: &'a Path },
    /// Give a file another name, replacing what has it (atomic, POSIX rename).
    Rename { from: &'a Path, to: &'a Path },
    /// Remove a file or link; fine if it is gone.
    Remove(&'a Path),
    /// Remove a folder with all in it; fine if it is gone.
    RemoveTree(&'a Path),
    /// Flush a folder: the names in it are durable on return.
    SyncDir(&'a Path),
}

impl Op<'_> {
    /// The file meant, for errors.
    fn path(&self) -> &Path {
        match self {
            Self::MakeDir(path, _)
            | Self::Write(path, _)
            | Self::Remove(path)
            | Self::RemoveTree(path)
            | Self::SyncDir(path) => path,
            Self::Link { at, .. } => at,
            Self::Rename { to, .. } => to,
        }
    }

    /// What is tried, for errors.
    fn what(&self) -> &'static str {
        match self {
            Self::MakeDir(..) => "the folder cannot be made",
            Self::Write(..) => "the file cannot be written",
            Self::Link { .. } => "the link cannot be made",
            Self::Rename { .. } => "the file cannot be put in place",
            Self::Remove(_) | Self::RemoveTree(_) => "cannot be removed",
            Self::SyncDir(_) => "the folder cannot be flushed",
        }
    }
}

/// What carries out changes.
pub(crate) trait Disk: Send + Sync {
    /// Carries out one change; durable on return where the change says so.
    fn apply(&self, op: &Op<'_>) -> io::Result<()>;
}

impl dyn Disk + '_ {
    /// Carries out one change, and says where one failed.
    pub fn make(&self, op: Op<'_>) -> Result<(), AgentError> {
        self.apply(&op).map_err(|e| AgentError::disk(op.path(), op.what(), e))
    }

    /// Makes a folder whose name is durable on return: what is flushed in it is worth nothing if a power loss takes the
    /// folder. Flushed also where it was there: the run that made it may have ended before.
    pub fn make_dir(&self, path: &Path, mode: u32) -> Result<(), AgentError> {
        self.make(Op::MakeDir(path, mode))?;
        self.make(Op::SyncDir(parent(path)))
    }
}

/// The folder that `path` is in.
pub(crate) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    }
}

/// The disk of this host.
pub(crate) struct RealDisk;

impl Disk for RealDisk {
    fn apply(&self, op: &Op<'_>) -> io::Result<()> {
        match op {
            Op::MakeDir(path, mode) => make_dir(path, *mode),
            Op::Write(path, image) => write(path, image),
            Op::Link { at, target } => {
                gone(fs::remove_file(at))?;
                symlink(target, at)
            }
            Op::Rename { from, to } => fs::rename(from, to),
            Op::Remove(path) => gone(fs::remove_file(path)),
            Op::RemoveTree(path) => gone(fs::remove_dir_all(path)),
            Op::SyncDir(path) => File::open(path)?.sync_all(),
        }
    }
}

fn make_dir(path: &Path, mode: u32) -> io::Result<()> {
    match DirBuilder::new().mode(mode).create(path) {
        Err(e) if e.kind() == ErrorKind::AlreadyExists && path.is_dir() => return Ok(()),
        made => made?,
    }
    // The umask may have taken bits that others need to reach the files inside.
    fs::set_permissions(path, Permissions::from_mode(mode))
}

fn write(path: &Path, image: &Image) -> io::Result<()> {
    let mut file = create(path)?;
    file.write_all(image.content())?;
    if image.uid.is_some() || image.gid.is_some() {
        fchown(&file, image.uid, image.gid)?;
    }
    file.set_permissions(Permissions::from_mode(image.mode))?;
    file.sync_all()
}

/// A new file, closed to others; what stood there is removed, and a link is never followed.
fn create(path: &Path) -> io::Result<File> {
    gone(fs::remove_file(path))?;
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn a_file_is_closed_to_others_before_anything_is_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = create(&folder.path().join("key")).unwrap();
        assert_eq!(file.metadata().unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_link_in_the_way_is_replaced_and_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (target, path) = (folder.path().join("precious"), folder.path().join("key"));
        fs::write(&target, "precious").unwrap();
        symlink(&target, &path).unwrap();
        RealDisk.apply(&Op::Write(&path, &Image::new(b"key".to_vec(), 0o640))).unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"precious");
        let metadata = fs::symlink_metadata(&path).unwrap();
        assert!(metadata.is_file());
        assert_eq!(metadata.mode() & 0o777, 0o640);
    }
}
