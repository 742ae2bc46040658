//! Whoever holds one OCSP response can prove months later that this log's authority made it, or is told that it did not: by a server that
//! is not believed, from the register, and from an export alone.

use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;

use crate::house::{House, PATIENCE, PYTHON, command, succeed, text, until};

/// A house with a certificate, and openssl to ask of it.
struct Asked {
    house: House,
    issuer: PathBuf,
    serial: String,
}

impl Asked {
    fn new() -> Asked {
        let house = House::started();
        let said = house.json(&["issue", "tls", "localhost", "--out", text(&house.path("web"))]);
        let serial = format!("0x{}", said["serial"].as_str().expect("a serial"));
        let (der, issuer) = (house.path("tls.der"), house.path("tls.pem"));
        assert_eq!(house.curl(&["-o", text(&der), &house.http("/aia/tls/1.cer")]).status, 200);
        succeed(command("openssl", &["x509", "-inform", "DER", "-in", text(&der), "-out", text(&issuer)]));
        Asked { house, issuer, serial }
    }

    /// A response in a file, as openssl was answered.
    fn response(&self, name: &str, more: &[&str]) -> PathBuf {
        let (file, url) = (self.house.path(name), self.house.http("/ocsp"));
        let mut ocsp = command("openssl", &["ocsp", "-issuer", text(&self.issuer)]);
        ocsp.args(more).args(["-serial", &self.serial, "-noverify"]);
        ocsp.args(["-url", &url, "-respout", text(&file)]);
        succeed(ocsp);
        file
    }

    fn prove(&self, file: &Path, more: &[&str]) -> Output {
        self.house.output(&[&["audit", "prove-ocsp", text(file)], more].concat())
    }

    /// The proof of a response, once a signed head is above it.
    fn proof(&self, file: &Path) -> Value {
        let mut said_last = String::new();
        let mut proof = Value::Null;
        let proved = until(PATIENCE, || {
            let output = self.prove(file, &["--json"]);
            said_last = said(&output);
            proof = serde_json::from_slice(&output.stdout).unwrap_or_default();
            output.status.success()
        });
        assert!(proved, "{said_last}");
        proof
    }

    /// A head over all that there is, and an export of it.
    fn export(&self) -> PathBuf {
        let covered = until(PATIENCE, || {
            let size =
                self.house.json(&["audit", "list", "--limit", "1"])[0]["i"].as_u64().map(|i| (i + 1).to_string());
            let checkpoint = self.house.curl(&[&self.house.https("/log/checkpoint")]).text();
            checkpoint.lines().nth(1).map(str::to_owned) == size
        });
        assert!(covered, "a checkpoint covers the whole log");
        let dir = self.house.path("export");
        self.house.run(&["audit", "export", text(&dir)]);
        dir
    }

    /// Another program with the register's file in hand.
    fn sql(&self, statement: &str) {
        let database = self.house.ca("chancery.db");
        let script = "import sqlite3,sys\nc = sqlite3.connect(sys.argv[1], timeout=30)\nprint(c.execute(sys.argv[2]).rowcount)\nc.commit()";
        succeed(command(PYTHON, &["-c", script, text(&database), statement]));
    }
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn one_response_of_a_batch_is_proved_by_the_server_the_register_and_an_export() {
    let asked = Asked::new();
    let house = &asked.house;
    let shared = asked.response("shared.der", &["-no_nonce"]);
    let alone = asked.response("alone.der", &[]);
    house.run(&["certs", "revoke", asked.serial.trim_start_matches("0x"), "--reason", "key-compromise"]);
    let revoked = asked.response("revoked.der", &["-no_nonce", "-sha256"]);
    let dir = asked.export();
    let (export, vkey) = (text(&dir).to_owned(), text(&house.ca("log.vkey")).to_owned());
    for (file, says) in [(&shared, "good"), (&alone, "good"), (&revoked, "REVOKED")] {
        for more in [&[][..], &["--register"], &["--dir", &export, "--key", &vkey]] {
            let output = asked.prove(file, more);
            let told = said(&output);
            assert_eq!(output.status.code(), Some(0), "{file:?} {more:?}: {told}");
            for part in
                [says, "message 1 of 1 of leaf", "by system:ocsp", "signed head of", "log.vkey", "ecdsa-p256-sha256"]
            {
                assert!(told.contains(part), "{file:?} {more:?} {part}: {told}");
            }
        }
    }
    // A bare request: what the responder says now, good a moment ago or not, is proved; with --json all that it takes.
    let request = house.path("request.der");
    let args = ["ocsp", "-issuer", text(&asked.issuer), "-serial", &asked.serial, "-reqout", text(&request)];
    succeed(command("openssl", &args));
    let output = asked.prove(&request, &["--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let all: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    for (part, name) in [(&all["batch"], "ocsp-batch"), (&all["responder"], "certificate")] {
        assert_eq!(
            (part["leaf"]["event"].as_str(), part["leaf"]["kind"].as_str()),
            (Some("intend"), Some(name)),
            "{all}"
        );
        assert!(part["checkpoint"].as_str().is_some_and(|note| note.contains('\u{2014}')), "{all}");
    }
    assert!(all["response"].is_string() && all["path"].is_array() && all["key"].is_string(), "{all}");
    // Without a key from elsewhere it holds together, and that is said.
    let output = asked.prove(&shared, &["--dir", &export]);
    assert_eq!(output.status.code(), Some(6), "{}", said(&output));
    assert!(said(&output).contains("identity not checked"), "{}", said(&output));
}

#[test]
fn an_altered_response_and_one_of_another_log_are_refused() {
    let (asked, other) = (Asked::new(), Asked::new());
    let house = &asked.house;
    let ours = asked.response("ours.der", &["-no_nonce"]);
    let theirs = other.response("theirs.der", &["-no_nonce"]);
    let dir = asked.export();
    let export = text(&dir).to_owned();
    // Signed by somebody, and by nobody here: the server does not know it, nor does the register.
    for more in [&[][..], &["--register"], &["--dir", &export]] {
        let output = asked.prove(&theirs, more);
        assert_eq!(output.status.code(), Some(1), "{more:?}: {}", said(&output));
        assert!(
            said(&output).contains("No batch of this log") || said(&output).contains("no batch of this log"),
            "{}",
            said(&output)
        );
    }
    // With the other's key our server's proof is another log's.
    let output = asked.prove(&ours, &["--key", text(&other.house.ca("log.vkey"))]);
    assert_eq!(output.status.code(), Some(5), "{}", said(&output));
    // Nor is a kept proof believed by the key that it names itself.
    let (proof, kept) = (asked.proof(&ours), house.path("ours.proof"));
    std::fs::write(&kept, proof.to_string()).expect("a file");
    for (log, code) in [(house, 0), (&other.house, 5)] {
        let output = asked.prove(&ours, &["--proof", text(&kept), "--key", text(&log.ca("log.vkey"))]);
        assert_eq!(output.status.code(), Some(code), "{}", said(&output));
    }
    // Every byte of it counts: in what it says, in the signature, in the certificate.
    let bytes = std::fs::read(&ours).expect("a response");
    let (altered, end) = (house.path("altered.der"), bytes.len());
    // Behind the name of its algorithm, ecdsa-with-SHA256.
    let named = bytes.windows(8).position(|eight| eight == [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2]);
    let signature = named.expect("an algorithm") + 30;
    for at in [40, 60, 90, 120, signature, end * 2 / 5, end / 2, end * 3 / 4, end - 90, end - 1] {
        let mut bent = bytes.clone();
        bent[at] ^= 1;
        std::fs::write(&altered, &bent).expect("a file");
        let output = asked.prove(&altered, &["--register"]);
        assert_eq!(output.status.code(), Some(5), "byte {at}: {}", said(&output));
        assert!(!said(&output).contains("signed head of"), "byte {at}: {}", said(&output));
    }
    // What is no response at all, and one that says that there is none.
    for (bytes, code, says) in [
        (&b"hello"[..], 2, "not an OCSP response"),
        (&[0x30, 3, 0x0a, 1, 3], 5, "no answer"),
        (&[], 2, "not an OCSP response"),
    ] {
        std::fs::write(&altered, bytes).expect("a file");
        let output = asked.prove(&altered, &[]);
        assert_eq!(output.status.code(), Some(code), "{}", said(&output));
        assert!(said(&output).contains(says), "{}", said(&output));
    }
}

/// Whichever byte is another, a script learns the same: that it is not what was signed, or no response at all.
#[test]
fn each_byte_of_a_response_that_is_altered_ends_with_one_code() {
    let asked = Asked::new();
    let house = &asked.house;
    let ours = asked.response("ours.der", &["-no_nonce"]);
    asked.export();
    let output = asked.prove(&ours, &["--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let (kept, altered) = (house.path("told.proof"), house.path("altered.der"));
    std::fs::write(&kept, &output.stdout).expect("a proof");
    let bytes = std::fs::read(&ours).expect("a response");
    let mut wrong = Vec::new();
    for at in 0..bytes.len() {
        let mut bent = bytes.clone();
        bent[at] ^= if at % 2 == 0 { 1 } else { 0xff };
        std::fs::write(&altered, &bent).expect("a file");
        let output = asked.prove(&altered, &["--proof", text(&kept)]);
        let is_none = at < 5;
        match output.status.code() {
            Some(5) => {}
            Some(2) if is_none => {}
            code => wrong.push((at, code, said(&output))),
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
    // What is neither a response nor a request is sent to no responder: a key, whose DER begins like a request.
    let key = house.path("key.der");
    let made =
        ["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-outform", "DER", "-out", text(&key)];
    succeed(command("openssl", &made));
    for file in [&key, &house.ca("roots.pem")] {
        let output = asked.prove(file, &[]);
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        assert!(said(&output).contains("is not to be proved"), "{}", said(&output));
    }
}

/// Each text of a proof with one character of it another.
fn bends(at: &Value, path: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
    match at {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| {
            path.push(name.clone());
            bends(value, path, found);
            path.pop();
        }),
        Value::Array(items) => items.iter().enumerate().for_each(|(at, value)| {
            path.push(at.to_string());
            bends(value, path, found);
            path.pop();
        }),
        Value::String(_) | Value::Number(_) => found.push(path.clone()),
        Value::Null | Value::Bool(_) => {}
    }
}

#[test]
fn a_proof_is_kept_and_followed_without_anybody_and_each_piece_of_it_counts() {
    let asked = Asked::new();
    let house = &asked.house;
    let file = asked.response("told.der", &["-no_nonce"]);
    let (kept, proof) = (house.path("told.proof"), asked.proof(&file));
    let key = text(&house.ca("log.vkey")).to_owned();
    let follow = |proof: &Value| {
        std::fs::write(&kept, proof.to_string()).expect("a file");
        asked.prove(&file, &["--proof", text(&kept), "--key", &key])
    };
    assert_eq!(follow(&proof).status.code(), Some(0));
    let mut pieces = Vec::new();
    bends(&proof, &mut Vec::new(), &mut pieces);
    // By which key it was followed then says nothing: it is followed by the one that is brought now.
    pieces.retain(|path| !matches!(path[0].as_str(), "key" | "key_from"));
    assert!(pieces.len() > 40, "{pieces:?}");
    for piece in pieces {
        let mut bent = proof.clone();
        let at = bent.pointer_mut(&format!("/{}", piece.join("/"))).expect("a piece");
        *at = match &*at {
            Value::Number(number) => Value::from(number.as_u64().expect("a number") + 1),
            other => {
                let text = other.as_str().expect("a text");
                if text.len() < 4 {
                    *at = Value::from(format!("{text}x"));
                    assert_eq!(follow(&bent).status.code(), Some(5), "{piece:?}");
                    continue;
                }
                let last = text.trim_end_matches(['=', '\n']).len() - 3;
                let other = if text[last..].starts_with('A') { 'B' } else { 'A' };
                Value::from(format!("{}{other}{}", &text[..last], &text[last + 1..]))
            }
        };
        let output = follow(&bent);
        assert_eq!(output.status.code(), Some(5), "{piece:?}: {}", said(&output));
    }
    // Without one of its parts, and of another response.
    for part in ["batch", "responder", "issuer_key", "path", "position"] {
        let mut less = proof.clone();
        less.as_object_mut().expect("an object").remove(part);
        assert_eq!(follow(&less).status.code(), Some(5), "{part}");
    }
    let another = asked.response("another.der", &[]);
    std::fs::write(&kept, proof.to_string()).expect("a file");
    let output = asked.prove(&another, &["--proof", text(&kept), "--key", &key]);
    assert_eq!(output.status.code(), Some(5), "{}", said(&output));
}

#[test]
fn a_proof_is_of_the_responder_that_signed_and_of_no_other_of_its_ca() {
    let mut asked = Asked::new();
    let proved = |asked: &Asked, name: &str| -> (PathBuf, Value) {
        let file = asked.response(name, &["-no_nonce"]);
        let proof = asked.proof(&file);
        (file, proof)
    };
    let (file, ours) = proved(&asked, "ours.der");
    // Another node has a responder of its own.
    asked.house.stop();
    asked.house.configure("instance = 1", "instance = 2");
    asked.house.start();
    let (_, theirs) = proved(&asked, "theirs.der");
    assert_ne!(ours["responder"]["index"], theirs["responder"]["index"]);
    assert_eq!(ours["issuer_key"], theirs["issuer_key"]);
    let (kept, key) = (asked.house.path("mixed.proof"), asked.house.ca("log.vkey"));
    for part in ["responder", "batch", "path"] {
        let mut mixed = ours.clone();
        mixed[part] = theirs[part].clone();
        std::fs::write(&kept, mixed.to_string()).expect("a file");
        let output = asked.prove(&file, &["--proof", text(&kept), "--key", text(&key)]);
        let code = if mixed == ours { 0 } else { 5 };
        assert_eq!(output.status.code(), Some(code), "{part}: {}", said(&output));
    }
}

#[test]
fn hashes_that_somebody_altered_or_took_away_are_noticed_by_verify_and_said_by_prove() {
    let asked = Asked::new();
    let house = &asked.house;
    let file = asked.response("told.der", &["-no_nonce"]);
    asked.proof(&file);
    for (statement, says) in
        [("UPDATE batch SET hashes = zeroblob(length(hashes))", "are not those"), ("DELETE FROM batch", "are missing")]
    {
        asked.sql(statement);
        let report = house.output(&["audit", "verify", "--no-token", "--json"]);
        assert_eq!(report.status.code(), Some(5), "{}", said(&report));
        let found = String::from_utf8_lossy(&report.stdout).into_owned();
        assert!(found.contains("batch op=") && found.contains(says), "{statement}: {found}");
        let output = asked.prove(&file, &["--register"]);
        assert_eq!(output.status.code(), Some(5), "{}", said(&output));
        assert!(said(&output).contains(says), "{statement}: {}", said(&output));
        let output = asked.prove(&file, &[]);
        assert!(!output.status.success() && said(&output).contains("not what the log says"), "{}", said(&output));
    }
}

#[test]
fn who_may_not_read_the_log_is_not_told_of_it_whatever_he_brings() {
    let asked = Asked::new();
    let house = &asked.house;
    let token = house.path("issuer.token");
    house.run(&[
        "token",
        "create",
        "web-issuer",
        "--role",
        "issuer",
        "--owner",
        "default",
        "--expires",
        "1h",
        "--out",
        text(&token),
    ]);
    let file = asked.response("told.der", &["-no_nonce"]);
    let output = asked.prove(&file, &["--token-file", text(&token)]);
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
}
