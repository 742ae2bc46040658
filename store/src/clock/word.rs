//! An operator's word in the log: why a node went on after it had stopped, that a clock is right whatever the log said, or why
//! an administrator was let in again on the host.
//!
//! The leaf says who and when; the reason stands in its row, which the leaf's digest covers.

use policy::Timestamp;
use serde_json::Value;

use crate::clock;
use crate::nouns::record::StoredRecord;

/// The kind of the record that says why a node went on after it had stopped.
pub(crate) const RESUMPTION: &str = "resumption";

/// The kind of the record that says why an administrator's token was made on the host.
pub const RESCUE: &str = "rescue";

/// What an operator said.
#[derive(Clone, Debug, PartialEq)]
pub struct Word {
    /// The leaf.
    pub index: u64,
    /// `resumption`: a node went on from what the register held; `clock`: the time in force was set; `rescue`: an
    /// administrator's token was made on the host.
    pub kind: String,
    /// When, by the log.
    pub at: Timestamp,
    /// Who.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// What was before: the size of the log that the node knew, or the time in force; none where it knew none.
    pub from: Option<String>,
    /// What is since: the size from which it went on, or the time in force.
    pub to: Option<String>,
}

impl Word {
    /// Whether records of this kind are operators' words.
    pub fn is(kind: &str) -> bool {
        kind == RESUMPTION || kind == RESCUE || kind == clock::KIND
    }

    /// The word in a record; none in those of other kinds.
    pub(crate) fn of(record: StoredRecord) -> Option<Word> {
        if !Word::is(&record.kind) {
            return None;
        }
        let text = |at: &str| match record.body.pointer(at)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        };
        let (from, to) = match record.kind.as_str() {
            RESUMPTION => (text("/known/size"), text("/at/size")),
            _ => (text("/from"), text("/to")),
        };
        let reason = text("/reason").unwrap_or_default();
        Some(Word {
            index: record.version.saturating_sub(1),
            at: record.at,
            actor: record.actor.id,
            kind: record.kind,
            reason,
            from,
            to,
        })
    }
}
