//! What a refused configuration says.

use std::fmt;
use std::path::{Path, PathBuf};

/// A configuration that is refused: where, why, and what to write instead.
#[derive(Debug)]
pub struct ConfigError {
    file: PathBuf,
    key: String,
    reason: String,
    write: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.file.display(), self.key, self.reason)?;
        if self.write.is_empty() { Ok(()) } else { write!(f, "; write: {}", self.write) }
    }
}

impl std::error::Error for ConfigError {}

impl ConfigError {
    pub(super) fn new(file: &Path, key: &str, reason: String, write: &str) -> Self {
        Self { file: file.to_owned(), key: key.to_owned(), reason, write: write.to_owned() }
    }
}
