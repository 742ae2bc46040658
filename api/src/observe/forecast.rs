//! What expires when, read from the register for the status, the metrics and the dashboard.
//!
//! `lifecycle` counts; this page reads, with a bound: past [`ROWS_MAX`] credentials the later ones are counted by the register
//! and not looked at one by one. The survey of everything is kept for a few seconds, so that scrapes and pages that refresh
//! by themselves do not read the register again and again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use lifecycle::{Bucket, Expiring, Forecast, Summary};
use policy::{Grant, Owner, Timestamp, World};
use store::{Filter, Ledger, Order, State, StoreError};

/// Credentials looked at one by one.
const ROWS_MAX: usize = 20_000;
/// Rows of one read. They come with their bytes, and a CRL among them may have megabytes.
const PAGE_ROWS: usize = 250;
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

    fn of(now: Timestamp, inventory: &[Summary], uncounted: u64) -> Self {
        let mut buckets = Forecast::of(now, inventory).total;
        buckets.remove(&Bucket::Expired);
        let mut rungs: Vec<_> =
            LADDER.iter().map(|&(from_secs, label)| Rung { label, from_secs, expiring: Expiring::default() }).collect();
        for summary in inventory {
            let left = summary.validity.not_after().since(now);
            if let Some(rung) = rungs.iter_mut().rev().find(|rung| rung.from_secs <= left) {
                rung.expiring.count += 1;
                rung.expiring.renewed += u64::from(summary.renew);
            }
        }
        buckets.entry(Bucket::Later).or_default().count += uncounted;
        if let Some(last) = rungs.last_mut() {
            last.expiring.count += uncounted;
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
        let base = Filter {
            owner: owner.map(|owner| owner.as_str().to_owned()),
            certificates: true,
            not_after_after: Some(now),
            order: Order::Expiry,
            limit: PAGE_ROWS,
            ..Filter::default()
        };
        let (mut inventory, mut cursor) = (Vec::new(), None);
        loop {
            let page = self.ledger.list(Filter { after_cursor: cursor, ..base.clone() }).await?;
            inventory.extend(page.items.iter().filter_map(Summary::of));
            cursor = page.next;
            if cursor.is_none() || inventory.len() >= ROWS_MAX {
                break;
            }
        }
        inventory.retain(|summary| summary.is_live(now));
        let uncounted = match (cursor, inventory.last()) {
            (Some(_), Some(last)) => {
                let after = last.validity.not_after().plus_secs(1);
                self.ledger.count(Filter { not_after_after: Some(after), state: Some(State::Issued), ..base }).await?
            }
            (None, _) | (Some(_), None) => 0,
        };
        Ok(Survey::of(now, &inventory, uncounted))
    }
}

#[cfg(test)]
mod tests {
    use policy::Validity;
    use store::Kind;

    use super::*;

    fn ending(now: Timestamp, secs: i64, renew: bool) -> Summary {
        Summary {
            operation: 1,
            kind: Kind::Certificate,
            state: State::Issued,
            serial: vec![1],
            owner: None,
            profile: "tls-server".into(),
            subject: "www.example".into(),
            names: vec![],
            validity: Validity::new(now.plus_secs(-10), now.plus_secs(secs)).expect("a validity"),
            key_hash: [0; 32],
            renew,
            renews: None,
        }
    }

    #[test]
    fn each_expiry_is_on_one_rung_and_in_one_bucket() {
        let now = Timestamp::from_unix(1_800_000_000);
        let inventory: Vec<_> = [0, HOUR - 1, HOUR, DAY, 30 * DAY, 90 * DAY, 20 * YEAR]
            .into_iter()
            .map(|secs| ending(now, secs, secs == DAY))
            .collect();
        let survey = Survey::of(now, &inventory, 5);
        assert_eq!(survey.live(), 12);
        let on = |label| survey.rungs.iter().find(|rung| rung.label == label).map(|rung| rung.expiring);
        assert_eq!(on("< 1 h"), Some(Expiring { count: 2, renewed: 0 }));
        assert_eq!(on("1–3 d"), Some(Expiring { count: 1, renewed: 1 }));
        assert_eq!(on("> 5 y"), Some(Expiring { count: 6, renewed: 0 }));
        assert_eq!(survey.rungs.iter().map(|rung| rung.expiring.count).sum::<u64>(), survey.live());
    }
}
