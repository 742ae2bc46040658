//! Files of our own in a folder of our own: read and replaced without following links.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, FileType, FlockOperation, Mode, OFlags, flock, fstat, fsync, mkdirat, openat, renameat, unlinkat,
};
use rustix::io::Errno;
use rustix::process::geteuid;
use zeroize::Zeroizing;

use super::error::{CacheError, Doing};

/// A folder that nobody else writes to.
pub struct Folder {
    opened: OwnedFd,
    path: PathBuf,
}

impl Folder {
    /// Opens it; makes it, for this user alone, where it is not there and its parent is.
    pub fn open(path: &Path) -> Result<Folder, CacheError> {
        Folder::below(CWD, path, path.to_owned())
    }

    /// The same in an open folder.
    pub fn below(base: impl rustix::fd::AsFd, name: &Path, path: PathBuf) -> Result<Folder, CacheError> {
        match mkdirat(&base, name, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(other) => return Err(other).doing("a folder for the cache"),
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = openat(&base, name, flags, Mode::empty()).doing("the folder of the cache")?;
        let stat = fstat(&opened).doing("the folder of the cache")?;
        match stat.st_uid == geteuid().as_raw() && stat.st_mode & OTHERS_WRITE == 0 {
            true => Ok(Folder { opened, path }),
            false => Err(CacheError::Foreign(path)),
        }
    }

    /// Waits until nobody else has it, and keeps it until the value goes.
    pub fn lock(&self) -> Result<OwnedFd, CacheError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let own = openat(&self.opened, c".", flags, Mode::empty()).doing("the lock of the cache")?;
        flock(&own, FlockOperation::LockExclusive).doing("the lock of the cache")?;
        Ok(own)
    }

    /// All of a file; none where it is not there.
    pub fn read(&self, name: &str, most: usize) -> Result<Option<Zeroizing<Vec<u8>>>, CacheError> {
        // A FIFO would wait for its writer.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = match openat(&self.opened, name, flags, Mode::empty()) {
            Err(Errno::NOENT) => return Ok(None),
            opened => opened.doing("a file of the cache")?,
        };
        let stat = fstat(&opened).doing("a file of the cache")?;
        let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        let size = usize::try_from(stat.st_size).unwrap_or(usize::MAX);
        if !is_file || stat.st_uid != geteuid().as_raw() || size > most {
            return Err(CacheError::Foreign(self.path.join(name)));
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(size + 1));
        let limit = u64::try_from(most).unwrap_or(u64::MAX);
        File::from(opened).take(limit).read_to_end(&mut bytes).doing("a file of the cache")?;
        Ok(Some(bytes))
    }

    /// Replaces a file, whole or not at all, durably. Call it with the lock.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), CacheError> {
        let new = format!("{name}.new");
        self.remove(&new);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let made = openat(&self.opened, &new, flags, Mode::RUSR | Mode::WUSR).doing("a new file of the cache")?;
        let mut made = File::from(made);
        let written = made.write_all(bytes).and_then(|()| made.sync_all()).doing("a new file of the cache");
        let placed =
            written.and_then(|()| renameat(&self.opened, &new, &self.opened, name).doing("a new file of the cache"));
        if placed.is_err() {
            self.remove(&new);
        }
        placed.and_then(|()| fsync(&self.opened).doing("the folder of the cache"))
    }

    /// Takes a file away; one that is not there is gone.
    pub fn remove(&self, name: &str) {
        let _ = unlinkat(&self.opened, name, AtFlags::empty());
    }
}

const OTHERS_WRITE: u32 = 0o022;
