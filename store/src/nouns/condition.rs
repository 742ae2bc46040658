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
            Some(why) => match inner.away.insert(thread.to_owned(), why.to_owned()) {
                // A change, and no repetition: the log leaves none out, or its last word would be that it is there.
                None => tracing::warn!(name: "edge", thread, why, "the register is away"),
                Some(known) if known != why => {
                    tracing::warn!(thread, why, "the register is away, and says something else")
                }
                Some(_) => {}
            },
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Level, Metadata, Subscriber};

    use super::*;

    /// The level and the name of each line.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<(Level, &'static str)>>>);

    impl Subscriber for Lines {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }

        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }

        fn record(&self, _: &Id, _: &Record<'_>) {}

        fn record_follows_from(&self, _: &Id, _: &Id) {}

        fn event(&self, event: &Event<'_>) {
            let said = event.metadata();
            self.0.lock().unwrap().push((*said.level(), said.name()));
        }

        fn enter(&self, _: &Id) {}

        fn exit(&self, _: &Id) {}
    }

    #[test]
    fn each_outage_is_a_change_and_another_reason_for_it_is_none() {
        let (lines, conditions) = (Lines::default(), Conditions::default());
        tracing::subscriber::with_default(lines.clone(), || {
            for away in [Some("refused"), Some("refused"), Some("full"), None, None, Some("refused")] {
                conditions.says("a", away);
            }
        });
        let said = lines.0.lock().unwrap().clone();
        let levels: Vec<Level> = said.iter().map(|(level, _)| *level).collect();
        assert_eq!(levels, [Level::WARN, Level::WARN, Level::INFO, Level::WARN]);
        let edges: Vec<bool> = said.iter().map(|(_, name)| *name == "edge").collect();
        assert_eq!(edges, [true, false, false, true]);
        assert_eq!(conditions.now().away.as_deref(), Some("refused"));
    }
}
