//! An access: a leaf that names what is shown, and no row.

use std::borrow::Cow;
use std::collections::BTreeSet;

use policy::Timestamp;

use super::bounds::{bounded_tail, check_actor, check_label};
use crate::forms::leaf::{Event, Tail};
use crate::nouns::access::{ACCESS, ACCESSED_MAX, AccessEntry, USED_VERSIONS_MAX};
use crate::nouns::error::StoreError;
use crate::nouns::ward;
use crate::truth::{Change, RecordKey, accessed, record_key};

/// An access's leaf.
#[derive(Debug)]
pub(crate) struct AccessRow {
    pub at: Timestamp,
    pub tail: Tail,
    /// Each with its place in the fold.
    pub of: Vec<(RecordKey, u64)>,
    /// By which it was judged.
    pub judged: Vec<(RecordKey, u64)>,
    /// Who it is that reads.
    pub reader: String,
    /// The secrets that are read, each once and with what tells this reader's readings of it; none where they are opened for something
    /// else.
    pub read: Vec<(String, RecordKey)>,
}

impl AccessRow {
    pub fn new(entry: &AccessEntry, at: Timestamp) -> Result<AccessRow, StoreError> {
        check_actor(&entry.actor)?;
        check_label("action", &entry.grant.action)?;
        check_label("rule", &entry.grant.rule)?;
        if entry.opened.is_empty() || entry.opened.len().max(entry.judged.len()) > ACCESSED_MAX {
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
        if let Some(used) = &entry.used {
            check_label("act", used.act)?;
            if used.versions.len() > USED_VERSIONS_MAX {
                let says = format!("at most {USED_VERSIONS_MAX} versions of a key are used at once");
                return Err(StoreError::Invalid(says));
            }
            tail.used(used.act, used.items, &used.versions);
        }
        bounded_tail(&tail)?;
        let judged = entry.judged.iter().map(|by| (by.place.0, by.version)).collect();
        let read = match ward::is_reading(&entry.grant.action) {
            true => entry.opened.iter().filter_map(|of| ward::of_value(&of.id)).map(str::to_owned).collect(),
            false => BTreeSet::new(),
        };
        let reader = entry.actor.id.clone();
        let keyed = |id: String| {
            let key = record_key(&id, &reader);
            (id, key)
        };
        let read = read.into_iter().map(keyed).collect();
        Ok(AccessRow { at, tail, of: accessed(&entry.opened), judged, reader, read })
    }

    /// What its leaf changes: nothing, and it has to be of what is present.
    pub fn change(&self) -> Change {
        Change::Accessed { of: self.of.clone() }
    }

    /// Its leaf with the time it is given.
    pub fn tail_at(&self, at: Timestamp) -> Cow<'_, Tail> {
        if at == self.at { Cow::Borrowed(&self.tail) } else { Cow::Owned(self.tail.restamped(at, None)) }
    }
}
