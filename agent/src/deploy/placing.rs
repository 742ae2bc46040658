//! One file of secrets in its place: written whole beside it, and then by one rename. Never follows a link, and never writes on a disk
//! unless the plan says so.
//!
//! Several agents of one user may keep lines of one file: each is alone with it, by a lock that only they can open, from reading what stands
//! there to the rename. What is renamed is what this process finished. What is only taken away waits for no lock.
//!
//! Trusted for: the file is the agent's or its owner's before anything is in it, whoever opens it sees all of one moment, no line that another
//! agent put there is lost, and nothing else in its folder is touched. Whoever owns that folder, or may write to it, can at most make the agent
//! fail to put another file there, or take the file away; whoever may only read it, nothing.

use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::disk::{Disk, Folder, Image, Lock, Op, Owner, parent};
use crate::error::AgentError;
use crate::plan::FilePlace;

/// The open folder of one file.
pub(crate) struct Placing<'a> {
    disk: &'a dyn Disk,
    folder: Folder,
    name: &'a OsStr,
    /// The file's hidden neighbour, which takes its place.
    next: OsString,
    /// The other one, which is locked: the file itself is another one after each rename.
    lock: OsString,
}

impl<'a> Placing<'a> {
    /// Opens the folder, which is made where it alone is missing.
    ///
    /// # Errors
    /// It is somebody else's, leads over a link, or lies on a disk and the plan does not say that it may.
    pub fn open(disk: &'a dyn Disk, file: &'a FilePlace) -> Result<Self, AgentError> {
        let path = parent(&file.path);
        let owner = Owner::Named(file.uid);
        let failed = |e| AgentError::disk(path, "the folder cannot be used", e);
        let folder = match Folder::open(path, owner) {
            Err(e) if e.kind() == ErrorKind::NotFound => {
                let above = Folder::open(parent(path), owner).map_err(failed)?;
                disk.make_dir(&above, path.file_name().unwrap_or_default(), FOLDER_MODE, owner)?
            }
            opened => opened.map_err(failed)?,
        };
        if !file.on_disk && !delivery::is_in_memory(&folder) {
            let why = "it lies on a disk, where values outlive the host's start: name a folder on a tmpfs (/run), or write \
                       on_disk = true into file";
            return Err(AgentError::Content { path: path.to_owned(), why: why.to_owned() });
        }
        // The plan refuses paths that name no file.
        let name = file.path.file_name().unwrap_or_default();
        if folder.is_mount(name) {
            let why = "it is a mount of its own, which cannot be replaced at once: mount its folder instead";
            return Err(AgentError::Content { path: file.path.clone(), why: why.to_owned() });
        }
        Ok(Self { disk, folder, name, next: beside(name, ".chancery-new"), lock: beside(name, ".chancery-lock") })
    }

    /// What stands there now. A link, or what is no regular file, is refused.
    pub fn standing(&self) -> Result<Option<Image>, AgentError> {
        let path = self.folder.path().join(self.name);
        self.folder.read(self.name).map_err(|e| AgentError::disk(&path, "the file cannot be read", e))
    }

    /// What can be seen of it without reading it: another one is seen when somebody else wrote to it.
    pub fn seen(&self) -> Option<Seen> {
        self.seen_of(self.name)
    }

    fn seen_of(&self, name: &OsStr) -> Option<Seen> {
        let stat = self.folder.look(name).ok().flatten()?;
        let changed = (stat.st_ctime, stat.st_ctime_nsec);
        Some(Seen { of: (stat.st_dev, stat.st_ino), size: stat.st_size, changed })
    }

    /// Alone with the file, for as long as that is held: not across a wait for anybody. Another agent that is at work there is waited for.
    ///
    /// # Errors
    /// It is held for too long, or the lock's file is somebody else's: whoever owns the folder can do that.
    pub async fn alone(&self) -> Result<Alone<'_>, AgentError> {
        self.alone_within(LOCK_TRIES).await
    }

    async fn alone_within(&self, tries: u32) -> Result<Alone<'_>, AgentError> {
        let path = self.folder.path().join(&self.lock);
        let failed = |e| AgentError::disk(&path, "the file cannot be locked", e);
        for _ in 0..tries {
            if let Some(lock) = self.folder.lock(&self.lock).map_err(failed)? {
                return Ok(Alone { placing: self, _lock: lock });
            }
            tokio::time::sleep(LOCK_PAUSE).await;
        }
        let why = "another agent holds its lock (flock) for too long; fuser says who: the next pass tries again";
        Err(failed(io::Error::other(why)))
    }

    /// Takes away what a crash left beside the file; where nothing is, nobody is waited for.
    ///
    /// # Errors
    /// As [`alone`](Self::alone).
    pub async fn clear(&self) -> Result<(), AgentError> {
        match self.seen_of(&self.next) {
            Some(_) => self.alone().await?.discard(),
            None => Ok(()),
        }
    }

    /// Takes the file away, and what was to take its place: its values are not to be used any more. Waits for nobody; another agent that
    /// was just about to place one finds that it is gone.
    pub fn remove(&self) -> Result<(), AgentError> {
        self.disk.make(Op::Remove(self.folder.spot(self.name)))?;
        self.disk.make(Op::Remove(self.folder.spot(&self.next)))?;
        self.disk.make(Op::SyncDir(&self.folder))
    }
}

/// A hidden neighbour of a file.
fn beside(name: &OsStr, kind: &str) -> OsString {
    let mut beside = OsString::from(".");
    beside.push(name);
    beside.push(kind);
    beside
}

/// The file, with no other agent at work on it.
pub(crate) struct Alone<'p> {
    placing: &'p Placing<'p>,
    _lock: Lock,
}

impl Alone<'_> {
    /// The new file, whole, beside the old one.
    pub fn write(&self, image: &Image) -> Result<Written, AgentError> {
        let Placing { disk, folder, next, .. } = self.placing;
        disk.make(Op::Write(folder.spot(next), image))?;
        Ok(Written { path: folder.path().join(next), seen: self.placing.seen_of(next) })
    }

    /// It takes the place of the old one.
    ///
    /// # Errors
    /// Somebody else wrote to it meanwhile: what nobody here finished, or judged, takes no place.
    pub fn place(&self, written: &Written) -> Result<(), AgentError> {
        let Placing { disk, folder, name, next, .. } = self.placing;
        if written.seen.is_none() || self.placing.seen_of(next) != written.seen {
            let why = "another is there than was written: a check wrote to it, or another agent keeps the same file";
            return Err(AgentError::disk(&written.path, "the file cannot be put in place", io::Error::other(why)));
        }
        disk.make(Op::Rename { folder, from: next, to: name })?;
        disk.make(Op::SyncDir(folder))
    }

    /// Takes a new file away, also one that a run before left.
    pub fn discard(&self) -> Result<(), AgentError> {
        let Placing { disk, folder, next, .. } = self.placing;
        disk.make(Op::Remove(folder.spot(next)))
    }
}

/// A new file that waits for its place.
#[derive(Debug)]
pub(crate) struct Written {
    path: PathBuf,
    seen: Option<Seen>,
}

impl Written {
    /// Where it waits.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// What can be seen of a file without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    of: (u64, u64),
    size: i64,
    /// Whoever writes to it, or gives it another mode, moves this (ctime), and cannot set it.
    changed: (i64, u64),
}

/// The service gets through to its file, and lists nothing; the file's own mode guards it.
const FOLDER_MODE: u32 = 0o711;
/// Between two tries to be alone: whoever is at work there writes a file of a mebibyte at most.
const LOCK_PAUSE: Duration = Duration::from_millis(10);
/// Five seconds of them: a slow disk that flushes twice for each of some agents.
const LOCK_TRIES: u32 = 500;

#[cfg(test)]
mod tests {
    use std::fs;

    use tokio::task::JoinSet;

    use super::*;
    use crate::credential::{KeyLine, keys_in, with_keys};
    use crate::disk::RealDisk;
    use crate::testing::folder;

    fn at(path: &Path) -> FilePlace {
        FilePlace { path: path.to_owned(), mode: 0o644, uid: None, gid: None, on_disk: true }
    }

    fn image(text: &[u8]) -> Image {
        Image::new(text.to_vec(), 0o644)
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn several_agents_keep_lines_of_one_file_and_none_is_lost() {
        let folder = folder();
        let path = folder.path().join("deploy");
        let mut agents = JoinSet::new();
        for agent in 0..4 {
            let file = at(&path);
            let secret: secrets::SecretPath = format!("prod/hosts/agent-{agent}").parse().unwrap();
            agents.spawn(async move {
                for version in 1..=50 {
                    let placing = Placing::open(&RealDisk, &file).unwrap();
                    let alone = placing.alone().await.unwrap();
                    alone.discard().unwrap();
                    let there = placing.standing().unwrap();
                    let there = there.as_ref().map_or(&[][..], Image::content);
                    // What was put there before stands there still, whoever came between.
                    let stands: Vec<u64> = keys_in(there, &secret).into_iter().map(|(version, _)| version).collect();
                    assert_eq!(stands, (1..version).rev().take(1).collect::<Vec<_>>());
                    let keys = [KeyLine { version, line: "ssh-ed25519 one".to_owned() }];
                    let written = alone.write(&image(&with_keys(there, &secret, &keys, None))).unwrap();
                    alone.place(&written).unwrap();
                }
            });
        }
        while let Some(ended) = agents.join_next().await {
            ended.unwrap();
        }
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 4);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing is left beside it but the lock");
    }

    #[tokio::test]
    async fn a_file_that_another_agent_holds_is_waited_for_and_then_left_as_it_is() {
        let folder = folder();
        let file = at(&folder.path().join("deploy"));
        let placing = Placing::open(&RealDisk, &file).unwrap();
        let held = placing.alone().await.unwrap();
        let refused = placing.alone_within(2).await.err().map(|error| error.chain()).unwrap();
        assert!(refused.contains("cannot be locked") && refused.contains("the next pass"), "{refused}");
        // What ends goes all the same.
        fs::write(folder.path().join("deploy"), "one").unwrap();
        fs::write(folder.path().join(".deploy.chancery-new"), "other").unwrap();
        placing.remove().unwrap();
        let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, [".deploy.chancery-lock"]);
        placing.clear().await.unwrap();
        drop(held);
        placing.alone_within(1).await.unwrap().discard().unwrap();
    }

    #[tokio::test]
    async fn a_stranger_who_may_list_the_folder_holds_nobody_up() {
        let folder = folder();
        let file = at(&folder.path().join("deploy"));
        let stranger = fs::File::open(folder.path()).unwrap();
        stranger.lock().unwrap();
        let placing = Placing::open(&RealDisk, &file).unwrap();
        let alone = placing.alone_within(1).await.unwrap();
        alone.place(&alone.write(&image(b"one")).unwrap()).unwrap();
    }

    #[tokio::test]
    async fn what_another_wrote_takes_no_place_and_what_a_crash_left_goes() {
        let folder = folder();
        let path = folder.path().join("deploy");
        let (file, left) = (at(&path), folder.path().join(".deploy.chancery-new"));
        let (one, other) = (Placing::open(&RealDisk, &file).unwrap(), Placing::open(&RealDisk, &file).unwrap());
        let first = one.alone().await.unwrap().write(&image(b"one")).unwrap();
        let second = other.alone().await.unwrap().write(&image(b"other")).unwrap();
        let refused = one.alone().await.unwrap().place(&first).unwrap_err().chain();
        assert!(refused.contains("another agent keeps the same file") && !path.exists(), "{refused}");
        other.alone().await.unwrap().place(&second).unwrap();
        assert_eq!((fs::read(&path).unwrap(), left.exists()), (b"other".to_vec(), false));
        fs::write(&left, "half").unwrap();
        one.alone().await.unwrap().discard().unwrap();
        assert!(!left.exists() && path.exists());
    }
}
