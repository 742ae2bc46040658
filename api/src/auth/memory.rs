//! Tokens looked up lately, and whether one of them still counts.
//!
//! Bounded in number and in age. What is remembered counts only while the token has the version that was read: the fold of
//! the log says so, for what other nodes wrote too. The age makes that the row itself is looked at again.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use policy::{Actor, Timestamp};
use ring::digest::{SHA256, digest};

use super::error::AuthError;
use super::token::{Token, TokenText};

/// Looked-up tokens kept; past it the memory starts anew, which costs look-ups and nothing else.
const MEMORY_MAX: usize = 4_096;

/// A token as far as a request needs it.
pub(super) struct Known {
    version: u64,
    actor: Arc<Actor>,
    sha256: [u8; 32],
    expires: Timestamp,
    revoked: bool,
}

impl Known {
    /// A token that was read as this version of its record.
    pub(super) fn new(version: u64, token: Token) -> Self {
        let (sha256, expires, revoked) = (token.sha256, token.expires, token.revoked_at.is_some());
        Self { version, actor: Arc::new(token.into_actor()), sha256, expires, revoked }
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

/// Tokens looked up lately. Bounded in number and in age.
pub(super) struct TokenMemory {
    age_max: Duration,
    known: RwLock<HashMap<String, (Instant, Arc<Known>)>>,
}

impl TokenMemory {
    /// An empty memory that believes for so long.
    pub(super) fn new(age_max: Duration) -> Self {
        Self { age_max, known: RwLock::default() }
    }

    /// The token, if this version of it was looked up lately enough.
    pub(super) fn recall(&self, id: &str, version: u64) -> Option<Arc<Known>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let (since, token) = known.get(id)?;
        (token.version == version && since.elapsed() < self.age_max).then(|| Arc::clone(token))
    }

    /// Keeps what was looked up.
    pub(super) fn learn(&self, id: &str, token: Arc<Known>) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MEMORY_MAX {
            known.clear();
        }
        known.insert(id.to_owned(), (Instant::now(), token));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Arc<Known> {
        Arc::new(Known {
            version: 7,
            actor: Arc::new(Actor::system("test")),
            sha256: [0; 32],
            expires: Timestamp::from_unix(10),
            revoked: false,
        })
    }

    #[test]
    fn another_version_is_not_remembered() {
        let memory = TokenMemory::new(Duration::from_secs(60));
        memory.learn("a", known());
        assert!(memory.recall("a", 7).is_some());
        assert!(memory.recall("a", 8).is_none(), "it was revoked since, on whichever node");
        assert!(memory.recall("b", 7).is_none());
    }

    #[test]
    fn what_is_remembered_ages() {
        let memory = TokenMemory::new(Duration::ZERO);
        memory.learn("a", known());
        assert!(memory.recall("a", 7).is_none());
    }

    #[test]
    fn the_memory_is_bounded() {
        let memory = TokenMemory::new(Duration::from_secs(60));
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
