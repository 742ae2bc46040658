//! Folders of our own in memory: where they may lie, how they are made, and how they go.

use std::ffi::OsStr;
use std::fmt::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, FlockOperation, Mode, OFlags, fchmod, flock, fstat, fstatfs, mkdirat, openat, statat,
    unlinkat,
};
use rustix::io::Errno;
use rustix::process::geteuid;
use rustix::rand::{GetRandomFlags, getrandom};

use crate::error::{DeliveryError, Doing};
use crate::plan::DiskRule;

/// A folder under a name that nobody guesses, for this user alone, locked for as long as this process lives.
///
/// The lock tells what a killed process left from what is in use: [`Folder::make`] first removes what of this user's is not locked.
pub struct Folder {
    base: OwnedFd,
    name: String,
    path: PathBuf,
    opened: OwnedFd,
}

impl Folder {
    /// A new one in memory, mode 0700.
    pub fn make(disk: DiskRule, runtime: Option<&OsStr>) -> Result<Folder, DeliveryError> {
        let (base, base_path) = memory_folder(disk, runtime)?;
        sweep(&base);
        for _ in 0..TRIES_MAX {
            let name = random_name()?;
            mkdirat(&base, &name, Mode::RWXU).doing("a folder in memory")?;
            let opened = open_folder(&base, OsStr::new(&name)).doing("a folder in memory")?;
            flock(&opened, FlockOperation::LockExclusive).doing("the lock of a folder in memory")?;
            // Somebody who swept may have had the lock before us.
            if is_there(&base, &name, &opened) {
                let path = base_path.join(&name);
                return Ok(Folder { base, name, path, opened });
            }
        }
        Err(Errno::BUSY).doing("a folder in memory")
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Itself, opened.
    pub fn opened(&self) -> &OwnedFd {
        &self.opened
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        remove(&self.base, OsStr::new(&self.name));
    }
}

/// The first folder that lies in memory: `XDG_RUNTIME_DIR`, then `/dev/shm`.
///
/// # Errors
/// [`DeliveryError::NoMemoryFolder`], unless a disk is allowed: then the folder for temporary files.
pub fn memory_folder(disk: DiskRule, runtime: Option<&OsStr>) -> Result<(OwnedFd, PathBuf), DeliveryError> {
    let known: Vec<PathBuf> = runtime
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .into_iter()
        .chain([PathBuf::from(SHARED)])
        .collect();
    let in_memory = known.iter().find_map(|path| in_memory(path).map(|opened| (opened, path.clone())));
    match (in_memory, disk) {
        (Some(found), _) => Ok(found),
        (None, DiskRule::MayBeDisk) => {
            let path = std::env::temp_dir();
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            Ok((openat(CWD, &path, flags, Mode::empty()).doing("the folder for temporary files")?, path))
        }
        (None, DiskRule::MemoryOnly) => {
            let tried: Vec<String> = known.iter().map(|path| path.display().to_string()).collect();
            Err(DeliveryError::NoMemoryFolder { tried: tried.join(", ") })
        }
    }
}

/// Opens a folder that lies in memory alone, which is asked of the system; none where it does not.
pub fn in_memory(path: &Path) -> Option<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let opened = openat(CWD, path, flags, Mode::empty()).ok()?;
    let is_writable = rustix::fs::access(path, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK).is_ok();
    (is_in_memory(&opened) && is_writable).then_some(opened)
}

/// Whether an open folder lies in memory alone, as far as the system says.
pub fn is_in_memory(folder: impl AsFd) -> bool {
    fstatfs(folder).is_ok_and(|found| [TMPFS, RAMFS].contains(&found.f_type))
}

/// Removes what killed processes of this user left. What cannot be removed stays, and is nobody's reason to stop.
fn sweep(base: &OwnedFd) {
    let Ok(all) = Dir::read_from(base) else { return };
    for entry in all.flatten().filter(|entry| entry.file_name().to_bytes().starts_with(PREFIX.as_bytes())) {
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        let Ok(opened) = open_folder(base, name) else { continue };
        let is_ours = fstat(&opened).is_ok_and(|stat| stat.st_uid == geteuid().as_raw());
        if is_ours && flock(&opened, FlockOperation::NonBlockingLockExclusive).is_ok() {
            remove(base, name);
        }
    }
}

/// Removes a folder with what lies in it, following nothing. What is gone already is no mistake.
pub fn remove(base: &OwnedFd, name: &OsStr) {
    if let Ok(opened) = open_folder(base, name) {
        empty(&opened, DEPTH_MAX);
    }
    let _ = unlinkat(base, name, AtFlags::REMOVEDIR);
}

fn empty(folder: &OwnedFd, depth: u8) {
    // A folder without the right to write loses nothing: 0500 is what the program gets.
    let _ = fchmod(folder, Mode::RWXU);
    let Ok(all) = Dir::read_from(folder) else { return };
    for entry in all.flatten().filter(|entry| ![&b"."[..], b".."].contains(&entry.file_name().to_bytes())) {
        let below = match entry.file_type() {
            FileType::Directory if depth > 0 => {
                open_folder(folder, OsStr::from_bytes(entry.file_name().to_bytes())).ok()
            }
            _ => None,
        };
        let flags = match below {
            Some(below) => {
                empty(&below, depth - 1);
                AtFlags::REMOVEDIR
            }
            None => AtFlags::empty(),
        };
        let _ = unlinkat(folder, entry.file_name(), flags);
    }
}

fn open_folder(base: &OwnedFd, name: &OsStr) -> Result<OwnedFd, Errno> {
    openat(base, name, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
}

fn is_there(base: &OwnedFd, name: &str, opened: &OwnedFd) -> bool {
    let same =
        |there: rustix::fs::Stat, own: rustix::fs::Stat| (there.st_dev, there.st_ino) == (own.st_dev, own.st_ino);
    let there = statat(base, name, AtFlags::SYMLINK_NOFOLLOW);
    there.and_then(|there| Ok(same(there, fstat(opened)?))).unwrap_or(false)
}

/// A name of ours with 128 random bits.
pub fn random_name() -> Result<String, DeliveryError> {
    let mut bytes = [0_u8; 16];
    getrandom(&mut bytes, GetRandomFlags::empty()).doing("a random name")?;
    Ok(bytes.iter().fold(PREFIX.to_owned(), |mut name, byte| {
        let _ = write!(name, "{byte:02x}");
        name
    }))
}

/// How each of our folders begins.
pub const PREFIX: &str = "chancery-";
const SHARED: &str = "/dev/shm";
const TMPFS: i64 = 0x0102_1994;
const RAMFS: i64 = 0x8584_58f6;
/// Below the folder is one with the files' versions, and nothing below that.
const DEPTH_MAX: u8 = 2;
/// How often another process may sweep away what has no lock yet.
const TRIES_MAX: u8 = 8;
