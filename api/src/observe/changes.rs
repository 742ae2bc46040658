//! What changed of secrets lately, for many who wait: one look at the register serves all of them, and none is taken while nothing
//! changes.
//!
//! A place in the stream is a place in the log, so it is the same on each node and after each start, and what another node commits late has
//! a later one. Whoever asks brings it as a cursor: how many leaves he has heard of, and a mark of the last of them, by which a log that was
//! cut, put back or exchanged is told from the one in which he stood.

use std::collections::VecDeque;
use std::sync::Arc;

use policy::{Actor, Holder, Share, Shares};
use ring::digest::{Context, SHA256};
use secrets::{Changed, SecretError, Vault};
use store::{Ledger, StoreError};
use tokio::sync::Mutex;

/// Changes in memory: half a megabyte. Who is further behind is answered from the register.
const HELD_MAX: usize = 4_096;
/// Who comes after nobody came for so many leaves does not wait until all of them are read.
const HELD_LEAVES_MAX: u64 = 65_536;
/// Versions of records in one look.
const LOOK: usize = 1_000;
/// Who has not asked for so many leaves lists what there is, which is less.
pub(crate) const TOLD_LEAVES_MAX: u64 = 1 << 20;
/// So many wait at once, a quarter of all requests.
pub(crate) const WAITERS_MAX: usize = 128;
/// And of one holder, whatever certificate he shows: a quarter.
pub(crate) const WAITERS_OF_ONE_MAX: usize = 32;

/// The stream. Shared by all who ask.
pub(crate) struct ChangeFeed {
    vault: Vault,
    ledger: Ledger,
    held: Mutex<Held>,
    places: Places,
}

/// Where to wait.
struct Places {
    all: Arc<Shares<()>>,
    of_one: Arc<Shares<Holder>>,
}

/// All changes of the leaves from `from` up to `to`.
#[derive(Default)]
struct Held {
    from: u64,
    to: u64,
    changes: VecDeque<Arc<Changed>>,
}

/// A place of somebody who waits.
pub(crate) struct Waiter {
    _all: Share<()>,
    _of_one: Share<Holder>,
}

/// A page of the stream.
pub(crate) struct Heard {
    /// What is meant, in the order of the log.
    pub(crate) changes: Vec<Arc<Changed>>,
    /// So many leaves were heard of.
    pub(crate) through: u64,
    /// Whether there is more already.
    pub(crate) has_more: bool,
}

/// Where somebody stands.
pub(crate) enum Standing {
    /// After so many leaves of this log.
    Here(u64),
    /// That place is no cursor.
    Unread,
    /// Nothing can be told from there: the reason, in a word.
    Lost(&'static str),
}

impl ChangeFeed {
    /// Over a register.
    pub(crate) fn new(vault: Vault, ledger: Ledger) -> Self {
        Self { vault, ledger, held: Mutex::default(), places: Places::new() }
    }

    /// A place to wait, where there is one.
    pub(crate) fn waiter(&self, caller: &Actor) -> Option<Waiter> {
        self.places.take(caller)
    }

    /// How many leaves this node knows.
    pub(crate) fn newest(&self) -> u64 {
        self.vault.leaves()
    }

    /// Waits for a change from leaf `from` on. From memory; without an end of its own.
    pub(crate) async fn wait(&self, from: u64) {
        self.vault.changed_from(from).await;
    }

    /// The cursor of a place in this log.
    ///
    /// # Errors
    /// [`SecretError::Store`].
    pub(crate) async fn cursor(&self, leaves: u64) -> Result<String, SecretError> {
        let mark = self.ledger.mark(leaves).await?.ok_or_else(|| {
            StoreError::Corrupt(format!("the log of this node does not reach leaf {leaves}, of which it spoke"))
        })?;
        Ok(format!("{leaves}-{}", self.tag(&mark)))
    }

    /// Where a cursor stands.
    ///
    /// # Errors
    /// [`SecretError::Store`].
    pub(crate) async fn standing(&self, cursor: &str) -> Result<Standing, SecretError> {
        let parts = cursor.split_once('-').and_then(|(leaves, tag)| Some((leaves.parse::<u64>().ok()?, tag)));
        let Some((leaves, tag)) = parts else { return Ok(Standing::Unread) };
        Ok(match self.ledger.mark(leaves).await? {
            Some(mark) if self.tag(&mark) != tag => Standing::Lost("other-log"),
            None => Standing::Lost("other-log"),
            Some(_) if self.newest().saturating_sub(leaves) > TOLD_LEAVES_MAX => Standing::Lost("old"),
            Some(_) => Standing::Here(leaves),
        })
    }

    /// What changed from a place on, of that which is meant.
    ///
    /// # Errors
    /// [`SecretError::Store`].
    pub(crate) async fn page(
        &self,
        from: u64,
        limit: usize,
        means: impl Fn(&Changed) -> bool,
    ) -> Result<Heard, SecretError> {
        let mut held = self.held.lock().await;
        self.follow(&mut held).await?;
        if from >= held.from {
            let begin = held.changes.partition_point(|change| change.record <= from);
            return Ok(heard(held.changes.iter().skip(begin).cloned(), (held.to.max(from), held.to), limit, means));
        }
        drop(held);
        // Whoever is behind reads for himself, and keeps no other back.
        let (changes, through) = self.vault.changes(from, LOOK).await?;
        Ok(heard(changes.into_iter().map(Arc::new), (through, self.newest()), limit, means))
    }

    async fn follow(&self, held: &mut Held) -> Result<(), SecretError> {
        let newest = self.newest();
        if newest.saturating_sub(held.to) > HELD_LEAVES_MAX || held.to == 0 {
            *held = Held { from: newest, to: newest, changes: VecDeque::new() };
        }
        while held.to < newest {
            let (changes, through) = self.vault.changes(held.to, LOOK).await?;
            held.changes.extend(changes.into_iter().map(Arc::new));
            held.to = through;
            while held.changes.len() > HELD_MAX {
                held.from = held.changes.pop_front().map_or(held.to, |gone| gone.record);
            }
        }
        Ok(())
    }

    /// What tells a place in this log from the same place in another.
    fn tag(&self, mark: &[u8; 32]) -> String {
        let mut of = Context::new(&SHA256);
        of.update(self.ledger.origin().as_bytes());
        of.update(&[0]);
        of.update(mark);
        of.finish().as_ref().iter().take(TAG_BYTES).map(|byte| format!("{byte:02x}")).collect()
    }
}

impl Places {
    fn new() -> Self {
        Self { all: Shares::new(WAITERS_MAX), of_one: Shares::new(WAITERS_OF_ONE_MAX) }
    }

    /// By holder: a certificate that is renewed gives nobody more of them.
    fn take(&self, caller: &Actor) -> Option<Waiter> {
        let _of_one = self.of_one.take(Holder::of(caller))?;
        Some(Waiter { _all: self.all.take(())?, _of_one })
    }
}

/// Of changes that reach up to `through`, in a log that goes on to `newest`.
fn heard(
    changes: impl Iterator<Item = Arc<Changed>>,
    (through, newest): (u64, u64),
    limit: usize,
    means: impl Fn(&Changed) -> bool,
) -> Heard {
    let mut found = Vec::new();
    for change in changes.filter(|change| means(change)) {
        if found.len() == limit {
            let through = found.last().map_or(through, |last: &Arc<Changed>| last.record);
            return Heard { changes: found, through, has_more: true };
        }
        found.push(change);
    }
    Heard { changes: found, through, has_more: through < newest }
}

/// No two logs of which somebody has cursors meet in so many.
const TAG_BYTES: usize = 8;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use policy::{Name, Owner, Proof, Timestamp};
    use secrets::Happened;

    use super::*;

    fn agent(serial: usize, name: &str) -> Actor {
        let (serial, names) = (format!("{serial:032x}"), BTreeSet::from([Name::parse(name).expect("a name")]));
        let id = format!("cert:{serial}");
        Actor { id, proof: Proof::ClientCertificate { serial, names }, ..Actor::system("test") }
    }

    #[test]
    fn a_renewed_certificate_has_no_more_places_to_wait() {
        let places = Places::new();
        let taken: Vec<Waiter> =
            (0..WAITERS_OF_ONE_MAX).map(|serial| places.take(&agent(serial, "a.example")).expect("a place")).collect();
        assert!(places.take(&agent(WAITERS_OF_ONE_MAX, "a.example")).is_none());
        assert!(places.take(&agent(0, "b.example")).is_some(), "another has his own");
        drop(taken);
        assert!(places.take(&agent(WAITERS_OF_ONE_MAX, "a.example")).is_some());
    }

    fn changed(record: u64) -> Arc<Changed> {
        Arc::new(Changed {
            path: format!("prod/{}", record % 2).parse().expect("a path"),
            owner: Owner::parse("web").expect("an owner"),
            record,
            happened: Happened::Written,
            current: Some(1),
            at: Timestamp::from_unix(0),
        })
    }

    #[test]
    fn a_page_that_is_full_goes_on_after_its_last_and_others_at_what_was_looked_at() {
        let all = || [3, 4, 5, 6, 7].into_iter().map(changed);
        let odd = |change: &Changed| change.record % 2 == 1;
        let page = heard(all(), (9, 9), 2, odd);
        let records: Vec<u64> = page.changes.iter().map(|change| change.record).collect();
        assert_eq!((records, page.through, page.has_more), (vec![3, 5], 5, true));
        let page = heard(all(), (9, 9), 3, odd);
        assert_eq!((page.changes.len(), page.through, page.has_more), (3, 9, false));
        let page = heard(all(), (9, 12), 3, |_| false);
        assert_eq!((page.changes.len(), page.through, page.has_more), (0, 9, true), "an empty page is no end");
    }
}
