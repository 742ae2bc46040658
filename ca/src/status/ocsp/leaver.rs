//! What becomes of responders' keys: one whose last certificate has ended is destroyed in the token.
//!
//! No response outlives its responder's certificate, so nothing that such a key signed is valid any more. A node looks after the keys
//! that it made itself. Trusted for nothing: that it is a responder's key and no CA's, the ledger looks at before it gives the right
//! to destroy it.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use hsm::{Key, Pool};
use policy::{Instance, Serial, Timestamp, World};
use store::{ActorStamp, Filter};

use crate::craft::Office;
use crate::craft::ocsp::RESPONDER_SECS;
use crate::error::CaError;
use crate::status::ocsp::keeper::{KEYS, grant};

/// Who takes old keys away.
pub(super) struct Leaver {
    office: Office,
    pool: Pool,
    instance: Instance,
    world: World,
    /// When it looked last, by the clock that nobody sets.
    looked: Mutex<Option<Duration>>,
}

impl Leaver {
    pub(super) fn new(office: &Office, pool: &Pool, world: &World, instance: Instance) -> Leaver {
        let (office, pool, world) = (office.clone(), pool.clone(), world.clone());
        Leaver { office, pool, instance, world, looked: Mutex::default() }
    }

    /// Looks through the token once a day; destroys what is done with.
    pub(super) async fn tend(&self) -> Result<(), CaError> {
        let now = self.world.gone_by();
        {
            let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
            if looked.is_some_and(|at| now.saturating_sub(at) < LOOK_EACH) {
                return Ok(());
            }
            *looked = Some(now);
        }
        let now = self.office.ledger.cautious_time();
        for key in self.pool.keys().await? {
            if self.is_ours(&key) && self.is_done_with(&key, now).await? {
                self.end(&key).await?;
            }
        }
        Ok(())
    }

    /// A responder's, that this node made: its label says so.
    fn is_ours(&self, key: &Key) -> bool {
        made_with(key).is_some_and(|serial| serial.instance() == self.instance)
    }

    /// Two weeks and a day after it was made, and a day after the end of all its certificates.
    async fn is_done_with(&self, key: &Key, now: Timestamp) -> Result<bool, CaError> {
        let made = made_with(key).map(|serial| serial.made_at());
        if made.is_none_or(|made| now.since(made) < RESPONDER_SECS + MARGIN_SECS) {
            return Ok(false);
        }
        let filter = Filter {
            key_hash: Some(key.fingerprint()),
            not_after_after: Some(now.plus_secs(-MARGIN_SECS)),
            limit: 1,
            ..Filter::default()
        };
        Ok(self.office.ledger.matching(filter).await?.is_empty())
    }

    async fn end(&self, key: &Key) -> Result<(), CaError> {
        let asks = ActorStamp::from(grant(&self.office)?.actor());
        match self.office.ledger.dismiss_key(key, asks).await {
            Ok(farewell) => {
                self.pool.destroy(farewell).await?;
                tracing::info!(key = key.label(), "an old OCSP responder's key was destroyed");
                Ok(())
            }
            // Somebody gave another key such a label: it stays.
            Err(store::StoreError::Conflict(why)) => {
                tracing::warn!(key = key.label(), %why, "this key looks like an OCSP responder's and is none");
                Ok(())
            }
            Err(other) => Err(other.into()),
        }
    }
}

/// The serial in a responder key's label.
fn made_with(key: &Key) -> Option<Serial> {
    let (_, serial) = key.label().rsplit_once(KEYS)?;
    Serial::from_hex(serial).ok()
}

const LOOK_EACH: Duration = Duration::from_secs(86_400);
/// Clocks of those who verify.
const MARGIN_SECS: i64 = 86_400;
