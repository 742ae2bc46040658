//! A disk that fills up: writing is refused with `Unavailable`, reading goes on, and it all resumes by itself.
//!
//! The disk is the process's own file size limit (setrlimit), lowered and raised from outside with util-linux's `prlimit`: no
//! mount, no root. The test runs itself again under a shell that ignores SIGXFSZ, so that the limit is an error and
//! not a death.

mod support;

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use store::{Database, State, StoreError};
use support::*;

const INSIDE: &str = "CHANCERY_TEST_DISK_FULL";

#[test]
fn a_full_disk_is_said_to_be_full_and_resumes_by_itself() {
    if std::env::var_os(INSIDE).is_some() {
        return inside();
    }
    let this = std::env::current_exe().unwrap();
    let name = "a_full_disk_is_said_to_be_full_and_resumes_by_itself";
    let status = Command::new("sh")
        .args(["-c", "trap '' XFSZ; exec \"$0\" --exact \"$1\" --nocapture"])
        .arg(this)
        .arg(name)
        .env(INSIDE, "1")
        .stdin(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success(), "code {:?}, signal {:?}", status.code(), status.signal());
}

/// Files may grow to so many bytes, or without limit.
fn limit(bytes: &str) {
    let process = std::process::id().to_string();
    let status = Command::new("prlimit").args(["--pid", &process, &format!("--fsize={bytes}:")]).status();
    assert!(status.expect("prlimit runs (apt-get install util-linux)").success());
}

fn inside() {
    let dir = tempfile::tempdir().unwrap();
    let database = Database::Sqlite(dir.path().join("register.db"));
    run(async {
        let house = House::open(&database).await;
        let before = house.issue(1).await;
        let signature = house.signature(house.entry(2)).await;
        let operation = signature.operation();
        limit("0");
        let intended = house.ledger.intend(house.entry(3)).await;
        assert!(matches!(intended, Err(StoreError::Unavailable(_) | StoreError::Full(_))), "{intended:?}");
        let concluded = house.ledger.conclude(signature).await;
        assert!(matches!(concluded, Err(StoreError::Unavailable(_) | StoreError::Full(_))), "{concluded:?}");
        // Reading goes on.
        let there = house.ledger.credential(&before.serial_hex()).await.unwrap().unwrap();
        assert_eq!(there, before.into_credential());
        assert_eq!(house.ledger.unconcluded(house.world.now().plus_secs(1), 100).await.unwrap().len(), 1);
        limit("unlimited");
        // Nobody restarts anything; the signature that could not be written is not lost.
        house.issue(4).await;
        let late = house.ledger.credential_by_operation(operation).await.unwrap().unwrap();
        assert_eq!(late.state, State::Issued);
        assert_eq!(house.ledger.credential(&hex::encode(serial(3))).await.unwrap(), None);
        let report = verified(database.clone(), None);
        is_clean(&report);
        assert_eq!((report.certificates, report.unconcluded.len()), (3, 0));
    });
}
