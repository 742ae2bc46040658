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
