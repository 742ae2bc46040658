//! What is overdue, for whoever wants to see it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use policy::Timestamp;

use crate::diary::Task;

/// Which renewals are overdue; shared with the [`Renewer`](crate::Renewer) it came from.
#[derive(Debug, Clone, Default)]
pub struct RenewalWatch(Arc<Mutex<State>>);

#[derive(Debug, Clone, Default)]
struct State {
    overdue: Vec<Overdue>,
    counts: RenewalCounts,
}

/// What became of renewals since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RenewalCounts {
    /// They have a successor.
    pub renewed: u64,
    /// Tried in vain, and tried again.
    pub failed: u64,
    /// Never tried again.
    pub given_up: u64,
}

/// A certificate that should have been renewed and is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overdue {
    /// The operation that made it.
    pub operation: u64,
    /// Its serial in hex.
    pub serial: String,
    /// Its subject.
    pub subject: String,
    /// When it expires.
    pub not_after: Timestamp,
    /// Why the last try failed.
    pub why: String,
}

impl RenewalWatch {
    /// What was overdue at the last turn, the first to expire first.
    pub fn overdue(&self) -> Vec<Overdue> {
        self.state().overdue.clone()
    }

    /// What became of renewals since the start.
    pub fn counts(&self) -> RenewalCounts {
        self.state().counts
    }

    pub(crate) fn count(&self, one: impl FnOnce(&mut RenewalCounts)) {
        one(&mut self.state().counts);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set(&self, overdue: Vec<Overdue>) {
        self.state().overdue = overdue;
    }
}

impl From<Task> for Overdue {
    fn from(task: Task) -> Overdue {
        let operation = task.operation;
        Overdue { operation, serial: task.serial_hex, subject: task.subject, not_after: task.not_after, why: task.why }
    }
}
