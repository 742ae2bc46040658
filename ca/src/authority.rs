//! The facade: everything the edges may ask of the authority. What issues, revokes and signs stands in its own files; here are the
//! parts, the decision, and what is read.

use std::collections::BTreeMap;
use std::sync::Arc;

use hsm::Pool;
use policy::{Action, Actor, Grant, Instance, Policies, Resource, Serial, World};
use store::{Credential, Ledger, RefusalEntry};

use crate::clock::Clock;
use crate::compromised::Compromised;
use crate::crl::Desk;
use crate::error::CaError;
use crate::hierarchy::{self, CreateConfig, Hierarchy, ROOT};
use crate::issuer::Issuing;
use crate::pem;
use crate::profile::{Profile, Profiles};
use crate::ssh::SshCa;

/// What an authority is made of.
pub struct Parts {
    /// The register and its log.
    pub ledger: Ledger,
    /// The token.
    pub pool: Pool,
    /// Time and luck.
    pub world: World,
    /// Who may do what.
    pub policies: Arc<Policies>,
    /// What may be made.
    pub profiles: Profiles,
    /// This node's number: the prefix of its serials.
    pub instance: Instance,
    /// What certificates point to.
    pub urls: Urls,
}

/// What certificates point to.
#[derive(Clone, Debug)]
pub struct Urls {
    /// `public_http` of the configuration: CRLs and issuer certificates are below it.
    pub http_base: String,
}

/// A CA that certificates of ours name as issuer.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// `root`, `tls`, `code`.
    pub label: String,
    /// Its certificate, DER.
    pub certificate_der: Vec<u8>,
}

/// How the authority is now.
#[derive(Clone, Debug)]
pub struct Health {
    /// The token.
    pub token: hsm::Health,
    /// Why nothing is issued although the token is ready (the clock, a CA that ended); `None` when all is well.
    pub held: Option<String>,
}

/// A certificate authority. Cheap to clone.
#[derive(Clone)]
pub struct Authority {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    parts: Parts,
    pub(crate) clock: Clock,
    issuers: BTreeMap<String, Arc<Issuing>>,
    pub(crate) ssh_user: Arc<SshCa>,
    pub(crate) ssh_host: Arc<SshCa>,
    pub(crate) log_key: hsm::Key,
    log_verifier_key: String,
    pub(crate) desks: BTreeMap<String, Desk>,
    pub(crate) compromised: Compromised,
}

impl Authority {
    /// Makes the keys and CA certificates of a new authority, its first CRLs and its first log head; run again after a crash, it
    /// continues.
    pub async fn create(parts: Parts, config: CreateConfig) -> Result<Authority, CaError> {
        hierarchy::create(&parts, &config).await?;
        let authority = Authority::open(parts).await?;
        authority.refresh_crls().await?;
        authority.checkpoint().await?;
        Ok(authority)
    }

    /// Opens an existing authority: keys of the token matched with the certificates of the register.
    pub async fn open(parts: Parts) -> Result<Authority, CaError> {
        let Hierarchy { issuers, ssh_user, ssh_host, log_key } = hierarchy::open(&parts).await?;
        let clock = Clock::new(parts.world.clone(), &parts.ledger);
        let log_verifier_key = parts.ledger.verifier_key(&log_key)?;
        let (desks, clerks) = Desk::open(issuers.keys().cloned());
        let inner = Arc::new(Inner {
            parts,
            clock,
            issuers,
            ssh_user,
            ssh_host,
            log_key,
            log_verifier_key,
            desks,
            compromised: Compromised::default(),
        });
        for clerk in clerks {
            tokio::spawn(clerk.serve(Arc::downgrade(&inner)));
        }
        Ok(Authority { inner })
    }

    /// Decides, and writes the refusal leaf where policy refuses: no refusal is answered that is not in the log.
    pub async fn authorize(&self, actor: &Actor, action: Action, resource: Resource) -> Result<Grant, CaError> {
        match self.policies().decide(actor, action, &resource) {
            Ok(grant) => Ok(grant),
            Err(refusal) => {
                self.ledger().refuse(RefusalEntry::new(&refusal, target(&resource))).await?;
                Err(CaError::Refused(refusal))
            }
        }
    }

    /// A certificate and its intermediates, PEM, without the root. Empty for what is no X.509 certificate or not signed.
    pub fn chain_pem(&self, credential: &Credential) -> String {
        use store::Kind;
        let chain = match credential.kind {
            Kind::Certificate | Kind::CaCertificate => {
                self.inner.issuers.get(&credential.issuer).map_or("", |i| &i.chain_pem)
            }
            Kind::SshUser | Kind::SshHost | Kind::CodeSignature | Kind::Crl => return String::new(),
        };
        credential.x509_der().map_or(String::new(), |der| pem::encode("CERTIFICATE", &der) + chain)
    }

    /// A certificate alone, PEM.
    pub fn certificate_pem(&self, credential: &Credential) -> String {
        credential.x509_der().map_or(String::new(), |der| pem::encode("CERTIFICATE", &der))
    }

    /// The root certificates, PEM.
    pub fn roots_pem(&self) -> String {
        self.inner.issuers.get(ROOT).map_or(String::new(), |root| pem::encode("CERTIFICATE", &root.certificate_der))
    }

    /// The CAs.
    pub fn issuers(&self) -> Vec<Issuer> {
        let issuer = |i: &Arc<Issuing>| Issuer { label: i.label.clone(), certificate_der: i.certificate_der.clone() };
        self.inner.issuers.values().map(issuer).collect()
    }

    /// The log's verifier key, as signed-note text.
    pub fn log_verifier_key(&self) -> String {
        self.inner.log_verifier_key.clone()
    }

    /// How it is now.
    pub fn health(&self) -> Health {
        let held = self.inner.issuers.values().find_map(|issuer| self.inner.clock.held(issuer));
        Health { token: self.pool().health(), held }
    }

    /// The register.
    pub fn ledger(&self) -> &Ledger {
        &self.inner.parts.ledger
    }

    /// The token.
    pub fn pool(&self) -> &Pool {
        &self.inner.parts.pool
    }

    /// Time and luck.
    pub fn world(&self) -> &World {
        &self.inner.parts.world
    }

    /// Who may do what.
    pub fn policies(&self) -> &Policies {
        &self.inner.parts.policies
    }

    /// What may be made.
    pub fn profiles(&self) -> &Profiles {
        &self.inner.parts.profiles
    }

    pub(crate) fn profile(&self, name: &str) -> Result<Arc<Profile>, CaError> {
        self.inner
            .parts
            .profiles
            .shared(name)
            .ok_or_else(|| CaError::bad("profile", format!("there is no profile `{name}`")))
    }

    pub(crate) fn issuing(&self, label: &str) -> Result<Arc<Issuing>, CaError> {
        let found = self.inner.issuers.get(label).cloned();
        found.ok_or_else(|| CaError::bad("profile", format!("there is no issuing CA `{label}`")))
    }

    pub(crate) fn new_serial(&self) -> Serial {
        Serial::generate(self.world(), self.inner.parts.instance)
    }
}

/// What a refusal was about, for display.
fn target(resource: &Resource) -> String {
    let mut words = vec![resource.kind.as_str().to_owned()];
    words.extend(resource.profile.iter().map(|p| format!("profile {p}")));
    words.extend(resource.owner.iter().map(|o| format!("owner {o}")));
    words.extend(resource.key.iter().map(|k| format!("key {k}")));
    words.extend(resource.names.iter().take(SHOWN_MAX).map(|n| n.to_string()));
    words.extend(resource.principals.iter().take(SHOWN_MAX).map(|p| format!("principal {p}")));
    let text = words.join(", ");
    text.chars().take(TARGET_MAX).collect()
}

/// Enough to know what it was about.
const SHOWN_MAX: usize = 10;
const TARGET_MAX: usize = 1000;
