//! Who judges what we issue: openssl in its strict mode, and webpki, which browsers' verifiers resemble.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use load::free_port;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};

use crate::house::{House, PATIENCE, command, succeed, text, until};

/// The certificate is valid for `name` now, for openssl with -x509_strict and for webpki.
pub fn strictly_valid(house: &House, certificate: &Path, intermediates: &Path, name: &str) {
    let roots = house.ca("roots.pem");
    let said = succeed(command(
        "openssl",
        &[
            "verify",
            "-x509_strict",
            "-purpose",
            "sslserver",
            "-verify_hostname",
            name,
            "-CAfile",
            text(&roots),
            "-untrusted",
            text(intermediates),
            text(certificate),
        ],
    ));
    assert!(said.contains(": OK"), "{said}");
    webpki_accepts(&roots, certificate, intermediates, name);
}

fn webpki_accepts(roots: &Path, certificate: &Path, intermediates: &Path, name: &str) {
    let read = |path: &Path| -> Vec<CertificateDer<'static>> {
        CertificateDer::pem_file_iter(path).expect("a PEM file").map(|c| c.expect("a certificate")).collect()
    };
    let (roots, leaf, chain) = (read(roots), read(certificate), read(intermediates));
    let anchors: Vec<_> = roots.iter().map(|r| webpki::anchor_from_trusted_cert(r).expect("an anchor")).collect();
    let leaf = webpki::EndEntityCert::try_from(leaf.first().expect("a leaf")).expect("an end entity certificate");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    leaf.verify_for_usage(
        webpki::ALL_VERIFICATION_ALGS,
        &anchors,
        &chain,
        UnixTime::since_unix_epoch(now),
        webpki::KeyUsage::server_auth(),
        None,
        None,
    )
    .expect("webpki accepts the chain");
    leaf.verify_is_valid_for_subject_name(&ServerName::try_from(name).expect("a name"))
        .expect("webpki accepts the name");
}

/// Whether the CRL that the public gets lists a serial, by openssl.
pub fn listed(house: &House, serial: &str) -> bool {
    let crl = house.path("crl.der");
    let answer = house.curl(&["-o", text(&crl), &house.http("/crl/tls.crl")]);
    assert_eq!(answer.status, 200);
    let shown = succeed(command("openssl", &["crl", "-inform", "DER", "-noout", "-text", "-in", text(&crl)]));
    shown.to_lowercase().replace([':', '\n', ' '], "").contains(serial)
}

/// `openssl s_server` with a certificate of ours, ended by process id.
struct Served {
    child: std::process::Child,
    port: u16,
}

impl Served {
    fn start(folder: &Path) -> Self {
        let port = free_port();
        let (cert, chain, key) = (folder.join("cert.pem"), folder.join("chain.pem"), folder.join("key.pem"));
        let mut server = command("openssl", &["s_server", "-quiet", "-www", "-accept", &format!("127.0.0.1:{port}")]);
        server.arg("-cert").arg(cert).arg("-cert_chain").arg(chain).arg("-key").arg(key);
        let child = server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("s_server");
        assert!(until(PATIENCE, || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()), "s_server listens");
        Self { child, port }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// NSS wants keyEncipherment of an RSA server and forbids nothing; GnuTLS and OpenSSL know all three kinds of key. NSS knows no
/// Ed25519 certificates.
#[test]
fn nss_gnutls_and_openssl_shake_hands_with_each_kind_of_key_that_they_know() {
    let house = House::started();
    let roots = house.ca("roots.pem");
    let nss = house.path("nss");
    std::fs::create_dir(&nss).expect("a folder");
    let (database, request) = (format!("sql:{}", nss.display()), house.path("request"));
    std::fs::write(&request, "GET / HTTP/1.0\r\n\r\n").expect("a request");
    succeed(command("certutil", &["-N", "-d", &database, "--empty-password"]));
    succeed(command("certutil", &["-A", "-d", &database, "-n", "root", "-t", "C,,", "-a", "-i", text(&roots)]));
    for (kind, make) in [
        ("rsa", &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"][..]),
        ("ec", &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]),
        ("p521", &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"]),
        ("ed25519", &["-algorithm", "ed25519"]),
    ] {
        let (folder, key, csr) =
            (house.path(kind), house.path(&format!("{kind}.key")), house.path(&format!("{kind}.csr")));
        let mut genpkey = command("openssl", &["genpkey", "-out", text(&key)]);
        genpkey.args(make);
        succeed(genpkey);
        let san = ["-addext", "subjectAltName=DNS:localhost"];
        let mut req =
            command("openssl", &["req", "-new", "-subj", "/CN=localhost", "-key", text(&key), "-out", text(&csr)]);
        req.args(san);
        succeed(req);
        house.run(&["issue", "tls", "--csr", text(&csr), "--out", text(&folder)]);
        std::fs::copy(&key, folder.join("key.pem")).expect("the key");
        let served = Served::start(&folder);
        let port = served.port.to_string();
        for version in ["-tls1_2", "-tls1_3"] {
            let connect = format!("127.0.0.1:{port}");
            let mut openssl =
                command("openssl", &["s_client", version, "-connect", &connect, "-verify_hostname", "localhost"]);
            openssl.args(["-verify_return_error", "-x509_strict", "-purpose", "sslserver", "-CAfile"]).arg(&roots);
            openssl.stdin(Stdio::null());
            let said = succeed(openssl);
            assert!(
                said.contains("Verify return code: 0 (ok)") || said.contains("Verification: OK"),
                "{kind} {version}: {said}"
            );
        }
        for priority in ["NORMAL:-VERS-ALL:+VERS-TLS1.2", "NORMAL:-VERS-ALL:+VERS-TLS1.3"] {
            let mut gnutls = command(
                "gnutls-cli",
                &["--x509cafile", text(&roots), "--priority", priority, "-p", &port, "localhost"],
            );
            gnutls.stdin(Stdio::null());
            let said = succeed(gnutls);
            assert!(said.contains("Handshake was completed"), "{kind} {priority}: {said}");
        }
        if kind == "ed25519" {
            continue;
        }
        for versions in ["tls1.2:tls1.2", "tls1.3:tls1.3"] {
            // It speaks once it has something to say, and ends with the answer.
            let connect =
                ["30", "tstclnt", "-h", "localhost", "-p", &port, "-d", &database, "-V", versions, "-4", "-A"];
            let mut tstclnt = command("timeout", &connect);
            tstclnt.arg(&request).stdin(Stdio::null());
            let said = succeed(tstclnt);
            assert!(said.contains("200 ok"), "{kind} {versions}: {said}");
        }
    }
}
