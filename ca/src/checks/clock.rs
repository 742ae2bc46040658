//! Whether the clock can be believed enough to put it into a certificate.
//!
//! A clock that went back writes a notBefore in the past of things already issued, and CRLs older than the one they
//! replace. So time is taken from here alone: a clock that stands before the issuer's certificate, after its end, or
//! noticeably before something already in the log gives no time but a reason.

use std::sync::atomic::{AtomicI64, Ordering};

use policy::{Timestamp, World};
use store::Ledger;

use crate::error::CaError;
use crate::issuers::Issuing;

/// The World's clock, and the newest time it is known to have shown.
pub(crate) struct Clock {
    world: World,
    newest: AtomicI64,
}

impl Clock {
    /// Starts from the newest leaf of the log.
    pub(crate) async fn new(world: World, ledger: &Ledger) -> Result<Clock, CaError> {
        let size = ledger.head().size;
        let newest = match size.checked_sub(1) {
            Some(last) => ledger.leaves(last..size).await?.first().and_then(|(_, leaf)| time_of(leaf)),
            None => None,
        };
        Ok(Clock { world, newest: AtomicI64::new(newest.unwrap_or(Timestamp::MIN).unix()) })
    }

    /// The time, if it can be believed.
    pub(crate) fn now(&self) -> Result<Timestamp, CaError> {
        let now = self.world.now();
        let newest = Timestamp::from_unix(self.newest.load(Ordering::Relaxed));
        if newest.since(now) > SLIP_SECS {
            return Err(held(format!(
                "the clock shows {now}, but the log already holds {newest}; set the clock right"
            )));
        }
        self.newest.fetch_max(now.unix(), Ordering::Relaxed);
        Ok(now)
    }

    /// The time, if it can be believed and the issuer's certificate holds at it for `needed_secs` more.
    pub(crate) fn now_for(&self, issuer: &Issuing, needed_secs: i64) -> Result<Timestamp, CaError> {
        let now = self.world.now();
        let validity = issuer.validity;
        let label = &issuer.label;
        if now < validity.not_before() {
            return Err(held(format!(
                "the clock shows {now}, before CA `{label}` begins at {}",
                validity.not_before()
            )));
        }
        if now.plus_secs(needed_secs - 1) > validity.not_after() {
            return Err(held(format!("CA `{label}` ends at {}, the clock shows {now}", validity.not_after())));
        }
        self.now()
    }
}

fn held(why: String) -> CaError {
    tracing::error!(%why, "nothing is issued");
    CaError::unavailable(RETRY_SECS, why)
}

fn time_of(leaf: &str) -> Option<Timestamp> {
    let leaf: serde_json::Value = serde_json::from_str(leaf).ok()?;
    Timestamp::parse_rfc3339(leaf.get("time")?.as_str()?).ok()
}

/// Nodes that share a register may differ by so much; a clock set back by hand differs by more.
const SLIP_SECS: i64 = 300;
/// A clock is set right by a person or by NTP, neither of them at once.
const RETRY_SECS: u32 = 60;
