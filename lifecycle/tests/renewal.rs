//! Renewal against a real authority: a SoftHSM token, an SQLite register, the shipped policies and profiles, and a World whose
//! time is the test's.

use std::collections::BTreeSet;
use std::sync::Arc;

use ca::{Authority, CertifyRequest, CreateConfig, Csr, Lifetime, Parts, Profiles, RevocationReason, Urls};
use chancery_lifecycle::{Alarm, Bucket, Forecast, Renewer, Summary, alarms};
use hsm::testing::TestToken;
use policy::{Actor, Instance, Owner, OwnerRules, Policies, Proof, Role, Timestamp, World};
use store::{Database, Filter, Issued, Kind, Ledger, LogConfig, Order};
use tempfile::TempDir;

const LIFE_SECS: i64 = 3_600;

/// What an authority is made of, given the DNS rules of owner web.
type PartsFor = dyn Fn(&[&str]) -> Parts;

struct House {
    authority: Authority,
    world: World,
    parts: Box<PartsFor>,
    token: TestToken,
    _dir: TempDir,
}

impl House {
    async fn new() -> House {
        let dir = TempDir::new().unwrap();
        let database = Database::Sqlite(dir.path().join("chancery.db"));
        House { _dir: dir, ..House::of(database).await }
    }

    async fn of(database: Database) -> House {
        let world = World::fixed(Timestamp::parse_rfc3339("2026-08-21T09:00:00Z").unwrap(), 7);
        let token = TestToken::new("lifecycle");
        let parts = parts(&token, database, &world, 1).await;
        let authority = Authority::create(parts(&["*.example.internal"]), CreateConfig::new("Example")).await.unwrap();
        House { authority, world, parts, token, _dir: TempDir::new().unwrap() }
    }

    /// A second node of the same register and token, with a number of its own.
    async fn second_node(&self, database: Database) -> Authority {
        let parts = parts(&self.token, database, &self.world, 2).await;
        Authority::open(parts(&["*.example.internal"])).await.unwrap()
    }

    /// The same register after a restart, with these name rules for owner web.
    async fn reopened(&self, dns: &[&str]) -> Authority {
        Authority::open((self.parts)(dns)).await.unwrap()
    }

    async fn certify(&self, name: &str, renew: bool) -> Issued {
        let mut params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        let csr = params.serialize_request(&rcgen::KeyPair::generate().unwrap()).unwrap().pem().unwrap();
        let request = CertifyRequest {
            profile: "tls-server".to_owned(),
            owner: owner(),
            csr: Csr::parse(csr.as_bytes()).unwrap(),
            names: None,
            proven: BTreeSet::new(),
            lifetime: Lifetime::Secs(u64::try_from(LIFE_SECS).unwrap()),
            renew,
            replaces: None,
        };
        self.authority.certify(&admin(), request).await.unwrap()
    }

    /// Every certificate for `name`, the oldest first.
    async fn certificates(&self, name: &str) -> Vec<Summary> {
        let filter = Filter {
            kind: Some(Kind::Certificate),
            name: Some(format!("dns:{name}")),
            order: Order::Newest,
            ..Filter::default()
        };
        let page = self.authority.ledger().list(filter).await.unwrap();
        page.items.iter().rev().filter_map(Summary::of).collect()
    }
}

async fn parts(token: &TestToken, database: Database, world: &World, instance: u16) -> Box<PartsFor> {
    let (pool, mint) = hsm::open(token.config()).unwrap();
    let log = LogConfig { origin: "log.example/lifecycle".to_owned(), state: None, instance: None };
    let ledger = Ledger::found(database, (&pool, mint), log, world.clone()).await.unwrap();
    let world = world.clone();
    Box::new(move |dns: &[&str]| Parts {
        ledger: ledger.clone(),
        pool: pool.clone(),
        world: world.clone(),
        policies: Arc::new(policies(dns)),
        profiles: Profiles::load(Profiles::shipped()).unwrap(),
        instance: Instance::new(instance).unwrap(),
        urls: Urls { http_base: "http://pki.example".to_owned() },
    })
}

fn owner() -> Owner {
    Owner::parse("web").unwrap()
}

fn admin() -> Actor {
    let proof = Proof::Token { id: "0123456789abcdef".to_owned() };
    Actor {
        id: "token:admin".to_owned(),
        roles: BTreeSet::from([Role::Admin]),
        owners: BTreeSet::new(),
        scopes: None,
        proof,
        second_factor: None,
    }
}

fn policies(dns: &[&str]) -> Policies {
    let shipped: Vec<_> = Policies::shipped().iter().map(|(n, t)| ((*n).to_owned(), (*t).to_owned())).collect();
    let dns = dns.iter().map(|name| (*name).to_owned()).collect();
    let web = OwnerRules { dns, ..OwnerRules::none(owner()) };
    Policies::load(&shipped, vec![web]).unwrap()
}

async fn turns(renewer: &mut Renewer) {
    while renewer.turn().await.unwrap() {}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_with_the_renew_flag_is_renewed_again_and_again_for_its_key() {
    let house = House::new().await;
    let first = house.certify("www.example.internal", true).await;
    house.certify("once.example.internal", false).await;
    let mut renewer = Renewer::new(house.authority.clone());
    for _ in 0..3 * LIFE_SECS / 60 {
        house.world.advance(60);
        turns(&mut renewer).await;
    }
    let chain = house.certificates("www.example.internal").await;
    assert!((4..=6).contains(&chain.len()), "{} certificates in three lifetimes", chain.len());
    for (older, newer) in chain.iter().zip(chain.iter().skip(1)) {
        assert!(newer.succeeds(older));
        assert_eq!((newer.renew, newer.validity.secs()), (true, older.validity.secs()));
        assert!(newer.validity.not_before() < older.validity.not_after(), "no gap");
    }
    assert_eq!(chain[0].serial_hex(), first.serial_hex());
    let last = house.authority.ledger().credential(&chain[chain.len() - 1].serial_hex()).await.unwrap().unwrap();
    assert_eq!((last.actor.id.as_str(), last.grant.rule.as_str()), ("system:renewal", "system-renewal"));
    assert_eq!(house.certificates("once.example.internal").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_renewer_renews_nothing_twice_and_nothing_that_was_revoked() {
    let house = House::new().await;
    house.certify("www.example.internal", true).await;
    let revoked = house.certify("gone.example.internal", true).await;
    house.authority.revoke(&admin(), &revoked.serial_hex(), RevocationReason::Superseded).await.unwrap();
    house.world.advance(LIFE_SECS * 3 / 4);
    turns(&mut Renewer::new(house.authority.clone())).await;
    turns(&mut Renewer::new(house.authority.clone())).await;
    assert_eq!(house.certificates("www.example.internal").await.len(), 2);
    assert_eq!(house.certificates("gone.example.internal").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_with_another_key_is_a_successor_too() {
    let house = House::new().await;
    let old = house.certify("www.example.internal", true).await;
    let mut params = rcgen::CertificateParams::new(vec!["www.example.internal".to_owned()]).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    let csr = params.serialize_request(&rcgen::KeyPair::generate().unwrap()).unwrap().pem().unwrap();
    let csr = Csr::parse(csr.as_bytes()).unwrap();
    house.world.advance(LIFE_SECS / 2);
    house.authority.renew(&admin(), &old.serial_hex(), Some(csr)).await.unwrap();
    house.world.advance(LIFE_SECS / 3);
    turns(&mut Renewer::new(house.authority.clone())).await;
    assert_eq!(house.certificates("www.example.internal").await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_taken_from_its_owner_is_not_renewed_and_somebody_hears_of_it() {
    let house = House::new().await;
    let old = house.certify("www.example.internal", true).await;
    let authority = house.reopened(&["*.other.internal"]).await;
    house.world.advance(LIFE_SECS * 3 / 4);
    let mut renewer = Renewer::new(authority.clone());
    turns(&mut renewer).await;
    turns(&mut renewer).await;
    assert_eq!(house.certificates("www.example.internal").await.len(), 1);
    let found = alarms(authority.ledger(), house.world.now(), &renewer.watch(), 10).await.unwrap();
    let [Alarm::NotRenewed(overdue)] = found.first.as_slice() else { panic!("{found:?}") };
    assert_eq!((overdue.serial.as_str(), found.total), (old.serial_hex().as_str(), 1));
    assert!(found.first[0].to_string().contains("outside the name rules of owner web"), "{}", found.first[0]);
    // What was intended and not concluded comes first; what is not told is counted.
    let (pool, _mint) = hsm::open(house.token.config()).unwrap();
    for n in 0..3 {
        authority.ledger().intend(intended(&old, pool.find("tls-1").await.unwrap(), n)).await.unwrap();
    }
    house.world.advance(61);
    for (most, told) in [(1, "1"), (3, "111"), (4, "1112"), (10, "1112")] {
        let found = alarms(authority.ledger(), house.world.now(), &renewer.watch(), most).await.unwrap();
        let kind = |alarm: &Alarm| match alarm {
            Alarm::Unconcluded { .. } => '1',
            Alarm::NotRenewed(_) => '2',
        };
        let kinds: String = found.first.iter().map(kind).collect();
        assert_eq!((kinds.as_str(), found.total), (told, 4), "{found:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_kill_leaves_is_told_with_what_to_do_and_a_crl_ends_with_the_next() {
    let house = House::new().await;
    let old = house.certify("www.example.internal", true).await;
    let (pool, _mint) = hsm::open(house.token.config()).unwrap();
    let key = pool.find("tls-1").await.unwrap();
    let ledger = house.authority.ledger();
    let covers = ledger.revocations_in("tls/1", 0..0).covers;
    let number = house.authority.crl("tls").await.unwrap().number + 1;
    let crl = store::Entry {
        kind: store::Kind::Crl,
        covers: Some(covers),
        serial: number.to_be_bytes().to_vec(),
        owner: None,
        names: Vec::new(),
        ..intended(&old, key.clone(), 9)
    };
    ledger.intend(crl).await.unwrap();
    let of_a_ca = store::Entry {
        kind: store::Kind::CaCertificate,
        details: serde_json::json!({ "generation": "vpn/1" }),
        ..intended(&old, key.clone(), 8)
    };
    ledger.intend(of_a_ca).await.unwrap();
    ledger.intend(intended(&old, key, 7)).await.unwrap();
    house.world.advance(61);
    let watch = Renewer::new(house.authority.clone()).watch();
    let told = async || {
        let found = alarms(ledger, house.world.now(), &watch, 10).await.unwrap();
        assert_eq!(found.first.len() as u64, found.total);
        found.first.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let says = told().await;
    let [crl, ca, certificate] = &says[..] else { panic!("{says:?}") };
    assert!(crl.contains("Nothing is to be done: the next CRL takes its place"), "{crl}");
    assert!(ca.contains("chancery ca show vpn/1") && ca.contains("certs revoke 01010908 --ca"), "{ca}");
    assert!(certificate.contains("chancery certs revoke 01010907 --reason superseded"), "{certificate}");
    // A day on there is another.
    house.world.advance(86_400);
    house.authority.refresh_crls().await.unwrap();
    assert_eq!(told().await, [ca.clone(), certificate.clone()], "the CRL has its successor");
}

/// As a crash leaves it that came after the intent.
fn intended(like: &Issued, key: hsm::Key, n: u8) -> store::Entry {
    let like = (**like).clone();
    store::Entry {
        kind: like.kind,
        actor: like.actor,
        grant: like.grant,
        profile: like.profile,
        profile_hash: like.profile_hash,
        key,
        message: hsm::Message::from(like.tbs),
        serial: vec![1, 1, 9, n],
        issuer: like.issuer,
        owner: like.owner,
        subject: like.subject,
        names: like.names,
        key_hash: like.key_hash,
        validity: like.validity,
        covers: None,
        renews: None,
        details: like.details,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_forecast_of_the_register_says_what_expires_when() {
    let house = House::new().await;
    house.certify("www.example.internal", true).await;
    house.certify("once.example.internal", false).await;
    let ledger = house.authority.ledger();
    let forecast = async || {
        let now = house.world.now();
        Forecast::of_hours(now, &ledger.outlook(Some("web"), store::Class::Certificates, now).await.unwrap().hours)
    };
    let day = forecast().await.total[&Bucket::Day];
    assert_eq!((day.count, day.renewed), (2, 1));
    house.world.advance(2 * LIFE_SECS);
    assert_eq!(forecast().await.total.values().map(|expiring| expiring.count).sum::<u64>(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_side_by_side_renew_each_certificate_once_on_both_engines() {
    let postgres = store::testing::TestPostgres::start();
    let dir = TempDir::new().unwrap();
    for database in [Database::Sqlite(dir.path().join("two.db")), postgres.database()] {
        let house = House::of(database.clone()).await;
        let other = house.second_node(database).await;
        for n in 0..20 {
            house.certify(&format!("host{n}.example.internal"), true).await;
        }
        house.world.advance(LIFE_SECS * 3 / 4);
        let side = |authority: Authority| async move {
            let mut renewer = Renewer::new(authority);
            for _ in 0..20 {
                // A node that is told of a conflict or of news from the other looks again.
                let _ = renewer.turn().await;
            }
        };
        tokio::join!(side(house.authority.clone()), side(other));
        for n in 0..20 {
            let chain = house.certificates(&format!("host{n}.example.internal")).await;
            assert_eq!(chain.len(), 2, "host{n}: {chain:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_task_renews_at_once_what_is_due_and_ends_with_its_shutdown() {
    let house = House::new().await;
    house.certify("www.example.internal", true).await;
    house.world.advance(LIFE_SECS * 3 / 4);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(Renewer::new(house.authority.clone()).run_until(async move { drop(stopped.await) }));
    while !running.is_finished() && house.certificates("www.example.internal").await.len() < 2 {
        tokio::task::yield_now().await;
    }
    assert_eq!(house.certificates("www.example.internal").await.len(), 2);
    stop.send(()).unwrap();
    running.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_revoked_ca_made_is_renewed_at_once_once_there_is_another() {
    let house = House::new().await;
    house.certify("www.example.internal", true).await;
    house.certify("own.example.internal", false).await;
    let mut renewer = Renewer::new(house.authority.clone());
    assert!(!renewer.turn().await.unwrap());
    let tls = "tls/1".parse().unwrap();
    house.authority.revoke_issuer(&admin(), &tls, RevocationReason::KeyCompromise).await.unwrap();
    for _ in 0..3 {
        house.world.advance(61);
        renewer.turn().await.unwrap();
    }
    assert_eq!(house.certificates("www.example.internal").await.len(), 1, "nothing is issued under it");
    let next = ca::Rotate::of("tls");
    house.authority.rotate_issuer(&admin(), next).await.unwrap();
    for _ in 0..3 {
        house.world.advance(61);
        while renewer.turn().await.unwrap() {}
    }
    let chain = house.certificates("www.example.internal").await;
    assert_eq!(chain.len(), 2, "{chain:?}");
    assert_eq!(house.certificates("own.example.internal").await.len(), 1, "it did not ask for it");
    let newest = house.authority.ledger().credential(&chain[1].serial_hex()).await.unwrap().unwrap();
    assert_eq!(newest.issuer, "tls/2");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_has_the_server_renew_what_it_marks_within_its_window_and_once() {
    let house = House::new().await;
    for n in 0..40 {
        house.certify(&format!("host{n}.example.internal"), true).await;
    }
    let part = ca::Part { issuer: "tls/1".to_owned(), profile: None, owner: Some(owner()) };
    let new = ca::NewDrill { part, window_secs: 600, reason: "a drill".to_owned(), url: None };
    let drill = house.authority.begin_drill(&admin(), new, false).await.unwrap();
    assert_eq!((drill.all.held, drill.all.left), (40, 40));
    let mut renewer = Renewer::new(house.authority.clone());
    let mut done = Vec::new();
    for _ in 0..6 {
        house.world.advance(120);
        while renewer.turn().await.unwrap() {}
        done.push(house.authority.drill(&drill.drill.id).await.unwrap().all.replaced);
    }
    assert!(done.is_sorted() && done[0] > 0 && done[1] < 40, "spread over the window: {done:?}");
    assert_eq!(done.last(), Some(&40));
    for n in 0..40 {
        assert_eq!(house.certificates(&format!("host{n}.example.internal")).await.len(), 2, "host{n}");
    }
}
