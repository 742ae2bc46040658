//! What each profile makes, as text that a reviewer sees change. `UPDATE_GOLDEN=1 cargo test` writes it anew.

use std::path::Path;

use ca::{CodeKeyRequest, Lifetime, RevocationReason, SshRequest};
use hsm::KeyKind;
use policy::Principal;

use crate::house::{House, accepts, admin, owner, server_request};

pub fn compare(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, golden, "{name} changed; look at the difference, then UPDATE_GOLDEN=1");
}

/// What differs from run to run (keys, serials, signatures) becomes a word.
fn normalised(text: &str) -> String {
    let mut out: Vec<String> = Vec::new();
    for line in text.lines() {
        let bare = line.trim();
        let pairs =
            bare.trim_end_matches(':').split(':').all(|b| b.len() == 2 && b.bytes().all(|c| c.is_ascii_hexdigit()));
        let hex = pairs && (bare.contains(':') || out.last().is_some_and(|last| last.ends_with("(hex)")));
        let indent = &line[..line.len() - line.trim_start().len()];
        let line = match (hex, bare.split_once("SHA256:"), bare.split_once("Serial")) {
            (true, ..) => format!("{indent}(hex)"),
            (_, Some((before, _)), _) => format!("{indent}{before}SHA256:(hash)"),
            (_, _, Some((_, rest))) if rest.len() > 12 => format!("{indent}Serial (number)"),
            _ => line.to_owned(),
        };
        if out.last() != Some(&line) {
            out.push(line);
        }
    }
    out.join("\n") + "\n"
}

pub fn x509_text(house: &House, der: &[u8]) -> String {
    let file = house.file("golden.der", der);
    normalised(&accepts("openssl", &[&"x509", &"-inform", &"DER", &"-in", &file, &"-noout", &"-text"]))
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_and_crls_look_as_they_did() {
    let house = House::at("2027-03-01T12:00:00Z").await;
    for issuer in house.authority.cas() {
        let certificate = issuer.certificate.unwrap();
        compare(&format!("ca-{}.txt", issuer.name.issuer()), &x509_text(&house, &certificate.der));
    }
    let names = ["www.example.com", "*.example.internal", "192.0.2.1"];
    let server = house.server(&names).await;
    compare("tls-server.txt", &x509_text(&house, &server.x509_der()));

    let mut request = server_request(&["host.example.com"]);
    request.profile = "tls-client".to_owned();
    let client = house.authority.certify(&admin(), request).await.unwrap();
    compare("tls-client.txt", &x509_text(&house, &client.x509_der()));

    let request = CodeKeyRequest {
        label: "release".to_owned(),
        owner: owner("web"),
        kind: KeyKind::P256,
        subject: Some("Example Releases".to_owned()),
    };
    let code = house.authority.create_code_key(&admin(), request).await.unwrap();
    compare("code-signing.txt", &x509_text(&house, &code.x509_der()));

    house.authority.revoke(&admin(), &server.serial_hex(), RevocationReason::KeyCompromise).await.unwrap();
    let crl = house.file("golden.crl", house.authority.crl("tls").await.unwrap());
    let text = accepts("openssl", &[&"crl", &"-inform", &"DER", &"-in", &crl, &"-noout", &"-text"]);
    compare("crl.txt", &normalised(&text));
}

#[tokio::test(flavor = "multi_thread")]
async fn ocsp_responses_and_their_responder_look_as_they_did() {
    let house = House::at("2027-03-01T12:00:00Z").await;
    let (good, revoked) = (house.server(&["a.example.com"]).await, house.server(&["b.example.com"]).await);
    house.authority.revoke(&admin(), &revoked.serial_hex(), RevocationReason::KeyCompromise).await.unwrap();
    let ca = house.authority.cas().into_iter().find(|ca| ca.name.to_string() == "tls/1").unwrap();
    let der = house.file("issuer.der", &ca.certificate.unwrap().der);
    let issuer = house.file("issuer.pem", accepts("openssl", &[&"x509", &"-inform", &"DER", &"-in", &der]));
    let [good, revoked] = [good, revoked].map(|issued| format!("0x{}", issued.serial_hex()));
    let request = house.dir.path().join("request.der");
    accepts(
        "openssl",
        &[
            &"ocsp",
            &"-no_nonce",
            &"-issuer",
            &issuer,
            &"-serial",
            &good,
            &"-sha256",
            &"-serial",
            &revoked,
            &"-sha1",
            &"-serial",
            &"0x7f01",
            &"-reqout",
            &request,
        ],
    );
    let answer = house.authority.ocsp(None, &std::fs::read(&request).unwrap(), None).await;
    let response = house.file("response.der", &answer.der);
    let text = accepts("openssl", &[&"ocsp", &"-respin", &response, &"-resp_text", &"-noverify"]);
    let hashes = ["Responder Id: ", "Issuer Key Hash: "];
    let lines = text.lines().take_while(|line| *line != "Certificate:").map(|line| {
        let hash = hashes.iter().find(|name| line.contains(**name));
        hash.map_or(line.to_owned(), |name| format!("{}(hash)", &line[..line.find(name).unwrap() + name.len()]))
    });
    compare("ocsp-response.txt", &normalised(&lines.collect::<Vec<_>>().join("\n")));
    let filter = store::Filter { profile: Some("ocsp".to_owned()), ..store::Filter::default() };
    let responder = house.ledger.newest(filter).await.unwrap().unwrap().x509_der().unwrap();
    compare("ocsp-responder.txt", &x509_text(&house, &responder));
}

#[tokio::test(flavor = "multi_thread")]
async fn ssh_certificates_look_as_they_did() {
    let house = House::at("2027-03-01T12:00:00Z").await;
    let request = |principal: &str| SshRequest {
        owner: owner("web"),
        public_key: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti".to_owned(),
        principals: vec![Principal::parse(principal).unwrap()],
        key_id: None,
        life: Lifetime::ByProfile,
    };
    let user = house.authority.sign_ssh_user(&admin(), request("alice")).await.unwrap();
    let host = house.authority.sign_ssh_host(&admin(), request("host.example.internal")).await.unwrap();
    for (name, issued) in [("ssh-user.txt", user), ("ssh-host.txt", host)] {
        let file = house.file("golden-cert.pub", &issued.certificate);
        let text = accepts("env", &[&"TZ=UTC", &"ssh-keygen", &"-L", &"-f", &file]);
        compare(name, &normalised(text.split_once('\n').unwrap().1));
    }
}
