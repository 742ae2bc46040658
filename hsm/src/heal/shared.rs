//! What callers, session threads and the healer of one pool share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::sync::Semaphore;

use super::standing::Standing;
use crate::config::Settled;
use crate::custody::Key;
use crate::error::HsmError;
use crate::keys::objects::survey;
use crate::lock::locked;
use crate::module::{Fault, Inside, Module, Turn};
use crate::session::Desk;

/// Keys that are being made or are waited for. An RSA key may take half a minute: a longer queue would keep no promise.
pub(crate) const MAKERS_MAX: usize = 32;

/// One pool's common knowledge.
pub(crate) struct Shared {
    pub(crate) config: Settled,
    pub(crate) module: Arc<Module>,
    pub(crate) standing: Standing,
    /// Tells the intents of this pool's mint from those of another.
    pub(crate) home: u64,
    /// Places of those who make a key or wait for their turn to.
    pub(crate) makers: Arc<Semaphore>,
    /// Keys this pool has handed out: what the healer looks for, and what may be signed with.
    known: Mutex<HashMap<[u8; 32], Key>>,
}

impl Shared {
    pub(crate) fn new(config: Settled, module: Arc<Module>, home: u64) -> Shared {
        let makers = Arc::new(Semaphore::new(MAKERS_MAX));
        Shared { config, module, standing: Standing::ready(), home, makers, known: Mutex::default() }
    }

    pub(crate) fn open_desk(&self, inside: &Inside<'_>) -> Result<Desk, Fault> {
        Desk::open(&self.module, inside, self.standing.epoch(), &self.config.wanted, &self.config.pin)
    }

    pub(crate) fn knows(&self, key: &Key) -> bool {
        locked(&self.known).contains_key(&key.fingerprint())
    }

    /// The one known key of that label; none if two of them were seen, one after the other.
    pub(crate) fn known_as(&self, label: &str) -> Option<Key> {
        let known = locked(&self.known);
        let mut found = known.values().filter(|key| key.label() == label);
        let key = found.next()?;
        found.next().is_none().then(|| key.clone())
    }

    /// "No such key" from a token that shows no key at all, though we know some, is a token that is not there.
    pub(crate) fn absent_keys(&self, turn: &Turn, desk: &Desk, fault: Fault) -> Fault {
        match fault {
            Fault::Answer(HsmError::NotFound { .. })
                if !self.known().is_empty() && survey(turn, &desk.session).is_ok_and(|all| all.is_empty()) =>
            {
                Fault::Lost("the token shows no keys".into())
            }
            other => other,
        }
    }

    pub(crate) fn remember(&self, key: &Key) {
        locked(&self.known).insert(key.fingerprint(), key.clone());
    }

    pub(crate) fn forget(&self, key: &Key) {
        locked(&self.known).remove(&key.fingerprint());
    }

    pub(crate) fn known(&self) -> Vec<Key> {
        locked(&self.known).values().cloned().collect()
    }
}
