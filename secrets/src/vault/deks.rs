//! Keys of versions that were unsealed a moment ago, so that the token is not asked for each reading.
//!
//! Whoever reads this process's memory reads them, as he would what they open; nobody else comes nearer by them. What is read is
//! written down all the same: a key here opens nothing by itself.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::envelope::Dek;

/// Keys by the names of their values.
pub(super) struct Deks {
    held: Mutex<HashMap<String, (Instant, Arc<Dek>)>>,
    lease: Duration,
}

impl Deks {
    /// That keeps each for so long; zero: none.
    pub fn new(lease: Duration) -> Deks {
        Deks { held: Mutex::default(), lease }
    }

    pub fn get(&self, id: &str) -> Option<Arc<Dek>> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.get(id).filter(|(since, _)| since.elapsed() < self.lease).map(|(_, dek)| Arc::clone(dek))
    }

    pub fn keep(&self, id: &str, dek: &Arc<Dek>) {
        if self.lease.is_zero() {
            return;
        }
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.len() >= DEKS_MAX {
            let lease = self.lease;
            held.retain(|_, (since, _)| since.elapsed() < lease);
        }
        if held.len() >= DEKS_MAX {
            held.clear();
        }
        held.insert(id.to_owned(), (Instant::now(), Arc::clone(dek)));
    }

    pub fn forget(&self, id: &str) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }
}

/// So many at most: half a mebibyte of keys. When it is full, all are forgotten, and the token is asked again.
const DEKS_MAX: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    fn dek(byte: u8) -> Arc<Dek> {
        Arc::new(Dek::unsealed(&[byte; 32]).unwrap())
    }

    #[test]
    fn keys_are_kept_for_a_lease_and_are_bounded() {
        let deks = Deks::new(Duration::from_secs(3_600));
        deks.keep("a", &dek(1));
        assert_eq!(deks.get("a").unwrap().to_seal(), [1; 32]);
        deks.forget("a");
        assert!(deks.get("a").is_none());
        for n in 0..DEKS_MAX + 5 {
            deks.keep(&n.to_string(), &dek(2));
        }
        assert!(deks.held.lock().unwrap().len() <= DEKS_MAX);
        let none = Deks::new(Duration::ZERO);
        none.keep("a", &dek(1));
        assert!(none.get("a").is_none() && none.held.lock().unwrap().is_empty());
    }
}
