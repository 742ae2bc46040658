//! The server's own certificate is replaced at two thirds of its life, by itself. In a process of its own, because it
//! moves the authority's clock.

extern crate chancery_api as api;

#[path = "edge/house.rs"]
mod house;

use std::sync::Arc;
use std::time::{Duration, Instant};

use policy::{Timestamp, Validity, World};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use house::{Server, house_at};

const PATIENCE: Duration = Duration::from_secs(30);

/// The serial and the validity of what the server shows to a client whose clock is the real one.
async fn shown(server: &Server, roots_pem: &str) -> (String, Validity) {
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(roots_pem.as_bytes()) {
        roots.add(root.expect("a root")).expect("a usable root");
    }
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let stream = TcpStream::connect(server.https).await.expect("a connection");
    let name = ServerName::try_from("localhost").expect("a name");
    let tls = TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("a certificate that holds now");
    let (_, session) = tls.get_ref();
    let leaf = session.peer_certificates().and_then(<[_]>::first).expect("a certificate").to_vec();
    let (_, leaf) = x509_parser::parse_x509_certificate(&leaf).expect("a certificate");
    let ends = [leaf.validity().not_before, leaf.validity().not_after].map(|end| Timestamp::from_unix(end.timestamp()));
    (hex::encode(leaf.raw_serial()), Validity::new(ends[0], ends[1]).expect("a validity"))
}

#[tokio::test]
async fn the_servers_certificate_renews_itself_at_two_thirds_of_its_life() {
    // The authority's clock begins in the past, so that its certificates of then and of later both hold now.
    let world = World::fixed(World::real().now().plus_secs(-HEAD_START_SECS), 7);
    let house = house_at(world.clone());
    let server = Server::start().await;
    let roots = house.authority.roots_pem();
    let (first, validity) = shown(&server, &roots).await;
    let due = validity.not_before().plus_secs(validity.secs() / 3 * 2);

    world.set(due.plus_secs(-60));
    tokio::time::sleep(Duration::from_millis(5_500)).await;
    assert_eq!(shown(&server, &roots).await.0, first, "not before two thirds");

    world.set(due);
    let begun = Instant::now();
    while shown(&server, &roots).await.0 == first {
        assert!(begun.elapsed() < PATIENCE, "not renewed");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(shown(&server, &roots).await.1.not_after() > validity.not_after());
    server.stop().await.expect("a clean end");
}

/// Between two thirds and the whole of the thirty days that the shipped profile gives.
const HEAD_START_SECS: i64 = 25 * 86_400;
