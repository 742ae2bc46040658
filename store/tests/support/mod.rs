//! What the tests of this room share: a token, two engines, an entry, and SQL of one's own against a register.
#![allow(dead_code)] // each test binary uses its own part

pub mod attack;
pub mod found;

use std::collections::BTreeMap;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;

use hsm::testing::TestToken;
use hsm::{Key, KeyKind, Message, Pool, SealingKey, Signature};
use policy::{Owner, Timestamp, Validity, World};
use store::testing::TestPostgres;
use store::{
    ActorStamp, Database, Entry, GrantStamp, Kind, Ledger, LogConfig, Lost, LostRevocation, Record, RefusalEntry,
    Revocation, Seals,
};

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
        let ledger = Ledger::found(database.clone(), (&pool, mint), config, world.clone()).await.unwrap();
        House { ledger, pool, issuing, log, world, token }
    }

    /// What is left of a service that ended: its token.
    pub async fn closed(self) -> Closed {
        self.ledger.close().await;
        Closed { world: self.world, token: self.token }
    }

    /// The token as another process sees it, while this node runs.
    pub fn token_alone(&self) -> Closed {
        Closed { world: self.world.clone(), token: self.token.clone() }
    }

    /// Another start on the same folder, while this node runs.
    pub async fn open_again(&self, database: &Database, state: &Path) -> Result<Ledger, store::StoreError> {
        self.token_alone().open(database, Some(state)).await
    }

    /// A second node: the same register, the same token, the same clock.
    pub async fn beside(&self, database: &Database) -> House {
        self.beside_by(database, self.world.clone()).await
    }

    /// A second node's start on some register.
    pub async fn open_beside(&self, database: &Database) -> Result<Ledger, store::StoreError> {
        let closed = Closed { world: self.world.clone(), token: self.token.clone() };
        closed.open(database, None).await
    }

    /// A second node whose clock is its own.
    pub async fn beside_by(&self, database: &Database, world: World) -> House {
        self.beside_with(database, log_config(), world).await
    }

    /// A second node that keeps a folder of its own.
    pub async fn beside_in(&self, database: &Database, state: &Path) -> House {
        let log_config = LogConfig { state: Some(state.to_owned()), ..log_config() };
        self.beside_with(database, log_config, self.world.clone()).await
    }

    async fn beside_with(&self, database: &Database, log_config: LogConfig, world: World) -> House {
        let token = self.token.clone();
        let (pool, mint) = hsm::open(token.config()).unwrap();
        let issuing = pool.find("issuing").await.unwrap();
        let log = pool.find("log").await.unwrap();
        let ledger = Ledger::found(database.clone(), (&pool, mint), log_config, world.clone()).await.unwrap();
        House { ledger, pool, issuing, log, world, token }
    }

    pub async fn open_with(database: &Database, log_kind: KeyKind) -> House {
        let token = Arc::new(TestToken::new("store"));
        let (pool, mint) = hsm::open(token.config()).unwrap();
        let issuing = pool.generate("issuing", KeyKind::P256).await.unwrap();
        let log = pool.generate("log", log_kind).await.unwrap();
        let world = World::fixed(Timestamp::from_unix(1_790_000_000), 7);
        let ledger = Ledger::found(database.clone(), (&pool, mint), log_config(), world.clone()).await.unwrap();
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
        let ledger = Ledger::found(database.clone(), (&pool, mint), log_config(), world.clone()).await.unwrap();
        House { ledger, pool, issuing, log, world, token }
    }

    pub fn entry(&self, n: u64) -> Entry {
        entry(&self.issuing, n)
    }

    pub async fn signature(&self, entry: Entry) -> Signature {
        let intent = self.ledger.intend(entry).await.unwrap();
        self.pool.sign(intent).await.unwrap()
    }

    /// Another program's certificate with this key: one that the key did sign, under a serial of its own.
    pub async fn foreign(&self, n: u64, end: Option<store::ImportedEnd>) -> store::Import {
        let message = Message::from([&[0x30, 0x05][..], &n.to_be_bytes()[3..]].concat());
        let signature = self.signature(Entry { message, ..self.entry(100_000 + n) }).await;
        let signed = self.ledger.conclude(signature).await.unwrap();
        let entry = Entry {
            message: Message::from(signed.x509_der()),
            serial: vec![0xa0, n as u8],
            profile: store::IMPORTED.to_owned(),
            profile_hash: [0; 32],
            details: serde_json::json!({ "imported": true }),
            ..self.entry(n)
        };
        store::Import { entry, source: [9; 32], end }
    }

    /// Intend, sign, conclude.
    pub async fn issue(&self, n: u64) -> store::Issued {
        let signature = self.signature(self.entry(n)).await;
        self.ledger.conclude(signature).await.unwrap()
    }

    /// The entry of a CRL of an issuer over all that is revoked, with these entries instead of the right ones if given.
    pub fn crl(&self, n: u64, issuer: &str, listed: Option<&[(Vec<u8>, Timestamp, u8)]>) -> Entry {
        let known = self.ledger.revocations(issuer);
        let all: Vec<_> = known.rows.iter().map(|row| (row.serial.clone(), row.revoked_at, row.reason)).collect();
        let mut entry = self.entry(n);
        (entry.kind, entry.issuer, entry.covers) = (Kind::Crl, issuer.into(), Some(known.covers));
        (entry.validity, entry.owner) = (None, None);
        entry.names.clear();
        entry.message = Message::from(tbs_crl(listed.unwrap_or(&all)));
        entry
    }

    /// The entry of a delta of an issuer, by the first CRL that it may rest on: everything that was said since, each certificate once.
    pub fn delta(&self, n: u64, issuer: &str, listed: Option<&[(Vec<u8>, Timestamp, u8)]>) -> Entry {
        let (base, told) = self.ledger.crl_bases(issuer)[0];
        let known = self.ledger.revocations_in(issuer, told.revocations() as usize..usize::MAX);
        let all: Vec<_> = known.rows.iter().map(|row| (row.serial.clone(), row.revoked_at, row.reason)).collect();
        let mut entry = self.crl(n, issuer, None);
        (entry.issuer, entry.covers) = (format!("{issuer}{}", store::DELTA), Some(known.covers.since(base)));
        entry.message = Message::from(tbs_crl_numbered(listed.unwrap_or(&all), n, Some(base.number())));
        entry
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

/// A generation's key as whoever knows the issuers has it.
pub async fn sealing_key(house: &House, number: u32) -> SealingKey {
    let label = format!("seal-{number}");
    if !house.pool.has_sealing(None, &label).await.unwrap() {
        house.pool.generate_sealing(None, &label).await.unwrap();
    }
    let touchstone = house.pool.touchstone(None, &label).await.unwrap();
    SealingKey::known(label, &[], touchstone)
}

/// Puts generations into force, the last one to seal under.
pub async fn in_force(house: &House, numbers: &[u32]) {
    let mut keys = BTreeMap::new();
    for number in numbers {
        keys.insert(*number, sealing_key(house, *number).await);
    }
    house.ledger.take_seals(Seals { active: numbers.last().copied(), keys, ..Seals::default() });
}

/// A house that seals, under its first generation.
pub async fn sealing_house(database: &Database) -> House {
    let house = House::open(database).await;
    in_force(&house, &[1]).await;
    house.ledger.record_head_key(actor()).await.unwrap();
    house
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

    pub async fn rebuild(&self, database: &Database, state: &Path) -> Result<store::Rebuilt, store::StoreError> {
        let (pool, _mint) = hsm::open(self.token.config()).unwrap();
        let log = LogConfig { state: Some(state.to_owned()), ..log_config() };
        Ledger::rebuild(database.clone(), &pool, log, self.world.clone(), |_| ()).await
    }

    pub async fn open(&self, database: &Database, state: Option<&Path>) -> Result<Ledger, store::StoreError> {
        let (pool, mint) = hsm::open(self.token.config()).unwrap();
        let log = LogConfig { state: state.map(Path::to_owned), ..log_config() };
        Ledger::found(database.clone(), (&pool, mint), log, self.world.clone()).await
    }
}

pub fn log_config() -> LogConfig {
    LogConfig { origin: ORIGIN.into(), state: None, instance: None }
}

/// The service itself: what these tests do, nobody has to prove.
pub fn actor() -> ActorStamp {
    ActorStamp { id: "system:test".into(), proof: "system".into(), proof_id: String::new() }
}

/// A person with a token, which `verify` wants recorded ([`token_record`]).
pub fn token_actor() -> ActorStamp {
    ActorStamp { id: "token:ops".into(), proof: "token".into(), proof_id: "0123456789abcdef".into() }
}

pub fn grant() -> GrantStamp {
    GrantStamp { action: "issue-certificate".into(), rule: "issuer".into(), policy_hash: [7; 32] }
}

/// What a leaf calls a text by.
pub fn text_hash(text: &str) -> [u8; 32] {
    ring::digest::digest(&ring::digest::SHA256, text.as_bytes()).as_ref().try_into().unwrap()
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
        renews: None,
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

/// The record of the token of [`token_actor`], as `api` writes it.
pub fn token_record(expires: Timestamp, revoked_at: Option<Timestamp>) -> Record {
    let body = serde_json::json!({
        "name": "ops", "roles": ["issuer"], "owners": [], "scopes": null, "sha256": "00", "expires": expires,
        "created_by": "system:init", "revoked_at": revoked_at,
    });
    let id = token_actor().proof_id;
    let (lookup, expires) = (Some(id.clone()), Some(expires));
    Record { kind: "api-token", id, owner: None, lookup, expires, body, actor: actor(), expect: None }
}

/// A TBSCertList by the book (RFC 5280 section 5.1): serial, when, reason of each entry.
pub fn tbs_crl(entries: &[(Vec<u8>, Timestamp, u8)]) -> Vec<u8> {
    tbs_crl_of(entries, 0)
}

/// The same with a number; a delta with what it rests on.
pub fn tbs_crl_numbered(entries: &[(Vec<u8>, Timestamp, u8)], number: u64, base: Option<u64>) -> Vec<u8> {
    let integer = |n: u64| tlv(4, &tlv(2, &[&[0][..], &n.to_be_bytes()].concat()));
    let mut extensions = tlv(0x30, &[tlv(6, &[0x55, 0x1d, 0x14]), integer(number)].concat());
    if let Some(base) = base {
        let critical = tlv(1, &[0xff]);
        extensions.extend(tlv(0x30, &[tlv(6, &[0x55, 0x1d, 0x1b]), critical, integer(base)].concat()));
    }
    tbs_crl_with(entries, &extensions)
}

/// The same with an extension of so many bytes: as large as one likes.
pub fn tbs_crl_of(entries: &[(Vec<u8>, Timestamp, u8)], padding: usize) -> Vec<u8> {
    let filling = || tlv(4, &(0..padding).map(|n| (n / 7) as u8).collect::<Vec<_>>());
    let padding = if padding == 0 { Vec::new() } else { tlv(0x30, &[tlv(6, &[0x2a, 3]), filling()].concat()) };
    tbs_crl_with(entries, &padding)
}

fn tbs_crl_with(entries: &[(Vec<u8>, Timestamp, u8)], extensions: &[u8]) -> Vec<u8> {
    let entry = |(serial, at, reason): &(Vec<u8>, Timestamp, u8)| {
        let text = at.to_string();
        let digits: String = text.chars().skip(2).filter(|c| c.is_ascii_digit() || *c == 'Z').collect();
        let code = tlv(0x30, &[tlv(6, &[0x55, 0x1d, 0x15]), tlv(4, &tlv(10, &[*reason]))].concat());
        let extensions = if *reason == 0 { Vec::new() } else { tlv(0x30, &code) };
        tlv(0x30, &[tlv(2, serial), tlv(0x17, digits.as_bytes()), extensions].concat())
    };
    let list: Vec<u8> = entries.iter().flat_map(entry).collect();
    let list = if list.is_empty() { list } else { tlv(0x30, &list) };
    let time = tlv(0x17, b"260921090500Z");
    let parts = [tlv(2, &[1]), tlv(0x30, &tlv(6, &[0x2b, 0x65, 0x70])), tlv(0x30, &[]), time.clone(), time, list];
    tlv(0x30, &[parts.concat(), tlv(0xa0, &tlv(0x30, extensions))].concat())
}

fn tlv(tag: u8, value: &[u8]) -> Vec<u8> {
    let length = match value.len() {
        short @ 0..0x80 => vec![short as u8],
        long @ 0x80..0x100 => vec![0x81, long as u8],
        long @ 0x100..0x1_0000 => vec![0x82, (long >> 8) as u8, long as u8],
        long if long < 1 << 24 => [&[0x83], &(long as u32).to_be_bytes()[1..]].concat(),
        long => [&[0x84], &(long as u32).to_be_bytes()[..]].concat(),
    };
    [&[tag], length.as_slice(), value].concat()
}

pub fn revocation(operation: u64) -> Revocation {
    let at = Timestamp::from_unix(1_790_000_100);
    Revocation { operation, reason: 1, at, invalid: None, shard: None, actor: actor(), grant: grant() }
}

/// The end of a certificate that no register holds.
pub fn lost(n: u64) -> LostRevocation {
    let of = Lost {
        kind: Kind::Certificate,
        serial: serial(n),
        issuer: "tls".into(),
        key_hash: [n as u8; 32],
        not_after: None,
    };
    let Revocation { reason, at, .. } = revocation(0);
    LostRevocation { of, reason, at, invalid: None, shard: None, actor: actor(), grant: grant() }
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

/// Writes into the database beside the service, in both engines' dialect.
pub fn write_beside(database: &Database, sql: &str) {
    let (database, sql) = (database.clone(), sql.to_owned());
    let thread = std::thread::spawn(move || match &database {
        Database::Sqlite(path) => rusqlite::Connection::open(path).unwrap().execute_batch(&sql).unwrap(),
        Database::Postgres(url) => {
            postgres::Client::connect(url, postgres::NoTls).unwrap().batch_execute(&sql).unwrap();
        }
    });
    thread.join().unwrap();
}

pub fn path_of(database: &Database) -> &Path {
    match database {
        Database::Sqlite(path) => path,
        Database::Postgres(_) => panic!("not a file"),
    }
}

/// Puts a copy of a register in its place.
pub fn put_back(database: &Database, copy: &Path) {
    for stale in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{stale}", path_of(database).display()));
    }
    std::fs::copy(copy, path_of(database)).unwrap();
}

/// The head's edge over the leaves as they are now, by the definition of RFC 6962.
pub fn edge_of(attack: &rusqlite::Connection) -> Vec<u8> {
    let mut statement = attack.prepare("SELECT hash FROM leaf ORDER BY idx").unwrap();
    let hashes: Vec<[u8; 32]> = statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
    let (mut edge, mut rest) = (Vec::new(), hashes.as_slice());
    while !rest.is_empty() {
        let (left, right) = rest.split_at(1 << rest.len().ilog2());
        edge.extend(mth(left));
        rest = right;
    }
    edge
}

fn mth(hashes: &[[u8; 32]]) -> [u8; 32] {
    match hashes {
        [one] => *one,
        more => {
            let (left, right) = more.split_at(more.len().next_power_of_two() / 2);
            let node = [&[1][..], &mth(left), &mth(right)].concat();
            ring::digest::digest(&ring::digest::SHA256, &node).as_ref().try_into().unwrap()
        }
    }
}
