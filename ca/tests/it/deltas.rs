//! Delta CRLs, as openssl reads them over what they rest on, and as they follow each other.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::time::Duration;

use ca::{CaError, CreateConfig, Ending, Profiles, Published, PublishedCrl, RevocationReason, Rotate};
use policy::{Actor, Timestamp, World};
use store::{Database, Issued, Shard};
use x509_parser::prelude::{FromDer, ParsedExtension};
use x509_parser::revocation_list::CertificateRevocationList;

use crate::golden::x509_text;
use crate::house::{House, accepts, admin};
use crate::revocation::listed;

const NOW: &str = "2027-03-01T12:00:00Z";

async fn with_deltas(house: &House, shards: u16) {
    let rotation = Rotate { shards: Some(shards), deltas: Some(true), ..Rotate::of("tls") };
    house.authority.rotate_issuer(&admin(), rotation).await.unwrap();
    house.authority.refresh_crls().await.unwrap();
}

/// A delta's number, and that of what it rests on.
fn numbers(der: &[u8]) -> (u64, Option<u64>) {
    let (_, crl) = CertificateRevocationList::from_der(der).unwrap();
    let (mut own, mut base) = (0, None);
    for extension in crl.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::CRLNumber(number) => own = number.try_into().unwrap(),
            _ if extension.oid.to_id_string() == "2.5.29.27" => {
                assert!(extension.critical);
                base = Some(extension.value[2..].iter().fold(0, |n, byte| n << 8 | u64::from(*byte)));
            }
            _ => {}
        }
    }
    (own, base)
}

fn text(house: &House, crl: &PublishedCrl) -> String {
    let file = house.file("shown.crl", &crl.der);
    accepts("openssl", &[&"crl", &"-in", &file, &"-inform", &"DER", &"-noout", &"-text"])
}

/// What openssl says of a certificate by these CRLs.
fn judged(house: &House, issued: &Issued, crls: &[&PublishedCrl], deltas: bool) -> &'static str {
    let (leaf, chain, roots) = house.chain_files(issued);
    let pem = |crl: &&PublishedCrl| {
        let der = house.file("one.crl", &crl.der);
        accepts("openssl", &[&"crl", &"-inform", &"DER", &"-in", &der, &"-outform", &"PEM"])
    };
    let crls = house.file("all.pem", crls.iter().map(pem).collect::<String>());
    let mut openssl = Command::new("openssl");
    openssl.args(["verify", "-x509_strict", "-crl_check", "-extended_crl"]);
    // Each CRL begins a second after the one before it, in a world whose clock stands still.
    openssl.arg("-attime").arg(house.world.now().plus_secs(60).unix().to_string());
    if deltas {
        openssl.arg("-use_deltas");
    }
    openssl.arg("-CRLfile").arg(crls).arg("-CAfile").arg(roots).arg("-untrusted").arg(chain).arg(leaf);
    let output = openssl.output().unwrap();
    match (output.status.success(), String::from_utf8_lossy(&output.stderr).contains("certificate revoked")) {
        (true, _) => "good",
        (false, true) => "revoked",
        (false, false) => "unknown",
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn openssl_reads_a_delta_over_the_crl_that_it_rests_on() {
    for shards in [1, 2] {
        let house = House::at(NOW).await;
        with_deltas(&house, shards).await;
        let mut of_part = Vec::new();
        while of_part.len() < 4 {
            let issued = house.server(&["www.example.com"]).await;
            if Shard::of_serial(&issued.serial, shards).is_none_or(|shard| shard.index() == 0) {
                of_part.push(issued);
            }
        }
        let [good, bad, held, told] = of_part.try_into().unwrap();
        let hold = Ending::from(RevocationReason::CertificateHold);
        house.authority.revoke(&admin(), &held.serial_hex(), hold).await.unwrap();
        house.authority.revoke(&admin(), &told.serial_hex(), RevocationReason::Superseded).await.unwrap();
        house.authority.refresh_crls().await.unwrap();
        let base = house.authority.crl("tls/2/0").await.unwrap();
        assert_eq!(listed(&base.der), [held.serial_hex(), told.serial_hex()].into());
        house.authority.revoke(&admin(), &bad.serial_hex(), RevocationReason::KeyCompromise).await.unwrap();
        house.authority.release(&admin(), &held.serial_hex()).await.unwrap();
        house.authority.refresh_crls().await.unwrap();
        let delta = house.authority.crl("tls/2/0/delta").await.unwrap();
        // It rests on the first of the day, which told of nobody, and goes with any after that.
        let since: BTreeSet<_> = [&bad, &held, &told].map(|issued| issued.serial_hex()).into();
        assert_eq!(listed(&delta.der), since);

        for (issued, deltas, verdict) in [
            (&good, false, "good"),
            (&good, true, "good"),
            (&bad, false, "good"),
            (&bad, true, "revoked"),
            (&held, false, "revoked"),
            (&held, true, "good"),
            (&told, true, "revoked"),
        ] {
            let said = judged(&house, issued, &[&base, &delta], deltas);
            assert_eq!(said, verdict, "{} with deltas {deltas}", issued.serial_hex());
        }
        // It is no complete one, and no client takes it for that.
        assert_eq!(judged(&house, &good, &[&delta], true), "unknown");
        let complete = house.authority.crl("tls/2/0").await.unwrap();
        assert_eq!(listed(&complete.der), [bad.serial_hex(), told.serial_hex()].into());
        let loaded = webpki::BorrowedCertRevocationList::from_der(&delta.der);
        assert_eq!(loaded.err(), Some(webpki::Error::UnsupportedDeltaCrl), "and webpki refuses to load it");
        crate::tls::webpki_verify_with(&house, &good, "www.example.com", Some(&complete.der)).unwrap();

        // Certificates and the complete CRL say where the delta is; a delta says on what it rests, and nothing of further ones.
        let place = "/crl/tls/2/0.delta.crl";
        for says in [x509_text(&house, &good.x509_der()), text(&house, &base), text(&house, &complete)] {
            assert!(says.contains("X509v3 Freshest CRL:") && says.contains(place), "{says}");
            assert!(!says.contains("Delta CRL Indicator"), "{says}");
        }
        let says = text(&house, &delta);
        assert!(says.contains("X509v3 Delta CRL Indicator: critical") && !says.contains("Freshest"), "{says}");
        assert!(says.contains("Remove From CRL"), "{says}");
        assert_eq!(says.contains("Issuing Distribution Point: critical"), shards > 1, "the scope of its base: {says}");
        // What no certificate points to has none.
        let none: &[&str] =
            if shards == 1 { &["tls/1/delta", "tls/2/full/delta"] } else { &["tls/2/delta", "tls/2/2/delta"] };
        for none in none {
            assert!(matches!(house.authority.crl(none).await, Err(CaError::NotFound(_))), "{none}");
        }
        if shards > 1 {
            assert!(!text(&house, &house.authority.crl("tls/2/full").await.unwrap()).contains("Freshest"));
        }
        house.verified().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delta_rests_on_one_crl_for_a_day_and_no_two_crls_have_one_number_or_moment() {
    let now = Timestamp::parse_rfc3339(NOW).unwrap();
    let world = World::fixed(now, 7);
    let house = House::with(world.clone(), CreateConfig::new("Example")).await;
    with_deltas(&house, 1).await;
    let first = house.authority.crl("tls/2").await.unwrap();
    let delta = || async { house.authority.crl("tls/2/delta").await.unwrap() };
    assert_eq!(numbers(&delta().await.der).1, Some(first.number));
    let (mut all, mut revoked) = (vec![first.clone(), delta().await], BTreeSet::new());
    for _ in 0..2 {
        let issued = house.server(&["www.example.com"]).await;
        house.authority.revoke(&admin(), &issued.serial_hex(), RevocationReason::Superseded).await.unwrap();
        revoked.insert(issued.serial_hex());
        // The delta first, then the complete one, then a delta above that.
        house.authority.refresh_crls().await.unwrap();
        let (complete, delta) = (house.authority.crl("tls/2").await.unwrap(), delta().await);
        assert_eq!((listed(&complete.der), listed(&delta.der)), (revoked.clone(), revoked.clone()));
        assert!(delta.number > complete.number && complete.number > first.number);
        assert_eq!(numbers(&delta.der), (delta.number, Some(first.number)), "who has read the first goes on");
        all.extend([complete, delta]);
    }
    let moments: BTreeSet<_> = all.iter().map(|crl| (crl.this_update, crl.number)).collect();
    assert_eq!(moments.iter().map(|(at, _)| at).collect::<BTreeSet<_>>().len(), all.len(), "{moments:?}");
    assert_eq!(moments.iter().map(|(_, number)| number).collect::<BTreeSet<_>>().len(), all.len(), "{moments:?}");
    house.verified().await;

    // A restart serves the same, and goes on above it, on the same base.
    let restarted = house.reopened(Profiles::load(Profiles::shipped()).unwrap()).await;
    assert_eq!(restarted.crl("tls/2/delta").await.unwrap().der, delta().await.der);
    let issued = house.server(&["www.example.com"]).await;
    let before = delta().await.number;
    restarted.revoke(&admin(), &issued.serial_hex(), RevocationReason::Superseded).await.unwrap();
    restarted.refresh_crls().await.unwrap();
    let next = restarted.crl("tls/2/delta").await.unwrap();
    assert!(next.number > before);
    assert_eq!(numbers(&next.der).1, Some(first.number));
    house.verified().await;

    // A day later there is a new complete one, and deltas rest on that.
    world.set(now.plus_secs(86_401));
    restarted.refresh_crls().await.unwrap();
    let (complete, delta) = (restarted.crl("tls/2").await.unwrap(), restarted.crl("tls/2/delta").await.unwrap());
    assert_eq!(numbers(&delta.der).1, Some(complete.number));
    assert_eq!((listed(&complete.der).len(), listed(&delta.der).len()), (3, 0));
    house.verified().await;
}

fn still() -> World {
    World::fixed(Timestamp::parse_rfc3339(NOW).unwrap(), 7)
}

/// RFC 5280 section 5.2.4: a complete CRL is read with deltas of greater numbers alone. One follows each without anybody's asking.
#[tokio::test(flavor = "multi_thread")]
async fn after_each_complete_crl_there_is_a_delta_that_is_read_with_it() {
    let house = House::at(NOW).await;
    with_deltas(&house, 2).await;
    let issued = house.server(&["www.example.com"]).await;
    let part = format!("tls/2/{}", Shard::of_serial(&issued.serial, 2).unwrap().index());
    house.authority.revoke(&admin(), &issued.serial_hex(), RevocationReason::KeyCompromise).await.unwrap();
    let both = async || {
        let delta = house.authority.crl(&format!("{part}/delta")).await.unwrap();
        (house.authority.crl(&part).await.unwrap(), delta)
    };
    let followed = tokio::time::timeout(Duration::from_secs(60), async {
        loop {
            let (complete, delta) = both().await;
            if !listed(&complete.der).is_empty() && delta.number > complete.number {
                return (complete, delta);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let (complete, delta) = followed.await.expect("nobody asks for it");
    assert_eq!(
        (listed(&complete.der), listed(&delta.der)),
        ([issued.serial_hex()].into(), [issued.serial_hex()].into())
    );
    assert_eq!(judged(&house, &issued, &[&complete, &delta], true), "revoked");
    house.verified().await;
}

/// Two nodes that revoke at once: over all that either serves, of both kinds, numbers come once and none tells less than one before it.
#[test]
fn two_nodes_revoking_side_by_side_publish_deltas_that_never_cover_less() {
    let runtime = || tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let dir = tempfile::TempDir::new().unwrap();
    let path = dir.path().join("chancery.db");
    runtime().block_on(side_by_side(Database::Sqlite(path), dir));
    let postgres = store::testing::TestPostgres::start();
    runtime().block_on(side_by_side(postgres.database(), tempfile::TempDir::new().unwrap()));
}

const REVOKED_EACH: usize = 8;

async fn side_by_side(database: Database, dir: tempfile::TempDir) {
    let house =
        House::over(&database, dir, still(), CreateConfig { deltas: true, ..CreateConfig::new("Example") }).await;
    let (other, ledger) = house.beside(&database).await;
    let (mut at_work, mut all) = (Vec::new(), BTreeSet::new());
    for node in [house.authority.clone(), other.clone()] {
        let mut serials = Vec::new();
        for _ in 0..REVOKED_EACH {
            serials.push(house.server(&["www.example.com"]).await.serial_hex());
        }
        all.extend(serials.iter().cloned());
        at_work.push(tokio::spawn(async move {
            let mut served = BTreeMap::new();
            for serial in serials {
                node.revoke(&admin(), &serial, RevocationReason::Superseded).await.unwrap();
                for series in ["tls/1", "tls/1/delta"] {
                    let crl = node.crl(series).await.unwrap();
                    served.insert(crl.number, crl);
                }
            }
            served
        }));
    }
    let mut served: BTreeMap<u64, PublishedCrl> = BTreeMap::new();
    for node in at_work {
        for (number, crl) in node.await.unwrap() {
            let there = served.entry(number).or_insert_with(|| crl.clone());
            assert_eq!(there.identity, crl.identity, "two CRLs have the number {number}");
        }
    }
    for (node, ledger) in [(&house.authority, &house.ledger), (&other, &ledger)] {
        ledger.follow().await.unwrap();
        node.refresh_crls().await.unwrap();
        for series in ["tls/1", "tls/1/delta"] {
            let crl = node.crl(series).await.unwrap();
            assert_eq!(listed(&crl.der), all, "{series}");
            served.insert(crl.number, crl);
        }
    }
    // They rest on the first of the day, which lists nobody: a delta lists what a complete one does.
    let mut before = BTreeSet::new();
    for (number, crl) in &served {
        let now = listed(&crl.der);
        assert!(now.is_superset(&before), "CRL {number} lacks {:?}", before.difference(&now));
        before = now;
    }
    assert!(served.values().filter(|crl| numbers(&crl.der).1.is_some()).count() > 2, "some of them are deltas");
    house.authority.checkpoint().await.unwrap();
    let report =
        tokio::task::spawn_blocking(move || store::verify(database, None, &mut |_| {})).await.unwrap().unwrap();
    let found: Vec<_> = report.findings.iter().filter(|finding| finding.what != "actor").collect();
    assert!(found.is_empty(), "{found:?}");
}

/// Two nodes: what one revokes the other's delta has, and their numbers are one sequence.
#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_publish_deltas_of_one_sequence_that_never_cover_less() {
    let dir = tempfile::TempDir::new().unwrap();
    let database = Database::Sqlite(dir.path().join("chancery.db"));
    let house =
        House::over(&database, dir, still(), CreateConfig { deltas: true, ..CreateConfig::new("Example") }).await;
    let (other, ledger) = house.beside(&database).await;
    let (mut revoked, mut last) = (BTreeSet::new(), 0);
    for n in 0..4 {
        let serial = house.server(&["www.example.com"]).await.serial_hex();
        let (node, beside) = if n % 2 == 0 { (&house.authority, &other) } else { (&other, &house.authority) };
        node.revoke(&admin(), &serial, RevocationReason::Superseded).await.unwrap();
        revoked.insert(serial);
        house.ledger.follow().await.unwrap();
        ledger.follow().await.unwrap();
        for node in [node, beside] {
            node.refresh_crls().await.unwrap();
            let delta = node.crl("tls/1/delta").await.unwrap();
            assert!(listed(&delta.der).is_superset(&revoked), "{n}");
            assert!(delta.number >= last, "{n}");
            last = delta.number;
        }
    }
    house.verified().await;
}

/// CRLs of a series with deltas begin one after the other, in whole seconds: whoever revokes waits neither for the next second nor for
/// another's turn, and what he revoked follows.
#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_waits_for_no_second() {
    let now = Timestamp::parse_rfc3339("2026-09-21T09:05:00Z").unwrap();
    // Time stands: what begins after the newest begins ahead of it for ever.
    let house = House::with(World::fixed(now, 7), CreateConfig::new("Example")).await;
    with_deltas(&house, 1).await;
    let mut revoked = BTreeSet::new();
    for n in 0..3 {
        let serial = house.server(&["www.example.com"]).await.serial_hex();
        let published = house.authority.revoke(&admin(), &serial, RevocationReason::Superseded).await.unwrap();
        // The first begins with this second, and none after it can.
        assert_eq!(published, if n == 0 { Published::Now } else { Published::Pending }, "{n}");
        revoked.insert(serial);
    }
    house.authority.refresh_crls().await.unwrap();
    assert_eq!(listed(&house.authority.crl("tls/2/delta").await.unwrap().der), revoked);
    // Where one can begin at once it is waited for: as soon as no other CRL of the series is under way, and its desk has rested from them.
    let until = std::time::Instant::now() + std::time::Duration::from_secs(120);
    loop {
        tokio::time::sleep(std::time::Duration::from_secs(6)).await;
        house.world.advance(60);
        let serial = house.server(&["www.example.com"]).await.serial_hex();
        if house.authority.revoke(&admin(), &serial, RevocationReason::Superseded).await.unwrap() == Published::Now {
            assert!(listed(&house.authority.crl("tls/2/delta").await.unwrap().der).contains(&serial));
            break;
        }
        assert!(std::time::Instant::now() < until, "nobody was told that it is published");
    }
    house.verified().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_clock_that_was_ahead_neither_a_delta_nor_what_it_rests_on_is_from_the_future() {
    let house = House::at(NOW).await;
    with_deltas(&house, 1).await;
    house.world.advance(4 * 86_400);
    let issued = house.server(&["www.example.com"]).await;
    house.authority.revoke(&admin(), &issued.serial_hex(), RevocationReason::Superseded).await.unwrap();
    house.authority.refresh_crls().await.unwrap();
    let ahead = house.authority.crl("tls/2/0/delta").await.unwrap();
    house.world.jump(-3 * 86_400);
    assert!(ahead.this_update > house.world.now());
    house.authority.set_time(&Actor::system("clock"), "the host came up three days ahead").await.unwrap();
    // The second has the delta rest on the complete one that the first made, in whichever order they are made.
    house.authority.refresh_crls().await.unwrap();
    house.authority.refresh_crls().await.unwrap();
    let complete = house.authority.crl("tls/2/0").await.unwrap();
    let delta = house.authority.crl("tls/2/0/delta").await.unwrap();
    // Each begins a second after the one before it, in a world whose clock stands still.
    let soon = house.world.now().plus_secs(60);
    for crl in [&complete, &delta] {
        assert!(crl.this_update <= soon && crl.number > ahead.number, "{} {}", crl.this_update, crl.number);
    }
    assert_eq!(numbers(&delta.der), (delta.number, Some(complete.number)));
    assert!(delta.number > complete.number);
    assert_eq!(listed(&complete.der), [issued.serial_hex()].into());
}
