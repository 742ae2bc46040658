//! Tokens looked up lately, and whether one of them still counts.
//!
//! Bounded in number and in age. What is remembered is the register's word of at most `limits.token_memory` ago; a
//! revocation made on this node is forgotten at once, and a look-up that it overtook is not learnt.

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
    actor: Arc<Actor>,
    sha256: [u8; 32],
    expires: Timestamp,
    revoked: bool,
}

impl From<Token> for Known {
    fn from(token: Token) -> Self {
        let (sha256, expires, revoked) = (token.sha256, token.expires, token.revoked_at.is_some());
        Self { actor: Arc::new(token.into_actor()), sha256, expires, revoked }
    }
}

impl Known {
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
    known: RwLock<Remembered>,
}

#[derive(Default)]
struct Remembered {
    /// Moves at each revocation: a look-up that began before one must not be learnt after it.
    generation: u64,
    tokens: HashMap<String, (Instant, Arc<Known>)>,
}

impl TokenMemory {
    /// An empty memory that believes for so long.
    pub(super) fn new(age_max: Duration) -> Self {
        Self { age_max, known: RwLock::default() }
    }

    /// The token, if it was looked up lately enough.
    pub(super) fn recall(&self, id: &str) -> Option<Arc<Known>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let (since, token) = known.tokens.get(id)?;
        (since.elapsed() < self.age_max).then(|| Arc::clone(token))
    }

    /// What [`TokenMemory::learn`] wants to know of the time before the look-up.
    pub(super) fn generation(&self) -> u64 {
        self.known.read().unwrap_or_else(PoisonError::into_inner).generation
    }

    /// Keeps what was looked up, unless a revocation overtook it.
    pub(super) fn learn(&self, id: &str, token: Arc<Known>, generation: u64) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.generation != generation {
            return;
        }
        if known.tokens.len() >= MEMORY_MAX {
            known.tokens.clear();
        }
        known.tokens.insert(id.to_owned(), (Instant::now(), token));
    }

    /// Forgets a token because it changed on this node.
    pub(super) fn forget(&self, id: &str) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.generation += 1;
        known.tokens.remove(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Arc<Known> {
        Arc::new(Known {
            actor: Arc::new(Actor::system("test")),
            sha256: [0; 32],
            expires: Timestamp::from_unix(10),
            revoked: false,
        })
    }

    #[test]
    fn a_look_up_that_a_revocation_overtook_is_not_learnt() {
        let memory = TokenMemory::new(Duration::from_secs(60));
        let before = memory.generation();
        memory.forget("a");
        memory.learn("a", known(), before);
        assert!(memory.recall("a").is_none());
        memory.learn("a", known(), memory.generation());
        assert!(memory.recall("a").is_some());
        memory.forget("a");
        assert!(memory.recall("a").is_none());
    }

    #[test]
    fn what_is_remembered_ages() {
        let memory = TokenMemory::new(Duration::ZERO);
        memory.learn("a", known(), memory.generation());
        assert!(memory.recall("a").is_none());
    }

    #[test]
    fn the_memory_is_bounded() {
        let memory = TokenMemory::new(Duration::from_secs(60));
        for number in 0..(MEMORY_MAX + 10) {
            memory.learn(&number.to_string(), known(), 0);
        }
        assert!(memory.known.read().expect("lock").tokens.len() <= MEMORY_MAX);
    }

    #[test]
    fn an_expired_token_stops_at_its_second() {
        let token = known();
        assert!(token.alive(Timestamp::from_unix(9)).is_ok());
        assert!(matches!(token.alive(Timestamp::from_unix(10)), Err(AuthError::Expired)));
    }
}
