//! Promise 3: openssl accepts what `chancery sign` made, against our roots, and refuses a changed file.

use std::process::Command;

use crate::house::{House, fail, status, succeed, text};

fn signed(house: &House, algorithm: &str) -> (std::path::PathBuf, String) {
    let key = format!("release-{algorithm}");
    house.run(&["issue", "code", "--key", &key, "--algorithm", algorithm, "--out", text(&house.path(&key))]);
    let file = house.path("app.bin");
    std::fs::write(&file, vec![7u8; 300_000]).expect("a file");
    (file, key)
}

fn cms_verify(house: &House, file: &std::path::Path) -> Command {
    let mut openssl = Command::new("openssl");
    openssl.args(["cms", "-verify", "-binary", "-inform", "DER", "-purpose", "any", "-out", "/dev/null", "-in"]);
    openssl.arg(format!("{}.p7s", file.display())).arg("-content").arg(file).arg("-CAfile").arg(house.ca("roots.pem"));
    openssl
}

#[test]
fn openssl_verifies_cms_signatures_and_refuses_a_changed_file() {
    let house = House::started();
    for algorithm in ["p256", "rsa2048", "rsa3072"] {
        let (file, key) = signed(&house, algorithm);
        house.run(&["sign", text(&file), "--key", &key, "--format", "cms", "--force"]);
        succeed(cms_verify(&house, &file));
        let mut changed = std::fs::read(&file).expect("the file");
        changed[1234] ^= 1;
        std::fs::write(&file, changed).expect("the file");
        let said = fail(cms_verify(&house, &file));
        assert!(said.contains("digest") || said.contains("verification failure"), "{algorithm}: {said}");
    }
    let operations = house.json(&["certs", "list", "--kind", "code-signature"]);
    assert_eq!(operations.as_array().map(Vec::len), Some(3), "each signature stands in the register: {operations}");
}

#[test]
fn openssl_verifies_raw_signatures() {
    let house = House::started();
    for algorithm in ["p256", "rsa2048"] {
        let (file, key) = signed(&house, algorithm);
        let chain = house.path("chain.pem");
        house.run(&["sign", text(&file), "--key", &key, "--force", "--format", "raw", "--chain-out", text(&chain)]);
        let public = house.path("key.pub");
        let mut extract = Command::new("openssl");
        extract.args(["x509", "-pubkey", "-noout", "-in"]).arg(&chain);
        std::fs::write(&public, succeed(extract)).expect("a public key");
        let verify = || {
            let mut openssl = Command::new("openssl");
            openssl.args(["dgst", "-sha256", "-verify", text(&public), "-signature"]);
            openssl.arg(format!("{}.sig", file.display())).arg(&file);
            openssl
        };
        succeed(verify());
        std::fs::write(&file, b"changed").expect("the file");
        assert!(!status(&mut verify()), "{algorithm}: a changed file is refused");
    }
}

#[test]
fn what_was_signed_is_asked_for_by_content_and_by_name() {
    let house = House::started();
    let (file, key) = signed(&house, "p256");
    house.run(&["sign", text(&file), "--key", &key, "--format", "raw"]);
    std::fs::write(&file, b"changed").expect("the file");
    house.run(&["sign", text(&file), "--key", &key, "--format", "cms"]);
    let copy = house.path("copy.bin");
    std::fs::copy(&file, &copy).expect("a copy");
    let listed = |file: &std::path::Path| {
        let listed = house.json(&["sign", text(file), "--list"]);
        listed.as_array().expect("a list").clone()
    };
    assert_eq!(listed(&file).len(), 2, "of this name, whatever its content");
    let of_copy = listed(&copy);
    assert_eq!(of_copy.len(), 1, "of this content, whatever its name: {of_copy:?}");
    assert!(of_copy[0]["signed_at"].is_string(), "{of_copy:?}");
    assert!(house.run(&["sign", text(&copy), "--list"]).contains("app.bin"));
    std::fs::remove_file(&file).expect("the file");
    assert_eq!(listed(&file).len(), 2, "also of a file that is gone");
    assert!(listed(&house.path("other.bin")).is_empty());
    // A name that reads as another is shown as what it is.
    let odd = house.path("exe\u{202e}gpj");
    std::fs::write(&odd, b"odd").expect("a file");
    house.run(&["sign", text(&odd), "--key", &key, "--format", "raw"]);
    let shown = house.run(&["sign", text(&odd), "--list"]);
    assert!(shown.contains("exe\\u{202e}gpj") && !shown.contains('\u{202e}'), "{shown}");
}

#[test]
fn a_failed_out_leaves_no_key_behind() {
    let house = House::started();
    let blocked = house.path("blocked");
    std::fs::write(&blocked, b"a file").expect("a file");
    let issue = |out: &std::path::Path| house.output(&["issue", "code", "--key", "release", "--out", text(out)]);
    assert!(!issue(&blocked.join("below")).status.success());
    assert!(house.curl_admin(&[&house.https("/api/v1/keys")]).json()["items"].as_array().is_some_and(Vec::is_empty));
    assert!(issue(&house.path("release")).status.success(), "the label is free");
    // Nobody keeps what a mistyped owner would have.
    let output =
        house.output(&["issue", "code", "--key", "other", "--owner", "defualt", "--out", text(&house.path("x"))]);
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("no owner `defualt`"), "{output:?}");
}

#[test]
fn a_key_of_another_purpose_does_not_sign_code() {
    let house = House::started();
    let file = house.path("app.bin");
    std::fs::write(&file, b"x").expect("a file");
    for key in ["root", "tls", "code", "log", "ssh-user", "no-such-key"] {
        let output = house.output(&["sign", text(&file), "--key", key, "--force", "--format", "raw"]);
        assert!(!output.status.success(), "{key} signed code");
    }
    assert!(!house.path("app.bin.sig").exists());
}
