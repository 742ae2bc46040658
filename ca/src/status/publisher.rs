//! What is published of the revoked: a series of CRLs per generation of an issuer, one for each part of its revocations, and deltas
//! of these where the generation has them.
//!
//! Every CRL is an entry of the ledger like any other signature; the newest one in the register is what is served. It lies on a
//! shelf in memory, so that the public reads it at the cost of a look, and goes on reading while the database is away. It is the
//! newest as long as the log, which is in memory too, knows of no newer one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use policy::{Action, Actor, Grant, Resource, ResourceKind, Timestamp, World};
use store::{Covers, Crl};

use crate::checks::CrlTime;
use crate::craft::Office;
use crate::craft::crl::{Changes, Drafted, Moment, Roll, changes};
use crate::error::CaError;
use crate::gate::Gate;
use crate::issuers::{Issuing, Scope, Since};
use crate::status::shelf::{PublishedCrl, Shelf};

/// What the one who makes an issuer's CRLs keeps from one to the next.
#[derive(Default)]
pub(crate) struct Series {
    /// The highest number used by this process: a number is used up even by a CRL that was not signed.
    last_number: u64,
    roll: Roll,
}

/// Who makes CRLs, and knows the newest.
pub(crate) struct Publisher {
    office: Office,
    /// Whose time waits take.
    pub(super) world: World,
    shelf: Arc<Shelf>,
    /// Who makes a CRL of a series that has deltas: they share its numbers, so one is made after the other.
    turns: Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

/// The turn to make a CRL: of a series that has deltas one is made after the other, of whichever kind.
pub(crate) struct Turn {
    _held: Option<tokio::sync::OwnedMutexGuard<()>>,
}

/// Whether a CRL is made.
#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    /// If it tells what the newest does not, or that is old.
    Due,
    Anyway,
}

/// What there is when a CRL is to be made.
struct Sight {
    known: Covers,
    /// The newest of its series.
    newest: Option<PublishedCrl>,
    /// The newest complete one where it is a delta, the newest delta where it is not; none where there are no deltas.
    other: Option<PublishedCrl>,
}

impl Publisher {
    /// With the register's newest CRLs on the shelf. One that cannot be had now is asked for again when it is wanted.
    pub(crate) async fn open(office: Office, world: World) -> Publisher {
        let publisher = Publisher { office, world, shelf: Arc::default(), turns: Mutex::default() };
        let hierarchy = publisher.office.issuers.read();
        for series in hierarchy.issuing_all().flat_map(|issuing| issuing.series()) {
            if let Err(e) = publisher.known(&series).await {
                tracing::error!(%series, error = %e, "the newest CRL cannot be read");
            }
        }
        publisher
    }

    /// The newest CRL of an issuer, for the public. If another node made a newer one and the database does not give it soon,
    /// the one on the shelf: an answer that is seconds old is better than none, and nobody waits behind a frozen database.
    pub(crate) async fn newest(self: &Arc<Self>, issuer: &str) -> Result<PublishedCrl, CaError> {
        let missing = || CaError::NotFound(format!("CRL of `{issuer}`"));
        if let Some(brought) = self.brought(issuer)? {
            return Ok(brought);
        }
        if !self.publishes(issuer) {
            return Err(missing());
        }
        let Some(there) = self.shelf.get(issuer) else { return self.known(issuer).await?.ok_or_else(missing) };
        if self.is_newest(issuer, &there) {
            return Ok(there);
        }
        // One question at a time; it goes on when its caller has left.
        let Some(turn) = self.shelf.turn(issuer) else { return Ok(there) };
        let (publisher, label) = (Arc::clone(self), issuer.to_owned());
        let asked = tokio::spawn(async move {
            let _turn = turn;
            publisher.known(&label).await
        });
        match tokio::time::timeout(WAIT_MAX, asked).await {
            Ok(Ok(Ok(newer))) => Ok(newer.unwrap_or(there)),
            Ok(Ok(Err(e))) => {
                tracing::warn!(issuer, error = %e, "the newest CRL cannot be read, the one before is served");
                Ok(there)
            }
            Ok(Err(_)) | Err(_) => Ok(there),
        }
    }

    /// The CRL that was brought for a generation whose key is elsewhere; none of those that are signed here.
    fn brought(&self, issuer: &str) -> Result<Option<PublishedCrl>, CaError> {
        let hierarchy = self.office.issuers.read();
        let found = issuer.parse().ok().and_then(|name| hierarchy.generation(&name));
        let Some(generation) = found.filter(|generation| generation.record.elsewhere) else { return Ok(None) };
        let none = || CaError::NotFound(format!("CRL of `{issuer}`: none was brought"));
        generation.crl.as_ref().map(|crl| Some(PublishedCrl::brought(crl, issuer))).ok_or_else(none)
    }

    /// Whether CRLs are made of what this signed.
    pub(crate) fn publishes(&self, series: &str) -> bool {
        let hierarchy = self.office.issuers.read();
        let found = hierarchy.series(series);
        found.is_some_and(|(g, _)| g.certificate().is_some() && !g.record.elsewhere)
    }

    /// Whether a complete series has deltas.
    pub(crate) fn has_deltas(&self, series: &str) -> bool {
        let hierarchy = self.office.issuers.read();
        hierarchy.series(series).is_some_and(|(of, scope)| of.record.crls().has_deltas_of(scope.shard))
    }

    /// The series that are kept fresh: until the last of what they signed has ended, which is with their certificate.
    pub(crate) async fn series(&self) -> Result<Vec<String>, CaError> {
        let hierarchy = self.office.issuers.fresh().await?;
        let now = self.office.ledger.cautious_time();
        let goes_on = |issuing: &&Arc<Issuing>| issuing.validity.contains(now);
        Ok(hierarchy.issuing_all().filter(goes_on).flat_map(|issuing| issuing.series()).collect())
    }

    /// The newest CRL of an issuer: the one on the shelf, or the register's.
    async fn known(&self, issuer: &str) -> Result<Option<PublishedCrl>, CaError> {
        match self.shelf.get(issuer) {
            Some(there) if self.is_newest(issuer, &there) => Ok(Some(there)),
            Some(_) | None => match self.office.ledger.newest_crl(issuer).await? {
                Some(crl) => self.shelve(crl.into_inner(), None).await,
                None => Ok(None),
            },
        }
    }

    async fn shelve(&self, crl: Crl, began: Option<Instant>) -> Result<Option<PublishedCrl>, CaError> {
        let assembled = off_the_async_threads(move || PublishedCrl::of(&crl)).await?;
        Ok(assembled.map(|mut crl| {
            crl.took = began.map(|began| began.elapsed());
            self.shelf.put(crl)
        }))
    }

    /// How many entries the newest CRL has that this node knows.
    pub(crate) fn listed(&self, issuer: &str) -> u64 {
        self.shelf.get(issuer).map_or(0, |crl| crl.listed)
    }

    fn is_newest(&self, issuer: &str, there: &PublishedCrl) -> bool {
        self.office.ledger.newest_crl_operation(issuer).is_none_or(|newest| newest <= there.operation)
    }

    /// Makes a CRL of `label` if one is due, with the turn for it where that is had already; `true` if one was made.
    pub(crate) async fn publish(&self, label: &str, series: &mut Series, turn: Option<Turn>) -> Result<bool, CaError> {
        self.make(label, series, (When::Due, turn)).await
    }

    /// The turn to make one of `label`, if that can begin at once: where there are deltas nobody makes another of its series, and none
    /// begins with this second or after it.
    pub(crate) fn turn_now(&self, label: &str) -> Option<Turn> {
        let hierarchy = self.office.issuers.read();
        let found = hierarchy.series(label).and_then(|(of, scope)| Some((of.issuing()?, scope)));
        let Some((issuer, scope)) = found.filter(|(issuer, scope)| issuer.form.has_deltas_of(scope.shard)) else {
            return Some(Turn { _held: None });
        };
        let turn = self.turn_of(issuer, scope).try_lock_owned().ok()?;
        // Who is told why there is none now is who makes it.
        let turn = Turn { _held: Some(turn) };
        let Ok(time) = self.office.checks.clock.of_next_crl(issuer) else { return Some(turn) };
        let of = |is_delta| self.shelf.get(&Scope { is_delta, ..scope }.series(&issuer.label));
        let number = self.office.ledger.last_crl_number(&scope.series(&issuer.label));
        let before = begun([&of(scope.is_delta), &of(!scope.is_delta)], number, time);
        before.is_none_or(|before| ahead_of(before, time.now) <= 0).then_some(turn)
    }

    /// Makes a CRL of `label`, due or not.
    pub(crate) async fn publish_now(&self, label: &str) -> Result<PublishedCrl, CaError> {
        self.make(label, &mut Series::default(), (When::Anyway, None)).await?;
        self.known(label).await?.ok_or_else(|| CaError::Internal(format!("the CRL of `{label}` is not there")))
    }

    async fn make(
        &self,
        label: &str,
        series: &mut Series,
        (when, turn): (When, Option<Turn>),
    ) -> Result<bool, CaError> {
        let hierarchy = self.office.issuers.fresh().await?;
        let unable = || CaError::Conflict(format!("no CRL can be made for {label}: the token does not have its key"));
        let (generation, scope) = hierarchy.series(label).ok_or_else(unable)?;
        let issuer = Arc::clone(generation.issuing().ok_or_else(unable)?);
        let mut has_waited = false;
        let _turn = match turn {
            Some(turn) => turn,
            None => self.turn(&issuer, scope).await,
        };
        for _ in 0..NUMBERS_MAX {
            let began = Instant::now();
            let sight = self.sight(&issuer, scope).await?;
            // Asked after the look: what was seen of the log is no further than the time in force that it is judged by.
            let time = self.office.checks.clock.of_next_crl(&issuer)?;
            let from = match self.rests_on(label, scope, &sight, time) {
                Ok(from) => from,
                // Another node's CRL came between two looks.
                Err(CaError::Conflict(_)) => continue,
                Err(other) => return Err(other),
            };
            if when == When::Due && !sight.is_due(from, time) {
                return Ok(false);
            }
            let at = self.moment((&issuer, scope), series, &sight, time);
            // One that would begin after now waits for that: with two kinds in turn some would be believed by nobody yet.
            let ahead = at.before.map_or(0, |before| ahead_of(before, time.now));
            if issuer.form.has_deltas_of(scope.shard) && ahead > 0 && !has_waited {
                has_waited = true;
                let secs = u64::try_from(ahead).unwrap_or(0).min(AHEAD_SECS_MAX);
                tokio::time::sleep(self.world.wait(Duration::from_secs(secs))).await;
                continue;
            }
            let drafted = match self.drafted((&issuer, scope), series, at, from).await {
                Ok(drafted) => drafted,
                Err(CaError::Lint(failure)) => return Err(self.office.gate.refuse(failure).await),
                Err(other) => return Err(other),
            };
            series.last_number = drafted.number;
            match self.office.issue_linted(drafted.linted).await {
                Ok(issued) => {
                    self.shelve(Crl::new(issued, drafted.tbs), Some(began)).await?;
                    return Ok(true);
                }
                // The number was used up, by another node or by a CRL that was never signed; or another node published one
                // that covers more: the register refuses what covers less.
                Err(CaError::Conflict(_)) => continue,
                Err(e) => return Err(e),
            }
        }
        Err(CaError::Conflict(format!("no free CRL number for `{label}` in {NUMBERS_MAX} tries")))
    }

    /// The turn to make a CRL of a series that has deltas, of either kind.
    async fn turn(&self, issuer: &Issuing, scope: Scope) -> Turn {
        match issuer.form.has_deltas_of(scope.shard) {
            true => Turn { _held: Some(self.turn_of(issuer, scope).lock_owned().await) },
            false => Turn { _held: None },
        }
    }

    fn turn_of(&self, issuer: &Issuing, scope: Scope) -> Arc<tokio::sync::Mutex<()>> {
        let complete = Scope { is_delta: false, ..scope }.series(&issuer.label);
        Arc::clone(self.turns.lock().unwrap_or_else(PoisonError::into_inner).entry(complete).or_default())
    }

    /// What is known of the revoked first, the newest CRL after: it may cover more than was known, never less.
    async fn sight(&self, issuer: &Issuing, scope: Scope) -> Result<Sight, CaError> {
        let label = scope.series(&issuer.label);
        let known = self.office.ledger.revocations_in(&label, 0..0).covers;
        let newest = self.known(&label).await?;
        let other = match issuer.form.has_deltas_of(scope.shard) {
            true => self.known(&Scope { is_delta: !scope.is_delta, ..scope }.series(&issuer.label)).await?,
            false => None,
        };
        Ok(Sight { known, newest, other })
    }

    /// On what the next delta rests: on what the one before does, for a day and while it is small, so that whoever has read a complete
    /// CRL since goes on with deltas; then, and after one that a clock made which was ahead, on the newest complete one. None for what is
    /// no delta.
    fn rests_on(&self, label: &str, scope: Scope, sight: &Sight, time: CrlTime) -> Result<Option<Changes>, CaError> {
        if !scope.is_delta {
            return Ok(None);
        }
        let bases = self.office.ledger.crl_bases(label);
        let changes = |(base, covers): &(store::Base, Covers), from| Changes {
            since: Since { base: *base, from },
            told: covers.revocations(),
        };
        let as_before = sight.newest.as_ref().and_then(|delta| delta.base).and_then(|(number, from)| {
            let there = bases.iter().find(|(base, _)| base.number() == number)?;
            Some(changes(there, from))
        });
        let goes_on = |of: &Changes| {
            let listed = sight.known.revocations().saturating_sub(of.told);
            !time.is_due(of.since.from, BASE_SECS) && listed <= DELTA_LISTED_MAX
        };
        if let Some(as_before) = as_before.filter(goes_on) {
            return Ok(Some(as_before));
        }
        let none = || CaError::unavailable(BASE_RETRY_SECS, format!("no complete CRL for `{label}` to rest on yet"));
        let complete = sight.other.as_ref().ok_or_else(none)?;
        let newest = bases.iter().find(|(base, _)| base.operation() == complete.operation);
        let moved = || CaError::Conflict(format!("there is a newer CRL than {} for `{label}`", complete.number));
        newest.map(|newest| Some(changes(newest, complete.this_update))).ok_or_else(moved)
    }

    fn moment(&self, (issuer, scope): (&Issuing, Scope), series: &Series, sight: &Sight, time: CrlTime) -> Moment {
        let known = [&sight.newest, &sight.other];
        let all = || known.into_iter().flatten();
        let number = all().map(|crl| crl.number).max().unwrap_or(0).max(series.last_number).max(issuer.crl_above);
        if !issuer.form.has_deltas_of(scope.shard) {
            return Moment { time, before: newest_of(known, time), last_number: number };
        }
        let number = number.max(self.office.ledger.last_crl_number(&scope.series(&issuer.label)));
        Moment { time, before: begun(known, number, time), last_number: number }
    }

    async fn drafted(
        &self,
        (issuer, scope): (&Arc<Issuing>, Scope),
        series: &mut Series,
        at: Moment,
        from: Option<Changes>,
    ) -> Result<Drafted, CaError> {
        let (grant, issuer, ledger) = (grant(&self.office.gate)?, Arc::clone(issuer), self.office.ledger.clone());
        let Some(from) = from else {
            // A panic in there loses the roll, and the next CRL begins a new one.
            let mut roll = std::mem::take(&mut series.roll);
            let work = move || (roll.draft(grant, (&issuer, scope.shard), &ledger, at), roll);
            let (drafted, roll) = off_the_async_threads(work).await?;
            series.roll = roll;
            return drafted;
        };
        off_the_async_threads(move || changes(grant, (&issuer, scope), &ledger, (at, from))).await?
    }
}

impl Sight {
    /// Whether the newest of the series tells less than there is, will soon be old, or begins later than now, so that whoever checks it
    /// refuses it; a delta also where a complete CRL was made after it, with which it cannot be read, or where the next rests on another.
    fn is_due(&self, from: Option<Changes>, time: CrlTime) -> bool {
        let Some(newest) = &self.newest else { return true };
        let is_behind = from.is_some_and(|from| {
            let base = (from.since.base.number(), from.since.from);
            newest.base != Some(base) || self.other.as_ref().is_some_and(|complete| complete.number > newest.number)
        });
        is_behind || newest.told != Some(self.known.revocations()) || time.is_due(newest.this_update, AGE_MAX_SECS)
    }
}

fn grant(gate: &Gate) -> Result<Grant, CaError> {
    gate.decide_own(&Actor::system("crl"), Action::ManageAuthority, &Resource::plain(ResourceKind::Authority))
}

/// When the newest of a series with deltas begins, of whichever kind, and of whichever node by the greatest number that was used.
///
/// RFC 5280 section 5.2.3: a delta and a complete CRL of one moment "MUST have the same CRL number": so no two of ours are of one
/// moment, whichever node made them. A number is not below its second.
fn begun(known: [&Option<PublishedCrl>; 2], number: u64, time: CrlTime) -> Option<Timestamp> {
    let second = i64::try_from(number).ok().map(Timestamp::from_unix).filter(|second| *second <= time.now);
    newest_of(known, time).max(second)
}

/// When the newest of these begins, but for those that a clock made which was ahead: after them the next would be from the future too.
fn newest_of(known: [&Option<PublishedCrl>; 2], time: CrlTime) -> Option<Timestamp> {
    known.into_iter().flatten().map(|crl| crl.this_update).filter(|at| time.may_be_right(*at)).max()
}

/// By how many seconds one that follows this would begin after now.
fn ahead_of(before: Timestamp, now: Timestamp) -> i64 {
    before.plus_secs(1).since(now)
}

/// Work that grows with an issuer's past.
async fn off_the_async_threads<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, CaError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|e| CaError::Internal(format!("the work on a CRL ended: {e}")))
}

/// A CRL is replaced at this age, long before its end.
const AGE_MAX_SECS: i64 = 86_400;
/// Deltas rest on one complete CRL for so long: whoever reads that once a day goes on with deltas.
const BASE_SECS: i64 = 86_400;
/// Entries of a delta beyond which it rests on a newer complete CRL, if there is one.
const DELTA_LISTED_MAX: u64 = 10_000;
/// A complete CRL is made within seconds.
const BASE_RETRY_SECS: u32 = 2;
/// So long one waits for its own beginning, where those before it begin ahead of the clock.
const AHEAD_SECS_MAX: u64 = 3;
/// Numbers tried before giving up: more than nodes that could be publishing at once.
const NUMBERS_MAX: usize = 8;
/// So long the public waits for a CRL that another node made, before it gets the one on the shelf.
const WAIT_MAX: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests;
