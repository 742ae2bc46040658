//! Whether the clock can be believed enough to put it into a certificate.
//!
//! The ledger judges the clock itself (behind the log, ahead of the time gone by, contradicted by a witness), and judges again when
//! it writes, so that no path passes it by. Here is added what an issuer knows: when its own certificate begins and ends.

use policy::{Action, Actor, Resource, ResourceKind, Timestamp, World};
use store::{ActorStamp, Ledger, is_the_server};

use crate::error::CaError;
use crate::gate::Gate;
use crate::issuers::Issuing;

/// The World's clock, and the ledger that judges it.
pub(crate) struct Clock {
    world: World,
    ledger: Ledger,
}

impl Clock {
    pub(crate) fn new(world: World, ledger: &Ledger) -> Clock {
        Clock { world, ledger: ledger.clone() }
    }

    /// The time, if it can be believed.
    pub(crate) async fn now(&self) -> Result<Timestamp, CaError> {
        Ok(self.ledger.time().await?)
    }

    /// The time, if it can be believed and the issuer's certificate holds at it for `needed_secs` more. For the service's own
    /// certificate no clock is waited for: without it nobody could revoke, and its times are never later than what can be believed.
    pub(crate) async fn now_for(
        &self,
        actor: &ActorStamp,
        issuer: &Issuing,
        needed_secs: i64,
    ) -> Result<Timestamp, CaError> {
        if is_the_server(actor) {
            let now = self.ledger.cautious_time();
            return outside(issuer, now, needed_secs).map_or(Ok(now), |why| Err(held(why)));
        }
        if let Some(why) = outside(issuer, self.world.now(), needed_secs) {
            return Err(held(why));
        }
        self.now().await
    }

    /// The time of a revocation, which no clock holds back: never later than what can be believed, as that of the CRL that tells
    /// of it. Its leaf has the log's time.
    pub(crate) fn of_revocation(&self) -> Timestamp {
        self.ledger.cautious_time()
    }

    /// The time of a CRL, which tells of revocations and is not held back either: never later than what can be believed, so that
    /// no relying party finds it to be from the future.
    pub(crate) fn of_crl(&self, issuer: &Issuing) -> Result<Timestamp, CaError> {
        let now = self.ledger.cautious_time();
        outside(issuer, now, 1).map_or(Ok(now), |why| Err(held(why)))
    }

    /// Why nothing is issued under this CA at this time.
    pub(crate) fn outside(&self, issuer: &Issuing) -> Option<String> {
        outside(issuer, self.world.now(), 1)
    }

    /// The same of what needs it for so long.
    pub(crate) fn outside_for(&self, issuer: &Issuing, needed_secs: i64) -> Option<String> {
        outside(issuer, self.world.now(), needed_secs)
    }

    /// An operator's word that this clock is right, for who may give it.
    pub(crate) async fn set(
        &self,
        gate: &Gate,
        actor: &Actor,
        reason: &str,
    ) -> Result<(Timestamp, Timestamp), CaError> {
        let authority = Resource::plain(ResourceKind::Authority);
        let _grant = gate.authorize(actor, Action::ManageAuthority, authority).await?;
        let reason = reason.trim();
        if reason.is_empty() || reason.len() > REASON_BYTES_MAX {
            return Err(CaError::bad("reason", format!("1 to {REASON_BYTES_MAX} bytes for whoever reads the log")));
        }
        if let Some(c) = policy::hidden(reason) {
            return Err(CaError::bad(
                "reason",
                format!("printable characters alone, and there is a {}", c.escape_unicode()),
            ));
        }
        Ok(self.ledger.set_time(ActorStamp::from(actor), reason).await?)
    }
}

/// Why the issuer's certificate does not hold at `now` and for `needed_secs` from then.
fn outside(issuer: &Issuing, now: Timestamp, needed_secs: i64) -> Option<String> {
    let (label, begin, end) = (&issuer.label, issuer.validity.not_before(), issuer.validity.not_after());
    if now < begin {
        return Some(format!("the clock shows {now}, before CA `{label}` begins at {begin}"));
    }
    (now.plus_secs(needed_secs - 1) > end).then(|| format!("CA `{label}` ends at {end}, the clock shows {now}"))
}

fn held(why: String) -> CaError {
    tracing::error!(%why, "nothing is issued");
    CaError::by_the_clock(why)
}

/// A sentence.
const REASON_BYTES_MAX: usize = 1_000;
