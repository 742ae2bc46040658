//! What is published of the revoked: a series of CRLs per generation of an issuer, and one for each part of its revocations.
//!
//! Every CRL is an entry of the ledger like any other signature; the newest one in the register is what is served. It lies on a
//! shelf in memory, so that the public reads it at the cost of a look, and goes on reading while the database is away. It is the
//! newest as long as the log, which is in memory too, knows of no newer one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use policy::{Action, Actor, Grant, Resource, ResourceKind, Timestamp};
use store::{Covers, Crl};

use crate::craft::Office;
use crate::craft::crl::{Moment, Roll};
use crate::error::CaError;
use crate::gate::Gate;
use crate::issuers::Issuing;
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
    shelf: Arc<Shelf>,
}

impl Publisher {
    /// With the register's newest CRLs on the shelf. One that cannot be had now is asked for again when it is wanted.
    pub(crate) async fn open(office: Office) -> Publisher {
        let publisher = Publisher { office, shelf: Arc::default() };
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

    /// Makes a CRL of `label` if one is due; `true` if one was made.
    pub(crate) async fn publish(&self, label: &str, series: &mut Series) -> Result<bool, CaError> {
        self.make(label, series, due).await
    }

    /// Makes a CRL of `label`, due or not.
    pub(crate) async fn publish_now(&self, label: &str) -> Result<PublishedCrl, CaError> {
        self.make(label, &mut Series::default(), |_, _, _| true).await?;
        self.known(label).await?.ok_or_else(|| CaError::Internal(format!("the CRL of `{label}` is not there")))
    }

    async fn make(
        &self,
        label: &str,
        series: &mut Series,
        due: fn(&PublishedCrl, &Covers, Timestamp) -> bool,
    ) -> Result<bool, CaError> {
        let hierarchy = self.office.issuers.fresh().await?;
        let unable = || CaError::Conflict(format!("no CRL can be made for {label}: the token does not have its key"));
        let (generation, shard) = hierarchy.series(label).ok_or_else(unable)?;
        let issuer = Arc::clone(generation.issuing().ok_or_else(unable)?);
        let now = self.office.checks.clock.of_crl(&issuer)?;
        for _ in 0..NUMBERS_MAX {
            let began = Instant::now();
            // What is known of the revoked first, the newest CRL after: it may cover more than was known, never less.
            let known = self.office.ledger.revocations_in(label, 0..0).covers;
            let newest = self.known(label).await?;
            if newest.as_ref().is_some_and(|crl| !due(crl, &known, now)) {
                return Ok(false);
            }
            let at = Moment {
                now,
                before: newest.as_ref().map(|crl| crl.this_update),
                last_number: newest.as_ref().map_or(0, |crl| crl.number).max(series.last_number).max(issuer.crl_above),
            };
            let (grant, issuer) = (grant(&self.office.gate)?, Arc::clone(&issuer));
            // A panic in there loses the roll, and the next CRL begins a new one.
            let (mut roll, ledger) = (std::mem::take(&mut series.roll), self.office.ledger.clone());
            let work = move || (roll.draft(grant, (&issuer, shard), &ledger, at), roll);
            let (drafted, roll) = off_the_async_threads(work).await?;
            series.roll = roll;
            let drafted = match drafted {
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
}

fn grant(gate: &Gate) -> Result<Grant, CaError> {
    gate.decide_own(&Actor::system("crl"), Action::ManageAuthority, &Resource::plain(ResourceKind::Authority))
}

/// Work that grows with an issuer's past.
async fn off_the_async_threads<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, CaError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|e| CaError::Internal(format!("the work on a CRL ended: {e}")))
}

fn due(newest: &PublishedCrl, known: &Covers, now: Timestamp) -> bool {
    newest.told != Some(known.revocations()) || now.since(newest.this_update) >= AGE_MAX_SECS
}

/// A CRL is replaced at this age, long before its end.
const AGE_MAX_SECS: i64 = 86_400;
/// Numbers tried before giving up: more than nodes that could be publishing at once.
const NUMBERS_MAX: usize = 8;
/// So long the public waits for a CRL that another node made, before it gets the one on the shelf.
const WAIT_MAX: Duration = Duration::from_secs(2);
