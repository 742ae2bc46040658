//! What is measured: a token alone, a store alone, the library, and the built server.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ca::{Authority, CertifyRequest, CreateConfig, Csr, Lifetime, Parts, Profiles, Urls};
use hsm::testing::{SOFTHSM_MODULE, TestToken};
use hsm::{Key, KeyKind, Message, Mint, Pool};
use load::{Load, free_port};
use policy::{Action, Actor, Instance, Name, Owner, OwnerRules, Policies, Proof, Role, Serial, Validity, World};
use store::{ActorStamp, Database, Entry, Filter, GrantStamp, Kind, Ledger, LogConfig};

use super::{CLIENTS, DOMAIN, HOSTS, ROUND};

pub(crate) fn pool(word: &str) -> (Pool, Mint) {
    hsm::open(TestToken::new(word).config()).expect("the token opens")
}

pub(crate) struct RawToken {
    pool: Pool,
    mint: Arc<Mint>,
    key: Key,
    message: Message,
}

impl RawToken {
    pub(crate) async fn new() -> Self {
        let (pool, mint) = pool("raw");
        let key = pool.generate("raw", KeyKind::P256).await.expect("a key");
        Self { pool, mint: Arc::new(mint), key, message: vec![0x5a; 800].into() }
    }

    pub(crate) fn sign(&self, number: u64) -> impl Future<Output = ()> + Send + use<> {
        let intent = self.mint.intent(number, &self.key, self.message.clone());
        let pool = self.pool.clone();
        async move { drop(pool.sign(intent).await.expect("a signature")) }
    }
}

pub(crate) struct RawStore {
    ledger: Ledger,
    key: Key,
    world: World,
}

impl RawStore {
    pub(crate) async fn new(folder: &Path) -> Self {
        let (pool, mint) = pool("store");
        let key = pool.generate("store", KeyKind::P256).await.expect("a key");
        let world = World::real();
        let ledger = ledger(folder.join("store.db"), (&pool, mint), &world).await;
        ledger.record_key(&key, "bench", ActorStamp::from(&Actor::system("init"))).await.expect("a key record");
        Self { ledger, key, world }
    }

    /// The rows of one certificate: as many bytes as a real one has.
    pub(crate) fn operation(&self, number: u64) -> impl Future<Output = ()> + Send + use<> {
        let serial = Serial::generate(&self.world, instance());
        let mut tbs = vec![0x5a; 600];
        tbs.extend(serial.as_bytes());
        let host = ring::digest::digest(&ring::digest::SHA256, &(number % u64::from(HOSTS)).to_be_bytes());
        let key_hash = host.as_ref().try_into().expect("32 bytes");
        let name = format!("h{}.{DOMAIN}", hex::encode(&host.as_ref()[..4]));
        let entry = Entry {
            kind: Kind::Certificate,
            actor: ActorStamp { id: "token:bench".into(), proof: "token".into(), proof_id: "0011223344556677".into() },
            grant: GrantStamp { action: "issue-certificate".into(), rule: "issuer".into(), policy_hash: [7; 32] },
            profile: "tls-server".into(),
            profile_hash: [7; 32],
            covers: None,
            renews: None,
            key: self.key.clone(),
            message: tbs.into(),
            serial: serial.as_bytes().to_vec(),
            issuer: "tls".into(),
            owner: Owner::parse("default").ok(),
            subject: format!("CN={name}"),
            names: vec![format!("dns:{name}")],
            key_hash,
            validity: Validity::starting(self.world.now(), 86_400).into(),
            details: serde_json::json!({}),
        };
        let ledger = self.ledger.clone();
        async move {
            let intent = ledger.intend(entry).await.expect("an intent");
            ledger.conclude_unsigned(intent, vec![0x30; 71]).await.expect("a conclusion");
        }
    }
}

pub(crate) struct Library {
    authority: Authority,
    actor: Actor,
    /// The hosts' names and requests, read and as bytes.
    hosts: Vec<(Name, Csr, Vec<u8>)>,
}

impl Library {
    pub(crate) async fn new(folder: &Path) -> Self {
        let (pool, mint) = pool("library");
        let world = World::real();
        let ledger = ledger(folder.join("library.db"), (&pool, mint), &world).await;
        let owner = Owner::parse("default").expect("an owner");
        let rules = OwnerRules { dns: vec!["*.example.internal".into()], ..OwnerRules::none(owner.clone()) };
        let policies = Policies::shipped().iter().map(|(n, t)| ((*n).to_owned(), (*t).to_owned())).collect::<Vec<_>>();
        let parts = Parts {
            ledger,
            pool,
            world,
            policies: Arc::new(Policies::load(&policies, vec![rules]).expect("policies")),
            profiles: Profiles::load(Profiles::shipped()).expect("profiles"),
            instance: instance(),
            urls: Urls { http_base: "http://localhost:8080".into() },
        };
        let authority = Authority::create(parts, CreateConfig::new("Bench")).await.expect("an authority");
        let read = |host: load::Host| {
            let csr = Csr::parse(host.csr.der()).expect("a CSR");
            (Name::parse(&host.name).expect("a name"), csr, host.csr.der().to_vec())
        };
        let hosts = load::fleet(DOMAIN, HOSTS).expect("hosts").into_iter().map(read).collect();
        let actor = Actor {
            id: "token:bench".into(),
            roles: BTreeSet::from([Role::Issuer]),
            owners: BTreeSet::from([owner]),
            scopes: Some(BTreeSet::from([Action::IssueCertificate])),
            proof: Proof::Token { id: "0011223344556677".into() },
            second_factor: None,
        };
        Self { authority, actor, hosts }
    }

    pub(crate) fn issue(&self, number: u64) -> impl Future<Output = ()> + Send + use<> {
        let (name, csr, _) = self.host(number);
        certify(self.authority.clone(), self.actor.clone(), name.clone(), csr.clone())
    }

    /// As from a client: the CSR is read, and verified, first.
    pub(crate) fn issue_from_bytes(&self, number: u64) -> impl Future<Output = ()> + Send + use<> {
        let (authority, actor, (name, _, csr)) = (self.authority.clone(), self.actor.clone(), self.host(number));
        let (name, csr) = (name.clone(), csr.clone());
        async move { certify(authority, actor, name, Csr::parse(&csr).expect("a CSR")).await }
    }

    /// Serials of what was issued last.
    pub(crate) async fn serials(&self) -> Vec<String> {
        let filter = Filter { kind: Some(Kind::Certificate), limit: 1_000, ..Filter::default() };
        let page = self.authority.ledger().list(filter).await.expect("a list");
        page.items.iter().map(|credential| credential.serial_hex()).collect()
    }

    /// Looks each up a few times, by its serial, attested; several at once, as requests do. Answers how many.
    pub(crate) async fn read(&self, serials: &[String]) -> u64 {
        let readers: Vec<_> = (0..READERS)
            .map(|_| {
                let (ledger, serials) = (self.authority.ledger().clone(), serials.to_vec());
                tokio::spawn(async move {
                    for serial in &serials {
                        ledger.credential(serial).await.expect("an answer").expect("it is there");
                    }
                })
            })
            .collect();
        for reader in readers {
            reader.await.expect("a reader comes home");
        }
        (READERS * serials.len()) as u64
    }

    fn host(&self, number: u64) -> &(Name, Csr, Vec<u8>) {
        &self.hosts[number as usize % self.hosts.len()]
    }
}

async fn certify(authority: Authority, actor: Actor, name: Name, csr: Csr) {
    let request = CertifyRequest {
        profile: "tls-server".into(),
        owner: Owner::parse("default").expect("an owner"),
        csr,
        names: Some(vec![name]),
        proven: BTreeSet::new(),
        lifetime: Lifetime::ByProfile,
        renew: false,
        replaces: None,
    };
    drop(authority.certify(&actor, request).await.expect("a certificate"));
}

fn instance() -> Instance {
    Instance::new(1).expect("an instance")
}

async fn ledger(path: PathBuf, token: (&Pool, Mint), world: &World) -> Ledger {
    let log = LogConfig { origin: "bench.example.internal/log".into(), state: None, instance: None };
    Ledger::found(Database::Sqlite(path), token, log, world.clone()).await.expect("a ledger")
}

/// Callers that look up at once.
const READERS: usize = 16;

/// The built binary, with a token and a register of its own.
pub(crate) struct Server {
    child: Child,
    load: Load,
}

impl Server {
    pub(crate) fn start(folder: &Path) -> Self {
        let dir = folder.join("server");
        std::fs::create_dir_all(dir.join("tokens")).expect("a folder");
        let conf = dir.join("softhsm2.conf");
        std::fs::write(&conf, format!("directories.tokendir = {}\nlog.level = ERROR\n", dir.join("tokens").display()))
            .expect("softhsm2.conf");
        for secret in ["pin", "so-pin"] {
            use std::os::unix::fs::PermissionsExt;
            std::fs::write(dir.join(secret), "13572468").expect("a PIN");
            std::fs::set_permissions(dir.join(secret), std::fs::Permissions::from_mode(0o600)).expect("a mode");
        }
        let (https, http) = (free_port(), free_port());
        let ca = dir.join("ca");
        let chancery = |arguments: &[&str]| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_chancery"));
            command.env("SOFTHSM2_CONF", &conf).env("CHANCERY_CONFIG", ca.join("chancery.toml")).args(arguments);
            command.stdin(Stdio::null()).stdout(Stdio::null());
            command
        };
        let made = chancery(&["init", "--demo", "--module", SOFTHSM_MODULE, "--token-label", "bench"])
            .arg(&ca)
            .arg("--pin-file")
            .arg(dir.join("pin"))
            .arg("--create-token")
            .arg(dir.join("so-pin"))
            .args(["--https", &format!("127.0.0.1:{https}"), "--http", &format!("127.0.0.1:{http}")])
            .stderr(Stdio::null())
            .status();
        assert!(made.is_ok_and(|status| status.success()), "chancery init");
        let child = chancery(&["serve"]).stderr(Stdio::null()).spawn().expect("chancery serve");
        let address = format!("127.0.0.1:{https}");
        let end = Instant::now() + Duration::from_secs(30);
        while std::net::TcpStream::connect(&address).is_err() {
            assert!(Instant::now() < end, "the server listens");
            std::thread::sleep(Duration::from_millis(50));
        }
        let load = Load {
            address,
            server_name: "localhost".into(),
            roots_pem: std::fs::read(ca.join("roots.pem")).expect("roots"),
            token: std::fs::read_to_string(ca.join("admin.token")).expect("a token").trim().into(),
            owner: "default".into(),
            domain: DOMAIN.into(),
            hosts: HOSTS,
            clients: CLIENTS,
            count: u64::MAX,
            most: ROUND,
            pid: None,
        };
        Self { child, load }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) async fn load(&self) -> load::Report {
        load::run(&self.load).await.expect("a load")
    }

    pub(crate) fn stop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}
