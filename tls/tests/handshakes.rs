//! openssl serves with chains and keys of P-521, and a client of ours takes them; and refuses another's.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, version};

fn openssl(dir: &Path, arguments: &str) {
    let done = Command::new("openssl").args(arguments.split(' ')).current_dir(dir).output().expect("openssl");
    assert!(done.status.success(), "{arguments}: {}", String::from_utf8_lossy(&done.stderr));
}

/// A root of P-521 that signs with `hash`, and a server's certificate of that curve below it.
fn chain(dir: &Path, name: &str, hash: &str, curve: &str) {
    let make = "-newkey ec -nodes -pkeyopt ec_paramgen_curve:";
    openssl(dir, &format!("req -x509 {make}P-521 {hash} -subj /CN={name} -days 2 -keyout {name}.key -out {name}.pem"));
    openssl(dir, &format!("req -new {make}{curve} -subj /CN=leaf -keyout {name}-leaf.key -out {name}-leaf.csr"));
    std::fs::write(dir.join("san"), "subjectAltName=DNS:localhost\nbasicConstraints=critical,CA:FALSE\n").unwrap();
    let below = format!("-CA {name}.pem -CAkey {name}.key -CAcreateserial -days 1 -extfile san");
    openssl(dir, &format!("x509 -req -in {name}-leaf.csr {below} {hash} -out {name}-leaf.pem"));
}

struct Served(Child, u16);

impl Served {
    fn start(dir: &Path, name: &str) -> Served {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (cert, key) = (format!("{name}-leaf.pem"), format!("{name}-leaf.key"));
        let mut server = Command::new("openssl");
        server.args(["s_server", "-www", "-accept", &format!("127.0.0.1:{port}"), "-cert", &cert, "-key", &key]);
        let child = server.current_dir(dir).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let mut served = Served(child, port);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(served.0.try_wait().unwrap().is_none(), "s_server ended");
            std::thread::yield_now();
        }
        served
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn asks(served: &Served, root: &Path, version: &'static rustls::SupportedProtocolVersion) -> std::io::Result<String> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(root).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(tls::provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let client = ClientConnection::new(Arc::new(config), ServerName::try_from("localhost").unwrap()).unwrap();
    let mut stream = StreamOwned::new(client, TcpStream::connect(("127.0.0.1", served.1))?);
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
    let mut first = [0; 12];
    stream.read_exact(&mut first)?;
    Ok(String::from_utf8_lossy(&first).into_owned())
}

#[test]
fn a_server_and_a_root_of_p521_are_taken_whatever_the_root_signs_with() {
    let dir = tempfile::tempdir().unwrap();
    chain(dir.path(), "other", "-sha512", "P-256");
    for (name, hash) in [("long", "-sha512"), ("middle", "-sha384"), ("short", "-sha256")] {
        // In TLS 1.2 a server's curve has to be one that the client agrees on keys with, and ring has no P-521 for that.
        for (curve, version) in [("P-256", &version::TLS12), ("P-521", &version::TLS13)] {
            chain(dir.path(), name, hash, curve);
            let served = Served::start(dir.path(), name);
            let said = asks(&served, &dir.path().join(format!("{name}.pem")), version).unwrap();
            assert!(said.starts_with("HTTP/1.0 200"), "{said}");
            let refused = asks(&served, &dir.path().join("other.pem"), version).unwrap_err().to_string();
            assert!(refused.contains("UnknownIssuer") || refused.contains("BadSignature"), "{refused}");
        }
    }
}

#[test]
fn what_ring_verifies_it_verifies_still() {
    let (ring, ours) = (rustls::crypto::ring::default_provider().signature_verification_algorithms, tls::algorithms());
    assert!(ours.all.len() == ring.all.len() + 6 && ours.mapping.len() == ring.mapping.len() + 4);
    assert!(ring.mapping.iter().zip(ours.mapping).all(|(before, after)| before.0 == after.0));
    for algorithm in &ours.all[ring.all.len()..] {
        for nonsense in [&[][..], &[4; 133], &[0; 1312], &[0x30, 6, 2, 1, 1, 2, 1, 1]] {
            assert!(algorithm.verify_signature(nonsense, b"m", nonsense).is_err());
        }
    }
}
