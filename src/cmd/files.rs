//! Writing what a command hands out: whole or not at all, secrets readable by their owner alone.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use zeroize::Zeroizing;

use crate::failure::{Exit, Failure, OrFail};

/// Anyone may read it.
pub const PUBLIC: u32 = 0o644;
/// Only its owner may read it.
pub const SECRET: u32 = 0o600;

/// Writes `bytes` to `path` through a temporary file in the same folder: flushed, then renamed.
/// A crash leaves the old file or the new one, never half of either.
pub fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Failure> {
    let said = || format!("cannot write {}", path.display());
    let dir = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().ok_or_else(|| Failure::new(Exit::Failed, said()))?;
    let temporary = dir.join(format!(".{}.{}.new", name.to_string_lossy(), std::process::id()));
    let written = (|| {
        let _ = fs::remove_file(&temporary);
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        fs::File::open(dir)?.sync_all()
    })();
    written.inspect_err(|_| drop(fs::remove_file(&temporary))).or_fail(said())
}

/// The same, but refuses to replace a file that is there.
pub fn write_new(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Failure> {
    Place::take(path, mode)?.fill(bytes)
}

/// A new, empty file that waits for what only the server can make: taken before it is asked, so that nothing is made
/// that could not be kept. Given up unfilled, it goes away again.
pub struct Place<'a> {
    path: &'a Path,
    mode: u32,
    filled: bool,
}

impl<'a> Place<'a> {
    /// Refuses a file that is there, and a folder that cannot be written to.
    pub fn take(path: &'a Path, mode: u32) -> Result<Self, Failure> {
        match fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path) {
            Ok(_) => Ok(Self { path, mode, filled: false }),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                Err(Failure::new(Exit::Failed, format!("{} exists already", path.display()))
                    .help("choose another place, or move the file away"))
            }
            Err(error) => Err(error).or_fail(format!("cannot write {}", path.display())),
        }
    }

    /// Writes the content, whole or not at all.
    pub fn fill(mut self, bytes: &[u8]) -> Result<(), Failure> {
        write(self.path, bytes, self.mode)?;
        self.filled = true;
        Ok(())
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if !self.filled {
            let _ = fs::remove_file(self.path);
        }
    }
}

/// Makes a folder and those above it.
pub fn folder(path: &Path) -> Result<(), Failure> {
    fs::create_dir_all(path).or_fail(format!("cannot make the folder {}", path.display()))
}

/// The same, for their owner alone; folders that are there stay as they are.
pub fn private_folder(path: &Path) -> Result<(), Failure> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.or_fail(format!("cannot make the folder {}", path.display()))
}

/// Reads a secret; refuses a file that others can read.
pub fn secret(path: &Path, most: u64) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let said = || format!("cannot read {}", path.display());
    let file = fs::File::open(path).or_fail(said())?;
    // Asked of the open file, so that what was checked is what is read.
    let mode = file.metadata().or_fail(said())?.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(Failure::new(Exit::Failed, format!("{} has mode {mode:o}: others can read it", path.display()))
            .help(format!("chmod 600 {}", path.display())));
    }
    bounded(file, path, most).map(Zeroizing::new)
}

/// Reads a file that must not be longer than `most` bytes.
pub fn read(path: &Path, most: u64) -> Result<Vec<u8>, Failure> {
    let said = || format!("cannot read {}", path.display());
    bounded(fs::File::open(path).or_fail(said())?, path, most)
}

/// Not the size that the file claims: a device or a pipe claims none, and a file may grow.
fn bounded(file: fs::File, path: &Path, most: u64) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes).or_fail(format!("cannot read {}", path.display()))?;
    if bytes.len() as u64 > most {
        let said = format!("{} has more than {most} bytes, which makes no sense here", path.display());
        return Err(Failure::new(Exit::Failed, said));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_secret_is_readable_by_its_owner_alone_and_never_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        write_new(&path, b"one", SECRET).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(write_new(&path, b"two", SECRET).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"one");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no temporary file stays behind");
    }

    #[test]
    fn a_place_that_is_given_up_leaves_nothing_and_a_taken_one_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        drop(Place::take(&path, SECRET).unwrap());
        assert!(!path.exists());
        let place = Place::take(&path, SECRET).unwrap();
        assert!(Place::take(&path, SECRET).is_err());
        place.fill(b"one").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"one");
        assert!(Place::take(&dir.path().join("no/such/folder"), SECRET).is_err());
    }

    #[test]
    fn a_secret_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        fs::write(&path, "t").unwrap();
        for (mode, refused) in [(0o600, false), (0o400, false), (0o640, true), (0o604, true)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(secret(&path, 16).is_err(), refused, "{mode:o}");
        }
    }
}
