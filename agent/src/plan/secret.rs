//! The checked plan of one file that is made of secrets: of which, where it stands, how a service takes it up, and what becomes of it
//! when nobody answers for it any more. Immutable.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;

use secrets::Reference;

use super::command::Reload;
use super::origin::Server;

/// One file to keep.
#[derive(Debug, Clone)]
pub(crate) struct SecretFile {
    pub name: String,
    pub server: Server,
    /// Holds no value: references stand where values will.
    pub template: Vec<u8>,
    /// What `{env}` stands for in it.
    pub environment: Option<String>,
    /// Those of the template, each once.
    pub references: HashSet<Reference>,
    pub file: Place,
    /// Judges the new file before it takes the place of the old one; [`NEW_FILE`] in its arguments is the new file's path.
    pub check: Option<Reload>,
    pub on_change: OnChange,
    pub at_end: AtEnd,
    /// Between two looks.
    pub poll: Duration,
    /// No value is given out that is older, whatever the server lets be kept.
    pub max_age_secs: u64,
    pub cache: CachePlace,
}

/// Where the file stands, and who may read it.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub path: PathBuf,
    pub mode: u32,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    /// Whether it may lie on a disk, where it outlives the host's start and its own end.
    pub on_disk: bool,
}

/// Where values are kept, sealed, for when the server is away.
#[derive(Debug, Clone)]
pub(crate) struct CachePlace {
    pub folder: PathBuf,
    /// The folder in memory for its key; none: `/dev/shm`.
    pub keys: Option<PathBuf>,
}

/// What a service is told when the file is another.
#[derive(Debug, Clone)]
pub(crate) enum OnChange {
    /// Nothing: it looks at the file by itself.
    Nothing,
    Reload(Reload),
    Signal(Signal),
}

/// A signal to the process whose number stands in a file.
#[derive(Debug, Clone)]
pub(crate) struct Signal {
    /// As the plan writes it: `HUP`.
    pub name: String,
    pub number: i32,
    pub pid_file: PathBuf,
}

/// What becomes of the file when its values are not to be used any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AtEnd {
    /// It is taken away.
    Remove,
    /// It stays, and the status says that it is past its end.
    Keep,
}

/// In an argument of `check`: the new file's path.
pub(crate) const NEW_FILE: &str = "{}";
