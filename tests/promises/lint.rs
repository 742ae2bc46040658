//! What is issued breaks no rule: pkilint, which others wrote, finds no error in one of each; and `chancery lint`, which says the same
//! of anybody's certificates by the names of its lints.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::house::{House, command, fail, succeed, text};

/// In an environment of its own, as Debian wants it.
const PKILINT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/clients/pkilint/bin");

/// What pkilint's baseline requirements for public TLS servers say and cannot hold inside: the finding, and why.
const CANNOT_HOLD_INSIDE: &[(&str, &str)] = &[
    ("cabf.internal_domain_name", "names that nobody else has are what a CA inside is for"),
    ("cabf.internal_ip_address", "so are addresses"),
    (
        "cabf.serverauth.ca.certificate_policies_extension_absent",
        "a CA without policies is for all of them, which public CAs may not be",
    ),
    ("cabf.serverauth.ca.country_attribute_absent", "whoever wants a country says so: `init --subject-base /C=..`"),
    (
        "cabf.serverauth.subscriber.certificate_policies_extension_absent",
        "the policies of public CAs say how a name was validated by their rules, which bind nobody inside",
    ),
];

/// One certificate of each profile and kind of CA.
fn certificates(house: &House) -> Vec<(&'static str, PathBuf)> {
    house.run(&["issue", "tls", "www.example.internal", "127.0.0.1", "--out", text(&house.path("tls"))]);
    house.run(&["issue", "client", "client.example.internal", "--out", text(&house.path("client"))]);
    house.run(&["issue", "code", "--key", "release", "--out", text(&house.path("code"))]);
    let (key, csr) = (house.path("rsa.key"), house.path("rsa.csr"));
    let request = ["req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=www.example.internal", "-keyout"];
    succeed(command("openssl", &[&request[..], &[text(&key), "-out", text(&csr)]].concat()));
    house.run(&["issue", "tls", "www.example.internal", "--csr", text(&csr), "--out", text(&house.path("rsa"))]);
    // A CA with all that one may have.
    let plan =
        ["ca", "create", "edge", "--above", "root", "--key", "p384", "--subject", "/O=Example/CN=Example Edge CA"];
    let bounds = ["--purpose", "server-auth", "--permit", "dns:example.internal", "--permit", "ip:10.0.0.0/8"];
    let more = ["--exclude", "dns:secret.example.internal", "--policy", "1.3.6.1.4.1.32473.1"];
    house.run(&[&plan[..], &bounds, &more].concat());
    house.run(&["ca", "export", "edge", "--out", text(&house.path("edge.pem"))]);
    first_of(&house.path("edge.pem"));
    vec![
        ("CA within bounds", house.path("edge.pem")),
        ("tls-server", house.path("tls/cert.pem")),
        ("tls-server, RSA", house.path("rsa/cert.pem")),
        ("tls-client", house.path("client/cert.pem")),
        ("code-signing", house.path("code/cert.pem")),
        ("CA of servers", house.path("tls/chain.pem")),
        ("CA of code", house.path("code/chain.pem")),
        ("root", house.ca("roots.pem")),
    ]
}

/// Leaves the first certificate of a chain in the file: pkilint reads one.
fn first_of(path: &Path) {
    let chain = fs::read_to_string(path).expect("a chain");
    let end = "-----END CERTIFICATE-----\n";
    let (first, _) = chain.split_once(end).expect("a certificate");
    fs::write(path, format!("{first}{end}")).expect("the first");
}

/// Each CRL that is published.
fn crls(house: &House) -> Vec<(&'static str, PathBuf)> {
    let serial =
        house.json(&["certs", "list", "--profile", "tls-server"])[0]["serial"].as_str().expect("a serial").to_owned();
    house.run(&["certs", "revoke", &serial, "--reason", "key-compromise"]);
    let fetch = |name: &'static str| {
        let path = house.path(&format!("{name}.crl"));
        let answer = house.curl(&["-o", text(&path), &house.http(&format!("/crl/{name}.crl"))]);
        assert_eq!(answer.status, 200, "{name}");
        (name, path)
    };
    ["root", "tls", "code", "edge"].map(fetch).to_vec()
}

/// Each part's CRL of the TLS CA, which has two, the deltas of these, and the complete one.
fn parts(house: &House) -> Vec<(&'static str, PathBuf)> {
    let fetch = |name: &'static str| {
        let path = house.path(&format!("part-{name}.crl"));
        let answer = house.curl(&["-o", text(&path), &house.http(&format!("/crl/tls/1/{name}.crl"))]);
        assert_eq!(answer.status, 200, "{name}");
        (name, path)
    };
    ["0", "1", "full", "0.delta", "1.delta"].map(fetch).to_vec()
}

/// The codes of pkilint's findings of this severity and worse.
fn findings(linter: &str, arguments: &[&str], severity: &str, file: &Path) -> Vec<String> {
    let mut judge = Command::new(format!("{PKILINT}/{linter}"));
    judge.arg("lint").args(arguments).args(["-f", "JSON", "-s", severity]).arg(file);
    let output = judge.output().expect("pkilint runs");
    let said = String::from_utf8_lossy(&output.stdout);
    let report: Value = serde_json::from_str(&said)
        .unwrap_or_else(|e| panic!("{linter}: {e}: {said}{}", String::from_utf8_lossy(&output.stderr)));
    let results = report["results"].as_array().expect("results").iter();
    results
        .flat_map(|result| result["finding_descriptions"].as_array().into_iter().flatten())
        .map(|finding| finding["code"].as_str().expect("a code").to_owned())
        .collect()
}

/// Of a server with a name that has a dot in it, as pkilint wants of the places in a certificate.
fn named() -> House {
    let names = ["--server-name", "pki.example.internal", "--server-name", "localhost", "--server-name", "127.0.0.1"];
    let mut house = House::with(&[&["--demo", "--crl-shards", "2", "--delta-crls"], &names[..]].concat());
    // Nobody resolves that name here.
    let client = fs::read_to_string(house.ca("client.toml")).expect("client.toml");
    fs::write(house.ca("client.toml"), client.replace("pki.example.internal", "localhost")).expect("client.toml");
    house.start();
    house
}

#[test]
fn pkilint_finds_no_error_in_one_of_each() {
    let house = named();
    let none: [String; 0] = [];
    let certificates = certificates(&house);
    for (name, path) in &certificates {
        assert_eq!(findings("lint_pkix_cert", &[], "WARNING", path), none, "{name}");
    }
    for (name, path) in crls(&house) {
        let kind = if name == "root" { "ARL" } else { "CRL" };
        for rules in ["PKIX", "BR"] {
            assert_eq!(findings("lint_crl", &["-t", kind, "-p", rules], "WARNING", &path), none, "{name}, {rules}");
        }
    }
    // Of the parts one tells of the revoked, the other of nobody; both say of what they tell.
    let mut scoped = 0;
    for (name, path) in parts(&house) {
        for rules in ["PKIX", "BR"] {
            assert_eq!(findings("lint_crl", &["-t", "CRL", "-p", rules], "WARNING", &path), none, "{name}, {rules}");
        }
        let judged = house.json(&["lint", text(&path)]);
        assert!(judged[0]["findings"].as_array().is_some_and(Vec::is_empty), "{name}: {judged:#}");
        let shown = succeed(command("openssl", &["crl", "-inform", "DER", "-noout", "-text", "-in", text(&path)]));
        scoped += usize::from(shown.contains("Issuing Distribution Point: critical"));
    }
    assert_eq!(scoped, 4, "the parts and their deltas are parts, and the complete one is none");
    // Held against the rules for public servers: each row is met, and there is no other.
    let public = [
        ("tls-server", "DV-FINAL-CERTIFICATE"),
        ("tls-server, RSA", "DV-FINAL-CERTIFICATE"),
        ("CA of servers", "INTERNAL-UNCONSTRAINED-TLS-CA"),
        ("root", "ROOT-CA"),
    ];
    let path = |name| certificates.iter().find(|(found, _)| *found == name).map(|(_, path)| path).expect("it is there");
    let mut said: Vec<String> = public
        .iter()
        .flat_map(|(name, kind)| findings("lint_cabf_serverauth_cert", &["-t", kind], "ERROR", path(*name)))
        .collect();
    said.sort();
    said.dedup();
    let rows: Vec<_> = CANNOT_HOLD_INSIDE.iter().map(|(code, _)| *code).collect();
    assert_eq!(said, rows);
}

/// The profiles that come ready and are not in force before somebody puts them there.
#[test]
fn pkilint_finds_no_error_in_one_of_each_ready_profile() {
    let mut house = House::with(&["--demo", "--server-name", "pki.example.internal", "--server-name", "localhost"]);
    let client = fs::read_to_string(house.ca("client.toml")).expect("client.toml");
    fs::write(house.ca("client.toml"), client.replace("pki.example.internal", "localhost")).expect("client.toml");
    for name in ["mtls-peer", "smime", "timestamping", "network-access", "kubernetes"] {
        let file = house.run(&["profile", "show", name, "--ready"]);
        fs::write(house.ca(&format!("profiles/{name}.toml")), file).expect("a profile");
    }
    house.append(
        "[[owner]]\nname = \"web\"\nemail = [\"*@example.com\"]\nuri = [\"spiffe://example.internal/*\"]\n\
         upn = [\"*@example.internal\"]\n",
    );
    house.start();
    for (name, purpose) in [("mail", "email-protection"), ("timestamps", "time-stamping")] {
        let subject = format!("/O=Example/CN=Example {name}");
        house.run(&["ca", "create", name, "--above", "root", "--subject", &subject, "--purpose", purpose]);
    }
    let asked: [(&str, &str, &[&str]); 5] = [
        ("mtls-peer", "/CN=x", &["spiffe://example.internal/api"]),
        ("smime", "/CN=x", &["alice@example.com"]),
        ("timestamping", "/CN=Stamps", &[]),
        ("network-access", "/CN=x", &["upn:alice@example.internal"]),
        ("kubernetes", "/CN=alice", &[]),
    ];
    for (profile, subject, names) in asked {
        let (key, csr, out) = (house.path("ready.key"), house.path("ready.csr"), house.path(profile));
        let request =
            ["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", subject];
        succeed(command("openssl", &[&request[..], &["-keyout", text(&key), "-out", text(&csr)]].concat()));
        let issue =
            ["issue", "client", "--profile", profile, "--owner", "web", "--csr", text(&csr), "--out", text(&out)];
        house.run(&[&issue[..], names].concat());
        let certificate = out.join("cert.pem");
        // Its URIs have a scheme of a list, in which spiffe is not.
        let rows: &[&str] = if profile == "mtls-peer" { &["pkix.invalid_uri_syntax"] } else { &[] };
        assert_eq!(findings("lint_pkix_cert", &[], "WARNING", &certificate), rows, "{profile}");
        let judged = house.json(&["lint", text(&certificate)]);
        assert!(judged[0]["findings"].as_array().is_some_and(Vec::is_empty), "{profile}: {judged:#}");
    }
}

#[test]
fn pkilint_and_our_lint_find_nothing_in_an_ocsp_response_of_each_kind() {
    let mut house = House::started();
    let serial = |name: &str| {
        let folder = house.path(name);
        let said = house.json(&["issue", "tls", "localhost", "--out", text(&folder)]);
        said["serial"].as_str().expect("a serial").to_owned()
    };
    let (good, revoked) = (serial("good"), serial("revoked"));
    house.run(&["certs", "revoke", &revoked, "--reason", "key-compromise"]);
    let (der, issuer) = (house.path("tls.der"), house.path("tls.pem"));
    assert_eq!(house.curl(&["-o", text(&der), &house.http("/aia/tls/1.cer")]).status, 200);
    succeed(command("openssl", &["x509", "-inform", "DER", "-in", text(&der), "-out", text(&issuer)]));
    let mut answers = Vec::new();
    for (status, serial) in [("good", &*good), ("revoked", &*revoked), ("unknown", "7f010203040506070809")] {
        for (word, more) in [("", &["-no_nonce"][..]), (" with a nonce", &[]), (" by SHA-256", &["-sha256"])] {
            let answer = house.path(&format!("{status}{word}.ocsp"));
            let (serial, url) = (format!("0x{serial}"), house.http("/ocsp/tls/1"));
            let mut ask = command("openssl", &["ocsp", "-issuer", text(&issuer), "-url", &url, "-noverify"]);
            ask.args(more).args(["-serial", &serial, "-respout", text(&answer)]);
            assert!(succeed(ask).contains(status), "{status}{word}");
            answers.push((format!("{status}{word}"), answer));
        }
    }
    for (name, answer) in &answers {
        assert_eq!(findings("lint_ocsp_response", &[], "WARNING", answer), Vec::<String>::new(), "{name}");
    }
    house.stop();
    for (name, answer) in &answers {
        let judged = house.json(&["lint", text(answer)]);
        assert_eq!(judged[0]["kind"], "ocsp-response", "{name}");
        assert!(judged[0]["findings"].as_array().is_some_and(Vec::is_empty), "{name}: {judged:#}");
    }

    // Somebody else's: by the CA's own key, without a nextUpdate.
    let (key, ca) = (house.path("other.key"), house.path("other.pem"));
    let make = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "9", "-subj", "/CN=Other", "-keyout"];
    succeed(command("openssl", &[&make[..], &[text(&key), "-out", text(&ca)]].concat()));
    let (index, answer) = (house.path("index.txt"), house.path("other.ocsp"));
    fs::write(&index, "R\t301231235959Z\t260101000000Z,keyCompromise\t07\tunknown\t/CN=x\n").expect("an index");
    let made = ["ocsp", "-index", text(&index), "-rsigner", text(&ca), "-rkey", text(&key), "-CA", text(&ca)];
    let asked = ["-issuer", text(&ca), "-serial", "7", "-respout", text(&answer)];
    succeed(command("openssl", &[&made[..], &asked].concat()));
    let judged = house.output(&["lint", text(&answer), "--json"]);
    assert_eq!(judged.status.code(), Some(5));
    let judged: Value = serde_json::from_slice(&judged.stdout).expect("JSON");
    let names: Vec<&str> =
        judged[0]["findings"].as_array().into_iter().flatten().filter_map(|found| found["lint"].as_str()).collect();
    assert_eq!(names, ["ocsp-has-a-next-update"], "{judged:#}");
}

#[test]
fn a_draft_that_breaks_a_lint_is_refused_by_its_name_and_is_an_entry_of_the_log() {
    let house = House::started();
    let out = house.path("nightly");
    let code = |subject: &'static str| ["issue", "code", "--key", "nightly", "--subject", subject, "--out", text(&out)];
    let issued = || house.json(&["certs", "list"]).as_array().map(Vec::len);
    let before = issued();
    let refused = house.output(&code("Example "));
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(3), "{said}");
    assert!(said.contains("name-values-are-not-empty") && said.contains("CPS 3.1"), "{said}");
    assert_eq!(issued(), before);
    let log = house.run(&["audit", "list", "--json"]);
    assert!(log.contains("name-values-are-not-empty") && log.contains("refuse"), "{log}");
    house.run(&code("Example"));
    assert_eq!(house.json(&["audit", "verify"])["findings_total"], 0);
}

#[test]
fn any_certificate_and_crl_is_linted_by_name_and_without_a_server() {
    let mut house = House::started();
    let (certificates, crls) = (certificates(&house), crls(&house));
    house.stop();
    let files: Vec<&str> = certificates.iter().chain(&crls).map(|(_, path)| text(path)).collect();
    let judged = house.json(&[&["lint"], &files[..]].concat());
    let objects = judged.as_array().expect("objects");
    assert_eq!(objects.len(), files.len());
    let kinds: Vec<&str> = objects.iter().filter_map(|one| one["kind"].as_str()).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == "certificate").count(), 4);
    assert_eq!(kinds.iter().filter(|kind| **kind == "ca-certificate").count(), 4);
    assert_eq!(kinds.iter().filter(|kind| **kind == "crl").count(), 4);
    assert!(objects.iter().all(|one| one["findings"].as_array().is_some_and(Vec::is_empty)), "{judged:#}");

    // Somebody else's: a CA that says nothing of what its key is for, and a server by its common name alone.
    let (key, other) = (house.path("other.key"), house.path("other.pem"));
    let make = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "900", "-subj", "/CN=www.example", "-addext"];
    let make = [&make[..], &["extendedKeyUsage=serverAuth", "-addext", "basicConstraints=critical,CA:false"]].concat();
    succeed(command("openssl", &[&make[..], &["-keyout", text(&key), "-out", text(&other)]].concat()));
    let said = fail(house.command(&["lint", text(&other)]));
    for word in ["certificate CN=www.example", "server-has-a-name", "server-holds-825-days-at-most", "RFC 9525"] {
        assert!(said.contains(word), "{word}: {said}");
    }
    let exit = |arguments: &[&str]| house.output(&[&["lint"], arguments].concat()).status.code();
    assert_eq!(exit(&[text(&other)]), Some(5));
    assert_eq!(exit(&[text(&other), "--least", "error"]), Some(0));
    assert_eq!(exit(&[text(&certificates[1].1)]), Some(0));

    // What is nothing to judge: what it is, and no finding.
    fs::write(house.path("text"), "root:x:0:0\n").expect("a file");
    for (name, why) in
        [("rsa.key", "a PEM block `PRIVATE KEY`"), ("rsa.csr", "CERTIFICATE REQUEST"), ("text", "neither PEM nor DER")]
    {
        let path = house.path(name);
        assert!(fail(house.command(&["lint", text(&path)])).contains(why), "{name}");
        assert_eq!(exit(&[text(&path)]), Some(1), "{name}");
    }
    let names = house.json(&["lint", "--list"]);
    let names: Vec<&str> = names.as_array().into_iter().flatten().filter_map(|lint| lint["lint"].as_str()).collect();
    assert!(names.contains(&"leaf-is-not-a-ca") && names.contains(&"crl-has-a-number"), "{names:?}");
}
