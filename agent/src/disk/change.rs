//! Every change the agent makes on disk, as a value.
//!
//! Nothing else in this crate writes. One door means that a test can refuse, tear or survive each step by itself
//! (`deploy/swap/tests.rs`), and that a reader sees in one place how a file comes into being: created closed (0600),
//! given its owner, then its mode, then flushed, and only then named.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, Dir, FileType, Gid, Mode, OFlags, Uid, fchmod, fchown, fstat, mkdirat, openat, renameat, symlinkat,
    unlinkat,
};
use rustix::io::Errno;
use rustix::process::geteuid;

use super::folder::{FOLDER_READ, Folder, Owner, Spot};
use super::image::Image;
use crate::error::AgentError;

/// One change, in a folder that is open.
pub(crate) enum Op<'a> {
    /// Make a folder with this mode; fine if it is there. See `make_dir` for one that lasts.
    MakeDir(Spot<'a>, u32),
    /// Make a new file with this content, owner and mode, and flush it. What stood there before is removed first.
    Write(Spot<'a>, &'a Image),
    /// Give a file that is there this content, owner and mode, and flush it: for one that is a mount of its own, which cannot
    /// be replaced. Whoever reads meanwhile sees half of it.
    Rewrite(Spot<'a>, &'a Image),
    /// Make a symbolic link; fine if something stands there: it is removed first.
    Link { at: Spot<'a>, target: &'a Path },
    /// Give a file another name in its folder, replacing what has it (atomic, POSIX rename).
    Rename { folder: &'a Folder, from: &'a OsStr, to: &'a OsStr },
    /// Remove a file or link; fine if it is gone.
    Remove(Spot<'a>),
    /// Remove a folder with the files in it; fine if it is gone. One with folders in it is not the agent's, and stays.
    RemoveDir(Spot<'a>),
    /// Flush a folder: the names in it are durable on return.
    SyncDir(&'a Folder),
}

impl Op<'_> {
    /// The file meant, for errors.
    fn path(&self) -> PathBuf {
        match self {
            Self::MakeDir(at, _)
            | Self::Write(at, _)
            | Self::Rewrite(at, _)
            | Self::Link { at, .. }
            | Self::Remove(at)
            | Self::RemoveDir(at) => at.path(),
            Self::SyncDir(folder) => folder.path().to_owned(),
            Self::Rename { folder, to, .. } => folder.path().join(to),
        }
    }

    /// What is tried, for errors.
    fn what(&self) -> &'static str {
        match self {
            Self::MakeDir(..) => "the folder cannot be made",
            Self::Write(..) | Self::Rewrite(..) => "the file cannot be written",
            Self::Link { .. } => "the link cannot be made",
            Self::Rename { .. } => "the file cannot be put in place",
            Self::Remove(_) | Self::RemoveDir(_) => "cannot be removed",
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
        self.apply(&op).map_err(|e| AgentError::disk(&op.path(), op.what(), e))
    }

    /// Makes a folder whose name is durable on return, and opens it: what is flushed in it is worth nothing if a power loss takes
    /// the folder. Flushed also where it was there: the run that made it may have ended before.
    pub fn make_dir(&self, above: &Folder, name: &OsStr, mode: u32, owner: Owner) -> Result<Folder, AgentError> {
        self.make(Op::MakeDir(above.spot(name), mode))?;
        self.make(Op::SyncDir(above))?;
        above.below(name, owner).map_err(|e| AgentError::disk(&above.path().join(name), "the folder cannot be used", e))
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
            Op::MakeDir(at, mode) => make_dir(*at, *mode),
            Op::Write(at, image) => write(*at, image),
            Op::Rewrite(at, image) => rewrite(*at, image),
            Op::Link { at, target } => {
                gone(unlinkat(at.folder, at.name, AtFlags::empty()))?;
                Ok(symlinkat(*target, at.folder, at.name)?)
            }
            Op::Rename { folder, from, to } => Ok(renameat(folder, *from, folder, *to)?),
            Op::Remove(at) => gone(unlinkat(at.folder, at.name, AtFlags::empty())),
            Op::RemoveDir(at) => remove_dir(*at),
            Op::SyncDir(folder) => File::from(openat(folder, ".", FOLDER_READ, Mode::empty())?).sync_all(),
        }
    }
}

fn make_dir(at: Spot<'_>, mode: u32) -> io::Result<()> {
    match mkdirat(at.folder, at.name, Mode::from_raw_mode(mode)) {
        // What stands there is looked at when it is opened.
        Err(Errno::EXIST) => return Ok(()),
        made => made?,
    }
    give_mode(openat(at.folder, at.name, FOLDER_READ, Mode::empty())?, mode)
}

/// The umask may have taken bits that others need to reach the files inside. Whoever owns the folder above may have put another in
/// the place of the one that was made: one with something in it, or of somebody else, is left as it is.
fn give_mode(made: OwnedFd, mode: u32) -> io::Result<()> {
    let (stat, open) = (fstat(&made)?, made.try_clone()?);
    let mut names = Dir::read_from(&made)?.filter_map(Result::ok);
    let is_empty = names.all(|entry| matches!(entry.file_name().to_bytes(), b"." | b".."));
    match is_empty && stat.st_uid == geteuid().as_raw() {
        true => Ok(fchmod(&open, Mode::from_raw_mode(mode))?),
        false => Err(io::Error::other("another folder was put in the place of the one that was made")),
    }
}

fn write(at: Spot<'_>, image: &Image) -> io::Result<()> {
    let mut file = create(at)?;
    file.write_all(image.content())?;
    finish(&file, image)
}

/// Closed to others before the content changes: the file may be a certificate's, and become a key's.
fn rewrite(at: Spot<'_>, image: &Image) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let mut file = File::from(openat(at.folder, at.name, flags, Mode::empty())?);
    let stat = fstat(&file)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(io::Error::other("it is no regular file"));
    }
    let closed = stat.st_mode & image.mode & 0o7777;
    if closed != stat.st_mode & 0o7777 {
        fchmod(&file, Mode::from_raw_mode(closed | 0o200))?;
    }
    file.write_all(image.content())?;
    file.set_len(image.content().len() as u64)?;
    finish(&file, image)
}

/// Its owner, then its mode, then flushed.
fn finish(file: &File, image: &Image) -> io::Result<()> {
    if image.uid.is_some() || image.gid.is_some() {
        fchown(file, image.uid.map(Uid::from_raw), image.gid.map(Gid::from_raw))?;
    }
    fchmod(file, Mode::from_raw_mode(image.mode))?;
    file.sync_all()
}

/// A new file, closed to others; what stood there is removed, and a link is never followed.
fn create(at: Spot<'_>) -> io::Result<File> {
    gone(unlinkat(at.folder, at.name, AtFlags::empty()))?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(File::from(openat(at.folder, at.name, flags, Mode::from_raw_mode(0o600))?))
}

fn remove_dir(at: Spot<'_>) -> io::Result<()> {
    let folder = match at.folder.below(at.name, Owner::Agent) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        opened => opened?,
    };
    for name in folder.names()? {
        gone(unlinkat(folder.as_fd(), &name, AtFlags::empty()))?;
    }
    gone(unlinkat(at.folder, at.name, AtFlags::REMOVEDIR))
}

fn gone(removed: rustix::io::Result<()>) -> io::Result<()> {
    match removed {
        Err(Errno::NOENT) => Ok(()),
        other => Ok(other?),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{DirBuilderExt, MetadataExt, symlink};

    use super::*;

    fn open(folder: &tempfile::TempDir) -> Folder {
        Folder::open(folder.path(), Owner::Agent).unwrap()
    }

    #[test]
    fn a_file_is_closed_to_others_before_anything_is_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = create(open(&folder).spot(OsStr::new("key"))).unwrap();
        assert_eq!(file.metadata().unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_link_in_the_way_is_replaced_and_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (target, path) = (folder.path().join("precious"), folder.path().join("key"));
        fs::write(&target, "precious").unwrap();
        symlink(&target, &path).unwrap();
        let image = Image::new(b"key".to_vec(), 0o640);
        assert!(RealDisk.apply(&Op::Rewrite(open(&folder).spot(OsStr::new("key")), &image)).is_err());
        RealDisk.apply(&Op::Write(open(&folder).spot(OsStr::new("key")), &image)).unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"precious");
        let metadata = fs::symlink_metadata(&path).unwrap();
        assert!(metadata.is_file());
        assert_eq!(metadata.mode() & 0o777, 0o640);
    }

    #[test]
    fn what_is_rewritten_is_the_same_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cert");
        fs::write(&path, "a certificate that is longer than the key").unwrap();
        let inode = fs::metadata(&path).unwrap().ino();
        let image = Image::new(b"key".to_vec(), 0o600);
        RealDisk.apply(&Op::Rewrite(open(&folder).spot(OsStr::new("cert")), &image)).unwrap();
        let metadata = fs::metadata(&path).unwrap();
        assert_eq!(
            (fs::read(&path).unwrap(), metadata.ino(), metadata.mode() & 0o777),
            (b"key".to_vec(), inode, 0o600)
        );
    }

    #[test]
    fn a_folder_that_was_put_in_the_place_of_the_one_made_is_not_opened_to_others() {
        let folder = tempfile::tempdir().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        let (made, secret) = (folder.path().join("made"), folder.path().join("secret"));
        for path in [&made, &secret] {
            fs::DirBuilder::new().mode(0o700).create(path).unwrap();
        }
        fs::write(secret.join("file"), "precious").unwrap();
        give_mode(File::open(&made).unwrap().into(), 0o755).unwrap();
        assert!(give_mode(File::open(&secret).unwrap().into(), 0o755).is_err());
        assert_eq!((mode(&made), mode(&secret)), (0o755, 0o700));
    }

    #[test]
    fn a_folder_behind_a_link_is_not_emptied() {
        let (folder, victim) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::create_dir(victim.path().join("15")).unwrap();
        fs::write(victim.path().join("15/precious"), "precious").unwrap();
        symlink(victim.path().join("15"), folder.path().join("15")).unwrap();
        assert!(RealDisk.apply(&Op::RemoveDir(open(&folder).spot(OsStr::new("15")))).is_err());
        assert!(victim.path().join("15/precious").exists());
        // A folder in the folder is not the agent's.
        RealDisk.apply(&Op::RemoveDir(open(&victim).spot(OsStr::new("15")))).unwrap();
        fs::create_dir_all(victim.path().join("16/deep")).unwrap();
        assert!(RealDisk.apply(&Op::RemoveDir(open(&victim).spot(OsStr::new("16")))).is_err());
    }
}
