//! What callers, session threads and the healer of one pool share.

use std::collections::HashMap;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};

use tokio::sync::Semaphore;

use super::standing::Standing;
use crate::config::Settled;
use crate::custody::Key;
use crate::error::HsmError;
use crate::keys::objects::shows_keys;
use crate::lock::locked;
use crate::module::{Fault, Inside, Module, Turn, Turns};
use crate::session::Desk;

/// Keys that are being made or are waited for. An RSA key may take half a minute: a longer queue would keep no promise.
pub(crate) const MAKERS_MAX: usize = 32;

/// One token's common knowledge.
pub(crate) struct Shared {
    /// What the token is called here.
    pub(crate) name: String,
    pub(crate) config: Settled,
    pub(crate) module: Arc<Module>,
    pub(crate) standing: Standing,
    /// Places of those who make a key or wait for their turn to.
    pub(crate) makers: Arc<Semaphore>,
    pub(crate) turns: Turns,
    /// Session threads that have a job now.
    pub(crate) at_work: AtomicUsize,
    /// Keys this pool has handed out: what the healer looks for, and what may be signed with.
    known: Mutex<HashMap<[u8; 32], Key>>,
    /// Keys that are not used here, though the token shows them, each with why.
    barred: Mutex<HashMap<[u8; 32], String>>,
    /// Keys that were not fit when they were to sign, each with why: until they are seen to be.
    unfit: Mutex<HashMap<[u8; 32], String>>,
}

impl Shared {
    pub(crate) fn new(name: String, config: Settled, module: Arc<Module>) -> Shared {
        let makers = Arc::new(Semaphore::new(MAKERS_MAX));
        let (turns, standing) = (module.turns(&config.wanted.to_string()), Standing::ready(&name));
        module.used_by(standing.is_well());
        Shared {
            name,
            config,
            module,
            standing,
            makers,
            turns,
            at_work: AtomicUsize::new(0),
            known: Mutex::default(),
            barred: Mutex::default(),
            unfit: Mutex::default(),
        }
    }

    pub(crate) fn open_desk(&self, inside: &Inside<'_>) -> Result<Desk, Fault> {
        Desk::open(&self.module, inside, self.standing.epoch(), &self.config.wanted, &self.config.pin)
    }

    /// The key of that fingerprint as this token has it: by the same label, and an id of the token's own.
    pub(crate) fn own(&self, key: &Key) -> Option<Key> {
        locked(&self.known).get(&key.fingerprint()).filter(|own| own.label() == key.label()).cloned()
    }

    /// What the token has under the key's name signed otherwise than the key does: it is not asked again.
    pub(crate) fn bar(&self, key: &Key, why: String) {
        locked(&self.barred).insert(key.fingerprint(), why);
    }

    /// Why a key is not used here.
    pub(crate) fn barred(&self, fingerprint: &[u8; 32]) -> Option<String> {
        locked(&self.barred).get(fingerprint).cloned()
    }

    /// An operator put it right.
    pub(crate) fn unbar(&self, fingerprint: &[u8; 32]) {
        locked(&self.barred).remove(fingerprint);
        self.is_fit(fingerprint);
    }

    /// A key that was found fit is not any more: somebody changed what it may do. Said once for as long as it is so.
    pub(crate) fn is_unfit(&self, key: &Key, why: &str) {
        let before = locked(&self.unfit).insert(key.fingerprint(), why.to_owned());
        if before.is_none_or(|before| before != why) {
            tracing::error!(
                token = self.name,
                key = key.label(),
                why,
                "a key was changed in its token; it does not sign"
            );
        }
    }

    /// It was looked at, and is fit.
    pub(crate) fn is_fit(&self, fingerprint: &[u8; 32]) {
        locked(&self.unfit).remove(fingerprint);
    }

    /// Why a key that is known does not sign here.
    pub(crate) fn unfit(&self, fingerprint: &[u8; 32]) -> Option<String> {
        locked(&self.unfit).get(fingerprint).cloned()
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
                if !locked(&self.known).is_empty() && shows_keys(turn, &desk.session).is_ok_and(|shows| !shows) =>
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
