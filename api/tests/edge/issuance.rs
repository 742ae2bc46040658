//! What the edge hands out: certificates of each kind, their lists, CRLs, the log and its proofs.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use policy::Role;
use reqwest::Client;
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use crate::house::{Server, client, csr, house, issue, name, token, unique};
use crate::matrix::SSH_KEY;

async fn get(client: &Client, url: String, token: &str) -> Value {
    let answer = client.get(&url).bearer_auth(token).send().await.expect("an answer");
    assert_eq!(answer.status(), 200, "{url}");
    answer.json().await.expect("JSON")
}

#[tokio::test]
async fn a_certificate_lives_its_life() {
    let server = Server::start().await;
    let (client, admin) = (client().build().expect("a client"), token(Role::Admin).await);
    let name = name();
    let issued = issue(&server, &admin, "tls-server", &name).await;
    assert_eq!(issued.body["names"], json!([format!("dns:{name}")]));
    assert!(issued.body["certificate"].as_str().is_some_and(|pem| issued.chain.starts_with(pem)));
    assert!(issued.chain.matches("BEGIN CERTIFICATE").count() >= 2);

    let one = server.url(&format!("/api/v1/certificates/{}", issued.serial));
    assert_eq!(get(&client, one.clone(), &admin).await["chain"], issued.body["chain"]);
    let renewed =
        client.post(format!("{one}/renew")).bearer_auth(&admin).json(&json!({})).send().await.expect("an answer");
    assert_eq!(renewed.status(), 201);
    assert!(renewed.headers().contains_key("location"));
    let renewed: Value = renewed.json().await.expect("JSON");
    assert_eq!(renewed["names"], issued.body["names"]);
    assert_ne!(renewed["serial"], issued.body["serial"]);

    let wish = json!({"reason": "superseded"});
    let revoked = client.post(format!("{one}/revoke")).bearer_auth(&admin).json(&wish).send().await.expect("an answer");
    let revoked: Value = revoked.json().await.expect("JSON");
    assert_eq!((&revoked["state"], &revoked["reason"]), (&json!("revoked"), &json!("superseded")));
    let again = client.post(format!("{one}/revoke")).bearer_auth(&admin).json(&wish).send().await.expect("an answer");
    assert_eq!(again.status(), 200, "the same again answers the same");
    let wish = json!({"reason": "affiliation-changed"});
    let other = client.post(format!("{one}/revoke")).bearer_auth(&admin).json(&wish).send().await.expect("an answer");
    assert_eq!(other.status(), 409);
    let released = client.post(format!("{one}/release")).bearer_auth(&admin).send().await.expect("an answer");
    assert_eq!(released.status(), 409, "what ended for good is not released");

    let crl = client.get(server.plain("/crl/tls.crl")).send().await.expect("a CRL");
    assert_eq!(crl.headers()["content-type"], "application/pkix-crl");
    let crl = crl.bytes().await.expect("DER");
    let (_, crl) = x509_parser::parse_x509_crl(&crl).expect("a CRL");
    let listed = |serial: &str| crl.iter_revoked_certificates().any(|entry| hex::encode(entry.raw_serial()) == serial);
    assert!(listed(&issued.serial));
    assert!(!listed(renewed["serial"].as_str().expect("a serial")));
}

#[tokio::test]
async fn a_bare_csr_gets_a_bare_chain() {
    let server = Server::start().await;
    let (client, admin) = (client().build().expect("a client"), token(Role::Admin).await);
    let (_, pem) = csr(&[&name()]);
    let der = {
        let (_, parsed) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).expect("PEM");
        parsed.contents
    };
    for body in [pem.into_bytes(), der] {
        let url = server.url("/api/v1/certificates?profile=tls-server&owner=web");
        let request = client.post(url).bearer_auth(&admin).header("content-type", "application/pkcs10").body(body);
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status(), 201);
        assert_eq!(answer.headers()["content-type"], "application/pem-certificate-chain");
        assert!(answer.text().await.expect("text").starts_with("-----BEGIN CERTIFICATE-----"));
    }
}

#[tokio::test]
async fn a_list_is_filtered_and_paged() {
    let server = Server::start().await;
    let (client, admin) = (client().build().expect("a client"), token(Role::Admin).await);
    let name = name();
    for _ in 0..3 {
        issue(&server, &admin, "tls-server", &name).await;
    }
    let base = server.url(&format!("/api/v1/certificates?name=dns:{name}&limit=2"));
    let first = get(&client, base.clone(), &admin).await;
    let cursor = first["next"].as_str().expect("a cursor");
    let second = get(&client, format!("{base}&cursor={cursor}"), &admin).await;
    let count = |page: &Value| page["items"].as_array().map_or(0, Vec::len);
    assert_eq!((count(&first), count(&second), &second["next"]), (2, 1, &Value::Null));
    assert!(first["items"][0].get("chain").is_none());
    let soon = get(&client, format!("{base}&expiring_secs=1"), &admin).await;
    assert_eq!(count(&soon), 0);
    let later = get(&client, format!("{base}&expiring_secs=4000000000"), &admin).await;
    assert_eq!(count(&later), 1, "what was replaced waits for nobody");
    let replaced = get(&client, format!("{base}&replaced=true"), &admin).await;
    assert_eq!(count(&replaced), 2);
}

#[tokio::test]
async fn a_list_without_a_kind_is_of_certificates() {
    let server = Server::start().await;
    let (client, admin) = (client().build().expect("a client"), token(Role::Admin).await);
    issue(&server, &admin, "tls-server", &name()).await;
    let crls = get(&client, server.url("/api/v1/certificates?kind=crl"), &admin).await;
    assert_ne!(crls["items"], json!([]));
    let every = get(&client, server.url("/api/v1/certificates?limit=1000"), &admin).await;
    let every = every["items"].as_array().expect("items");
    assert!(!every.is_empty());
    assert!(every.iter().all(|item| item["kind"] != "crl" && item["kind"] != "code-signature"));
}

#[tokio::test]
async fn ssh_certificates_and_code_signatures_come_with_their_operation() {
    let server = Server::start().await;
    let (client, admin) = (client().build().expect("a client"), token(Role::Admin).await);
    let wish = json!({"public_key": SSH_KEY, "principals": ["alice"], "owner": "web"});
    let ssh =
        client.post(server.url("/api/v1/ssh/user")).bearer_auth(&admin).json(&wish).send().await.expect("an answer");
    let ssh: Value = ssh.json().await.expect("JSON");
    assert!(
        ssh["certificate"].as_str().is_some_and(|line| line.starts_with("ssh-ed25519-cert-v01@openssh.com ")),
        "{ssh}"
    );
    assert_eq!(ssh["principals"], json!(["alice"]));

    let label = format!("release-{}", unique());
    let wish = json!({"label": label, "owner": "web"});
    let key = client.post(server.url("/api/v1/keys")).bearer_auth(&admin).json(&wish).send().await.expect("an answer");
    assert_eq!(key.status(), 201, "{}", key.text().await.expect("text"));
    let sha256 = hex::encode(digest(&SHA256, b"a file"));
    for format in ["raw", "cms"] {
        let wish = json!({"key": label, "format": format, "sha256": sha256, "file_name": "a.bin"});
        let signed =
            client.post(server.url("/api/v1/sign")).bearer_auth(&admin).json(&wish).send().await.expect("an answer");
        assert_eq!(signed.status(), 201);
        let signed: Value = signed.json().await.expect("JSON");
        assert!(STANDARD.decode(signed["signature"].as_str().expect("a signature")).is_ok());
        assert!(signed["chain"].as_str().is_some_and(|chain| chain.contains("BEGIN CERTIFICATE")));
        assert!(signed["operation"].is_u64());
    }
    let listed = get(&client, server.url("/api/v1/keys"), &admin).await;
    assert!(listed["items"].as_array().is_some_and(|keys| keys.iter().any(|key| key["label"] == label.as_str())));
}

#[tokio::test]
async fn a_client_that_hangs_up_changes_nothing() {
    let server = Server::start().await;
    let admin = token(Role::Admin).await;
    let name = name();
    let (_, csr) = csr(&[&name]);
    let wish = json!({"profile": "tls-server", "csr": csr, "owner": "web"}).to_string();
    let mut raw = crate::connections::tls(&server, b"http/1.1").await;
    let request = format!(
        "POST /api/v1/certificates HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {admin}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{wish}",
        wish.len()
    );
    tokio::io::AsyncWriteExt::write_all(&mut raw, request.as_bytes()).await.expect("written");
    tokio::io::AsyncWriteExt::flush(&mut raw).await.expect("flushed");
    drop(raw);
    // Whether the server saw the request before the hang-up or not: nothing stays half-done.
    let begun = std::time::Instant::now();
    loop {
        let filter = store::Filter { name: Some(format!("dns:{name}")), ..store::Filter::default() };
        let found = house().ledger.list(filter).await.expect("a list").items;
        match found.first().map(|credential| credential.state) {
            Some(store::State::Issued) => break,
            None if begun.elapsed() > std::time::Duration::from_secs(2) => break,
            Some(_) | None => assert!(begun.elapsed() < std::time::Duration::from_secs(10), "half-done"),
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_leaf_is_proven_against_a_signed_head() {
    let server = Server::start().await;
    let (client, auditor) = (client().build().expect("a client"), token(Role::Auditor).await);
    let issued = issue(&server, &token(Role::Admin).await, "tls-server", &name()).await;
    let index = issued.body["operation"].as_u64().expect("an operation");
    let proven = get(&client, server.url(&format!("/api/v1/audit/{index}")), &auditor).await;
    let entry = STANDARD.decode(proven["entry"].as_str().expect("bytes")).expect("base64");
    assert_eq!(serde_json::from_slice::<Value>(&entry).expect("a leaf"), proven["leaf"]);

    let checkpoint = proven["checkpoint"].as_str().expect("a checkpoint covers it");
    let mut lines = checkpoint.lines();
    assert_eq!(lines.next(), Some("log.edge.example"));
    let size: u64 = lines.next().and_then(|line| line.parse().ok()).expect("a size");
    let root = STANDARD.decode(lines.next().expect("a root")).expect("base64");
    assert_eq!(proven["size"], size);
    let proof = proven["proof"]
        .as_array()
        .expect("a proof")
        .iter()
        .map(|hash| STANDARD.decode(hash.as_str().expect("text")).expect("base64"));
    assert_eq!(root_from(index, size, &entry, proof.collect()), root);
}

/// RFC 9162 section 2.1.3.2, from the document alone.
fn root_from(index: u64, size: u64, entry: &[u8], proof: Vec<Vec<u8>>) -> Vec<u8> {
    let hash = |prefix: u8, parts: &[&[u8]]| {
        digest(&SHA256, &[&[prefix], parts.concat().as_slice()].concat()).as_ref().to_vec()
    };
    let (mut at, mut last, mut root) = (index, size - 1, hash(0, &[entry]));
    for step in proof {
        if at & 1 == 1 || at == last {
            root = hash(1, &[&step, &root]);
            while at & 1 == 0 && at != 0 {
                (at, last) = (at >> 1, last >> 1);
            }
        } else {
            root = hash(1, &[&root, &step]);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    assert_eq!(last, 0, "the proof has another length than the tree");
    root
}

#[tokio::test]
async fn the_log_is_served_in_tlog_tiles() {
    let server = Server::start().await;
    let client = client().build().expect("a client");
    issue(&server, &token(Role::Admin).await, "tls-server", &name()).await;
    let tile = client.get(server.plain("/log/tile/0/000.p/1")).send().await.expect("a tile");
    assert_eq!((tile.status().as_u16(), tile.bytes().await.expect("hashes").len()), (200, 32));
    let key = client.get(server.plain("/log/key")).send().await.expect("a key").text().await.expect("text");
    assert!(key.starts_with("log.edge.example+"), "{key}");
    let entries = "/log/tile/entries/000.p/1";
    assert_eq!(
        client.get(server.plain(entries)).send().await.expect("an answer").status(),
        404,
        "not on the plain listener"
    );
    assert_eq!(client.get(server.url(entries)).send().await.expect("an answer").status(), 401);
    let bundle =
        client.get(server.url(entries)).bearer_auth(token(Role::Auditor).await).send().await.expect("a bundle");
    let bundle = bundle.bytes().await.expect("entries");
    let length = usize::from(u16::from_be_bytes([bundle[0], bundle[1]]));
    assert_eq!(bundle.len(), 2 + length);
}

#[tokio::test]
async fn audit_pages_follow_each_other_without_gaps() {
    let server = Server::start().await;
    let (client, auditor) = (client().build().expect("a client"), token(Role::Auditor).await);
    let first = get(&client, server.url("/api/v1/audit?limit=3"), &auditor).await;
    let next = first["next"].as_u64().expect("more");
    let same = get(&client, server.url(&format!("/api/v1/audit?limit=3&cursor={next}")), &auditor).await;
    let second = get(&client, server.url(&format!("/api/v1/audit?limit=3&after={next}")), &auditor).await;
    let indexes = |page: &Value| {
        page["items"].as_array().expect("leaves").iter().map(|leaf| leaf["i"].as_u64()).collect::<Vec<_>>()
    };
    assert_eq!(indexes(&first), [Some(0), Some(1), Some(2)]);
    assert_eq!(indexes(&second), [Some(3), Some(4), Some(5)]);
    assert_eq!(indexes(&same), indexes(&second));
}

#[tokio::test]
async fn metrics_are_openmetrics_and_count_requests() {
    let server = Server::start().await;
    let (client, auditor) = (client().build().expect("a client"), token(Role::Auditor).await);
    client.get(server.url("/nowhere/at/all")).send().await.expect("an answer");
    let ask = client.get(server.url("/metrics")).bearer_auth(&auditor);
    let metrics = ask.header("accept", "application/openmetrics-text").send().await.expect("metrics");
    assert!(metrics.headers()["content-type"].to_str().expect("text").starts_with("application/openmetrics-text"));
    let text = metrics.text().await.expect("text");
    for line in [
        "chancery_hsm_ready 1",
        "route=\"unmatched\"",
        "# EOF",
        "chancery_log_size ",
        "chancery_audit_findings 0",
        "chancery_register_held 0",
    ] {
        assert!(text.contains(line), "{line} is missing in\n{text}");
    }
    assert!(!text.contains("/nowhere"), "paths of strangers make no series");
}
