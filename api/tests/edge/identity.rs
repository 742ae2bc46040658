//! Who is who: tokens and client certificates, their revocation, and failures that are counted and never written down.

use std::collections::BTreeSet;

use api::Limits;
use policy::{Action, Actor, Role};
use reqwest::Client;
use serde_json::{Value, json};

use crate::house::{Server, client, client_with, csr, house, issue, name, token, token_of};

async fn whoami(client: &Client, server: &Server, token: Option<&str>) -> (u16, Value) {
    let mut request = client.get(server.url("/api/v1/whoami"));
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let answer = request.send().await.expect("an answer");
    (answer.status().as_u16(), answer.json().await.expect("JSON"))
}

#[tokio::test]
async fn a_token_is_its_actor() {
    let server = Server::start().await;
    let (text, id) = token_of(&[Role::Issuer], None, 60).await;
    let (status, body) = whoami(&client().build().expect("a client"), &server, Some(&text)).await;
    assert_eq!(status, 200);
    assert_eq!((&body["roles"], &body["owners"]), (&json!(["issuer"]), &json!(["web"])));
    assert_eq!(body["proof"], format!("token:{id}"));
}

#[tokio::test]
async fn nobody_is_told_what_is_missing() {
    let server = Server::start().await;
    let answer = client().build().expect("a client").get(server.url("/api/v1/whoami")).send().await.expect("an answer");
    assert_eq!(answer.status(), 401);
    assert!(answer.headers()["www-authenticate"].to_str().expect("text").starts_with("Bearer"));
    let body: Value = answer.json().await.expect("JSON");
    assert!(body["missing"].as_str().expect("a sentence").contains("Bearer"), "{body}");
}

#[tokio::test]
async fn a_revoked_token_is_refused_at_once() {
    let server = Server::start().await;
    let client = client().build().expect("a client");
    let (text, id) = token_of(&[Role::Auditor], None, 3_600).await;
    assert_eq!(whoami(&client, &server, Some(&text)).await.0, 200);
    let admin = token(Role::Admin).await;
    let url = server.url(&format!("/api/v1/tokens/{id}"));
    assert_eq!(client.delete(&url).bearer_auth(&admin).send().await.expect("an answer").status(), 204);
    let (status, body) = whoami(&client, &server, Some(&text)).await;
    assert_eq!(status, 401);
    assert!(body["detail"].as_str().expect("a sentence").contains("revoked"), "{body}");
    assert_eq!(client.delete(&url).bearer_auth(&admin).send().await.expect("an answer").status(), 409);
}

#[tokio::test]
async fn a_token_revoked_on_another_node_is_refused_within_the_memory() {
    let (here, there) = (Server::start().await, Server::start().await);
    let client = client().build().expect("a client");
    let (text, id) = token_of(&[Role::Auditor], None, 3_600).await;
    assert_eq!(whoami(&client, &here, Some(&text)).await.0, 200);
    let gone = client.delete(there.url(&format!("/api/v1/tokens/{id}"))).bearer_auth(token(Role::Admin).await);
    assert_eq!(gone.send().await.expect("an answer").status(), 204);
    let begun = std::time::Instant::now();
    while whoami(&client, &here, Some(&text)).await.0 == 200 {
        assert!(begun.elapsed() < Limits::default().caller_memory * 3, "still believed");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_scope_narrows_a_role() {
    let server = Server::start().await;
    let client = client().build().expect("a client");
    let (text, _) = token_of(&[Role::Admin], Some(BTreeSet::from([Action::ReadStatus])), 60).await;
    let status = |path: &'static str| {
        let request = client.get(server.url(path)).bearer_auth(&text);
        async move { request.send().await.expect("an answer").status().as_u16() }
    };
    assert_eq!((status("/api/v1/status").await, status("/api/v1/tokens").await), (200, 403));
}

#[tokio::test]
async fn a_token_is_shown_once_and_never_listed() {
    let server = Server::start().await;
    let client = client().build().expect("a client");
    let admin = token(Role::Admin).await;
    let wish = json!({"name": "listed", "roles": ["issuer"], "owners": ["web"], "expires_secs": 60});
    let made =
        client.post(server.url("/api/v1/tokens")).bearer_auth(&admin).json(&wish).send().await.expect("an answer");
    assert_eq!(made.status(), 201);
    let made: Value = made.json().await.expect("JSON");
    let (text, id) = (made["token"].as_str().expect("a token"), made["id"].as_str().expect("an id"));
    assert_eq!(whoami(&client, &server, Some(text)).await.0, 200);
    let secret = text.strip_prefix(&format!("chy_{id}_")).expect("the shape of a token");
    // Page by page, so that none is in no list.
    let (mut listed, mut cursor, mut pages) = (String::new(), String::new(), 0);
    loop {
        let url = server.url(&format!("/api/v1/tokens?limit=2{cursor}"));
        let page = client.get(url).bearer_auth(&admin).send().await.expect("an answer").text().await.expect("text");
        let read: Value = serde_json::from_str(&page).expect("JSON");
        listed += &page;
        pages += 1;
        match read["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert!(
        pages > 1
            && listed.contains("\"state\":\"active\"")
            && listed.matches(&format!("\"id\":\"{id}\"")).count() == 1
            && !listed.contains(secret)
            && !listed.contains("sha256")
    );
    let head = house().ledger.head().size;
    let leaves = house().ledger.leaves(0..head).await.expect("leaves");
    assert!(leaves.iter().all(|(_, leaf)| !leaf.contains(secret)));
}

#[tokio::test]
async fn strangers_are_slowed_down_and_never_written_down() {
    let server = Server::with(Limits { failures: 5, ..Limits::default() }).await;
    let client = client().build().expect("a client");
    let good = token(Role::Auditor).await;
    let mut statuses = Vec::new();
    let marker = "5bad5bad5bad5bad";
    for _ in 0..8 {
        let bad = format!("chy_{marker}_{}", "x".repeat(43));
        statuses.push(whoami(&client, &server, Some(&bad)).await.0);
    }
    assert_eq!(statuses, [401, 401, 401, 401, 401, 429, 429, 429]);
    assert_eq!(
        whoami(&client, &server, Some(&good)).await.0,
        200,
        "a right token is let in, although it was never seen"
    );
    let head = house().ledger.head().size;
    let leaves = house().ledger.leaves(0..head).await.expect("leaves");
    assert!(leaves.iter().all(|(_, leaf)| !leaf.contains(marker)));
}

#[tokio::test]
async fn a_client_certificate_is_an_agent_of_its_owner() {
    let server = Server::start().await;
    let certificate = issue(&server, &token(Role::Admin).await, "tls-client", &name()).await;
    let (status, body) = whoami(&client_with(&certificate), &server, None).await;
    assert_eq!(status, 200);
    assert_eq!(body["id"], format!("cert:{}", certificate.serial));
    assert_eq!((&body["roles"], &body["owners"]), (&json!(["agent"]), &json!(["web"])));
}

#[tokio::test]
async fn a_login_does_no_more_than_the_token_it_was_made_with_and_speaks_for_its_own_names() {
    let server = Server::start().await;
    let scopes = [Action::IssueCertificate, Action::RenewCertificate];
    let (narrow, _) = token_of(&[Role::Issuer], Some(BTreeSet::from(scopes)), 3_600).await;
    let own = name();
    let login = issue(&server, &narrow, "tls-client", &own).await;
    let agent = client_with(&login);
    let (status, body) = whoami(&agent, &server, None).await;
    assert_eq!((status, &body["scopes"]), (200, &json!(["issue-certificate", "renew-certificate"])));
    let shown =
        agent.get(server.url(&format!("/api/v1/certificates/{}", login.serial))).send().await.expect("an answer");
    assert_eq!(shown.status(), 403, "its token could not read either");

    let ask = async |path: &str, body: Value| {
        let answer = agent.post(server.url(path)).json(&body).send().await.expect("an answer");
        (answer.status().as_u16(), answer.text().await.expect("text"))
    };
    let wish = |names: &[&str]| json!({"profile": "tls-client", "owner": "web", "csr": csr(names).1});
    let (status, problem) = ask("/api/v1/certificates", wish(&[&name()])).await;
    assert!(status == 403 && problem.contains("is not in the client certificate"), "{status} {problem}");
    assert_eq!(ask("/api/v1/certificates", wish(&[&own])).await.0, 201, "its own successor");
    let renew = format!("/api/v1/certificates/{}/renew", login.serial);
    let (status, renewed) = ask(&renew, json!({"csr": csr(&[&own]).1})).await;
    assert_eq!(status, 201, "{renewed}");
    let renewed: Value = serde_json::from_str(&renewed).expect("json");
    let record = house().ledger.credential(renewed["serial"].as_str().expect("a serial")).await.expect("the register");
    assert_eq!(record.expect("it is there").details["scopes"], json!(["issue-certificate", "renew-certificate"]));
}

#[tokio::test]
async fn a_revoked_client_certificate_is_refused_on_its_open_connection() {
    let server = Server::start().await;
    let admin = token(Role::Admin).await;
    let certificate = issue(&server, &admin, "tls-client", &name()).await;
    let agent = client_with(&certificate);
    assert_eq!(whoami(&agent, &server, None).await.0, 200);
    let url = server.url(&format!("/api/v1/certificates/{}/revoke", certificate.serial));
    let revoked = client().build().expect("a client").post(url).bearer_auth(&admin);
    let answer = revoked.json(&json!({"reason": "key-compromise"})).send().await.expect("an answer");
    assert_eq!(answer.status(), 200, "{}", answer.text().await.expect("text"));
    let (status, body) = whoami(&agent, &server, None).await;
    assert_eq!(status, 401);
    assert!(body["detail"].as_str().expect("a sentence").contains("revoked"), "{body}");
}

#[tokio::test]
async fn a_client_certificate_revoked_on_another_node_is_refused_within_the_memory() {
    let (here, there) = (Server::start().await, Server::start().await);
    let admin = token(Role::Admin).await;
    let certificate = issue(&here, &admin, "tls-client", &name()).await;
    let agent = client_with(&certificate);
    assert_eq!(whoami(&agent, &here, None).await.0, 200);
    let url = there.url(&format!("/api/v1/certificates/{}/revoke", certificate.serial));
    let revoked =
        client().build().expect("a client").post(url).bearer_auth(&admin).json(&json!({"reason": "superseded"}));
    assert_eq!(revoked.send().await.expect("an answer").status(), 200);
    let begun = std::time::Instant::now();
    while whoami(&agent, &here, None).await.0 == 200 {
        assert!(begun.elapsed() < Limits::default().caller_memory * 3, "still believed");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_server_certificate_does_not_log_in() {
    let server = Server::start().await;
    let certificate = issue(&server, &token(Role::Admin).await, "tls-server", &name()).await;
    // Its extended key usage lacks clientAuth: the handshake itself ends.
    assert!(client_with(&certificate).get(server.url("/api/v1/whoami")).send().await.is_err());
}

#[tokio::test]
async fn a_foreign_certificate_does_not_log_in() {
    let server = Server::start().await;
    let key = rcgen::KeyPair::generate().expect("a key");
    let foreign =
        rcgen::CertificateParams::new(vec!["agent".to_owned()]).expect("names").self_signed(&key).expect("signed");
    let pem = format!("{}{}", key.serialize_pem(), foreign.pem());
    let identity = reqwest::Identity::from_pem(pem.as_bytes()).expect("an identity");
    let client = client().identity(identity).build().expect("a client");
    assert!(client.get(server.url("/api/v1/whoami")).send().await.is_err());
}

#[tokio::test]
async fn a_maker_cannot_hand_out_more_than_it_has() {
    let maker = Actor { scopes: Some(BTreeSet::from([Action::ManageTokens])), ..admin_actor() };
    let new = api::tokens::NewToken {
        name: "wider".to_owned(),
        roles: BTreeSet::from([Role::Admin]),
        owners: BTreeSet::new(),
        scopes: None,
        expires_secs: 60,
    };
    assert!(api::tokens::create(&house().authority, &maker, new).await.is_err());
}

fn admin_actor() -> Actor {
    Actor {
        id: "token:narrow".to_owned(),
        roles: BTreeSet::from([Role::Admin]),
        owners: BTreeSet::new(),
        scopes: None,
        proof: policy::Proof::Token { id: "0123456789abcdef".to_owned() },
        second_factor: None,
    }
}
