//! A hook behind a URL: a server of the test's own, by TLS.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use drivers::{ANSWER_BYTES_MAX, Driver, Fault, Hook, HookWish, Http, Login, carry_out};
use policy::World;
use ring::hmac;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use secrets::rotation::{Credential, Others, Outcome, Step};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::authority::Authority;
use crate::register::{ADMIN, ADMIN_SECRET, secret};

const SHARED: &str = "a secret that both of them know";

/// What one request said: its head, and its body.
pub type Heard = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

/// A server that answers everything so; answers its port.
pub async fn serve(authority: &Authority, answer: String) -> (u16, Heard) {
    let chain = CertificateDer::pem_slice_iter(authority.certificate.as_bytes()).map(|one| one.expect("one")).collect();
    let key = PrivateKeyDer::from_pem_slice(authority.key.as_bytes()).expect("a key");
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(tls::provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("a certificate");
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let heard = Heard::default();
    let hears = Arc::clone(&heard);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut bytes = Vec::new();
            let (head, body) = loop {
                let mut piece = [0; 4_096];
                let count = stream.read(&mut piece).await.unwrap_or(0);
                bytes.extend_from_slice(&piece[..count]);
                let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
                    assert!(count > 0, "a request");
                    continue;
                };
                let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
                let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.parse().ok());
                if bytes.len() >= end + 4 + length.unwrap_or(0) {
                    break (head, bytes[end + 4..].to_vec());
                }
            };
            hears.lock().expect("no poison").push((head, body));
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    (port, heard)
}

pub fn answer(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

fn hook(port: u16, roots: &str) -> Http {
    let wish = HookWish {
        url: format!("https://localhost:{port}/rotate"),
        roots: roots.to_owned(),
        secret: Some(secret(SHARED)),
        identity: None,
        time: Duration::from_secs(10),
    };
    Http::new(Hook::new(wish).expect("a hook"), "prod/saas", "prod/saas:9", World::real())
}

#[tokio::test]
async fn what_is_asked_is_signed_and_named_and_its_answer_is_taken() {
    let authority = Authority::new();
    let (port, heard) = serve(&authority, answer("200 OK", "{\"outcome\":\"done\"}")).await;
    let (ours, password) = (secret(ADMIN_SECRET), secret("new"));
    let hook = hook(port, &authority.root);
    let login = Login { user: "app", secret: &password };
    hook.set(Login { user: ADMIN, secret: &ours }, login, Others::Replaced).await.expect("it is done");
    let (head, body) = heard.lock().expect("no poison").pop().expect("a request");
    let header = |name: &str| {
        let line = head.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
        line.unwrap_or_else(|| panic!("no {name} in {head}")).to_owned()
    };
    assert!(head.starts_with("post /rotate "), "{head}");
    assert_eq!((header("idempotency-key"), header("webhook-id")), ("prod/saas:9".to_owned(), "prod/saas:9".to_owned()));
    // The hook's side verifies it over the bytes that came. Headers were made small above, so the bytes are compared.
    let key = hmac::Key::new(hmac::HMAC_SHA256, SHARED.as_bytes());
    let signed = [format!("prod/saas:9.{}.", header("webhook-timestamp")).as_bytes(), &body].concat();
    let expected = base64::engine::general_purpose::STANDARD.encode(hmac::sign(&key, &signed));
    assert_eq!(header("webhook-signature"), format!("v1,{expected}").to_lowercase());
    let told: Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!((&told["step"], &told["user"], &told["secret"]), (&"set".into(), &"app".into(), &"new".into()));
    assert!(!head.contains("new\""), "{head}");
}

#[tokio::test]
async fn each_status_is_taken_for_what_it_says() {
    let authority = Authority::new();
    let (ours, password) = (secret(ADMIN_SECRET), secret("new"));
    let login = Login { user: "app", secret: &password };
    let long = "x".repeat(ANSWER_BYTES_MAX + 1);
    let elsewhere =
        "HTTP/1.1 307 Temporary Redirect\r\nLocation: https://localhost:1/\r\nContent-Length: 0\r\n\r\n".to_owned();
    for (said, is) in [
        (answer("200 OK", "{\"outcome\":\"refused\",\"said\":\"no such user\"}"), "refused: no such user"),
        (answer("200 OK", "{\"outcome\":\"away\"}"), "away"),
        (answer("200 OK", "done"), "not known"),
        (answer("200 OK", &long), "not known"),
        (answer("204 No Content", ""), "not known"),
        (answer("403 Forbidden", "{\"outcome\":\"done\"}"), "refused"),
        (answer("429 Too Many Requests", ""), "away"),
        (answer("503 Service Unavailable", ""), "away"),
        (answer("500 Internal Server Error", ""), "not known"),
        (elsewhere, "refused"),
        (String::new(), "not known"),
    ] {
        let (port, heard) = serve(&authority, said.clone()).await;
        let done = hook(port, &authority.root).set(Login { user: ADMIN, secret: &ours }, login, Others::Replaced).await;
        let fault = done.expect_err("it is not done").to_string();
        assert!(fault.starts_with(is), "{}: {fault}", said.lines().next().unwrap_or_default());
        assert_eq!(heard.lock().expect("no poison").len(), 1, "it is asked once, and nobody else is");
        // A login changes nothing, so nothing is unknown.
        let tested = hook(port, &authority.root).test(login).await;
        assert!(!matches!(tested, Ok(()) | Err(Fault::Unknown(_))), "{said}: {tested:?}");
    }
}

#[tokio::test]
async fn what_a_hook_repeats_of_either_secret_is_not_told() {
    let authority = Authority::new();
    let ours = secret("canary-of-ours");
    let said = answer("200 OK", "{\"outcome\":\"refused\",\"said\":\"canary-of-ours may not set bmV3LWNhbmFyeQ==\"}");
    let (port, _heard) = serve(&authority, said).await;
    let credential = Credential { version: 2, user: "app".to_owned() };
    let set = Step::Set { credential, others: Others::Replaced };
    let admin = Login { user: ADMIN, secret: &ours };
    let outcome = carry_out(&hook(port, &authority.root), &set, admin, |_| secret("new-canary")).await;
    assert_eq!(outcome, Some(Outcome::Refused("... may not set ...==".to_owned())));
}

#[tokio::test]
async fn a_stranger_behind_the_name_hears_nothing() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let (port, heard) = serve(&stranger, answer("200 OK", "{\"outcome\":\"done\"}")).await;
    let (ours, password) = (secret(ADMIN_SECRET), secret("new"));
    let login = Login { user: "app", secret: &password };
    let done = hook(port, &authority.root).set(Login { user: ADMIN, secret: &ours }, login, Others::Replaced).await;
    assert!(matches!(done, Err(Fault::Away(_))), "{done:?}");
    assert!(heard.lock().expect("no poison").is_empty());
}
