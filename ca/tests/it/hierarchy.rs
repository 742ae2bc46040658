//! How an authority comes to be, is found again, and refuses what is not its own.

use ca::{Authority, CaError, CreateConfig, Dn, Profiles};
use hsm::testing::TestToken;
use policy::{Timestamp, World};
use store::{Database, Filter, Kind, Ledger, LogConfig, StoreError};

use crate::house::{House, accepts, admin, open_ledger, parts, server_request};

fn shipped() -> Profiles {
    Profiles::load(Profiles::shipped()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_has_a_root_and_two_issuing_cas() {
    let house = House::new().await;
    let names: Vec<_> = house.authority.cas().into_iter().map(|ca| ca.name.to_string()).collect();
    assert_eq!(names, ["code/1", "root/1", "tls/1"]);
    let roots = house.file("roots.pem", house.authority.roots_pem());
    for ca in house.authority.cas() {
        let der = house.file("ca.der", &ca.certificate.unwrap().der);
        accepts("openssl", &[&"verify", &"-x509_strict", &"-CAfile", &roots, &der]);
        assert!(!house.authority.crl(&ca.name.to_string()).await.unwrap().is_empty(), "a first CRL of {}", ca.name);
    }
    assert!(house.ledger.checkpoint().await.unwrap().is_some(), "a first signed log head");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_issuers_have_as_many_parts_as_was_said() {
    let config = CreateConfig { shards: 4, ..CreateConfig::new("Example") };
    let house = House::with(World::real(), config).await;
    let series = |issuer: &str| house.authority.crl_series(&format!("{issuer}/1").parse().unwrap()).len();
    // The complete one, and the parts; the root has a handful of CAs.
    assert_eq!(["tls", "code", "root"].map(series), [5, 5, 1]);
    let issued = house.server(&["www.example.com"]).await;
    let part = store::Shard::of_serial(&issued.serial, 4).unwrap().index();
    assert!(String::from_utf8_lossy(&issued.x509_der()).contains(&format!("/crl/tls/1/{part}.crl")));
    house.authority.crl(&format!("tls/1/{part}")).await.unwrap();
    let many = CreateConfig { shards: 257, ..CreateConfig::new("Example") };
    let dir = tempfile::TempDir::new().unwrap();
    let token = hsm::testing::TestToken::new("many");
    let (pool, mint) = hsm::open(token.config()).unwrap();
    let ledger = crate::house::open_ledger(dir.path(), (&pool, mint), &World::real()).await;
    let profiles = Profiles::load(Profiles::shipped()).unwrap();
    let parts = crate::house::parts(&ledger, &pool, &World::real(), profiles);
    assert!(matches!(Authority::create(parts, many).await, Err(CaError::BadRequest { what: "shards", .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn making_it_twice_makes_it_once() {
    let house = House::new().await;
    let before = house.ledger.count(Filter { kind: Some(Kind::CaCertificate), ..Filter::default() }).await.unwrap();
    let again = parts(&house.ledger, &house.pool, &house.world, shipped());
    let again = Authority::create(again, CreateConfig::new("Example")).await.unwrap();
    let after = house.ledger.count(Filter { kind: Some(Kind::CaCertificate), ..Filter::default() }).await.unwrap();
    assert_eq!((before, after), (3, 3));
    assert_eq!(again.roots_pem(), house.authority.roots_pem());
    assert_eq!(again.ssh_user_ca(), house.authority.ssh_user_ca());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_making_continues_with_the_keys_it_made() {
    let house = House::new().await;
    let dir = tempfile::TempDir::new().unwrap();
    // A register that has begun, over a token in which only some keys exist.
    let token = hsm::testing::TestToken::new("half");
    let (pool, mint) = hsm::open(token.config()).unwrap();
    let ledger = open_ledger(dir.path(), (&pool, mint), &house.world).await;
    // The record of the root with nothing under its label yet, as a crash leaves it.
    let begun = house.ledger.record_get("issuer", "root").await.unwrap().unwrap();
    let mut body = begun.body.clone();
    body["generations"][0]["key_hash"] = serde_json::Value::Null;
    body["generations"][0]["certificates"] = serde_json::json!([]);
    let record = store::Record {
        kind: "issuer",
        id: begun.id.clone(),
        owner: None,
        lookup: None,
        expires: None,
        body,
        actor: begun.actor.clone(),
        expect: Some(0),
    };
    ledger.record(vec![record]).await.unwrap();
    let root = pool.generate("root-1", hsm::KeyKind::P384).await.unwrap();
    let authority =
        Authority::create(parts(&ledger, &pool, &house.world, shipped()), CreateConfig::new("Example")).await.unwrap();
    let made = authority.cas().into_iter().find(|ca| ca.name.issuer() == "root").unwrap().certificate.unwrap().der;
    assert!(made.windows(root.spki_der().len()).any(|w| w == root.spki_der()));
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_another_register_made_are_not_taken_over() {
    let house = House::new().await;
    let dir = tempfile::TempDir::new().unwrap();
    // The mint of a second opening: the same token, another register.
    let (pool, mint) = hsm::open(house.token.config()).unwrap();
    let log = LogConfig { origin: "log.example/other".to_owned(), state: None, instance: None };
    let database = Database::Sqlite(dir.path().join("chancery.db"));
    let refused = Ledger::found(database, (&pool, mint), log, house.world.clone()).await;
    assert!(matches!(refused.err().unwrap(), StoreError::Conflict(why) if why.contains("`seal-1`")));
    // Nor any other key of a label of ours.
    let token = TestToken::new("others");
    let (pool, mint) = hsm::open(token.config()).unwrap();
    pool.generate("root-1", hsm::KeyKind::P256).await.unwrap();
    let other: Ledger = open_ledger(dir.path(), (&pool, mint), &house.world).await;
    let refused = Authority::create(parts(&other, &pool, &house.world, shipped()), CreateConfig::new("Example")).await;
    assert!(matches!(refused.err().unwrap(), CaError::Conflict(why) if why.contains("`root-1`")));
    let opened = Authority::open(parts(&other, &pool, &house.world, shipped())).await;
    assert!(matches!(opened.err().unwrap(), CaError::NotFound(why) if why.contains("chancery init")));
}

/// Issue 3, "Must show" 8: rcgen and others lose one of two equal attributes and re-sort the multi-valued one.
#[tokio::test(flavor = "multi_thread")]
async fn a_dn_with_repeated_and_multi_valued_rdns_comes_out_byte_exact() {
    let base = Dn::parse("/DC=com/DC=example/O=Example+OU=PKI+L=Here").unwrap();
    let config = CreateConfig { base: Some(base.clone()), ..CreateConfig::new("Example") };
    let house = House::with(World::real(), config).await;
    let issued = house.server(&["www.example.com"]).await;
    let (leaf, chain, roots) = house.chain_files(&issued);
    accepts("openssl", &[&"verify", &"-x509_strict", &"-CAfile", &roots, &"-untrusted", &chain, &leaf]);
    let said = accepts("openssl", &[&"x509", &"-in", &leaf, &"-noout", &"-issuer", &"-nameopt", &"compat"]);
    assert_eq!(said.trim(), "issuer=/DC=com/DC=example/OU=PKI+L=Here+O=Example/CN=Example TLS CA");

    let raw = subject_of(&house, "tls");
    assert!(issued.tbs.windows(raw.len()).any(|w| w == raw), "the issuer field is the issuer's subject");
    let crl = house.authority.crl("tls").await.unwrap();
    assert!(crl.windows(raw.len()).any(|w| w == raw), "and so it is in the CRL");
    let inner = &base.as_der()[2..];
    assert!(raw.windows(inner.len()).any(|w| w == inner), "the base is in it untouched");
}

fn subject_of(house: &House, label: &str) -> Vec<u8> {
    let ca = house.authority.cas().into_iter().find(|ca| ca.name.issuer() == label).unwrap().certificate.unwrap();
    let (_, certificate) = x509_parser::parse_x509_certificate(&ca.der).unwrap();
    certificate.subject().as_raw().to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_went_back_issues_nothing() {
    let house = House::at("2027-03-01T12:00:00Z").await;
    house.world.advance(86_400);
    house.server(&["www.example.com"]).await;
    house.world.advance(-3600);
    let leaves = house.ledger.head().size;
    let refused = house.authority.certify(&admin(), server_request(&["www.example.com"])).await.unwrap_err();
    assert!(matches!(&refused, CaError::Held { why, .. } if why.contains("clock")), "{refused}");
    assert_eq!(house.ledger.head().size, leaves, "and writes nothing");
    assert!(house.authority.health().held.is_some());
    // A restart does not make it forget.
    let reopened = house.reopened(shipped()).await;
    assert!(matches!(reopened.certify(&admin(), server_request(&["a.example.com"])).await, Err(CaError::Held { .. })));
    house.world.advance(3600);
    house.server(&["www.example.com"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_outside_the_cas_life_issues_nothing() {
    let house = House::at("2027-03-01T12:00:00Z").await;
    for time in ["2020-01-01T00:00:00Z", "2037-03-02T00:00:00Z"] {
        house.world.set(Timestamp::parse_rfc3339(time).unwrap());
        let refused = house.authority.certify(&admin(), server_request(&["www.example.com"])).await.unwrap_err();
        assert!(matches!(&refused, CaError::Held { why, .. } if why.contains("clock")), "{refused}");
    }
}
