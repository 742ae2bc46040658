//! Delta CRLs by the built binary: what a revocation puts into one openssl reads over a complete CRL of before it, whatever ends the
//! server; the auditor recomputes it.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::house::{House, PATIENCE, command, status, succeed, text, until};

/// A file that the public is given.
fn fetched(house: &House, from: &str, to: &str) -> PathBuf {
    let path = house.path(to);
    let answer = house.curl(&["-o", text(&path), &house.http(from)]);
    assert_eq!(answer.status, 200, "{from}");
    path
}

fn shown(crl: &Path) -> String {
    succeed(command("openssl", &["crl", "-inform", "DER", "-noout", "-text", "-in", text(crl)]))
}

/// Whether openssl takes a certificate by these CRLs, of which one is a delta.
fn is_taken(house: &House, certificate: &str, crls: &[&PathBuf]) -> bool {
    let pem = |crl: &&PathBuf| succeed(command("openssl", &["crl", "-inform", "DER", "-in", text(crl)]));
    let all = house.path("all.pem");
    std::fs::write(&all, crls.iter().map(pem).collect::<String>()).expect("CRLs");
    let (leaf, chain) =
        (house.path(&format!("{certificate}/cert.pem")), house.path(&format!("{certificate}/chain.pem")));
    let roots = house.ca("roots.pem");
    let checks = ["verify", "-x509_strict", "-crl_check", "-use_deltas", "-CRLfile", text(&all)];
    let of = ["-CAfile", text(&roots), "-untrusted", text(&chain), text(&leaf)];
    status(&mut command("openssl", &[&checks[..], &of].concat()))
}

fn generation(house: &House, name: &str) -> Value {
    let issuer = house.json(&["ca", "show", name.split('/').next().expect("an issuer")]);
    let all = issuer["generations"].as_array().expect("generations");
    all.iter().find(|one| one["name"] == name).unwrap_or_else(|| panic!("{name} in {issuer:#}")).clone()
}

#[test]
fn a_delta_tells_of_a_revocation_and_of_a_release_across_a_kill_of_the_server() {
    let mut house = House::with(&["--demo", "--delta-crls"]);
    house.start();
    let urls = &generation(&house, "tls/1")["delta_crl_urls"];
    assert!(urls[0].as_str().is_some_and(|url| url.ends_with("/crl/tls/1/0.delta.crl")), "{urls}");
    let mut serials = Vec::new();
    for name in ["good", "bad", "held"] {
        house.run(&["issue", "tls", "localhost", "--out", text(&house.path(name))]);
        let leaf = house.path(&format!("{name}/cert.pem"));
        let serial = succeed(command("openssl", &["x509", "-noout", "-serial", "-in", text(&leaf)]));
        serials.push(serial.trim().trim_start_matches("serial=").to_lowercase());
    }
    house.run(&["certs", "hold", &serials[2]]);
    let lists = |from: &str, serial: &str| shown(&fetched(&house, from, "seen.crl")).to_lowercase().contains(serial);
    assert!(until(PATIENCE, || lists("/crl/tls/1/0.crl", &serials[2])), "the complete CRL follows the delta");
    let base = fetched(&house, "/crl/tls/1/0.crl", "base.crl");

    // Whoever was answered finds it in the delta, though the server is killed at once.
    house.run(&["certs", "revoke", &serials[1], "--reason", "key-compromise"]);
    house.run(&["certs", "release", &serials[2]]);
    house.kill();
    house.start();
    let delta = || fetched(&house, "/crl/tls/1/0.delta.crl", "delta.crl");
    assert!(until(PATIENCE, || shown(&delta()).contains("Remove From CRL")), "{}", shown(&delta()));
    let delta = delta();
    let says = shown(&delta);
    assert!(says.contains("X509v3 Delta CRL Indicator: critical") && !says.contains("Freshest"), "{says}");
    for (name, taken, without) in [("good", true, true), ("bad", false, true), ("held", true, false)] {
        assert_eq!(is_taken(&house, name, &[&base, &delta]), taken, "{name}: {says}");
        assert_eq!(is_taken(&house, name, &[&base]), without, "{name} by the complete CRL alone");
    }
    let judged = house.json(&["lint", text(&delta), text(&base)]);
    for file in judged.as_array().expect("two files") {
        assert_eq!(file["findings"].as_array().map(Vec::len), Some(0), "{file:#}");
    }
    assert_eq!(house.json(&["audit", "verify"])["findings_total"], 0);
    // One without deltas says so, to whoever asks for one.
    assert_eq!(house.curl(&[&house.http("/crl/root/1/0.delta.crl")]).status, 404);
    house.run(&["ca", "rotate", "tls", "--delta-crls=false"]);
    assert_eq!(generation(&house, "tls/2")["delta_crl_urls"], Value::Array(Vec::new()));
    house.run(&["ca", "rotate", "tls"]);
    house.run(&["ca", "create", "edge", "--above", "root", "--subject", "/CN=Edge", "--delta-crls"]);
    assert_eq!(generation(&house, "tls/3")["delta_crl_urls"], Value::Array(Vec::new()), "as the one before");
    assert_eq!(generation(&house, "edge/1")["delta_crl_urls"].as_array().map(Vec::len), Some(1));
}
