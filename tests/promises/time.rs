//! A clock that was wrong once: the service says so, and an operator's word is the way back.

use crate::house::{House, PATIENCE, command, succeed, text, until};
use crate::judges::listed;
use crate::postgres::Postgres;

/// The environment of a process whose clock is ahead by so much (`+2h`, `+4d`); time goes by in it as everywhere.
pub(crate) fn ahead(by: &str) -> [(&'static str, String); 3] {
    let found = std::fs::read_dir("/usr/lib").expect("/usr/lib").flatten();
    let library = found.map(|e| e.path().join("faketime/libfaketimeMT.so.1")).find(|path| path.exists());
    let library = library.expect("libfaketime is installed (apt-get install libfaketime)");
    [
        ("LD_PRELOAD", text(&library).to_owned()),
        ("FAKETIME", by.to_owned()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
    ]
}

/// What is asked of the last hour is of the server's: by the client's own nothing would be in it.
#[test]
fn a_client_whose_clock_is_ahead_reports_by_the_servers() {
    let house = House::started();
    let run = |arguments: &[&str]| {
        let mut ahead_by_days = house.command(arguments);
        ahead_by_days.envs(ahead("+2d"));
        let told = succeed(ahead_by_days);
        serde_json::from_str::<serde_json::Value>(&told).unwrap_or_else(|error| panic!("{error}: {told}"))
    };
    let report = run(&["report", "--since", "1h"]);
    let now = succeed(command("date", &["-u", "+%FT%TZ"]));
    assert!(report["report"]["at"].as_str() <= Some(now.trim()), "{report} at {now}");
    assert!(report["proofs"].as_array().is_some_and(|rows| !rows.is_empty()), "{report}");
    let entries = run(&["audit", "list", "--since", "1h", "--json"]);
    assert!(entries.as_array().is_some_and(|entries| !entries.is_empty()), "{entries}");
}

fn launch_ahead(house: &mut House) {
    let environment = ahead("+2h");
    house.launch(&environment.each_ref().map(|(name, value)| (*name, value.as_str())));
}

fn serves(house: &House) -> bool {
    until(PATIENCE, || house.curl(&[&house.https("/healthz")]).status == 200)
}

fn answers(house: &House, status: u16) -> bool {
    until(PATIENCE, || house.curl(&[&house.http("/readyz")]).status == status)
}

#[test]
fn a_server_that_came_up_two_hours_ahead_is_led_back_by_one_word() {
    let mut house = House::started();
    house.run(&["issue", "tls", "api.example.internal", "--out", text(&house.path("before"))]);
    let issued = house.json(&["certs", "list", "--name", "api.example.internal"]);
    house.stop();
    launch_ahead(&mut house);
    // Its own certificate is the one issuance.
    house.await_ready();
    house.stop();

    house.launch(&[]);
    assert!(answers(&house, 503), "{}", house.server_log());
    // HTTPS has a certificate all the same, or nobody could revoke; nothing else is issued.
    assert!(serves(&house), "{}", house.server_log());
    let serial = issued[0]["serial"].as_str().expect("a serial");
    house.run(&["certs", "revoke", serial, "--reason", "superseded"]);
    assert!(until(PATIENCE, || listed(&house, serial)), "{}", house.server_log());
    let refused = house.output(&["issue", "tls", "localhost", "--out", text(&house.path("held"))]);
    assert!(!refused.status.success());
    assert_eq!(house.curl(&[&house.http("/crl/tls.crl")]).status, 200, "what is published stays so");
    // Said part by part, and with the way out.
    let ready = house.curl(&[&house.http("/readyz")]).json();
    let part = |name: &str| ready[name].as_bool();
    assert_eq!(
        (part("clock"), part("hsm"), part("register"), part("https")),
        (Some(false), Some(true), Some(true), Some(true))
    );
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("chancery clock accept --reason") && !said.contains("HSM"), "{said}");
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
fn a_server_that_the_database_contradicts_issues_nothing_but_its_own_certificate() {
    let postgres = Postgres::start();
    let mut house = House::with(&["--demo", "--database", &postgres.url()]);
    launch_ahead(&mut house);
    let said = |house: &House| house.server_log().contains("but the database shows");
    assert!(until(PATIENCE, || said(&house)), "{}", house.server_log());
    assert!(answers(&house, 503));
    assert!(serves(&house), "{}", house.server_log());
    let refused = house.output(&["issue", "tls", "localhost", "--out", text(&house.path("held"))]);
    assert!(!refused.status.success());
    // By the database's clock, not by its own.
    let newest = house.json(&["certs", "list", "--limit", "1"]);
    let now = succeed(command("date", &["-u", "+%FT%TZ"]));
    assert!(newest[0]["not_before"].as_str() <= Some(now.trim()), "{newest} at {now}");
    house.kill();
    let report = house.json(&["audit", "verify"]);
    assert_eq!(report["findings_total"], 0, "{report}");
    // Nothing is to be led back.
    house.start();
}
