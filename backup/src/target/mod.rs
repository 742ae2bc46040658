//! Where backups lie: a file, a folder, a pipe, a bucket of an S3-compatible store.

mod bucket;
mod folder;
mod steady;

use std::fmt;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use bucket::Access;

use policy::Timestamp;

use crate::error::BackupError;
use crate::name::{Name, newest};
use bucket::{Bucket, Upload};
use folder::FileDraft;
pub(crate) use steady::Steady;

const STORE: &str = "s3://";
/// A pipe or a folder that takes nothing for so long is left.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where a backup goes.
#[derive(Clone, Debug)]
pub enum Target {
    /// Under this name.
    File(PathBuf),
    /// Under a name of ours in this folder.
    Folder(PathBuf),
    /// To standard output.
    Pipe,
    /// Under a name of ours in a bucket.
    Bucket(Box<Bucket>),
}

impl Target {
    /// Reads `-`, `s3://BUCKET/PREFIX`, a folder (one that is there, or a path that ends in `/`), or a file.
    pub fn parse(text: &str, access: &Access) -> Result<Target, BackupError> {
        if text == "-" {
            return Ok(Target::Pipe);
        }
        if let Some(rest) = text.strip_prefix(STORE) {
            return Ok(Target::Bucket(Box::new(Bucket::new(rest, access)?)));
        }
        // Without a slash twice: it is shown, and stands in the log.
        let path: PathBuf = Path::new(text).components().collect();
        Ok(if text.ends_with('/') || path.is_dir() { Target::Folder(path) } else { Target::File(path) })
    }

    /// Takes the place: whatever stands there already is found now.
    pub(crate) fn begin(&self, name: &Name) -> Result<Draft, BackupError> {
        let name = name.to_string();
        match self {
            Target::File(path) => FileDraft::new(path).map(Draft::File),
            Target::Folder(dir) => FileDraft::new(&dir.join(name)).map(Draft::File),
            Target::Pipe => Ok(Draft::Pipe(std::io::stdout())),
            Target::Bucket(bucket) => bucket.upload(&name).map(|upload| Draft::Upload(Box::new(upload))),
        }
    }

    /// What lies there; of a file and a pipe nothing, since nothing is pruned there.
    pub(crate) fn names(&self) -> Result<Vec<String>, BackupError> {
        match self {
            Target::Folder(dir) => folder::names(dir),
            Target::Bucket(bucket) => bucket.names(),
            Target::File(_) | Target::Pipe => Ok(Vec::new()),
        }
    }

    pub(crate) fn remove(&self, name: &str) -> Result<(), BackupError> {
        match self {
            Target::Folder(dir) => {
                let path = dir.join(name);
                std::fs::remove_file(&path).map_err(|e| BackupError::at(path.display(), e))
            }
            Target::Bucket(bucket) => bucket.remove(name),
            Target::File(_) | Target::Pipe => Ok(()),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::File(path) | Target::Folder(path) => write!(f, "{}", path.display()),
            Target::Pipe => write!(f, "standard output"),
            Target::Bucket(bucket) => write!(f, "{bucket}"),
        }
    }
}

/// A backup that has no name yet.
pub(crate) enum Draft {
    File(FileDraft),
    Pipe(std::io::Stdout),
    Upload(Box<Upload>),
}

impl Draft {
    /// For how long it may take nothing.
    pub(crate) fn patience(&self) -> Duration {
        match self {
            Draft::File(_) | Draft::Pipe(_) => PATIENCE,
            // Its requests have bounds of their own.
            Draft::Upload(_) => bucket::PATIENCE,
        }
    }

    /// Gives it its name; answers where it lies.
    pub(crate) fn publish(self, bytes: u64) -> Result<String, BackupError> {
        match self {
            Draft::File(file) => file.publish(),
            Draft::Pipe(mut out) => {
                out.flush().map_err(|e| BackupError::at("standard output", e))?;
                Ok("standard output".to_owned())
            }
            Draft::Upload(upload) => upload.publish(bytes),
        }
    }
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Draft::File(file) => file.write(bytes),
            Draft::Pipe(out) => out.write(bytes),
            Draft::Upload(upload) => upload.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Draft::File(file) => file.flush(),
            Draft::Pipe(out) => out.flush(),
            // A part is sent when it is full.
            Draft::Upload(_) => Ok(()),
        }
    }
}

/// Where a backup comes from.
#[derive(Clone, Debug)]
pub enum Source {
    /// A file; of a folder the newest of our names in it.
    File(PathBuf),
    /// Standard input.
    Pipe,
    /// An object; of a prefix that ends in `/` the newest of our names below it.
    Object(Box<Bucket>, String),
}

impl Source {
    /// Reads `-`, `s3://BUCKET/KEY`, a file or a folder, at a moment; and which names of a folder were not taken, since they are of later
    /// than that.
    pub fn parse(text: &str, access: &Access, now: Timestamp) -> Result<(Source, Vec<String>), BackupError> {
        if text == "-" {
            return Ok((Source::Pipe, Vec::new()));
        }
        let of = |names: Vec<String>| newest(names, now).map_err(|why| BackupError::at(text, why));
        if let Some(rest) = text.strip_prefix(STORE) {
            let (prefix, key) = rest.rsplit_once('/').unwrap_or((rest, ""));
            let bucket = Bucket::new(prefix, access)?;
            let (key, ahead) = if key.is_empty() { of(bucket.names()?)? } else { (key.to_owned(), Vec::new()) };
            return Ok((Source::Object(Box::new(bucket), key), ahead));
        }
        let path = Path::new(text);
        match path.is_dir() {
            true => of(folder::names(path)?).map(|(name, ahead)| (Source::File(path.join(name)), ahead)),
            false => Ok((Source::File(path.to_owned()), Vec::new())),
        }
    }

    pub(crate) fn open(&self) -> Result<Box<dyn Read + Send>, BackupError> {
        match self {
            Source::File(path) => {
                let file = std::fs::File::open(path).map_err(|e| BackupError::at(path.display(), e))?;
                Ok(Box::new(file))
            }
            Source::Pipe => Ok(Box::new(std::io::stdin())),
            Source::Object(bucket, key) => bucket.download(key),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::File(path) => write!(f, "{}", path.display()),
            Source::Pipe => write!(f, "standard input"),
            Source::Object(bucket, key) => write!(f, "{bucket}/{key}"),
        }
    }
}
