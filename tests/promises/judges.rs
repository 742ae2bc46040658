//! Who judges what we issue: openssl in its strict mode, and webpki, which browsers' verifiers resemble.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};

use crate::house::{House, command, succeed, text};

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
