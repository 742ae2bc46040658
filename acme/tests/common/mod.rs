//! What the tests share: a whole CA (SoftHSM token, SQLite register, authority, ACME server on loopback), a web server and a DNS
//! server for the challenges, and a client that can misbehave.
#![allow(dead_code)]

pub mod dns;
pub mod raw;

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Path, State};
use ca::{Authority, CreateConfig, Parts, Profiles, Urls};
use chancery_acme::{AcmeState, Settings, router};
use http::StatusCode;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use instant_acme::{Account, ChallengeType, Identifier, NewAccount, NewOrder, Order, OrderStatus, RetryPolicy};
use policy::{Instance, Policies, World};
use store::{Database, Ledger, LogConfig};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use dns::Dns;

/// A CA with its surroundings.
pub struct Ca {
    pub authority: Authority,
    pub state: AcmeState,
    pub app: Router,
    pub world: World,
    pub dns: Dns,
    pub web: Web,
    pub external_url: String,
    server: JoinHandle<()>,
    _home: tempfile::TempDir,
    pub token: hsm::testing::TestToken,
}

impl Drop for Ca {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Ca {
    pub async fn start() -> Self {
        Self::start_with(World::real(), |_| {}).await
    }

    pub async fn start_with(world: World, change: impl FnOnce(&mut Settings)) -> Self {
        let token = hsm::testing::TestToken::new("acme");
        let home = tempfile::tempdir().unwrap();
        let (pool, mint) = hsm::open(token.config()).unwrap();
        let database = Database::Sqlite(home.path().join("chancery.db"));
        let log = LogConfig { origin: "acme.test/log".to_owned(), state: None, instance: None };
        let ledger = Ledger::found(database, (&pool, mint), log, world.clone()).await.unwrap();
        let policies: Vec<(String, String)> =
            Policies::shipped().iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        let parts = Parts {
            ledger,
            pool,
            world: world.clone(),
            policies: Arc::new(Policies::load(&policies, Vec::new()).unwrap()),
            profiles: Profiles::load(Profiles::shipped()).unwrap(),
            instance: Instance::new(1).unwrap(),
            urls: Urls { http_base: "http://127.0.0.1:8080".to_owned() },
        };
        let authority = Authority::create(parts, CreateConfig::new("Test")).await.unwrap();

        let (dns, web) = (Dns::start().await, Web::start().await);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let external_url = format!("http://{}", listener.local_addr().unwrap());
        let mut settings = Settings {
            resolvers: vec![dns.address],
            http01_port: web.port,
            allow_networks: vec!["127.0.0.0/8".parse().unwrap()],
            ..Settings::default()
        };
        change(&mut settings);
        let state = AcmeState::new(authority.clone(), settings.check(&external_url).unwrap()).unwrap();
        let app = Router::new().nest("/acme", router(state.clone()));
        let serving = app.clone().into_make_service_with_connect_info::<SocketAddr>();
        let server = tokio::spawn(async move { axum::serve(listener, serving).await.unwrap() });
        Self { authority, state, app, world, dns, web, external_url, server, _home: home, token }
    }

    pub fn directory(&self) -> String {
        format!("{}/acme/directory", self.external_url)
    }

    /// An account of a well-behaved client.
    pub async fn account(&self) -> Account {
        let contact = ["mailto:admin@example.internal"];
        let new = NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
        let client = Client::builder(TokioExecutor::new()).build_http();
        Account::builder_with_http(Box::new(client)).create(&new, self.directory(), None).await.unwrap().0
    }

    /// Lets the web server on loopback be these hosts.
    pub fn host(&self, names: &[&str]) {
        names.iter().for_each(|name| self.dns.a(name, Ipv4Addr::LOCALHOST));
    }

    /// Answers every pending challenge of this type as it should be answered, and begins it.
    pub async fn answer(&self, order: &mut Order, kind: ChallengeType) {
        let mut authorizations = order.authorizations();
        while let Some(authz) = authorizations.next().await {
            let mut authz = authz.unwrap();
            if authz.status != instant_acme::AuthorizationStatus::Pending {
                continue;
            }
            let base = match authz.identifier().identifier {
                Identifier::Dns(name) => name.clone(),
                other => format!("{other:?}"),
            };
            let mut challenge = authz.challenge(kind.clone()).expect("the challenge is offered");
            match kind {
                ChallengeType::Http01 => self.web.put(&challenge.token, challenge.key_authorization().as_str()),
                _ => self.dns.txt(&format!("_acme-challenge.{base}"), &[&challenge.key_authorization().dns_value()]),
            }
            challenge.set_ready().await.unwrap();
        }
    }

    /// The whole way to a certificate chain.
    pub async fn obtain(
        &self,
        account: &Account,
        names: &[Identifier],
        kind: ChallengeType,
    ) -> (String, rcgen::KeyPair) {
        let mut order = account.new_order(&NewOrder::new(names)).await.unwrap();
        self.answer(&mut order, kind).await;
        assert_eq!(order.poll_ready(&soon()).await.unwrap(), OrderStatus::Ready);
        let (csr, key) = csr(names);
        order.finalize_csr(&csr).await.unwrap();
        (order.poll_certificate(&soon()).await.unwrap(), key)
    }

    /// What relying parties ask: does the chain lead to our root, is it for this name?
    pub fn judge(&self, chain: &str, name: &str) {
        let chain: Vec<Vec<u8>> = certificates(chain);
        let roots: Vec<Vec<u8>> = certificates(&self.authority.roots_pem());
        let anchors: Vec<_> = roots
            .iter()
            .map(|der| {
                webpki::anchor_from_trusted_cert(&rustls::pki_types::CertificateDer::from(der.as_slice()))
                    .unwrap()
                    .to_owned()
            })
            .collect();
        let leaf = rustls::pki_types::CertificateDer::from(chain[0].as_slice());
        let leaf = webpki::EndEntityCert::try_from(&leaf).unwrap();
        let intermediates: Vec<_> = chain[1..].iter().map(|der| der.as_slice().into()).collect();
        let now = rustls::pki_types::UnixTime::since_unix_epoch(std::time::Duration::from_secs(
            self.world.now().unix().unsigned_abs(),
        ));
        leaf.verify_for_usage(
            &[webpki::ring::ECDSA_P256_SHA256, webpki::ring::ECDSA_P384_SHA384],
            &anchors,
            &intermediates,
            now,
            webpki::KeyUsage::server_auth(),
            None,
            None,
        )
        .unwrap();
        leaf.verify_is_valid_for_subject_name(&rustls::pki_types::ServerName::try_from(name.to_owned()).unwrap())
            .unwrap();
    }
}

/// Quick polls, long patience.
pub fn soon() -> RetryPolicy {
    RetryPolicy::new()
        .initial_delay(std::time::Duration::from_millis(20))
        .backoff(1.2)
        .timeout(std::time::Duration::from_secs(60))
}

pub fn dns_name(name: &str) -> Identifier {
    Identifier::Dns(name.to_owned())
}

/// A CSR for these names and its key.
pub fn csr(names: &[Identifier]) -> (Vec<u8>, rcgen::KeyPair) {
    let key = rcgen::KeyPair::generate().unwrap();
    (csr_of(names, &key), key)
}

pub fn csr_of(names: &[Identifier], key: &rcgen::KeyPair) -> Vec<u8> {
    let text = |name: &Identifier| match name {
        Identifier::Dns(name) => name.clone(),
        Identifier::Ip(ip) => ip.to_string(),
        other => panic!("{other:?}"),
    };
    let mut params = rcgen::CertificateParams::new(names.iter().map(text).collect::<Vec<_>>()).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.serialize_request(key).unwrap().der().to_vec()
}

/// The DER certificates of a PEM chain.
pub fn certificates(pem: &str) -> Vec<Vec<u8>> {
    x509_parser::pem::Pem::iter_from_buffer(pem.as_bytes()).map(|each| each.unwrap().contents).collect()
}

/// A web server on loopback that serves challenge files.
pub struct Web {
    pub port: u16,
    files: Arc<Mutex<HashMap<String, String>>>,
    task: JoinHandle<()>,
}

impl Drop for Web {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Web {
    pub async fn start() -> Self {
        let files = Arc::new(Mutex::new(HashMap::new()));
        let app = Router::new()
            .route("/.well-known/acme-challenge/{token}", axum::routing::get(file))
            .with_state(Arc::clone(&files));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { port, files, task }
    }

    pub fn put(&self, token: &str, body: &str) {
        self.files.lock().unwrap().insert(token.to_owned(), body.to_owned());
    }
}

async fn file(
    State(files): State<Arc<Mutex<HashMap<String, String>>>>,
    Path(token): Path<String>,
) -> Result<String, StatusCode> {
    files.lock().unwrap().get(&token).cloned().ok_or(StatusCode::NOT_FOUND)
}
