//! What expires when, read from the register for the status, the metrics and the dashboard.
//!
//! The register counts what ends in each hour; this page adds up. The survey of everything is kept for a few seconds, so that
//! scrapes and pages that refresh by themselves do not ask again and again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use lifecycle::{Bucket, Expiring, Forecast};
use policy::{Grant, Owner, Timestamp, World};
use store::{ExpiringHour, Ledger, StoreError};

/// How old a survey may be.
const AGE_MAX: Duration = Duration::from_secs(5);

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;
const YEAR: i64 = 365 * DAY;

/// The ladder of the histogram: where each rung begins, in seconds from now, and what it is called. Lifetimes reach from
/// minutes to decades, so the rungs grow.
const LADDER: [(i64, &str); 14] = [
    (0, "< 1 h"),
    (HOUR, "1–6 h"),
    (6 * HOUR, "6–24 h"),
    (DAY, "1–3 d"),
    (3 * DAY, "3–7 d"),
    (7 * DAY, "7–14 d"),
    (14 * DAY, "14–30 d"),
    (30 * DAY, "30–60 d"),
    (60 * DAY, "60–90 d"),
    (90 * DAY, "90–180 d"),
    (180 * DAY, "½–1 y"),
    (YEAR, "1–2 y"),
    (2 * YEAR, "2–5 y"),
    (5 * YEAR, "> 5 y"),
];

/// One rung of the ladder with what expires there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rung {
    /// Its name.
    pub(crate) label: &'static str,
    /// Where it begins, in seconds from now.
    pub(crate) from_secs: i64,
    /// What expires there.
    pub(crate) expiring: Expiring,
}

/// Live credentials by the time they have left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Survey {
    /// In lifecycle's buckets, all but the expired.
    pub(crate) buckets: BTreeMap<Bucket, Expiring>,
    /// On the finer ladder.
    pub(crate) rungs: Vec<Rung>,
}

impl Survey {
    /// All live credentials.
    pub(crate) fn live(&self) -> u64 {
        self.buckets.values().map(|expiring| expiring.count).sum()
    }

    fn of(now: Timestamp, hours: &[ExpiringHour]) -> Self {
        let mut buckets = Forecast::of_hours(now, hours).total;
        buckets.remove(&Bucket::Expired);
        let mut rungs: Vec<_> =
            LADDER.iter().map(|&(from_secs, label)| Rung { label, from_secs, expiring: Expiring::default() }).collect();
        for hour in hours {
            let left = hour.begins.max(now).since(now);
            if let Some(rung) = rungs.iter_mut().rev().find(|rung| rung.from_secs <= left) {
                rung.expiring.count += hour.live;
                rung.expiring.renewed += hour.renewed;
            }
        }
        Self { buckets, rungs }
    }
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
    pub(crate) async fn survey(&self, _grant: &Grant, owner: Option<&Owner>) -> Result<Arc<Survey>, StoreError> {
        if owner.is_some() {
            return Ok(Arc::new(self.read(owner).await?));
        }
        let kept = self.recent.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((_, survey)) = kept.filter(|(at, _)| at.elapsed() < AGE_MAX) {
            return Ok(survey);
        }
        let survey = Arc::new(self.read(None).await?);
        *self.recent.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), Arc::clone(&survey)));
        Ok(survey)
    }

    async fn read(&self, owner: Option<&Owner>) -> Result<Survey, StoreError> {
        let now = self.world.now();
        let hours = self.ledger.expiring(owner.map(Owner::as_str), now).await?;
        Ok(Survey::of(now, &hours))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_expiry_is_on_one_rung_and_in_one_bucket() {
        let now = Timestamp::from_unix(1_800_000_000);
        let ending = |secs, live| ExpiringHour { begins: now.plus_secs(secs), live, renewed: u64::from(secs == DAY) };
        // The hour under way began before now.
        let hours = [(-HOUR / 2, 1), (HOUR - 1, 1), (HOUR, 1), (DAY, 1), (30 * DAY, 1), (90 * DAY, 1), (20 * YEAR, 6)];
        let hours: Vec<_> = hours.into_iter().map(|(secs, live)| ending(secs, live)).collect();
        let survey = Survey::of(now, &hours);
        assert_eq!(survey.live(), 12);
        let on = |label| survey.rungs.iter().find(|rung| rung.label == label).map(|rung| rung.expiring);
        assert_eq!(on("< 1 h"), Some(Expiring { count: 2, renewed: 0 }));
        assert_eq!(on("1–3 d"), Some(Expiring { count: 1, renewed: 1 }));
        assert_eq!(on("> 5 y"), Some(Expiring { count: 6, renewed: 0 }));
        assert_eq!(survey.rungs.iter().map(|rung| rung.expiring.count).sum::<u64>(), survey.live());
    }
}
