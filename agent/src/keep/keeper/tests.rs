//! Whole passes over a disk that fails at every single step: journal, files, reload, way back, status.
//!
//! The new certificate waits as a candidate in the state folder, so that no server is needed: from there on, a pass
//! is disk and reload alone.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use policy::{Name, World};
use tokio::sync::Mutex;

use super::*;
use crate::credential::{KeyKind, key_matches};
use crate::disk::{Disk, Op, RealDisk};
use crate::plan::{Acme, Cadence, Files, Http01, Reload, Source};
use crate::source::{Answers, Windows};
use crate::testing::{self, After, Face, FaultyDisk, at, bundle, bundle_until};

/// Old certificates end here, and passes run a little before.
const OLD_END: i64 = 2_000_000_000;

struct Host {
    folder: tempfile::TempDir,
    two_folders: bool,
    /// A script; its first argument is the host's folder.
    reload: &'static str,
}

impl Host {
    /// A host with an old pair installed, or none, and a new certificate waiting.
    fn new(two_folders: bool, old: bool, reload: &'static str) -> Self {
        let folder = testing::folder();
        fs::create_dir(folder.path().join("private")).unwrap();
        fs::create_dir(folder.path().join("state")).unwrap();
        let host = Self { folder, two_folders, reload };
        if old {
            let old = bundle_until("www.example.internal", OLD_END);
            swap::install(&RealDisk, &FileSet::wanted(&host.plan(), &old)).unwrap();
        }
        let desk = Desk::open(&RealDisk, &host.path("state"), "web").unwrap();
        let (fetched, wish) = (at(OLD_END - 100), host.plan().wish());
        desk.write_candidate(&Candidate { fetched, wish, bundle: bundle("www.example.internal") }).unwrap();
        host
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn plan(&self) -> Certificate {
        let key = match self.two_folders {
            true => self.path("private/web.key"),
            false => self.path("web.key"),
        };
        Certificate {
            name: "web".to_owned(),
            names: vec![Name::parse("www.example.internal").unwrap()],
            source: Source::Acme(Acme {
                directory: "https://127.0.0.1:1/directory".to_owned(),
                ca_file: self.path("no-roots.pem"),
                contact: vec![],
                profile: None,
                external_account: None,
                http01: Http01::Webroot(self.path("webroot")),
            }),
            files: Files {
                key,
                cert: Some(self.path("web.crt")),
                chain: None,
                fullchain: Some(self.path("web.pem")),
                mode: None,
                uid: None,
                gid: None,
            },
            key: KeyKind::P256,
            reuse_key: false,
            reload: Some(Reload {
                program: "/bin/sh".to_owned(),
                args: ["-c", self.reload, "reload", &self.folder.path().to_string_lossy()].map(str::to_owned).to_vec(),
                timeout: Duration::from_secs(10),
            }),
            check: None,
            cadence: Cadence::default(),
        }
    }

    async fn pass(&self, disk: Arc<dyn Disk>) -> Status {
        let (_stop, stop) = watch::channel(false);
        let keeper = Keeper {
            plan: self.plan(),
            reach: Arc::new(Reach {
                world: World::fixed(at(OLD_END - 50), 1),
                disk,
                state_dir: self.path("state").as_path().into(),
                answers: Answers::default(),
                windows: Windows::default(),
                accounts: Mutex::new(()),
            }),
            permits: Arc::new(Semaphore::new(1)),
            stop,
        };
        keeper.pass().await
    }

    async fn healthy_pass(&self) -> Status {
        self.pass(Arc::new(RealDisk)).await
    }

    fn leaf(&self) -> Option<Leaf> {
        let plan = self.plan();
        let found = FileSet::read("web", None, plan.files.paths()).unwrap();
        found.pair(&plan.files)
    }

    /// A key and a certificate are there that do not belong together.
    fn mixed(&self) -> bool {
        let leaf = fs::read(self.path("web.pem")).ok().and_then(|pem| Leaf::first_of(&pem).ok());
        let key = fs::read_to_string(self.plan().files.key).ok();
        matches!((leaf, key), (Some(leaf), Some(key)) if !key_matches(&key, &leaf))
    }

    fn is_old(&self) -> bool {
        self.leaf().is_some_and(|leaf| leaf.not_after == at(OLD_END))
    }

    fn is_new(&self) -> bool {
        self.leaf().is_some_and(|leaf| leaf.not_after > at(OLD_END))
    }

    fn journal(&self) -> bool {
        self.path("state/web/journal.json").exists()
    }
}

/// Every step x every face x crash or health after it, in both layouts, with and without old files.
async fn each_case(reload: &'static str, check: impl AsyncFn(&Host, &Status, bool, &str)) {
    for two_folders in [false, true] {
        for old in [true, false] {
            for face in [Face::Failed, Face::FailedButDone, Face::Torn] {
                for after in [After::Crash, After::Health] {
                    for step in 0.. {
                        let host = Host::new(two_folders, old, reload);
                        let disk = Arc::new(FaultyDisk::new(step, face, after));
                        let status = host.pass(disk.clone()).await;
                        if !disk.failed() {
                            break;
                        }
                        let case = format!("two folders: {two_folders}, old: {old}, {face:?}, {after:?}, step {step}");
                        check(&host, &status, old, &case).await;
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn a_pass_after_any_crash_ends_in_the_new_pair() {
    each_case("exit 0", async |host, _, _, case| {
        if host.mixed() {
            assert!(host.two_folders && host.journal(), "{case}: a mixed pair without a journal");
        }
        let mut status = host.healthy_pass().await;
        assert!(!host.mixed(), "{case}");
        if !host.is_new() {
            // The failed pass had turned back already: the next one installs.
            assert_eq!(status.state, State::RolledBack, "{case}");
            status = host.healthy_pass().await;
        }
        assert!(host.is_new(), "{case}: {status:?}");
        assert_eq!(status.state, State::Ok, "{case}");
        assert!(!host.journal(), "{case}");
    })
    .await;
}

#[tokio::test]
async fn a_reload_that_fails_ends_in_the_old_pair_after_any_crash() {
    each_case("exit 9", async |host, _, old, case| {
        let status = host.healthy_pass().await;
        assert!(!host.mixed(), "{case}");
        match old {
            true => {
                assert!(host.is_old(), "{case}: {status:?}");
                assert_eq!(status.state, State::RolledBack, "{case}");
                assert!(!host.journal(), "{case}");
            }
            // Nothing to go back to: the new pair stays, and the failure is told.
            false => {
                assert!(host.is_new(), "{case}: {status:?}");
                assert_eq!(status.state, State::Failed, "{case}");
            }
        }
        assert!(status.last_error.unwrap().contains("status 9"), "{case}");
    })
    .await;
}

#[tokio::test]
async fn a_way_back_once_begun_is_finished_though_the_reload_works_again() {
    let begun = AtomicUsize::new(0);
    each_case("test -e $1/tried || { touch $1/tried; exit 9; }", async |host, _, _, case| {
        let journal = fs::read_to_string(host.path("state/web/journal.json")).unwrap_or_default();
        if !journal.contains("\"back\"") {
            return;
        }
        begun.fetch_add(1, Ordering::SeqCst);
        let status = host.healthy_pass().await;
        assert!(host.is_old(), "{case}");
        assert_eq!(status.state, State::RolledBack, "{case}");
        assert!(status.last_error.unwrap().contains("status 9"), "{case}: the first reason is kept");
    })
    .await;
    assert!(begun.into_inner() >= 10);
}

#[tokio::test]
async fn a_renewal_is_counted_once_and_a_first_enrolment_is_none() {
    for old in [true, false] {
        let host = Host::new(false, old, "exit 0");
        let status = host.healthy_pass().await;
        assert_eq!((status.state, status.renewals), (State::Ok, u64::from(old)));
        let again = host.healthy_pass().await;
        assert_eq!(again, status, "a second pass finds nothing due");
    }
}

#[tokio::test]
async fn a_first_install_that_is_not_served_is_tried_again_without_the_server() {
    let mut host = Host::new(false, false, "exit 9");
    let status = host.healthy_pass().await;
    assert_eq!((status.state, status.failures), (State::Failed, 1));
    let leaf = host.leaf();
    host.reload = "exit 0";
    let status = host.healthy_pass().await;
    assert_eq!((status.state, status.failures), (State::Ok, 0));
    assert_eq!(host.leaf(), leaf);
}

#[tokio::test]
async fn a_journal_that_is_old_by_now_is_finished_and_gone_on_from() {
    let due_already = bundle_until("www.example.internal", OLD_END);
    let for_other_names = bundle("old.example.internal");
    for (what, new) in [("due", due_already), ("other names", for_other_names)] {
        let host = Host::new(false, true, "exit 0");
        let plan = host.plan();
        let old = FileSet::read("web", None, plan.files.paths()).unwrap();
        let (files, wish) = (FileSet::wanted(&plan, &new), plan.wish());
        let journal = Journal { direction: Direction::Forward, old, new: files, wish };
        Desk::open(&RealDisk, &host.path("state"), "web").unwrap().write_journal(&journal).unwrap();
        let status = host.healthy_pass().await;
        assert!(!host.journal(), "{what}");
        assert_eq!(host.leaf(), Some(new.leaf().unwrap()), "{what}");
        // It asks for another in the same pass; there is no server here.
        assert_eq!(status.state, State::Failed, "{what}");
        assert!(status.last_error.unwrap().contains("no-roots.pem"), "{what}");
    }
}

#[tokio::test]
async fn a_failed_fetch_touches_nothing_and_says_what_it_could_not_reach() {
    let host = Host::new(false, true, "exit 0");
    fs::remove_file(host.path("state/web/candidate.json")).unwrap();
    let before = snapshot(host.folder.path());
    let status = host.healthy_pass().await;
    assert_eq!(status.state, State::Failed);
    assert!(status.last_error.unwrap().contains("no-roots.pem"));
    assert!(status.next_renewal.unwrap() > at(OLD_END - 50));
    fs::remove_file(host.path("state/web/status.json")).unwrap();
    assert_eq!(snapshot(host.folder.path()), before);
}

/// A disk with room for what is small.
struct Full;

impl Disk for Full {
    fn apply(&self, op: &Op<'_>) -> std::io::Result<()> {
        match op {
            Op::Write(_, image) if image.content().len() > 16 << 10 => Err(std::io::ErrorKind::StorageFull.into()),
            _ => RealDisk.apply(op),
        }
    }
}

#[tokio::test]
async fn nobody_is_asked_for_what_there_is_no_room_for() {
    let host = Host::new(false, true, "exit 0");
    fs::remove_file(host.path("state/web/candidate.json")).unwrap();
    let status = host.pass(Arc::new(Full)).await;
    let why = status.last_error.unwrap();
    assert!(why.contains(".room") && !why.contains("no-roots.pem"), "{why}");
    assert!(host.is_old());
}

#[tokio::test]
async fn secrets_are_closed_to_others_and_gone_when_done() {
    let host = Host::new(true, true, "exit 9");
    host.healthy_pass().await;
    for name in ["candidate.json", "status.json"] {
        use std::os::unix::fs::MetadataExt;
        let metadata = fs::metadata(host.path("state/web").join(name)).unwrap();
        assert_eq!(metadata.mode() & 0o777, 0o600, "{name}");
    }
    let status = fs::read_to_string(host.path("state/web/status.json")).unwrap();
    assert!(!status.contains("PRIVATE"), "{status}");
    let mut host = host;
    host.reload = "exit 0";
    host.healthy_pass().await;
    assert!(!host.path("state/web/candidate.json").exists());
}

/// Every path below `folder` with its content.
fn snapshot(folder: &Path) -> Vec<(PathBuf, Option<Vec<u8>>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.is_symlink() {
            found.extend(snapshot(&path));
        }
        found.push((path.clone(), fs::read(&path).ok()));
    }
    found.sort();
    found
}
