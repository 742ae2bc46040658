//! What every handler may lean on: the rooms below and the edge's own small memories.
//!
//! The whole is built once by `serve` and shared; nothing in it is a second copy of what the register knows, except
//! [`TokenMemory`](crate::auth), whose age is bounded.

use std::future::Future;
use std::sync::Arc;

use ca::{Authority, CaError};
use lifecycle::RenewalWatch;
use policy::{Action, Actor, Grant, Resource, World};
use store::Ledger;

use crate::auth::TokenMemory;
use crate::forecast::Recent;
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::problem::{Kind, Problem, reference};
use crate::sessions::Sessions;
use crate::throttle::Throttle;

/// The shared state of all routes. Cheap to clone.
#[derive(Clone)]
pub(crate) struct App(Arc<Inner>);

struct Inner {
    authority: Authority,
    ledger: Ledger,
    world: World,
    limits: Limits,
    metrics: Arc<Metrics>,
    memory: TokenMemory,
    throttle: Throttle,
    sessions: Sessions,
    recent: Recent,
    renewals: RenewalWatch,
}

impl App {
    /// The state over these rooms.
    pub(crate) fn new(
        authority: Authority,
        ledger: Ledger,
        world: World,
        limits: Limits,
        metrics: Arc<Metrics>,
        renewals: RenewalWatch,
    ) -> Self {
        let memory = TokenMemory::new(limits.token_memory);
        let throttle = Throttle::new(limits.failures);
        let (sessions, recent) = (Sessions::new(), Recent::default());
        Self(Arc::new(Inner {
            authority,
            ledger,
            world,
            limits,
            metrics,
            memory,
            throttle,
            sessions,
            recent,
            renewals,
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

    /// API tokens looked up lately.
    pub(crate) fn memory(&self) -> &TokenMemory {
        &self.0.memory
    }

    /// Addresses that failed lately.
    pub(crate) fn throttle(&self) -> &Throttle {
        &self.0.throttle
    }

    /// The dashboard's sessions.
    pub(crate) fn sessions(&self) -> &Sessions {
        &self.0.sessions
    }

    /// The survey of expiries made last.
    pub(crate) fn recent(&self) -> &Recent {
        &self.0.recent
    }

    /// Renewals that are overdue.
    pub(crate) fn renewals(&self) -> &RenewalWatch {
        &self.0.renewals
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
        match tokio::spawn(work).await {
            Ok(outcome) => Ok(outcome?),
            Err(_panicked) => {
                self.metrics().panicked();
                let reference = reference();
                tracing::error!(reference, "an issuance task panicked");
                Err(Problem::new(
                    Kind::Internal,
                    format!("The log of the service says why, under reference {reference}."),
                ))
            }
        }
    }
}
