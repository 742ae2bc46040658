//! What expires when, read from the register for the status, the metrics and the dashboard.
//!
//! The register counts what ends in each hour; this page adds up. The survey of everything is kept for a few seconds, so that
//! scrapes and pages that refresh by themselves do not ask again and again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use lifecycle::{Bucket, Expiring, Forecast};
use policy::{Grant, Owner, Timestamp, World};
use store::{Class, Ledger, Outlook, StoreError};

/// How old a survey may be.
const AGE_MAX: Duration = Duration::from_secs(5);

/// Live credentials by the time they have left. What was replaced is in none of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Survey {
    /// The moment it is of.
    pub(crate) now: Timestamp,
    /// Certificates of end entities in lifecycle's buckets, all but the expired.
    pub(crate) buckets: BTreeMap<Bucket, Expiring>,
    /// Certificates of end entities.
    pub(crate) certificates: Outlook,
    /// SSH certificates.
    pub(crate) ssh: Outlook,
}

impl Survey {
    fn of(now: Timestamp, certificates: Outlook, ssh: Outlook) -> Self {
        let mut buckets = Forecast::of_hours(now, &certificates.hours).total;
        buckets.remove(&Bucket::Expired);
        Self { now, buckets, certificates, ssh }
    }

    /// All that ended and that nothing took the place of.
    pub(crate) fn expired(&self) -> u64 {
        self.certificates.expired + self.ssh.expired
    }
}

/// How many have not ended.
pub(crate) fn live(outlook: &Outlook) -> u64 {
    outlook.hours.iter().map(|hour| hour.live).sum()
}

/// How many of those somebody is said to renew.
pub(crate) fn renewed(outlook: &Outlook) -> u64 {
    outlook.hours.iter().map(|hour| hour.renewed).sum()
}

/// Reads the register for surveys, and keeps the one of everything that was made last.
pub(crate) struct Surveyor {
    ledger: Ledger,
    world: World,
    recent: Mutex<Option<(Instant, Arc<Survey>)>>,
}

impl Surveyor {
    /// A surveyor of this register who has made no survey yet.
    pub(crate) fn new(ledger: Ledger, world: World) -> Self {
        Self { ledger, world, recent: Mutex::default() }
    }

    /// The live credentials of an owner, or all of them. The grant is the reason why they may be counted.
    pub(crate) async fn survey(&self, grant: &Grant, owner: Option<&Owner>) -> Result<Arc<Survey>, StoreError> {
        if owner.is_some() {
            return self.now(grant, owner).await;
        }
        let kept = self.recent.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((_, survey)) = kept.filter(|(at, _)| at.elapsed() < AGE_MAX) {
            return Ok(survey);
        }
        self.now(grant, None).await
    }

    /// The same of this moment: what stands beside a list is of the list's moment.
    pub(crate) async fn now(&self, _grant: &Grant, owner: Option<&Owner>) -> Result<Arc<Survey>, StoreError> {
        let (now, of) = (self.world.now(), owner.map(Owner::as_str));
        let certificates = self.ledger.outlook(of, Class::Certificates, now).await?;
        let ssh = self.ledger.outlook(of, Class::Ssh, now).await?;
        let survey = Arc::new(Survey::of(now, certificates, ssh));
        if owner.is_none() {
            *self.recent.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), Arc::clone(&survey)));
        }
        Ok(survey)
    }
}
