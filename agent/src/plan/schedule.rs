//! When to renew, and when to try again. Pure: times in, times out; luck comes from the World.
//!
//! Renewal falls at a fraction of the lifetime (2/3 by default), moved by a jitter that follows from the certificate
//! itself: the same after every restart, different on every host, so that a fleet enrolled in one minute does not
//! come back in one minute.

use policy::{Timestamp, World};

use crate::credential::Leaf;

/// The rhythm of one certificate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Cadence {
    /// Fraction of the lifetime after which to renew.
    pub renew_at: f64,
    /// Largest deviation from it, as a fraction of the lifetime, to either side.
    pub jitter: f64,
}

impl Default for Cadence {
    fn default() -> Self {
        Self { renew_at: 0.66, jitter: 0.03 }
    }
}

impl Cadence {
    /// Refuses what would renew at once, or too late to try twice.
    pub fn new(renew_at: f64, jitter: f64) -> Result<Self, String> {
        if !(0.0..=0.2).contains(&jitter) {
            return Err(format!("jitter {jitter} is not between 0 and 0.2"));
        }
        if !(0.1..=0.9).contains(&renew_at) || renew_at + jitter > 0.95 || renew_at - jitter < 0.05 {
            return Err(format!("{renew_at} with jitter {jitter} leaves 0.05 to 0.95 of the lifetime"));
        }
        Ok(Self { renew_at, jitter })
    }

    /// When this certificate is to be replaced.
    pub fn renewal_of(&self, leaf: &Leaf) -> Timestamp {
        // Both ends belong to the validity (RFC 5280 section 4.1.2.5).
        let lifetime = (leaf.not_after.since(leaf.not_before) + 1).max(1) as f64;
        let deviation = self.jitter * (2.0 * unit(&leaf.fingerprint) - 1.0);
        let after = (lifetime * (self.renew_at + deviation)) as i64;
        leaf.not_before.plus_secs(after)
    }

    /// When to act next on a certificate that is in service, or `None` where none is.
    ///
    /// One that is due from its first day (this host's clock is far ahead of the server's, or the server backdates a lot)
    /// would be asked for again and again without a pause: it is given half of what it has left.
    pub fn next_of(&self, leaf: Option<&Leaf>, now: Timestamp) -> Timestamp {
        let left = leaf.map_or(0, |leaf| leaf.not_after.since(now));
        let soonest = now.plus_secs((left / 2).clamp(BASE_SECS_MIN, BOUND_SECS_MAX));
        leaf.map(|leaf| self.renewal_of(leaf)).filter(|due| *due > now).unwrap_or(soonest)
    }
}

/// When to try again after `failures` failed attempts in a row (at least one).
///
/// Doubles from a base to a bound; both shrink with the lifetime left, so that a two-minute certificate is tried
/// several times before it expires and a ninety-day one does not knock every five seconds. What the server asked for
/// (Retry-After) is a floor.
pub(crate) fn retry_at(
    world: &World,
    failures: u32,
    not_after: Option<Timestamp>,
    asked_secs: Option<u64>,
) -> Timestamp {
    let now = world.now();
    let left = not_after.map_or(0, |end| end.since(now)).max(0);
    let base = (left / 64).clamp(BASE_SECS_MIN, BASE_SECS_MAX);
    let bound = match left {
        0 => BOUND_SECS_EXPIRED,
        left => (left / 8).clamp(BASE_SECS_MIN, BOUND_SECS_MAX),
    };
    let doubled = base.saturating_mul(1 << failures.saturating_sub(1).min(20));
    let mut luck = [0; 8];
    world.fill(&mut luck);
    // Between 80 % and 100 %: never later than the bound.
    let own = (doubled.min(bound) as f64 * (0.8 + 0.2 * unit(&luck))).ceil() as i64;
    let asked = asked_secs.map_or(0, |secs| i64::try_from(secs).unwrap_or(i64::MAX).min(ASKED_SECS_MAX));
    now.plus_secs(own.max(asked).max(1))
}

/// The first eight bytes as a number in [0, 1).
fn unit(bytes: &[u8]) -> f64 {
    let head = bytes.iter().take(8).fold(0u64, |n, b| (n << 8) | u64::from(*b));
    (head >> 11) as f64 / (1u64 << 53) as f64
}

/// Shortest first wait: long enough for a server to restart.
const BASE_SECS_MIN: i64 = 5;
/// Longest first wait.
const BASE_SECS_MAX: i64 = 60;
/// Longest wait while the certificate still lives.
const BOUND_SECS_MAX: i64 = 3_600;
/// Longest wait once it is expired, or was never there: the service is down, but a server need not be hammered.
const BOUND_SECS_EXPIRED: i64 = 300;
/// Longest Retry-After obeyed: a server that asks for more is asked again next day.
const ASKED_SECS_MAX: i64 = 86_400;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{at, leaf_between};

    #[test]
    fn renewal_falls_at_two_thirds_give_or_take_the_jitter() {
        let cadence = Cadence::default();
        for seed in 0..200u8 {
            let leaf = leaf_between(0, 119, seed);
            let due = cadence.renewal_of(&leaf).unix();
            assert!((75..=83).contains(&due), "{due}");
            assert_eq!(due, cadence.renewal_of(&leaf).unix(), "the same after a restart");
        }
    }

    #[test]
    fn what_is_due_when_it_comes_is_not_asked_for_again_at_once() {
        let cadence = Cadence::new(0.66, 0.0).unwrap();
        let leaf = leaf_between(0, 99_999, 1);
        for (now, next) in
            [(0, 66_000), (65_999, 66_000), (66_000, 69_600), (99_899, 99_949), (99_997, 100_002), (200_000, 200_005)]
        {
            assert_eq!(cadence.next_of(Some(&leaf), at(now)), at(next), "{now}");
        }
        assert_eq!(cadence.next_of(None, at(0)), at(5));
    }

    #[test]
    fn certificates_of_one_minute_do_not_renew_in_one_minute() {
        let cadence = Cadence::default();
        let times: std::collections::BTreeSet<_> =
            (0..100).map(|seed| cadence.renewal_of(&leaf_between(0, 90 * 86_400 - 1, seed)).unix() / 60).collect();
        assert!(times.len() > 90, "{} different minutes", times.len());
    }

    #[test]
    fn a_cadence_that_renews_at_once_or_too_late_is_refused() {
        for (renew_at, jitter) in [(0.0, 0.0), (0.9, 0.1), (1.0, 0.0), (0.5, 0.3), (f64::NAN, 0.0), (0.5, f64::NAN)] {
            assert!(Cadence::new(renew_at, jitter).is_err(), "{renew_at} {jitter}");
        }
    }

    #[test]
    fn waits_double_up_to_a_bound_that_fits_the_lifetime_left() {
        let world = World::fixed(at(1_000), 1);
        let wait =
            |failures, left: i64, asked| retry_at(&world, failures, Some(at(1_000 + left)), asked).since(at(1_000));
        // Left of the lifetime, failures, at least, at most.
        for (left, failures, least, most) in [
            (40, 1, 4, 5),
            (40, 9, 4, 5),
            (30 * 86_400, 1, 48, 60),
            (30 * 86_400, 2, 96, 120),
            (30 * 86_400, 30, 2_880, 3_600),
            (-5, 1, 4, 5),
            (-5, u32::MAX, 240, 300),
        ] {
            let secs = wait(failures, left, None);
            assert!((least..=most).contains(&secs), "{left} {failures}: {secs}");
        }
        assert_eq!(wait(1, 40, Some(17)), 17);
        assert_eq!(wait(1, 40, Some(u64::MAX)), 86_400);
    }

    #[test]
    fn a_first_enrolment_that_fails_is_tried_again_soon() {
        let world = World::fixed(at(0), 1);
        assert!(retry_at(&world, 1, None, None).unix() <= 5);
    }
}
