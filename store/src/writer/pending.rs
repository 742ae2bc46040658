//! Intents that wait for their conclusion, kept in memory so that concluding reads nothing.
//!
//! A cache and no more: what is not here is read from the register.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use policy::Timestamp;

use crate::rows::IntentRow;

/// Twice the writer's queue; an intent that was never concluded is the oldest and goes first.
const PENDING_MAX: usize = 8_192;
/// Large CRLs are not worth keeping.
const WEIGHT_MAX: usize = 65_536;

#[derive(Debug, Default)]
pub(crate) struct Pending(Mutex<BTreeMap<u64, (Timestamp, Arc<IntentRow>)>>);

impl Pending {
    pub fn insert(&self, op: u64, at: Timestamp, row: Arc<IntentRow>) {
        if row.weight() > WEIGHT_MAX {
            return;
        }
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.insert(op, (at, row));
        if held.len() > PENDING_MAX {
            held.pop_first();
        }
    }

    /// The intent and the time it was given.
    pub fn take(&self, op: u64) -> Option<(Timestamp, Arc<IntentRow>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&op)
    }
}
