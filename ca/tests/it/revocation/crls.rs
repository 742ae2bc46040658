//! CRLs: what they tell, in order, by age, by parts, and of two nodes.

use std::collections::{BTreeMap, BTreeSet};

use ca::{CaError, Profiles, RevocationReason, Rotate};
use hsm::KeyKind;
use policy::World;
use store::{Filter, Kind};

use super::{crl_text, listed, pem_of, verified};
use crate::code::key_request;
use crate::house::{House, admin};

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_crl_has_no_list_at_all() {
    let house = House::new().await;
    let text = crl_text(&house, "code").await;
    assert!(text.contains("No Revoked Certificates"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_revocations_share_crls_and_their_numbers_only_grow() {
    let house = House::new().await;
    let mut serials = BTreeSet::new();
    for _ in 0..12 {
        serials.insert(house.server(&["www.example.com"]).await.serial_hex());
    }
    for serial in &serials {
        house.authority.revoke(&admin(), serial, RevocationReason::Superseded).await.unwrap();
    }
    house.authority.refresh_crls().await.unwrap();
    let text = crl_text(&house, "tls").await.to_lowercase();
    assert!(serials.iter().all(|s| text.contains(s.trim_start_matches('0'))), "{text}");

    let filter = Filter { kind: Some(Kind::Crl), issuer: Some("tls".to_owned()), ..Filter::default() };
    let crls = house.ledger.list(filter).await.unwrap().items;
    assert!(crls.len() < 12, "{} CRLs for 12 revocations", crls.len());
    let numbers: Vec<_> = crls.iter().map(|c| c.details["number"].as_u64().unwrap()).collect();
    assert!(numbers.windows(2).all(|w| w[0] > w[1]), "newest first: {numbers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crl_is_refreshed_by_age_and_not_before() {
    let house = House::at("2027-03-01T12:00:00Z").await;
    let first = house.authority.crl("tls").await.unwrap();
    house.authority.refresh_crls().await.unwrap();
    assert_eq!(house.authority.crl("tls").await.unwrap(), first);
    house.world.advance(86_400);
    house.authority.refresh_crls().await.unwrap();
    assert_ne!(house.authority.crl("tls").await.unwrap(), first);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_readers_share_one_crl_and_get_the_newest_whoever_made_it() {
    let house = House::new().await;
    let beside = house.reopened(Profiles::load(Profiles::shipped()).unwrap()).await;
    let first = beside.crl("tls").await.unwrap();
    assert!(first.is_dated, "there is none before the first");
    assert_eq!(beside.crl("tls").await.unwrap().as_ptr(), first.as_ptr(), "one buffer for all");
    let issued = house.server(&["www.example.com"]).await;
    house.authority.revoke(&admin(), &issued.serial_hex(), RevocationReason::Superseded).await.unwrap();
    let second = beside.crl("tls").await.unwrap();
    let made = house.authority.crl("tls").await.unwrap();
    assert_eq!((&second.der, second.operation), (&made.der, made.operation));
    assert!(made.took().is_some() && second.took().is_none(), "who made it knows how long it took, and nobody else");
    assert!((second.number, second.operation) > (first.number, first.operation));
    assert!(second.windows(16).any(|w| w == issued.serial));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crl_begins_after_the_one_before_it_and_not_before_what_it_tells_of() {
    let house = House::at("2027-03-01T12:00:00Z").await;
    let mut before = house.authority.crl("tls").await.unwrap();
    assert!(before.is_dated);
    for later in [0, 0, 90] {
        let issued = house.server(&["www.example.com"]).await;
        house.world.advance(later);
        house.authority.revoke(&admin(), &issued.serial_hex(), RevocationReason::Superseded).await.unwrap();
        let next = house.authority.crl("tls").await.unwrap();
        assert!(next.this_update > before.this_update && next.number > before.number, "{later} s later");
        assert!(next.is_dated, "its date tells it from the one before");
        let (_, crl) = x509_parser::parse_x509_crl(&next).unwrap();
        for entry in crl.iter_revoked_certificates() {
            assert!(entry.revocation_date <= crl.last_update(), "{later} s later");
        }
        before = next;
    }
    house.world.advance(86_400);
    house.authority.refresh_crls().await.unwrap();
    let next = house.authority.crl("tls").await.unwrap();
    assert_eq!(house.world.now().since(next.this_update), 60, "a little in the past where nothing forbids it");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_certificate_leaves_the_crl_late() {
    let house = House::at("2027-03-01T12:00:00Z").await;
    let issued = house.server(&["www.example.com"]).await;
    house.authority.revoke(&admin(), &issued.serial_hex(), RevocationReason::Superseded).await.unwrap();
    let listed = async |house: &House| {
        house.authority.refresh_crls().await.unwrap();
        crl_text(house, "tls").await.to_lowercase().contains(issued.serial_hex().trim_start_matches('0'))
    };
    house.world.advance(31 * 86_400);
    assert!(listed(&house).await, "a week past its end it is still there");
    house.world.advance(20 * 86_400);
    assert!(!listed(&house).await);
}

/// What it signed is judged by the time of a time stamp, long after its end: off the list it would be good again.
#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_code_certificate_never_leaves_the_crl() {
    let house = House::at("2027-03-01T12:00:00Z").await;
    let made = house.authority.create_code_key(&admin(), key_request("release", KeyKind::P256)).await.unwrap();
    house.authority.revoke(&admin(), &made.serial_hex(), RevocationReason::KeyCompromise).await.unwrap();
    let end = made.validity.unwrap().not_after();
    house.world.advance(end.since(house.world.now()) + 60 * 86_400);
    house.authority.refresh_crls().await.unwrap();
    assert!(crl_text(&house, "code").await.to_lowercase().contains(made.serial_hex().trim_start_matches('0')));
}

/// The entries are encoded once and kept: a node that starts anew makes the same list, and what it publishes is whole.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_starts_anew_lists_what_was_listed_before() {
    let house = House::new().await;
    let mut serials = BTreeSet::new();
    for _ in 0..3 {
        let issued = house.server(&["www.example.com"]).await;
        house.authority.revoke(&admin(), &issued.serial_hex(), RevocationReason::Superseded).await.unwrap();
        serials.insert(issued.serial_hex());
    }
    let first = house.authority.crl("tls").await.unwrap();
    assert_eq!(listed(&first), serials);
    let reopened = house.reopened(Profiles::load(Profiles::shipped()).unwrap()).await;
    let issued = house.server(&["www.example.com"]).await;
    reopened.revoke(&admin(), &issued.serial_hex(), RevocationReason::KeyCompromise).await.unwrap();
    serials.insert(issued.serial_hex());
    let second = reopened.crl("tls").await.unwrap();
    assert_eq!(listed(&second), serials);
    assert!(second.number > first.number);
}

/// Of a CRL that has a successor the register keeps digest and signature; `verify` checks them.
#[tokio::test(flavor = "multi_thread")]
async fn an_old_crl_is_kept_as_digest_and_signature() {
    let house = House::new().await;
    let before = house.authority.crl("tls").await.unwrap();
    let issued = house.server(&["www.example.com"]).await;
    house.authority.revoke(&admin(), &issued.serial_hex(), RevocationReason::Superseded).await.unwrap();
    let newest = house.authority.crl("tls").await.unwrap();
    let old = house.ledger.credential_by_operation(before.operation).await.unwrap().unwrap();
    assert_eq!((old.x509_der(), old.prehashed, old.tbs.len()), (None, true, 32));
    let (_, read) = x509_parser::parse_x509_crl(&before).unwrap();
    let digest = ring::digest::digest(&ring::digest::SHA256, read.tbs_cert_list.as_ref());
    assert_eq!((&old.tbs[..], old.signature.as_deref()), (digest.as_ref(), Some(&read.signature_value.data[..])));
    assert_eq!(house.ledger.newest_crl("tls/1").await.unwrap().unwrap().x509_der(), newest.der);
    let database = store::Database::Sqlite(house.dir.path().join("chancery.db"));
    let report =
        tokio::task::spawn_blocking(move || store::verify(database, None, &mut |_| {})).await.unwrap().unwrap();
    // Nobody recorded the tests' token.
    let meant: Vec<_> = report.findings.iter().filter(|finding| finding.what != "actor").collect();
    assert!(meant.is_empty(), "{meant:?}");
}

/// Two nodes on one register once published a CRL of a higher number that lacked revocations already published (invariant 13).
///
/// Two rounds on each engine; `CHANCERY_SIDE_BY_SIDE_SECS=60` goes on for a minute, the long proof.
#[test]
fn two_nodes_revoking_side_by_side_never_publish_a_crl_that_covers_less() {
    let runtime = || tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let dir = tempfile::TempDir::new().unwrap();
    let path = dir.path().join("chancery.db");
    runtime().block_on(side_by_side(store::Database::Sqlite(path), dir));
    let postgres = store::testing::TestPostgres::start();
    runtime().block_on(side_by_side(postgres.database(), tempfile::TempDir::new().unwrap()));
}

const ROUNDS: usize = 2;

const REVOKED_A_ROUND: usize = 30;

async fn side_by_side(database: store::Database, dir: tempfile::TempDir) {
    let house = House::over(&database, dir, World::real(), ca::CreateConfig::new("Example")).await;
    let (other, _ledger) = house.beside(&database).await;
    let long = std::env::var("CHANCERY_SIDE_BY_SIDE_SECS").ok().and_then(|secs| secs.parse().ok());
    let (began, long) = (std::time::Instant::now(), std::time::Duration::from_secs(long.unwrap_or(0)));
    let (mut revoked, mut before, mut crls, mut rounds) = (BTreeSet::new(), BTreeSet::new(), 0, 0);
    while rounds < ROUNDS || began.elapsed() < long {
        let mut serials = Vec::new();
        for n in 0..REVOKED_A_ROUND {
            serials.push(house.server(&[&format!("h{n}.example.com")]).await.serial_hex());
        }
        // By number: what the nodes served.
        let mut published = revoke_on([house.authority.clone(), other.clone()], &serials).await;
        let newest = published.split_off(&crls);
        for (number, now) in newest {
            assert!(now.is_superset(&before), "CRL {number} lacks {:?}", before.difference(&now));
            (crls, before) = (number, now);
        }
        revoked.extend(serials);
        assert_eq!(before, revoked);
        rounds += 1;
    }
    println!("{rounds} rounds, {} revocations, the last CRL has the number {crls}", revoked.len());
}

/// Each node revokes its half; the CRLs that it serves meanwhile, by number.
async fn revoke_on(nodes: [ca::Authority; 2], serials: &[String]) -> BTreeMap<u64, BTreeSet<String>> {
    let mut at_work = Vec::new();
    for (node, authority) in nodes.into_iter().enumerate() {
        let mine: Vec<String> = serials.iter().skip(node).step_by(2).cloned().collect();
        at_work.push(tokio::spawn(async move {
            let mut served = BTreeMap::new();
            for serial in mine {
                authority.revoke(&admin(), &serial, RevocationReason::Superseded).await.unwrap();
                let (number, listed) = numbered(&authority.crl("tls").await.unwrap().der);
                // Nor does what one node serves go back.
                assert!(served.last_key_value().is_none_or(|(newest, _)| *newest <= number));
                served.insert(number, listed);
            }
            (authority, served)
        }));
    }
    let mut all = BTreeMap::new();
    for node in at_work {
        let (authority, served) = node.await.unwrap();
        authority.refresh_crls().await.unwrap();
        all.extend(served);
        let (number, listed) = numbered(&authority.crl("tls").await.unwrap().der);
        all.insert(number, listed);
    }
    all
}

/// A CRL's number and serials.
fn numbered(der: &[u8]) -> (u64, BTreeSet<String>) {
    use x509_parser::prelude::FromDer;
    let (_, crl) = x509_parser::revocation_list::CertificateRevocationList::from_der(der).unwrap();
    (crl.crl_number().unwrap().try_into().unwrap(), listed(der))
}

/// RFC 5280 section 5.2.5: a certificate names the CRL of its part; that CRL says of which it tells, and no other passes for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_part_has_its_own_crl_and_openssl_takes_no_other_for_it() {
    let house = House::new().await;
    let rotation = Rotate { shards: Some(4), ..Rotate::of("tls") };
    house.authority.rotate_issuer(&admin(), rotation.clone()).await.unwrap();
    house.authority.refresh_crls().await.unwrap();
    let mut by_part: BTreeMap<u16, Vec<store::Issued>> = BTreeMap::new();
    for _ in 0..40 {
        let issued = house.server(&["www.example.com"]).await;
        let part = store::Shard::of_serial(&issued.serial, 4).unwrap();
        let url = format!("/crl/tls/2/{}.crl", part.index());
        assert!(String::from_utf8_lossy(&issued.x509_der()).contains(&url), "the certificate names its part's CRL");
        by_part.entry(part.index()).or_default().push(issued);
        if by_part.len() == 4 && by_part.values().all(|part| part.len() > 1) {
            break;
        }
    }
    let numbers = async || {
        let mut numbers = Vec::new();
        for part in 0..4 {
            numbers.push(house.authority.crl(&format!("tls/2/{part}")).await.unwrap().number);
        }
        numbers
    };
    let before = numbers().await;
    let (bad, good) = (&by_part[&1][0], &by_part[&1][1]);
    house.authority.revoke(&admin(), &bad.serial_hex(), RevocationReason::KeyCompromise).await.unwrap();
    let after = numbers().await;
    for part in [0, 2, 3] {
        assert_eq!(after[part], before[part], "a revocation touches its own part alone");
    }
    assert!(after[1] > before[1]);
    let text = crl_text(&house, "tls/2/1").await;
    assert!(text.contains("Issuing Distribution Point: critical") && text.contains("/crl/tls/2/1.crl"), "{text}");
    house.authority.refresh_crls().await.unwrap();
    let whole = house.authority.crl("tls/2/full").await.unwrap();
    assert_eq!(house.authority.crl("tls/2").await.unwrap(), whole);
    assert_eq!(listed(&whole.der), [bad.serial_hex()].into());
    assert!(!crl_text(&house, "tls/2").await.contains("Issuing Distribution Point"));
    assert_eq!(house.authority.crl("tls/1/0").await.unwrap(), house.authority.crl("tls/1").await.unwrap());
    for none in ["tls/2/4", "tls/1/1", "tls/2/01"] {
        assert!(matches!(house.authority.crl(none).await, Err(CaError::NotFound(_))), "{none}");
    }

    let judged = async |issued: &store::Issued, crl: &str| {
        let (leaf, chain, roots) = house.chain_files(issued);
        let crl = pem_of(house.file("part.crl", house.authority.crl(crl).await.unwrap()));
        let crl = house.file("part.pem", crl);
        let args: [&dyn AsRef<std::ffi::OsStr>; 11] = [
            &"verify",
            &"-x509_strict",
            &"-crl_check",
            &"-extended_crl",
            &"-CRLfile",
            &crl,
            &"-CAfile",
            &roots,
            &"-untrusted",
            &chain,
            &leaf,
        ];
        let output = std::process::Command::new("openssl").args(args.map(AsRef::as_ref)).output().unwrap();
        match (output.status.success(), String::from_utf8_lossy(&output.stderr).contains("certificate revoked")) {
            (true, _) => "good",
            (false, true) => "revoked",
            (false, false) => "unknown",
        }
    };
    for (issued, crl, verdict) in [
        (good, "tls/2/1", "good"),
        (bad, "tls/2/1", "revoked"),
        (bad, "tls/2/2", "unknown"),
        (bad, "tls/2", "revoked"),
        (&by_part[&2][0], "tls/2/2", "good"),
        (&by_part[&2][0], "tls/2/1", "unknown"),
        (&by_part[&2][0], "tls/2", "good"),
    ] {
        assert_eq!(judged(issued, crl).await, verdict, "{crl}");
    }
    // And so does webpki, which holds the name of the scope against the certificate's.
    for (issued, crl, verdict) in [
        (good, "tls/2/1", None),
        (bad, "tls/2/1", Some(webpki::Error::CertRevoked)),
        (bad, "tls/2/2", Some(webpki::Error::UnknownRevocationStatus)),
        (bad, "tls/2", Some(webpki::Error::CertRevoked)),
        (&by_part[&2][0], "tls/2/2", None),
        (&by_part[&2][0], "tls/2/1", Some(webpki::Error::UnknownRevocationStatus)),
        (&by_part[&2][0], "tls/2", None),
    ] {
        let der = house.authority.crl(crl).await.unwrap().der;
        let said = crate::tls::webpki_verify_with(&house, issued, "www.example.com", Some(&der));
        assert_eq!(said.err(), verdict, "{crl}");
    }
    // How many there are is fixed with the generation; its successor has as many unless it is said.
    let again = Rotate { shards: None, ..rotation.clone() };
    house.authority.rotate_issuer(&admin(), again).await.unwrap();
    house.authority.refresh_crls().await.unwrap();
    assert!(house.authority.crl("tls/3/3").await.is_ok());
    let many = Rotate { shards: Some(257), ..rotation };
    assert!(matches!(house.authority.rotate_issuer(&admin(), many).await, Err(CaError::BadRequest { .. })));
    // A node that starts anew publishes the same series.
    let restarted = house.reopened(Profiles::load(Profiles::shipped()).unwrap()).await;
    assert_eq!(restarted.crl("tls/2/1").await.unwrap().number, after[1]);
    verified(&house).await;
}
