//! What a clock that was ahead left in a rotation: times that are yet to come, from which its period, its distance and its pauses would
//! count for as long as that clock was ahead.

use policy::Timestamp;

use super::outcome::FAILED_PAUSE_SECS;
use super::record::Rotation;

/// Whether a clock that was ahead wrote this time: it is later than `now` by more than kept clocks differ. Both in seconds since 1970.
pub(crate) fn is_ahead(at: u64, now: u64) -> bool {
    at > now.saturating_add(Timestamp::SLIP_SECS.unsigned_abs())
}

impl Rotation {
    /// Takes now for each of its times that a clock wrote which was ahead: the credential is no older than the record says, and its period
    /// counts from now. Whether there was one.
    pub fn put_right(&mut self, now: u64) -> bool {
        let before = self.clone();
        for at in [&mut self.since].into_iter().chain(&mut self.promoted) {
            if is_ahead(*at, now) {
                *at = now;
            }
        }
        let pause = FAILED_PAUSE_SECS.max(self.settings.bounds.pause_secs_max);
        if is_ahead(self.not_before.saturating_sub(pause), now) {
            self.not_before = now;
        }
        *self != before
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::Credential;
    use super::super::settings::{Bounds, Plan, Settings};
    use super::*;
    use crate::rotation::{Schedule, Step};

    const NOW: u64 = 1_800_000_000;
    const DAY: u64 = 86_400;

    fn rotation(since: u64) -> Rotation {
        let plan = Plan::Single { user: "app".to_owned() };
        let schedule = Schedule { period_secs: Some(30 * DAY), ..Schedule::default() };
        let settings = Settings { plan, overlap_secs: 0, distance_secs: 3_600, bounds: Bounds::default(), schedule };
        let current = Credential { version: 1, user: "app".to_owned() };
        Rotation::new("prod/db", settings, current, since).expect("settings that fit")
    }

    #[test]
    fn a_rotation_counts_its_period_from_no_time_that_is_yet_to_come() {
        for (since, is_put_right) in
            [(NOW - DAY, false), (NOW + 300, false), (NOW + 301, true), (NOW + 365 * DAY, true)]
        {
            let mut rotation = rotation(since);
            (rotation.promoted, rotation.not_before) = (Some(since), 0);
            assert_eq!(rotation.put_right(NOW), is_put_right, "{since}");
            assert_eq!(rotation.since(), if is_put_right { NOW } else { since });
            assert_eq!(rotation.promoted, Some(rotation.since()));
            assert!(!rotation.put_right(NOW), "once");
            let Step::Rest { until: Some(until) } = rotation.next(NOW) else { panic!("it rests") };
            assert!(until <= NOW + 40 * DAY, "{until}");
        }
        let mut paused = rotation(NOW - DAY);
        paused.not_before = NOW + FAILED_PAUSE_SECS;
        assert!(!paused.put_right(NOW));
        paused.not_before = NOW + 3 * DAY;
        assert!(paused.put_right(NOW) && paused.not_before == NOW);
    }
}
