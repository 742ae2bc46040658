//! How far what goes through all keys is.

use std::sync::atomic::{AtomicU64, Ordering};

/// How far a walk is: others look at it meanwhile. Of one walk at a time.
#[derive(Debug, Default)]
pub(super) struct Progress {
    looked: AtomicU64,
    of: AtomicU64,
}

impl Progress {
    /// How many keys were looked at, of how many; none where nobody walks.
    pub(super) fn now(&self) -> Option<(u64, u64)> {
        let (looked, of) = (self.looked.load(Ordering::Relaxed), self.of.load(Ordering::Relaxed));
        (of > 0).then_some((looked.min(of), of))
    }

    pub(super) fn begin(&self, of: u64) -> Walking<'_> {
        self.looked.store(0, Ordering::Relaxed);
        self.of.store(of, Ordering::Relaxed);
        Walking(self)
    }
}

/// Until it is dropped somebody walks.
pub(super) struct Walking<'a>(&'a Progress);

impl Walking<'_> {
    /// One more was looked at.
    pub(super) fn another(&self) {
        self.0.looked.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Walking<'_> {
    fn drop(&mut self) {
        self.0.of.store(0, Ordering::Relaxed);
    }
}
