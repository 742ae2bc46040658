//! What a reader keeps for a while: until when he may, and what he read of it meanwhile.
//!
//! The leaf of a reading that is kept says until when, so the log knows who holds what. What is read from a cache while nobody can be asked is
//! told later by its reader, and is a leaf of its own kind (`leased`). It is his word: whoever has a value can use it without saying so.

use policy::{Action, Grant, Timestamp};
use store::{AccessEntry, Showing};

use super::base::Vault;
use super::secret::Secret;
use super::wishes::CACHE_SECS_MAX;
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

    /// Whether a version may have been read from a cache so: the log has nobody's word that cannot be true. A reader's clock may be another by
    /// [`CLOCK_SECS`].
    fn may_have_been_kept(
        &self,
        number: u64,
        (since, until): (Timestamp, Timestamp),
        now: Timestamp,
    ) -> Result<(), SecretError> {
        let Some(version) = self.body.version(number) else { return Ok(()) };
        let longest = i64::try_from(CACHE_SECS_MAX).unwrap_or(i64::MAX / 4);
        // What was given out before somebody forbade to keep it ended so long after that at the latest.
        let forbidden = self.cache_secs().filter(|secs| *secs == 0).map(|_| self.changed().0.plus_secs(longest));
        let refused = |what: &'static str, why: String| Err(SecretError::invalid(what, why));
        match () {
            () if since < version.at.plus_secs(-CLOCK_SECS) => {
                refused("since", format!("version {number} was written at {}", version.at))
            }
            () if until > now.plus_secs(CLOCK_SECS) => refused("until", format!("it is {now} here")),
            () if until.since(since) > longest => {
                refused("until", format!("nobody keeps anything for longer than {CACHE_SECS_MAX} seconds"))
            }
            () if version.expires.is_some_and(|end| until > end.plus_secs(CLOCK_SECS)) => {
                refused("until", format!("nobody keeps version {number} beyond its own end"))
            }
            () if forbidden.is_some_and(|end| until > end.plus_secs(CLOCK_SECS)) => {
                refused("until", "nobody may keep it in a cache".to_owned())
            }
            () => Ok(()),
        }
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
    /// [`SecretError::NotFound`], [`SecretError::OutOfUse`]: the version is gone, and no leaf can name it. [`SecretError::Invalid`]: it
    /// cannot be so: it ends before it begins, begins before there was that version, or is longer or later than anybody may keep it.
    pub async fn kept_read(&self, read: KeptRead) -> Result<u64, SecretError> {
        let KeptRead { grant, path, which, since, until } = read;
        if until < since {
            return Err(SecretError::invalid("until", "it is before `since`".to_owned()));
        }
        for _ in 0..LOOKS_MAX {
            let now = self.ledger.believed_time();
            let sealed = self.sealed(&path, &which, now).await?;
            Vault::is_for(&grant, Action::ReadSecret, &path, sealed.secret.owner())?;
            sealed.secret.may_have_been_kept(sealed.number, (since, until), now)?;
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
/// By so much a reader's clock may be another than the service's, before his word is not believed.
const CLOCK_SECS: i64 = 3_600;

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

    #[test]
    fn a_word_of_what_was_read_from_a_cache_can_be_true() {
        let (written, day) = (Timestamp::from_unix(1_800_000_000), 86_400);
        let secret = |more: serde_json::Value| {
            let mut body = serde_json::json!({"life": 1, "newest": 1, "kind": "generic", "labels": {"current": 1}, "keep": 10,
                "versions": [{"number": 1, "at": written, "by": "x", "sha256": "", "bytes": 1, "fields": ["value"]}]});
            for (name, value) in more.as_object().into_iter().flatten() {
                match name.as_str() {
                    "expires" => body["versions"][0]["expires"] = value.clone(),
                    _ => body[name.as_str()] = value.clone(),
                }
            }
            let record = store::StoredRecord {
                kind: "secret".to_owned(),
                id: "prod/db".to_owned(),
                version: 7,
                owner: Some("web".to_owned()),
                lookup: None,
                expires: None,
                body,
                actor: store::ActorStamp { id: "x".into(), proof: "system".into(), proof_id: String::new() },
                at: written,
            };
            Secret::of(record).unwrap()
        };
        let (any, now) = (secret(serde_json::json!({})), written.plus_secs(60 * day));
        let told = |secret: &Secret, from: i64, to: i64| {
            secret.may_have_been_kept(1, (written.plus_secs(from), written.plus_secs(to)), now).is_ok()
        };
        assert!(told(&any, 0, day) && told(&any, -CLOCK_SECS, 0) && told(&any, 59 * day, 60 * day + CLOCK_SECS));
        assert!(!told(&any, -CLOCK_SECS - 1, day), "before it was written");
        assert!(!told(&any, 59 * day, 60 * day + CLOCK_SECS + 1), "it has not come yet");
        assert!(told(&any, 0, 30 * day) && !told(&any, 0, 30 * day + 1), "longer than anybody keeps it");
        let ends = secret(serde_json::json!({ "expires": written.plus_secs(day) }));
        assert!(told(&ends, 0, day) && !told(&ends, 0, day + CLOCK_SECS + 1), "beyond its end");
        let never = secret(serde_json::json!({ "cache_secs": 0 }));
        assert!(told(&never, 0, day) && !told(&never, 40 * day, 41 * day), "nobody may keep it since long");
    }
}
