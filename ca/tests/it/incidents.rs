//! What happened elsewhere and must not happen here, as far as this room can see to it. Others stand where they belong: the
//! lint's bends (`lint_tests`), the page's faults (`registrar_tests`), the CSR table (`csr_intake`).

use std::collections::BTreeSet;

use ca::{Csr, Profiles};
use policy::{Name, Owner, Principal};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use x509_parser::extensions::GeneralName;

use crate::house::{House, accepts, admin, server_request};

/// Let's Encrypt 2020-02 checked one name N times: what was granted and what stands in the certificate are one set.
#[tokio::test(flavor = "multi_thread")]
async fn the_names_in_the_certificate_are_the_set_that_was_granted() {
    let house = House::new().await;
    let mut runner = TestRunner::deterministic();
    let one = prop_oneof![
        "[a-z]{1,8}\\.example\\.com",
        "\\*\\.[a-z]{1,3}\\.example\\.internal",
        (1u8..=250).prop_map(|n| format!("192.0.2.{n}"))
    ];
    let many = prop::collection::vec(one, 1..12);
    for _ in 0..25 {
        let mut asked = many.new_tree(&mut runner).unwrap().current();
        // The same name twice, and in other letters, is one name.
        asked.push(asked[0].to_uppercase());
        let names: Vec<Name> = asked.iter().map(|n| Name::parse(n).unwrap()).collect();
        let mut request = server_request(&[]);
        request.names = Some(names.clone());
        let issued = house.authority.certify(&admin(), request).await.unwrap();
        let wanted: BTreeSet<String> = names.iter().map(|n| n.to_string()).collect();
        assert_eq!(names_in(&issued.x509_der()), wanted.iter().cloned().collect::<Vec<_>>());
        assert_eq!(issued.names.iter().cloned().collect::<BTreeSet<_>>(), wanted);
    }
}

/// Sorted, and as often as they stand there.
fn names_in(der: &[u8]) -> Vec<String> {
    let (_, certificate) = x509_parser::parse_x509_certificate(der).unwrap();
    let san = certificate.subject_alternative_name().unwrap().unwrap();
    let mut names: Vec<_> = san.value.general_names.iter().map(text_of).collect();
    names.sort();
    names
}

fn text_of(name: &GeneralName<'_>) -> String {
    match name {
        GeneralName::DNSName(dns) => format!("dns:{dns}"),
        GeneralName::IPAddress(ip) => format!("ip:{}", std::net::IpAddr::from(<[u8; 4]>::try_from(*ip).unwrap())),
        other => panic!("{other:?}"),
    }
}

/// TURKTRUST 2011, and Let's Encrypt 2023-06: which profile shaped a certificate is in its row and its leaf, by hash.
#[tokio::test(flavor = "multi_thread")]
async fn a_changed_profile_shows_in_the_log() {
    let house = House::new().await;
    let before = house.server(&["www.example.com"]).await;
    let changed: Vec<_> = Profiles::shipped().iter().map(|(n, t)| (*n, t.replace("\"90d\"", "\"89d\""))).collect();
    let profiles = Profiles::load(&changed).unwrap();
    let hash = profiles.get("tls-server").unwrap().hash();
    let after = house.reopened(profiles).await.certify(&admin(), server_request(&["www.example.com"])).await.unwrap();
    assert_ne!(before.profile_hash, after.profile_hash);
    assert_eq!(after.profile_hash, hash);
    let (_, leaf) = house.ledger.leaves(after.operation..after.operation + 1).await.unwrap().remove(0);
    assert!(leaf.contains(&hex::encode(hash)), "{leaf}");
    // And each hash can be read, the one that is no longer in force too.
    for (hash, says) in [(before.profile_hash, "\"90d\""), (after.profile_hash, "\"89d\"")] {
        let text = house.ledger.text(store::TextKind::Profile, &hash).await.unwrap().unwrap();
        assert!(text.starts_with("[\"tls-server\",{") && text.contains(says), "{text}");
    }
    let policies = house.ledger.text(store::TextKind::Policy, &before.grant.policy_hash).await.unwrap().unwrap();
    assert!(policies.contains("*.example.internal"), "{policies}");
    let report =
        store::verify(store::Database::Sqlite(house.dir.path().join("chancery.db")), None, &mut |_| {}).unwrap();
    assert!(report.findings.iter().all(|finding| finding.what == "actor"), "{:?}", report.findings);
}

/// rcgen#448: a P-384 request signed with SHA-256 must not make an undecodable certificate.
#[tokio::test(flavor = "multi_thread")]
async fn a_p384_request_signed_with_sha256_is_served() {
    let house = House::new().await;
    let key = house.dir.path().join("p384.pem");
    accepts("openssl", &[&"genpkey", &"-algorithm", &"EC", &"-pkeyopt", &"ec_paramgen_curve:P-384", &"-out", &key]);
    let pem = accepts("openssl", &[&"req", &"-new", &"-sha256", &"-key", &key, &"-subj", &"/CN=www.example.com"]);
    let mut request = server_request(&[]);
    request.csr = Csr::parse(pem.as_bytes()).unwrap();
    let issued = house.authority.certify(&admin(), request).await.unwrap();
    let (leaf, chain, roots) = house.chain_files(&issued);
    accepts("openssl", &[&"verify", &"-x509_strict", &"-CAfile", &roots, &"-untrusted", &chain, &leaf]);
}

/// OpenSSH CVE-2026-35414: `deploy,root` was split on its comma. There is no such principal here to begin with.
#[test]
fn a_principal_cannot_hold_a_delimiter() {
    for text in ["deploy,root", "deploy root", "*", "de?loy", "!root", "", "a\0b"] {
        assert!(Principal::parse(text).is_err(), "{text:?}");
    }
}

/// EJBCA 2019 lost a bit; WoSign signed one serial twice: 16 positive bytes, all different, each instance its own prefix.
#[tokio::test(flavor = "multi_thread")]
async fn serials_have_sixteen_bytes_and_never_repeat() {
    let house = House::new().await;
    let mut seen = BTreeSet::new();
    for _ in 0..30 {
        let issued = house.server(&["www.example.com"]).await;
        let der = issued.x509_der();
        let (_, certificate) = x509_parser::parse_x509_certificate(&der).unwrap();
        assert_eq!(certificate.raw_serial().len(), 16);
        assert_eq!(certificate.raw_serial()[..2], [0x01, 0x01], "instance 1");
        assert!(seen.insert(certificate.raw_serial().to_vec()));
    }
}

/// DigiCert 2024 lost the underscore's meaning in a refactor. No path lets one in.
#[test]
fn an_underscore_is_in_no_name() {
    assert!(Name::parse("_a.example.com").is_err());
    assert!(Owner::parse("_a").is_err());
}

/// step-ca CVE-2026-40097: an empty EKU in a request made the CA panic.
#[tokio::test(flavor = "multi_thread")]
async fn an_empty_extended_key_usage_makes_nobody_panic() {
    let house = House::new().await;
    let key = house.dir.path().join("eku.pem");
    let config = house.file(
        "eku.cnf",
        "[req]\ndistinguished_name=dn\n[dn]\n[ext]\nsubjectAltName=DNS:www.example.com\n2.5.29.37=DER:3000\n",
    );
    let pem = accepts(
        "openssl",
        &[
            &"req",
            &"-new",
            &"-newkey",
            &"ec",
            &"-pkeyopt",
            &"ec_paramgen_curve:P-256",
            &"-nodes",
            &"-keyout",
            &key,
            &"-subj",
            &"/CN=www.example.com",
            &"-config",
            &config,
            &"-reqexts",
            &"ext",
        ],
    );
    let begin = pem.find("-----BEGIN CERTIFICATE REQUEST-----").unwrap();
    // Refused, or read without it: what is signed has the profile's usage, and the process lives.
    if let Ok(csr) = Csr::parse(&pem.as_bytes()[begin..]) {
        let mut request = server_request(&[]);
        request.csr = csr;
        if let Ok(issued) = house.authority.certify(&admin(), request).await {
            let der = issued.x509_der();
            let (_, certificate) = x509_parser::parse_x509_certificate(&der).unwrap();
            assert!(certificate.extended_key_usage().unwrap().unwrap().value.server_auth);
        }
    }
    house.server(&["www.example.com"]).await;
}

/// Everything this room can make, and then the auditor over all of it.
#[tokio::test(flavor = "multi_thread")]
async fn the_auditor_finds_nothing_in_what_was_made() {
    let house = House::new().await;
    let issued = house.server(&["www.example.com"]).await;
    house.authority.renew(&admin(), &issued.serial_hex(), None).await.unwrap();
    house.authority.revoke(&admin(), &issued.serial_hex(), ca::RevocationReason::Superseded).await.unwrap();
    crate::ssh::user_certificate(&house).await;
    crate::code::signature(&house).await;
    house.verified().await;
}
