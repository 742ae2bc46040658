//! What a node keeps outside the database: the newest head it saw, so that a register put back to yesterday is noticed at the
//! next start.
//!
//! Files of one folder, for the service's user alone:
//! `head`        the newest head, rewritten in place after each batch; at most a second old after a power loss
//! `checkpoint`  the newest signed checkpoint, flushed
//! `held`        why this node stopped writing; only an operator's command takes it away
//! `burned`      a size up to which no checkpoint is signed: an earlier history of this log may have signed there
//! `fold`        an image of the fold, so that a start reads only the leaves that came since
//!
//! Whoever has the folder open holds a lock on `head`: an operator who begins it anew must be alone.
//!
//! A file that is there and cannot be read is never taken for one that is not there: the start is refused. Only the image costs
//! nothing but time.
//!
//! Trusted for: how far the log was. Whoever deletes the folder makes the node believe the next sealed head it meets.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::PoisonError;

use rustix::fs::{FlockOperation, flock};

use crate::log::{Checkpoint, Hash, Head};
use crate::nouns::error::StoreError;

pub(crate) const HEAD: &str = "head";
pub(crate) const CHECKPOINT: &str = "checkpoint";
const HELD: &str = "held";
const BURNED: &str = "burned";
const FOLD: &str = "fold";
/// One line, padded, so that an older and longer one never shows behind it.
const HEAD_BYTES: usize = 128;
/// A reason is a sentence.
const HELD_BYTES_MAX: usize = 4_096;

/// The folder; none where a register is opened without one (tests, tools that only look).
#[derive(Debug)]
pub(crate) struct Anchor {
    dir: PathBuf,
    head: Mutex<File>,
}

impl Anchor {
    /// Opens the folder, or makes it. Several may have it open, but not while an operator begins it anew.
    pub fn open(dir: &Path) -> Result<Anchor, StoreError> {
        Anchor::open_with(
            dir,
            FlockOperation::NonBlockingLockShared,
            "`chancery audit resume` is at work on it: try again",
        )
    }

    /// Opens the folder for an operator who begins it anew: a service that runs would write its own head over it.
    pub fn open_alone(dir: &Path) -> Result<Anchor, StoreError> {
        Anchor::open_with(dir, FlockOperation::NonBlockingLockExclusive, "the service runs on it: stop it first")
    }

    fn open_with(dir: &Path, lock: FlockOperation, taken: &str) -> Result<Anchor, StoreError> {
        let away = |e: std::io::Error| StoreError::Unavailable(format!("the folder {}: {e}", dir.display()));
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(away)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        options.custom_flags(no_follow());
        let head = options.open(dir.join(HEAD)).map_err(away)?;
        flock(&head, lock).map_err(|e| match e {
            rustix::io::Errno::WOULDBLOCK => StoreError::Conflict(format!("the folder {}: {taken}", dir.display())),
            other => away(other.into()),
        })?;
        Ok(Anchor { dir: dir.to_owned(), head: Mutex::new(head) })
    }

    /// The newest head that this node saw, by either file; refused if one is there that no node wrote.
    pub fn newest(&self) -> Result<Option<Head>, StoreError> {
        Ok([self.plain()?, self.signed()?].into_iter().flatten().max_by_key(|head| head.size))
    }

    /// The newest head in what can be read: for an operator who goes on without the rest.
    pub fn newest_readable(&self) -> Option<Head> {
        let found = [self.plain(), self.signed()].into_iter().filter_map(|found| {
            found.unwrap_or_else(|error| {
                tracing::warn!(%error, "gone on without it");
                None
            })
        });
        found.max_by_key(|head| head.size)
    }

    fn plain(&self) -> Result<Option<Head>, StoreError> {
        let mut line = vec![0; HEAD_BYTES];
        let read = self.file().read_at(&mut line, 0).map_err(|e| self.away(HEAD, &e))?;
        line.truncate(read);
        if line.is_empty() {
            // Made a moment ago; or emptied, where there is what comes after it.
            let is_new = ![FOLD, HELD].iter().any(|later| self.dir.join(later).exists());
            return if is_new { Ok(None) } else { Err(self.unreadable(HEAD)) };
        }
        let head = std::str::from_utf8(&line).ok().and_then(parse_head);
        head.map(Some).ok_or_else(|| self.unreadable(HEAD))
    }

    fn signed(&self) -> Result<Option<Head>, StoreError> {
        let Some(note) = self.read(CHECKPOINT)? else { return Ok(None) };
        match Checkpoint::parse(&note) {
            Ok(checkpoint) => Ok(Some(Head { size: checkpoint.size, root: checkpoint.root })),
            Err(_) => Err(self.unreadable(CHECKPOINT)),
        }
    }

    /// Flushes the noted head.
    pub fn flush(&self) -> Result<(), StoreError> {
        self.file().sync_all().map_err(|e| self.away(HEAD, &e))
    }

    /// Notes a head. Not flushed: a process that is killed loses nothing, a host that loses power at most what came since
    /// the last checkpoint. A failure is logged and nothing else: the head is durable in the database.
    pub fn note_head(&self, head: &Head) {
        let line = format!("{:<width$}\n", format!("{} {}", head.size, hex::encode(head.root)), width = HEAD_BYTES - 1);
        if let Err(error) = self.file().write_all_at(line.as_bytes(), 0) {
            tracing::warn!(%error, dir = %self.dir.display(), "the head could not be noted outside the database");
        }
    }

    /// Keeps a signed checkpoint, flushed.
    pub fn note_checkpoint(&self, note: &str) -> Result<(), StoreError> {
        self.replace(CHECKPOINT, note.as_bytes())
    }

    /// Why this node stopped writing.
    pub fn held(&self) -> Result<Option<String>, StoreError> {
        self.read(HELD)
    }

    /// Notes that this node stopped writing, for the next start too.
    pub fn note_held(&self, why: &str) {
        let why: String = why.chars().take(HELD_BYTES_MAX / 4).collect();
        if let Err(error) = self.replace(HELD, why.as_bytes()) {
            tracing::error!(%error, "that this node stopped writing could not be noted for its next start");
        }
    }

    /// The size up to which no checkpoint is signed.
    pub fn burned(&self) -> Result<u64, StoreError> {
        let Some(text) = self.read(BURNED)? else { return Ok(0) };
        text.trim().parse().map_err(|_| {
            let path = self.dir.join(BURNED);
            StoreError::Held(format!(
                "{} is no number: write the size of the greatest checkpoint that anybody kept into it, and try again",
                path.display()
            ))
        })
    }

    /// No checkpoint of these sizes is signed any more: of the history that is given up they may have been, which cannot be taken
    /// back, and there are never two checkpoints of one size.
    pub fn burn(&self, size: u64) -> Result<(), StoreError> {
        self.replace(BURNED, self.burned()?.max(size).to_string().as_bytes())
    }

    /// Begins again at a head: an operator said so, and a leaf says why. That the node was held goes last: whatever breaks off
    /// before leaves a node that is still held.
    pub fn begin_at(&self, head: &Head) -> Result<(), StoreError> {
        self.remove(FOLD)?;
        self.remove(CHECKPOINT)?;
        self.note_head(head);
        self.flush()?;
        self.remove(HELD)?;
        // From here on it is a folder like any other.
        let shared = flock(&*self.file(), FlockOperation::NonBlockingLockShared);
        shared.map_err(|e| self.away(HEAD, &e.into()))
    }

    fn remove(&self, name: &str) -> Result<(), StoreError> {
        match fs::remove_file(self.dir.join(name)) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(self.away(name, &e)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// The image of the fold.
    pub fn image(&self) -> Option<Vec<u8>> {
        fs::read(self.dir.join(FOLD)).ok()
    }

    /// Keeps an image of the fold.
    pub fn note_image(&self, image: &[u8]) -> Result<(), StoreError> {
        self.replace(FOLD, image)
    }

    fn file(&self) -> std::sync::MutexGuard<'_, File> {
        self.head.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, name: &str) -> Result<Option<String>, StoreError> {
        match fs::read_to_string(self.dir.join(name)) {
            Ok(text) => Ok(Some(text)),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(self.away(name, &e)),
        }
    }

    /// Whole or not at all, flushed: a new file takes the old one's place.
    fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let (path, new) = (self.dir.join(name), self.dir.join(format!("{name}.new")));
        let write = || -> std::io::Result<()> {
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(true).mode(0o600).custom_flags(no_follow());
            let mut file = options.open(&new)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&new, &path)?;
            File::open(&self.dir)?.sync_all()
        };
        write().map_err(|e| self.away(name, &e))
    }

    fn unreadable(&self, name: &str) -> StoreError {
        StoreError::Held(format!(
            "{} is there and is not what a node writes: put it back from a backup of this folder, or go on without what it knew",
            self.dir.join(name).display()
        ))
    }

    fn away(&self, name: &str, e: &std::io::Error) -> StoreError {
        StoreError::Unavailable(format!("{}: {e}", self.dir.join(name).display()))
    }
}

/// A link in the place of one of our files is somebody else's idea.
fn no_follow() -> i32 {
    i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or(0)
}

/// A head as it stands in its file.
pub(crate) fn parse_head(line: &str) -> Option<Head> {
    let (size, root) = line.trim().split_once(' ')?;
    let root: Hash = hex::decode(root).ok()?.try_into().ok()?;
    Some(Head { size: size.parse().ok()?, root })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_head_is_known_again_and_an_operator_begins_anew() {
        let dir = tempfile::tempdir().unwrap();
        let (small, large) = (Head { size: 9, root: [1; 32] }, Head { size: 1_000_000, root: [2; 32] });
        let anchor = Anchor::open(&dir.path().join("state")).unwrap();
        assert_eq!(anchor.newest().unwrap(), None);
        anchor.note_head(&large);
        anchor.note_head(&small);
        anchor.note_held("cut");
        let again = Anchor::open(&dir.path().join("state")).unwrap();
        assert_eq!(again.newest().unwrap(), Some(small));
        assert_eq!(again.held().unwrap().as_deref(), Some("cut"));
        again.burn(12).unwrap();
        again.begin_at(&large).unwrap();
        assert_eq!((again.newest().unwrap(), again.held().unwrap()), (Some(large), None));
        again.burn(7).unwrap();
        assert_eq!(again.burned().unwrap(), 12);
    }

    #[test]
    fn a_head_that_was_emptied_is_not_taken_for_that_of_a_new_folder() {
        let dir = tempfile::tempdir().unwrap();
        let anchor = Anchor::open(dir.path()).unwrap();
        assert_eq!(anchor.newest().unwrap(), None);
        anchor.note_head(&Head { size: 9, root: [1; 32] });
        anchor.note_image(b"an image").unwrap();
        fs::write(dir.path().join(HEAD), b"").unwrap();
        assert!(Anchor::open(dir.path()).unwrap().newest().unwrap_err().to_string().contains(HEAD));
    }

    #[test]
    fn a_file_that_no_node_wrote_is_not_taken_for_none() {
        for name in [HEAD, CHECKPOINT, BURNED] {
            for bytes in [&b"garbage"[..], &[0; 128], &[0xff; 40]] {
                let dir = tempfile::tempdir().unwrap();
                fs::write(dir.path().join(name), bytes).unwrap();
                let anchor = Anchor::open(dir.path()).unwrap();
                let read = if name == BURNED { anchor.burned().map(drop) } else { anchor.newest().map(drop) };
                assert!(read.unwrap_err().to_string().contains(name), "{name}");
            }
        }
    }
}
