//! A clock that was wrong once: the service says so, and an operator's word is the way back.

use crate::house::{House, PATIENCE, text, until};
use crate::postgres::Postgres;

/// The environment of a process whose clock is two hours ahead; time goes by in it as everywhere.
fn two_hours_ahead() -> [(&'static str, String); 3] {
    let found = std::fs::read_dir("/usr/lib").expect("/usr/lib").flatten();
    let library = found.map(|e| e.path().join("faketime/libfaketimeMT.so.1")).find(|path| path.exists());
    let library = library.expect("libfaketime is installed (apt-get install libfaketime)");
    [
        ("LD_PRELOAD", text(&library).to_owned()),
        ("FAKETIME", "+2h".to_owned()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
    ]
}

fn launch_ahead(house: &mut House) {
    let environment = two_hours_ahead();
    house.launch(&environment.each_ref().map(|(name, value)| (*name, value.as_str())));
}

fn answers(house: &House, status: u16) -> bool {
    until(PATIENCE, || house.curl(&[&house.http("/readyz")]).status == status)
}

#[test]
fn a_server_that_came_up_two_hours_ahead_is_led_back_by_one_word() {
    let mut house = House::new();
    launch_ahead(&mut house);
    // Its own certificate is the one issuance.
    house.await_ready();
    house.stop();

    house.launch(&[]);
    assert!(answers(&house, 503), "{}", house.server_log());
    assert_eq!(house.curl(&[&house.http("/crl/tls.crl")]).status, 200, "what is published stays so");
    // Without a certificate nobody is kept waiting in a handshake, and it is said which part is missing.
    let ready = house.curl(&[&house.http("/readyz")]).json();
    assert_eq!(
        (&ready["https"], &ready["clock"], &ready["hsm"]),
        (&false.into(), &false.into(), &true.into()),
        "{ready}"
    );
    let refused = house.output(&["certs", "list"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(4) && said.contains("alert"), "{said}");
    let shown = house.json(&["clock", "show"]);
    assert!(shown["held"].as_str().is_some_and(|why| why.contains("chancery clock accept")), "{shown}");
    let accepted = house.json(&["clock", "accept", "--reason", "the host came up two hours ahead"]);
    assert!(accepted["to"].as_str() < accepted["from"].as_str(), "{accepted}");
    // The running server goes on by it, with no more than that.
    house.await_ready();
    house.run(&["issue", "tls", "localhost", "--out", text(&house.path("after"))]);
    house.stop();
    let report = house.json(&["audit", "verify"]);
    assert_eq!((&report["findings_total"], &report["times_set"]), (&0.into(), &1.into()), "{report}");
    assert_eq!(report["words"][0]["reason"], "the host came up two hours ahead", "{report}");
}

#[test]
fn a_server_that_the_database_contradicts_writes_nothing() {
    let postgres = Postgres::start();
    let mut house = House::with(&["--demo", "--database", &postgres.url()]);
    let leaves = house.json(&["audit", "verify"])["leaves"].clone();
    launch_ahead(&mut house);
    let said = |house: &House| house.server_log().contains("but the database shows");
    assert!(until(PATIENCE, || said(&house)), "{}", house.server_log());
    assert!(answers(&house, 503));
    house.kill();
    let report = house.json(&["audit", "verify"]);
    assert_eq!((&report["leaves"], &report["findings_total"]), (&leaves, &0.into()), "{report}");
    // Nothing is to be led back.
    house.start();
}
