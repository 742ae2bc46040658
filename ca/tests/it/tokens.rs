//! Keys that are at home in several tokens: added once they are proven the same, and signing while one of them is away.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ca::{Authority, CaError, CreateConfig, CreateIssuer, GenerationName, Homes, Profiles, RevocationReason};
use hsm::testing::{SOFTHSM_MODULE, TestToken};
use hsm::{Health, KeyKind, PinSource, Pool, TokenConfig, open_all};
use policy::World;
use store::{Database, Ledger};

use crate::house::{House, accepts, admin, open_ledger, parts, server_request};
use crate::ssh::{request, ssh_key};

/// A house whose keys are in `main`, opened again with a second token beside it, of a module of its own.
pub(crate) struct Two {
    pub(crate) house: House,
    pub(crate) spare: TestToken,
    pub(crate) pool: Pool,
    ledger: Ledger,
    pub(crate) authority: Authority,
}

impl Two {
    /// `spare` is made of the house's token.
    pub(crate) async fn with(spare: impl Fn(&TestToken) -> TestToken) -> Two {
        let house = House::with(World::real(), CreateConfig::new("Example")).await;
        house.authority.checkpoint().await.unwrap();
        let spare = spare(&house.token);
        let module = house.dir.path().join("module.so");
        std::fs::copy(SOFTHSM_MODULE, &module).unwrap();
        let deadline = Duration::from_secs(20);
        let (pool, mint) = open_all(vec![
            ("main".to_owned(), TokenConfig { deadline, ..house.token.config() }),
            ("spare".to_owned(), TokenConfig { module, deadline, ..spare.config() }),
        ])
        .unwrap();
        let ledger = open_ledger(house.dir.path(), (&pool, mint), &house.world).await;
        let profiles = Profiles::load(Profiles::shipped()).unwrap();
        let authority = Authority::open(parts(&ledger, &pool, &house.world, profiles)).await.unwrap();
        Two { house, spare, pool, ledger, authority }
    }

    async fn add(&self, generation: &str) -> Result<(), CaError> {
        let homes = Homes::Add { token: "spare".to_owned(), was_outside: false };
        self.authority.set_homes(&admin(), &name(generation), homes).await
    }

    /// Its tokens and how they are, in order.
    fn homes(&self, generation: &str) -> Vec<(String, &'static str)> {
        let issuers = self.authority.issuers();
        let found = issuers.into_iter().flat_map(|i| i.generations).find(|g| g.name == name(generation)).unwrap();
        found.tokens.into_iter().map(|home| (home.token, home.state)).collect()
    }

    /// Takes the first token away, and waits until that is known.
    async fn without_main(&self) -> Away {
        let home = self.house.token.directory();
        let away = self.house.dir.path().join("away");
        std::fs::rename(&home, &away).unwrap();
        until(
            || self.pool.token("main").unwrap().health() != Health::Ready,
            || async {
                let _ = self.pool.token("main").unwrap().probe().await;
            },
        )
        .await;
        Away { home, away }
    }

    fn signed_by(&self, token: &str) -> u64 {
        self.pool.token(token).unwrap().signing_times().counts.iter().map(|(_, count)| count).sum()
    }

    async fn verified(&self) {
        self.authority.checkpoint().await.unwrap();
        let database = Database::Sqlite(self.house.dir.path().join("chancery.db"));
        let report = store::verify(database, None, &mut |_| {}).unwrap();
        let findings: Vec<_> = report.findings.iter().filter(|finding| finding.what != "actor").collect();
        assert!(findings.is_empty(), "{findings:?}");
    }
}

struct Away {
    home: PathBuf,
    away: PathBuf,
}

async fn until<F: Future<Output = ()>>(is_so: impl Fn() -> bool, meanwhile: impl Fn() -> F) {
    let waited = tokio::time::timeout(Duration::from_secs(60), async {
        while !is_so() {
            meanwhile().await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    waited.await.expect("it comes about");
}

fn name(generation: &str) -> GenerationName {
    generation.parse().unwrap()
}

fn homes(names: &[&str]) -> Vec<(String, &'static str)> {
    names.iter().map(|name| ((*name).to_owned(), "ready")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_at_home_in_two_tokens_goes_on_while_the_first_is_away_and_the_rest_refuses_by_its_name() {
    let two = Two::with(|main| main.twin("spare")).await;
    assert_eq!(two.homes("tls/1"), homes(&["main"]));
    let before = two.ledger.head().size;
    for generation in ["tls/1", "log/1", "ssh-user/1"] {
        let signed = two.signed_by("spare");
        two.add(generation).await.unwrap();
        assert_eq!(two.homes(generation), homes(&["main", "spare"]));
        assert!(two.signed_by("spare") > signed, "{generation} was not proven by a signature");
    }
    assert!(two.ledger.head().size >= before + 6, "each is told by the log");
    two.verified().await;
    let ca = two.authority.cas().into_iter().find(|ca| ca.name == name("tls/1")).unwrap().certificate.unwrap();
    let (ca, chain) = (two.house.file("ca.der", &ca.der), two.house.dir.path().join("ca.pem"));
    accepts("openssl", &[&"x509", &"-inform", &"DER", &"-in", &ca, &"-out", &chain]);
    let asked_about = |leaf: &Path| {
        let asked = two.house.dir.path().join("asked.der");
        accepts("openssl", &[&"ocsp", &"-issuer", &chain, &"-cert", &leaf, &"-no_nonce", &"-reqout", &asked]);
        std::fs::read(asked).unwrap()
    };
    // A responder is there before, in the first token; what is asked for afterwards is not in memory.
    let other = two.authority.certify(&admin(), server_request(&["other.example.com"])).await.unwrap();
    let asked = asked_about(&two.house.chain_files(&other).0);
    assert!(two.authority.ocsp(Some("tls/1"), &asked, None).await.shared.is_some());
    let issued = two.authority.certify(&admin(), server_request(&["www.example.com"])).await.unwrap();
    let (leaf, _, roots) = two.house.chain_files(&issued);
    let asked = asked_about(&leaf);

    let away = two.without_main().await;
    // No request fails, no head waits, and a responder is there that answers.
    for _ in 0..5 {
        two.authority.certify(&admin(), server_request(&["www.example.com"])).await.unwrap();
    }
    let key = ssh_key(&two.house, "id", &["-t", "ed25519"]);
    two.authority.sign_ssh_user(&admin(), request(key, &["alice"])).await.unwrap();
    let size = two.ledger.head().size;
    two.authority.checkpoint().await.unwrap();
    assert!(two.ledger.checkpoint().await.unwrap().unwrap().contains(&format!("\n{size}\n")));
    let answer = two.authority.ocsp(Some("tls/1"), &asked, None).await;
    let answered = two.house.file("answer.der", &answer.der);
    let said = accepts(
        "openssl",
        &[
            &"ocsp",
            &"-issuer",
            &chain,
            &"-cert",
            &leaf,
            &"-no_nonce",
            &"-respin",
            &answered,
            &"-CAfile",
            &roots,
            &"-verify_other",
            &chain,
        ],
    );
    assert!(said.contains("leaf.pem: good"), "{said}");
    two.authority.revoke(&admin(), &issued.serial_hex(), RevocationReason::Superseded).await.unwrap();
    two.authority.refresh_crls().await.unwrap_or_else(|error| assert!(error.to_string().contains("main"), "{error}"));
    let crl = two.authority.crl("tls").await.unwrap();
    assert!(crl.windows(16).any(|w| w == issued.serial), "the CRL of what is at home elsewhere is made");
    // What is in the first alone says so, and writes nothing.
    let size = two.ledger.head().size;
    let below_root = CreateIssuer { key: KeyKind::P256, ..below_root("never") };
    let refused = two.authority.create_issuer(&admin(), below_root).await.unwrap_err().to_string();
    assert!(refused.contains("main") && refused.contains("--token spare"), "{refused}");
    let host_key = ssh_key(&two.house, "host", &["-t", "ed25519"]);
    let refused = two.authority.sign_ssh_host(&admin(), request(host_key, &["host.example.internal"])).await;
    let Err(CaError::Unavailable { .. }) = refused else { panic!("{refused:?}") };
    let health = two.authority.health();
    assert_eq!(health.token, Health::Ready);
    let stopped = health.stopped.iter().map(|one| format!("{} {}: {}", one.issuer, one.word, one.why));
    let ended = stopped.collect::<Vec<_>>().join("\n");
    assert!(health.stopped.iter().all(|one| one.word == "away"), "{ended}");
    assert!(ended.contains("ssh-host/1 signs nothing now") && ended.contains("chancery ca tokens"), "{ended}");
    assert!(!ended.contains("tls/1"), "{ended}");
    let _ = size;

    std::fs::rename(&away.away, &away.home).unwrap();
    until(|| two.pool.token("main").unwrap().health() == Health::Ready, || async {}).await;
    two.authority.look_for_keys().await.unwrap();
    let before = two.signed_by("main");
    two.authority.certify(&admin(), server_request(&["www.example.com"])).await.unwrap();
    assert!(two.signed_by("main") > before, "the first is asked first again");
    assert!(two.authority.health().stopped.is_empty());
    two.authority.refresh_crls().await.unwrap();
    two.verified().await;
}

/// A successor made while the first token is away is in the other alone: that is shown and an alarm, until it is put right.
#[tokio::test(flavor = "multi_thread")]
async fn a_successor_in_fewer_tokens_than_the_key_before_it_is_shown_and_an_alarm() {
    let two = Two::with(|main| main.twin("spare")).await;
    two.add("tls/1").await.unwrap();
    two.add("root/1").await.unwrap();
    let lacks = |generation: &str| {
        let found =
            two.authority.issuers().into_iter().flat_map(|i| i.generations).find(|g| g.name == name(generation));
        found.unwrap().lacks
    };
    let alarms = || two.authority.health().due.into_iter().filter(|due| due.contains("it follows")).collect::<Vec<_>>();
    assert!(lacks("tls/1").is_empty() && alarms().is_empty());
    let away = two.without_main().await;
    let wish = ca::Rotate::of("tls");
    two.authority.rotate_issuer(&admin(), wish).await.unwrap();
    assert_eq!((two.homes("tls/2"), lacks("tls/2")), (homes(&["spare"]), vec!["main".to_owned()]));
    let [alarm] = &alarms()[..] else { panic!("{:?}", alarms()) };
    assert!(alarm.contains("tls/2") && alarm.contains("chancery ca tokens tls/2 --add main"), "{alarm}");
    // It is so as long as it is so, and not while the token is away alone.
    std::fs::rename(&away.away, &away.home).unwrap();
    until(|| two.pool.token("main").unwrap().health() == Health::Ready, || async {}).await;
    assert_eq!(alarms().len(), 1);
    // Where the key before is in one token too, nothing is lacking.
    let homes = Homes::Remove("main".to_owned());
    two.authority.set_homes(&admin(), &name("tls/1"), homes).await.unwrap();
    assert!(lacks("tls/2").is_empty() && alarms().is_empty(), "{:?}", alarms());
}

fn below_root(issuer: &str) -> CreateIssuer {
    CreateIssuer {
        name: issuer.to_owned(),
        role: ca::IssuerRole::X509,
        key: KeyKind::P256,
        ca: Some(ca::CaWish {
            above: "root".to_owned(),
            subject: ca::Dn::parse(&format!("/O=Example/CN=Example {issuer}")).unwrap(),
            validity_secs: 365 * 86_400,
            path_len: 0,
            purposes: vec!["server-auth".to_owned()],
            permitted: Vec::new(),
            excluded: Vec::new(),
            policies: Vec::new(),
            leaves: true,
        }),
        shards: None,
        deltas: None,
        token: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_with_another_key_or_none_is_not_added_and_signs_nothing() {
    let two = Two::with(|_| TestToken::new("stranger")).await;
    let refused = two.add("tls/1").await.unwrap_err().to_string();
    assert!(refused.contains("has no key `tls-1`"), "{refused}");
    two.pool.generate_in("spare", "tls-1", KeyKind::P256).await.unwrap();
    let refused = two.add("tls/1").await.unwrap_err().to_string();
    assert!(refused.contains("is another key than that of tls/1"), "{refused}");
    for homes in [
        Homes::Add { token: "other".to_owned(), was_outside: false },
        Homes::Remove("spare".to_owned()),
        Homes::Remove("main".to_owned()),
        Homes::First("spare".to_owned()),
    ] {
        let refused = two.authority.set_homes(&admin(), &name("tls/1"), homes.clone()).await;
        assert!(refused.is_err(), "{homes:?}");
    }
    assert_eq!(two.homes("tls/1"), homes(&["main"]));
    assert_eq!(two.signed_by("spare"), 0);
    // Who may not manage the authority does not change this either, and that is a leaf.
    let nobody = crate::house::actor("auditor", policy::Role::Auditor);
    let refused = two.authority.set_homes(&nobody, &name("tls/1"), Homes::First("main".to_owned())).await;
    assert!(matches!(refused, Err(CaError::Refused(_))), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_token_by_two_names_is_no_second_home_though_it_was_away_at_the_start() {
    let house = House::with(World::real(), CreateConfig::new("Example")).await;
    house.authority.checkpoint().await.unwrap();
    let module = house.dir.path().join("module.so");
    std::fs::copy(SOFTHSM_MODULE, &module).unwrap();
    let pin = house.dir.path().join("pin");
    let (main, late) =
        (house.token.config(), TokenConfig { module, pin: PinSource::File(pin.clone()), ..house.token.config() });
    let (pool, mint) = open_all(vec![("main".to_owned(), main), ("late".to_owned(), late)]).unwrap();
    let ledger = open_ledger(house.dir.path(), (&pool, mint), &house.world).await;
    let profiles = Profiles::load(Profiles::shipped()).unwrap();
    let authority = Authority::open(parts(&ledger, &pool, &house.world, profiles)).await.unwrap();
    std::fs::copy(house.token.pin_file(), &pin).unwrap();
    until(|| pool.token("late").unwrap().health() == Health::Ready, || async {}).await;
    let homes = Homes::Add { token: "late".to_owned(), was_outside: false };
    let refused = authority.set_homes(&admin(), &name("tls/1"), homes).await.unwrap_err().to_string();
    assert!(refused.contains("`late` and `main` are one token"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_token_that_answers_is_not_taken_away() {
    let two = Two::with(|main| main.twin("spare")).await;
    two.add("tls/1").await.unwrap();
    let set = async |homes| two.authority.set_homes(&admin(), &name("tls/1"), homes).await;
    let away = two.without_main().await;
    let refused = set(Homes::Remove("spare".to_owned())).await.unwrap_err().to_string();
    assert!(refused.contains("without `spare` the key of tls/1 is nowhere now: main does not"), "{refused}");
    assert_eq!(two.homes("tls/1").len(), 2);
    // The one that is away may go.
    set(Homes::Remove("main".to_owned())).await.unwrap();
    set(Homes::Add { token: "main".to_owned(), was_outside: false }).await.unwrap_err();
    std::fs::rename(&away.away, &away.home).unwrap();
    until(|| two.pool.token("main").unwrap().health() == Health::Ready, || async {}).await;
    two.authority.certify(&admin(), server_request(&["www.example.com"])).await.unwrap();
    set(Homes::Add { token: "main".to_owned(), was_outside: false }).await.unwrap();
    set(Homes::Remove("spare".to_owned())).await.unwrap();
    two.verified().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_home_that_comes_back_with_another_key_is_alarmed_and_the_issuer_goes_on() {
    let two = Two::with(|main| main.twin("spare")).await;
    two.add("tls/1").await.unwrap();
    two.authority.set_homes(&admin(), &name("tls/1"), Homes::First("spare".to_owned())).await.unwrap();
    assert_eq!(two.homes("tls/1"), homes(&["spare", "main"]));
    let stranger = TestToken::new("stranger");
    let (other, _mint) = hsm::open(stranger.config()).unwrap();
    other.generate("tls-1", KeyKind::P256).await.unwrap();
    other.shutdown();
    std::fs::rename(two.spare.directory(), two.house.dir.path().join("gone")).unwrap();
    two.authority.certify(&admin(), server_request(&["www.example.com"])).await.unwrap();
    until(
        || two.pool.token("spare").unwrap().health() != Health::Ready,
        || async {
            let _ = two.pool.token("spare").unwrap().probe().await;
        },
    )
    .await;
    two.spare.exchange(&stranger);
    until(|| two.pool.token("spare").unwrap().health() == Health::Ready, || async {}).await;
    let before = two.signed_by("spare");
    two.authority.certify(&admin(), server_request(&["www.example.com"])).await.unwrap();
    two.authority.look_for_keys().await.unwrap();
    two.authority.certify(&admin(), server_request(&["www.example.com"])).await.unwrap();
    assert_eq!(two.signed_by("spare"), before, "another key signed");
    assert_eq!(two.homes("tls/1"), [("spare".to_owned(), "refused"), ("main".to_owned(), "ready")]);
    let due = two.authority.health().due.join("\n");
    assert!(due.contains("token `spare` does not sign for tls/1") && due.contains("another key"), "{due}");
    // An operator takes it out, and the alarm ends.
    two.authority.set_homes(&admin(), &name("tls/1"), Homes::Remove("spare".to_owned())).await.unwrap();
    assert!(two.authority.health().due.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_in_a_token_of_its_own_issues_whatever_becomes_of_the_first() {
    let two = Two::with(|_| TestToken::new("own")).await;
    let wish = CreateIssuer { token: Some("spare".to_owned()), ..below_root("own") };
    two.authority.create_issuer(&admin(), wish).await.unwrap();
    assert_eq!(two.homes("own/1"), homes(&["spare"]));
    let away = two.without_main().await;
    let before = two.signed_by("spare");
    let rotation = ca::Rotate::of("own");
    // Its successor is made where it is, and needs the root, which is away.
    assert!(two.authority.rotate_issuer(&admin(), rotation.clone()).await.is_err());
    two.authority.request_issuer(&admin(), &name("own/1")).await.unwrap();
    assert!(two.signed_by("spare") > before);
    std::fs::rename(&away.away, &away.home).unwrap();
    until(|| two.pool.token("main").unwrap().health() == Health::Ready, || async {}).await;
    two.authority.rotate_issuer(&admin(), rotation).await.unwrap();
    assert_eq!(two.homes("own/2"), homes(&["spare"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sealing_key_in_two_tokens_seals_and_opens_while_the_first_is_away() {
    let two = Two::with(|main| main.twin("spare")).await;
    let stamp = || store::ActorStamp::from(&admin());
    let outside = Homes::Add { token: "spare".to_owned(), was_outside: true };
    let refused = two.authority.set_homes(&admin(), &name("seal/1"), outside).await;
    assert!(matches!(&refused, Err(CaError::BadRequest { .. })), "whoever has a copy opens everything: {refused:?}");
    two.add("seal/1").await.unwrap();
    assert_eq!(two.homes("seal/1"), homes(&["main", "spare"]));
    two.ledger.seal("a", None, b"alpha", (stamp(), None)).await.unwrap();
    let away = two.without_main().await;
    assert_eq!(two.ledger.open_sealed("a").await.unwrap().unwrap().as_slice(), b"alpha");
    two.ledger.seal("b", None, b"beta", (stamp(), None)).await.unwrap();
    std::fs::rename(&away.away, &away.home).unwrap();
    until(
        || two.pool.token("main").unwrap().health() == Health::Ready,
        || async {
            let _ = two.pool.token("main").unwrap().probe().await;
        },
    )
    .await;
    assert_eq!(two.ledger.open_sealed("b").await.unwrap().unwrap().as_slice(), b"beta");
    two.verified().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_sealing_key_of_the_same_label_is_no_home_and_seals_nothing() {
    let two = Two::with(|_| TestToken::new("spare")).await;
    let refused = two.add("seal/1").await;
    assert!(matches!(&refused, Err(CaError::BadRequest { .. })), "it is not there: {refused:?}");
    two.pool.generate_sealing(Some("spare"), "seal-1").await.unwrap();
    let refused = two.add("seal/1").await;
    let says = format!("{refused:?}");
    assert!(matches!(refused, Err(CaError::BadRequest { .. })) && says.contains("another key"), "{says}");
    assert_eq!(two.homes("seal/1"), homes(&["main"]));
}
