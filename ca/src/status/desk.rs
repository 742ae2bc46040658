//! The desks: one per series, where its CRLs are asked for.
//!
//! A desk is a task that takes requests to publish and makes one CRL for all that wait. It makes a few at once and then one
//! a second, so that ten revocations a millisecond do not make ten CRLs. A large one is made in a bounded share of the time, and
//! no revocation waits for it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use policy::World;
use store::{DELTA, Shard};
use tokio::sync::{mpsc, oneshot};

use crate::error::CaError;
use crate::status::publisher::{Publisher, Series};
use crate::status::shelf::PublishedCrl;

/// The desks of all generations.
pub(crate) struct Desks {
    publisher: Arc<Publisher>,
    desks: Mutex<BTreeMap<String, Desk>>,
}

impl Desks {
    /// A desk is opened for a generation when it is first asked. Their tasks end with the last handle on the desks.
    pub(crate) fn open(publisher: Publisher) -> Desks {
        Desks { publisher: Arc::new(publisher), desks: Mutex::default() }
    }

    /// The newest CRL of a generation.
    pub(crate) async fn crl(&self, generation: &str) -> Result<PublishedCrl, CaError> {
        self.publisher.newest(generation).await
    }

    /// Publishes every CRL that is due: a revocation it lacks, or a day of age. What has ended has no next one.
    pub(crate) async fn refresh(&self) -> Result<(), CaError> {
        let mut first_failure = Ok(());
        for generation in self.publisher.series().await? {
            // One's trouble keeps no other's CRL back.
            first_failure = first_failure.and(self.desk(&generation).publish(Patience::Whole).await.map(drop));
        }
        first_failure
    }

    /// Makes a generation's CRL, whether or not it is due.
    pub(crate) async fn publish_now(&self, generation: &str) -> Result<PublishedCrl, CaError> {
        self.publisher.publish_now(generation).await
    }

    /// Publishes after a revocation, which is durable already: a failure here is an alarm, not the caller's, who is told all the same.
    ///
    /// Where its revocations are parted the part is made: that is where certificates point to. The complete one follows at its pace. Where
    /// there are deltas the delta is made, and what it rests on follows.
    pub(crate) async fn after_revocation(&self, generation: &str, shard: Option<Shard>) -> Published {
        if !self.publisher.publishes(generation) {
            return Published::Never;
        }
        let complete = shard.map_or_else(|| generation.to_owned(), |shard| shard.series(generation));
        if shard.is_some() {
            self.desk(generation).nudge();
        }
        if !self.publisher.has_deltas(&complete) {
            return self.after_one_of(&complete).await;
        }
        let published = self.after_one_of(&format!("{complete}{DELTA}")).await;
        self.desk(&complete).nudge();
        published
    }

    async fn after_one_of(&self, series: &str) -> Published {
        let desk = self.desk(series);
        if !desk.rested() || !is_small(self.publisher.listed(series)) {
            desk.nudge();
            return Published::Pending;
        }
        desk.publish(Patience::AtOnce).await.unwrap_or(Published::Pending)
    }

    fn desk(&self, series: &str) -> Desk {
        if let Some(desk) = self.there().get(series) {
            return desk.clone();
        }
        // RFC 5280 section 5.2.4: a complete CRL is read together with deltas of greater numbers alone. So one follows each of them.
        let is_complete_with_deltas = !series.ends_with(DELTA) && self.publisher.has_deltas(series);
        let then = is_complete_with_deltas.then(|| self.desk(&format!("{series}{DELTA}")));
        let mut desks = self.there();
        if let Some(desk) = desks.get(series) {
            return desk.clone();
        }
        let (desk, clerk) = Desk::open(series, &self.publisher.world, then);
        tokio::spawn(clerk.serve(Arc::downgrade(&self.publisher)));
        desks.insert(series.to_owned(), desk.clone());
        desk
    }

    fn there(&self) -> MutexGuard<'_, BTreeMap<String, Desk>> {
        self.desks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where a revocation stands with the public.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published {
    /// A CRL that has it is served: the delta, where there are deltas.
    Now,
    /// A CRL that has it will be made: others are made first, or the token or the clock does not allow it yet.
    Pending,
    /// No CRL is made of such credentials.
    Never,
}

/// How long somebody waits at a desk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Patience {
    /// Until the CRL is made, if it can begin at once: a revocation is durable already, and waits neither for the next second nor for
    /// another CRL of its series.
    AtOnce,
    /// Until it is made.
    Whole,
}

/// Who waits.
struct Waiting {
    patience: Patience,
    answer: oneshot::Sender<Result<Published, CaError>>,
}

/// The way to one generation's desk.
#[derive(Clone)]
struct Desk {
    requests: mpsc::Sender<Option<Waiting>>,
    shared: Arc<Shared>,
}

/// What a desk and those who ask it both see.
struct Shared {
    started: Instant,
    /// Milliseconds after `started` up to which the desk has worked ahead: each CRL adds [`PACE_MS`].
    ahead_until_ms: AtomicU64,
    /// Milliseconds after `started` before which no CRL is made, as the last one was large.
    rests_until_ms: AtomicU64,
}

impl Desk {
    /// Opens the desk, and puts a clerk behind it. `then` is asked for one after each that is made here.
    fn open(label: &str, world: &World, then: Option<Desk>) -> (Desk, Clerk) {
        let (requests, inbox) = mpsc::channel(DESK_QUEUE);
        let shared = Arc::new(Shared {
            started: Instant::now(),
            ahead_until_ms: AtomicU64::new(0),
            rests_until_ms: AtomicU64::new(0),
        });
        let (label, world, series) = (label.to_owned(), world.clone(), Series::default());
        let clerk = Clerk { label, world, inbox, shared: shared.clone(), series, then };
        (Desk { requests, shared }, clerk)
    }

    /// Whether a request would be served at once.
    fn rested(&self) -> bool {
        self.shared.rest_ms() == 0
    }

    /// Has the CRL made if it is due, and waits for it.
    async fn publish(&self, patience: Patience) -> Result<Published, CaError> {
        let (answer, answered) = oneshot::channel();
        let closed = || CaError::unavailable(CLOSED_RETRY_SECS, "the CRL desk is closed");
        self.requests.send(Some(Waiting { patience, answer })).await.map_err(|_| closed())?;
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
        let now = self.elapsed_ms();
        let ahead = self.ahead_until_ms.load(Ordering::Relaxed).saturating_sub(now.saturating_add(AHEAD_MS));
        ahead.max(self.rests_until_ms.load(Ordering::Relaxed).saturating_sub(now))
    }

    fn made_one(&self, listed: u64, took: Duration, pace: Pace) {
        let now = self.elapsed_ms();
        let from = self.ahead_until_ms.load(Ordering::Relaxed).max(now);
        self.ahead_until_ms.store(from + pace.each_ms, Ordering::Relaxed);
        self.rests_until_ms.store(now + rest_after(listed, took).max(pace.rest_ms), Ordering::Relaxed);
    }
}

/// How often a desk makes a CRL. Each begins after the one before of whichever kind, in whole seconds: a series with deltas makes fewer
/// than one a second together, or its CRLs would begin ever further ahead.
#[derive(Clone, Copy)]
struct Pace {
    each_ms: u64,
    rest_ms: u64,
}

impl Pace {
    fn of(series: &str, has_deltas: bool) -> Pace {
        match (has_deltas, series.ends_with(DELTA)) {
            (false, _) => Pace { each_ms: PACE_MS, rest_ms: 0 },
            (true, true) => Pace { each_ms: DELTA_PACE_MS, rest_ms: 0 },
            (true, false) => Pace { each_ms: PACE_MS, rest_ms: BASE_REST_MS },
        }
    }
}

/// The one who makes an issuer's CRLs.
struct Clerk {
    label: String,
    world: World,
    inbox: mpsc::Receiver<Option<Waiting>>,
    shared: Arc<Shared>,
    series: Series,
    then: Option<Desk>,
}

impl Clerk {
    /// Serves until nobody can ask any more. Holds the publisher only while there is work.
    async fn serve(mut self, publisher: Weak<Publisher>) {
        let mut failed = false;
        // Who came while one was made that had to wait.
        let mut came: Vec<Option<Waiting>> = Vec::new();
        loop {
            let first = match failed {
                _ if !came.is_empty() => Some(came.swap_remove(0)),
                // The token, or the clock, will be back: whoever was revoked meanwhile does not wait for somebody else to ask.
                true => tokio::time::timeout(AGAIN, self.inbox.recv()).await.unwrap_or(Some(None)),
                false => self.inbox.recv().await,
            };
            let Some(first) = first else { return };
            let mut waiting: Vec<_> = first.into_iter().chain(came.drain(..).flatten()).collect();
            while let Ok(more) = self.inbox.try_recv() {
                waiting.extend(more);
            }
            let Some(held) = publisher.upgrade() else { return };
            let (began, turn) = (Instant::now(), held.turn_now(&self.label));
            if turn.is_none() {
                for one in waiting.extract_if(.., |one| one.patience == Patience::AtOnce) {
                    let _ = one.answer.send(Ok(Published::Pending));
                }
            }
            let waits = turn.is_none();
            let made = {
                let mut making = std::pin::pin!(held.publish(&self.label, &mut self.series, turn));
                loop {
                    tokio::select! {
                        made = &mut making => break made,
                        Some(one) = self.inbox.recv(), if waits => match put_off(one) {
                            None if came.iter().any(Option::is_none) => {}
                            one => came.push(one),
                        },
                    }
                }
            };
            let listed = held.listed(&self.label);
            let pace = Pace::of(&self.label, held.has_deltas(&self.label));
            drop(held);
            match &made {
                // Said once, not with every try.
                Err(e) if !failed => tracing::error!(issuer = %self.label, error = %e, "no CRL was published"),
                Err(e) => tracing::debug!(issuer = %self.label, error = %e, "no CRL was published"),
                Ok(_) => {}
            }
            failed = made.is_err();
            if matches!(made, Ok(true)) {
                let took = began.elapsed();
                tracing::debug!(issuer = %self.label, listed, ?took, "a CRL is published");
                self.shared.made_one(listed, took, pace);
                self.then.iter().for_each(Desk::nudge);
            }
            for one in waiting {
                let _ = one.answer.send(repeat(&made));
            }
            tokio::time::sleep(self.world.wait(Duration::from_millis(self.shared.rest_ms()))).await;
        }
    }
}

/// Somebody came while one is made that has to wait: who has no patience is told so. Another is made for whoever came.
fn put_off(one: Option<Waiting>) -> Option<Waiting> {
    match one {
        Some(one) if one.patience == Patience::AtOnce => {
            let _ = one.answer.send(Ok(Published::Pending));
            None
        }
        other => other,
    }
}

/// The same answer for everyone who waited. Errors hold foreign causes, so the copies are of the kinds a caller acts on.
fn repeat(made: &Result<bool, CaError>) -> Result<Published, CaError> {
    match made {
        Ok(_) => Ok(Published::Now),
        Err(CaError::Unavailable { retry_after_secs, why, issuer }) => {
            Err(CaError::Unavailable { retry_after_secs: *retry_after_secs, why: why.clone(), issuer: issuer.clone() })
        }
        Err(CaError::Held { why, retry_after_secs }) => {
            Err(CaError::Held { why: why.clone(), retry_after_secs: *retry_after_secs })
        }
        Err(CaError::Unknown { operation, why }) => Err(CaError::Unknown { operation: *operation, why: why.clone() }),
        Err(CaError::Altered(says)) => Err(CaError::Altered(says.clone())),
        Err(CaError::Conflict(why)) => Err(CaError::Conflict(why.clone())),
        Err(other) => Err(CaError::Internal(other.to_string())),
    }
}

/// Whether a revocation waits for a CRL of so many entries.
fn is_small(listed: u64) -> bool {
    listed <= WAITED_FOR_MAX
}

/// How long a desk rests after a CRL, milliseconds. A small one costs nothing that [`PACE_MS`] does not bound.
fn rest_after(listed: u64, took: Duration) -> u64 {
    let took = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    if is_small(listed) { 0 } else { took.saturating_mul(REST_TIMES).clamp(PACE_MS, REST_MS_MAX) }
}

/// A CRL of at most so many entries is waited for: it takes a few milliseconds to make, whatever the machine. Counted and not
/// measured, so that the same revocation waits on every machine or on none.
const WAITED_FOR_MAX: u64 = 10_000;
/// After a large CRL the desk rests for so many times as long as it took: an eleventh of the time at most goes into them ...
const REST_TIMES: u64 = 10;
/// ... but never for longer than this: a revocation is published within seconds.
const REST_MS_MAX: u64 = 10_000;
/// In the long run a desk makes one CRL in this time; many revocations share it.
const PACE_MS: u64 = 1000;
/// The same of deltas ...
const DELTA_PACE_MS: u64 = 2000;
/// ... and the rest after a complete CRL where deltas tell what is new.
const BASE_REST_MS: u64 = 5000;
/// So far ahead of its pace it may get: a person who revokes a few certificates waits for none of this.
const AHEAD_MS: u64 = 4000;
/// Requests that may wait at a desk: each is answered by the next CRL, so this bounds callers and not work.
const DESK_QUEUE: usize = 1024;
const CLOSED_RETRY_SECS: u32 = 5;
/// So long after a CRL that could not be made it is tried again.
const AGAIN: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_crl_takes_a_bounded_share_of_the_time_and_a_small_one_is_waited_for() {
        let secs = Duration::from_secs;
        for (listed, took, waits, rest) in [
            (0, secs(3), true, 0),
            (WAITED_FOR_MAX, secs(3), true, 0),
            (WAITED_FOR_MAX + 1, Duration::from_millis(20), false, PACE_MS),
            (100_000, Duration::from_millis(300), false, 3_000),
            (1_000_000, secs(4), false, REST_MS_MAX),
            (u64::MAX, Duration::MAX, false, REST_MS_MAX),
        ] {
            assert_eq!((is_small(listed), rest_after(listed, took)), (waits, rest), "{listed} in {took:?}");
        }
    }

    #[test]
    fn a_desk_makes_a_few_at_once_and_rests_after_a_large_one() {
        let shared = Shared { started: Instant::now(), ahead_until_ms: 0.into(), rests_until_ms: 0.into() };
        for _ in 0..4 {
            assert_eq!(shared.rest_ms(), 0);
            shared.made_one(5, Duration::from_millis(2), Pace::of("tls/1", false));
        }
        let shared = Shared { started: Instant::now(), ahead_until_ms: 0.into(), rests_until_ms: 0.into() };
        shared.made_one(WAITED_FOR_MAX + 1, Duration::from_secs(1), Pace::of("tls/1", false));
        assert!(shared.rest_ms() > REST_MS_MAX / 2);
    }

    #[test]
    fn a_series_and_its_deltas_together_make_less_than_one_a_second() {
        let [complete, delta] = [Pace::of("tls/1", true), Pace::of("tls/1/delta", true)];
        let a_minute = |each_ms: u64| 60_000 / each_ms;
        assert!(a_minute(complete.rest_ms) + a_minute(delta.each_ms) < 60);
    }
}
