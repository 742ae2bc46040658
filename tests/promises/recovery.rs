//! The token is lost, and with it nothing that was sealed: a ceremony at a terminal, a backup, a new token, three of five papers, kills in
//! between, and everything is read again.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Output, Stdio};

use serde_json::Value;

use crate::house::{House, PATIENCE, PYTHON, command, fail, succeed, text, until};
use crate::postgres::Postgres;

const CANARY: &str = "canary-recovery-51d0c7b9";
const SECRETS: usize = 8;

/// A command with something on its standard input.
fn piped(house: &House, arguments: &[&str], input: &str) -> Output {
    let mut command = house.command(arguments);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a command");
    // One that is refused early reads no more.
    let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
    child.wait_with_output().expect("its end")
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Refused, with the exit code for it.
fn refused(house: &House, arguments: &[&str], input: &str, word: &str) {
    let output = piped(house, arguments, input);
    let said = said(&output);
    assert!(output.status.code() == Some(3) && said.contains(word), "{word}: {:?} {said}", output.status);
}

fn put(house: &House, path: &str, value: &str) {
    let output = piped(house, &["secret", "put", path, "--owner", "default"], value);
    assert!(output.status.success(), "{}", said(&output));
}

fn get(house: &House, path: &str) -> String {
    house.run(&["secret", "get", path, "--field", "value"])
}

/// A ceremony, by who sits at the terminal: the papers, and what the screen showed at last.
fn ceremony(house: &House, slip: &str, arguments: &[&str]) -> (Vec<String>, String) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/recovery_ceremony.py");
    let built = house.command(&[]);
    let mut people = std::process::Command::new(PYTHON);
    for (name, value) in built.get_envs() {
        match value {
            Some(value) => people.env(name, value),
            None => people.env_remove(name),
        };
    }
    people.args([script, slip, env!("CARGO_BIN_EXE_chancery"), "recovery", "ceremony"]).args(arguments);
    let output = people.stdin(Stdio::null()).output().expect("python");
    let screen = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{:?}\n{screen}", output.status);
    (String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect(), screen)
}

fn alarms(house: &House) -> String {
    house.curl_admin(&[&house.https("/api/v1/status")]).json()["alarms"].to_string()
}

/// Runs the restoring until it says a word, and kills it there.
fn killed_at(house: &House, word: &str, shares: &str) {
    let mut command = house.command(&["recovery", "restore"]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("a command");
    let _ = child.stdin.take().expect("a pipe").write_all(shares.as_bytes());
    let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines().map_while(Result::ok);
    let mut said = Vec::new();
    let is_said = lines.any(|line| {
        said.push(line.clone());
        line.trim_start().starts_with(word)
    });
    let _ = child.kill();
    child.wait().expect("its end");
    assert!(is_said, "it did not say `{word}`: {}", said.join("\n"));
}

fn files_with(folder: &Path, canary: &[u8], found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            files_with(&path, canary, found);
        } else if std::fs::read(&path).is_ok_and(|bytes| bytes.windows(canary.len()).any(|window| window == canary)) {
            found.push(path.display().to_string());
        }
    }
}

/// Everything that is to come back: written, the ceremony held, everything wrapped, the service stopped. The papers.
fn with_papers(house: &mut House) -> Vec<String> {
    house.start();
    for number in 1..=SECRETS {
        put(house, &format!("prod/{number}"), &format!("{CANARY}-{number}"));
    }
    assert!(until(PATIENCE, || alarms(house).contains("chancery recovery ceremony")), "{}", alarms(house));
    let (papers, screen) = ceremony(house, "slip", &["--online", "--shares", "5", "--needed", "3"]);
    assert_eq!(papers.len(), 5, "{screen}");
    assert!(screen.contains("Not the share that was shown: a character is wrong, most likely in group 16"), "{screen}");
    let wrapped = house.json(&["recovery", "wrap"]);
    assert_eq!((&wrapped["wrapping"], &wrapped["left"]), (&"done".into(), &0.into()), "{wrapped}");
    let is_whole = |told: &str| !told.contains("There are secrets") && !told.contains("Not everything is wrapped");
    let is_told = |told: String| is_whole(&told) && told.contains("generation 1 was taken by");
    assert!(until(PATIENCE, || is_told(alarms(house))), "{}", alarms(house));
    put(house, "late", CANARY);
    // A holder proves his share, alone.
    let good = piped(house, &["recovery", "verify-share"], &papers[1]);
    assert!(good.status.success() && said(&good).contains("share 2 of 5 is good"), "{}", said(&good));
    house.run(&["recovery", "show", "--out", text(&house.path("public.json"))]);
    house.stop();
    let good = piped(house, &["recovery", "verify-share", "--key", text(&house.path("public.json"))], &papers[4]);
    assert!(good.status.success(), "{}", said(&good));
    papers
}

/// The token is gone, and what the node kept beside the register.
fn lose_the_token(house: &House) {
    let tokens = house.path("tokens");
    std::fs::remove_dir_all(&tokens).expect("the token is lost");
    std::fs::create_dir(&tokens).expect("a token folder");
}

fn comes_back(mut house: House, backed_up: impl FnOnce(&House), brought_back: impl FnOnce(&House)) {
    let papers = with_papers(&mut house);
    backed_up(&house);
    lose_the_token(&house);
    brought_back(&house);
    let restore = ["recovery", "restore", "--create-token", text(&house.path("so-pin"))].map(str::to_owned);
    let restore: Vec<&str> = restore.iter().map(String::as_str).collect();
    let three = [&papers[4], &papers[0], &papers[2]].map(String::as_str).join("\n") + "\n";

    // Too few, one that is mistyped, one that was altered, one of another set, one twice: nothing is opened.
    let other = house.path("other.json");
    let others = ["--log", "another.example/log", "--out", text(&other), "--shares", "3", "--needed", "2"];
    let (foreign, _) = ceremony(&house, "no", &others);
    refused(&house, &restore, &(papers[..2].join("\n") + "\n"), "2 good shares are too few: 1 more of 5");
    refused(&house, &restore, &papers[0].replace(&papers[0][20..22], "77"), "a character is wrong");
    refused(&house, &restore, &foreign[0], "is of the set");
    refused(&house, &restore, &format!("{0}\n{0}\n", papers[0]), "taken already");
    let early = fail(house.command(&["serve"]));
    assert!(early.contains("cannot open the register"), "{early}");

    // Killed at each step, the same command goes on.
    for word in ["register", "sealing key", "secrets", "issuer"] {
        killed_at(&house, word, &three);
    }
    let done = piped(&house, &[&restore[..], &["--json"]].concat(), &three);
    assert!(done.status.success(), "{}", said(&done));
    let done: Value = serde_json::from_slice(&done.stdout).expect("JSON");
    assert_eq!(done["left"], 0, "{done}");

    house.start();
    for number in 1..=SECRETS {
        assert_eq!(get(&house, &format!("prod/{number}")), format!("{CANARY}-{number}"));
    }
    assert_eq!(get(&house, "late"), CANARY);
    put(&house, "new", "life goes on");
    assert_eq!(get(&house, "new"), "life goes on");
    house.run(&["issue", "tls", "localhost", "--out", text(&house.path("issued"))]);
    let shown = house.run(&["ca", "show", "tls"]);
    assert!(shown.contains("tls/2") && shown.contains("lost with its token"), "{shown}");
    let standing = house.json(&["recovery", "show"]);
    assert_eq!((&standing["wrapping"], &standing["left"]), (&"done".into(), &0.into()), "{standing}");
    assert!(until(PATIENCE, || alarms(&house).contains("hold a new ceremony")), "{}", alarms(&house));
    assert!(standing["joined_at"].is_string(), "{standing}");
    // The papers that were used have been in a machine: the next generation.
    let (next, screen) = ceremony(&house, "no", &["--online", "--shares", "3", "--needed", "2"]);
    assert!(next.len() == 3 && screen.contains("Generation 2"), "{screen}");
    assert_eq!(house.json(&["recovery", "wrap"])["left"], 0);
    let taken = |generation| alarms(&house).contains(&format!("generation {generation} was taken by"));
    assert!(until(PATIENCE, || !alarms(&house).contains("hold a new ceremony") && taken(2)), "{}", alarms(&house));
    house.stop();
    let report = house.json(&["audit", "verify"]);
    assert_eq!(report["findings_total"], 0, "{report}");
    let again = piped(&house, &restore, &three);
    assert!(again.status.code() == Some(3) && said(&again).contains("nothing is lost"), "{}", said(&again));

    let mut found = Vec::new();
    files_with(&house.path("."), CANARY.as_bytes(), &mut found);
    for paper in papers.iter().chain(&next) {
        files_with(&house.path("."), &paper.as_bytes()[30..60], &mut found);
    }
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn a_lost_token_loses_no_secret_and_a_backup_comes_back_under_another() {
    let backed_up = |house: &House| {
        let identity = house.path("backup.key");
        succeed(command("age-keygen", &["-o", text(&identity)]));
        let public = succeed(command("age-keygen", &["-y", text(&identity)]));
        house.run(&["backup", "--to", text(&house.path("b.age")), "--recipient", public.trim()]);
    };
    // The disk went with the token: the file, its identity and the papers are what there is.
    comes_back(House::new(), backed_up, |house| {
        for file in ["chancery.db", "chancery.db-wal", "chancery.db-shm"] {
            let _ = std::fs::remove_file(house.ca(file));
        }
        std::fs::remove_dir_all(house.ca("state")).expect("what this node had seen of the log");
        let (file, identity) = (house.path("b.age"), house.path("backup.key"));
        let restored = house.run(&["restore", text(&file), "--identity", text(&identity)]);
        assert!(restored.contains("chancery recovery restore"), "{restored}");
    });
}

#[test]
fn a_lost_token_loses_no_secret_on_postgresql() {
    let postgres = Postgres::start();
    comes_back(House::with(&["--demo", "--database", &postgres.url()]), |_| {}, |_| {});
}

#[test]
fn a_ceremony_is_held_at_a_terminal_and_a_rehearsal_leaves_nothing() {
    let mut house = House::started();
    put(&house, "kept", CANARY);
    let piped_in = piped(&house, &["recovery", "ceremony", "--online"], "yes\n");
    assert!(piped_in.status.code() == Some(2) && said(&piped_in).contains("at a terminal"), "{}", said(&piped_in));
    let (papers, screen) = ceremony(&house, "no", &["--online", "--rehearse", "--shares", "2", "--needed", "2"]);
    assert!(papers.len() == 2 && screen.contains("REHEARSAL"), "{screen}");
    assert_eq!(house.json(&["recovery", "show"])["wrapping"], "no-key");
    // A key that was made away from the network is brought by a file; another register's is not taken.
    let (file, other) = (house.path("recovery-1.json"), house.path("other.json"));
    let log = house.json(&["recovery", "show"])["log"].as_str().expect("a log").to_owned();
    ceremony(&house, "no", &["--log", "another.example/log", "--out", text(&other)]);
    let wrong = fail(house.command(&["recovery", "take", text(&other)]));
    assert!(wrong.contains("another register"), "{wrong}");
    ceremony(&house, "no", &["--log", &log, "--out", text(&file), "--shares", "3", "--needed", "2"]);
    let there = fail(house.command(&["recovery", "show", "--out", text(&file)]));
    assert!(there.contains("--force"), "{there}");
    house.stop();
    house.run(&["recovery", "take", text(&file), "--here"]);
    house.start();
    let whole = || house.json(&["recovery", "show"])["left"] == 0;
    assert!(until(PATIENCE, whole), "the service wraps by itself:\n{}", house.server_log());
    let again = fail(house.command(&["recovery", "take", text(&file)]));
    assert!(again.contains("and 2 is the next one"), "{again}");
}

#[test]
fn a_key_that_follows_another_takes_two_administrators_and_no_altered_token_makes_one_of_them() {
    let house = House::started();
    let (first, next) = (house.path("first.json"), house.path("next.json"));
    let log = house.json(&["recovery", "show"])["log"].as_str().expect("a log").to_owned();
    ceremony(&house, "no", &["--log", &log, "--out", text(&first), "--shares", "3", "--needed", "2"]);
    house.run(&["recovery", "take", text(&first)]);
    ceremony(&house, "no", &["--after", text(&first), "--out", text(&next), "--shares", "3", "--needed", "2"]);
    let token = house.path("other.token");
    house.run(&["token", "create", "other", "--role", "admin", "--out", text(&token)]);
    let exchange = |from: &str, to: &str| {
        let sql = format!(
            "UPDATE record SET body = replace(body, '\"name\":\"{from}\"', '\"name\":\"{to}\"') WHERE kind = 'api-token'"
        );
        let program =
            "import sqlite3,sys\nc = sqlite3.connect(sys.argv[1], timeout=30)\nc.executescript(sys.argv[2])\nc.close()";
        succeed(command(PYTHON, &["-c", program, text(&house.ca("chancery.db")), &sql]));
    };
    let generation = || house.json(&["recovery", "show"])["key"]["generation"].as_u64();
    exchange("other", "othex");
    let waits = house.run(&["recovery", "take", text(&next)]);
    assert!(waits.contains("another administrator") && generation() == Some(1), "{waits}");
    exchange("othex", "other");
    // The same one is no second.
    house.run(&["recovery", "take", text(&next)]);
    assert_eq!(generation(), Some(1));
    succeed(house.command(&["--token-file", text(&token), "recovery", "take", text(&next)]));
    assert_eq!(generation(), Some(2));
}
