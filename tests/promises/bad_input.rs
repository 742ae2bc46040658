//! Promise 8: whatever comes in wrong gets a clear 4xx problem, changes nothing in the register, and panics nobody.

use std::process::Command;

use serde_json::{Value, json};

use crate::house::{Answer, House, PYTHON, command, succeed, text};

fn csr(house: &House, key: &[&str], subject: &str, extensions: &[&str]) -> String {
    let out = house.path("bad.csr");
    let mut openssl = Command::new("openssl");
    openssl
        .args(["req", "-new", "-nodes", "-keyout", text(&house.path("bad.key")), "-subj", subject, "-out", text(&out)])
        .args(key);
    for extension in extensions {
        openssl.args(["-addext", extension]);
    }
    succeed(openssl);
    std::fs::read_to_string(out).expect("a CSR")
}

const P256: &[&str] = &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];

fn post(house: &House, path: &str, content_type: &str, body: &[u8]) -> Answer {
    let file = house.path("body");
    std::fs::write(&file, body).expect("a body");
    let (header, data) = (format!("Content-Type: {content_type}"), format!("@{}", file.display()));
    house.curl_admin(&["-H", &header, "-H", "Expect:", "--data-binary", &data, &house.https(path)])
}

fn issue(house: &House, body: &Value) -> Answer {
    post(house, "/api/v1/certificates", "application/json", body.to_string().as_bytes())
}

/// A problem per RFC 9457 with a status of the 4xx class that says what is wrong.
fn problem(answer: &Answer, says: &str) {
    assert!((400..500).contains(&answer.status), "{says}: {} {}", answer.status, answer.text());
    assert_eq!(
        answer.header("content-type").as_deref(),
        Some("application/problem+json"),
        "{says}: {}",
        answer.headers
    );
    let problem = answer.json();
    assert_eq!(problem["status"], answer.status, "{problem}");
    assert!(problem["type"].as_str().is_some_and(|t| t.starts_with("urn:")), "{problem}");
    let text = problem.to_string().to_lowercase();
    assert!(text.contains(&says.to_lowercase()), "{says:?} is not in {problem}");
}

#[test]
fn bad_requests_get_a_clear_problem_and_leave_no_trace_but_refusals() {
    let house = House::started();
    let good = csr(&house, P256, "/CN=localhost", &["subjectAltName=DNS:localhost"]);
    let body = |csr: &str| json!({"profile": "tls-server", "owner": "default", "csr": csr});
    assert_eq!(issue(&house, &body(&good)).status, 201);
    let before = house.json(&["certs", "list"]).as_array().map(Vec::len);

    // CSRs.
    problem(
        &issue(&house, &body("-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n")),
        "csr",
    );
    problem(&issue(&house, &body("hello")), "csr");
    problem(&issue(&house, &body(&"A".repeat(20_000))), "");
    let damaged = {
        // The last letter of the base64 body is inside the signature.
        let end = good.rfind("\n-----END").expect("PEM");
        let at = good[..end].rfind(|c: char| c.is_ascii_lowercase()).expect("a letter");
        format!("{}{}{}", &good[..at], if &good[at..=at] == "a" { "b" } else { "a" }, &good[at + 1..])
    };
    problem(&issue(&house, &body(&damaged)), "csr");
    for (key, says) in [
        (&["-newkey", "rsa:1024"][..], "rsa"),
        (&["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp224r1"][..], "curve"),
    ] {
        problem(&issue(&house, &body(&csr(&house, key, "/CN=localhost", &["subjectAltName=DNS:localhost"]))), says);
    }
    let unknown = csr(&house, P256, "/CN=localhost", &["subjectAltName=DNS:localhost", "1.2.3.4.5=ASN1:NULL"]);
    problem(&issue(&house, &body(&unknown)), "1.2.3.4.5");
    let ca = csr(&house, P256, "/CN=localhost", &["subjectAltName=DNS:localhost", "basicConstraints=critical,CA:TRUE"]);
    problem(&issue(&house, &body(&ca)), "ca");

    // Names outside the owner's rules, and owners nobody knows.
    let foreign = csr(&house, P256, "/CN=www.example.com", &["subjectAltName=DNS:www.example.com"]);
    let refused = issue(&house, &body(&foreign));
    assert_eq!(refused.status, 403, "{}", refused.text());
    problem(&refused, "www.example.com");
    problem(&issue(&house, &json!({"profile": "tls-server", "owner": "nobody", "csr": good})), "nobody");
    problem(&issue(&house, &json!({"profile": "no-such", "owner": "default", "csr": good})), "no-such");
    problem(&issue(&house, &json!({"profile": "tls-server", "owner": "Not An Owner", "csr": good})), "owner");
    problem(
        &issue(
            &house,
            &json!({"profile": "tls-server", "owner": "default", "csr": good, "validity_secs": 99_999_999_999u64}),
        ),
        "validity",
    );
    problem(
        &issue(&house, &json!({"profile": "tls-server", "owner": "default", "csr": good, "colour": "red"})),
        "colour",
    );
    problem(
        &issue(
            &house,
            &json!({"profile": "tls-server", "owner": "default", "csr": good, "names": ["a_b.example.internal"]}),
        ),
        "a_b",
    );

    // Transport.
    let url = "/api/v1/certificates";
    let wrong_type = post(&house, url, "text/plain", good.as_bytes());
    assert_eq!(wrong_type.status, 415, "{}", wrong_type.text());
    problem(&wrong_type, "");
    let oversize = post(&house, url, "application/json", &vec![b' '; 300_000]);
    assert_eq!(oversize.status, 413, "{}", oversize.text());
    problem(&oversize, "");
    problem(&post(&house, url, "application/json", b"{\"profile\": "), "");
    problem(&post(&house, url, "application/json", &[0xff, 0xfe, 0x00]), "");
    problem(&house.curl_admin(&[&house.https("/api/v1/certificates/zz")]), "");
    problem(&house.curl_admin(&[&house.https("/api/v1/certificates/00112233445566778899aabbccddeeff")]), "");
    problem(&house.curl_admin(&[&house.https("/api/v1/certificates?limit=minus")]), "limit");
    problem(&house.curl(&[&house.https("/api/v1/certificates")]), "");
    problem(
        &house.curl(&["-H", "Authorization: Bearer chy_0011223344556677_x", &house.https("/api/v1/certificates")]),
        "",
    );
    problem(&house.curl_admin(&["-X", "PUT", &house.https("/api/v1/certificates")]), "");

    // SSH.
    succeed(command("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", text(&house.path("id"))]));
    let key = std::fs::read_to_string(house.path("id.pub")).expect("a public key");
    for (body, says) in [
        (json!({"public_key": "ssh-ed25519 AAAA", "principals": ["root"], "owner": "default"}), "public_key"),
        (json!({"public_key": key, "principals": ["a,b"], "owner": "default"}), "principal"),
        (json!({"public_key": key, "principals": [], "owner": "default"}), "principal"),
    ] {
        problem(&post(&house, "/api/v1/ssh/user", "application/json", body.to_string().as_bytes()), says);
    }

    let after = house.json(&["certs", "list"]).as_array().map(Vec::len);
    assert_eq!(before, after, "nothing was issued and nothing was intended");
    let refusals = house.json(&["audit", "list", "--limit", "500"]);
    let refusals = refusals.as_array().into_iter().flatten().filter(|l| l["event"] == "refuse").count();
    assert!(refusals >= 1, "the refusal of a known actor stands in the log");
    let log = house.server_log();
    assert!(!log.contains("panicked"), "{log}");
    assert_eq!(house.json(&["audit", "verify"])["findings_total"], 0);
}

#[test]
fn a_replayed_nonce_is_refused_with_the_right_acme_problem() {
    let house = House::started();
    let said = succeed(command(
        PYTHON,
        &[
            concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/acme_replay.py"),
            &house.https("/acme/directory"),
            text(&house.ca("roots.pem")),
        ],
    ));
    assert_eq!(said.trim(), "urn:ietf:params:acme:error:badNonce");
}

#[test]
fn the_server_goes_on_after_garbage_on_its_ports() {
    use std::io::{Read, Write};
    let house = House::started();
    for url in [house.https(""), house.http("")] {
        let address = url.split("//").nth(1).expect("an address").replace("localhost", "127.0.0.1");
        for garbage in [&b"\x16\x03\x01\xff\xff\xff"[..], b"GET\r\n\r\n", &[0u8; 4096], b"\r\n\r\n\r\n"] {
            let mut stream = std::net::TcpStream::connect(&address).expect("a connection");
            let _ = stream.set_read_timeout(Some(std::time::Duration::from_millis(200)));
            let _ = stream.write_all(garbage);
            let _ = stream.read(&mut [0; 1024]);
        }
    }
    assert_eq!(house.curl(&[&house.https("/healthz")]).status, 200);
    assert!(!house.server_log().contains("panicked"));
}

#[test]
fn an_issuer_with_repeated_and_multi_valued_rdns_comes_out_byte_exact() {
    let mut house = House::with(&["--demo", "--subject-base", "/DC=com/DC=example/O=Example+OU=PKI"]);
    house.start();
    house.run(&["issue", "tls", "localhost", "--out", text(&house.path("x"))]);
    let read = |file: &str| {
        let pem = std::fs::read(house.path("x").join(file)).expect("a PEM file");
        x509_parser::pem::parse_x509_pem(&pem).expect("PEM").1
    };
    let (leaf, issuing) = (read("cert.pem"), read("chain.pem"));
    let (leaf, issuing) = (leaf.parse_x509().expect("a certificate"), issuing.parse_x509().expect("a certificate"));
    assert_eq!(leaf.issuer().as_raw(), issuing.subject().as_raw(), "byte for byte");
    assert_eq!(issuing.subject().to_string().matches("DC=").count(), 2, "{}", issuing.subject());
    assert!(issuing.subject().iter_rdn().any(|rdn| rdn.iter().count() == 2), "{}", issuing.subject());
    let crl = house.curl(&[&house.http("/crl/tls.crl")]).body;
    let (_, crl) = x509_parser::parse_x509_crl(&crl).expect("a CRL");
    assert_eq!(crl.issuer().as_raw(), issuing.subject().as_raw(), "in the CRL too");
    crate::judges::strictly_valid(&house, &house.path("x/cert.pem"), &house.path("x/chain.pem"), "localhost");
}
