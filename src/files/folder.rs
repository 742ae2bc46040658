//! Folders.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use super::names::shown;
use crate::failure::{Failure, OrFail};

/// Makes a folder and those above it.
pub fn folder(path: &Path) -> Result<(), Failure> {
    fs::create_dir_all(path).or_fail(format!("cannot make the folder {}", shown(path)))
}

/// The same, for their owner alone; folders that are there stay as they are.
pub fn private_folder(path: &Path) -> Result<(), Failure> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.or_fail(format!("cannot make the folder {}", shown(path)))
}
