//! An access: a leaf that names what is shown, and no row.

use policy::Timestamp;

use super::bounds::{bounded_tail, check_actor, check_label};
use crate::forms::leaf::{Event, Tail};
use crate::nouns::access::{ACCESS, ACCESSED_MAX, AccessEntry};
use crate::nouns::error::StoreError;
use crate::truth::{Change, RecordKey, accessed};

/// An access's leaf.
#[derive(Debug)]
pub(crate) struct AccessRow {
    pub at: Timestamp,
    pub tail: Tail,
    /// Each with its place in the fold.
    pub of: Vec<(RecordKey, u64)>,
}

impl AccessRow {
    pub fn new(entry: &AccessEntry, at: Timestamp) -> Result<AccessRow, StoreError> {
        check_actor(&entry.actor)?;
        check_label("action", &entry.grant.action)?;
        check_label("rule", &entry.grant.rule)?;
        if entry.opened.is_empty() || entry.opened.len() > ACCESSED_MAX {
            return Err(StoreError::Invalid(format!("1 to {ACCESSED_MAX} sealed records are opened at once")));
        }
        entry.opened.iter().try_for_each(|of| check_label("id", &of.id))?;
        let mut tail = Tail::new(Event::Access, ACCESS, at);
        tail.actor(&entry.actor);
        tail.grant(&entry.grant);
        tail.text("outcome", entry.showing.as_str());
        if let Some(since) = entry.since {
            tail.time("since", since);
        }
        if let Some(until) = entry.until {
            tail.time("until", until);
        }
        tail.opened(&entry.opened);
        bounded_tail(&tail)?;
        Ok(AccessRow { at, tail, of: accessed(&entry.opened) })
    }

    /// What its leaf changes: nothing, and it has to be of what is present.
    pub fn change(&self) -> Change {
        Change::Accessed { of: self.of.clone() }
    }

    /// Its leaf with the time it is given.
    pub fn tail_at(&self, at: Timestamp) -> Tail {
        if at == self.at { self.tail.clone() } else { self.tail.restamped(at, None) }
    }
}
