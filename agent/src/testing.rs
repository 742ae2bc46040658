//! Small makers for the unit tests of this crate, a disk that fails on demand, and one that knows what is flushed.

use std::cmp::Ordering::{Equal, Greater, Less};
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use policy::Timestamp;
use rcgen::{CertificateParams, KeyPair};
use tempfile::TempDir;

use crate::credential::{Bundle, Leaf, sha256};
use crate::disk::{Disk, Op, RealDisk, parent};

pub(crate) fn at(secs: i64) -> Timestamp {
    Timestamp::from_unix(secs)
}

/// A folder of its own, in memory where the system has that: these tests flush thousands of times.
pub(crate) fn folder() -> TempDir {
    match Path::new("/dev/shm").is_dir() {
        true => tempfile::tempdir_in("/dev/shm").unwrap(),
        false => tempfile::tempdir().unwrap(),
    }
}

/// A leaf valid from `not_before` to `not_after`, both included; its fingerprint follows from `seed`.
pub(crate) fn leaf_between(not_before: i64, not_after: i64, seed: u8) -> Leaf {
    let mut leaf = bundle("www.example.internal").leaf().unwrap();
    leaf.not_before = at(not_before);
    leaf.not_after = at(not_after);
    leaf.fingerprint = sha256(&[seed]);
    leaf
}

/// A self-signed certificate that never ends, and its key.
pub(crate) fn bundle(name: &str) -> Bundle {
    bundle_until(name, 4_000_000_000)
}

/// A self-signed certificate from 1970 to `not_after`, and its key.
pub(crate) fn bundle_until(name: &str, not_after: i64) -> Bundle {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.not_before = (UNIX_EPOCH + Duration::from_secs(0)).into();
    params.not_after = (UNIX_EPOCH + Duration::from_secs(not_after.unsigned_abs())).into();
    let certificate = params.self_signed(&key).unwrap();
    Bundle::new(key.serialize_pem().into(), &certificate.pem()).unwrap()
}

/// How a step fails: the two faces of a failure, and a third for writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Face {
    /// It was not done.
    Failed,
    /// It was done, and the answer was lost.
    FailedButDone,
    /// Half of it was done (only a write has halves).
    Torn,
}

/// What comes after the failed step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum After {
    /// Nothing: the process is gone.
    Crash,
    /// The disk works again.
    Health,
}

/// A disk that fails at one step.
pub(crate) struct FaultyDisk {
    at: usize,
    face: Face,
    after: After,
    done: AtomicUsize,
}

impl FaultyDisk {
    /// Fails at step `at`, counted from 0.
    pub fn new(at: usize, face: Face, after: After) -> Self {
        let done = AtomicUsize::new(0);
        Self { at, face, after, done }
    }

    /// Whether the step that fails was reached.
    pub fn failed(&self) -> bool {
        self.done.load(Ordering::SeqCst) > self.at
    }
}

impl Disk for FaultyDisk {
    fn apply(&self, op: &Op<'_>) -> io::Result<()> {
        let step = self.done.fetch_add(1, Ordering::SeqCst);
        let gone = Err(io::Error::other("injected"));
        match (step.cmp(&self.at), self.after) {
            (Less, _) | (Greater, After::Health) => RealDisk.apply(op),
            (Greater, After::Crash) => gone,
            (Equal, _) => {
                match (self.face, op) {
                    (Face::Failed, _) => {}
                    (Face::Torn, Op::Write(at, image) | Op::Rewrite(at, image)) => {
                        let half = image.content().len() / 2;
                        std::fs::write(at.path(), image.content().get(..half).unwrap())?;
                    }
                    (Face::FailedButDone | Face::Torn, op) => RealDisk.apply(op)?,
                }
                gone
            }
        }
    }
}

/// A disk that knows what a power loss would take: folders whose names nobody flushed.
#[derive(Default)]
pub(crate) struct WatchedDisk(Mutex<BTreeSet<PathBuf>>);

impl WatchedDisk {
    /// Asserts that every folder that was made is there to stay.
    pub fn assert_durable(&self) {
        assert_eq!(*self.0.lock().unwrap(), BTreeSet::new(), "not flushed");
    }
}

impl Disk for WatchedDisk {
    fn apply(&self, op: &Op<'_>) -> io::Result<()> {
        match op {
            Op::MakeDir(at, _) if !at.path().exists() => _ = self.0.lock().unwrap().insert(at.path()),
            Op::SyncDir(folder) => self.0.lock().unwrap().retain(|path| parent(path) != folder.path()),
            // What was written gets its name.
            Op::Rename { .. } => self.assert_durable(),
            _ => {}
        }
        RealDisk.apply(op)
    }
}
