//! What callers, session threads and the healer of one pool share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::sync::Semaphore;

use crate::config::Settled;
use crate::desk::Desk;
use crate::fault::Fault;
use crate::health::Standing;
use crate::key::Key;
use crate::module::{Inside, Module, locked};

/// Keys that are being made or are waited for. An RSA key may take half a minute: a longer queue would keep no promise.
const MAKERS_MAX: usize = 32;

/// One pool's common knowledge.
pub(crate) struct Shared {
    pub(crate) config: Settled,
    pub(crate) module: Arc<Module>,
    pub(crate) standing: Standing,
    /// Tells the intents of this pool's mint from those of another.
    pub(crate) home: u64,
    /// Places of those who make a key or wait for their turn.
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

    pub(crate) fn known_as(&self, label: &str) -> Option<Key> {
        locked(&self.known).values().find(|key| key.label() == label).cloned()
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
