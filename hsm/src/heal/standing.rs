//! The state of a pool, in one place: who may change it, and what everyone is told.
//!
//! `Ready` is left by whoever meets trouble and is come back to by the healer alone. `Locked` and shut down are final.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::error::HsmError;
use crate::lock::locked;

/// How the token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// It signs.
    Ready,
    /// It does not answer; the pool is bringing it back by itself (or was shut down: `why` says so).
    Healing {
        /// What was seen.
        why: String,
    },
    /// The PIN was refused; it is never tried again before a restart.
    Locked {
        /// What the token said.
        why: String,
    },
}

/// How long a token that was too slow is passed over before it is tried again.
const PASSED_OVER: Duration = Duration::from_secs(1);
/// When to ask again: the healer looks every second at least.
pub(crate) const RETRY_AFTER_HEALING_SECS: u32 = 2;
/// When to ask again of a token whose PIN an operator must mend first.
const RETRY_AFTER_LOCKED_SECS: u32 = 300;
/// When to ask again after a full queue.
pub(crate) const RETRY_AFTER_BUSY_SECS: u32 = 1;

#[derive(Clone, Debug)]
enum State {
    Ready,
    Healing { why: String, since: Instant },
    Locked { why: String },
    Closed,
}

/// Shared by callers, session threads and the healer.
pub(crate) struct Standing {
    /// What the token is called here.
    name: String,
    state: Mutex<State>,
    changed: Condvar,
    /// The fast answer to "is it Ready", for the hot path.
    ready: Arc<AtomicBool>,
    /// Until when, in milliseconds since `born`, keys that are at home elsewhere too pass this token over: it was too slow.
    passed_over_until: AtomicU64,
    born: Instant,
    /// Signatures that it took and did not answer in time: until it does, who can be served elsewhere is.
    silent: AtomicUsize,
    /// Grows each time the token comes back: handles of before may name other objects.
    epoch: AtomicU64,
}

impl Standing {
    pub(crate) fn ready(name: &str) -> Standing {
        Standing {
            name: name.to_owned(),
            state: Mutex::new(State::Ready),
            changed: Condvar::new(),
            ready: Arc::new(AtomicBool::new(true)),
            passed_over_until: AtomicU64::new(0),
            born: Instant::now(),
            silent: AtomicUsize::new(0),
            epoch: AtomicU64::new(0),
        }
    }

    /// The fast answer, for whoever asks about many.
    pub(crate) fn is_well(&self) -> &Arc<AtomicBool> {
        &self.ready
    }

    /// Nobody had time for a signature: for a while, who can be served elsewhere is.
    pub(crate) fn pass_over(&self) {
        let until = self.born.elapsed() + PASSED_OVER;
        self.passed_over_until.store(u64::try_from(until.as_millis()).unwrap_or(u64::MAX), Ordering::Release);
    }

    /// It took a signature, and whoever waited for it has left.
    pub(crate) fn fell_silent(&self) {
        self.silent.fetch_add(1, Ordering::AcqRel);
    }

    /// One of those came back, with whatever answer.
    pub(crate) fn spoke(&self) {
        self.silent.fetch_sub(1, Ordering::AcqRel);
    }

    /// Whether it is asked last for now.
    pub(crate) fn is_passed_over(&self) -> bool {
        self.silent.load(Ordering::Acquire) > 0
            || self.born.elapsed().as_millis() < u128::from(self.passed_over_until.load(Ordering::Acquire))
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    pub(crate) fn health(&self) -> Health {
        match locked(&self.state).clone() {
            State::Ready => Health::Ready,
            State::Healing { why, .. } => Health::Healing { why },
            State::Locked { why } => Health::Locked { why },
            State::Closed => Health::Healing { why: "the pool was shut down".into() },
        }
    }

    /// Why nothing is done now, and when to ask again.
    pub(crate) fn absence(&self) -> (String, u32) {
        match self.health() {
            Health::Ready => ("the token has just come back".into(), RETRY_AFTER_BUSY_SECS),
            Health::Healing { why } => (why, RETRY_AFTER_HEALING_SECS),
            Health::Locked { why } => (format!("the PIN was refused: {why}"), RETRY_AFTER_LOCKED_SECS),
        }
    }

    /// The same as an error.
    pub(crate) fn unavailable(&self) -> HsmError {
        match self.health() {
            Health::Locked { why } => HsmError::Locked(why),
            Health::Ready | Health::Healing { .. } => {
                let (why, retry_after_secs) = self.absence();
                HsmError::Unavailable { retry_after_secs, why }
            }
        }
    }

    /// Somebody met trouble: nothing is signed until the healer has looked.
    pub(crate) fn trouble(&self, why: &str) {
        let mut state = locked(&self.state);
        if let State::Ready = *state {
            tracing::error!(name: "edge", token = self.name, why, "the token is in trouble; healing begins");
            self.ready.store(false, Ordering::Release);
            *state = State::Healing { why: why.to_owned(), since: Instant::now() };
            self.changed.notify_all();
        }
    }

    /// The PIN was refused.
    pub(crate) fn lock(&self, why: &str) {
        let mut state = locked(&self.state);
        if let State::Ready | State::Healing { .. } = *state {
            tracing::error!(token = self.name, why, "the token refused the PIN; it is not tried again until restart");
            self.ready.store(false, Ordering::Release);
            *state = State::Locked { why: why.to_owned() };
            self.changed.notify_all();
        }
    }

    /// For good.
    pub(crate) fn close(&self) {
        let mut state = locked(&self.state);
        self.ready.store(false, Ordering::Release);
        *state = State::Closed;
        self.changed.notify_all();
    }

    /// The healer's news while the token is away.
    pub(crate) fn still_away(&self, news: &str) {
        if let State::Healing { why, .. } = &mut *locked(&self.state) {
            news.clone_into(why);
        }
    }

    /// The healer saw the token at work.
    pub(crate) fn recovered(&self) {
        let mut state = locked(&self.state);
        if let State::Healing { since, .. } = &*state {
            tracing::info!(token = self.name, away_ms = since.elapsed().as_millis(), "the token is back");
            self.epoch.fetch_add(1, Ordering::AcqRel);
            *state = State::Ready;
            self.ready.store(true, Ordering::Release);
            self.changed.notify_all();
        }
    }

    /// Waits until there is something to heal; `false` when there never will be again.
    pub(crate) fn wait_for_trouble(&self) -> bool {
        let state = locked(&self.state);
        let state =
            self.changed.wait_while(state, |s| matches!(s, State::Ready)).unwrap_or_else(PoisonError::into_inner);
        matches!(*state, State::Healing { .. })
    }

    /// Waits a while, or less if the state changes; whether there is still something to heal.
    pub(crate) fn pause(&self, pause: Duration) -> bool {
        let state = locked(&self.state);
        let (state, _) = self
            .changed
            .wait_timeout_while(state, pause, |s| matches!(s, State::Healing { .. }))
            .unwrap_or_else(PoisonError::into_inner);
        matches!(*state, State::Healing { .. })
    }
}
