//! What an issuance costs beside what it stands on, in one run on one machine: `cargo bench`.
//!
//! Four rates, each the median of several interleaved rounds, since a time alone proves nothing on a shared machine:
//! the token's raw P-256 signatures through the pool (each verified), the store's raw group-commit operations (an intent
//! and its conclusion, both durable, with a made-up signature), issuance as library calls, and issuance over HTTPS by the
//! built server with 64 keep-alive clients. 64 callers inside a process, the audit log on, SQLite with synchronous=FULL.
//! The certificates are those of 4,096 hosts, each with a name and a key of its own; so are the store's rows.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ca::{Authority, CertifyRequest, CreateConfig, Csr, Parts, Profiles, Urls};
use hsm::testing::{SOFTHSM_MODULE, TestToken};
use hsm::{Key, KeyKind, Message, Mint, Pool};
use load::{Load, free_port};
use policy::{Action, Actor, Instance, Name, Owner, OwnerRules, Policies, Proof, Role, Serial, Validity, World};
use store::{ActorStamp, Database, Entry, GrantStamp, Kind, Ledger, LogConfig};

/// Callers inside one process where `--callers N` says nothing: as many as there are clients over HTTPS.
const CALLERS: usize = 64;
/// Keep-alive clients over HTTPS.
const CLIENTS: usize = 64;
const HOSTS: u32 = 4_096;
const DOMAIN: &str = "example.internal";
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(3);

fn main() {
    // `cargo test --benches` runs this too, to see that it builds.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    rustls::crypto::ring::default_provider().install_default().expect("the only provider");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(measure(callers()));
}

/// `cargo bench --bench issuance -- --callers 64`
fn callers() -> usize {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--callers");
    arguments.nth(1).map_or(CALLERS, |number| number.parse().expect("--callers takes a number"))
}

async fn measure(callers: usize) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    eprintln!("preparing: tokens, registers, a server");
    let token = Arc::new(RawToken::new().await);
    let store = Arc::new(RawStore::new(folder.path()).await);
    let library = Arc::new(Library::new(folder.path()).await);
    let mut server = Server::start(folder.path());

    let (mut tokens, mut stores, mut libraries, mut https) = (vec![], vec![], vec![], vec![]);
    let mut latencies = Vec::new();
    let mut errors = 0;
    for round in 1..=ROUNDS {
        eprintln!("round {round} of {ROUNDS}");
        tokens.push(rate(callers, &token, RawToken::sign).await);
        stores.push(rate(callers, &store, RawStore::operation).await);
        libraries.push(rate(callers, &library, Library::issue).await);
        let report = server.load().await;
        https.push(report.rate());
        errors += report.errors.values().sum::<u64>();
        latencies.extend(report.latencies_us);
    }
    server.stop();
    latencies.sort_unstable();
    let whole = load::Report { latencies_us: latencies, ..load::Report::default() };

    let (token, store, library, https) = (median(tokens), median(stores), median(libraries), median(https));
    let lesser = token.min(store);
    println!("| what | per second | of the lesser raw rate |");
    println!("|---|---|---|");
    println!("| the token: raw P-256 signatures through the pool, verified, {callers} callers | {token:.0} | |");
    println!(
        "| the store: raw operations (intent and conclusion, durable), SQLite, {callers} callers | {store:.0} | |"
    );
    println!(
        "| issuance, library calls, log on, {callers} callers | {library:.0} | {:.0} % |",
        100.0 * library / lesser
    );
    println!(
        "| issuance over HTTPS, log on, {CLIENTS} keep-alive clients | {https:.0} | {:.0} % |",
        100.0 * https / lesser
    );
    println!();
    println!(
        "HTTPS latency: p50 {:.1} ms, p99 {:.1} ms; errors: {errors}",
        whole.percentile_ms(50.0),
        whole.percentile_ms(99.0)
    );
}

/// How often per second the callers can do `act`, one after the other each.
async fn rate<T, F>(callers: usize, subject: &Arc<T>, act: fn(&T, u64) -> F) -> f64
where
    T: Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let count = Arc::new(AtomicU64::new(0));
    let began = Instant::now();
    let tasks: Vec<_> = (0..callers)
        .map(|_| {
            let (subject, count) = (subject.clone(), count.clone());
            tokio::spawn(async move {
                while began.elapsed() < ROUND {
                    act(&subject, count.fetch_add(1, Ordering::Relaxed)).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("a caller comes home");
    }
    count.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn pool(word: &str) -> (Pool, Mint) {
    hsm::open(TestToken::new(word).config()).expect("the token opens")
}

struct RawToken {
    pool: Pool,
    mint: Arc<Mint>,
    key: Key,
    message: Message,
}

impl RawToken {
    async fn new() -> Self {
        let (pool, mint) = pool("raw");
        let key = pool.generate("raw", KeyKind::P256).await.expect("a key");
        Self { pool, mint: Arc::new(mint), key, message: vec![0x5a; 800].into() }
    }

    fn sign(&self, number: u64) -> impl Future<Output = ()> + Send + use<> {
        let intent = self.mint.intent(number, &self.key, self.message.clone());
        let pool = self.pool.clone();
        async move { drop(pool.sign(intent).await.expect("a signature")) }
    }
}

struct RawStore {
    ledger: Ledger,
    key: Key,
    world: World,
}

impl RawStore {
    async fn new(folder: &Path) -> Self {
        let (pool, mint) = pool("store");
        let key = pool.generate("store", KeyKind::P256).await.expect("a key");
        let world = World::real();
        let ledger = ledger(folder.join("store.db"), (&pool, mint), &world).await;
        ledger.record_key(&key, "bench", ActorStamp::from(&Actor::system("init"))).await.expect("a key record");
        Self { ledger, key, world }
    }

    /// The rows of one certificate: as many bytes as a real one has.
    fn operation(&self, number: u64) -> impl Future<Output = ()> + Send + use<> {
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

struct Library {
    authority: Authority,
    actor: Actor,
    /// The hosts' names and requests.
    hosts: Vec<(Name, Csr)>,
}

impl Library {
    async fn new(folder: &Path) -> Self {
        let (pool, mint) = pool("library");
        let world = World::real();
        let ledger = ledger(folder.join("library.db"), (&pool, mint), &world).await;
        let owner = Owner::parse("default").expect("an owner");
        let rules = OwnerRules {
            name: owner.clone(),
            dns: vec!["*.example.internal".into()],
            ip: vec![],
            principals: vec![],
            email: vec![],
        };
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
        let read =
            |host: load::Host| (Name::parse(&host.name).expect("a name"), Csr::parse(host.csr.der()).expect("a CSR"));
        let hosts = load::fleet(DOMAIN, HOSTS).expect("hosts").into_iter().map(read).collect();
        let actor = Actor {
            id: "token:bench".into(),
            roles: BTreeSet::from([Role::Issuer]),
            owners: BTreeSet::from([owner]),
            scopes: Some(BTreeSet::from([Action::IssueCertificate])),
            proof: Proof::Token { id: "0011223344556677".into() },
        };
        Self { authority, actor, hosts }
    }

    fn issue(&self, number: u64) -> impl Future<Output = ()> + Send + use<> {
        let (authority, actor) = (self.authority.clone(), self.actor.clone());
        let (name, csr) = self.hosts[number as usize % self.hosts.len()].clone();
        let request = CertifyRequest {
            profile: "tls-server".into(),
            owner: Owner::parse("default").expect("an owner"),
            csr,
            names: Some(vec![name]),
            proven: BTreeSet::new(),
            validity_secs: None,
            renew: false,
        };
        async move { drop(authority.certify(&actor, request).await.expect("a certificate")) }
    }
}

fn instance() -> Instance {
    Instance::new(1).expect("an instance")
}

async fn ledger(path: PathBuf, token: (&Pool, Mint), world: &World) -> Ledger {
    let log = LogConfig { origin: "bench.example.internal/log".into(), state: None };
    Ledger::open(Database::Sqlite(path), token, log, world.clone()).await.expect("a ledger")
}

/// The built binary, with a token and a register of its own.
struct Server {
    child: Child,
    load: Load,
}

impl Server {
    fn start(folder: &Path) -> Self {
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

    async fn load(&self) -> load::Report {
        load::run(&self.load).await.expect("a load")
    }

    fn stop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}
