//! A page of a list, each row for itself: one that somebody altered is left out, with an alarm that names it, and keeps no other back.

use policy::{Action, Actor, Policies, Resource, ResourceKind};
use store::{Attested, ListedRecord, StoredRecord};

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed<T> {
    /// What is shown of it.
    pub items: Vec<T>,
    /// Where the next page begins, where there is one.
    pub next: Option<String>,
    /// So many were left out, since they are not what the log says: nothing comes of them.
    pub altered: u64,
}

impl Listed<Attested<StoredRecord>> {
    /// Of what came where so many were asked for.
    pub(crate) fn of(page: Vec<ListedRecord>, most: usize) -> Self {
        let (total, next) = (page.len(), page.last().filter(|_| page.len() == most).map(|last| last.id.clone()));
        let items: Vec<_> = page.into_iter().filter_map(|listed| listed.record.ok()).collect();
        let altered = u64::try_from(total.saturating_sub(items.len())).unwrap_or(u64::MAX);
        Self { items, next, altered }
    }
}

/// How many were altered, for who reads the log: of what was altered nobody can say whose it is.
pub(crate) fn told(altered: u64, policies: &Policies, actor: &Actor) -> u64 {
    let reads = Resource::plain(ResourceKind::Audit);
    match policies.decide(actor, Action::ReadAudit, &reads) {
        Ok(_) => altered,
        Err(_) => 0,
    }
}
