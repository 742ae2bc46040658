//! Revocation by whoever holds the key: a request that the certificate's own key signed, and nothing else.

use std::path::{Path, PathBuf};

use ca::{CaError, Csr, RevocationReason};
use store::Issued;

use crate::house::{House, accepts, admin, server_request};

const PURPOSE: &str = "revoke key-compromise";

/// A key of this kind, and the certificate for it.
async fn certified(house: &House, name: &str, kind: &[&str]) -> (PathBuf, Issued) {
    let (key, csr) = (house.dir.path().join(format!("{name}.key")), house.dir.path().join(format!("{name}.csr")));
    let mut openssl = std::process::Command::new("openssl");
    openssl.args(["req", "-new", "-nodes", "-subj", "/CN=www.example.com"]).args(kind);
    let made = openssl.arg("-keyout").arg(&key).arg("-out").arg(&csr).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let csr = Csr::parse(&std::fs::read(csr).unwrap()).unwrap();
    let request = ca::CertifyRequest { csr, names: None, ..server_request(&["www.example.com"]) };
    (key, house.authority.certify(&admin(), request).await.unwrap())
}

/// As openssl makes one.
fn proof(house: &House, key: &Path, subject: &str) -> Csr {
    let out = house.dir.path().join("proof.pem");
    accepts("openssl", &[&"req", &"-new", &"-key", &key, &"-subj", &subject, &"-out", &out]);
    Csr::parse(&std::fs::read(out).unwrap()).unwrap()
}

fn of(issued: &Issued) -> String {
    hex::encode(ring::digest::digest(&ring::digest::SHA256, &issued.x509_der()))
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_holds_the_key_ends_its_certificate_and_nobody_else_does() {
    let house = House::new().await;
    let ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-521"];
    let (key, issued) = certified(&house, "a", &ec).await;
    let (other_key, other) = certified(&house, "b", &["-newkey", "rsa:2048"]).await;
    let authority = &house.authority;
    let says = async |issued: &Issued, proof: &Csr, words: &str| {
        let refused = authority.revoke_by_key(&issued.x509_der(), proof).await.unwrap_err();
        assert!(matches!(&refused, CaError::BadRequest { detail, .. } if detail.contains(words)), "{words}: {refused}");
    };
    let subject = |issued: &Issued| format!("/O={PURPOSE}/CN={}", of(issued));
    says(&issued, &proof(&house, &other_key, &subject(&issued)), "another key").await;
    // A request that was made for something else is no proof, and one for another certificate is none of this one.
    says(&issued, &proof(&house, &key, "/CN=www.example.com"), "its subject is not").await;
    says(&issued, &proof(&house, &key, &format!("/CN={}", of(&issued))), "its subject is not").await;
    says(&issued, &proof(&house, &key, &format!("/O=Example/CN={}", of(&issued))), "its subject is not").await;
    says(&issued, &proof(&house, &key, &subject(&other)), "its subject is not").await;
    let chain = authority.issuers();
    let tls = chain.iter().find(|issuer| issuer.name == "tls").unwrap().generations[0].certificate.clone().unwrap();
    let of_ca = format!("/O={PURPOSE}/CN={}", hex::encode(ring::digest::digest(&ring::digest::SHA256, &tls.der)));
    let refused = authority.revoke_by_key(&tls.der, &proof(&house, &key, &of_ca)).await.unwrap_err();
    assert!(refused.to_string().contains("a CA does not end by this"), "{refused}");
    assert!(!house.ledger.is_compromised(&issued.key_hash));

    let ended = authority.revoke_by_key(&issued.x509_der(), &proof(&house, &key, &subject(&issued))).await.unwrap();
    assert_eq!((ended.serial_hex.as_str(), ended.is_lost), (issued.serial_hex().as_str(), false));
    let there = house.ledger.credential(&issued.serial_hex()).await.unwrap().unwrap();
    assert_eq!(there.reason.and_then(RevocationReason::from_code), Some(RevocationReason::KeyCompromise));
    assert!(house.ledger.is_compromised(&issued.key_hash));
    // The same again writes nothing; and what was revoked for less is raised.
    let size = house.ledger.head().size;
    authority.revoke_by_key(&issued.x509_der(), &proof(&house, &key, &subject(&issued))).await.unwrap();
    assert_eq!(house.ledger.head().size, size);
    authority.revoke(&admin(), &other.serial_hex(), RevocationReason::Superseded).await.unwrap();
    authority.revoke_by_key(&other.x509_der(), &proof(&house, &other_key, &subject(&other))).await.unwrap();
    assert!(house.ledger.is_compromised(&other.key_hash));
    house.verified().await;
}
