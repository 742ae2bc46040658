//! The README's first command, as a newcomer runs it, with the binary that is built already.

use std::process::Command;

use crate::house::{DEMO_PORTS, fail, succeed};

#[test]
fn the_quickstart_shows_the_main_job_and_continues_when_run_again() {
    let _ports = DEMO_PORTS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let run = || {
        let mut quickstart = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/quickstart.sh"));
        quickstart
            .arg("--once")
            .env("CHANCERY_BIN", env!("CARGO_BIN_EXE_chancery"))
            .env("CHANCERY_DEMO", folder.path().join("demo"))
            .current_dir(folder.path());
        succeed(quickstart)
    };
    let said = run();
    for step in ["authority", "server", "acme", "ssh", "code", "renewal", "secret", "rotation", "audit", "dashboard"] {
        assert!(said.lines().any(|l| l.starts_with(step)), "{step} is one line in:\n{said}");
    }
    assert!(said.contains("localhost"), "{said}");
    // PostgreSQL is on the machine that runs these tests.
    assert!(said.contains("shop_b logged in, and now shop_a does"), "{said}");
    let again = run();
    assert!(again.contains("verified") && again.contains("logged in, and now"), "{again}");
    fail({
        let mut wrong = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/quickstart.sh"));
        wrong.arg("--no-such-flag");
        wrong
    });
}
