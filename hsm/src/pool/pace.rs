//! How long signatures take, waiting included: for whoever watches. Counting costs two atomic additions.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds, in milliseconds; the last one is open.
const BOUNDS_MS: [u64; 11] = [1, 2, 5, 10, 20, 50, 100, 250, 1_000, 5_000, 30_000];

/// Since the pool was opened.
#[derive(Debug, Default)]
pub(super) struct Pace {
    counts: [AtomicU64; BOUNDS_MS.len() + 1],
    micros: AtomicU64,
    failed: AtomicU64,
}

/// What was counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SigningTimes {
    /// How many signatures took at most so many milliseconds, and longer than the bound before; the last has no bound.
    pub counts: Vec<(Option<u64>, u64)>,
    /// All of them together.
    pub total: Duration,
    /// What was asked for and not signed, or nobody knows.
    pub failed: u64,
    /// How many wait for a session now.
    pub queued: usize,
}

impl Pace {
    pub(super) fn signed(&self, took: Duration) {
        let millis = took.as_micros().div_ceil(1_000);
        let place = BOUNDS_MS.iter().position(|bound| millis <= u128::from(*bound)).unwrap_or(BOUNDS_MS.len());
        if let Some(count) = self.counts.get(place) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.micros.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(super) fn failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn times(&self, queued: usize) -> SigningTimes {
        let bounds = BOUNDS_MS.iter().map(|bound| Some(*bound)).chain([None]);
        SigningTimes {
            counts: bounds.zip(self.counts.iter().map(|count| count.load(Ordering::Relaxed))).collect(),
            total: Duration::from_micros(self.micros.load(Ordering::Relaxed)),
            failed: self.failed.load(Ordering::Relaxed),
            queued,
        }
    }
}

impl SigningTimes {
    /// Of two tokens together.
    pub(super) fn and(mut self, other: SigningTimes) -> SigningTimes {
        for ((_, count), (_, more)) in self.counts.iter_mut().zip(other.counts) {
            *count += more;
        }
        self.total += other.total;
        self.failed += other.failed;
        self.queued += other.queued;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_counts_in_the_first_bound_that_holds_it() {
        let pace = Pace::default();
        for micros in [0, 1_000, 1_001, 31_000_000] {
            pace.signed(Duration::from_micros(micros));
        }
        pace.failed();
        let times = pace.times(3);
        let filled: Vec<_> = times.counts.iter().filter(|(_, count)| *count > 0).copied().collect();
        assert_eq!(filled, [(Some(1), 2), (Some(2), 1), (None, 1)]);
        assert_eq!((times.failed, times.queued, times.total), (1, 3, Duration::from_micros(31_002_001)));
    }
}
