//! Promise 5: the log of everything verifies; whatever is changed, cut off or swapped afterwards is found and named;
//! and neither our server nor our verifier has to be trusted for it.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::house::{House, PATIENCE, PYTHON, command, succeed, text, until};

fn client(name: &str) -> String {
    format!("{}/tests/clients/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// A house with something of every kind in its register, and a checkpoint over it.
fn busy_house() -> House {
    let house = House::started();
    for name in ["a.example.internal", "b.example.internal"] {
        house.run(&["issue", "tls", name, "--out", text(&house.path(name))]);
    }
    house.run(&["issue", "client", "agent.example.internal", "--out", text(&house.path("client"))]);
    let serial = house.json(&["certs", "list", "--name", "a.example.internal"])[0]["serial"]
        .as_str()
        .expect("a serial")
        .to_owned();
    house.run(&["certs", "renew", &serial, "--out", text(&house.path("renewed"))]);
    house.run(&["certs", "revoke", &serial, "--reason", "superseded"]);
    let key = house.path("id");
    succeed(command("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", text(&key)]));
    house.run(&["ssh", "sign-user", text(&house.path("id.pub")), "--principal", "alice"]);
    house.run(&[
        "ssh",
        "sign-host",
        text(&house.path("id.pub")),
        "--principal",
        "localhost",
        "--out",
        text(&house.path("host")),
    ]);
    house.run(&["issue", "code", "--key", "release", "--out", text(&house.path("code"))]);
    let file = house.path("file");
    std::fs::write(&file, b"content").expect("a file");
    house.run(&["sign", text(&file), "--key", "release", "--format", "cms"]);
    house.output(&["issue", "tls", "www.example.com", "--out", text(&house.path("refused"))]);
    // The head that covers all this is signed within a second or so.
    let covered = until(PATIENCE, || {
        let size = house.json(&["audit", "list", "--limit", "1"])[0]["i"].as_u64().map(|i| i + 1);
        checkpoint_size(&checkpoint(&house)) == size
    });
    assert!(covered, "a checkpoint covers the whole log");
    house
}

fn checkpoint(house: &House) -> String {
    house.curl(&[&house.https("/log/checkpoint")]).text()
}

fn checkpoint_size(checkpoint: &str) -> Option<u64> {
    checkpoint.lines().nth(1)?.parse().ok()
}

/// Verifies a database file with the house's pinned key; answers the exit code and the report.
fn verify(house: &House, database: &Path, saved: Option<&Path>) -> (Option<i32>, Value) {
    let config = house.ca("tampered.toml");
    let original = std::fs::read_to_string(house.ca("chancery.toml")).expect("chancery.toml");
    // On a host of the auditor's own: without what the node keeps itself.
    let elsewhere = original
        .replace("sqlite:chancery.db", &format!("sqlite:{}", database.display()))
        .replace("[log]\n", "[log]\nstate = \"elsewhere\"\n");
    assert!(elsewhere.contains("elsewhere"), "{original}");
    std::fs::write(&config, elsewhere).expect("a config");
    let mut verify = house.command(&["audit", "verify", "--no-token", "--json"]);
    verify.env("CHANCERY_CONFIG", &config);
    if let Some(saved) = saved {
        verify.arg("--checkpoint").arg(saved);
    }
    let Output { status, stdout, stderr } = verify.output().expect("the binary runs");
    let report =
        serde_json::from_slice(&stdout).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&stderr)));
    (status.code(), report)
}

fn flip(database: &Path, arguments: &[&str]) -> String {
    let mut python = Command::new(PYTHON);
    python.arg(client("flip.py")).arg(database).args(arguments);
    succeed(python)
}

#[test]
fn a_flipped_bit_a_cut_tail_and_a_swapped_pair_are_found_and_named() {
    let mut house = busy_house();
    let saved = house.path("saved-checkpoint");
    std::fs::write(&saved, checkpoint(&house)).expect("a saved checkpoint");
    house.stop();
    let (database, copy) = (house.ca("chancery.db"), house.path("copy.db"));
    // The whole content into one file, so that a copy of it is the register.
    succeed(command(
        PYTHON,
        &[
            "-c",
            "import sqlite3,sys; sqlite3.connect(sys.argv[1]).execute('PRAGMA wal_checkpoint(TRUNCATE)')",
            text(&database),
        ],
    ));
    let fresh = || {
        for stale in ["copy.db", "copy.db-wal", "copy.db-shm"] {
            let _ = std::fs::remove_file(house.path(stale));
        }
        std::fs::copy(&database, &copy).expect("a copy");
    };
    fresh();
    let (code, report) = verify(&house, &copy, Some(&saved));
    assert_eq!(code, Some(0), "{report}");
    assert!(report["certificates"].as_u64() >= Some(12), "{report}");

    let places = flip(&copy, &["list"]);
    assert!(places.lines().count() > 60, "{places}");
    for place in places.lines() {
        let [table, row, column] = place.split(' ').collect::<Vec<_>>()[..] else { panic!("{place}") };
        fresh();
        flip(&copy, &["flip", table, row, column]);
        let (code, report) = verify(&house, &copy, Some(&saved));
        assert_eq!(code, Some(5), "a flipped bit in {place} is found: {report}");
        let named = report["findings"].to_string();
        assert!(named.contains(table), "the finding for {place} names the table: {named}");
    }

    fresh();
    flip(&copy, &["delete-last-leaf"]);
    let (code, report) = verify(&house, &copy, Some(&saved));
    assert_eq!(code, Some(5), "a deleted last leaf is found: {report}");
    let last = checkpoint_size(&std::fs::read_to_string(&saved).expect("the checkpoint")).expect("a size") - 1;
    assert!(report["findings"].to_string().contains(&last.to_string()), "leaf {last} is named: {report}");

    fresh();
    let pair = flip(&copy, &["swap-leaves"]);
    let (code, report) = verify(&house, &copy, Some(&saved));
    assert_eq!(code, Some(5), "a swapped pair is found: {report}");
    for index in pair.split_whitespace() {
        let named = report["findings"].as_array().into_iter().flatten().any(|f| f["where"].to_string().contains(index));
        assert!(named, "leaf {index} is named: {report}");
    }

    fresh();
    flip(&copy, &["delete-checkpoints"]);
    let (code, report) = verify(&house, &copy, None);
    assert_eq!(code, Some(5), "a log that nothing signed vouches for is not taken for a good one: {report}");
    assert_eq!((&report["checkpoints"], &report["unsigned"]), (&0.into(), &report["leaves"]), "{report}");
}

#[test]
fn a_register_put_back_to_yesterday_is_found_with_a_saved_checkpoint() {
    let mut house = House::started();
    house.stop();
    let (database, yesterday) = (house.ca("chancery.db"), house.path("yesterday.db"));
    succeed(command(
        PYTHON,
        &[
            "-c",
            "import sqlite3,sys; sqlite3.connect(sys.argv[1]).execute('PRAGMA wal_checkpoint(TRUNCATE)')",
            text(&database),
        ],
    ));
    std::fs::copy(&database, &yesterday).expect("a copy");
    house.start();
    house.run(&["issue", "tls", "today.example.internal", "--out", text(&house.path("today"))]);
    let saved = house.path("saved");
    let newer = until(PATIENCE, || {
        let now = checkpoint(&house);
        std::fs::write(&saved, &now).expect("a saved checkpoint");
        let size = house.json(&["audit", "list", "--limit", "1"])[0]["i"].as_u64().map(|i| i + 1);
        checkpoint_size(&now) == size
    });
    assert!(newer);
    let (code, report) = verify(&house, &yesterday, None);
    assert_eq!(code, Some(0), "alone, yesterday's register is consistent: {report}");
    let (code, report) = verify(&house, &yesterday, Some(&saved));
    assert_eq!(code, Some(5), "against today's checkpoint it is not: {report}");
}

#[test]
fn the_log_verifies_for_a_program_that_knows_only_the_c2sp_documents() {
    let house = busy_house();
    let key = house.ca("log.vkey");
    let served = house.curl(&[&house.https("/log/key")]).text();
    assert_eq!(served.trim(), std::fs::read_to_string(&key).expect("log.vkey").trim());
    let base = house.https("/log");
    let (roots, token) = (house.ca("roots.pem"), house.ca("admin.token"));
    let said = succeed(command(PYTHON, &[&client("tlog_verify.py"), &base, text(&key), text(&roots), text(&token)]));
    let online: u64 = said.split(' ').next().and_then(|s| s.parse().ok()).expect("a size");
    assert!(online > 20, "{said}");

    // Checkpoints and tiles are public, entries are not.
    assert_eq!(house.curl(&[&house.https(&format!("/log/tile/0/000.p/{}", online.min(255)))]).status, 200);
    assert_eq!(house.curl(&[&house.https(&format!("/log/tile/entries/000.p/{}", online.min(255)))]).status, 401);

    // Exported: the same program, and our own, with no server and no HSM.
    let exported = house.path("exported");
    house.run(&["audit", "export", text(&exported)]);
    let said = succeed(command(PYTHON, &[&client("tlog_verify.py"), text(&exported), text(&key)]));
    assert!(said.split(' ').next().and_then(|s| s.parse::<u64>().ok()) >= Some(online), "{said}");
    let mut offline = house.command(&["audit", "verify", "--json", "--dir", text(&exported), "--key", text(&key)]);
    offline.env_remove("CHANCERY_CONFIG").env_remove("SOFTHSM2_CONF");
    let report: Value = serde_json::from_str(&succeed(offline)).expect("a report");
    assert_eq!(report["findings_total"], 0, "{report}");
    assert!(report["certificates"].as_u64() >= Some(12), "{report}");
    assert_eq!((&report["identity"], &report["key_from"]), (&"pinned".into(), &text(&key).into()), "{report}");

    // A folder alone says whose log it is, and nobody else does.
    let mut alone = house.command(&["audit", "verify", "--json", "--dir", text(&exported)]);
    alone.env_remove("CHANCERY_CONFIG").env_remove("SOFTHSM2_CONF");
    let alone = alone.output().expect("the binary runs");
    assert_eq!(alone.status.code(), Some(6));
    let (said, why): (Value, _) =
        (serde_json::from_slice(&alone.stdout).expect("a report"), String::from_utf8_lossy(&alone.stderr));
    assert_eq!(
        (&said["identity"], &said["key"], &said["key_from"]),
        (&"unchecked".into(), &report["key"], &Value::Null)
    );
    assert!(why.contains("consistent with itself, identity not checked"), "{why}");
}

#[test]
fn an_inclusion_proof_is_printed_for_every_entry() {
    let house = House::started();
    house.run(&["issue", "tls", "localhost", "--out", text(&house.path("x"))]);
    let covered = until(PATIENCE, || {
        let size = house.json(&["audit", "list", "--limit", "1"])[0]["i"].as_u64().map(|i| i + 1);
        checkpoint_size(&checkpoint(&house)) == size
    });
    assert!(covered);
    let proof: Value = serde_json::from_str(&house.run(&["audit", "prove", "3"])).expect("JSON");
    assert!(proof["proof"].as_array().is_some_and(|p| !p.is_empty()), "{proof}");
    assert!(proof["checkpoint"].is_string(), "{proof}");
}

/// A hash in an old entry can be read after the file changed, by asking and without asking the server.
#[test]
fn old_rules_can_be_read_by_their_hash() {
    let mut house = House::started();
    let issue = |house: &House, out: &str| {
        house.run(&["issue", "tls", "www.example.internal", "--out", text(&house.path(out))]);
        let leaves = house.json(&["audit", "list", "--limit", "20"]);
        let leaves = leaves.as_array().expect("leaves").clone();
        let ours = |leaf: &&Value| leaf["event"] == "intend" && leaf["actor"]["id"] == "token:admin";
        leaves.iter().rev().find(ours).expect("an intent").clone()
    };
    let before = issue(&house, "before");
    for (file, from, to) in
        [("profiles/tls-server.toml", "\"90d\"", "\"89d\""), ("policies/admin.cedar", "permit", " permit")]
    {
        let path = house.ca(file);
        let rules = std::fs::read_to_string(&path).expect("a file of rules");
        std::fs::write(&path, rules.replacen(from, to, 1)).expect("it is written");
    }
    house.stop();
    house.start();
    let after = issue(&house, "after");
    for pointer in ["/profile/hash", "/grant/policy"] {
        let hash = |leaf: &Value| leaf.pointer(pointer).and_then(Value::as_str).expect("a hash").to_owned();
        assert_ne!(hash(&before), hash(&after), "{pointer}");
        for hash in [hash(&before), hash(&after)] {
            let read = house.run(&["audit", "show", &hash]);
            let digest = ring::digest::digest(&ring::digest::SHA256, read.trim_end_matches('\n').as_bytes());
            assert_eq!(hex::encode(digest), hash, "{read}");
        }
    }
    let old = house.run(&["audit", "show", before["profile"]["hash"].as_str().expect("a hash")]);
    assert!(old.contains("\"90d\""), "{old}");
    house.stop();
    house.run(&["audit", "verify"]);
}
