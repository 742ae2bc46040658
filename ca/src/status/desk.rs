//! The desks: one per issuer, where its CRLs are asked for.
//!
//! A desk is a task that takes requests to publish and makes one CRL for all that wait. It makes a few at once and then one
//! a second, so that ten revocations a millisecond do not make ten CRLs.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use crate::error::CaError;
use crate::status::publisher::Publisher;
use crate::status::shelf::PublishedCrl;

/// The desks of all issuers.
pub(crate) struct Desks {
    publisher: Arc<Publisher>,
    desks: BTreeMap<String, Desk>,
}

impl Desks {
    /// Opens a desk for each issuer. Their tasks end with the last handle on the desks.
    pub(crate) fn open(publisher: Publisher, labels: impl Iterator<Item = String>) -> Desks {
        let publisher = Arc::new(publisher);
        let mut desks = BTreeMap::new();
        for label in labels {
            let (desk, clerk) = Desk::open(&label);
            tokio::spawn(clerk.serve(Arc::downgrade(&publisher)));
            desks.insert(label, desk);
        }
        Desks { publisher, desks }
    }

    /// The newest CRL of an issuer.
    pub(crate) async fn crl(&self, issuer: &str) -> Result<PublishedCrl, CaError> {
        self.publisher.newest(issuer).await
    }

    /// Publishes every CRL that is due: a revocation it lacks, or a day of age.
    pub(crate) async fn refresh(&self) -> Result<(), CaError> {
        let mut first_failure = Ok(());
        for desk in self.desks.values() {
            // One issuer's trouble keeps no other's CRL back.
            first_failure = first_failure.and(desk.publish().await);
        }
        first_failure
    }

    /// Publishes after a revocation, which is durable already: a failure here is an alarm, not the caller's.
    pub(crate) async fn after_revocation(&self, issuer: &str) {
        let Some(desk) = self.desks.get(issuer) else { return };
        if desk.rested() {
            if let Err(e) = desk.publish().await {
                tracing::error!(issuer, error = %e, "the CRL after a revocation is not published yet");
            }
        } else {
            desk.nudge();
        }
    }
}

/// The way to one issuer's desk.
struct Desk {
    requests: mpsc::Sender<Option<oneshot::Sender<Result<(), CaError>>>>,
    shared: Arc<Shared>,
}

/// What a desk and those who ask it both see.
struct Shared {
    started: Instant,
    /// Milliseconds after `started` up to which the desk has worked ahead: each CRL adds [`PACE_MS`].
    ahead_until_ms: AtomicU64,
}

impl Desk {
    /// Opens the desk, and puts a clerk behind it.
    fn open(label: &str) -> (Desk, Clerk) {
        let (requests, inbox) = mpsc::channel(DESK_QUEUE);
        let shared = Arc::new(Shared { started: Instant::now(), ahead_until_ms: AtomicU64::new(0) });
        let clerk = Clerk { label: label.to_owned(), inbox, shared: shared.clone(), last_number: 0 };
        (Desk { requests, shared }, clerk)
    }

    /// Whether a request would be served at once.
    fn rested(&self) -> bool {
        self.shared.rest_ms() == 0
    }

    /// Has the CRL made if it is due, and waits for it.
    async fn publish(&self) -> Result<(), CaError> {
        let (answer, answered) = oneshot::channel();
        let closed = || CaError::unavailable(CLOSED_RETRY_SECS, "the CRL desk is closed");
        self.requests.send(Some(answer)).await.map_err(|_| closed())?;
        answered.await.map_err(|_| closed())?
    }

    /// Has the CRL made soon. A full queue means that it will be made anyway.
    fn nudge(&self) {
        let _ = self.requests.try_send(None);
    }
}

impl Shared {
    fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// How long the desk has to rest before its next CRL.
    fn rest_ms(&self) -> u64 {
        self.ahead_until_ms.load(Ordering::Relaxed).saturating_sub(self.elapsed_ms().saturating_add(AHEAD_MS))
    }

    fn made_one(&self) {
        let from = self.ahead_until_ms.load(Ordering::Relaxed).max(self.elapsed_ms());
        self.ahead_until_ms.store(from + PACE_MS, Ordering::Relaxed);
    }
}

/// The one who makes an issuer's CRLs.
struct Clerk {
    label: String,
    inbox: mpsc::Receiver<Option<oneshot::Sender<Result<(), CaError>>>>,
    shared: Arc<Shared>,
    /// The highest number used by this process: a number is used up even by a CRL that was not signed.
    last_number: u64,
}

impl Clerk {
    /// Serves until nobody can ask any more. Holds the publisher only while there is work.
    async fn serve(mut self, publisher: Weak<Publisher>) {
        while let Some(first) = self.inbox.recv().await {
            let mut waiting: Vec<_> = first.into_iter().collect();
            while let Ok(more) = self.inbox.try_recv() {
                waiting.extend(more);
            }
            let Some(held) = publisher.upgrade() else { return };
            let made = held.publish(&self.label, &mut self.last_number).await;
            drop(held);
            if let Err(e) = &made {
                tracing::error!(issuer = %self.label, error = %e, "no CRL was published");
            }
            if matches!(made, Ok(true)) {
                self.shared.made_one();
            }
            for answer in waiting {
                let _ = answer.send(repeat(&made));
            }
            tokio::time::sleep(Duration::from_millis(self.shared.rest_ms())).await;
        }
    }
}

/// The same answer for everyone who waited. Errors hold foreign causes, so the copies are of the kinds a caller acts on.
fn repeat(made: &Result<bool, CaError>) -> Result<(), CaError> {
    match made {
        Ok(_) => Ok(()),
        Err(CaError::Unavailable { retry_after_secs, why }) => {
            Err(CaError::unavailable(*retry_after_secs, why.clone()))
        }
        Err(CaError::Unknown { operation, why }) => Err(CaError::Unknown { operation: *operation, why: why.clone() }),
        Err(CaError::Conflict(why)) => Err(CaError::Conflict(why.clone())),
        Err(other) => Err(CaError::Internal(other.to_string())),
    }
}

/// In the long run a desk makes one CRL in this time; many revocations share it.
const PACE_MS: u64 = 1000;
/// So far ahead of its pace it may get: a person who revokes a few certificates waits for none of this.
const AHEAD_MS: u64 = 4000;
/// Requests that may wait at a desk: each is answered by the next CRL, so this bounds callers and not work.
const DESK_QUEUE: usize = 1024;
const CLOSED_RETRY_SECS: u32 = 5;
