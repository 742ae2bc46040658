//! How long to wait between two passes. Pure: the clock's time and the time gone by are handed in.
//!
//! Two clocks are asked. The World's says when something is due, and knows of a host that slept. It may also be set: a
//! board without a battery starts a year ahead, and NTP puts it right a minute later. So a wait ends no later than after
//! the seconds it was to take, by a clock that nobody sets; and it ends at once when the World's clock is found to have
//! gone back, as what was planned by it was planned from a wrong time.

use std::time::Duration;

use policy::Timestamp;

use crate::look::Status;

/// A wait that has begun.
pub(crate) struct Wait {
    /// It ends here by the World's clock.
    end: Timestamp,
    /// And after so long by the other.
    longest: Duration,
    /// What the World's clock showed last.
    seen: Timestamp,
}

impl Wait {
    /// The wait that begins `now`, after a pass that ended in `status`.
    pub fn after(status: &Status, now: Timestamp) -> Self {
        let look = now.plus_secs(LOOK_SECS);
        let (from, end) = match (status.next_renewal, status.last_attempt) {
            // Files that somebody else removed or replaced are noticed within the hour.
            (Some(next), _) if status.failures == 0 => (now, next.min(look)),
            // Counted from the attempt: the clock may have been set since.
            (Some(next), Some(attempt)) => (attempt, next),
            (Some(next), None) => (now, next),
            (None, _) => (now, look),
        };
        let longest = Duration::from_secs(u64::try_from(end.since(from)).unwrap_or(0));
        Self { end, longest, seen: from }
    }

    /// How long to sleep before asking again, `gone` after the beginning; `None` if the wait is over.
    pub fn nap(&mut self, now: Timestamp, gone: Duration) -> Option<Duration> {
        let set_back = self.seen.since(now) > SLIP_SECS;
        self.seen = now;
        let by_world = Duration::from_secs(u64::try_from(self.end.since(now)).unwrap_or(0));
        let left = by_world.min(self.longest.saturating_sub(gone));
        (!set_back && !left.is_zero()).then(|| left.min(NAP))
    }
}

/// Longest time between two looks at the files.
const LOOK_SECS: i64 = 3_600;
/// Longest sleep without asking the clocks.
const NAP: Duration = Duration::from_secs(30);
/// A clock that NTP keeps goes back by less, and no plan is wrong for it.
const SLIP_SECS: i64 = 30;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::at;

    const NOW: i64 = 2_000_000_000;
    const YEAR: i64 = 366 * 86_400;

    fn failed(wait_secs: i64) -> Status {
        let mut status = Status::pending("web");
        (status.failures, status.last_attempt, status.next_renewal) = (1, Some(at(NOW)), Some(at(NOW + wait_secs)));
        status
    }

    /// The naps of a wait after `status`, given what both clocks show (seconds from its beginning) at each look.
    fn naps(status: &Status, shown: &[(i64, u64)]) -> Vec<Option<u64>> {
        let mut wait = Wait::after(status, at(NOW));
        let nap =
            |(now, gone): &(i64, u64)| wait.nap(at(NOW + now), Duration::from_secs(*gone)).map(|nap| nap.as_secs());
        shown.iter().map(nap).collect()
    }

    #[test]
    fn a_wait_ends_when_it_is_due_by_either_clock() {
        for (what, shown, expected) in [
            ("both run", [(0, 0), (30, 30), (59, 59), (60, 60)], [Some(30), Some(30), Some(1), None]),
            ("the host slept", [(0, 0), (30, 30), (500, 31), (501, 32)], [Some(30), Some(30), None, None]),
            ("the clock stands", [(0, 0), (0, 30), (0, 55), (0, 60)], [Some(30), Some(30), Some(5), None]),
            ("it slips", [(0, 0), (10, 30), (15, 55), (20, 60)], [Some(30), Some(30), Some(5), None]),
        ] {
            assert_eq!(naps(&failed(60), &shown), expected, "{what}");
        }
    }

    #[test]
    fn a_clock_that_was_set_back_ends_the_wait() {
        for secs in [31, 86_400, YEAR] {
            assert_eq!(
                naps(&failed(80_000), &[(0, 0), (30, 30), (30 - secs, 60)]),
                [Some(30), Some(30), None],
                "{secs}"
            );
            assert_eq!(naps(&failed(5), &[(-secs, 0)]), [None], "{secs} s, between the pass and the wait");
        }
    }

    #[test]
    fn files_are_looked_at_within_the_hour_and_sooner_what_is_due_sooner() {
        let mut status = Status::pending("web");
        for (next, secs) in [(None, 3_600i64), (Some(7_200), 3_600), (Some(90), 90), (Some(-5), 0)] {
            status.next_renewal = next.map(|secs| at(NOW + secs));
            let wait = Wait::after(&status, at(NOW));
            assert_eq!(
                (wait.end.since(at(NOW)).max(0), wait.longest.as_secs()),
                (secs, secs.unsigned_abs()),
                "{next:?}"
            );
        }
        assert_eq!(Wait::after(&failed(80_000), at(NOW)).longest.as_secs(), 80_000, "as long as the server asked");
    }
}
