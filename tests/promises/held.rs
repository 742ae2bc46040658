//! A register that was put back under a running service: everything says that, and the one way out, until an operator took it.

use std::process::Output;

use serde_json::Value;

use crate::house::{House, PATIENCE, PYTHON, command, succeed, text, until};

/// A copy of one database into another, whatever has either open.
const COPY: &str = "import sqlite3,sys\nsqlite3.connect(sys.argv[1]).backup(sqlite3.connect(sys.argv[2]))";

fn copy(from: &std::path::Path, to: &std::path::Path) {
    succeed(command(PYTHON, &["-c", COPY, text(from), text(to)]));
}

fn code(output: &Output) -> Option<i32> {
    output.status.code()
}

fn told(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

/// The serial of the newest certificate.
fn newest(house: &House) -> String {
    house.json(&["certs", "list", "--limit", "1"])[0]["serial"].as_str().expect("a serial").to_owned()
}

#[test]
fn a_register_put_back_under_the_service_is_said_by_everything_with_the_way_out() {
    let mut house = House::started();
    let (database, yesterday) = (house.ca("chancery.db"), house.path("yesterday.db"));
    let issue = |house: &House, name: &str| {
        let (host, out) = (format!("{name}.example.internal"), house.path(name));
        house.output(&["issue", "tls", &host, "--out", text(&out)])
    };
    assert_eq!(code(&issue(&house, "kept")), Some(0));
    copy(&database, &yesterday);
    for name in ["lost", "lost-too", "lost-as-well"] {
        assert_eq!(code(&issue(&house, name)), Some(0));
    }
    let lost = newest(&house);
    // The token has the newest checkpoint for certain when a node ends.
    house.stop();
    house.start();
    let size = |house: &House| house.curl_admin(&[&house.https("/api/v1/audit?limit=1")]).json()["size"].as_u64();
    let known = size(&house);
    copy(&yesterday, &database);
    assert!(until(PATIENCE, || house.curl(&[&house.http("/readyz")]).status == 503), "{}", house.server_log());

    // Part by part, and nothing is said of the others.
    let ready = house.curl(&[&house.http("/readyz")]).json();
    assert_eq!((&ready["hsm"], &ready["register"], &ready["clock"]), (&true.into(), &false.into(), &true.into()));
    assert_eq!(ready["why"]["register"], "held", "{ready}");
    let status = house.curl_admin(&[&house.https("/api/v1/status")]).json();
    let alarms = status["alarms"].as_array().expect("alarms").clone();
    assert!(alarms.len() == 1 && alarms[0].as_str().is_some_and(|a| a.contains("audit resume --reason")), "{alarms:?}");

    // What cannot be done says why not, and never "try again".
    let revoke: &[&str] = &["certs", "revoke", &lost];
    let commands: [&[&str]; 3] =
        [&["issue", "tls", "no.example.internal", "--out", "no"], &["certs", "show", &lost], revoke];
    for arguments in commands {
        let refused = house.output(arguments);
        let (_, said) = told(&refused);
        assert_eq!(code(&refused), Some(4), "{arguments:?}: {said}");
        assert!(said.contains("chancery audit resume --reason"), "{arguments:?}: {said}");
        assert!(!said.contains("HSM") && !said.contains("again in") && !said.contains("promise"), "{said}");
    }
    // Looking at a row that is not there is no cause of its own.
    let status = house.curl_admin(&[&house.https("/api/v1/status")]).json();
    assert_eq!(status["alarms"].as_array().map(Vec::len), Some(1), "{status}");
    // What can be read is read, and a line says what it is worth.
    for arguments in [&["certs", "list"][..], &["audit", "list", "--limit", "2"], &["token", "list"]] {
        let listed = house.output(arguments);
        let (out, said) = told(&listed);
        assert_eq!(code(&listed), Some(0), "{arguments:?}: {said}");
        assert!(out.lines().count() > 2 && !out.contains("is empty"), "{arguments:?}: {out}");
        assert!(said.contains("The register is held"), "{arguments:?}: {said}");
    }
    assert!(size(&house) < known);
    let (jar, token) = (house.path("cookies"), format!("token={}", house.admin_token()));
    let signed_in = house.curl(&["-c", text(&jar), "--data-urlencode", &token, &house.https("/login")]);
    assert_eq!(signed_in.status, 303);
    let page = house.curl(&["-b", text(&jar), &house.https("/")]).text();
    for said in ["register held", "The register is held: what is listed", "One alarm<"] {
        assert!(page.contains(said), "{said}: {page}");
    }

    // Nobody goes on beside the service, and the auditor is not content.
    let refused = house.output(&["audit", "resume", "--reason", "restored"]);
    assert!(
        !refused.status.success() && told(&refused).1.contains("stop the service, give the same command again"),
        "{refused:?}"
    );
    house.stop();
    let verified = house.output(&["audit", "verify"]);
    let (out, _) = told(&verified);
    assert_eq!(code(&verified), Some(5), "{out}");
    assert!(out.contains("put back to an older state") && out.contains("state/checkpoint ("), "{out}");
    assert!(out.contains("the token ("), "{out}");
    assert!(told(&verified).1.contains("audit resume --reason TEXT"), "{verified:?}");
    // Each of the two alone tells.
    let folder = house.ca("state");
    assert_eq!(code(&house.output(&["audit", "verify", "--no-token"])), Some(5));
    std::fs::rename(&folder, house.path("away")).expect("the folder is away");
    assert_eq!(code(&house.output(&["audit", "verify"])), Some(5));
    assert_eq!(code(&house.output(&["audit", "verify", "--no-token"])), Some(0), "nobody knows better then");
    std::fs::rename(house.path("away"), &folder).expect("the folder is back");

    // Going on, once, with a reason that can be read by every way of reading.
    for reason in ["", "  "] {
        assert_eq!(code(&house.output(&["audit", "resume", "--reason", reason])), Some(2));
    }
    let resumed = house.json(&["audit", "resume", "--reason", "disk died, Tuesday's backup"]);
    let (from, to) = (resumed["known"].to_string(), resumed["size"].to_string());
    let report = house.json(&["audit", "verify"]);
    assert_eq!((&report["findings_total"], &report["resumptions"]), (&0.into(), &1.into()), "{report}");
    let is_told = |word: &Value| {
        assert_eq!(word["reason"], "disk died, Tuesday's backup", "{word}");
        assert_eq!((&word["kind"], &word["actor"]), (&"resumption".into(), &"system:operator".into()), "{word}");
        assert_eq!((word["from"].as_str(), word["to"].as_str()), (Some(from.as_str()), Some(to.as_str())), "{word}");
    };
    is_told(&report["words"][0]);
    let entry = report["words"][0]["index"].to_string();
    let again = house.output(&["audit", "resume", "--reason", "once more"]);
    assert_eq!(code(&again), Some(3), "{again:?}");
    assert!(told(&again).1.contains("nothing is held"), "{again:?}");
    assert_eq!(house.json(&["audit", "verify"])["leaves"], report["leaves"], "and nothing was written");

    house.start();
    is_told(&house.json(&["audit", "show", &entry])["word"]);
    let listed = house.run(&["audit", "list", "--limit", "1000"]).replace(['\n', ' '], "");
    assert!(listed.contains("diskdied"), "{listed}");
}

#[test]
fn an_empty_register_is_nothing_to_go_on_from() {
    let house = House::new();
    let empty = "import sqlite3,sys\nd=sqlite3.connect(sys.argv[1])\nd.execute('PRAGMA journal_mode=DELETE')\n\
         names=[n for n, in d.execute(\"SELECT name FROM sqlite_master WHERE type='table' AND name NOT IN ('migration','head')\")]\n\
         [d.execute('DELETE FROM '+n) for n in names]\n\
         d.execute(\"UPDATE head SET size=0, edge=x'', time=0, seal=x''\")\nd.commit()";
    copy(&house.ca("chancery.db"), &house.path("empty.db"));
    succeed(command(PYTHON, &["-c", empty, text(&house.path("empty.db"))]));
    for file in ["chancery.db", "chancery.db-wal", "chancery.db-shm"] {
        let _ = std::fs::remove_file(house.ca(file));
    }
    // Nothing but `init` makes a register, and it does not go on with that one either.
    std::fs::copy(house.path("empty.db"), house.ca("chancery.db")).expect("an empty register");
    let refused = house.output(&["audit", "resume", "--reason", "the disk died"]);
    assert!(!refused.status.success() && told(&refused).1.contains("the register is empty"), "{refused:?}");
    let verified = house.output(&["audit", "verify"]);
    assert_eq!(code(&verified), Some(5), "{verified:?}");
}

#[test]
fn a_word_about_a_clock_that_nobody_doubts_is_not_taken() {
    let house = House::started();
    let refused = house.output(&["clock", "accept", "--reason", "just so"]);
    assert_eq!(code(&refused), Some(3), "{refused:?}");
    assert!(told(&refused).1.contains("nobody doubts"), "{refused:?}");
    assert_eq!(house.json(&["audit", "verify"])["times_set"], 0);
    assert_eq!(house.json(&["clock", "show"])["service_believes_it"], true);
    house.run(&["clock", "accept", "--force", "--reason", "another node doubts its own"]);
    let report = house.json(&["audit", "verify"]);
    assert_eq!(report["words"][0]["reason"], "another node doubts its own", "{report}");
}
