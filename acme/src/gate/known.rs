//! What is known of certificates that somebody asked about: what stands in them and never changes. Whether one is revoked or marked is
//! asked anew each time, of memory.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use ca::Renewing;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::limits::{LOOKUPS_MAX, RENEWALS_KNOWN_MAX};

/// A certificate, as far as its renewal needs it.
#[derive(Debug)]
pub struct Known {
    /// What decides when.
    pub renewing: Renewing,
    /// Its authority key identifier: who names it must know it.
    pub key_identifier: Vec<u8>,
}

/// The last that were asked about, by serial; and how many may be looked up at once.
pub struct Renewals {
    there: Mutex<There>,
    lookups: Semaphore,
}

/// By serial, and in which order they were kept.
type There = (HashMap<Vec<u8>, Arc<Known>>, VecDeque<Vec<u8>>);

impl Default for Renewals {
    fn default() -> Self {
        Self { there: Mutex::default(), lookups: Semaphore::new(LOOKUPS_MAX) }
    }
}

impl Renewals {
    /// What is known of a serial.
    pub fn get(&self, serial: &[u8]) -> Option<Arc<Known>> {
        self.there.lock().unwrap_or_else(PoisonError::into_inner).0.get(serial).cloned()
    }

    /// Keeps it; the one that was kept first goes.
    pub fn put(&self, known: &Arc<Known>) {
        let mut there = self.there.lock().unwrap_or_else(PoisonError::into_inner);
        let (by_serial, order) = &mut *there;
        if by_serial.insert(known.renewing.serial.clone(), Arc::clone(known)).is_none() {
            order.push_back(known.renewing.serial.clone());
        }
        while order.len() > RENEWALS_KNOWN_MAX {
            if let Some(first) = order.pop_front() {
                by_serial.remove(&first);
            }
        }
    }

    /// A place to look in the register; none: too many look already.
    pub fn look(&self) -> Option<SemaphorePermit<'_>> {
        self.lookups.try_acquire().ok()
    }
}
