//! Connections: bounds, deadlines, drain. Each fault is made by a raw socket, not by a client library that means well.

use std::sync::Arc;
use std::time::{Duration, Instant};

use api::Limits;
use policy::Role;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::house::{Server, client, house, token};

/// Long enough for any answer here, short enough to fail a test that would hang.
const PATIENCE: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(400);

fn config(alpn: &[u8]) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(house().authority.roots_pem().as_bytes()) {
        roots.add(root.expect("a root")).expect("a usable root");
    }
    let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![alpn.to_vec()];
    config
}

/// A raw TLS connection with this ALPN.
pub async fn tls(server: &Server, alpn: &[u8]) -> TlsStream<TcpStream> {
    let stream = TcpStream::connect(server.https).await.expect("a connection");
    let name = ServerName::try_from("localhost").expect("a name");
    TlsConnector::from(Arc::new(config(alpn))).connect(name, stream).await.expect("a handshake")
}

/// Reads until the other side closes.
async fn closed(stream: &mut (impl AsyncReadExt + Unpin)) -> Vec<u8> {
    let mut read = Vec::new();
    let end = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut read)).await;
    // A reset is an end too.
    let _ = end.expect("the server ends the connection");
    read
}

/// Whoever is one too many is told so in the words that its client knows: an ACME client gets a problem of RFC 8555 and a nonce.
#[tokio::test]
async fn overload_is_said_in_the_words_of_whoever_asked() {
    let server = Server::with(Limits { requests: 0, ..Limits::default() }).await;
    let client = client().build().expect("a client");
    for (path, kind, nonces) in [
        ("/acme/new-order", "urn:ietf:params:acme:error:serverInternal", 1),
        ("/acme/nothing", "urn:ietf:params:acme:error:serverInternal", 1),
        ("/api/v1/status", "urn:chancery:problem:unavailable", 0),
        ("/acmeother", "urn:chancery:problem:unavailable", 0),
    ] {
        let answer = client.post(server.url(path)).send().await.expect("an answer");
        assert_eq!(answer.status(), 503, "{path}");
        assert_eq!(answer.headers()["retry-after"], "1", "{path}");
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(answer.headers().get_all("replay-nonce").iter().count(), nonces, "{path}");
        assert_eq!(answer.headers()["content-type"], "application/problem+json", "{path}");
        let problem: serde_json::Value = answer.json().await.expect("a problem");
        assert_eq!(problem["type"], kind, "{path}");
    }
}

#[tokio::test]
async fn a_handshake_that_never_comes_is_ended() {
    let server = Server::with(Limits { handshake: SHORT, ..Limits::default() }).await;
    let mut silent = TcpStream::connect(server.https).await.expect("a connection");
    assert!(closed(&mut silent).await.is_empty());
    let mut slow = TcpStream::connect(server.https).await.expect("a connection");
    slow.write_all(&[0x16, 0x03, 0x01, 0x02]).await.expect("half a record");
    closed(&mut slow).await;
}

#[tokio::test]
async fn a_connection_that_says_nothing_after_the_handshake_is_ended() {
    let server = Server::with(Limits { first_request: SHORT, ..Limits::default() }).await;
    for alpn in [&b"http/1.1"[..], b"h2"] {
        let mut silent = tls(&server, alpn).await;
        closed(&mut silent).await;
    }
    let mut plain = TcpStream::connect(server.http).await.expect("a connection");
    assert!(closed(&mut plain).await.is_empty());
}

#[tokio::test]
async fn a_first_request_that_drips_is_ended() {
    let server = Server::with(Limits { first_request: SHORT, ..Limits::default() }).await;
    let cases: [(&[u8], &[u8]); 2] =
        [(b"http/1.1", b"GET / HTTP/1.1\r\nhost: localhost\r\nx-"), (b"h2", b"PRI * HTTP/2.0\r\n")];
    for (alpn, beginning) in cases {
        let (mut reader, mut writer) = tokio::io::split(tls(&server, alpn).await);
        let dripping = tokio::spawn(async move {
            for byte in beginning.iter().cycle() {
                if writer.write_all(&[*byte]).await.and(writer.flush().await).is_err() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        closed(&mut reader).await;
        dripping.abort();
    }
}

#[tokio::test]
async fn a_body_that_drips_is_answered_408() {
    let server = Server::with(Limits { body: SHORT, ..Limits::default() }).await;
    let mut raw = tls(&server, b"http/1.1").await;
    let head = format!(
        "POST /api/v1/certificates HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\ncontent-length: 100\r\n\r\n{{",
        token(Role::Admin).await
    );
    raw.write_all(head.as_bytes()).await.expect("written");
    let mut answer = [0; 12];
    tokio::time::timeout(PATIENCE, raw.read_exact(&mut answer)).await.expect("in time").expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 408");
}

#[tokio::test]
async fn an_idle_connection_is_ended() {
    let server = Server::with(Limits { idle: SHORT, ..Limits::default() }).await;
    let mut raw = tls(&server, b"http/1.1").await;
    raw.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await.expect("written");
    let read = closed(&mut raw).await;
    assert!(read.starts_with(b"HTTP/1.1 200"));
}

#[tokio::test]
async fn a_connection_beyond_the_bound_is_closed_and_the_others_go_on() {
    let server = Server::with(Limits { connections: 2, ..Limits::default() }).await;
    let mut held = [tls(&server, b"http/1.1").await, tls(&server, b"http/1.1").await];
    let mut refused = TcpStream::connect(server.https).await.expect("a connection");
    assert!(closed(&mut refused).await.is_empty());
    for raw in &mut held {
        raw.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await.expect("written");
        let mut answer = [0; 12];
        raw.read_exact(&mut answer).await.expect("an answer");
        assert_eq!(&answer, b"HTTP/1.1 200");
    }
    drop(held);
    let answer = client().build().expect("a client").get(server.plain("/healthz")).send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn a_head_beyond_the_bound_is_refused() {
    let server = Server::start().await;
    let mut raw = tls(&server, b"http/1.1").await;
    let head = format!("GET /healthz HTTP/1.1\r\nhost: localhost\r\nx-long: {}\r\n\r\n", "a".repeat(100 * 1024));
    // The server answers 431 and closes without reading the rest; the reset may overtake the answer.
    let _ = raw.write_all(head.as_bytes()).await;
    let read = closed(&mut raw).await;
    assert!(read.is_empty() || read.starts_with(b"HTTP/1.1 431"), "{}", String::from_utf8_lossy(&read));
}

#[tokio::test]
async fn plain_http_to_the_tls_port_and_noise_do_no_harm() {
    let server = Server::start().await;
    for noise in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0xff; 600], b"\0"] {
        let mut raw = TcpStream::connect(server.https).await.expect("a connection");
        raw.write_all(noise).await.expect("written");
        let _ = raw.shutdown().await;
        closed(&mut raw).await;
    }
    let answer = client().build().expect("a client").get(server.url("/healthz")).send().await.expect("an answer");
    assert_eq!((answer.status().as_u16(), answer.version()), (200, reqwest::Version::HTTP_2));
}

#[tokio::test]
async fn no_session_is_resumed() {
    let server = Server::start().await;
    let connector = TlsConnector::from(Arc::new(config(b"http/1.1")));
    for _ in 0..3 {
        let stream = TcpStream::connect(server.https).await.expect("a connection");
        let name = ServerName::try_from("localhost").expect("a name");
        let mut raw = connector.connect(name, stream).await.expect("a handshake");
        raw.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.expect("written");
        closed(&mut raw).await;
        assert_eq!(raw.get_ref().1.handshake_kind(), Some(rustls::HandshakeKind::Full));
    }
}

#[tokio::test]
async fn shutdown_lets_a_request_finish_and_ends_idle_connections() {
    let server = Server::start().await;
    let mut idle = tls(&server, b"http/1.1").await;
    let mut busy = tls(&server, b"http/1.1").await;
    let head = format!(
        "POST /api/v1/tokens HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\ncontent-length: 55\r\n\r\n",
        token(Role::Admin).await
    );
    busy.write_all(head.as_bytes()).await.expect("written");
    busy.flush().await.expect("flushed");
    let client = client().build().expect("a client");
    // Answered on another connection: by then the server has read the head above.
    client.get(server.url("/healthz")).send().await.expect("an answer");
    tokio::time::sleep(Duration::from_millis(50)).await;
    server.signal();
    closed(&mut idle).await;
    let body = format!("{:<55}", r#"{"name":"drain","roles":["auditor"],"expires_secs":60}"#);
    busy.write_all(body.as_bytes()).await.expect("still open");
    let read = closed(&mut busy).await;
    assert!(read.starts_with(b"HTTP/1.1 201"), "{}", String::from_utf8_lossy(&read));
    let begun = Instant::now();
    server.stop().await.expect("a clean end");
    assert!(begun.elapsed() < PATIENCE);
}

#[tokio::test]
async fn a_taken_port_is_an_error_at_once() {
    let server = Server::start().await;
    let config = api::ServeConfig {
        https: server.https,
        http: std::net::SocketAddr::from(([127, 0, 0, 1], 0)),
        names: vec![policy::Name::parse("localhost").expect("a name")],
        owner: policy::Owner::parse("chancery").expect("an owner"),
        bounds: api::Bounds::new(Limits::default()),
        notice: api::Notice::default(),
        places: drivers::Places::new(drivers::Outside::default(), 1, policy::World::real()),
        acme: None,
        backup: None,
    };
    let (ready, _bound) = tokio::sync::oneshot::channel();
    let house = house();
    let (authority, ledger, world) = (house.authority.clone(), house.ledger.clone(), house.world.clone());
    let ended = api::serve(config, authority, ledger, world, std::future::pending(), ready).await;
    assert!(matches!(ended, Err(api::ApiError::Bind { .. })));
}
