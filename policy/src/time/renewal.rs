//! When a certificate is to be renewed.
//!
//! At two thirds of its life, give or take up to 5 % of it, so that certificates which were issued together do not fall due
//! together. The jitter follows from the serial: whoever asks, on whichever node, before or after a restart, gets the same
//! second, and the register keeps it beside each certificate that is to be renewed.

use ring::digest;

use crate::time::stamp::Timestamp;
use crate::time::validity::Validity;

impl Validity {
    /// The second from which on a certificate with this serial is to be renewed.
    pub fn renew_at(&self, serial: &[u8]) -> Timestamp {
        let secs = self.secs();
        let span = secs / JITTER_PART;
        self.not_before().plus_secs(secs / 3 * 2 + secs % 3 * 2 / 3 + jitter(serial, span))
    }

    /// The second from which on somebody should look: a quarter of the time between due and expired has gone by.
    pub fn overdue_at(&self, serial: &[u8]) -> Timestamp {
        let due = self.renew_at(serial);
        due.plus_secs(self.not_after().since(due) / 4)
    }

    /// The hour from which on somebody should look at a certificate that has no successor: one that nobody renews, at two thirds
    /// of its life; one that somebody is said to renew, once the latest of its due seconds is a quarter of the rest of its life
    /// ago. None where its whole life leaves nobody the time to act: then there is only that it ended.
    pub fn look_at(&self, renewed: bool) -> Option<Timestamp> {
        let secs = self.secs();
        let due = self.not_before().plus_secs(secs / 3 * 2 + secs % 3 * 2 / 3);
        let latest = due.plus_secs(secs / JITTER_PART);
        let look = if renewed { latest.plus_secs(self.not_after().since(latest) / 4) } else { due };
        let on_the_hour = look.unix().div_euclid(HOUR_SECS) + i64::from(look.unix().rem_euclid(HOUR_SECS) > 0);
        (secs >= LOOKED_AT_SECS_MIN).then(|| Timestamp::from_unix(on_the_hour * HOUR_SECS))
    }
}

/// A number from `-span` to `span`.
fn jitter(serial: &[u8], span: i64) -> i64 {
    let digest = digest::digest(&digest::SHA256, serial);
    let number = digest.as_ref().iter().take(8).fold(0u64, |number, byte| number << 8 | u64::from(*byte));
    let choices = u64::try_from(2 * span + 1).unwrap_or(1);
    i64::try_from(number % choices).unwrap_or(0) - span
}

/// A twentieth to either side.
const JITTER_PART: i64 = 20;
const HOUR_SECS: i64 = 3_600;
/// The shortest life at which people are asked to act before its end.
const LOOKED_AT_SECS_MIN: i64 = 24 * HOUR_SECS;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DAY_SECS: i64 = 86_400;

    fn start() -> Timestamp {
        Timestamp::parse_rfc3339("2026-01-01T00:00:00Z").unwrap()
    }

    #[test]
    fn a_restart_changes_nothing() {
        let validity = Validity::starting(start(), 90 * DAY_SECS);
        let due = validity.renew_at(b"serial");
        assert_eq!(validity.renew_at(b"serial"), due);
        // The figure itself is a promise: another build must not renew everything anew.
        assert_eq!(due.since(start()), 5_008_234);
    }

    #[test]
    fn what_was_issued_together_does_not_fall_due_together() {
        let validity = Validity::starting(start(), 90 * DAY_SECS);
        let mut days = [0u32; 10];
        for serial in 0u32..10_000 {
            let early = validity.renew_at(&serial.to_be_bytes()).since(start()) - 60 * DAY_SECS;
            let day = (early + 9 * DAY_SECS / 2).div_euclid(DAY_SECS);
            days[usize::try_from(day).unwrap()] += 1;
        }
        for (day, count) in days.iter().take(9).enumerate() {
            assert!((950..1_300).contains(count), "{count} of 10000 on day {day} of nine");
        }
    }

    #[test]
    fn somebody_looks_when_a_renewal_should_be_there_and_not_at_what_is_over_within_a_day() {
        let life = |days: i64| Validity::starting(start(), days * DAY_SECS);
        let days = |at: Option<Timestamp>| at.map(|at| at.since(start()) as f64 / DAY_SECS as f64);
        assert_eq!(days(life(90).look_at(false)), Some(60.0));
        // Sixty days, four and a half of jitter, a quarter of the rest.
        assert!(days(life(90).look_at(true)).is_some_and(|day| (70.8..71.0).contains(&day)));
        assert_eq!(Validity::starting(start(), DAY_SECS - 1).look_at(false), None);
        for days in [1, 2, 47, 400] {
            for renewed in [false, true] {
                let look = life(days).look_at(renewed).unwrap();
                assert!(look.unix() % 3_600 == 0 && look <= life(days).not_after(), "{days} {renewed}");
            }
        }
    }

    proptest! {
        #[test]
        fn nobody_looks_before_a_renewal_may_be_overdue_by_less_than_an_hour(
            secs in DAY_SECS..(400 * DAY_SECS), serial in prop::collection::vec(any::<u8>(), 0..20),
        ) {
            let validity = Validity::starting(start(), secs);
            prop_assert!(validity.look_at(true).unwrap() >= validity.overdue_at(&serial));
        }

        #[test]
        fn due_lies_within_five_percent_of_two_thirds_and_before_overdue_and_the_end(
            secs in 1i64..(400 * DAY_SECS), serial in prop::collection::vec(any::<u8>(), 0..20),
        ) {
            let validity = Validity::starting(start(), secs);
            let due = validity.renew_at(&serial);
            prop_assert!((due.since(start()) - secs * 2 / 3).abs() <= secs / 20);
            prop_assert!(due <= validity.overdue_at(&serial));
            prop_assert!(validity.overdue_at(&serial) <= validity.not_after());
        }
    }
}
