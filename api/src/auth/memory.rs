//! Callers looked up lately, and whether one of them still counts.
//!
//! Bounded in number and in age. What is remembered counts only while the token has the version that was read and the certificate
//! is not revoked: the fold of the log says so, for what other nodes wrote too. The age makes that the rows themselves are looked
//! at again.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use policy::{Actor, Timestamp, Validity};
use ring::digest::{SHA256, digest};
use store::RecordPlace;

use super::error::AuthError;
use super::token::{KIND, Token, TokenText};

/// Callers of either kind kept; past it the memory starts anew, which costs look-ups and nothing else.
const MEMORY_MAX: usize = 4_096;

/// A token as far as a request needs it.
pub(super) struct Known {
    version: u64,
    place: RecordPlace,
    actor: Arc<Actor>,
    sha256: [u8; 32],
    expires: Timestamp,
    revoked: bool,
}

impl Known {
    /// A token that was read as this version of its record.
    pub(super) fn new(id: &str, version: u64, token: Token) -> Self {
        let place = RecordPlace::of(KIND, id);
        let (sha256, expires, revoked) = (token.sha256, token.expires, token.revoked_at.is_some());
        Self { version, place, actor: Arc::new(token.into_actor()), sha256, expires, revoked }
    }

    /// Whether this is the token's present version, as its place tells it.
    pub(super) fn is_of(&self, version_at: impl FnOnce(RecordPlace) -> u64) -> bool {
        self.version == version_at(self.place)
    }

    /// The secret first, and in constant time: only its holder learns that a token expired or was revoked.
    pub(super) fn check(&self, given: &TokenText<'_>, now: Timestamp) -> Result<Arc<Actor>, AuthError> {
        let digest = digest(&SHA256, given.secret().as_bytes());
        if !policy::Secret::new(self.sha256).matches(digest.as_ref()) {
            return Err(AuthError::Unknown);
        }
        self.alive(now)
    }

    /// The actor, while the token's time lasts and nobody revoked it.
    pub(super) fn alive(&self, now: Timestamp) -> Result<Arc<Actor>, AuthError> {
        if self.revoked {
            return Err(AuthError::Revoked);
        }
        if now >= self.expires {
            return Err(AuthError::Expired);
        }
        Ok(Arc::clone(&self.actor))
    }
}

/// A client certificate that was recognised, as far as its next request needs it.
pub(super) struct Recognised {
    operation: u64,
    der: Vec<u8>,
    validity: Validity,
    actor: Arc<Actor>,
}

impl Recognised {
    /// The certificate of these bytes, as the register has it.
    pub(super) fn new(operation: u64, der: Vec<u8>, validity: Validity, actor: Arc<Actor>) -> Self {
        Self { operation, der, validity, actor }
    }

    /// Whether these bytes are the ones that were recognised, and it is not revoked since.
    pub(super) fn counts(&self, der: &[u8], is_revoked: impl FnOnce(u64) -> bool) -> bool {
        self.der == der && !is_revoked(self.operation)
    }

    /// The actor, while the certificate is valid.
    pub(super) fn alive(&self, now: Timestamp) -> Result<Arc<Actor>, AuthError> {
        match self.validity.contains(now) {
            true => Ok(Arc::clone(&self.actor)),
            false => Err(AuthError::OUTSIDE_VALIDITY),
        }
    }
}

/// Callers looked up lately. Bounded in number and in age.
pub(super) struct Memory<T> {
    age_max: Duration,
    known: RwLock<HashMap<String, (Instant, Arc<T>)>>,
}

impl<T> Memory<T> {
    /// An empty memory that believes for so long.
    pub(super) fn new(age_max: Duration) -> Self {
        Self { age_max, known: RwLock::default() }
    }

    /// Who was looked up lately enough, and still counts.
    pub(super) fn recall(&self, id: &str, counts: impl FnOnce(&T) -> bool) -> Option<Arc<T>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let (since, caller) = known.get(id)?;
        (since.elapsed() < self.age_max && counts(caller)).then(|| Arc::clone(caller))
    }

    /// Keeps who was looked up.
    pub(super) fn learn(&self, id: &str, caller: Arc<T>) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MEMORY_MAX {
            known.clear();
        }
        known.insert(id.to_owned(), (Instant::now(), caller));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Arc<Known> {
        Arc::new(Known {
            version: 7,
            place: RecordPlace::of(KIND, "a"),
            actor: Arc::new(Actor::system("test")),
            sha256: [0; 32],
            expires: Timestamp::from_unix(10),
            revoked: false,
        })
    }

    #[test]
    fn another_version_is_not_remembered() {
        let memory = Memory::new(Duration::from_secs(60));
        memory.learn("a", known());
        assert!(memory.recall("a", |token| token.is_of(|_| 7)).is_some());
        assert!(memory.recall("a", |token| token.is_of(|_| 8)).is_none(), "it was revoked since, on whichever node");
        assert!(memory.recall("b", |token| token.is_of(|_| 7)).is_none());
    }

    #[test]
    fn a_certificate_is_remembered_by_its_bytes_until_it_is_revoked() {
        let validity = Validity::new(Timestamp::from_unix(5), Timestamp::from_unix(10)).expect("from when to when");
        let actor = Arc::new(Actor::system("test"));
        let recognised = Recognised::new(24, vec![0x30, 1], validity, actor);
        assert!(recognised.counts(&[0x30, 1], |operation| operation != 24));
        assert!(!recognised.counts(&[0x30, 2], |_| false), "another certificate with its serial");
        assert!(!recognised.counts(&[0x30, 1], |operation| operation == 24), "it was revoked since");
        assert!(recognised.alive(Timestamp::from_unix(5)).is_ok());
        assert!(recognised.alive(Timestamp::from_unix(11)).is_err());
    }

    #[test]
    fn what_is_remembered_ages() {
        let memory = Memory::new(Duration::ZERO);
        memory.learn("a", known());
        assert!(memory.recall("a", |token| token.is_of(|_| 7)).is_none());
    }

    #[test]
    fn the_memory_is_bounded() {
        let memory = Memory::new(Duration::from_secs(60));
        for number in 0..(MEMORY_MAX + 10) {
            memory.learn(&number.to_string(), known());
        }
        assert!(memory.known.read().expect("lock").len() <= MEMORY_MAX);
    }

    #[test]
    fn an_expired_token_stops_at_its_second() {
        let token = known();
        assert!(token.alive(Timestamp::from_unix(9)).is_ok());
        assert!(matches!(token.alive(Timestamp::from_unix(10)), Err(AuthError::Expired)));
    }
}
