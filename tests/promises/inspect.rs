//! `chancery inspect` shows what openssl and OpenSSH make, and what a host serves, and trusts none of it.

use std::process::Command;

use crate::house::{House, command, fail, succeed, text};

fn openssl(house: &House, line: &str) {
    let mut openssl = Command::new("openssl");
    openssl.args(line.split(' ')).current_dir(house.path(""));
    succeed(openssl);
}

#[test]
fn inspect_shows_each_kind_of_object_in_words() {
    let house = House::started();
    house.run(&["issue", "tls", "localhost", "--out", text(&house.path("issued"))]);
    for line in [
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-384 -nodes -keyout ca.key -out ca.pem -subj /CN=Old -days 3650",
        "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024 -out weak.key",
        "genpkey -algorithm ed25519 -out ed.key",
        "ecparam -name secp521r1 -genkey -out sec1.key",
        "pkcs8 -topk8 -in ed.key -out closed.key -passout pass:x",
        "rsa -in weak.key -aes128 -traditional -passout pass:x -out old.key",
        "pkey -in ed.key -pubout -outform DER -out public.der",
        "req -new -key weak.key -subj /O=Ex/CN=a.test -addext subjectAltName=DNS:a.test,IP:192.0.2.1 -outform DER -out csr.der",
        "pkcs12 -export -in ca.pem -inkey ca.key -passout pass:x -out store.p12",
        "crl2pkcs7 -nocrl -certfile ca.pem -outform DER -out bundle.p7c",
        "crl2pkcs7 -nocrl -certfile ca.pem -out bundle.pem",
        "ocsp -index index.txt -rsigner ca.pem -rkey ca.key -CA ca.pem -issuer ca.pem -serial 7 -respout answer.der",
    ] {
        std::fs::write(house.path("index.txt"), "R\t301231000000Z\t260101000000Z,keyCompromise\t07\tunknown\t/CN=x\n")
            .expect("an index");
        openssl(&house, line);
    }
    let keytool = |line: &str| {
        let mut keytool = command("keytool", &line.split(' ').collect::<Vec<_>>());
        keytool.current_dir(house.path(""));
        succeed(keytool);
    };
    let made = "-storetype JKS -keystore store.jks -storepass secret";
    keytool(&format!("-genkeypair -alias own -keyalg EC -dname CN=Java -keypass secret {made}"));
    keytool(&format!("-importcert -noprompt -alias roots -file ca.pem {made}"));
    succeed(command("ssh-keygen", &["-q", "-t", "ed25519", "-N", "abcdef", "-C", "me", "-f", text(&house.path("id"))]));
    let crl = house.path("tls.crl");
    house.curl(&["-o", text(&crl), &house.http("/crl/tls.crl")]);
    for (file, words) in [
        (
            "issued/cert.pem",
            &["certificate\n", "dns:localhost", "days left", "not a CA", "TLS server", "/crl/tls/1/0.crl"][..],
        ),
        ("issued/key.pem", &["private key", "EC P-256", "encrypted  no"]),
        ("ca/roots.pem", &["ca certificate", "(itself)", "its own key signed it", "signs certificates"]),
        ("ca.pem", &["CN=Old", "EC P-384 (192 bits", "9 years left"]),
        ("weak.key", &["RSA 1024 (too weak)"]),
        ("ed.key", &["Ed25519"]),
        ("sec1.key", &["EC P-521"]),
        ("closed.key", &["a password protects it", "PBES2"]),
        ("old.key", &["a password protects it", "OpenSSL of old"]),
        ("public.der", &["public key", "Ed25519"]),
        ("csr.der", &["CN=a.test,O=Ex", "dns:a.test, ip:192.0.2.1", "RSA 1024 (too weak)", "signed"]),
        ("store.p12", &["pkcs12", "a MAC with SHA-256", "encrypted, PBES2"]),
        (
            "store.jks",
            &[
                "java keystore",
                "not checked: that takes its password",
                "alias  own",
                "CN=Java",
                "alias  roots",
                "CN=Old",
            ],
        ),
        ("bundle.p7c", &["pkcs7", "signed data", "CN=Old"]),
        ("bundle.pem", &["pkcs7", "CN=Old"]),
        (
            "answer.der",
            &["ocsp response", "successful", "07: REVOKED since 2026-01-01T00:00:00Z", "key-compromise", "CN=Old"],
        ),
        ("tls.crl", &["crl", "next update", "CRL number", "revoked  0"]),
        ("id", &["ssh private key", "encrypted  yes"]),
        ("id.pub", &["ssh public key", "SHA256:", "comment  me"]),
    ] {
        let said = house.run(&["inspect", text(&house.path(file))]);
        let missing = words.iter().find(|word| !said.contains(*word));
        assert_eq!(missing, None, "{file}:\n{said}");
        let parsed = house.json(&["inspect", text(&house.path(file))]);
        assert!(parsed[0]["kind"].is_string(), "{parsed}");
    }
    // The fingerprint is the one that openssl has.
    let of_openssl =
        succeed(command("openssl", &["x509", "-noout", "-fingerprint", "-sha256", "-in", text(&house.path("ca.pem"))]));
    let shown = house.json(&["inspect", text(&house.path("ca.pem"))]);
    assert!(of_openssl.contains(shown[0]["sha256"].as_str().expect("a fingerprint")), "{of_openssl} {shown}");
    // What a key file has in its lines stands nowhere.
    for file in ["issued/key.pem", "weak.key", "id"] {
        let said = house.run(&["inspect", text(&house.path(file))]);
        let lines = std::fs::read_to_string(house.path(file)).expect("a key");
        assert!(!lines.lines().filter(|line| !line.starts_with("--")).any(|line| said.contains(line)), "{said}");
    }
    for (file, says) in [("/etc/passwd", "neither PEM nor DER"), ("/dev/null", "nothing in it"), ("/", "is a folder")] {
        assert!(fail(house.command(&["inspect", file])).contains(says), "{file}");
    }
}

#[test]
fn inspect_shows_what_a_host_serves_and_says_whom_it_leads_to() {
    let house = House::started();
    let address = house.https("").replace("https://", "");
    let own = house.run(&["inspect", &address]);
    for word in [
        "tls  1.3",
        "alpn  h2",
        "leads to own roots  yes",
        "leads to system roots  NO",
        "dns:localhost",
        "ca certificate",
    ] {
        assert!(own.contains(word), "{word}: {own}");
    }
    let other = house.json(&["inspect", &address, "--servername", "other.example"]);
    assert_eq!(
        other[0]["leads_to_own_roots"].as_str().map(|said| said.starts_with("NO: its names are others")),
        Some(true),
        "{other}"
    );
    assert_eq!(other[0]["contains"].as_array().map(Vec::len), own.matches("spki").count().into());
    let plain = house.http("").replace("http://", "");
    let said = fail(house.command(&["inspect", &plain]));
    assert!(said.contains("speaks no TLS at first"), "{said}");
    let closed = format!("localhost:{}", load::free_port());
    let refused = house.command(&["inspect", &closed]).output().expect("it runs");
    assert_eq!(refused.status.code(), Some(4), "{}", String::from_utf8_lossy(&refused.stderr));
}
