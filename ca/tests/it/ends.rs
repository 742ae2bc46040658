//! How CAs end: for which reasons, what is never taken back, and that a key in other hands is certified by nobody again.

use std::path::{Path, PathBuf};

use ca::{Authority, CaError, CreateIssuer, Ending, GenerationState, KeyKind, RevocationReason};

use crate::house::{House, admin};
use crate::issuers::{below, fingerprint, foreign_root, generation, name, profiles_under, server_under, state};

/// The text of root/1's newest CRL, by openssl.
async fn roots_crl(house: &House) -> String {
    let crl = house.file("root.crl", &house.authority.crl("root/1").await.unwrap().der);
    crate::house::accepts("openssl", &[&"crl", &"-inform", &"DER", &"-in", &crl, &"-noout", &"-text"])
}

fn key_hash(authority: &Authority, of: &str) -> [u8; 32] {
    hex::decode(generation(authority, of).key_hash.unwrap()).unwrap().try_into().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ca_is_revoked_for_more_and_never_for_less_and_never_on_hold() {
    let house = House::new().await;
    let authority = &house.authority;
    let edge = authority.create_issuer(&admin(), below("edge", "root")).await.unwrap();
    let serial = generation(authority, "edge/1").certificate.unwrap().serial;
    let held = authority.revoke_issuer(&admin(), &edge, RevocationReason::CertificateHold).await;
    assert!(matches!(held, Err(CaError::BadRequest { what: "reason", .. })), "{held:?}");
    assert_eq!(state(authority, "edge/1"), GenerationState::Active);
    for _ in 0..2 {
        authority.revoke_issuer(&admin(), &edge, RevocationReason::Superseded).await.unwrap();
    }
    assert!(roots_crl(&house).await.contains("Superseded"));
    assert!(!authority.is_compromised(&key_hash(authority, "edge/1")));
    // Found out later.
    for _ in 0..2 {
        authority.revoke_issuer(&admin(), &edge, RevocationReason::KeyCompromise).await.unwrap();
    }
    authority.refresh_crls().await.unwrap();
    let said = roots_crl(&house).await;
    assert!(said.contains("Key Compromise") && !said.contains("Superseded"), "{said}");
    assert!(authority.is_compromised(&key_hash(authority, "edge/1")));
    for less in [RevocationReason::Superseded, RevocationReason::Unspecified] {
        let refused = authority.revoke_issuer(&admin(), &edge, less).await;
        assert!(matches!(refused, Err(CaError::Conflict(_))), "{refused:?}");
    }
    let released = authority.release(&admin(), &serial).await;
    assert!(matches!(released, Err(CaError::Conflict(_))), "{released:?}");
    // An SSH CA has no certificate that could be revoked: its key is known all the same.
    authority.revoke_issuer(&admin(), &name("ssh-user/1"), RevocationReason::KeyCompromise).await.unwrap();
    assert!(authority.is_compromised(&key_hash(authority, "ssh-user/1")));
    house.verified().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ca_key_in_other_hands_is_certified_by_nobody_again() {
    let house = House::new().await;
    let authority = &house.authority;
    let edge = authority.create_issuer(&admin(), below("edge", "root")).await.unwrap();
    let other = {
        let mut wish = below("other", "itself");
        wish.ca.as_mut().unwrap().path_len = 2;
        authority.create_issuer(&admin(), wish).await.unwrap()
    };
    let serial = generation(authority, "edge/1").certificate.unwrap().serial;
    authority.revoke(&admin(), &serial, RevocationReason::CaCompromise).await.unwrap();
    let by_another = authority.cross_sign_issuer(&admin(), &edge, &other).await;
    assert!(matches!(by_another, Err(CaError::BadRequest { what: "key", .. })), "{by_another:?}");
    let request = authority.request_issuer(&admin(), &edge).await;
    assert!(matches!(request, Err(CaError::BadRequest { what: "key", .. })), "{request:?}");
    let renewed = authority.renew_issuer(&admin(), &edge).await;
    assert!(matches!(renewed, Err(CaError::Conflict(_))), "{renewed:?}");
    assert_eq!(generation(authority, "edge/1").certificates, 1);
}

/// A foreign root that is an issuer here by name, and `edge` below it with two certificates of one key; the serials of both.
async fn below_a_foreign_root(house: &House) -> (PathBuf, [&'static str; 2]) {
    let (authority, dir) = (&house.authority, house.dir.path().to_owned());
    let (_, root) = foreign_root(&dir);
    let root_pem = std::fs::read_to_string(&root).unwrap();
    let edge = authority.create_issuer(&admin(), below("edge", "elsewhere")).await.unwrap();
    let print = Some(fingerprint(&root_pem));
    authority.bring_certificate(&admin(), "above", root_pem.as_bytes(), (print, None)).await.unwrap();
    let serials = ["1234567890ABCDEF", "2234567890ABCDEF"];
    for serial in serials {
        house.file("edge.csr", authority.request_issuer(&admin(), &edge).await.unwrap().pem);
        openssl(
            &dir,
            &format!(
                "x509 -req -in edge.csr -CA foreign.pem -CAkey foreign.key -sha384 -days 365 -extfile foreign.cnf -extensions sub -set_serial 0x{serial} -out edge.pem"
            ),
        );
        let signed = std::fs::read_to_string(dir.join("edge.pem")).unwrap();
        authority.adopt_issuer(&admin(), &edge, signed.as_bytes(), (None, None)).await.unwrap();
    }
    (dir, serials)
}

fn openssl(dir: &Path, arguments: &str) {
    let done = std::process::Command::new("openssl").args(arguments.split(' ')).current_dir(dir).output().unwrap();
    assert!(done.status.success(), "{arguments}: {}", String::from_utf8_lossy(&done.stderr));
}

/// The foreign root's CRL of this number, that lists these.
fn crl(dir: &Path, number: u8, listed: &[(&str, &str)]) -> Vec<u8> {
    let lines =
        listed.iter().map(|(serial, why)| format!("R\t350101000000Z\t260101000000Z,{why}\t{serial}\tunknown\t/CN=x\n"));
    std::fs::write(dir.join("index.txt"), lines.collect::<String>()).unwrap();
    std::fs::write(dir.join("number"), format!("{number:02X}")).unwrap();
    let config = "[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\ncrlnumber=number\ndefault_md=sha256\ncrl_extensions=e\n[e]\nauthorityKeyIdentifier=keyid:always\n";
    std::fs::write(dir.join("ca.cnf"), config).unwrap();
    openssl(dir, "ca -gencrl -config ca.cnf -keyfile foreign.key -cert foreign.pem -crldays 30 -out f.crl");
    std::fs::read(dir.join("f.crl")).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crl_from_above_ends_the_key_whichever_certificate_it_lists() {
    let house = House::new().await;
    let authority = &house.authority;
    let (dir, [old, new]) = below_a_foreign_root(&house).await;
    // That an older certificate gave way is no harm.
    authority.bring_crl(&admin(), &crl(&dir, 1, &[(old, "superseded")])).await.unwrap();
    assert_eq!(state(authority, "edge/1"), GenerationState::Active);
    authority.bring_crl(&admin(), &crl(&dir, 2, &[(old, "keyCompromise")])).await.unwrap();
    assert_eq!(state(authority, "edge/1"), GenerationState::Revoked);
    assert!(authority.is_compromised(&key_hash(authority, "edge/1")));
    // The newest one is listed for less: nothing is taken back.
    authority.bring_crl(&admin(), &crl(&dir, 3, &[(new, "superseded")])).await.unwrap();
    assert!(authority.is_compromised(&key_hash(authority, "edge/1")));
    house.verified().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_adopted_ends_as_compromised_as_well() {
    let house = House::new().await;
    below_a_foreign_root(&house).await;
    let edge = name("edge/1");
    house.authority.revoke_issuer(&admin(), &edge, RevocationReason::KeyCompromise).await.unwrap();
    assert!(house.authority.is_compromised(&key_hash(&house.authority, "edge/1")));
    // A node that starts anew knows the same.
    let again = house.reopened(profiles_under("edge")).await;
    assert!(again.is_compromised(&key_hash(&again, "edge/1")));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_issued_below_an_intermediate_that_its_root_revoked() {
    let house = House::new().await;
    let dir = house.dir.path().to_owned();
    let (_, root) = foreign_root(&dir);
    let root_pem = std::fs::read_to_string(&root).unwrap();
    openssl(
        &dir,
        "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout mid.key -subj /O=Elsewhere/CN=Mid -out mid.csr",
    );
    let config = std::fs::read_to_string(dir.join("foreign.cnf")).unwrap().replace("pathlen:0", "pathlen:1");
    std::fs::write(dir.join("mid.cnf"), config).unwrap();
    openssl(
        &dir,
        "x509 -req -in mid.csr -CA foreign.pem -CAkey foreign.key -sha384 -days 365 -extfile mid.cnf -extensions sub -set_serial 0x77 -out mid.pem",
    );
    let edge = house.authority.create_issuer(&admin(), below("edge", "elsewhere")).await.unwrap();
    house.file("edge.csr", house.authority.request_issuer(&admin(), &edge).await.unwrap().pem);
    openssl(
        &dir,
        "x509 -req -in edge.csr -CA mid.pem -CAkey mid.key -sha256 -days 300 -extfile foreign.cnf -extensions sub -set_serial 0x78 -out edge.pem",
    );
    let read = |file: &str| std::fs::read_to_string(dir.join(file)).unwrap();
    let (chain, print) = (read("edge.pem") + &read("mid.pem") + &root_pem, Some(fingerprint(&root_pem)));
    house.authority.adopt_issuer(&admin(), &edge, chain.as_bytes(), (print, None)).await.unwrap();
    house.authority.bring_certificate(&admin(), "above", root_pem.as_bytes(), (None, None)).await.unwrap();
    let authority = house.reopened(profiles_under("edge")).await;
    server_under(&authority, &["www.example.com"]).await.unwrap();
    authority.bring_crl(&admin(), &crl(&dir, 1, &[("77", "cessationOfOperation")])).await.unwrap();
    let refused = server_under(&authority, &["www.example.com"]).await.unwrap_err();
    assert!(matches!(&refused, CaError::Conflict(_)), "{refused}");
    assert_eq!(house.server(&["www.example.com"]).await.issuer, "tls/1", "nobody else is stopped");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_shows_a_certificate_has_it_revoked_whatever_kind_of_key_signed_it() {
    let house = House::new().await;
    for (issuer, key) in [
        ("curve", KeyKind::P521),
        ("pss", KeyKind::Rsa2048Pss),
        ("edwards", KeyKind::Ed25519),
        ("rsa", KeyKind::Rsa2048),
    ] {
        house.authority.create_issuer(&admin(), CreateIssuer { key, ..below(issuer, "root") }).await.unwrap();
        let authority = house.reopened(profiles_under(issuer)).await;
        let issued = server_under(&authority, &["www.example.com"]).await.unwrap();
        let ending = Ending::from(RevocationReason::Superseded);
        let shown = authority.revoke_shown(&admin(), &issued.x509_der(), ending).await.unwrap();
        assert!(!shown.is_lost && authority.ledger().is_revoked(issued.operation), "{issuer}");
    }
}
