//! By which key of a log the register in a backup is believed: by this place's own, which lies beside its configuration; where none does, by the
//! one in the backup, and that is believed by somebody's word alone.

use std::fmt;
use std::path::{Path, PathBuf};

use store::Contents;

use crate::failure::Failure;
use crate::files;

/// Where the key lies, beside a configuration and in a backup.
pub const FILE: &str = "log.vkey";
/// A verifier key is a line.
const BYTES_MAX: u64 = 64 << 10;

/// A verifier key (C2SP signed-note), and whose it is.
pub struct LogKey {
    /// The key.
    pub text: String,
    /// Whose.
    pub whose: Whose,
}

/// Whose a key is.
pub enum Whose {
    /// This place's, in this file.
    Place(PathBuf),
    /// The backup's own: whoever made the backup made it too.
    Backup,
}

impl Whose {
    /// For programs.
    pub fn as_str(&self) -> &'static str {
        match self {
            Whose::Place(_) => "place",
            Whose::Backup => "backup",
        }
    }
}

impl fmt::Display for Whose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Whose::Place(file) => write!(f, "the key of this place's log ({})", files::shown(file)),
            Whose::Backup => write!(f, "the {FILE} in the backup itself"),
        }
    }
}

/// The key by which what is in a backup is believed: the one beside this configuration, or else the backup's own; none where neither has one.
pub fn believed(found: &Contents, place: Option<&Path>) -> Result<Option<LogKey>, Failure> {
    if let Some(key) = place.map(of_place).transpose()?.flatten() {
        return Ok(Some(key));
    }
    let own = found.companions.iter().find(|file| file.name == FILE);
    // What is no text is no key, and is said to be none.
    let text = own.map(|file| String::from_utf8_lossy(&file.bytes).trim().to_owned());
    Ok(text.map(|text| LogKey { text, whose: Whose::Backup }))
}

/// The key that lies beside a configuration.
pub fn of_place(config: &Path) -> Result<Option<LogKey>, Failure> {
    let file = beside(config, FILE);
    if !file.exists() {
        return Ok(None);
    }
    let text = files::text(&file, BYTES_MAX)?.trim().to_owned();
    Ok(Some(LogKey { text, whose: Whose::Place(file) }))
}

/// A file of the folder of a configuration.
pub fn beside(config: &Path, name: &str) -> PathBuf {
    config.parent().unwrap_or(Path::new(".")).join(name)
}
