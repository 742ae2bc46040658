//! What a command reads: opened once, whatever it is (a file, a FIFO, `/dev/stdin`, `-`), and read to its end once.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{StatVfsMountFlags, statvfs};
use zeroize::Zeroizing;

use super::names::shown;
use crate::failure::{Exit, Failure, OrFail};

/// Which file, whatever its name is: its device and its number there.
pub type Identity = (u64, u64);

/// An open file to read.
pub struct Input {
    path: PathBuf,
    file: File,
    identity: Identity,
}

impl Input {
    /// Opens it; `-` is standard input.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let said = || format!("cannot read {}", shown(path));
        let file = match path == Path::new("-") {
            true => File::from(io::stdin().as_fd().try_clone_to_owned().or_fail(said())?),
            false => File::open(path).or_fail(said())?,
        };
        // Asked of the open file, so that what is looked at is what is read.
        let metadata = file.metadata().or_fail(said())?;
        if metadata.is_dir() {
            return Err(Failure::new(Exit::Failed, format!("{} is a folder", shown(path))).help("name a file in it"));
        }
        Ok(Self { path: path.to_owned(), file, identity: (metadata.dev(), metadata.ino()) })
    }

    /// Which file it is.
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// The name it was opened by.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Hands everything that is in it to `take`, piece by piece.
    pub fn pieces(mut self, mut take: impl FnMut(&[u8])) -> Result<(), Failure> {
        let mut piece = vec![0; 1 << 16];
        loop {
            match self.file.read(&mut piece) {
                Ok(0) => return Ok(()),
                Ok(n) => take(piece.get(..n).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error).or_fail(format!("cannot read {}", shown(&self.path))),
            }
        }
    }

    /// Reads all of it. Not the size that the file claims counts: a device or a pipe claims none, and a file may grow.
    pub fn bytes(self, most: u64) -> Result<Vec<u8>, Failure> {
        let said = format!("{} has more than {most} bytes, which makes no sense here", shown(&self.path));
        let none = || Failure::new(Exit::Failed, said).help("is it the file that is meant?");
        self.within(most)?.ok_or_else(none)
    }

    /// The same; none where it is longer: for who can say what to do then.
    pub fn within(self, most: u64) -> Result<Option<Vec<u8>>, Failure> {
        let mut bytes = Vec::new();
        self.file.take(most + 1).read_to_end(&mut bytes).or_fail(format!("cannot read {}", shown(&self.path)))?;
        Ok((bytes.len() as u64 <= most).then_some(bytes))
    }
}

/// Reads a file that must not be longer than `most` bytes.
pub fn read(path: &Path, most: u64) -> Result<Vec<u8>, Failure> {
    Input::open(path)?.bytes(most)
}

/// The same, as text.
pub fn text(path: &Path, most: u64) -> Result<String, Failure> {
    String::from_utf8(read(path, most)?).or_fail(format!("{} is not text", shown(path)))
}

/// Reads a text that decides who may do what; refuses one that everybody may write, or exchange in its folder.
pub fn deciding(path: &Path, most: u64) -> Result<String, Failure> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = std::fs::metadata(parent).or_fail(format!("cannot read {}", shown(parent)))?;
    let input = Input::open(path)?;
    let file = input.file.metadata().or_fail(format!("cannot read {}", shown(path)))?;
    // In a folder with the sticky bit each name stays its owner's.
    if folder.mode() & 0o1000 == 0 {
        closed(parent, folder.mode())?;
    }
    closed(path, file.mode())?;
    String::from_utf8(input.bytes(most)?).or_fail(format!("{} is not text", shown(path)))
}

/// The names in a folder whose files decide who may do what; refuses one that everybody may put files into.
pub fn deciding_folder(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    let said = || format!("cannot read the folder {}", shown(path));
    closed(path, std::fs::metadata(path).or_fail(said())?.mode())?;
    let entries = std::fs::read_dir(path).or_fail(said())?;
    entries.map(|entry| Ok(entry.or_fail(said())?.path())).collect()
}

/// Refuses what everybody may write. On a file system that is mounted to be read alone nobody does, whatever the modes are: so are
/// the ConfigMaps of Kubernetes, with folders of mode 777.
fn closed(path: &Path, mode: u32) -> Result<(), Failure> {
    let read_only = || statvfs(path).is_ok_and(|found| found.f_flag.contains(StatVfsMountFlags::RDONLY));
    if mode & 0o002 == 0 || read_only() { Ok(()) } else { Err(open_to_all(path)) }
}

fn open_to_all(path: &Path) -> Failure {
    let says = format!("{} may be written by everybody, who would decide who may do what", shown(path));
    Failure::new(Exit::Failed, says).help(format!("chmod o-w {}", shown(path)))
}

/// Reads a secret; refuses a file that others can read.
pub fn secret(path: &Path, most: u64) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let input = Input::open(path)?;
    let found = input.file.metadata().or_fail(format!("cannot read {}", shown(path)))?;
    let mode = found.mode() & 0o7777;
    if policy::is_exposed(found.uid(), mode, rustix::process::geteuid().as_raw()) {
        return Err(Failure::new(Exit::Failed, format!("{} has mode {mode:o}: others can read it", shown(path)))
            .help(format!("chmod 600 {}", shown(path))));
    }
    input.bytes(most).map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

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

    #[test]
    fn what_everybody_may_write_decides_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("admin.cedar");
        fs::write(&path, "permit").unwrap();
        let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        for (folder, file, (read, listed)) in [
            (0o755, 0o644, (true, true)),
            (0o775, 0o664, (true, true)),
            (0o755, 0o646, (false, true)),
            (0o757, 0o644, (false, false)),
            (0o1777, 0o644, (true, false)),
        ] {
            mode(dir.path(), folder);
            mode(&path, file);
            assert_eq!(deciding(&path, 16).is_ok(), read, "{folder:o} {file:o}");
            assert_eq!(deciding_folder(dir.path()).is_ok(), listed, "{folder:o} {file:o}");
        }
    }

    #[test]
    fn what_has_no_end_or_is_a_folder_is_refused() {
        assert!(read(Path::new("/dev/zero"), 1 << 10).unwrap_err().to_string().contains("more than"));
        assert!(read(Path::new("/"), 1).unwrap_err().to_string().contains("is a folder"));
    }
}
