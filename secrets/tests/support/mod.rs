//! A vault for a test: a SoftHSM token, a register, the shipped policies with one of the test's own.
#![allow(dead_code)] // each test binary uses its own part

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::time::Duration;

use chancery_secrets::{FieldName, Naming, Patch, Put, Secret, SecretError, SecretPath, Vault, Wanted, Which};
use hsm::testing::TestToken;
use hsm::{Key, KeyKind, Pool, SealingKey};
use policy::{
    Action, Actor, Grant, Owner, OwnerRules, Policies, Proof, Refusal, Resource, ResourceKind, Role, Timestamp, World,
};
use store::testing::TestPostgres;
use store::{ActorStamp, Database, Ledger, LogConfig, Report, SealedKey, Seals, StoreError};

pub const START: i64 = 1_790_000_000;

pub struct House {
    pub vault: Vault,
    pub ledger: Ledger,
    pub pool: Pool,
    pub policies: Policies,
    pub world: World,
    log: Key,
    token: TestToken,
}

impl House {
    pub async fn open(database: &Database) -> House {
        House::leasing(database, Duration::from_secs(3_600)).await
    }

    /// With keys kept for so long once they were unsealed.
    pub async fn leasing(database: &Database, lease: Duration) -> House {
        let token = TestToken::new("secrets");
        let world = World::fixed(Timestamp::from_unix(START), 7);
        let (pool, mint) = hsm::open(token.config()).unwrap();
        let log = pool.generate("log", KeyKind::P256).await.unwrap();
        let ledger = Ledger::found(database.clone(), (&pool, mint), log_config(), world.clone()).await.unwrap();
        ledger.record_key(&log, "log", stamp()).await.unwrap();
        let house = House::of((ledger, pool, token), log, world, lease);
        house.seal_under(&[1]).await;
        house.ledger.record_head_key(stamp()).await.unwrap();
        house
    }

    fn of((ledger, pool, token): (Ledger, Pool, TestToken), log: Key, world: World, lease: Duration) -> House {
        let vault = Vault::new(ledger.clone(), lease);
        House { vault, ledger, pool, policies: policies(), world, log, token }
    }

    /// Ends the service and starts it anew.
    pub async fn reopened(self, database: &Database) -> House {
        let House { ledger, pool, world, token, .. } = self;
        ledger.close().await;
        pool.shutdown();
        let (pool, mint) = hsm::open(token.config()).unwrap();
        let log = pool.find("log").await.unwrap();
        let ledger = Ledger::found(database.clone(), (&pool, mint), log_config(), world.clone()).await.unwrap();
        House::of((ledger, pool, token), log, world, Duration::from_secs(3_600))
    }

    /// Ends the service, and loses its token.
    pub async fn lost(self) -> World {
        let House { ledger, pool, world, .. } = self;
        ledger.close().await;
        pool.shutdown();
        world
    }

    /// The register over a token that never had to do with it, with the key of its heads.
    pub async fn recovered(
        database: &Database,
        world: World,
        (head_key, generation): (&[u8], u32),
    ) -> Result<House, StoreError> {
        let token = TestToken::new("another");
        let (pool, mint) = hsm::open(token.config()).unwrap();
        let log = pool.generate("log", KeyKind::P256).await.unwrap();
        let brought = (head_key, generation, &stamp());
        let opened = Ledger::recover(database.clone(), (&pool, mint), log_config(), world.clone(), brought).await;
        let ledger = match opened {
            Ok(ledger) => ledger,
            Err(error) => {
                pool.shutdown();
                return Err(error);
            }
        };
        Ok(House::of((ledger, pool, token), log, world, Duration::from_secs(3_600)))
    }

    /// What an operator at the machine may.
    pub fn managing(&self) -> Grant {
        self.policies.decide(&admin(), Action::ManageAuthority, &Resource::plain(ResourceKind::Authority)).unwrap()
    }

    /// Every key that is sealed, by its name.
    pub async fn keys(&self) -> BTreeMap<String, SealedKey> {
        let (page, next) = self.ledger.sealed_keys(None).await.unwrap();
        let (rest, _) = self.ledger.sealed_keys(next).await.unwrap();
        assert!(rest.is_empty(), "a test has few");
        page.into_iter().map(|(id, key)| (id, key.unwrap())).collect()
    }

    /// Generations of the sealing key, the last one to seal under.
    pub async fn seal_under(&self, numbers: &[u32]) {
        let mut keys = BTreeMap::new();
        for number in numbers {
            let label = format!("seal-{number}");
            if !self.pool.has_sealing(None, &label).await.unwrap() {
                self.pool.generate_sealing(None, &label).await.unwrap();
            }
            let touchstone = self.pool.touchstone(None, &label).await.unwrap();
            keys.insert(*number, SealingKey::known(label, &[], touchstone));
        }
        self.ledger.take_seals(Seals { active: numbers.last().copied(), keys, ..Seals::default() });
    }

    /// One generation of the sealing key to seal under, and others that are lost.
    pub async fn lose(&self, active: u32, lost: &[u32]) {
        let label = format!("seal-{active}");
        let touchstone = self.pool.touchstone(None, &label).await.unwrap();
        let keys = [(active, SealingKey::known(label, &[], touchstone))].into();
        self.ledger.take_seals(Seals { active: Some(active), keys, lost: lost.iter().copied().collect() });
    }

    pub fn grant_on(&self, actor: &Actor, action: Action, on: &str, owner: &str) -> Result<Grant, Refusal> {
        self.policies.decide(actor, action, &Resource::secret(Some(self::owner(owner)), on))
    }

    pub fn grant(&self, action: Action, on: &str) -> Grant {
        self.grant_on(&admin(), action, on, "web").unwrap()
    }

    /// Writes one field.
    pub async fn put(&self, on: &str, value: &str) -> Secret {
        self.put_as(on, put(&[("value", value)])).await.unwrap()
    }

    pub async fn put_as(&self, on: &str, put: Put) -> Result<Secret, SecretError> {
        self.vault.put(self.grant(Action::WriteSecret, on), &path(on), &owner("web"), put).await
    }

    /// The field `value` of a version.
    pub async fn read(&self, on: &str, which: &str) -> Result<String, SecretError> {
        Ok(self.fields(on, which).await?.remove("value").unwrap_or_default())
    }

    pub async fn fields(&self, on: &str, which: &str) -> Result<BTreeMap<String, String>, SecretError> {
        let opened = self.vault.read(self.wanted(on, which)).await?;
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Ok(opened.fields.iter().map(|(name, value)| (name.to_string(), text(value))).collect())
    }

    pub fn wanted(&self, on: &str, which: &str) -> Wanted {
        Wanted {
            grant: self.grant(Action::ReadSecret, on),
            path: path(on),
            known: None,
            which: self::which(which),
            keep_secs: 0,
        }
    }

    pub fn leaves(&self) -> u64 {
        self.ledger.head().size
    }

    /// The newest leaves as they stand in the log.
    pub async fn last_leaves(&self, count: u64) -> Vec<serde_json::Value> {
        let size = self.leaves();
        let leaves = self.ledger.leaves(size - count..size).await.unwrap();
        leaves.iter().map(|(_, text)| serde_json::from_str(text).unwrap()).collect()
    }

    /// What an auditor finds, with a signed head over all of it.
    pub async fn audited(&self, database: &Database) -> Report {
        if let Some(intent) = self.ledger.intend_checkpoint(&self.log).await.unwrap() {
            let signature = self.pool.sign(intent).await.unwrap();
            self.ledger.conclude_checkpoint(signature).await.unwrap();
        }
        let database = database.clone();
        tokio::task::spawn_blocking(move || store::verify(database, None, &mut |_| {})).await.unwrap().unwrap()
    }
}

fn log_config() -> LogConfig {
    LogConfig { origin: "ca.example/log".into(), state: None, instance: None }
}

pub fn stamp() -> ActorStamp {
    ActorStamp { id: "system:test".into(), proof: "system".into(), proof_id: String::new() }
}

/// The service's own administrator: what these tests do, nobody has to prove.
pub fn admin() -> Actor {
    Actor { roles: BTreeSet::from([Role::System]), ..someone("system:test", &[], &[]) }
}

pub fn someone(id: &str, roles: &[Role], owners: &[&str]) -> Actor {
    Actor {
        id: id.to_owned(),
        roles: roles.iter().copied().collect(),
        owners: owners.iter().map(|name| owner(name)).collect(),
        scopes: None,
        proof: Proof::System,
        second_factor: None,
    }
}

/// The shipped ones, and one that lets the tests' own actor do everything.
fn policies() -> Policies {
    let mut texts: Vec<(String, String)> =
        Policies::shipped().iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    let ours = "permit (principal, action, resource) when { principal.id == \"system:test\" };";
    texts.push(("test.cedar".to_owned(), ours.to_owned()));
    Policies::load(&texts, vec![OwnerRules::none(owner("web")), OwnerRules::none(owner("db"))]).unwrap()
}

pub fn owner(name: &str) -> Owner {
    Owner::parse(name).unwrap()
}

pub fn path(text: &str) -> SecretPath {
    text.parse().unwrap()
}

pub fn which(text: &str) -> Which {
    text.parse().unwrap()
}

pub fn field(name: &str) -> FieldName {
    name.parse().unwrap()
}

pub fn patch(fields: &[(&str, &str)]) -> Patch {
    fields.iter().fold(Patch::new(), |patch, (name, value)| patch.set(field(name), value.as_bytes().to_vec()))
}

pub fn put(fields: &[(&str, &str)]) -> Put {
    Put { change: chancery_secrets::Change::Patch(patch(fields)), ..Put::default() }
}

pub fn described(text: &str) -> Naming {
    Naming { description: Some(text.to_owned()), ..Naming::default() }
}

/// On SQLite and on PostgreSQL.
pub fn on_both<F: Future<Output = ()>>(test: impl Fn(Database) -> F) {
    on_sqlite(&test);
    let postgres = TestPostgres::start();
    block(test(postgres.database()));
}

pub fn on_sqlite<F: Future<Output = ()>>(test: impl Fn(Database) -> F) {
    let folder = tempfile::tempdir().unwrap();
    block(test(Database::Sqlite(folder.path().join("chancery.db"))));
}

pub fn block(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(test);
}
