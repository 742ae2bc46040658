//! A process that ends between the intent of a CRL and its signature, and the one after it.

use std::path::Path;

use hsm::testing::TestToken;
use hsm::{Health, Intent, Key, Mint, Pool, SignError, Signature};
use policy::{Instance, Owner, OwnerRules, Policies, Proof, Role};
use store::{Database, Issued, Kind, LogConfig, Revocation, State};
use tokio::sync::Notify;

use super::*;
use crate::authority::Authority;
use crate::checks::{Checked, Checks};
use crate::craft::leaf::{CertifyRequest, Lifetime};
use crate::drafting::Serials;
use crate::gate::Gate;
use crate::intake::Csr;
use crate::issuers::{Registry, Urls};
use crate::parts::Parts;
use crate::profiles::Profiles;
use crate::registrar::{Registrar, Token, walk};
use crate::rules::Rules;
use crate::succession::CreateConfig;

/// A token that takes what it is to sign and never answers.
#[derive(Default)]
struct Silent(Notify);

impl Token for Silent {
    async fn sign_once(&self, _: Intent) -> Result<Signature, SignError> {
        self.0.notify_one();
        std::future::pending().await
    }

    fn health(&self, _: &Key) -> Health {
        Health::Ready
    }

    fn is_alone(&self) -> bool {
        true
    }
}

/// A process: what it opens at a start.
struct Process {
    parts: Parts,
    pool: Pool,
}

impl Process {
    async fn start(token: &TestToken, register: &Path, world: &World) -> Process {
        let (pool, mint): (Pool, Mint) = hsm::open(token.config()).unwrap();
        let log = LogConfig { origin: "log.example/crash".to_owned(), state: None, instance: None };
        let database = Database::Sqlite(register.to_owned());
        let ledger = store::Ledger::found(database, (&pool, mint), log, world.clone()).await.unwrap();
        let shipped: Vec<_> = Policies::shipped().iter().map(|(n, t)| ((*n).to_owned(), (*t).to_owned())).collect();
        let web = OwnerRules { dns: vec!["*.example.com".to_owned()], ..OwnerRules::none(owner()) };
        let parts = Parts {
            ledger,
            pool: pool.clone(),
            world: world.clone(),
            policies: Arc::new(Policies::load(&shipped, vec![web]).unwrap()),
            profiles: Profiles::load(Profiles::shipped()).unwrap(),
            instance: Instance::new(1).unwrap(),
            urls: Urls { http_base: "http://pki.example/".to_owned() },
        };
        Process { parts, pool }
    }

    fn parts(&self) -> Parts {
        let Parts { ledger, pool, world, policies, profiles, instance, urls } = &self.parts;
        Parts {
            ledger: ledger.clone(),
            pool: pool.clone(),
            world: world.clone(),
            policies: policies.clone(),
            profiles: profiles.clone(),
            instance: *instance,
            urls: urls.clone(),
        }
    }

    async fn publisher(&self) -> Publisher {
        let Parts { ledger, pool, world, policies, profiles, instance, urls } = self.parts();
        let office = Office {
            gate: Gate::new(ledger.clone(), Rules::new(policies, profiles)),
            issuers: Registry::open(pool.clone(), ledger.clone(), urls).await.unwrap(),
            serials: Serials::new(world.clone(), instance),
            checks: Arc::new(Checks::new(world.clone(), &ledger)),
            registrar: Registrar::new(ledger.clone(), pool),
            ledger,
        };
        Publisher::open(office, world).await
    }

    /// Begins the next of a series, and ends while the token has it. Its number.
    async fn ends_while_it_signs(self, series: &str) -> u64 {
        let publisher = self.publisher().await;
        let hierarchy = publisher.office.issuers.read();
        let (generation, scope) = hierarchy.series(series).unwrap();
        let issuer = Arc::clone(generation.issuing().unwrap());
        let time = publisher.office.checks.clock.of_next_crl(&issuer).unwrap();
        let sight = publisher.sight(&issuer, scope).await.unwrap();
        let from = publisher.rests_on(series, scope, &sight, time).unwrap();
        assert!(sight.is_due(from, time));
        let mut own = Series::default();
        let at = publisher.moment((&issuer, scope), &own, &sight, time);
        let drafted = publisher.drafted((&issuer, scope), &mut own, at, from).await.unwrap();
        let checked = Checked::new(drafted.linted, &publisher.office.checks).await.unwrap();
        let (ledger, silent) = (self.parts.ledger.clone(), Arc::new(Silent::default()));
        let page = tokio::spawn({
            let silent = Arc::clone(&silent);
            async move { walk(&ledger, &*silent, checked).await.map(drop) }
        });
        silent.0.notified().await;
        page.abort();
        assert!(page.await.unwrap_err().is_cancelled());
        drop((hierarchy, publisher));
        self.ends().await;
        drafted.number
    }

    async fn ends(self) {
        self.parts.ledger.close().await;
        self.pool.shutdown();
    }

    async fn revoke(&self, issued: &Issued) {
        let end = Revocation {
            operation: issued.operation,
            reason: 4,
            at: self.parts.world.now(),
            invalid: None,
            shard: None,
            actor: issued.actor.clone(),
            grant: issued.grant.clone(),
        };
        self.parts.ledger.revoke(end).await.unwrap();
    }
}

fn owner() -> Owner {
    Owner::parse("web").unwrap()
}

async fn certified(authority: &Authority) -> Issued {
    let params = rcgen::CertificateParams::new(vec!["www.example.com".to_owned()]).unwrap();
    let csr = params.serialize_request(&rcgen::KeyPair::generate().unwrap()).unwrap().pem().unwrap();
    let admin = Actor {
        id: "admin".to_owned(),
        roles: [Role::Admin].into(),
        owners: [owner()].into(),
        scopes: None,
        proof: Proof::Token { id: "0123456789abcdef".to_owned() },
        second_factor: None,
    };
    let request = CertifyRequest {
        profile: "tls-server".to_owned(),
        owner: owner(),
        csr: Csr::parse(csr.as_bytes()).unwrap(),
        names: None,
        proven: Default::default(),
        lifetime: Lifetime::ByProfile,
        renew: false,
        replaces: None,
    };
    authority.certify(&admin, request).await.unwrap()
}

/// Of a CRL: its number, and the serials that it lists.
fn read(crl: &PublishedCrl) -> (u64, Vec<Vec<u8>>) {
    let (_, read) = x509_parser::parse_x509_crl(&crl.der).unwrap();
    (crl.number, read.iter_revoked_certificates().map(|entry| entry.raw_serial().to_vec()).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_kill_left_between_a_deltas_intent_and_its_signature_is_gone_on_from() {
    for killed in ["tls/1/delta", "tls/1"] {
        let (token, dir) = (TestToken::new("crash"), tempfile::tempdir().unwrap());
        let register = dir.path().join("register.db");
        let world = World::fixed(Timestamp::parse_rfc3339("2027-03-01T12:00:00Z").unwrap(), 7);
        let process = Process::start(&token, &register, &world).await;
        let config = CreateConfig { deltas: true, ..CreateConfig::new("Example") };
        let authority = Authority::create(process.parts(), config).await.unwrap();
        let issued = certified(&authority).await;
        let before = [authority.crl("tls/1").await.unwrap(), authority.crl("tls/1/delta").await.unwrap()];
        assert_eq!(before[1].base.map(|(number, _)| number), Some(before[0].number));
        drop(authority);
        world.advance(60);
        process.revoke(&issued).await;
        let number = process.ends_while_it_signs(killed).await;
        assert!(before.iter().all(|crl| crl.number < number), "{killed}");

        // It may have been signed: it stays what it is in the log, and what was served before is served.
        let process = Process::start(&token, &register, &world).await;
        let authority = Authority::open(process.parts()).await.unwrap();
        let open = process.parts.ledger.unconcluded(world.now().plus_secs(1), 10).await.unwrap();
        let [open] = &open[..] else { panic!("{killed}: {open:?}") };
        assert_eq!((open.kind, open.state, open.issuer.as_str()), (Kind::Crl, State::Intended, killed));
        for (series, there) in ["tls/1", "tls/1/delta"].iter().zip(&before) {
            assert_eq!(&authority.crl(series).await.unwrap().der, &there.der, "{killed}: {series}");
        }
        // The next ones have their numbers above it, rest on what the others do, and tell of what it told.
        authority.refresh_crls().await.unwrap();
        let (complete, delta) = (authority.crl("tls/1").await.unwrap(), authority.crl("tls/1/delta").await.unwrap());
        assert!(number < complete.number && complete.number < delta.number, "{killed}");
        assert_eq!(delta.base, before[1].base, "{killed}");
        for crl in [&complete, &delta] {
            assert_eq!(read(crl).1, std::slice::from_ref(&issued.serial), "{killed}");
        }
        authority.checkpoint().await.unwrap();
        let report = store::verify(Database::Sqlite(register), None, &mut |_| {}).unwrap();
        // Nobody recorded this test's token.
        let found: Vec<_> = report.findings.iter().filter(|finding| finding.what != "actor").collect();
        assert!(found.is_empty(), "{killed}: {found:?}");
        assert_eq!(report.unconcluded, [open.operation]);
        drop(authority);
        process.ends().await;
    }
}
