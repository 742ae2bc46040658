//! Folders.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::process::geteuid;

use super::names::shown;
use crate::failure::{Exit, Failure, OrFail};

/// Makes a folder and those above it.
pub fn folder(path: &Path) -> Result<(), Failure> {
    if path.exists() && !path.is_dir() {
        return Err(
            Failure::new(Exit::Failed, format!("{} is no folder", shown(path))).help("name a folder, or a new one")
        );
    }
    fs::create_dir_all(path).or_fail(format!("cannot make the folder {}", shown(path)))
}

/// A folder for what is about to be made. Given up with nothing in it, it goes away again, with those above that were made for it.
#[must_use]
pub struct Folder {
    /// The deepest first.
    made: Vec<PathBuf>,
}

impl Folder {
    /// Makes what is not there.
    pub fn take(path: &Path) -> Result<Self, Failure> {
        if path == Path::new("-") {
            return Err(Failure::new(Exit::Usage, "several files do not go to standard output").help("name a folder"));
        }
        let taken = Self { made: missing(path) };
        folder(path)?;
        Ok(taken)
    }

    /// Makes what is not there, as [`private_folder`] does.
    pub fn take_private(path: &Path) -> Result<Self, Failure> {
        let taken = Self { made: missing(path) };
        private_folder(path)?;
        Ok(taken)
    }

    /// Makes what is not there, as [`empty_folder`] does, and refuses what it refuses.
    pub fn take_empty(path: &Path) -> Result<Self, Failure> {
        let taken = Self { made: missing(path) };
        empty_folder(path)?;
        Ok(taken)
    }
}

/// What has to be made for a folder, the deepest first.
fn missing(path: &Path) -> Vec<PathBuf> {
    let missing = path.ancestors().take_while(|above| !above.as_os_str().is_empty() && !above.exists());
    missing.map(Path::to_owned).collect()
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Only empty ones can go.
        for made in &self.made {
            let _ = fs::remove_dir(made);
        }
    }
}

/// Makes folders for their owner alone; folders that are there stay as they are.
pub fn private_folder(path: &Path) -> Result<(), Failure> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.or_fail(format!("cannot make the folder {}", shown(path)))
}

/// A folder for many files that are written by name: a new one for its owner alone, or an empty one that nobody else can put
/// something into meanwhile. A link in the way of one of them would lead what is written elsewhere.
pub fn empty_folder(path: &Path) -> Result<(), Failure> {
    private_folder(path)?;
    let cannot = || format!("cannot look at the folder {}", shown(path));
    let about = fs::metadata(path).or_fail(cannot())?;
    if fs::read_dir(path).or_fail(cannot())?.next().is_some() {
        let says = format!("{} is not empty", shown(path));
        return Err(Failure::new(Exit::Failed, says).help("name a new folder"));
    }
    let owner = geteuid().as_raw();
    if about.uid() != owner || about.mode() & OTHERS_WRITE != 0 {
        let says = format!("others may write into {}", shown(path));
        return Err(
            Failure::new(Exit::Failed, says).help("name a new folder, or one of your own that nobody else writes to")
        );
    }
    Ok(())
}

/// Group and others.
const OTHERS_WRITE: u32 = 0o022;
