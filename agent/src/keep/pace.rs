//! How long to wait between two looks at secrets. Pure; luck comes from the World.

use std::time::Duration;

use policy::World;

/// What the wait follows from.
pub(crate) struct Pace {
    /// What the plan says.
    pub poll: Duration,
    /// Looks that failed in a row.
    pub failures: u32,
    /// What the server asked for (Retry-After).
    pub asked_secs: u64,
    /// When values are to be asked for again, or end, whichever comes first.
    pub due: Option<Duration>,
}

impl Pace {
    /// The wait: as the plan says, and after failures doubling up to two minutes (or the plan's own, where that is longer). What the
    /// server asks for is a floor. Between 80 % and 100 %: a fleet that lost one server does not come back in one second. What is due
    /// is never waited past.
    pub fn pause(&self, world: &World) -> Duration {
        let doubled = self.poll.saturating_mul(1 << self.failures.saturating_sub(1).min(16));
        let own = doubled.min(self.poll.max(PAUSE_MAX));
        let mut luck = [0; 1];
        world.fill(&mut luck);
        let [luck] = luck;
        let own = own * (4 * 255 + u32::from(luck)) / (5 * 255);
        let asked = Duration::from_secs(self.asked_secs.min(ASKED_SECS_MAX));
        let pause = own.max(asked).max(PAUSE_MIN);
        self.due.map_or(pause, |due| pause.min(due.max(PAUSE_MIN)))
    }
}

/// Nothing is asked more often.
const PAUSE_MIN: Duration = Duration::from_millis(500);
/// After failures: a look costs a server little, and an application waits.
const PAUSE_MAX: Duration = Duration::from_secs(120);
/// Longest Retry-After obeyed.
const ASKED_SECS_MAX: u64 = 3_600;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::at;

    #[test]
    fn looks_become_rarer_and_nothing_that_is_due_is_waited_past() {
        let secs = Duration::from_secs;
        for (poll, failures, asked_secs, due, least, most) in [
            (60, 0, 0, None, 48_000, 60_000),
            (60, 1, 0, None, 48_000, 60_000),
            (60, 2, 0, None, 96_000, 120_000),
            (60, u32::MAX, 0, None, 96_000, 120_000),
            (1, 3, 0, None, 3_200, 4_000),
            (3_600, 9, 0, None, 2_880_000, 3_600_000),
            (1, 1, 30, None, 30_000, 30_000),
            (1, 1, u64::MAX, None, 3_600_000, 3_600_000),
            (60, 0, 0, Some(secs(7)), 7_000, 7_000),
            (60, 4, 900, Some(secs(7)), 7_000, 7_000),
            (60, 0, 0, Some(secs(0)), 500, 500),
        ] {
            for seed in 0..20 {
                let pace = Pace { poll: secs(poll), failures, asked_secs, due };
                let pause = pace.pause(&World::fixed(at(0), seed)).as_millis();
                assert!((least..=most).contains(&pause), "{poll} {failures} {asked_secs} {due:?}: {pause}");
            }
        }
    }
}
