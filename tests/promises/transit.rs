//! Transit from the built binary: what is sealed and signed by commands, found nowhere in what a thief carries away, computed for nobody of
//! whom the log does not say so, through kills too; and a keyset that somebody put another in the place of is refused.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use crate::house::{House, PATIENCE, fail, text, until};
use crate::postgres::Postgres;

const CANARY: &str = "canary-3b71c6a90de2f854";

fn piped(house: &House, arguments: &[&str], input: &[u8]) -> Output {
    let mut command = house.command(arguments);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a command");
    child.stdin.take().expect("a pipe").write_all(input).expect("the input");
    child.wait_with_output().expect("its end")
}

fn done(output: Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

fn create(house: &House, name: &str, more: &[&str]) {
    house.run(&[&["transit", "key", "create", name, "--owner", "default"][..], more].concat());
}

/// The leaves in which a key was used, by their indexes.
fn used(house: &House, name: &str) -> BTreeMap<u64, Value> {
    let id = format!("transit:{name}@");
    let all = house.json(&["audit", "list", "--limit", "1000000"]);
    let is_it = |leaf: &&Value| leaf["opened"][0]["id"].as_str().is_some_and(|there| there.starts_with(&id));
    let leaves = all.as_array().expect("leaves").iter().filter(is_it);
    leaves.map(|leaf| (leaf["i"].as_u64().expect("an index"), leaf.clone())).collect()
}

#[test]
fn a_key_seals_signs_is_rotated_and_ends_by_commands() {
    let house = House::started();
    create(&house, "payments", &["--rotate", "90d"]);
    let sealed = done(piped(&house, &["transit", "encrypt", "payments"], b"4111\n1111\n"));
    assert!(sealed.starts_with("chy:v1:"), "{sealed}");
    let opened = done(piped(&house, &["transit", "decrypt", "payments"], sealed.as_bytes()));
    assert_eq!(opened, "4111\n1111\n", "byte for byte");
    // Many lines, in as many entries as batches.
    let before = used(&house, "payments").len();
    let lines: String = (0..1_500).map(|n| format!("line {n}\n")).collect();
    let many = done(piped(&house, &["transit", "encrypt", "payments", "--lines"], lines.as_bytes()));
    assert_eq!((many.lines().count(), used(&house, "payments").len()), (1_500, before + 2));
    house.run(&["transit", "key", "rotate", "payments"]);
    let file = house.path("sealed");
    std::fs::write(&file, &many).expect("a file");
    let anew = house.run(&["transit", "rewrap", "payments", text(&file)]);
    assert!(anew.lines().all(|line| line.starts_with("chy:v2:")) && anew.lines().count() == 1_500);
    assert_eq!(done(piped(&house, &["transit", "decrypt", "payments", "--lines"], anew.as_bytes())), lines);
    house.run(&["transit", "key", "set", "payments", "--min-decrypt", "2"]);
    let retired = piped(&house, &["transit", "decrypt", "payments"], sealed.as_bytes());
    let says = String::from_utf8_lossy(&retired.stderr).into_owned();
    assert!(!retired.status.success() && says.contains("used no more"), "{says}");
    // Of lines those that come to nothing leave the others where they stand, and an empty one is one.
    let line = |at: usize| anew.lines().nth(at).expect("a line");
    let mixed = format!("{}\n{sealed}{}\n", line(0), line(1));
    for (act, instead) in [("rewrap", sealed.trim_end()), ("decrypt", "")] {
        let output = piped(&house, &["transit", act, "payments", "--lines"], mixed.as_bytes());
        let (says, printed) = (String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
        assert!(!output.status.success() && says.contains("item 2: "), "{act}: {says}");
        assert_eq!((printed.lines().count(), printed.lines().nth(1)), (3, Some(instead)), "{act}: {printed}");
    }
    assert_eq!(done(piped(&house, &["transit", "encrypt", "payments", "--lines"], b"\n")).lines().count(), 1);
    // Signatures are verified by openssl, with the public half alone.
    create(&house, "releases", &["--kind", "ecdsa-p256"]);
    let (app, signature) = (house.path("app"), house.path("app.sig"));
    std::fs::write(&app, b"a program").expect("a file");
    let signed = house.run(&["transit", "sign", "releases", text(&app)]);
    std::fs::write(&signature, &signed).expect("a file");
    house.run(&["transit", "verify", "releases", text(&app), "--signature-file", text(&signature)]);
    let long = piped(&house, &["transit", "sign", "releases"], &vec![b'x'; (1 << 20) + 1]);
    let says = String::from_utf8_lossy(&long.stderr).into_owned();
    assert!(!long.status.success() && says.contains("1 MiB") && says.contains("sha256sum"), "{says}");
    let shown = house.json(&["transit", "key", "show", "releases"]);
    let (public, raw) = (house.path("releases.pem"), house.path("app.der"));
    std::fs::write(&public, shown["versions"][0]["public_key"].as_str().expect("a key")).expect("a file");
    let body = signed.trim().strip_prefix("chy:v1:").expect("a signature").to_owned();
    let decode = format!("printf %s '{body}' | base64 -d > '{}'", raw.display());
    assert!(std::process::Command::new("sh").args(["-c", &decode]).status().expect("sh").success());
    let judged = std::process::Command::new("openssl")
        .args(["dgst", "-sha256", "-verify", text(&public), "-signature", text(&raw), text(&app)])
        .output()
        .expect("openssl");
    assert!(judged.status.success(), "{}", String::from_utf8_lossy(&judged.stderr));
    std::fs::write(&app, b"another one").expect("a file");
    let wrong =
        fail(house.command(&["transit", "verify", "releases", text(&app), "--signature-file", text(&signature)]));
    assert!(wrong.contains("was not made by releases"), "{wrong}");
    create(&house, "sessions", &["--kind", "hmac-sha256"]);
    let mac = house.run(&["transit", "hmac", "sessions", text(&app)]);
    house.run(&["transit", "verify", "sessions", text(&app), "--signature", mac.trim()]);
    let kind = fail(house.command(&["transit", "encrypt", "releases", text(&app)]));
    assert!(kind.contains("ecdsa-p256"), "{kind}");
    // A data key goes to a file that nobody else reads, and comes back.
    let key = house.path("data.key");
    let wrapped = house.run(&["transit", "data-key", "payments", "--out", text(&key)]);
    assert_eq!(std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&key).expect("a file")) & 0o777, 0o600);
    let opened = piped(&house, &["transit", "decrypt", "payments"], wrapped.as_bytes());
    assert_eq!(opened.stdout, std::fs::read(&key).expect("a file"));
    assert_eq!(house.run(&["transit", "random", "16"]).trim().len(), 24);
    // Gone by two words.
    let kept = fail(house.command(&["transit", "key", "destroy", "payments"]));
    assert!(kept.contains("deletable"), "{kept}");
    house.run(&["transit", "key", "set", "payments", "--deletable", "true"]);
    house.run(&["transit", "key", "destroy", "payments"]);
    let list = house.run(&["transit", "key", "list"]);
    assert!(list.contains("releases") && !list.contains("payments"), "{list}");
    let report = house.json(&["audit", "verify"]);
    assert_eq!(report["findings_total"], 0, "{report}");
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

/// The plaintext that was sealed, and the key that was drawn for the caller: in no file, log or answer but his own.
#[test]
fn no_plaintext_and_no_data_key_is_kept_or_said_anywhere() {
    let mut house = House::new();
    house.launch(&[("RUST_LOG", "trace")]);
    house.await_ready();
    create(&house, "quiet", &[]);
    let sealed = done(piped(&house, &["transit", "encrypt", "quiet"], CANARY.as_bytes()));
    assert_eq!(done(piped(&house, &["transit", "decrypt", "quiet"], sealed.as_bytes())), CANARY);
    let file = house.path("data.key");
    house.run(&["transit", "data-key", "quiet", "--bytes", "64", "--out", text(&file)]);
    let data_key = std::fs::read(&file).expect("a key");
    std::fs::remove_file(&file).expect("its file goes");
    let body = format!(r#"{{"items": [{{"plaintext": "{CANARY}?"}}]}}"#);
    let url = house.https("/api/v1/transit/quiet/encrypt");
    let wrong = house.curl_admin(&["-X", "POST", "-H", "Content-Type: application/json", "-d", &body, &url]);
    assert!(wrong.status == 400 && !wrong.text().contains(CANARY), "{}", wrong.text());
    for page in ["/metrics", "/api/v1/status", "/api/v1/audit?limit=1000", "/api/v1/transit/keys"] {
        assert!(!house.curl_admin(&[&house.https(page)]).text().contains(CANARY), "{page}");
    }
    assert!(!house.server_log().contains(CANARY));
    house.stop();
    let encoded = "Y2FuYXJ5LTNiNzFjNmE5MGRlMmY4NT";
    let mut found = Vec::new();
    for form in [CANARY.as_bytes(), encoded.as_bytes(), &data_key] {
        files_with(&house.path("."), form, &mut found);
    }
    assert!(found.is_empty(), "{found:?}");
    let report = house.json(&["audit", "verify"]);
    assert_eq!(report["findings_total"], 0, "{report}");
}

/// Callers that seal and open as fast as they are answered, across the server's deaths.
fn used_under_fire(mut house: House) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    house.start();
    create(&house, "busy", &[]);
    let roots = std::fs::read(house.ca("roots.pem")).expect("roots");
    let http = reqwest::Client::builder()
        .tls_certs_only(reqwest::Certificate::from_pem_bundle(&roots).expect("roots"))
        .timeout(Duration::from_secs(10))
        .build()
        .expect("a client");
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    // Each answer's leaf, with how many items it was of; and what was sealed, to be opened at the end.
    type Answers = Mutex<Vec<(u64, u64, String)>>;
    let (answers, stop) = (Arc::new(Answers::default()), Arc::new(AtomicBool::new(false)));
    let callers: Vec<_> = (1..=CALLERS)
        .map(|items| {
            let (http, url, token) = (http.clone(), house.https("/api/v1/transit/busy/encrypt"), house.admin_token());
            let (answers, stop) = (Arc::clone(&answers), Arc::clone(&stop));
            let body = json!({"items": vec![json!({"plaintext": "Y2FuYXJ5"}); items]});
            runtime.spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let answer = match http.post(&url).bearer_auth(&token).json(&body).send().await {
                        Ok(answer) if answer.status() == 200 => answer.json::<Value>().await.ok(),
                        _ => None,
                    };
                    match answer {
                        Some(answer) => {
                            let sealed = answer["items"][0]["ciphertext"].as_str().expect("sealed").to_owned();
                            let leaf = answer["leaf"].as_u64().expect("a leaf");
                            answers.lock().expect("no poison").push((leaf, items as u64, sealed));
                        }
                        None => tokio::time::sleep(Duration::from_millis(20)).await,
                    }
                }
            })
        })
        .collect();
    for _ in 0..KILLS {
        let before = answers.lock().expect("no poison").len();
        let enough = || answers.lock().expect("no poison").len() >= before + 20;
        assert!(until(PATIENCE, enough), "callers are answered:\n{}", house.server_log());
        // Rotated in the middle of it: what was sealed before is opened after.
        house.run(&["transit", "key", "rotate", "busy"]);
        house.kill();
        house.start();
    }
    stop.store(true, Ordering::Relaxed);
    runtime.block_on(async {
        for caller in callers {
            caller.await.expect("a caller");
        }
    });
    let answers = Arc::try_unwrap(answers).map(|all| all.into_inner().expect("no poison")).unwrap_or_default();
    let log = used(&house, "busy");
    let mut leaves: Vec<u64> = answers.iter().map(|(leaf, ..)| *leaf).collect();
    leaves.sort_unstable();
    leaves.dedup();
    assert_eq!(leaves.len(), answers.len(), "no two answers share a leaf");
    for (leaf, items, _) in &answers {
        let there = log.get(leaf).unwrap_or_else(|| panic!("answered and not in the log: {leaf}"));
        assert_eq!((&there["used"]["act"], there["used"]["items"].as_u64()), (&json!("encrypt"), Some(*items)));
    }
    // What is in the log and nobody received was under way at a kill, or came twice over a rotation: of each caller one at most.
    let encrypted = log.values().filter(|leaf| leaf["used"]["act"] == "encrypt").count();
    assert!(encrypted <= answers.len() + KILLS * CALLERS * 2, "{encrypted} in the log, {} answered", answers.len());
    let sealed: String = answers.iter().map(|(.., text)| format!("{text}\n")).collect();
    let opened = done(piped(&house, &["transit", "decrypt", "busy", "--lines"], sealed.as_bytes()));
    assert!(opened.lines().count() == answers.len() && opened.lines().all(|line| line == "canary"));
    house.stop();
    let report = house.json(&["audit", "verify"]);
    assert_eq!(report["findings_total"], 0, "{report}");
}

const KILLS: usize = 3;
const CALLERS: usize = 4;

#[test]
fn each_batch_that_was_answered_is_one_leaf_through_kills_on_sqlite() {
    used_under_fire(House::new());
}

#[test]
fn each_batch_that_was_answered_is_one_leaf_through_kills_on_postgresql() {
    let postgres = Postgres::start();
    used_under_fire(House::with(&["--demo", "--database", &postgres.url()]));
}
