//! One authority for all tests of this process, and as many servers over it as tests ask for.
//!
//! The authority and its servers live on a runtime of their own, so that a test's runtime may end before them. Tests use
//! names of their own and never count on being alone in the register.
#![allow(dead_code, reason = "two test binaries share it, and neither uses all of it")]

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use api::tokens::NewToken;
use api::{Bound, Limits, ServeConfig};
use ca::{Authority, CreateConfig, Parts, Profiles, Urls};
use hsm::testing::TestToken;
use policy::{Actor, Instance, Name, Owner, OwnerRules, Policies, Role, World};
use rcgen::{CertificateParams, KeyPair};
use reqwest::{Client, ClientBuilder, Identity};
use serde_json::{Value, json};
use store::{Database, Ledger, LogConfig};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

/// The authority of this process.
pub struct House {
    pub authority: Authority,
    pub ledger: Ledger,
    pub world: World,
    pub token: TestToken,
    runtime: Runtime,
    _folder: tempfile::TempDir,
}

/// The house, built by the first test that asks.
pub fn house() -> &'static House {
    house_at(World::real())
}

/// The house; whoever asks first sets its clock.
pub fn house_at(world: World) -> &'static House {
    house_on(world, None)
}

/// The house; whoever asks first sets its clock and its database.
pub fn house_on(world: World, database: Option<Database>) -> &'static House {
    static HOUSE: OnceLock<House> = OnceLock::new();
    HOUSE.get_or_init(|| {
        // Another test may have been first in another binary's process; in this one it happens once.
        rustls::crypto::ring::default_provider().install_default().expect("the first provider");
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
        let folder = tempfile::tempdir().expect("a folder");
        let token = TestToken::new("edge");
        let database = database.unwrap_or_else(|| Database::Sqlite(folder.path().join("chancery.db")));
        let (authority, ledger, world) = std::thread::scope(|scope| {
            // The first test may itself be on a runtime, where blocking on another one is refused.
            scope.spawn(|| runtime.block_on(found(&token, database, world))).join().expect("the authority is founded")
        });
        House { authority, ledger, world, token, runtime, _folder: folder }
    })
}

async fn found(token: &TestToken, database: Database, world: World) -> (Authority, Ledger, World) {
    let (pool, mint) = hsm::open(token.config()).expect("the token opens");
    let log = LogConfig { origin: "log.edge.example".to_owned(), state: None, instance: None };
    let ledger = Ledger::found(database, (&pool, mint), log, world.clone()).await.expect("the register opens");
    let shipped = Policies::shipped().iter().map(|(name, text)| (name.to_string(), text.to_string()));
    let texts: Vec<_> = shipped.chain([("lab.cedar".to_owned(), LAB.to_owned())]).collect();
    let owners =
        vec![rules("web", &["localhost", "*.example.internal"], &["alice"]), rules("db", &["*.db.internal"], &["bob"])];
    let parts = Parts {
        ledger: ledger.clone(),
        pool,
        world: world.clone(),
        policies: std::sync::Arc::new(Policies::load(&texts, owners).expect("the shipped policies")),
        profiles: Profiles::load(Profiles::shipped()).expect("the shipped profiles"),
        instance: Instance::new(1).expect("an instance"),
        urls: Urls { http_base: "http://127.0.0.1:8080".to_owned() },
    };
    let authority = Authority::create(parts, CreateConfig::new("Edge Test")).await.expect("an authority");
    (authority, ledger, world)
}

fn rules(name: &str, dns: &[&str], principals: &[&str]) -> OwnerRules {
    let text = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect();
    OwnerRules {
        dns: text(dns),
        ip: vec!["127.0.0.0/8".to_owned()],
        principals: text(principals),
        ..OwnerRules::none(Owner::parse(name).expect("an owner"))
    }
}

/// A server over the house's authority, stopped when dropped.
pub struct Server {
    pub https: SocketAddr,
    pub http: SocketAddr,
    stop: CancellationToken,
    ended: Option<oneshot::Receiver<Result<(), api::ApiError>>>,
}

impl Server {
    /// With the default bounds.
    pub async fn start() -> Self {
        Self::with(Limits { failures: u32::MAX, ..Limits::default() }).await
    }

    /// With these bounds.
    pub async fn with(limits: Limits) -> Self {
        let house = house();
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        let config = ServeConfig {
            https: loopback,
            http: loopback,
            names: ["localhost", "127.0.0.1"].map(|name| Name::parse(name).expect("a name")).to_vec(),
            owner: Owner::parse("chancery").expect("an owner"),
            bounds: api::Bounds::new(limits),
            notice: api::Notice::default(),
            places: drivers::Places::new(drivers::Outside::default(), 1, policy::World::real()),
            acme: Some(acme::Settings::default().check("https://localhost:8443").expect("ACME settings")),
            backup: None,
        };
        let (stop, (ready, bound), (end, ended)) = (CancellationToken::new(), oneshot::channel(), oneshot::channel());
        let stopped = stop.clone().cancelled_owned();
        house.runtime.spawn(async move {
            let (authority, ledger, world) = (house.authority.clone(), house.ledger.clone(), house.world.clone());
            let _ = end.send(api::serve(config, authority, ledger, world, stopped, ready).await);
        });
        let Bound { https, http } = bound.await.expect("the server is ready");
        Self { https, http, stop, ended: Some(ended) }
    }

    /// Stops and waits for the end.
    pub async fn stop(mut self) -> Result<(), api::ApiError> {
        self.stop.cancel();
        self.ended.take().expect("not stopped before").await.expect("serve returns")
    }

    /// Begins to stop.
    pub fn signal(&self) {
        self.stop.cancel();
    }

    /// A URL behind HTTPS.
    pub fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.https.port())
    }

    /// A URL of the plain listener.
    pub fn plain(&self, path: &str) -> String {
        format!("http://{}{path}", self.http)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// A client that trusts our root.
pub fn client() -> ClientBuilder {
    let roots = reqwest::Certificate::from_pem_bundle(house().authority.roots_pem().as_bytes()).expect("roots");
    Client::builder().tls_certs_only(roots).redirect(reqwest::redirect::Policy::none())
}

/// A client with a certificate.
pub fn client_with(certificate: &Issued) -> Client {
    let pem = format!("{}{}", certificate.key_pem, certificate.chain);
    client().identity(Identity::from_pem(pem.as_bytes()).expect("an identity")).build().expect("a client")
}

/// A fresh API token of a role, of owner `web`.
pub async fn token(role: Role) -> String {
    token_of(&[role], None, 3_600).await.0
}

/// A fresh API token: its text and its id.
pub async fn token_of(roles: &[Role], scopes: Option<BTreeSet<policy::Action>>, expires_secs: u64) -> (String, String) {
    let new = NewToken {
        name: format!("test-{}", unique()),
        roles: roles.iter().copied().collect(),
        owners: BTreeSet::from([Owner::parse("web").expect("an owner")]),
        scopes,
        expires_secs,
    };
    let shown = api::tokens::create(&house().authority, &Actor::system("init"), new).await.expect("a token");
    (shown.token.expose().clone(), shown.info.id)
}

/// A fresh API token of a role that belongs to no owner.
pub async fn token_of_none(role: Role) -> String {
    let new = NewToken {
        name: format!("test-{}", unique()),
        roles: BTreeSet::from([role]),
        owners: BTreeSet::new(),
        scopes: None,
        expires_secs: 3_600,
    };
    let shown = api::tokens::create(&house().authority, &Actor::system("init"), new).await.expect("a token");
    shown.token.expose().clone()
}

/// Whoever writes secrets reads those below `lab`, and no others.
const LAB: &str = "permit (principal, action == Action::\"read-secret\", resource) when \
    { principal.roles.contains(\"secret-writer\") && resource.path like \"lab/*\" };";

/// A number that no other test has.
pub fn unique() -> u32 {
    static NUMBER: AtomicU32 = AtomicU32::new(1);
    NUMBER.fetch_add(1, Ordering::Relaxed)
}

/// A name of owner `web` that no other test has.
pub fn name() -> String {
    format!("host{}.example.internal", unique())
}

/// A key and a CSR for names.
pub fn csr(names: &[&str]) -> (KeyPair, String) {
    let key = KeyPair::generate().expect("a key");
    let names = names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let request = CertificateParams::new(names).expect("names").serialize_request(&key).expect("a request");
    (key, request.pem().expect("PEM"))
}

/// What an issuance gave.
pub struct Issued {
    pub serial: String,
    pub key_pem: String,
    pub chain: String,
    pub body: Value,
}

/// Issues a certificate of owner `web` over the API.
pub async fn issue(server: &Server, token: &str, profile: &str, name: &str) -> Issued {
    let (key, csr) = csr(&[name]);
    let wish = json!({"profile": profile, "csr": csr, "owner": "web"});
    let client = client().build().expect("a client");
    let answer =
        client.post(server.url("/api/v1/certificates")).bearer_auth(token).json(&wish).send().await.expect("an answer");
    let status = answer.status();
    let body: Value = answer.json().await.expect("JSON");
    assert_eq!(status, 201, "{body}");
    Issued {
        serial: body["serial"].as_str().expect("a serial").to_owned(),
        key_pem: key.serialize_pem(),
        chain: body["chain"].as_str().expect("a chain").to_owned(),
        body,
    }
}
