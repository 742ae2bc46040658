//! Keys that were revoked as compromised: nothing is issued for them again, by nobody.
//!
//! A leaked key does not get better with a new certificate (CA/Browser Forum baseline requirements, section 6.1.1.3). The
//! register knows them; here they are remembered, so that an issuance costs no question. A revocation made on this node counts at
//! once, one made on another node within [`AGE_MAX`].

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

use store::Ledger;

use crate::error::CaError;
use crate::intake::RevocationReason;

/// How old the memory may be before the register is asked for what was revoked since.
const AGE_MAX: Duration = Duration::from_secs(1);

/// The memory: 32 bytes per key, and keys are seldom compromised.
pub(crate) struct Compromised {
    ledger: Ledger,
    known: RwLock<Known>,
    asking: AtomicBool,
}

#[derive(Default)]
struct Known {
    keys: HashSet<[u8; 32]>,
    /// Revocations with a leaf below this were looked at.
    next_leaf: u64,
    asked: Option<Instant>,
}

impl Compromised {
    /// Knows nothing yet.
    pub(crate) fn new(ledger: Ledger) -> Compromised {
        Compromised { ledger, known: RwLock::default(), asking: AtomicBool::new(false) }
    }

    /// Whether this key was revoked as compromised.
    pub(crate) async fn has(&self, key_hash: &[u8; 32]) -> Result<bool, CaError> {
        let (known, fresh, ever) = {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            let fresh = known.asked.is_some_and(|asked| asked.elapsed() < AGE_MAX);
            (known.keys.contains(key_hash), fresh, known.asked.is_some())
        };
        // One asks for all; the others go on with what is a second old. At the start nobody has anything to go on with.
        if known || fresh || (ever && self.asking.swap(true, Ordering::AcqRel)) {
            return Ok(known);
        }
        let asking = Asking(&self.asking);
        self.ask().await?;
        drop(asking);
        Ok(self.known.read().unwrap_or_else(PoisonError::into_inner).keys.contains(key_hash))
    }

    /// Learns what was revoked since the last time.
    async fn ask(&self) -> Result<(), CaError> {
        loop {
            let from = self.known.read().unwrap_or_else(PoisonError::into_inner).next_leaf;
            let began = Instant::now();
            let page = self.ledger.revoked_keys(from).await?;
            let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
            let last = page.last().map(|revoked| revoked.leaf + 1);
            let compromised = page.into_iter().filter(|r| r.reason == RevocationReason::KeyCompromise.code());
            known.keys.extend(compromised.map(|revoked| revoked.key_hash));
            match last {
                Some(next) => known.next_leaf = known.next_leaf.max(next),
                None => {
                    known.asked = Some(began);
                    return Ok(());
                }
            }
        }
    }

    /// Learns of a revocation of this node's own.
    pub(crate) fn learn(&self, key_hash: [u8; 32]) {
        self.known.write().unwrap_or_else(PoisonError::into_inner).keys.insert(key_hash);
    }
}

/// Somebody asks. Ended by drop, so that a caller who goes away does not leave everyone with an old memory for ever.
struct Asking<'a>(&'a AtomicBool);

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}
