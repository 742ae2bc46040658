//! What a reader keeps for a while: until when he may, and what he read of it meanwhile.
//!
//! The leaf of a reading that is kept says until when, so the log knows who holds what. What is read from a cache while nobody can be asked is
//! told later by its reader, and is a leaf of its own kind (`leased`). It is his word: whoever has a value can use it without saying so.

use policy::{Action, Grant, Timestamp};
use store::{AccessEntry, Showing};

use super::base::Vault;
use super::secret::Secret;
use crate::error::SecretError;
use crate::nouns::{SecretPath, Which};

/// Until when what was read may be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// So many seconds from the reading on. Who counts them needs no clock that is right.
    pub secs: u64,
    /// That moment, as the service has it.
    pub until: Timestamp,
}

impl Lease {
    /// Of so many seconds from now; none of none.
    pub(super) fn of(secs: u64, now: Timestamp) -> Option<Lease> {
        let end = i64::try_from(secs).ok().filter(|secs| *secs > 0)?;
        Some(Lease { secs, until: now.plus_secs(end) })
    }

    /// The one that ends first.
    pub fn shorter(self, other: Lease) -> Lease {
        if other.secs < self.secs { other } else { self }
    }

    /// The same, and no longer than the version itself is used.
    pub(super) fn not_after(self, end: Option<Timestamp>, now: Timestamp) -> Option<Lease> {
        match end.filter(|end| *end < self.until) {
            Some(end) => Lease::of(u64::try_from(end.since(now)).unwrap_or(0), now),
            None => Some(self),
        }
    }
}

impl Secret {
    /// For how long it is kept by whoever would keep it for so long.
    pub(super) fn keeps_for(&self, wish_secs: u64) -> u64 {
        self.cache_secs().map_or(wish_secs, |most| most.min(wish_secs))
    }
}

/// What somebody read from a cache of his.
#[derive(Debug)]
pub struct KeptRead {
    /// That he may read it: now, when he says so.
    pub grant: Grant,
    /// Where it stands.
    pub path: SecretPath,
    /// Which version.
    pub which: Which,
    /// When he read it first.
    pub since: Timestamp,
    /// When last.
    pub until: Timestamp,
}

impl Vault {
    /// Writes down that something was read from a cache; answers the index of the leaf. Nothing is opened.
    ///
    /// # Errors
    /// [`SecretError::NotFound`], [`SecretError::OutOfUse`]: the version is gone, and no leaf can name it. [`SecretError::Invalid`]: what
    /// he says ends before it begins.
    pub async fn kept_read(&self, read: KeptRead) -> Result<u64, SecretError> {
        let KeptRead { grant, path, which, since, until } = read;
        if until < since {
            return Err(SecretError::invalid("until", "it is before `since`".to_owned()));
        }
        for _ in 0..LOOKS_MAX {
            let sealed = self.sealed(&path, &which, self.ledger.cautious_time()).await?;
            Vault::is_for(&grant, Action::ReadSecret, &path, sealed.secret.owner())?;
            let entry = AccessEntry {
                actor: grant.actor().into(),
                grant: (&grant).into(),
                showing: Showing::Leased,
                since: Some(since),
                until: Some(until),
                opened: vec![sealed.accessed()],
                judged: vec![sealed.secret.judged()],
                used: None,
            };
            match self.ledger.access(entry).await.map_err(SecretError::from) {
                Ok(recorded) => return Ok(recorded.leaf()),
                // Its key was sealed anew meanwhile.
                Err(SecretError::Conflict(_)) => continue,
                Err(other) => return Err(other),
            }
        }
        Err(SecretError::Conflict("what was read changes all the time: try again".to_owned()))
    }
}

/// Looks at what others change all the time.
const LOOKS_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_ends_with_the_version_at_the_latest() {
        let now = Timestamp::from_unix(1_000);
        let hour = Lease::of(3_600, now).unwrap();
        assert_eq!(hour.until, now.plus_secs(3_600));
        assert_eq!(Lease::of(0, now), None);
        assert_eq!(hour.not_after(None, now), Some(hour));
        assert_eq!(hour.not_after(Some(now.plus_secs(9_000)), now), Some(hour));
        assert_eq!(hour.not_after(Some(now.plus_secs(60)), now), Lease::of(60, now));
        assert_eq!(hour.not_after(Some(now), now), None);
        assert_eq!(hour.not_after(Some(now.plus_secs(-60)), now), None);
    }
}
