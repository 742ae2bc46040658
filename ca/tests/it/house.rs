//! A whole authority for a test: a SoftHSM token, an SQLite register, the shipped policies and profiles.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use ca::{Authority, CertifyRequest, CreateConfig, Csr, Lifetime, Parts, Profiles, Urls};
use hsm::Pool;
use hsm::testing::TestToken;
use policy::{Actor, Instance, Owner, OwnerRules, Policies, Proof, Role, Timestamp, World};
use store::{Database, Issued, Ledger, LogConfig};
use tempfile::TempDir;

pub struct House {
    pub authority: Authority,
    pub pool: Pool,
    pub ledger: Ledger,
    pub world: World,
    pub token: TestToken,
    pub dir: TempDir,
}

impl House {
    /// The real clock, an organization called Example.
    pub async fn new() -> House {
        House::with(World::real(), CreateConfig::new("Example")).await
    }

    /// A clock that stands still at a fixed moment.
    pub async fn at(time: &str) -> House {
        let now = Timestamp::parse_rfc3339(time).unwrap();
        House::with(World::fixed(now, 7), CreateConfig::new("Example")).await
    }

    pub async fn with(world: World, config: CreateConfig) -> House {
        let dir = TempDir::new().unwrap();
        let database = Database::Sqlite(dir.path().join("chancery.db"));
        House::over(&database, dir, world, config).await
    }

    /// Over a register of the caller's.
    pub async fn over(database: &Database, dir: TempDir, world: World, config: CreateConfig) -> House {
        House::in_token(database, dir, world, config, TestToken::new("ca")).await
    }

    /// With its keys in a token of the caller's.
    pub async fn in_token(
        database: &Database,
        dir: TempDir,
        world: World,
        config: CreateConfig,
        token: TestToken,
    ) -> House {
        let (pool, mint) = hsm::open(token.config()).unwrap();
        let ledger = open_register(database, (&pool, mint), &world).await;
        let parts = parts(&ledger, &pool, &world, Profiles::load(Profiles::shipped()).unwrap());
        let authority = Authority::create(parts, config).await.unwrap();
        House { authority, pool, ledger, world, token, dir }
    }

    /// A second node: the same token, the same register.
    pub async fn beside(&self, database: &Database) -> (Authority, Ledger) {
        let (pool, mint) = hsm::open(self.token.config()).unwrap();
        let ledger = open_register(database, (&pool, mint), &self.world).await;
        let shipped = Profiles::load(Profiles::shipped()).unwrap();
        let instance = Instance::new(2).unwrap();
        let parts = Parts { instance, ..parts(&ledger, &pool, &self.world, shipped) };
        (Authority::open(parts).await.unwrap(), ledger)
    }

    /// The same token and register, opened again with other profiles.
    pub async fn reopened(&self, profiles: Profiles) -> Authority {
        Authority::open(parts(&self.ledger, &self.pool, &self.world, profiles)).await.unwrap()
    }

    /// The auditor finds nothing, from bytes alone: every signature is that of a recorded key.
    pub async fn verified(&self) {
        self.authority.checkpoint().await.unwrap();
        let database = Database::Sqlite(self.dir.path().join("chancery.db"));
        let report = store::verify(database, None, &mut |_| {}).unwrap();
        // Tokens are the edge's: whoever acts here has none that is recorded.
        let findings: Vec<_> = report.findings.iter().filter(|finding| finding.what != "actor").collect();
        assert!(findings.is_empty(), "{findings:?}");
    }

    /// Writes other words into all versions of a record, as whoever has the database can.
    pub fn alter(&self, (kind, id): (&str, &str), was: &str, to: &str) {
        let sql = rusqlite::Connection::open(self.dir.path().join("chancery.db")).unwrap();
        let text = "UPDATE record SET body = replace(body, ?1, ?2) WHERE kind = ?3 AND id = ?4 AND instr(body, ?1) > 0";
        assert!(sql.execute(text, [was, to, kind, id]).unwrap() > 0, "{kind} {id} has no {was}");
    }

    /// Whether it was met that somebody altered this.
    pub fn is_alarmed_of(&self, kind: &str, id: &str) -> bool {
        let place = format!("kind={kind} id={id}");
        self.ledger.integrity().alarms.iter().any(|alarm| alarm.place.contains(&place))
    }

    /// A server certificate for the names of a fresh P-256 CSR.
    pub async fn server(&self, names: &[&str]) -> Issued {
        self.authority.certify(&admin(), server_request(names)).await.unwrap()
    }

    pub fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// Files `NAME.pem`, `chain.pem` (intermediates) and `roots.pem` for openssl.
    pub fn chain_files(&self, issued: &Issued) -> (PathBuf, PathBuf, PathBuf) {
        let leaf = self.file("leaf.pem", self.authority.certificate_pem(issued));
        let chain = self.file("chain.pem", self.authority.chain_pem(issued));
        (leaf, chain, self.file("roots.pem", self.authority.roots_pem()))
    }
}

pub async fn open_ledger(dir: &Path, token: (&Pool, hsm::Mint), world: &World) -> Ledger {
    open_register(&Database::Sqlite(dir.join("chancery.db")), token, world).await
}

async fn open_register(database: &Database, token: (&Pool, hsm::Mint), world: &World) -> Ledger {
    let log = LogConfig { origin: "log.example/chancery".to_owned(), state: None, instance: None };
    Ledger::found(database.clone(), token, log, world.clone()).await.unwrap()
}

pub fn parts(ledger: &Ledger, pool: &Pool, world: &World, profiles: Profiles) -> Parts {
    Parts {
        ledger: ledger.clone(),
        pool: pool.clone(),
        world: world.clone(),
        policies: Arc::new(policies()),
        profiles,
        instance: Instance::new(1).unwrap(),
        urls: Urls { http_base: "http://pki.example/".to_owned() },
    }
}

fn policies() -> Policies {
    let shipped: Vec<_> = Policies::shipped().iter().map(|(n, t)| ((*n).to_owned(), (*t).to_owned())).collect();
    let web = OwnerRules {
        dns: vec!["localhost".to_owned(), "*.example.com".to_owned(), "*.example.internal".to_owned()],
        ip: vec!["192.0.2.0/24".to_owned(), "2001:db8::/32".to_owned()],
        principals: vec!["alice".to_owned(), "bob".to_owned(), "host.example.internal".to_owned()],
        email: vec!["*@example.com".to_owned()],
        uri: vec!["spiffe://example.internal/web/*".to_owned()],
        upn: vec!["*@example.internal".to_owned()],
        ..OwnerRules::none(owner("web"))
    };
    let db = OwnerRules { name: owner("db"), ..web.clone() };
    Policies::load(&shipped, vec![web, db]).unwrap()
}

pub fn owner(name: &str) -> Owner {
    Owner::parse(name).unwrap()
}

pub fn admin() -> Actor {
    actor("admin", Role::Admin)
}

pub fn actor(id: &str, role: Role) -> Actor {
    Actor {
        id: id.to_owned(),
        roles: BTreeSet::from([role]),
        owners: BTreeSet::from([owner("web")]),
        scopes: None,
        proof: Proof::Token { id: "0123456789abcdef".to_owned() },
        second_factor: None,
    }
}

pub fn server_request(names: &[&str]) -> CertifyRequest {
    CertifyRequest {
        profile: "tls-server".to_owned(),
        owner: owner("web"),
        csr: csr(names),
        names: None,
        proven: BTreeSet::new(),
        lifetime: Lifetime::ByProfile,
        renew: false,
        replaces: None,
    }
}

/// A CSR by rcgen, for a fresh P-256 key.
pub fn csr(names: &[&str]) -> Csr {
    Csr::parse(csr_pem(names).as_bytes()).unwrap()
}

pub fn csr_pem(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
    let mut params = rcgen::CertificateParams::new(names).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.serialize_request(&rcgen::KeyPair::generate().unwrap()).unwrap().pem().unwrap()
}

/// Runs a judge and gives what it said; panics with it where it refuses.
pub fn accepts(program: &str, args: &[&dyn AsRef<std::ffi::OsStr>]) -> String {
    let (output, said) = run(program, args);
    assert!(output.status.success(), "{program} refused: {said}");
    said
}

/// Runs a judge that must refuse.
pub fn refuses(program: &str, args: &[&dyn AsRef<std::ffi::OsStr>]) -> String {
    let (output, said) = run(program, args);
    assert!(!output.status.success(), "{program} accepted: {said}");
    said
}

fn run(program: &str, args: &[&dyn AsRef<std::ffi::OsStr>]) -> (Output, String) {
    let output = Command::new(program).args(args).output().unwrap_or_else(|e| panic!("{program} is needed: {e}"));
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output, said)
}
