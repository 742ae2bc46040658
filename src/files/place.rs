//! One place that a command writes to, held until what goes there is made.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use ring::rand::{SecureRandom, SystemRandom};
use rustix::fs::{
    AtFlags, CWD, FallocateFlags, Gid, Mode, OFlags, RenameFlags, Stat, Uid, fallocate, fchmod, fchown, fstat, linkat,
    openat, renameat, renameat_with, statat, unlinkat,
};
use rustix::io::Errno;

use super::names::shown;
use crate::failure::{Exit, Failure, OrFail};

/// Anyone may read it.
pub const PUBLIC: u32 = 0o644;
/// Only its owner may read it.
pub const SECRET: u32 = 0o600;
/// Room that is kept for what will be written: more than any chain or signature has.
const ROOM_BYTES: u64 = 64 << 10;

/// A place that is held. Given up unfilled, it leaves nothing.
pub struct Place {
    path: PathBuf,
    target: Target,
}

enum Target {
    StandardOutput,
    /// A FIFO, a terminal, a device: it is written into.
    Stream(File),
    File(Draft),
}

impl Place {
    pub(super) fn standard_output() -> Self {
        Self { path: "-".into(), target: Target::StandardOutput }
    }

    pub(super) fn stream(path: &Path, file: File) -> Self {
        Self { path: path.to_owned(), target: Target::Stream(file) }
    }

    pub(super) fn file(path: &Path, draft: Draft) -> Self {
        Self { path: path.to_owned(), target: Target::File(draft) }
    }

    /// Where it is, for people.
    pub fn shown(&self) -> String {
        match self.target {
            Target::StandardOutput => "standard output".to_owned(),
            Target::Stream(_) | Target::File(_) => shown(&self.path),
        }
    }

    /// Writes the content: a file whole or not at all, flushed, under its name.
    pub fn fill(self, bytes: &[u8]) -> Result<(), Failure> {
        let said = format!("cannot write {}", self.shown());
        match self.target {
            Target::StandardOutput => {
                let mut out = io::stdout().lock();
                out.write_all(bytes).and_then(|()| out.flush()).or_fail(said)
            }
            Target::Stream(mut file) => file.write_all(bytes).or_fail(said),
            Target::File(draft) => draft.publish(bytes).map_err(|error| match error.kind() {
                io::ErrorKind::AlreadyExists => Failure::new(Exit::Failed, said)
                    .because(&error)
                    .help("another file took this place meanwhile and was left alone"),
                _ => Failure::new(Exit::Failed, said).because(&error),
            }),
        }
    }
}

/// A file that has no name yet, so that a program that is ended leaves nothing; it takes its name in one step. Where a file system
/// has no files without a name, it lies beside its place meanwhile.
pub(super) struct Draft {
    folder: OwnedFd,
    name: OsString,
    temporary: Option<String>,
    file: File,
    /// What goes away: device and number, so that nothing else does.
    replaces: Option<(u64, u64)>,
}

impl Draft {
    /// Made in the folder that was opened, with the owner and mode it will have, and room to be filled.
    pub(super) fn make(folder: OwnedFd, name: OsString, mode: u32, replaced: Option<&Stat>) -> io::Result<Self> {
        // Closed until it has its owner, where it takes one over.
        let first = Mode::from_raw_mode(if replaced.is_some() { 0o600 } else { mode });
        let (file, temporary) = match nameless(&folder, first)? {
            Some(file) => (file, None),
            None => {
                let temporary = temporary()?;
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                (File::from(openat(&folder, &temporary, flags, first)?), Some(temporary))
            }
        };
        let replaces = replaced.map(|stat| (stat.st_dev, stat.st_ino));
        let draft = Self { folder, name, temporary, file, replaces };
        if let Some(old) = replaced {
            draft.take_over(old, mode)?;
        }
        match fallocate(&draft.file, FallocateFlags::KEEP_SIZE, 0, ROOM_BYTES) {
            Err(error @ (Errno::NOSPC | Errno::DQUOT)) => Err(error.into()),
            // Not every file system can say.
            Ok(()) | Err(_) => Ok(draft),
        }
    }

    /// Owner, group and mode of the file that goes away; a secret stays its owner's alone.
    fn take_over(&self, old: &Stat, mode: u32) -> io::Result<()> {
        let new = fstat(&self.file)?;
        let uid = (old.st_uid != new.st_uid).then(|| Uid::from_raw(old.st_uid));
        let gid = (old.st_gid != new.st_gid).then(|| Gid::from_raw(old.st_gid));
        if uid.is_some() || gid.is_some() {
            fchown(&self.file, uid, gid)?;
        }
        let secret = if mode == SECRET { 0o700 } else { 0o777 };
        Ok(fchmod(&self.file, Mode::from_raw_mode(old.st_mode & secret))?)
    }

    fn publish(mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        // What was kept free and is not needed goes back.
        self.file.set_len(bytes.len() as u64)?;
        self.file.sync_all()?;
        match self.replaces {
            None => self.name_new()?,
            Some(identity) => {
                let stands = statat(&self.folder, &self.name, AtFlags::SYMLINK_NOFOLLOW)?;
                if (stands.st_dev, stands.st_ino) != identity {
                    return Err(io::ErrorKind::AlreadyExists.into());
                }
                let from = self.beside()?;
                renameat(&self.folder, &from, &self.folder, &self.name)?;
            }
        }
        // A folder that may be written and not read cannot be flushed.
        match openat(&self.folder, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()) {
            Ok(folder) => File::from(folder).sync_all(),
            Err(_) => Ok(()),
        }
    }

    /// A name that nobody has; whoever took it meanwhile keeps it.
    fn name_new(&self) -> io::Result<()> {
        let (folder, to) = (&self.folder, &self.name);
        let Some(from) = &self.temporary else { return self.link(to) };
        match renameat_with(folder, from, folder, to, RenameFlags::NOREPLACE) {
            // A file system that cannot: a second name, of which the first goes with the draft.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                Ok(linkat(folder, from, folder, to, AtFlags::empty())?)
            }
            renamed => Ok(renamed?),
        }
    }
}

impl Draft {
    /// A name beside the place: nothing without a name takes the place of something in one step.
    fn beside(&mut self) -> io::Result<String> {
        if let Some(there) = &self.temporary {
            return Ok(there.clone());
        }
        let beside = temporary()?;
        self.link(&OsString::from(&beside))?;
        self.temporary = Some(beside.clone());
        Ok(beside)
    }

    /// Gives a file without a name its name, which nobody has.
    fn link(&self, name: &OsString) -> io::Result<()> {
        Ok(linkat(CWD, by_descriptor(&self.file), &self.folder, name, AtFlags::SYMLINK_FOLLOW)?)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // Gone already where it has its name.
        if let Some(temporary) = &self.temporary {
            let _ = unlinkat(&self.folder, temporary, AtFlags::empty());
        }
    }
}

/// A file without a name, where the file system has that, and where `/proc` can give it one later.
fn nameless(folder: &OwnedFd, mode: Mode) -> io::Result<Option<File>> {
    match openat(folder, ".", OFlags::WRONLY | OFlags::TMPFILE | OFlags::CLOEXEC, mode) {
        Ok(file) => {
            let file = File::from(file);
            Ok(statat(CWD, by_descriptor(&file), AtFlags::SYMLINK_NOFOLLOW).is_ok().then_some(file))
        }
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::NOENT | Errno::INVAL | Errno::NOSYS) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn by_descriptor(file: &File) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

/// A name that nobody guesses, short enough for every folder.
fn temporary() -> io::Result<String> {
    let mut random = [0; 8];
    SystemRandom::new().fill(&mut random).map_err(|_| io::Error::other("the system gives no random bytes"))?;
    Ok(format!(".chancery-{}", hex::encode(random)))
}
