//! The clock of one connection: how many requests it has made, which are under way, and when to look at it again.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::limits::Limits;

/// What a connection has done so far, as far as its deadlines care.
pub(super) struct Watch {
    opened: Instant,
    requests: AtomicU64,
    /// The requests under way, by number, and when each began.
    under_way: Mutex<BTreeMap<u64, Instant>>,
    quiet_since_ms: AtomicU64,
}

impl Watch {
    /// A connection that has just been opened.
    pub(super) fn new() -> Self {
        Self {
            opened: Instant::now(),
            requests: AtomicU64::new(0),
            under_way: Mutex::default(),
            quiet_since_ms: AtomicU64::new(0),
        }
    }

    /// How many requests have begun.
    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Acquire)
    }

    /// Whether a request is under way.
    pub(super) fn is_busy(&self) -> bool {
        self.oldest().is_some()
    }

    /// When the oldest request under way began.
    fn oldest(&self) -> Option<Instant> {
        let under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        under_way.first_key_value().map(|(_, began)| *began)
    }

    /// When to look at this connection again; in the past when it was quiet, or stuck, for too long.
    pub(super) fn deadline(&self, limits: &Limits) -> Instant {
        match (self.requests(), self.oldest()) {
            (0, _) => self.opened + limits.first_request,
            (_, Some(began)) => began + limits.request + limits.answer,
            (_, None) => self.opened + Duration::from_millis(self.quiet_since_ms.load(Ordering::Acquire)) + limits.idle,
        }
    }
}

/// A request under way, ended by drop so that a cancelled stream ends it too.
pub(super) struct UnderWay {
    watch: Arc<Watch>,
    number: u64,
}

impl UnderWay {
    /// Begins one.
    pub(super) fn begin(watch: Arc<Watch>) -> Self {
        let number = watch.requests.fetch_add(1, Ordering::AcqRel);
        watch.under_way.lock().unwrap_or_else(PoisonError::into_inner).insert(number, Instant::now());
        Self { watch, number }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let quiet_since = u64::try_from(self.watch.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.watch.quiet_since_ms.store(quiet_since, Ordering::Release);
        self.watch.under_way.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.number);
    }
}
