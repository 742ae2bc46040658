//! Whether the clock can be believed enough to put it into a certificate.
//!
//! The ledger judges the clock itself (behind the log, ahead of the time gone by, contradicted by a witness), and judges again when
//! it writes, so that no path passes it by. Here is added what an issuer knows: when its own certificate begins and ends.

use policy::{Action, Actor, Resource, ResourceKind, Timestamp, World};
use store::{ActorStamp, Ledger, is_the_server};

use crate::error::CaError;
use crate::gate::Gate;
use crate::issuers::Issuing;

/// By which time a CRL is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CrlTime {
    /// Never later than what can be believed.
    pub(crate) now: Timestamp,
    /// The greatest time of the log since an operator's last word.
    in_force: Timestamp,
    /// Whether the clock is.
    is_believed: bool,
}

impl CrlTime {
    /// Whether a time that a CRL or a revocation has may be right. One later than now was written by a clock that was ahead, which is
    /// certain once this clock is believed. Before that it may be this clock that is wrong, and what was published before is the better of
    /// the two: but only as far as the time in force. What is later than that too was written before an operator's word, which said that
    /// its clock was wrong, and no doubt about another clock takes that back.
    pub(crate) fn may_be_right(self, at: Timestamp) -> bool {
        let latest = if self.is_believed { self.now } else { self.now.max(self.in_force) };
        latest.elapsed_since(at).is_some()
    }

    /// Whether what is done every so many seconds is due again.
    pub(crate) fn is_due(self, last: Timestamp, every_secs: i64) -> bool {
        self.may_be_right(last).then(|| self.now.since(last)).is_none_or(|secs| secs >= every_secs)
    }
}

/// The date that is told of a revocation at `now`: its own. Where a clock that was ahead wrote that down it is yet to come, and nobody
/// makes sense of a response that says so: then it is the beginning of this day, which is the same for all who ask on it.
pub(crate) fn told_by(revoked: Timestamp, now: Timestamp) -> Timestamp {
    match revoked <= now {
        true => revoked,
        false => now.plus_secs(-now.unix().rem_euclid(DAY_SECS)),
    }
}

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

    /// The same, and whether the clock is believed: what is later than it then is from a clock that was ahead.
    pub(crate) fn of_next_crl(&self, issuer: &Issuing) -> Result<CrlTime, CaError> {
        // Asked first: what begins to be believed in between was doubted for this CRL.
        let is_believed = self.ledger.time_held().is_none();
        Ok(CrlTime { now: self.of_crl(issuer)?, in_force: self.ledger.time_in_force(), is_believed })
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

const DAY_SECS: i64 = 86_400;
/// A sentence.
const REASON_BYTES_MAX: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_date_that_is_told_of_a_revocation_is_yet_to_come() {
        let now = Timestamp::from_unix(1_800_000_000);
        let midnight = Timestamp::from_unix(1_800_000_000 - 1_800_000_000 % DAY_SECS);
        for (revoked, told) in
            [(now.plus_secs(-9), now.plus_secs(-9)), (now, now), (now.plus_secs(3 * DAY_SECS), midnight)]
        {
            assert_eq!(told_by(revoked, now), told, "{revoked}");
        }
    }

    #[test]
    fn a_time_that_a_clock_wrote_which_was_ahead_is_right_only_while_this_one_may_be_wrong() {
        let now = Timestamp::from_unix(1_800_000_000);
        let slip = Timestamp::SLIP_SECS;
        for (is_believed, in_force, at, may_be_right, is_due) in [
            (true, 0, -DAY_SECS, true, true),
            (true, 0, 1 - DAY_SECS, true, false),
            (true, 0, slip, true, false),
            (true, 0, slip + 1, false, true),
            // A host that came up days back, and no word: what the log has is the better.
            (false, 3 * DAY_SECS, -DAY_SECS, true, true),
            (false, 3 * DAY_SECS, 3 * DAY_SECS + slip, true, false),
            // What is later than all of the log since the word was written before it.
            (false, 3 * DAY_SECS, 3 * DAY_SECS + slip + 1, false, true),
            (false, -60, slip, true, false),
            (false, -60, 3 * DAY_SECS, false, true),
        ] {
            let time = CrlTime { now, in_force: now.plus_secs(in_force), is_believed };
            let shown = now.plus_secs(at);
            assert_eq!(
                (time.may_be_right(shown), time.is_due(shown, DAY_SECS)),
                (may_be_right, is_due),
                "{is_believed} {in_force} {at}"
            );
        }
    }
}
