//! Promise 7: a token that goes away stops issuance and nothing else, and comes back without help. A wrong PIN is
//! tried once.

use std::time::{Duration, Instant};

use crate::house::{House, PATIENCE, SOFTHSM, command, succeed, text, until};
use crate::judges::listed;

#[test]
fn issuance_stops_without_the_token_and_heals_by_itself() {
    let house = House::started();
    house.run(&["issue", "tls", "localhost", "--out", text(&house.path("before"))]);
    let (tokens, away) = (house.path("tokens"), house.path("tokens.away"));
    let request = house.path("request.json");
    std::fs::write(&request, issue_body(&house)).expect("a body");
    let data = format!("@{}", request.display());
    let url = house.https("/api/v1/certificates");
    let issue = || house.curl_admin(&["-H", "Content-Type: application/json", "--data-binary", &data, &url]);
    assert_eq!(issue().status, 201);

    std::fs::rename(&tokens, &away).expect("the token goes away");
    let refused = until(PATIENCE, || issue().status == 503);
    assert!(refused, "issuance answers 503");
    let answer = issue();
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert!(answer.header("retry-after").is_some_and(|v| v.parse::<u32>().is_ok()), "{}", answer.headers);
    assert_eq!(answer.header("content-type").as_deref(), Some("application/problem+json"));
    // Reads and the CRL go on.
    assert_eq!(house.curl_admin(&[&house.https("/api/v1/certificates?limit=1")]).status, 200);
    assert_eq!(house.curl(&[&house.http("/crl/tls.crl")]).status, 200);
    assert_eq!(house.curl(&[&house.https("/log/checkpoint")]).status, 200);
    assert_eq!(house.curl(&[&house.https("/healthz")]).status, 200, "alive");
    assert_eq!(house.curl(&[&house.http("/readyz")]).status, 503, "not ready");

    // A revocation goes on too, and says that no CRL has it yet.
    let before = house.json(&["certs", "list", "--name", "localhost", "--state", "issued"]);
    let serial = before[0]["serial"].as_str().expect("a serial").to_owned();
    let revoked = house.json(&["certs", "revoke", &serial, "--reason", "superseded"]);
    assert_eq!((&revoked["state"], &revoked["crl"]), (&"revoked".into(), &"pending".into()), "{revoked}");
    assert!(!listed(&house, &serial));

    std::fs::rename(&away, &tokens).expect("the token comes back");
    let back = Instant::now();
    // Not with the next minute's look, as the house has one too.
    assert!(until(PATIENCE / 2, || listed(&house, &serial)), "the CRL follows by itself:\n{}", house.server_log());
    let healed = until(PATIENCE, || issue().status == 201);
    assert!(healed, "issuance heals by itself:\n{}", house.server_log());
    assert!(back.elapsed() < Duration::from_secs(30), "after {:?}", back.elapsed());
    let report = house.json(&["audit", "verify"]);
    assert_eq!(report["findings_total"], 0, "{report}");
}

/// A request body with a key made by openssl.
pub fn issue_body(house: &House) -> String {
    let (key, csr) = (house.path("probe.key"), house.path("probe.csr"));
    succeed(command(
        "openssl",
        &[
            "req",
            "-new",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-keyout",
            text(&key),
            "-out",
            text(&csr),
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=DNS:localhost",
        ],
    ));
    let csr = std::fs::read_to_string(csr).expect("a CSR");
    serde_json::json!({"profile": "tls-server", "owner": "default", "csr": csr}).to_string()
}

#[test]
fn a_wrong_pin_is_tried_once_and_said_clearly() {
    let house = House::new();
    // OpenSC's spy stands between us and the token and writes every call down.
    let (spy, calls) = (spy(), house.path("calls.log"));
    house.configure(SOFTHSM, text(&spy));
    std::fs::write(house.path("pin"), "000000").expect("a wrong PIN");
    let mut serve = house.command(&["serve"]);
    let output = serve.env("PKCS11SPY", SOFTHSM).env("PKCS11SPY_OUTPUT", &calls).output().expect("the binary runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("PIN") && said.contains("once"), "{said}");
    assert!(!said.contains("000000"), "the PIN itself is not said: {said}");
    let log = std::fs::read_to_string(&calls).unwrap_or_default();
    assert!(log.contains("CKR_PIN_INCORRECT"), "the token refused it:\n{log}");
    assert_eq!(log.matches("C_Login\n").count(), 1, "one try:\n{log}");
}

fn spy() -> std::path::PathBuf {
    let folders = std::fs::read_dir("/usr/lib").expect("/usr/lib").flatten();
    folders.map(|f| f.path().join("pkcs11-spy.so")).find(|p| p.exists()).expect("opensc-pkcs11 is installed")
}

#[test]
fn doctor_describes_the_token_and_signs_a_test() {
    let house = House::new();
    let said = &house.json(&["doctor"])["tokens"][0];
    assert_eq!(said["token"]["label"], "test");
    assert_eq!(said["test_signature"], "good");
    let keys: Vec<&str> = said["keys"].as_array().into_iter().flatten().filter_map(|k| k["label"].as_str()).collect();
    for label in ["root-1", "tls-1", "code-1", "ssh-user-1", "ssh-host-1", "log-1"] {
        assert!(keys.contains(&label), "{label} in {keys:?}");
    }
    assert!(said["mechanisms"].as_array().is_some_and(|m| m.iter().any(|m| m == "CKM_ECDSA")), "{said}");
}
