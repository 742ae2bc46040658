//! The authority itself: furnished and opened, how it is, what it rests on.

use std::sync::Arc;

use hsm::Pool;
use policy::{Action, Actor, Grant, Instance, Policies, Refusal, Resource, Timestamp, World};
use store::{Ledger, StoreError};

use crate::amendment::{Amended, Amendment};
use crate::approvals::Approvals;
use crate::checks::Checks;
use crate::craft::Office;
use crate::craft::code::CodeSigner;
use crate::craft::leaf::Certifier;
use crate::craft::ssh::SshSigner;
use crate::drafting::Serials;
use crate::drills::Drills;
use crate::error::CaError;
use crate::fit::Unfit;
use crate::gate::Gate;
use crate::issuers::Registry;
use crate::parts::Parts;
use crate::profiles::{Profile, Profiles};
use crate::refused::RefusalState;
use crate::registrar::Registrar;
use crate::rules::Rules;
use crate::status::{Desks, Inquiries, KrlShelf, Publisher, Revoker};
use crate::succession::{CreateConfig, Keeper, Maker};
use crate::view::Stopped;
use crate::{amendment, fit, succession, texts, view};

/// How the authority is now.
#[derive(Clone, Debug)]
pub struct Health {
    /// The tokens together: ready, if one of those is in which who issues to end entities has its key.
    pub token: hsm::Health,
    /// Each of them by its name, the first first.
    pub tokens: Vec<(String, hsm::Health)>,
    /// Why nothing is issued although the token is ready (the clock, a CA that ended); `None` when all is well.
    pub held: Option<String>,
    /// Issuers under which nothing is issued; the others go on.
    pub stopped: Vec<Stopped>,
    /// What operators have to see to in time: CRLs of CAs whose key is elsewhere.
    pub due: Vec<String>,
    /// Profiles under which nothing can be issued, by what they and their issuers say.
    pub unfit: Vec<Unfit>,
}

/// A certificate authority. Cheap to clone.
#[derive(Clone)]
pub struct Authority {
    pub(super) inner: Arc<Inner>,
}

/// Who answers what.
pub(super) struct Inner {
    pub(super) parts: Parts,
    pub(super) office: Office,
    pub(super) certifier: Certifier,
    pub(super) approvals: Approvals,
    pub(super) code: CodeSigner,
    pub(super) ssh: SshSigner,
    pub(super) desks: Arc<Desks>,
    pub(super) krl: KrlShelf,
    pub(super) revoker: Revoker,
    pub(super) inquiries: Inquiries,
    pub(super) keeper: Keeper,
    pub(super) drills: Drills,
}

impl Inner {
    async fn furnish(parts: Parts) -> Result<Inner, CaError> {
        let Parts { ledger, pool, world, policies, profiles, instance, urls } = &parts;
        let issuers = Registry::open(pool.clone(), ledger.clone(), urls.clone()).await?;
        let checks = Arc::new(Checks::new(world.clone(), ledger));
        // Without its log nothing here can be proved.
        issuers.log_key().await?;
        let office = Office {
            gate: Gate::new(ledger.clone(), Rules::new(policies.clone(), profiles.clone())),
            ledger: ledger.clone(),
            issuers,
            serials: Serials::new(world.clone(), *instance),
            checks,
            registrar: Registrar::new(ledger.clone(), pool.clone()),
        };
        let certifier = Certifier { office: office.clone() };
        let approvals = Approvals::new(certifier.clone());
        let code = CodeSigner::new(office.clone(), certifier.clone(), pool.clone(), *instance);
        let ssh = SshSigner { office: office.clone(), world: world.clone() };
        let desks = Arc::new(Desks::open(Publisher::open(office.clone(), world.clone()).await));
        let krl = KrlShelf::new(office.clone());
        let revoker = Revoker { office: office.clone(), desks: desks.clone() };
        let inquiries = Inquiries::open(&office, pool, world, *instance);
        let maker = Maker::of(&office, pool.clone());
        let keeper = Keeper::new(office.clone(), maker, desks.clone());
        let drills = Drills::open(office.clone()).await?;
        Ok(Inner { office, certifier, approvals, code, ssh, desks, krl, revoker, inquiries, keeper, drills, parts })
    }
}

impl Authority {
    /// Makes the keys and CA certificates of a new authority, its first CRLs and its first log head; run again after a crash, it
    /// continues.
    pub async fn create(parts: Parts, config: CreateConfig) -> Result<Authority, CaError> {
        succession::create(&parts, &config).await?;
        let authority = Authority::open(parts).await?;
        authority.refresh_crls().await?;
        authority.checkpoint().await?;
        Ok(authority)
    }

    /// Opens an existing authority: keys of the token matched with the certificates of the register.
    pub async fn open(parts: Parts) -> Result<Authority, CaError> {
        texts::record(&parts).await?;
        Ok(Authority { inner: Arc::new(Inner::furnish(parts).await?) })
    }

    /// Opens the authority of a register whose token is lost, over a token that never had to do with it and opened the register under the
    /// generation `seal` of the sealing key: what is lost is called so, that generation seals, and a new key signs the log. Asked again
    /// after a crash, it continues. What issues is made by [`Authority::replace_lost`].
    pub async fn open_after_loss(parts: Parts, seal: u32, actor: &Actor) -> Result<Authority, CaError> {
        succession::begin_after_loss(&parts, seal, actor).await?;
        Authority::open(parts).await
    }

    /// Which node of the register this is.
    pub fn instance(&self) -> Instance {
        self.inner.parts.instance
    }

    /// Decides, and writes the refusal leaf where policy refuses: no refusal is answered of which the log says nothing. Of one actor so
    /// many are leaves of their own, and the rest is counted there.
    pub async fn authorize(&self, actor: &Actor, action: Action, resource: Resource) -> Result<Grant, CaError> {
        self.inner.office.gate.authorize(actor, action, resource).await
    }

    /// What [`Authority::authorize`] would say, in the words for this actor: no leaf comes of it, and no grant.
    pub fn refusal(&self, actor: &Actor, action: Action, resource: &Resource) -> Option<Refusal> {
        self.inner.office.gate.judge(actor, action, resource).err()
    }

    /// Writes down how many were refused beyond those that are leaves of their own, where an actor's window is over; at the end, of all.
    pub async fn tell_refusals(&self, is_end: bool) -> Result<(), CaError> {
        self.inner.office.gate.refusals().tell_counted(is_end).await
    }

    /// What this node refused beyond what is leaves of its own, and to whom very often: from memory.
    pub fn refusals(&self) -> RefusalState {
        self.inner.office.gate.refusals().state()
    }

    /// Signs a log head if it moved.
    pub async fn checkpoint(&self) -> Result<(), CaError> {
        let log_keys = self.inner.office.issuers.log_keys().await?;
        self.inner.office.registrar.checkpoint(&log_keys).await.map(drop)
    }

    /// An operator's word that this node's clock is right, whatever the log says: a leaf, by which every node goes on. Answers
    /// the time that was in force and the one that is.
    pub async fn set_time(&self, actor: &Actor, reason: &str) -> Result<(Timestamp, Timestamp), CaError> {
        self.inner.office.checks.clock.set(&self.inner.office.gate, actor, reason).await
    }

    /// The verifier key of the log's present key, as signed-note text.
    pub fn log_verifier_key(&self) -> String {
        view::log_keys(&self.inner.office).into_iter().next().unwrap_or_default()
    }

    /// The verifier keys of every generation of the log's key, the present one first: what was signed with an old one is verified with it.
    pub fn log_verifier_keys(&self) -> Vec<String> {
        view::log_keys(&self.inner.office)
    }

    /// How it is now.
    pub fn health(&self) -> Health {
        let register = self.ledger().held().map(|why| StoreError::Held(why).to_string());
        let active = view::active(&self.inner.office);
        let checks = &self.inner.office.checks;
        // A CA above CAs is no one's to be held by; what ended it is told.
        let held = register.or_else(|| checks.held(active.iter().filter(|issuing| issuing.leaves)));
        let stopped = view::stopped(&self.inner.office);
        let tokens = self.pool().tokens().iter().map(|token| (token.name().to_owned(), token.health())).collect();
        let (due, unfit) = (view::due(&self.inner.office), self.unfit());
        Health { token: view::tokens(&self.inner.office), tokens, held, stopped, due, unfit }
    }

    /// The profiles in force under which nothing can be issued now: a question of memory.
    pub fn unfit(&self) -> Vec<Unfit> {
        fit::unfit(&self.inner.office, &self.profiles())
    }

    /// Why nothing could be issued now under such a profile, in force or not; none where it could.
    pub fn unfit_for(&self, profile: &Profile) -> Option<Unfit> {
        fit::of(&self.inner.office, profile)
    }

    /// Whether the token would sign now.
    pub async fn probe_token(&self) -> bool {
        self.pool().probe().await.is_ok()
    }

    /// How long signatures took so far, and how many wait now: of each token, by its name.
    pub fn signing_times(&self) -> Vec<(String, hsm::SigningTimes)> {
        self.pool().tokens().iter().map(|token| (token.name().to_owned(), token.signing_times())).collect()
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

    /// Who may do what, now.
    pub fn policies(&self) -> Arc<Policies> {
        self.inner.office.gate.rules().policies()
    }

    /// What may be made, now.
    pub fn profiles(&self) -> Arc<Profiles> {
        self.inner.office.gate.rules().profiles()
    }

    /// Brings other rules into force, and settings of the service: each part that changed is a leaf before it counts. Answers what
    /// changed since the log last heard of this node. An error changes nothing.
    pub async fn amend(&self, actor: &Actor, amendment: Amendment) -> Result<Vec<Amended>, CaError> {
        amendment::amend(&self.inner.office, self.instance().get(), actor, amendment).await
    }
}
