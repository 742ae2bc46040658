//! What the one who runs the service has to tell: an alarm that no room below knows of.

use std::sync::{Arc, Mutex, PoisonError};

/// One sentence, or none; copies share it.
#[derive(Clone, Debug, Default)]
pub struct Notice(Arc<Mutex<Option<String>>>);

impl Notice {
    /// From now on this is told, or nothing.
    pub fn set(&self, says: Option<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = says;
    }

    pub(crate) fn says(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
