//! The lint's own tests. In `fields`: good drafts, bent in one place at a time, and the lint that must find each bend. Here: what
//! lies around them, and what a draft with nothing wrong in it still has to pass before the page takes it.

mod fields;

use std::sync::Arc;

use hsm::testing::TestToken;
use hsm::{Key, KeyKind, Message, Pool};
use policy::{
    Action, Actor, Grant, Instance, Name, Owner, OwnerRules, Policies, Principal, Proof, Resource, ResourceKind, Role,
    Serial, Timestamp, World,
};
use serde_json::json;
use store::{Database, Ledger, LogConfig};

use crate::checks::{Checked, Checks};
use crate::craft::ca::{self, Ca, CaRequest, SignedBy};
use crate::craft::leaf::{self, Leaf, LeafRequest, Lifetime, Subject, Title, Under};
use crate::craft::ssh::{self, Ssh, SshFacts};
use crate::drafting::Draft;
use crate::encode::{Dn, tlv};
use crate::error::CaError;
use crate::gate::Gate;
use crate::intake::{SubjectKey, ssh_key};
use crate::issuers::plan::{CaPlan, Constraints};
use crate::issuers::{CaCertificate, CrlForm, GenerationName, Issuing, SshCa, Standing, Urls};
use crate::profiles::Profiles;
use crate::rules::Rules;

const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

struct Bench {
    _token: TestToken,
    issuer: Arc<Issuing>,
    ssh_ca: Arc<SshCa>,
    profiles: Profiles,
    policies: Policies,
    other: Key,
}

pub(super) fn policies() -> Policies {
    let shipped: Vec<_> = Policies::shipped().iter().map(|(n, t)| ((*n).to_owned(), (*t).to_owned())).collect();
    let rules = OwnerRules {
        dns: vec!["*.example.com".to_owned()],
        principals: vec!["*".to_owned()],
        ..OwnerRules::none(Owner::parse("web").unwrap())
    };
    Policies::load(&shipped, vec![rules]).unwrap()
}

async fn bench() -> Bench {
    let token = TestToken::new("lint");
    let (pool, _mint) = hsm::open(token.config()).unwrap();
    let (profiles, policies) = (Profiles::load(Profiles::shipped()).unwrap(), policies());
    let key = pool.generate("ssh-user", KeyKind::P256).await.unwrap();
    let ssh_ca = Arc::new(SshCa::new(standing("ssh-user"), key).unwrap());
    let other = pool.generate("other", KeyKind::P256).await.unwrap();
    let issuer = Arc::new(issuing(&pool, &policies).await);
    Bench { _token: token, issuer, ssh_ca, profiles, policies, other }
}

/// A root whose certificate has no valid signature: nothing here looks at one.
pub(super) async fn issuing(pool: &Pool, policies: &Policies) -> Issuing {
    let key = pool.generate("tls", KeyKind::P256).await.unwrap();
    let der = certificate_of(&key, policies);
    issuer_of(key, der).unwrap()
}

fn certificate_of(key: &Key, policies: &Policies) -> Vec<u8> {
    let (name, plan) = (GenerationName::new("tls", 1), root_plan());
    let request =
        CaRequest { plan: &plan, number: 1, subject_key: SubjectKey::from_token(key), named: None, details: json!({}) };
    let draft =
        ca::draft(init(policies), request, SignedBy::Itself(key, &name), serial(), NOW.plus_secs(-600)).unwrap();
    tlv::sequence(&[tbs(&draft), key.algorithm().identifier(), &[0x03, 0x02, 0x00, 0x00]]).unwrap()
}

/// Its chain is itself, which nothing here verifies.
fn issuer_of(key: Key, der: Vec<u8>) -> Result<Issuing, String> {
    let certificate = Arc::new(CaCertificate::read(Some(OPERATION), der)?);
    let urls = Urls { http_base: "http://pki.example".to_owned() };
    let chains = vec![vec![Arc::clone(&certificate)]];
    Issuing::new(standing("tls"), key, &certificate, (chains, true, None), (CrlForm::WHOLE, 0), &urls)
        .map_err(|e| e.to_string())
}

/// Of a generation that no register has.
fn standing(issuer: &str) -> Standing {
    Standing { name: GenerationName::new(issuer, 1), version: 0, ended: None }
}

/// Of the issuer's certificate, which is in no register.
const OPERATION: u64 = 3;

fn root_plan() -> CaPlan {
    CaPlan {
        subject: hex::encode(Dn::parse("/DC=com/DC=example/CN=CA").unwrap().as_der()),
        validity_secs: 86_400,
        path_len: 1,
        purposes: Vec::new(),
        constraints: Constraints::default(),
        policies: Vec::new(),
    }
}

pub(super) fn init(policies: &Policies) -> Grant {
    policies.decide(&Actor::system("init"), Action::ManageAuthority, &Resource::plain(ResourceKind::Authority)).unwrap()
}

fn admin() -> Actor {
    Actor {
        id: "admin".to_owned(),
        roles: [Role::Admin].into(),
        owners: Default::default(),
        scopes: None,
        proof: Proof::Token { id: "00".to_owned() },
        second_factor: None,
    }
}

fn serial() -> Serial {
    Serial::generate(&World::fixed(NOW, 3), Instance::new(1).unwrap())
}

fn tbs<C>(draft: &Draft<C>) -> &[u8] {
    match &draft.entry.message {
        Message::Whole(bytes) => bytes,
        Message::Sha256(_) | Message::Batch(_) => panic!("a whole message"),
    }
}

impl Bench {
    fn leaf(&self) -> Draft<Leaf> {
        let names = ["a.example.com", "b.example.com"].map(|n| Name::parse(n).unwrap()).to_vec();
        let resource = Resource::certificate(Some(Owner::parse("web").unwrap()), "tls-server", names);
        let grant = self.policies.decide(&admin(), Action::IssueCertificate, &resource).unwrap();
        let profile = self.profiles.shared("tls-server").unwrap();
        let under = Under { issuer: self.issuer.clone(), profile, serial: serial(), now: NOW };
        let key = SubjectKey::from_token(&self.other);
        let request = LeafRequest {
            key,
            subject: Subject::ByProfile(Title::default()),
            lifetime: Lifetime::Secs(3600),
            details: json!({}),
            renews: None,
            approved: Vec::new(),
        };
        leaf::draft(grant, under, request).unwrap()
    }

    fn ssh(&self) -> Draft<Ssh> {
        let line = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";
        let principals = vec![Principal::parse("alice").unwrap(), Principal::parse("bob").unwrap()];
        let resource = Resource::ssh(Some(Owner::parse("web").unwrap()), principals, "ssh-user");
        let grant = self.policies.decide(&admin(), Action::SignSshUser, &resource).unwrap();
        let under = ssh::Under {
            ca: self.ssh_ca.clone(),
            profile: self.profiles.shared("ssh-user").unwrap(),
            serial: serial(),
            now: NOW,
        };
        let key = ssh_key::parse(line).unwrap();
        let facts = SshFacts { key, key_id: "alice".to_owned(), life: Lifetime::ByProfile, nonce: [7; 32] };
        ssh::draft(grant, under, facts).unwrap()
    }
}

#[tokio::test]
async fn bytes_that_are_no_certificate_are_found() {
    let bench = bench().await;
    let good = tbs(&bench.leaf()).to_vec();
    for bytes in [Vec::new(), vec![0x30, 0x00], good[..good.len() - 1].to_vec(), [good.clone(), vec![0]].concat()] {
        let mut draft = bench.leaf();
        draft.entry.message = Message::from(bytes);
        assert!(draft.lint().is_err());
    }
    let mut digest = bench.leaf();
    digest.entry.message = Message::Sha256([0; 32]);
    assert!(digest.lint().is_err());
}

/// TURKTRUST 2011: what a CA certificate may be is checked against the plan, and the plan below against the CA above.
#[tokio::test]
async fn a_ca_certificate_is_held_to_its_plan_and_its_issuer() {
    let bench = bench().await;
    let plan = |path_len| CaPlan { path_len, ..root_plan() };
    let under = |path_len| {
        let plan = plan(path_len);
        let subject_key = SubjectKey::from_token(&bench.other);
        let request = CaRequest { plan: &plan, number: 1, subject_key, named: None, details: json!({}) };
        ca::draft(init(&bench.policies), request, SignedBy::Ca(bench.issuer.clone()), serial(), NOW).unwrap()
    };
    under(0).lint().map(|_| ()).unwrap();
    assert!(under(1).lint().map(|_| ()).unwrap_err().to_string().contains("no such path"));
    let mut leaf_bytes = under(0);
    leaf_bytes.entry.message = bench.leaf().entry.message;
    assert!(leaf_bytes.lint().is_err());
}

#[tokio::test]
async fn a_ca_certificate_for_another_key_or_for_no_ca_is_no_issuer() {
    let bench = bench().await;
    let refused = |key: &Key, der: &[u8]| issuer_of(key.clone(), der.to_vec()).err().expect("refused");
    let der = &bench.issuer.certificate_der;
    assert!(refused(&bench.other, der).contains("not for the key"));
    assert!(refused(&bench.issuer.key, &der[..der.len() - 1]).contains("unreadable"));
    let leaf = bench.leaf();
    let algorithm = bench.issuer.key.algorithm().identifier();
    let leaf = tlv::sequence(&[tbs(&leaf), algorithm, &[0x03, 0x02, 0x00, 0x00]]).unwrap();
    assert!(refused(&bench.other, &leaf).contains("not one of a CA"));
}

#[tokio::test]
async fn an_ssh_certificate_is_held_to_its_grant() {
    let bench = bench().await;
    bench.ssh().lint().map(|_| ()).unwrap();
    let good = tbs(&bench.ssh()).to_vec();
    let bent = |from: &[u8], to: &[u8]| {
        let at = good.windows(from.len()).position(|w| w == from).unwrap();
        let mut bytes = good.clone();
        bytes[at..at + from.len()].copy_from_slice(to);
        let mut draft = bench.ssh();
        draft.entry.message = Message::from(bytes);
        draft.lint().map(|_| ()).expect_err("bent").to_string()
    };
    assert!(bent(b"\x00\x00\x00\x03bob", b"\x00\x00\x00\x03eve").contains("principals"));
    // OpenSSH CVE-2026-35414: one principal that a reader would split in two.
    assert!(bent(b"alice\x00\x00\x00\x03bob", b"ali,e\x00\x00\x00\x03bob").contains("split"));
    assert!(
        bent(b"\x00\x00\x00\x05alice\x00\x00\x00\x10", b"\x00\x00\x00\x05malic\x00\x00\x00\x10").contains("key id")
    );
    assert!(bent(b"permit-pty", b"permit-ptz").contains("extensions"));
    let serial = serial();
    assert!(bent(&serial.as_bytes()[8..], &[0; 8]).contains("serial"));
    let type_and_id = b"\x00\x00\x00\x01\x00\x00\x00\x05alice";
    assert!(bent(type_and_id, b"\x00\x00\x00\x02\x00\x00\x00\x05alice").contains("user certificate for a host"));
}

#[tokio::test]
async fn what_is_right_in_itself_is_signed_only_when_time_issuer_and_key_are() {
    let bench = bench().await;
    let token = TestToken::new("checks");
    let (pool, mint) = hsm::open(token.config()).unwrap();
    let dir = tempfile::TempDir::new().unwrap();
    let log = LogConfig { origin: "log.example/checks".to_owned(), state: None, instance: None };
    let world = World::fixed(NOW, 1);
    let ledger = Ledger::found(Database::Sqlite(dir.path().join("register.db")), (&pool, mint), log, world.clone())
        .await
        .unwrap();
    let checks = Checks::new(world.clone(), &ledger);
    let said = async |linted| match Checked::new(linted, &checks).await {
        Ok(_) => "checked".to_owned(),
        Err(CaError::Held { why, .. }) => why,
        Err(CaError::BadRequest { what, detail }) => format!("{what}: {detail}"),
        Err(other) => panic!("{other}"),
    };
    assert_eq!(said(bench.leaf().lint().unwrap()).await, "checked");
    assert_eq!(said(bench.ssh().lint().unwrap()).await, "checked");

    let issuer = bench.issuer.validity;
    world.set(issuer.not_before().plus_secs(-1));
    assert!(said(bench.leaf().lint().unwrap()).await.contains("begins at"));
    // The profile's shortest lifetime must fit in: a minute, both of its ends counted.
    world.set(issuer.not_after().plus_secs(-58));
    assert!(said(bench.leaf().lint().unwrap()).await.contains("ends at"));
    world.set(issuer.not_after().plus_secs(-59));
    assert_eq!(said(bench.leaf().lint().unwrap()).await, "checked");
    let entry = Checked::new(bench.leaf().lint().unwrap(), &checks).await.unwrap().into_entry();
    let (actor, grant) = (entry.actor.clone(), entry.grant.clone());
    let operation = ledger.intend(entry).await.unwrap().operation();
    // Now the log holds a later time than the clock shows; SSH certificates have no issuer that could have ended.
    world.set(NOW);
    assert!(said(bench.ssh().lint().unwrap()).await.contains("set the clock right"));
    assert!(said(bench.leaf().lint().unwrap()).await.contains("set the clock right"));

    world.set(issuer.not_after().plus_secs(-59));
    let reason = crate::intake::RevocationReason::KeyCompromise.code();
    ledger
        .revoke(store::Revocation { operation, reason, at: NOW, invalid: None, shard: None, actor, grant })
        .await
        .unwrap();
    assert!(said(bench.leaf().lint().unwrap()).await.contains("compromised"));
    assert_eq!(said(bench.ssh().lint().unwrap()).await, "checked");
}

/// A failed lint is a refusal with its name, and a leaf; what the service tries again and again by itself is one leaf.
#[tokio::test]
async fn a_failed_lint_is_a_refusal_by_name_and_a_leaf() {
    let bench = bench().await;
    let token = TestToken::new("refused");
    let (pool, mint) = hsm::open(token.config()).unwrap();
    let dir = tempfile::TempDir::new().unwrap();
    let log = LogConfig { origin: "log.example/refused".to_owned(), state: None, instance: None };
    let database = Database::Sqlite(dir.path().join("register.db"));
    let ledger = Ledger::found(database, (&pool, mint), log, World::fixed(NOW, 1)).await.unwrap();
    let gate =
        Gate::new(ledger.clone(), Rules::new(Arc::new(policies()), Profiles::load(Profiles::shipped()).unwrap()));
    let before = ledger.head().size;

    let bent = || {
        let mut draft = bench.leaf();
        draft.entry.message = under_ca(&bench).entry.message;
        draft.lint().map(|_| ())
    };
    let answer = gate.refuse(bent().unwrap_err()).await;
    assert!(answer.to_string().contains("leaf-is-not-a-ca: a leaf that is a CA (RFC 5280 4.2.1.9, BR"), "{answer}");
    let (_, leaf) = ledger.leaves(before..before + 1).await.unwrap().remove(0);
    for word in ["\"event\":\"refuse\"", "leaf-is-not-a-ca", "\"id\":\"admin\"", "dns:a.example.com"] {
        assert!(leaf.contains(word), "{word}: {leaf}");
    }
    gate.refuse(bent().unwrap_err()).await;
    assert_eq!(ledger.head().size, before + 2, "each of somebody's requests");

    let own = || {
        let mut failure = bent().unwrap_err();
        failure.leaf.actor = store::ActorStamp::from(&Actor::system("crl"));
        *failure.actor = Actor::system("crl");
        failure
    };
    for _ in 0..3 {
        assert!(matches!(gate.refuse(own()).await, CaError::Lint(_)));
    }
    assert_eq!(ledger.head().size, before + 3, "once of what is tried again");

    // Whoever may do nothing has so many of his own written down, and the number of the others.
    let proof = Proof::Token { id: "0123456789abcdef".to_owned() };
    let stranger = Actor { id: "token:none".to_owned(), roles: [].into(), proof, ..Actor::system("none") };
    for number in 0..300 {
        let on = Resource::secret(None, format!("a/{number}"));
        assert!(matches!(gate.authorize(&stranger, Action::ReadSecret, on).await, Err(CaError::Refused(_))));
    }
    assert_eq!(ledger.head().size, before + 3 + 257);
    gate.refusals().tell_counted(true).await.unwrap();
    let (_, leaf) = ledger.leaves(before + 260..before + 261).await.unwrap().remove(0);
    assert!(leaf.contains("and 43 more of this actor") && leaf.contains("token:none"), "{leaf}");
}

/// What a CA is called that was brought in stands in what it signs byte for byte, however it is written.
#[tokio::test]
async fn the_name_of_a_ca_that_was_brought_in_refuses_no_draft() {
    let mut bench = bench().await;
    let der = Dn::parse("/C=DE/CN=Old CA").unwrap().as_der().to_vec();
    let at = der.windows(4).position(|window| window == [0x13, 2, b'D', b'E']).unwrap();
    // A country that is a UTF8String.
    let old = [&der[..at], &[0x0c], &der[at + 1..]].concat();
    let (name, plan) = (GenerationName::new("tls", 1), CaPlan { subject: hex::encode(old), ..root_plan() });
    let key = bench.issuer.key.clone();
    let subject_key = SubjectKey::from_token(&key);
    let request = CaRequest { plan: &plan, number: 1, subject_key, named: None, details: json!({}) };
    let by = SignedBy::Itself(&key, &name);
    let draft = ca::draft(init(&bench.policies), request, by, serial(), NOW.plus_secs(-30)).unwrap();
    let der = tlv::sequence(&[tbs(&draft), key.algorithm().identifier(), &[0x03, 0x02, 0x00, 0x00]]).unwrap();
    draft.lint().map(|_| ()).unwrap();
    bench.issuer = Arc::new(issuer_of(key, der).unwrap());
    bench.leaf().lint().map(|_| ()).unwrap();
    under_ca(&bench).lint().map(|_| ()).unwrap();
}

/// A good CA certificate below the bench's.
fn under_ca(bench: &Bench) -> Draft<Ca> {
    let subject = hex::encode(Dn::parse("/DC=com/DC=example/CN=Below").unwrap().as_der());
    let plan = CaPlan { path_len: 0, subject, ..root_plan() };
    let subject_key = SubjectKey::from_token(&bench.other);
    let request = CaRequest { plan: &plan, number: 1, subject_key, named: None, details: json!({}) };
    ca::draft(init(&bench.policies), request, SignedBy::Ca(bench.issuer.clone()), serial(), NOW).unwrap()
}
