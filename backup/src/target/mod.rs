//! Where backups lie: a file, a folder, a pipe, a bucket of an S3-compatible store.

mod folder;
mod steady;
mod stores;

use std::fmt;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use stores::Access;

use policy::Timestamp;

use crate::error::BackupError;
use crate::name::{Name, newest};
use folder::FileDraft;
pub(crate) use steady::Steady;
use stores::{Bucket, Upload};

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
            Target::Bucket(bucket) => Upload::begin(bucket, &name).map(|upload| Draft::Upload(Box::new(upload))),
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
            Draft::Upload(_) => stores::PATIENCE,
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
    /// An object; of a prefix the newest of our names below it.
    Object(Box<Bucket>, String),
}

/// Where a backup was found.
#[derive(Clone, Debug)]
pub struct Found {
    /// The backup.
    pub source: Source,
    /// What was named is a folder or a prefix, and this the newest of our names there.
    pub is_newest: bool,
    /// The names there that were not taken, since they are of later than now.
    pub ahead: Vec<String>,
}

impl Found {
    /// What was named itself.
    fn named(source: Source) -> Found {
        Found { source, is_newest: false, ahead: Vec::new() }
    }

    /// The newest of a bucket.
    fn below(bucket: Bucket, name: String, ahead: Vec<String>) -> Found {
        Found { source: Source::Object(Box::new(bucket), name), is_newest: true, ahead }
    }
}

impl Source {
    /// Reads `-`, `s3://BUCKET/KEY`, a file or a folder, at a moment.
    pub fn parse(text: &str, access: &Access, now: Timestamp) -> Result<Found, BackupError> {
        if text == "-" {
            return Ok(Found::named(Source::Pipe));
        }
        let newest = |names: Vec<String>| newest(names, now).map_err(|why| BackupError::at(text, why));
        if let Some(rest) = text.strip_prefix(STORE) {
            let (prefix, key) = rest.rsplit_once('/').unwrap_or((rest, ""));
            let bucket = Bucket::new(prefix, access)?;
            if key.is_empty() {
                return newest(bucket.names()?).map(|(name, ahead)| Found::below(bucket, name, ahead));
            }
            // A name of ours is an object. Of another it is asked: `backup --to` takes a prefix without its slash.
            if Name::parse(key).is_some() || bucket.has(key)? {
                return Ok(Found::named(Source::Object(Box::new(bucket), key.to_owned())));
            }
            let below = bucket.below(key);
            let names = below.names()?;
            return match names.iter().any(|name| Name::parse(name).is_some()) {
                true => newest(names).map(|(name, ahead)| Found::below(below, name, ahead)),
                false => Err(BackupError::at(text, "is not there, and no backup lies below it")),
            };
        }
        let path = Path::new(text);
        match path.is_dir() {
            true => newest(folder::names(path)?).map(|(name, ahead)| {
                let source = Source::File(path.join(name));
                Found { source, is_newest: true, ahead }
            }),
            false if text.ends_with('/') => Err(BackupError::at(text, "is no folder that is there")),
            false => Ok(Found::named(Source::File(path.to_owned()))),
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

#[cfg(test)]
mod tests {
    use super::stores::{Says, Script, aside};
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix(1_790_000_000);

    fn list(keys: &[String]) -> Says {
        let keys: String = keys.iter().map(|key| format!("<Contents><Key>{key}</Key></Contents>")).collect();
        let root = "ListBucketResult";
        let text = format!("<{root} xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{keys}</{root}>");
        Says::This(200, "", text)
    }

    fn head(status: u16) -> Says {
        Says::This(status, "content-length: 9\r\n", String::new())
    }

    #[test]
    fn what_is_named_as_a_folder_and_is_none_is_said_so() {
        let folder = tempfile::tempdir().expect("a folder");
        let named = format!("{}/nosuch/", folder.path().display());
        let said = Source::parse(&named, &Access::default(), NOW).unwrap_err().to_string();
        assert_eq!(said, format!("{named}: is no folder that is there"));
    }

    #[test]
    fn a_prefix_without_its_slash_stands_for_the_newest_below_it() {
        let [old, new] = [-86_400, 0].map(|secs| Name::new("ca", NOW.plus_secs(secs)).to_string());
        aside(|| {
            let keys = [format!("mp/{new}"), format!("mp/{old}"), "mp/notes".to_owned()];
            let script = Script::new(vec![head(404), list(&keys)]);
            let found = Source::parse("s3://bk/mp", &script.access, NOW).unwrap();
            assert_eq!((found.source.to_string(), found.is_newest), (format!("s3://bk/mp/{new}"), true));
            // An object of that name goes first, and a name of ours is asked nothing about.
            let script = Script::new(vec![head(200)]);
            let found = Source::parse("s3://bk/mp", &script.access, NOW).unwrap();
            assert_eq!((found.source.to_string(), found.is_newest), ("s3://bk/mp".to_owned(), false));
            let ours = format!("s3://bk/mp/{old}");
            assert_eq!(Source::parse(&ours, &script.access, NOW).unwrap().source.to_string(), ours);
            let script = Script::new(vec![head(404), list(&["mp/notes".to_owned()])]);
            let none = Source::parse("s3://bk/mp", &script.access, NOW).unwrap_err().to_string();
            assert_eq!(none, "s3://bk/mp: is not there, and no backup lies below it");
        });
    }
}
