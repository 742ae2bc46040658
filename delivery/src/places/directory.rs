//! The credential directory, as systemd's services have it (systemd.exec(5), CREDENTIALS): 0500, files 0400.
//!
//! Its files are replaced together: each version lies in a folder of its own, `..data` leads to the one in force, and the files lead
//! through it. One rename makes all of them new; a program that has the folder open reads one version to its end. Kubernetes' volumes
//! are made the same way.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Write;
use std::path::Path;

use rustix::fs::{AtFlags, Mode, OFlags, fchmod, mkdirat, openat, readlinkat, renameat, symlinkat, unlinkat};

use super::folder::{Folder, random_name, remove};
use crate::error::{DeliveryError, Doing};
use crate::nouns::{FileName, Value};
use crate::plan::DiskRule;

/// The directory of one run; gone when this goes.
pub struct Directory {
    folder: Folder,
    /// The version before the one in force. It stays until the next change: who was on the way to a file by its name arrives.
    before: Option<String>,
}

impl Directory {
    /// Made with its first version.
    pub fn make(
        files: &[(&FileName, &Value)],
        disk: DiskRule,
        runtime: Option<&OsStr>,
    ) -> Result<Directory, DeliveryError> {
        let mut directory = Directory { folder: Folder::make(disk, runtime)?, before: None };
        directory.replace(files)?;
        Ok(directory)
    }

    /// What `CREDENTIALS_DIRECTORY` says.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// All files anew, as one. Where it fails, the version before stays in force.
    pub fn replace(&mut self, files: &[(&FileName, &Value)]) -> Result<(), DeliveryError> {
        fchmod(self.folder.opened(), Mode::RWXU).doing("writing in the credential directory")?;
        let done = self.exchange(files);
        fchmod(self.folder.opened(), Mode::RUSR | Mode::XUSR).doing("closing the credential directory")?;
        done
    }

    fn exchange(&mut self, files: &[(&FileName, &Value)]) -> Result<(), DeliveryError> {
        const DOING: &str = "a version of the credential directory";
        let top = self.folder.opened();
        if let Some(before) = self.before.take() {
            remove(top, OsStr::new(&before));
        }
        let before = readlinkat(top, DATA, Vec::new()).ok();
        let version = format!("..{}", random_name()?);
        mkdirat(top, &version, Mode::RWXU).doing(DOING)?;
        let folder_flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = openat(top, &version, folder_flags, Mode::empty()).doing(DOING)?;
        let written = files.iter().try_for_each(|(name, value)| {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let mut file = File::from(openat(&folder, name.as_str(), flags, Mode::RUSR).doing(DOING)?);
            file.write_all(value.expose()).doing(DOING)?;
            fchmod(&file, Mode::RUSR).doing(DOING)
        });
        let in_force = written
            .and_then(|()| fchmod(&folder, Mode::RUSR | Mode::XUSR).doing(DOING))
            .and_then(|()| symlinkat(&version, top, NEXT).doing(DOING))
            .and_then(|()| renameat(top, NEXT, top, DATA).doing(DOING));
        if in_force.is_err() {
            let _ = unlinkat(top, NEXT, AtFlags::empty());
            remove(top, OsStr::new(&version));
            return in_force;
        }
        for (name, _) in files {
            match symlinkat(format!("{DATA}/{name}"), top, name.as_str()) {
                Ok(()) | Err(rustix::io::Errno::EXIST) => {}
                Err(error) => return Err(error).doing(DOING),
            }
        }
        self.before = before.map(|name| name.to_string_lossy().into_owned());
        Ok(())
    }
}

const DATA: &str = "..data";
const NEXT: &str = "..data_next";

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::fs::PermissionsExt;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use rustix::fs::CWD;

    use super::*;

    #[test]
    fn all_files_change_at_once_and_nothing_stays() {
        let (a, b): (FileName, FileName) = ("a".parse().unwrap(), "b".parse().unwrap());
        let value = |text: &str| Value::new(text.as_bytes().to_vec());
        let (one, two, three) = (value("one"), value("two"), value("three"));
        let mut directory = Directory::make(&[(&a, &one), (&b, &two)], DiskRule::MemoryOnly, None).unwrap();
        let path = directory.path().to_owned();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode(&path), mode(&path.join("a")), mode(&path.join("..data"))), (0o500, 0o400, 0o500));
        let old = File::open(path.join("..data")).unwrap();
        directory.replace(&[(&a, &three), (&b, &one)]).unwrap();
        assert_eq!(std::fs::read_to_string(path.join("a")).unwrap(), "three");
        assert_eq!(std::fs::read_to_string(path.join("b")).unwrap(), "one");
        directory.replace(&[(&a, &three), (&b, &one)]).unwrap();
        // The version in force and the one before, the name of it and two links.
        assert_eq!(std::fs::read_dir(&path).unwrap().count(), 5);
        assert_eq!(mode(&path), 0o500);
        drop((old, directory));
        assert!(!path.exists());
    }

    #[test]
    fn who_reads_while_files_are_replaced_finds_one_version_or_the_other() {
        let (a, b): (FileName, FileName) = ("a".parse().unwrap(), "b".parse().unwrap());
        let values = ["even", "odd!"].map(|text| Value::new(text.as_bytes().to_vec()));
        let of = |round: usize| [(&a, &values[round % 2]), (&b, &values[round % 2])];
        let mut directory = Directory::make(&of(0), DiskRule::MemoryOnly, None).unwrap();
        let path = directory.path().to_owned();
        let (reads, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                while !is_over.load(Ordering::SeqCst) {
                    // By its name, and both of one version.
                    let found = std::fs::read_to_string(path.join("a"));
                    let version =
                        openat(CWD, path.join("..data"), OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
                    let both = ["a", "b"].map(|name| {
                        let mut text = String::new();
                        let file = openat(&version, name, OFlags::RDONLY, Mode::empty()).map(File::from);
                        file.unwrap().read_to_string(&mut text).unwrap();
                        text
                    });
                    assert!(both[0] == both[1] && ["even", "odd!"].contains(&found.unwrap().as_str()), "{both:?}");
                    reads.fetch_add(1, Ordering::SeqCst);
                }
            });
            for round in 1..300 {
                directory.replace(&of(round)).unwrap();
                // No round of reads meets two changes.
                let before = reads.load(Ordering::SeqCst);
                while reads.load(Ordering::SeqCst) < before + 2 && !reader.is_finished() {
                    std::thread::yield_now();
                }
            }
            is_over.store(true, Ordering::SeqCst);
        });
    }
}
