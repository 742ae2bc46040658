//! What the tests of this room share: a token, two engines, an entry, and SQL of one's own against a register.
#![allow(dead_code)] // each test binary uses its own part

pub mod attack;

use std::future::Future;
use std::path::Path;
use std::sync::Arc;

use hsm::testing::TestToken;
use hsm::{Key, KeyKind, Message, Pool, Signature};
use policy::{Owner, Timestamp, Validity, World};
use store::testing::TestPostgres;
use store::{ActorStamp, Database, Entry, GrantStamp, Kind, Ledger, LogConfig, Record, RefusalEntry, Revocation};

pub const ORIGIN: &str = "ca.example/log";

/// A ledger with a token beneath it, and two keys: one that issues, one that signs the log.
pub struct House {
    pub ledger: Ledger,
    pub pool: Pool,
    pub issuing: Key,
    pub log: Key,
    pub world: World,
    token: Arc<TestToken>,
}

impl House {
    pub async fn open(database: &Database) -> House {
        House::open_with(database, KeyKind::Ed25519).await
    }

    /// A house whose node keeps what it saw in a folder.
    pub async fn open_in(database: &Database, state: &Path) -> House {
        let house = House::open(database).await;
        let Closed { world, token } = house.closed().await;
        let (pool, mint) = hsm::open(token.config()).unwrap();
        let issuing = pool.find("issuing").await.unwrap();
        let log = pool.find("log").await.unwrap();
        let config = LogConfig { state: Some(state.to_owned()), ..log_config() };
        let ledger = Ledger::open(database.clone(), (&pool, mint), config, world.clone()).await.unwrap();
        House { ledger, pool, issuing, log, world, token }
    }

    /// What is left of a service that ended: its token.
    pub async fn closed(self) -> Closed {
        self.ledger.close().await;
        Closed { world: self.world, token: self.token }
    }

    /// Another start on the same folder, while this node runs.
    pub async fn open_again(&self, database: &Database, state: &Path) -> Result<Ledger, store::StoreError> {
        let closed = Closed { world: self.world.clone(), token: self.token.clone() };
        closed.open(database, Some(state)).await
    }

    /// A second node: the same register, the same token, the same clock.
    pub async fn beside(&self, database: &Database) -> House {
        self.beside_by(database, self.world.clone()).await
    }

    /// A second node whose clock is its own.
    pub async fn beside_by(&self, database: &Database, world: World) -> House {
        let token = self.token.clone();
        let (pool, mint) = hsm::open(token.config()).unwrap();
        let issuing = pool.find("issuing").await.unwrap();
        let log = pool.find("log").await.unwrap();
        let ledger = Ledger::open(database.clone(), (&pool, mint), log_config(), world.clone()).await.unwrap();
        House { ledger, pool, issuing, log, world, token }
    }

    pub async fn open_with(database: &Database, log_kind: KeyKind) -> House {
        let token = Arc::new(TestToken::new("store"));
        let (pool, mint) = hsm::open(token.config()).unwrap();
        let issuing = pool.generate("issuing", KeyKind::P256).await.unwrap();
        let log = pool.generate("log", log_kind).await.unwrap();
        let world = World::fixed(Timestamp::from_unix(1_790_000_000), 7);
        let ledger = Ledger::open(database.clone(), (&pool, mint), log_config(), world.clone()).await.unwrap();
        let house = House { ledger, pool, issuing, log, world, token };
        house.ledger.record_key(&house.issuing, "tls", actor()).await.unwrap();
        house.ledger.record_key(&house.log, "log", actor()).await.unwrap();
        house
    }

    /// Ends the service and starts it again on the same register and token.
    pub async fn reopened(self, database: &Database) -> House {
        let House { ledger, pool, world, token, .. } = self;
        ledger.close().await;
        pool.shutdown();
        let (pool, mint) = hsm::open(token.config()).unwrap();
        let issuing = pool.find("issuing").await.unwrap();
        let log = pool.find("log").await.unwrap();
        let ledger = Ledger::open(database.clone(), (&pool, mint), log_config(), world.clone()).await.unwrap();
        House { ledger, pool, issuing, log, world, token }
    }

    pub fn entry(&self, n: u64) -> Entry {
        entry(&self.issuing, n)
    }

    pub async fn signature(&self, entry: Entry) -> Signature {
        let intent = self.ledger.intend(entry).await.unwrap();
        self.pool.sign(intent).await.unwrap()
    }

    /// Intend, sign, conclude.
    pub async fn issue(&self, n: u64) -> store::Issued {
        let signature = self.signature(self.entry(n)).await;
        self.ledger.conclude(signature).await.unwrap()
    }

    pub async fn checkpoint(&self) -> String {
        match self.ledger.intend_checkpoint(&self.log).await.unwrap() {
            Some(intent) => {
                let signature = self.pool.sign(intent).await.unwrap();
                self.ledger.conclude_checkpoint(signature).await.unwrap()
            }
            None => self.ledger.checkpoint().await.unwrap().unwrap(),
        }
    }
}

/// A token whose service ended.
pub struct Closed {
    world: World,
    token: Arc<TestToken>,
}

impl Closed {
    pub async fn resume(
        &self,
        database: &Database,
        state: &Path,
        reason: &str,
    ) -> Result<(House, store::Resumed), store::StoreError> {
        let (pool, mint) = hsm::open(self.token.config()).unwrap();
        let config = LogConfig { state: Some(state.to_owned()), ..log_config() };
        let (world, token) = (self.world.clone(), self.token.clone());
        let (ledger, resumed) =
            Ledger::resume(database.clone(), (&pool, mint), config, world.clone(), (actor(), reason)).await?;
        let issuing = pool.find("issuing").await.unwrap();
        let log = pool.find("log").await.unwrap();
        Ok((House { ledger, pool, issuing, log, world, token }, resumed))
    }

    pub async fn open(&self, database: &Database, state: Option<&Path>) -> Result<Ledger, store::StoreError> {
        let (pool, mint) = hsm::open(self.token.config()).unwrap();
        let log = LogConfig { state: state.map(Path::to_owned), ..log_config() };
        Ledger::open(database.clone(), (&pool, mint), log, self.world.clone()).await
    }
}

pub fn log_config() -> LogConfig {
    LogConfig { origin: ORIGIN.into(), state: None }
}

pub fn actor() -> ActorStamp {
    ActorStamp { id: "token:ops".into(), proof: "token".into(), proof_id: "0123456789abcdef".into() }
}

pub fn grant() -> GrantStamp {
    GrantStamp { action: "issue-certificate".into(), rule: "issuer".into(), policy_hash: [7; 32] }
}

pub fn serial(n: u64) -> Vec<u8> {
    [&[1, 1][..], &[0; 6], &n.to_be_bytes()].concat()
}

pub fn entry(key: &Key, n: u64) -> Entry {
    let now = Timestamp::from_unix(1_790_000_000);
    Entry {
        kind: Kind::Certificate,
        actor: actor(),
        grant: grant(),
        profile: "tls-server".into(),
        profile_hash: [9; 32],
        key: key.clone(),
        message: Message::from(format!("to be signed, number {n}").repeat(20).into_bytes()),
        serial: serial(n),
        issuer: "tls".into(),
        owner: Some(Owner::parse("web").unwrap()),
        subject: format!("CN=host{n}.example"),
        names: vec![format!("dns:host{n}.example"), format!("dns:www.host{n}.example")],
        key_hash: [n as u8; 32],
        validity: Some(Validity::starting(now, 86_400 * (1 + n as i64))),
        covers: None,
        details: serde_json::json!({ "renew": true, "note": "a \"quoted\"\nline, é" }),
    }
}

pub fn record(id: &str, expect: Option<u64>) -> Record {
    Record {
        kind: "thing",
        id: id.into(),
        owner: Some("web".into()),
        lookup: Some(format!("lookup-{id}")),
        expires: Some(Timestamp::from_unix(1_800_000_000)),
        body: serde_json::json!({ "id": id, "expect": expect }),
        actor: actor(),
        expect,
    }
}

pub fn revocation(operation: u64) -> Revocation {
    let at = Timestamp::from_unix(1_790_000_100);
    Revocation { operation, reason: 1, at, actor: actor(), grant: grant() }
}

pub fn refusal() -> RefusalEntry {
    RefusalEntry {
        actor: actor(),
        action: "sign-code".into(),
        target: "code-key release".into(),
        rule: None,
        missing: "no rule lets an issuer sign code".into(),
        policy_hash: [7; 32],
    }
}

/// Runs a claim on SQLite and on PostgreSQL.
pub fn on_both<F>(claim: impl Fn(Database) -> F)
where
    F: Future<Output = ()>,
{
    let dir = tempfile::tempdir().unwrap();
    run(claim(Database::Sqlite(dir.path().join("register.db"))));
    let postgres = TestPostgres::start();
    run(claim(postgres.database()));
}

pub fn on_sqlite<F>(claim: impl FnOnce(Database) -> F)
where
    F: Future<Output = ()>,
{
    let dir = tempfile::tempdir().unwrap();
    run(claim(Database::Sqlite(dir.path().join("register.db"))));
}

pub fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(future)
}

/// Verifies, off the async threads.
pub fn verified(source: impl Into<store::Source>, saved: Option<&str>) -> store::Report {
    let (source, saved) = (source.into(), saved.map(str::to_owned));
    let thread = std::thread::spawn(move || store::verify(source, saved.as_deref(), &mut |_| {}));
    thread.join().unwrap().unwrap()
}

pub fn shown(report: &store::Report) -> String {
    report.findings.iter().map(|finding| format!("[{}] {finding}\n", finding.what)).collect()
}

pub fn is_clean(report: &store::Report) {
    assert!(report.findings.is_empty(), "{}", shown(report));
}

pub fn path_of(database: &Database) -> &Path {
    match database {
        Database::Sqlite(path) => path,
        Database::Postgres(_) => panic!("not a file"),
    }
}
