//! OCSP as relying parties ask for it, from the built binary: openssl, GnuTLS and curl.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::house::{House, PATIENCE, command, succeed, text, until};

/// A house with a good and a revoked certificate, and their issuer's file.
struct Served {
    house: House,
    issuer: PathBuf,
    good: String,
    revoked: String,
}

/// A serial that the register does not hold, and that no node of ours makes.
const UNKNOWN: &str = "7f010203040506070809";

impl Served {
    fn new() -> Served {
        let house = House::started();
        let issued = |name: &str| {
            let folder = house.path(name);
            let said = house.json(&["issue", "tls", "localhost", "--out", text(&folder)]);
            said["serial"].as_str().expect("a serial").to_owned()
        };
        let (good, revoked) = (issued("good"), issued("revoked"));
        house.run(&["certs", "revoke", &revoked, "--reason", "key-compromise"]);
        let (der, issuer) = (house.path("tls.der"), house.path("tls.pem"));
        assert_eq!(house.curl(&["-o", text(&der), &house.http("/aia/tls/1.cer")]).status, 200);
        succeed(command("openssl", &["x509", "-inform", "DER", "-in", text(&der), "-out", text(&issuer)]));
        Served { house, issuer, good, revoked }
    }

    fn openssl(&self, url: &str, serial: &str, more: &[&str]) -> String {
        let serial = format!("0x{serial}");
        let roots = self.house.ca("roots.pem");
        let mut ocsp = command("openssl", &["ocsp", "-issuer", text(&self.issuer), "-url", url]);
        ocsp.args(more).args(["-serial", &serial, "-CAfile", text(&roots), "-resp_text"]);
        both(ocsp)
    }

    /// A request in a file, without a nonce.
    fn request(&self, serial: &str) -> Vec<u8> {
        let file = self.house.path("request.der");
        let serial = format!("0x{serial}");
        let issuer = text(&self.issuer);
        let args = ["ocsp", "-issuer", issuer, "-no_nonce", "-serial", &serial, "-reqout", text(&file)];
        succeed(command("openssl", &args));
        std::fs::read(file).expect("a request")
    }
}

#[test]
fn openssl_is_told_good_revoked_and_unknown_with_and_without_a_nonce() {
    let served = Served::new();
    for path in ["/ocsp", "/ocsp/tls/1", "/ocsp/"] {
        let url = served.house.http(path);
        for more in [&[][..], &["-no_nonce"], &["-sha256"], &["-sha256", "-no_nonce"]] {
            for (serial, says) in
                [(served.good.as_str(), "good"), (served.revoked.as_str(), "revoked"), (UNKNOWN, "unknown")]
            {
                let said = served.openssl(&url, serial, more);
                assert!(said.contains("Response verify OK"), "{path} {more:?}: {said}");
                assert!(said.contains(&format!("Cert Status: {says}")), "{path} {more:?} {says}: {said}");
                // openssl warns of a nonce that was not repeated.
                assert_eq!(said.contains("OCSP Nonce:"), !more.contains(&"-no_nonce"), "{path} {more:?}: {said}");
                assert!(!said.contains("WARNING"), "{path} {more:?}: {said}");
                assert_eq!(said.contains("Revocation Reason: keyCompromise"), says == "revoked", "{said}");
            }
        }
    }
    // Another issuer's address does not answer for it, and no such issuer is none.
    let wrong = command(
        "openssl",
        &["ocsp", "-issuer", text(&served.issuer), "-serial", "0x01", "-url", &served.house.http("/ocsp/code/1")],
    );
    let said = both(wrong);
    assert!(said.contains("unauthorized"), "{said}");
    for path in ["/ocsp/nobody/1", "/ocsp/tls/2"] {
        let url = served.house.http(path);
        let answer = served.house.curl(&["-d", "x", "-H", "Content-Type: application/ocsp-request", &url]);
        assert_eq!(answer.status, 404, "{path}");
    }
    // Clients are in use that say of a request that it is a form, or nothing.
    std::fs::write(served.house.path("asked.der"), served.request(&served.good)).expect("a request");
    let (data, told) = (format!("@{}", served.house.path("asked.der").display()), served.house.path("told.der"));
    for said in ["Content-Type:", "Content-Type: application/x-www-form-urlencoded", "Content-Type: text/plain"] {
        let url = served.house.http("/ocsp/tls/1");
        let answer = served.house.curl(&["-H", said, "--data-binary", &data, "-o", text(&told), &url]);
        assert_eq!(answer.status, 200, "{said}");
        says(&told, "good");
    }
    // The whole log holds, batches and all.
    let said = served.house.run(&["audit", "verify"]);
    assert!(said.contains("holds") || said.contains("ok"), "{said}");
}

#[test]
fn gnutls_is_told_the_same() {
    let served = Served::new();
    let roots = served.house.ca("roots.pem");
    for (name, says) in [("good", "good"), ("revoked", "revoked")] {
        let certificate = served.house.path(name).join("cert.pem");
        for nonce in ["--nonce", "--no-nonce"] {
            let url = served.house.http("/ocsp/tls/1");
            let mut ocsptool = command("ocsptool", &[&format!("--ask={url}"), nonce]);
            ocsptool.args(["--load-cert", text(&certificate), "--load-issuer", text(&served.issuer)]);
            ocsptool.args(["--load-trust", text(&roots)]);
            let said = both(ocsptool);
            assert!(said.contains(&format!("Certificate Status: {says}")), "{name} {nonce}: {said}");
            assert!(said.contains("Response Signature: Success") || said.contains("Success"), "{name} {nonce}: {said}");
        }
    }
}

#[test]
fn a_get_is_answered_however_it_is_written_and_caches_may_keep_it() {
    let served = Served::new();
    let house = &served.house;
    let plain = STANDARD.encode(served.request(&served.good));
    let encoded = plain.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    let out = house.path("answer.der");
    let mut answers = Vec::new();
    for path in [
        format!("/ocsp/{plain}"),
        format!("/ocsp//{plain}"),
        format!("/ocsp/{encoded}"),
        format!("/ocsp/tls/1/{encoded}"),
        format!("/ocsp/tls/1//{plain}"),
        format!("/ocsp/{}", plain.trim_end_matches('=')),
    ] {
        let answer = house.curl(&["--path-as-is", "-o", text(&out), &house.http(&path)]);
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.header("content-type").as_deref(), Some("application/ocsp-response"));
        answers.push(std::fs::read(&out).expect("an answer"));
    }
    assert!(answers.windows(2).all(|two| two[0] == two[1]), "one response, byte for byte");
    says(&out, "good");
    let url = house.http(&format!("/ocsp/{encoded}"));
    let first = house.curl(&["-o", text(&out), &url]);
    let header = |name: &str| first.header(name).unwrap_or_else(|| panic!("no {name}"));
    let cache = header("cache-control");
    assert!(cache.starts_with("max-age=3600, public") && cache.contains("must-revalidate"), "{cache}");
    assert!(header("expires").ends_with("GMT") && header("last-modified").ends_with("GMT"));
    let etag = format!("If-None-Match: {}", header("etag"));
    assert_eq!(house.curl(&["-H", &etag, &url]).status, 304);
    // Over HTTPS too.
    let roots = house.ca("roots.pem");
    let answer = house.curl(&["--cacert", text(&roots), "-o", text(&out), &house.https(&format!("/ocsp/{encoded}"))]);
    assert_eq!(answer.status, 200);
    // A certificate that is revoked is told so at once.
    house.run(&["certs", "revoke", &served.good, "--reason", "superseded"]);
    assert_eq!(house.curl(&["-H", &etag, "-o", text(&out), &url]).status, 200);
    says(&out, "revoked");
    // What is no request is answered in OCSP's words, and nobody keeps that.
    for path in ["/ocsp/nonsense!", "/ocsp/AAAA", "/ocsp"] {
        let answer = house.curl(&["-o", text(&out), &house.http(path)]);
        assert_eq!((answer.status, answer.header("cache-control").as_deref()), (200, Some("no-store")), "{path}");
        assert_eq!(std::fs::read(&out).expect("an answer"), [0x30, 3, 0x0a, 1, 1], "{path}");
    }
}

/// What a program said on both streams, whatever it ended with.
fn both(mut command: Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn says(response: &Path, status: &str) {
    let said = both(command("openssl", &["ocsp", "-respin", text(response), "-resp_text", "-noverify"]));
    assert!(said.contains(&format!("Cert Status: {status}")), "{said}");
}

/// What is in memory goes on without the token; what is not is told to come later; both heal.
#[test]
fn without_the_token_what_is_in_memory_is_answered_and_the_rest_is_told_to_come_later() {
    let served = Served::new();
    let house = &served.house;
    let url = house.http("/ocsp");
    served.openssl(&url, &served.good, &["-no_nonce"]);
    let (tokens, aside) = (house.path("tokens"), house.path("tokens-aside"));
    std::fs::rename(&tokens, &aside).expect("the token is taken out");
    let ask = |serial: &str| {
        let request = house.path("asked.der");
        std::fs::write(&request, served.request(serial)).expect("a request");
        let out = house.path("told.der");
        let data = format!("@{}", request.display());
        let posts = ["-H", "Content-Type: application/ocsp-request", "--data-binary", &data, "-o", text(&out), &url];
        assert_eq!(house.curl(&posts).status, 200);
        std::fs::read(out).expect("an answer")
    };
    assert!(until(PATIENCE, || ask(&served.revoked) == [0x30, 3, 0x0a, 1, 3]), "tryLater");
    let said = served.openssl(&url, &served.good, &["-no_nonce"]);
    assert!(said.contains("Cert Status: good"), "{said}");
    // And for whoever asks with a nonce: without it.
    let said = served.openssl(&url, &served.good, &[]);
    assert!(said.contains("Cert Status: good") && said.contains("WARNING: no nonce in response"), "{said}");
    std::fs::rename(&aside, &tokens).expect("the token is put back");
    assert!(until(PATIENCE, || ask(&served.revoked).len() > 100), "it heals");
    let status = house.json(&["--json", "audit", "list"]);
    assert!(status.to_string().contains("ocsp"), "{status}");
}
