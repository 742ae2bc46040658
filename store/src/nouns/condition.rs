//! What keeps the register from its work, as its threads met it last: for people and for `readyz`. It mends by itself.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// What keeps the register from its work.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    /// Why nothing can be written, or somebody's questions find no connection. It is tried again every second.
    pub away: Option<String>,
    /// How many bytes SQLite's write-ahead log has while another program reads the register for so long that the log cannot be begun
    /// anew. Writing goes on.
    pub held_log_bytes: Option<u64>,
}

/// Shared by the threads, each of which says how it is, and whoever asks.
#[derive(Debug, Default)]
pub(crate) struct Conditions(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// By the name of the thread.
    away: BTreeMap<String, String>,
    held_log_bytes: Option<u64>,
}

impl Conditions {
    /// A thread does its work, or cannot.
    pub fn says(&self, thread: &str, away: Option<&str>) {
        self.with(|inner| match away {
            Some(why) if inner.away.get(thread).is_none_or(|known| known != why) => {
                tracing::warn!(thread, why, "the register is away");
                inner.away.insert(thread.to_owned(), why.to_owned());
            }
            Some(_) => {}
            None => {
                if inner.away.remove(thread).is_some() {
                    tracing::info!(thread, "the register is there again");
                }
            }
        });
    }

    pub fn log_is_held(&self, bytes: Option<u64>) {
        self.with(|inner| inner.held_log_bytes = bytes);
    }

    pub fn now(&self) -> Condition {
        self.with(|inner| Condition { away: inner.away.values().next().cloned(), held_log_bytes: inner.held_log_bytes })
    }

    fn with<T>(&self, look: impl FnOnce(&mut Inner) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
