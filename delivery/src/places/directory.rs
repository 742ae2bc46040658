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
}

impl Directory {
    /// Made with its first version.
    pub fn make(
        files: &[(&FileName, &Value)],
        disk: DiskRule,
        runtime: Option<&OsStr>,
    ) -> Result<Directory, DeliveryError> {
        let directory = Directory { folder: Folder::make(disk, runtime)? };
        directory.replace(files)?;
        Ok(directory)
    }

    /// What `CREDENTIALS_DIRECTORY` says.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// All files anew, as one. Where it fails, the version before stays in force.
    pub fn replace(&self, files: &[(&FileName, &Value)]) -> Result<(), DeliveryError> {
        let top = self.folder.opened();
        fchmod(top, Mode::RWXU).doing("writing in the credential directory")?;
        let done = self.exchange(files);
        fchmod(top, Mode::RUSR | Mode::XUSR).doing("closing the credential directory")?;
        done
    }

    fn exchange(&self, files: &[(&FileName, &Value)]) -> Result<(), DeliveryError> {
        const DOING: &str = "a version of the credential directory";
        let top = self.folder.opened();
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
        if let Some(before) = before {
            remove(top, OsStr::new(&*before.to_string_lossy()));
        }
        Ok(())
    }
}

const DATA: &str = "..data";
const NEXT: &str = "..data_next";

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn all_files_change_at_once_and_nothing_stays() {
        let (a, b): (FileName, FileName) = ("a".parse().unwrap(), "b".parse().unwrap());
        let value = |text: &str| Value::new(text.as_bytes().to_vec());
        let (one, two, three) = (value("one"), value("two"), value("three"));
        let directory = Directory::make(&[(&a, &one), (&b, &two)], DiskRule::MemoryOnly, None).unwrap();
        let path = directory.path().to_owned();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode(&path), mode(&path.join("a")), mode(&path.join("..data"))), (0o500, 0o400, 0o500));
        let old = File::open(path.join("..data")).unwrap();
        directory.replace(&[(&a, &three), (&b, &one)]).unwrap();
        assert_eq!(std::fs::read_to_string(path.join("a")).unwrap(), "three");
        assert_eq!(std::fs::read_to_string(path.join("b")).unwrap(), "one");
        // One version, its name and two links.
        assert_eq!(std::fs::read_dir(&path).unwrap().count(), 4);
        assert_eq!(mode(&path), 0o500);
        drop((old, directory));
        assert!(!path.exists());
    }
}
