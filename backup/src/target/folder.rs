//! Files: without a name until they are whole, and never over another.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use ring::rand::{SecureRandom, SystemRandom};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat, openat, statat, unlinkat};
use rustix::io::Errno;

use crate::error::BackupError;

/// A file that has no name yet, so that a program that is ended leaves nothing. Where a file system has no files without a name, it lies
/// beside its place meanwhile, under a name that begins with a dot.
pub(crate) struct FileDraft {
    path: PathBuf,
    folder: OwnedFd,
    name: OsString,
    temporary: Option<String>,
    file: File,
}

impl FileDraft {
    pub fn new(path: &Path) -> Result<FileDraft, BackupError> {
        let at = |e: io::Error| BackupError::of(path.display(), &e);
        let name = path.file_name().ok_or_else(|| BackupError::at(path.display(), "name a file"))?.to_owned();
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = openat(CWD, parent, flags, Mode::empty()).map_err(|e| at(e.into()))?;
        match statat(&folder, &name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => {}
            Ok(_) => return Err(BackupError::Exists(path.display().to_string())),
            Err(error) => return Err(at(error.into())),
        }
        let (file, temporary) = make(&folder).map_err(at)?;
        Ok(FileDraft { path: path.to_owned(), folder, name, temporary, file })
    }

    /// Flushed, then named, then the name flushed. Whoever took the name meanwhile keeps it.
    pub fn publish(mut self) -> Result<String, BackupError> {
        let at = |e: io::Error| match e.kind() {
            io::ErrorKind::AlreadyExists => BackupError::Exists(self.path.display().to_string()),
            _ => BackupError::of(self.path.display(), &e),
        };
        self.file.sync_all().map_err(at)?;
        let linked = match &self.temporary {
            Some(temporary) => linkat(&self.folder, temporary, &self.folder, &self.name, AtFlags::empty()),
            None => {
                let from = format!("/proc/self/fd/{}", self.file.as_raw_fd());
                linkat(CWD, from, &self.folder, &self.name, AtFlags::SYMLINK_FOLLOW)
            }
        };
        linked.map_err(|e| at(e.into()))?;
        self.clean();
        rustix::fs::fsync(&self.folder).map_err(|e| BackupError::at(self.path.display(), io::Error::from(e)))?;
        Ok(self.path.display().to_string())
    }

    fn clean(&mut self) {
        if let Some(temporary) = self.temporary.take() {
            let _ = unlinkat(&self.folder, temporary, AtFlags::empty());
        }
    }
}

impl Drop for FileDraft {
    fn drop(&mut self) {
        self.clean();
    }
}

impl Write for FileDraft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn make(folder: &OwnedFd) -> io::Result<(File, Option<String>)> {
    let mode = Mode::from_raw_mode(0o600);
    match openat(folder, ".", OFlags::WRONLY | OFlags::TMPFILE | OFlags::CLOEXEC, mode) {
        Ok(file) => {
            // Where `/proc` can give it a name later: of a process that nobody may look into, it shows that to root alone.
            let file = File::from(file);
            let by_descriptor = format!("/proc/self/fd/{}", file.as_raw_fd());
            if statat(CWD, by_descriptor, AtFlags::SYMLINK_NOFOLLOW).is_ok() {
                return Ok((file, None));
            }
        }
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::NOENT | Errno::INVAL | Errno::NOSYS) => {}
        Err(error) => return Err(error.into()),
    }
    let mut random = [0; 8];
    SystemRandom::new().fill(&mut random).map_err(|_| io::Error::other("the system gives no random bytes"))?;
    let temporary = format!(".chancery-{}", hex::encode(random));
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok((File::from(openat(folder, &temporary, flags, mode)?), Some(temporary)))
}

/// The names in a folder.
pub(super) fn names(dir: &Path) -> Result<Vec<String>, BackupError> {
    let at = |e: io::Error| BackupError::at(dir.display(), e);
    let entries = fs::read_dir(dir).map_err(at)?;
    entries.map(|entry| Ok(entry.map_err(at)?.file_name().to_string_lossy().into_owned())).collect()
}
