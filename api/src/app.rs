//! What every handler may lean on: the rooms below and the edge's own small memories.
//!
//! The whole is built once by `serve` and shared; nothing in it is a second copy of what the register knows, except
//! the tokens that [`Doorkeeper`] looked up lately, whose age is bounded.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ca::{Authority, CaError};
use drivers::Places;
use lifecycle::RenewalWatch;
use policy::{Action, Actor, Grant, Resource, World};
use secrets::keyring::TransitKeys;
use secrets::{HostKeys, Leases, Refreshes, Rotations, SecretError, Vault};
use store::Ledger;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::auth::{self, Doorkeeper, Sessions};
use crate::limits::Limits;
use crate::observe::{
    BackupWatch, ChangeFeed, Ends, Keepsakes, Lookout, Metrics, Names, Notice, Sentences, Surveyor, Wrapping,
};
use crate::problem::{Kind, Problem, reference};

/// How old what is known of the tokens' ends may be.
const ENDS_AGE_MAX: Duration = Duration::from_secs(60);

/// The shared state of all routes. Cheap to clone.
#[derive(Clone)]
pub(crate) struct App(Arc<Inner>);

struct Inner {
    authority: Authority,
    ledger: Ledger,
    vault: Vault,
    transit: TransitKeys,
    rotations: Rotations,
    host_keys: HostKeys,
    /// Somebody asked for a rotation.
    rotation_asked: Arc<Notify>,
    rotation_alarms: Sentences,
    wrapping: Wrapping,
    leases: Leases,
    /// Somebody asked for a lease, or for its end.
    lease_asked: Arc<Notify>,
    lease_alarms: Sentences,
    refreshes: Refreshes,
    /// Somebody asked for a token.
    refresh_asked: Arc<Notify>,
    refresh_alarms: Sentences,
    /// Where all of it is done.
    places: Places,
    backups: BackupWatch,
    changes: ChangeFeed,
    /// The service ends: whoever waits is answered.
    stopping: CancellationToken,
    world: World,
    limits: Limits,
    metrics: Arc<Metrics>,
    doorkeeper: Doorkeeper,
    sessions: Sessions,
    surveyor: Arc<Surveyor>,
    keepsakes: Arc<Keepsakes>,
    lookout: Lookout,
    /// When API tokens end, as it was a moment ago.
    ends: Mutex<Option<(Instant, Ends)>>,
}

impl App {
    /// The state over these rooms.
    pub(crate) fn new(
        authority: Authority,
        ledger: Ledger,
        world: World,
        limits: Limits,
        metrics: Arc<Metrics>,
        (renewals, notice, places): (RenewalWatch, Notice, Places),
    ) -> Self {
        let doorkeeper = Doorkeeper::new(ledger.for_authentication(), &limits);
        let surveyor = Arc::new(Surveyor::new(ledger.clone(), world.clone()));
        let seen = Arc::clone(&surveyor);
        let vault = Vault::new(ledger.clone(), limits.key_memory);
        let transit = TransitKeys::new(vault.clone(), limits.key_memory);
        let rotations = Rotations::new(vault.clone(), authority.instance().get());
        let host_keys = HostKeys::new(vault.clone(), rotations.clone());
        let refreshes = Refreshes::new(vault.clone(), authority.instance().get());
        let leases = Leases::new(vault.clone(), authority.instance().get());
        let changes = ChangeFeed::new(vault.clone(), ledger.clone());
        let keepsakes = Arc::new(Keepsakes::new(vault.clone(), rotations.clone(), world.clone()));
        let (rotation_alarms, lease_alarms) = (Sentences::default(), Sentences::default());
        let refresh_alarms = Sentences::default();
        let (wrapping, backups) = (Wrapping::default(), BackupWatch::default());
        let tasks = [
            ("rotations", Names::Secrets, rotation_alarms.clone()),
            ("leases", Names::Secrets, lease_alarms.clone()),
            ("tokens", Names::Secrets, refresh_alarms.clone()),
            ("the recovery key", Names::Nothing, wrapping.alarms().clone()),
        ];
        let lookout = Lookout::new(
            authority.clone(),
            ledger.clone(),
            world.clone(),
            renewals,
            (seen, Arc::clone(&keepsakes)),
            (notice, tasks.into(), backups.clone()),
        );
        let sessions = Sessions::new(&world);
        Self(Arc::new(Inner {
            authority,
            ledger,
            vault,
            transit,
            rotations,
            host_keys,
            rotation_asked: Arc::default(),
            rotation_alarms,
            wrapping,
            leases,
            lease_asked: Arc::default(),
            lease_alarms,
            refreshes,
            refresh_asked: Arc::default(),
            refresh_alarms,
            places,
            backups,
            changes,
            stopping: CancellationToken::new(),
            world,
            limits,
            metrics,
            doorkeeper,
            sessions,
            surveyor,
            keepsakes,
            lookout,
            ends: Mutex::default(),
        }))
    }

    /// The certificate authority.
    pub(crate) fn authority(&self) -> &Authority {
        &self.0.authority
    }

    /// The register.
    pub(crate) fn ledger(&self) -> &Ledger {
        &self.0.ledger
    }

    /// Secrets.
    pub(crate) fn vault(&self) -> &Vault {
        &self.0.vault
    }

    /// Keys that others compute with.
    pub(crate) fn transit(&self) -> &TransitKeys {
        &self.0.transit
    }

    /// How secrets are exchanged where they are used.
    pub(crate) fn rotations(&self) -> &Rotations {
        &self.0.rotations
    }

    /// SSH keys on hosts.
    pub(crate) fn host_keys(&self) -> &HostKeys {
        &self.0.host_keys
    }

    /// Wakes who does it.
    pub(crate) fn rotation_asked(&self) -> Arc<Notify> {
        Arc::clone(&self.0.rotation_asked)
    }

    /// What went wrong with it.
    pub(crate) fn rotation_alarms(&self) -> &Sentences {
        &self.0.rotation_alarms
    }

    /// The walk that wraps to the recovery key.
    pub(crate) fn wrapping(&self) -> &Wrapping {
        &self.0.wrapping
    }

    /// Users that live for a while.
    pub(crate) fn leases(&self) -> &Leases {
        &self.0.leases
    }

    /// Wakes who ends them.
    pub(crate) fn lease_asked(&self) -> Arc<Notify> {
        Arc::clone(&self.0.lease_asked)
    }

    /// Who cannot be ended.
    pub(crate) fn lease_alarms(&self) -> &Sentences {
        &self.0.lease_alarms
    }

    /// OAuth tokens that are refreshed.
    pub(crate) fn refreshes(&self) -> &Refreshes {
        &self.0.refreshes
    }

    /// Wakes who does it.
    pub(crate) fn refresh_asked(&self) -> Arc<Notify> {
        Arc::clone(&self.0.refresh_asked)
    }

    /// What went wrong with it.
    pub(crate) fn refresh_alarms(&self) -> &Sentences {
        &self.0.refresh_alarms
    }

    /// Where credentials are used.
    pub(crate) fn places(&self) -> &Places {
        &self.0.places
    }

    /// How backups are.
    pub(crate) fn backups(&self) -> &BackupWatch {
        &self.0.backups
    }

    /// What changed of secrets lately.
    pub(crate) fn changes(&self) -> &ChangeFeed {
        &self.0.changes
    }

    /// Cancelled when the service is asked to end: whoever waits for something is answered with what there is.
    pub(crate) fn stopping(&self) -> &CancellationToken {
        &self.0.stopping
    }

    /// Time and luck.
    pub(crate) fn world(&self) -> &World {
        &self.0.world
    }

    /// The bounds.
    pub(crate) fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// The counters.
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// Who recognises callers.
    pub(crate) fn doorkeeper(&self) -> &Doorkeeper {
        &self.0.doorkeeper
    }

    /// The dashboard's sessions.
    pub(crate) fn sessions(&self) -> &Sessions {
        &self.0.sessions
    }

    /// Who says what expires when.
    pub(crate) fn surveyor(&self) -> &Surveyor {
        &self.0.surveyor
    }

    /// When API tokens end, as it was a moment ago at most. Without the register, what was known is forgotten until it is back.
    pub(crate) async fn ends(&self) -> Ends {
        let kept = self.0.ends.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((_, ends)) = kept.filter(|(at, _)| at.elapsed() < ENDS_AGE_MAX) {
            return ends;
        }
        let read = auth::ends(self.ledger(), self.world().now()).await.unwrap_or_default();
        *self.0.ends.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), read.clone()));
        read
    }

    /// What was known of the tokens has changed: it is read again.
    pub(crate) fn forget_ends(&self) {
        *self.0.ends.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// How the secrets are.
    pub(crate) fn keepsakes(&self) -> &Keepsakes {
        &self.0.keepsakes
    }

    /// Who says how the service is.
    pub(crate) fn lookout(&self) -> &Lookout {
        &self.0.lookout
    }

    /// Asks policy; a refusal is a leaf and a 403. What reads or writes takes the grant.
    pub(crate) async fn authorize(&self, actor: &Actor, action: Action, on: Resource) -> Result<Grant, Problem> {
        Ok(self.authority().authorize(actor, action, on).await?)
    }

    /// Runs what must not stop half-way in its own task: a client that hangs up changes nothing.
    pub(crate) async fn to_its_end<T, F>(&self, work: F) -> Result<T, Problem>
    where
        F: Future<Output = Result<T, CaError>> + Send + 'static,
        T: Send + 'static,
    {
        self.finished(work).await
    }

    /// The same of what is done with secrets.
    pub(crate) async fn secret_to_its_end<T, F>(&self, work: F) -> Result<T, Problem>
    where
        F: Future<Output = Result<T, SecretError>> + Send + 'static,
        T: Send + 'static,
    {
        self.finished(work).await
    }

    async fn finished<T, E, F>(&self, work: F) -> Result<T, Problem>
    where
        F: Future<Output = Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: Send + 'static,
        Problem: From<E>,
    {
        match tokio::spawn(work).await {
            Ok(outcome) => Ok(outcome?),
            Err(_panicked) => {
                self.metrics().panicked();
                let reference = reference();
                tracing::error!(reference, "a task panicked");
                Err(Problem::new(
                    Kind::Internal,
                    format!("The log of the service says why, under reference {reference}."),
                ))
            }
        }
    }
}
