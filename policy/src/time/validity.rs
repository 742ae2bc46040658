//! From when to when a certificate holds.
//!
//! RFC 5280 section 4.1.2.5: "the period of time from notBefore through notAfter, inclusive". An interval of N seconds
//! therefore ends N - 1 seconds after it began. Let's Encrypt, June 2021: certificates of 90 days were valid for 90 days and
//! one second, because somebody added where one must add and subtract one. Here the sum is done once.

use serde::{Deserialize, Serialize};

use crate::text::Malformed;
use crate::time::stamp::Timestamp;

/// An interval whose two ends both belong to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Ends")]
pub struct Validity {
    not_before: Timestamp,
    not_after: Timestamp,
}

impl Validity {
    /// Exactly `secs` seconds of validity, the first of them `not_before`. At least one second: that is the shortest interval
    /// two inclusive ends can make. What would reach beyond [`Timestamp::MAX`] ends there.
    pub fn starting(not_before: Timestamp, secs: i64) -> Validity {
        Validity { not_before, not_after: not_before.plus_secs(secs.max(1) - 1) }
    }

    /// From the two ends; refuses an end before the beginning.
    pub fn new(not_before: Timestamp, not_after: Timestamp) -> Result<Validity, Malformed> {
        if not_after < not_before {
            let both = format!("{not_before}..{not_after}");
            return Err(Malformed::new("validity", &both, "it ends before it begins"));
        }
        Ok(Validity { not_before, not_after })
    }

    /// The first second of validity.
    pub fn not_before(&self) -> Timestamp {
        self.not_before
    }

    /// The last second of validity.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// How many seconds are valid: both ends count.
    pub fn secs(&self) -> i64 {
        self.not_after.since(self.not_before) + 1
    }

    /// Whether `at` is one of them.
    pub fn contains(&self, at: Timestamp) -> bool {
        self.not_before <= at && at <= self.not_after
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ends {
    not_before: Timestamp,
    not_after: Timestamp,
}

impl TryFrom<Ends> for Validity {
    type Error = Malformed;
    fn try_from(ends: Ends) -> Result<Validity, Malformed> {
        Validity::new(ends.not_before, ends.not_after)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DAY_SECS: i64 = 86_400;

    #[test]
    fn ninety_days_are_not_ninety_days_and_one_second() {
        let start = Timestamp::parse_rfc3339("2026-01-01T00:00:00Z").unwrap();
        let validity = Validity::starting(start, 90 * DAY_SECS);
        assert_eq!(validity.not_after().rfc3339(), "2026-03-31T23:59:59Z");
        assert_eq!(validity.secs(), 90 * DAY_SECS);
        assert!(validity.contains(start) && validity.contains(validity.not_after()));
        assert!(!validity.contains(start.plus_secs(-1)));
        assert!(!validity.contains(start.plus_secs(90 * DAY_SECS)));
    }

    #[test]
    fn an_interval_holds_at_least_one_second() {
        let start = Timestamp::from_unix(1_000);
        for secs in [i64::MIN, -1, 0, 1] {
            assert_eq!(Validity::starting(start, secs).secs(), 1);
        }
        assert_eq!(Validity::new(start, start).unwrap().secs(), 1);
    }

    #[test]
    fn an_interval_does_not_end_before_it_begins() {
        let start = Timestamp::from_unix(1_000);
        assert!(Validity::new(start, start.plus_secs(-1)).is_err());
        let json = r#"{"not_before":"2026-01-02T00:00:00Z","not_after":"2026-01-01T00:00:00Z"}"#;
        assert!(serde_json::from_str::<Validity>(json).is_err());
    }

    proptest! {
        #[test]
        fn an_interval_holds_as_many_seconds_as_asked(start in 0i64..4_000_000_000, secs in 1i64..1_000_000_000) {
            let start = Timestamp::from_unix(start);
            let validity = Validity::starting(start, secs);
            prop_assert_eq!(validity.secs(), secs);
            prop_assert_eq!(Validity::new(validity.not_before(), validity.not_after()), Ok(validity));
            prop_assert!(!validity.contains(start.plus_secs(secs)));
        }
    }
}
