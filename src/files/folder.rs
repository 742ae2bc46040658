//! Folders.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;

use rustix::process::geteuid;

use super::names::shown;
use crate::failure::{Exit, Failure, OrFail};

/// Makes a folder and those above it.
pub fn folder(path: &Path) -> Result<(), Failure> {
    fs::create_dir_all(path).or_fail(format!("cannot make the folder {}", shown(path)))
}

/// The same, for their owner alone; folders that are there stay as they are.
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
