//! What is overdue, for whoever wants to see it.

use std::sync::{Arc, Mutex, PoisonError};

use policy::Timestamp;

use crate::diary::Task;

/// Which renewals are overdue; shared with the [`Renewer`](crate::Renewer) it came from.
#[derive(Debug, Clone, Default)]
pub struct RenewalWatch(Arc<Mutex<Vec<Overdue>>>);

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
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set(&self, overdue: Vec<Overdue>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = overdue;
    }
}

impl From<Task> for Overdue {
    fn from(task: Task) -> Overdue {
        let operation = task.operation;
        Overdue { operation, serial: task.serial_hex, subject: task.subject, not_after: task.not_after, why: task.why }
    }
}
