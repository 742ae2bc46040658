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

/// What the sentences of a task name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Names {
    /// Secrets, users and hosts: they are for whoever may list every secret, and others hear how many sentences there are.
    Secrets,
    /// Nothing of anybody's.
    Nothing,
}

/// What a task of the service's own has to tell, as of its last look; copies share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sentences(Arc<Mutex<Vec<String>>>);

impl Sentences {
    /// From now on these are told.
    pub(crate) fn set(&self, says: Vec<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = says;
    }

    /// So many of them at most, and how many there are.
    pub(crate) fn says(&self, most: usize) -> (Vec<String>, usize) {
        let says = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (says.iter().take(most).cloned().collect(), says.len())
    }
}
