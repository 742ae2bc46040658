//! Secrets from the built binary: written and read by commands, found nowhere in what a thief carries away, and read by nobody of whom the
//! log does not say so, through kills too.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::process::{Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

use crate::house::{House, PATIENCE, PYTHON, fail, succeed, text, until};
use crate::postgres::Postgres;

const CANARY: &str = "canary-7f3a9d51c2e84b60";

/// A command with something on its standard input.
fn piped(house: &House, arguments: &[&str], input: &[u8]) -> Output {
    let mut command = house.command(arguments);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a command");
    child.stdin.take().expect("a pipe").write_all(input).expect("the input");
    child.wait_with_output().expect("its end")
}

fn put(house: &House, path: &str, value: &[u8], more: &[&str]) {
    let arguments = [&["secret", "put", path, "--owner", "default"][..], more].concat();
    let output = piped(house, &arguments, value);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn get(house: &House, path: &str) -> String {
    house.run(&["secret", "get", path, "--field", "value"])
}

/// Every file below a folder that has these bytes.
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

#[test]
fn a_secret_is_written_read_rolled_back_and_taken_out_of_use_by_commands() {
    let house = House::started();
    put(&house, "prod/api/key", b"first\n", &[]);
    assert_eq!(get(&house, "prod/api/key"), "first", "the newline was the shell's");
    put(&house, "prod/api/key", b"second", &["--description", "the shop's key", "--tag", "team=shop"]);
    let shown = house.run(&["secret", "versions", "prod/api/key"]);
    assert!(shown.contains("current") && shown.contains("previous") && shown.contains("the shop's key"), "{shown}");
    house.run(&["secret", "rollback", "prod/api/key"]);
    assert_eq!(get(&house, "prod/api/key"), "first");
    assert_eq!(house.run(&["secret", "get", "prod/api/key", "--field", "value", "--at", "2"]), "second");
    let list = house.json(&["secret", "list", "prod", "--tag", "team=shop"]);
    assert_eq!(list[0]["path"], "prod/api/key");
    // Beginnings of words find it, whatever their order and case, and a part from the middle of one does not.
    assert_eq!(house.json(&["secret", "list", "--search", "SHOP ap"]), list);
    let none = |text: &str| house.json(&["secret", "list", "--search", text]) == serde_json::json!([]);
    assert!(none("hop") && none("shops"));
    let refused = fail(house.command(&["secret", "list", "--search", "//"]));
    assert!(refused.contains("letters and digits"), "{refused}");
    // What a kind draws is drawn, and what it has not is refused without being repeated.
    let drawn = house.json(&[
        "secret",
        "put",
        "prod/db",
        "--owner",
        "default",
        "--kind",
        "database-password",
        "--draw",
        "--plain",
        "username=shop",
    ]);
    assert_eq!(drawn["versions"][0]["fields"], serde_json::json!(["password", "username"]));
    let refused = piped(&house, &["secret", "put", "prod/db", "--ask", "passwort"], CANARY.as_bytes());
    let says = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && says.contains("passwort") && !says.contains(CANARY), "{says}");
    // To a file of its own, which nobody else reads.
    let file = house.path("key");
    house.run(&["secret", "get", "prod/api/key", "--field", "value", "--out", text(&file)]);
    assert_eq!(std::fs::read(&file).expect("a file"), b"first");
    assert_eq!(std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&file).expect("a file")) & 0o777, 0o600);
    house.run(&["secret", "delete", "prod/api/key"]);
    let gone = fail(house.command(&["secret", "get", "prod/api/key"]));
    assert!(gone.contains("deleted") && gone.contains("restored"), "{gone}");
    let listed = house.run(&["secret", "list", "--deleted"]);
    let is_said = |path: &str, state: &str| listed.lines().any(|line| line.starts_with(path) && line.contains(state));
    assert!(is_said("prod/api/key", "deleted") && is_said("prod/db", "in use"), "{listed}");
    assert!(house.run(&["secret", "list", "--overdue"]).contains("is one of those"));
    let restored = house.run(&["secret", "restore", "prod/api/key"]);
    assert!(restored.contains("in use again") && restored.contains("team=shop"), "{restored}");
    assert_eq!(get(&house, "prod/api/key"), "first");
    let early = fail(house.command(&["secret", "destroy", "prod/api/key", "--all"]));
    assert!(early.contains("delete it first"), "{early}");
    // A program that failed writes nothing, and nothing is no value.
    let empty = piped(&house, &["secret", "put", "prod/api/key"], b"");
    let says = String::from_utf8_lossy(&empty.stderr).into_owned();
    assert!(empty.status.code() == Some(2) && says.contains("--empty"), "{says}");
    assert_eq!(get(&house, "prod/api/key"), "first");
    // Who had it, in a leak.
    let readings = house.json(&["audit", "list", "--of", "prod/api/key", "--event", "access", "--since", "1d"]);
    let readings = readings.as_array().expect("a list");
    let is_one =
        |leaf: &serde_json::Value| leaf["event"] == "access" && leaf["opened"].to_string().contains("prod/api/key@");
    assert!(readings.len() >= 4 && readings.iter().all(is_one), "{readings:?}");
    let by = readings[0]["actor"]["id"].as_str().expect("an actor").to_owned();
    let first =
        house.json(&["audit", "list", "--of", "prod/api/key", "--event", "access", "--by", &by, "--limit", "1"]);
    assert_eq!(first.as_array().map(Vec::as_slice), Some(&readings[..1]));
    assert!(house.run(&["audit", "list", "--of", "prod/nothing"]).contains("no such entry"));
    // Each of them stands in the log, by its name and version.
    let log = house.run(&["audit", "list", "--limit", "200"]);
    assert!(log.contains("prod/api/key@1.2"), "{log}");
    let report = house.json(&["audit", "verify"]);
    assert_eq!(report["findings_total"], 0, "{report}");
}

/// A terminal that showed nothing shows everything again, whatever ended the command.
#[test]
fn a_signal_at_the_unseen_prompt_gives_the_terminal_back() {
    let house = House::started();
    let script = "\
import os, signal, subprocess, sys, termios, time
_, slave = os.openpty()
shows = lambda: bool(termios.tcgetattr(slave)[3] & termios.ECHO)
for number in (signal.SIGINT, signal.SIGTERM):
    people = subprocess.Popen(sys.argv[1:], stdin=slave, stdout=slave, stderr=slave)
    until = time.time() + 30
    while shows() and time.time() < until:
        time.sleep(0.02)
    assert not shows(), 'it asks unseen'
    people.send_signal(number)
    print(people.wait(30) + number, shows())
";
    let built = house.command(&[]);
    let mut people = std::process::Command::new(PYTHON);
    for (name, value) in built.get_envs() {
        match value {
            Some(value) => people.env(name, value),
            None => people.env_remove(name),
        };
    }
    people.args(["-c", script, env!("CARGO_BIN_EXE_chancery"), "secret", "put", "prod/typed"]);
    assert_eq!(succeed(people), "0 True\n0 True\n");
}

/// Without the token nothing is opened but what it opened a moment ago, nothing fills the log, and it heals by itself.
#[test]
fn a_token_that_is_away_opens_nothing_and_fills_no_log() {
    let mut house = House::started();
    put(&house, "kept", CANARY.as_bytes(), &[]);
    house.stop();
    house.start();
    let (tokens, away) = (house.path("tokens"), house.path("tokens.away"));
    let url = house.https("/api/v1/secret-values/kept");
    let read = || house.curl_admin(&[&url]);
    std::fs::rename(&tokens, &away).expect("the token goes away");
    // What was asked before anybody knew is an entry; once it is known there are no more.
    assert!(until(PATIENCE, || read().status == 503 && house.curl(&[&house.http("/readyz")]).status == 503));
    let before = access_leaves(&house).len();
    for _ in 0..5 {
        let answer = read();
        assert!(answer.status == 503 && answer.header("retry-after").is_some(), "{}", answer.text());
    }
    assert_eq!(access_leaves(&house).len(), before, "nobody was shown anything");
    std::fs::rename(&away, &tokens).expect("the token comes back");
    assert!(until(PATIENCE, || read().status == 200), "{}", house.server_log());
    assert_eq!(access_leaves(&house).len(), before + 1);
}

/// What a thief of the host's disk has, the log, the answers of every page beside, and the memory that a dump would have.
#[test]
fn a_canary_is_found_in_nothing_that_is_kept_said_or_dumped() {
    let mut house = House::new();
    house.launch(&[("RUST_LOG", "trace")]);
    house.await_ready();
    put(&house, "canary", CANARY.as_bytes(), &["--description", "a bird"]);
    assert_eq!(get(&house, "canary"), CANARY);
    // A body that is wrong is not repeated.
    let body = format!(r#"{{"fields": {{"value": ["{CANARY}"]}}, "owner": "default"}}"#);
    let url = house.https("/api/v1/secrets/canary");
    let wrong = house.curl_admin(&["-X", "PUT", "-H", "Content-Type: application/json", "-d", &body, &url]);
    assert!(wrong.status == 400 && !wrong.text().contains(CANARY), "{}", wrong.text());
    for page in ["/metrics", "/api/v1/status", "/api/v1/audit?limit=1000", "/api/v1/secrets", "/api/v1/secrets/canary"]
    {
        assert!(!house.curl_admin(&[&house.https(page)]).text().contains(CANARY), "{page}");
    }
    assert!(!house.server_log().contains(CANARY));
    // The kernel writes no dump of it, and lets nobody of its own user look into it.
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", house.pid())).expect("limits");
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).expect("a limit of dumps");
    assert!(core.split_whitespace().filter(|word| *word == "0").count() == 2, "{core}");
    let pid = house.pid();
    match fs::metadata("/proc/self").expect("proc").uid() {
        // Who may look all the same finds nothing of what was answered: what is freed is wiped.
        0 => {
            assert!(times_in_memory(pid, b"chancery") > 0, "what is there is found");
            assert!(until(PATIENCE, || times_in_memory(pid, CANARY.as_bytes()) == 0), "a value stays in memory");
        }
        _ => assert!(File::open(format!("/proc/{pid}/mem")).is_err(), "nobody of its own user looks"),
    }
    house.stop();
    let mut found = Vec::new();
    for form in [CANARY.to_owned(), data_encoding_of(CANARY)] {
        files_with(&house.path("."), form.as_bytes(), &mut found);
    }
    assert!(found.is_empty(), "{found:?}");
    let report = house.json(&["audit", "verify"]);
    assert_eq!(report["findings_total"], 0, "{report}");
}

/// In base64, wherever it begins.
fn data_encoding_of(text: &str) -> String {
    let whole = succeed({
        let mut command = std::process::Command::new("sh");
        command.args(["-c", "printf %s \"$0\" | base64 -w0", text]);
        command
    });
    // Without what the text's end makes of its last characters.
    whole.trim_end_matches('=').chars().take(24).collect()
}

/// How often these bytes stand in what a process may write to of its memory, as a dump of it would have them (proc_pid_mem(5)).
fn times_in_memory(pid: u32, bytes: &[u8]) -> usize {
    let memory = File::open(format!("/proc/{pid}/mem")).expect("its memory");
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).expect("its maps");
    let places = maps.lines().filter(|line| line.split(' ').nth(1).is_some_and(|may| may.starts_with("rw")));
    let mut times = 0;
    for line in places {
        let (from, to) = line.split(' ').next().and_then(|range| range.split_once('-')).expect("a range");
        let number = |text| u64::from_str_radix(text, 16).expect("an address");
        let (mut at, to) = (number(from), number(to));
        let mut kept = Vec::new();
        while at < to {
            let mut next = vec![0; usize::try_from(to - at).unwrap_or(usize::MAX).min(1 << 20)];
            // What is mapped and not there is in no dump either.
            let Ok(read @ 1..) = memory.read_at(&mut next, at) else { break };
            kept.extend_from_slice(&next[..read]);
            times += times_in(&kept, bytes);
            kept.drain(..kept.len().saturating_sub(bytes.len() - 1));
            at += read as u64;
        }
    }
    times
}

/// How often the one has the other.
fn times_in(all: &[u8], bytes: &[u8]) -> usize {
    let first = bytes[0];
    all.iter().enumerate().filter(|(at, byte)| **byte == first && all[*at..].starts_with(bytes)).count()
}

/// Readers that ask as fast as they are answered, across the server's deaths: what each was shown, by the leaf that the answer names.
fn read_under_fire(mut house: House) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    house.start();
    put(&house, "shared", CANARY.as_bytes(), &[]);
    let roots = std::fs::read(house.ca("roots.pem")).expect("roots");
    let http = reqwest::Client::builder()
        .tls_certs_only(reqwest::Certificate::from_pem_bundle(&roots).expect("roots"))
        .timeout(Duration::from_secs(10))
        .build()
        .expect("a client");
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let (shown, stop) = (Arc::new(Mutex::new(Vec::<u64>::new())), Arc::new(AtomicBool::new(false)));
    let readers: Vec<_> = (0..4)
        .map(|_| {
            let (http, url, token) = (http.clone(), house.https("/api/v1/secret-values/shared"), house.admin_token());
            let (shown, stop) = (Arc::clone(&shown), Arc::clone(&stop));
            runtime.spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let answer = match http.get(&url).bearer_auth(&token).send().await {
                        Ok(answer) if answer.status() == 200 => answer.json::<Value>().await.ok(),
                        _ => None,
                    };
                    match answer {
                        Some(answer) => {
                            assert_eq!(answer["fields"]["value"], CANARY);
                            shown.lock().expect("no poison").push(answer["leaf"].as_u64().expect("a leaf"));
                        }
                        None => tokio::time::sleep(Duration::from_millis(20)).await,
                    }
                }
            })
        })
        .collect();
    for _ in 0..KILLS {
        let before = shown.lock().expect("no poison").len();
        let enough = || shown.lock().expect("no poison").len() >= before + 20;
        assert!(until(PATIENCE, enough), "readers are answered:\n{}", house.server_log());
        house.kill();
        house.start();
    }
    stop.store(true, Ordering::Relaxed);
    runtime.block_on(async {
        for reader in readers {
            reader.await.expect("a reader")
        }
    });
    let shown = Arc::try_unwrap(shown).map(|all| all.into_inner().expect("no poison")).unwrap_or_default();
    let leaves: BTreeSet<u64> = shown.iter().copied().collect();
    assert_eq!(leaves.len(), shown.len(), "no two answers share a leaf that is for one");
    let log = access_leaves(&house);
    let missing: Vec<_> = leaves.difference(&log).collect();
    assert!(missing.is_empty(), "shown and not in the log: {missing:?}");
    // What is in the log and nobody received was under way at a kill: of each reader one at most.
    assert!(log.len() <= leaves.len() + KILLS * 4, "{} in the log, {} shown", log.len(), leaves.len());
    house.stop();
    let report = house.json(&["audit", "verify"]);
    assert_eq!(report["findings_total"], 0, "{report}");
}

const KILLS: usize = 4;

/// The leaves of all accesses.
fn access_leaves(house: &House) -> BTreeSet<u64> {
    let all = house.json(&["audit", "list", "--limit", "1000000"]);
    let all = all.as_array().expect("leaves").iter();
    all.filter(|leaf| leaf["event"] == "access").map(|leaf| leaf["i"].as_u64().expect("an index")).collect()
}

#[test]
fn each_reading_that_was_answered_is_one_leaf_through_kills_on_sqlite() {
    read_under_fire(House::new());
}

#[test]
fn each_reading_that_was_answered_is_one_leaf_through_kills_on_postgresql() {
    let postgres = Postgres::start();
    read_under_fire(House::with(&["--demo", "--database", &postgres.url()]));
}

/// What somebody who keeps an inventory asks, by commands.
#[test]
fn what_ends_who_read_last_and_the_access_review_by_commands() {
    let house = House::started();
    put(&house, "prod/a", CANARY.as_bytes(), &["--expires", "2h"]);
    put(&house, "prod/b", b"other", &[]);
    let listed = |arguments: &[&str]| {
        let items = house.json(&[&["secret", "list"][..], arguments].concat());
        let paths =
            items.as_array().expect("a list").iter().map(|item| item["path"].as_str().expect("a path").to_owned());
        paths.collect::<Vec<_>>()
    };
    assert_eq!(listed(&["--expiring", "3h"]), ["prod/a"]);
    assert_eq!(listed(&["--expiring", "1h"]), [""; 0]);
    assert_eq!(get(&house, "prod/a"), CANARY);
    // Whatever is older than a second, once a second has passed.
    let unread = || listed(&["--unread", "1s"]).into_iter().collect::<BTreeSet<_>>();
    let both = BTreeSet::from(["prod/a".to_owned(), "prod/b".to_owned()]);
    assert!(until(PATIENCE, || unread() == both), "both, a second later: {:?}", unread());
    assert_eq!(listed(&["--unread", "90d"]), [""; 0]);
    let table = house.run(&["secret", "list", "prod"]);
    assert!(table.contains("LAST READ") && table.contains("never"), "{table}");
    let items = house.json(&["secret", "list", "prod"]);
    let by = |path: &str| {
        let item = items.as_array().expect("a list").iter().find(|item| item["path"] == path).expect("it is listed");
        item["last_read"]["by"].clone()
    };
    assert_eq!((by("prod/a"), by("prod/b")), (Value::from("token:admin"), Value::Null));
    // What ends within a week needs a hand: that is an alarm, and an exit code.
    let status = house.command(&["status"]).output().expect("a command");
    assert_eq!(status.status.code(), Some(5));
    let status = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(status.contains("The secret prod/a of default expires at "), "{status}");
    assert!(status.contains("2 in use, 1 expire within 30 days, 0 expired, 0 unread for 90 days"), "{status}");
    let metrics = house.curl_admin(&[&house.https("/metrics")]).text();
    assert!(metrics.contains("chancery_secrets{state=\"all\"} 2\n"), "{metrics}");
    assert!(metrics.contains("chancery_secrets_expiring{within=\"24h\"} 1\n"), "{metrics}");

    // A code, and not the seed.
    house.run(&["secret", "put", "prod/totp", "--owner", "default", "--kind", "totp-seed", "--draw"]);
    let code = house.run(&["secret", "code", "prod/totp"]);
    assert!(code.trim().len() == 6 && code.trim().bytes().all(|digit| digit.is_ascii_digit()), "{code}");
    fail(house.command(&["secret", "code", "prod/a"]));
    // As a page shows it beside its QR code.
    let uri = house.path("uri");
    let said = "otpauth://totp/ACME:john?secret=JBSWY3DPEHPK3PXP&issuer=ACME&algorithm=SHA256&digits=8&period=60\n";
    std::fs::write(&uri, said).expect("a file");
    let from = format!("secret={}", text(&uri));
    house.run(&["secret", "put", "prod/acme", "--owner", "default", "--kind", "totp-seed", "--from", &from]);
    assert_eq!(house.run(&["secret", "code", "prod/acme"]).trim().len(), 8);
    for (field, value) in [("secret", "JBSWY3DPEHPK3PXP"), ("period", "60"), ("issuer", "ACME"), ("account", "john")] {
        assert_eq!(house.run(&["secret", "get", "prod/acme", "--field", field]).trim(), value, "{field}");
    }

    // The review, in its three forms.
    let report: Value = serde_json::from_str(&house.run(&["report", "--since", "1d"])).expect("one object");
    let rows = |part: &str| report[part].as_array().cloned().unwrap_or_default();
    let secret = rows("secrets").into_iter().find(|row| row["path"] == "prod/a").expect("the secret");
    assert!(secret["read_by"][0].as_str().is_some_and(|read| read.contains(" leaf ")), "{secret}");
    assert!(secret["may_read"][0].as_str().is_some_and(|may| may.contains("token:")), "{secret}");
    assert!(rows("proofs").iter().any(|row| row["proof"] == "token" && row["as_administrator"] != 0), "{report}");
    assert_eq!(rows("controls").len(), 10);
    assert!(secret["owned"] == true && secret["expires"].is_string() && secret["may_read_total"].is_u64(), "{secret}");
    assert!(rows("secrets").iter().any(|row| row["expires"].is_null()), "{report}");
    let two = fail(house.command(&["report", "--json", "--format", "csv"]));
    assert!(two.contains("leave one of them out"), "{two}");
    let total =
        |what: &str| rows("totals").into_iter().find(|row| row["what"] == what).expect("a total")["count"].clone();
    assert_eq!((total("secrets in use"), total("readings of secrets in this time")), (4.into(), 7.into()));
    let csv = house.run(&["report", "--since", "1d", "--format", "csv"]);
    assert!(csv.lines().any(|line| line.starts_with("secrets,prod/b,default,")), "{csv}");
    let html = house.run(&["report", "--since", "1d", "--format", "html"]);
    assert!(html.starts_with("<!doctype html>") && html.trim_end().ends_with("</html>"), "{html}");
    assert!(!html.contains("<script") && !html.contains("http-equiv=\"refresh\""), "{html}");
    for form in [report.to_string(), csv, html] {
        assert!(!form.contains(CANARY) && form.contains("prod/a"), "{form}");
    }
}
