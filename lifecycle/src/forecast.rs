//! What expires when: the inventory in buckets.
//!
//! Pure: the caller reads the register, which counts what ends in each hour, and says what time it is. An hour belongs where it
//! begins, so a forecast is early by an hour at most and never late.

use std::collections::BTreeMap;

use policy::Timestamp;
use store::ExpiringHour;

/// How long something has left. Each bucket is without those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Bucket {
    /// Nothing.
    Expired,
    /// Up to 24 hours.
    Day,
    /// Up to 7 days.
    Week,
    /// Up to 30 days.
    Month,
    /// Up to 90 days.
    Quarter,
    /// More.
    Later,
}

impl Bucket {
    /// All, the most urgent first.
    pub const ALL: [Bucket; 6] =
        [Bucket::Expired, Bucket::Day, Bucket::Week, Bucket::Month, Bucket::Quarter, Bucket::Later];

    /// The stable word: `expired`, `24h`, `7d`, `30d`, `90d`, `later`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Bucket::Expired => "expired",
            Bucket::Day => "24h",
            Bucket::Week => "7d",
            Bucket::Month => "30d",
            Bucket::Quarter => "90d",
            Bucket::Later => "later",
        }
    }

    /// Where something that holds through `not_after` belongs at `now`.
    pub fn of(now: Timestamp, not_after: Timestamp) -> Bucket {
        let inside = |bucket: &Bucket| {
            let (from, until) = bucket.bounds(now);
            from.is_none_or(|from| from <= not_after) && until.is_none_or(|until| not_after < until)
        };
        Bucket::ALL.into_iter().find(inside).unwrap_or(Bucket::Later)
    }

    /// The expiries in it, the first included, the second not; `None` is open.
    pub fn bounds(self, now: Timestamp) -> (Option<Timestamp>, Option<Timestamp>) {
        // What holds through `now` is not expired yet: both ends of a validity belong to it.
        let in_days = |days: i64| Some(now.plus_secs(days * DAY_SECS));
        match self {
            Bucket::Expired => (None, in_days(0)),
            Bucket::Day => (in_days(0), in_days(1)),
            Bucket::Week => (in_days(1), in_days(7)),
            Bucket::Month => (in_days(7), in_days(30)),
            Bucket::Quarter => (in_days(30), in_days(90)),
            Bucket::Later => (in_days(90), None),
        }
    }
}

/// How many expire, and how many of them somebody is said to renew.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Expiring {
    /// All.
    pub count: u64,
    /// Those that somebody renews: the server, an agent, an ACME client.
    pub renewed: u64,
}

/// The inventory by time left.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Forecast {
    /// Every bucket is there, if only with zero.
    pub total: BTreeMap<Bucket, Expiring>,
}

impl Forecast {
    /// Of what the register counts hour by hour; what has ended or was replaced is not in it.
    pub fn of_hours(now: Timestamp, hours: &[ExpiringHour]) -> Forecast {
        let mut total: BTreeMap<Bucket, Expiring> =
            Bucket::ALL.into_iter().map(|bucket| (bucket, Expiring::default())).collect();
        for hour in hours {
            let expiring = total.entry(Bucket::of(now, hour.begins.max(now))).or_default();
            expiring.count += hour.live;
            expiring.renewed += hour.renewed;
        }
        Forecast { total }
    }
}

const DAY_SECS: i64 = 86_400;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

    #[test]
    fn a_bucket_ends_where_the_next_begins() {
        for (secs_left, bucket) in [
            (-400 * DAY_SECS, Bucket::Expired),
            (-1, Bucket::Expired),
            (0, Bucket::Day),
            (DAY_SECS - 1, Bucket::Day),
            (DAY_SECS, Bucket::Week),
            (7 * DAY_SECS - 1, Bucket::Week),
            (7 * DAY_SECS, Bucket::Month),
            (30 * DAY_SECS, Bucket::Quarter),
            (90 * DAY_SECS - 1, Bucket::Quarter),
            (90 * DAY_SECS, Bucket::Later),
            (10_000 * DAY_SECS, Bucket::Later),
        ] {
            assert_eq!(Bucket::of(NOW, NOW.plus_secs(secs_left)), bucket, "{secs_left} s left");
        }
    }

    #[test]
    fn an_hour_counts_where_it_begins_and_the_one_under_way_as_today() {
        let hour = |secs, live, renewed| ExpiringHour { begins: NOW.plus_secs(secs), live, renewed };
        let hours =
            [hour(-1_800, 1, 1), hour(3 * DAY_SECS, 3, 1), hour(7 * DAY_SECS - 1, 1, 0), hour(400 * DAY_SECS, 1, 0)];
        let forecast = Forecast::of_hours(NOW, &hours);
        let filled = forecast.total.iter().filter(|(_, expiring)| expiring.count > 0);
        let filled: Vec<_> = filled.map(|(bucket, expiring)| (*bucket, expiring.count, expiring.renewed)).collect();
        assert_eq!(filled, [(Bucket::Day, 1, 1), (Bucket::Week, 4, 1), (Bucket::Later, 1, 0)]);
        assert_eq!(forecast.total.len(), Bucket::ALL.len());
    }

    proptest! {
        #[test]
        fn every_moment_is_in_exactly_one_bucket(secs_left in -200 * DAY_SECS..200 * DAY_SECS) {
            let not_after = NOW.plus_secs(secs_left);
            let has = |bucket: &Bucket| {
                let (from, until) = bucket.bounds(NOW);
                from.is_none_or(|from| from <= not_after) && until.is_none_or(|until| not_after < until)
            };
            prop_assert_eq!(Bucket::ALL.iter().filter(|bucket| has(bucket)).count(), 1);
        }
    }
}
