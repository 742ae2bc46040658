//! When nobody was there to renew: before this run, or while it slept.

use policy::Timestamp;

/// From when to when nobody was there last.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Away {
    from: Timestamp,
    until: Timestamp,
    /// When somebody was there last, in this run.
    here: Timestamp,
}

impl Away {
    /// Before this run: since the register's newest leaf.
    pub(crate) fn new((from, until): (Timestamp, Timestamp)) -> Away {
        Away { from, until, here: until }
    }

    /// Somebody is here now. A host that slept was away as one that was off. Whether the clock was put back since: when somebody was here
    /// is later than now then, and nobody was away until a time that has not come.
    pub(crate) fn here(&mut self, now: Timestamp) -> bool {
        let is_back = now.elapsed_since(self.here).is_none();
        if is_back {
            self.until = self.until.min(now);
        }
        if now.since(self.here) > PAUSE_SECS_MAX {
            // Nobody was here yet since it was opened: it is one absence.
            let from = if self.here == self.until { self.from } else { self.here };
            (self.from, self.until) = (from, now);
        }
        self.here = now;
        is_back
    }

    /// Whether nobody was there all the time from `due` to `end`.
    pub(crate) fn includes(&self, due: Timestamp, end: Timestamp) -> bool {
        due.plus_secs(PAUSE_SECS_MAX) >= self.from && end <= self.until
    }
}

/// Turns come every few seconds; what became due so shortly before somebody left may not have had its turn.
const PAUSE_SECS_MAX: i64 = 60;

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_unix(1_800_000_000);

    fn at(secs: i64) -> Timestamp {
        START.plus_secs(secs)
    }

    #[test]
    fn what_was_due_and_ended_while_nobody_was_there_and_nothing_else() {
        let mut away = Away::new((at(0), at(10_000)));
        away.here(at(10_001));
        assert!(away.includes(at(100), at(9_000)));
        assert!(away.includes(at(-60), at(10_000)));
        assert!(!away.includes(at(-61), at(9_000)), "somebody was there when it was due");
        assert!(!away.includes(at(100), at(10_001)), "it had not ended");
        away.here(at(10_006));
        assert!(away.includes(at(100), at(9_000)));
        // The host slept.
        away.here(at(20_000));
        assert!(away.includes(at(10_100), at(15_000)) && !away.includes(at(100), at(9_000)));
    }

    #[test]
    fn a_clock_that_was_put_back_was_nobody_s_absence() {
        let mut away = Away::new((at(0), at(10_000)));
        assert!(!away.here(at(10_001)));
        assert!(!away.here(at(10_000)), "clocks that are kept differ so much");
        assert!(away.here(at(1_000)) && !away.here(at(1_001)));
        assert!(!away.includes(at(100), at(9_000)), "that has not come");
        assert!(away.includes(at(100), at(900)));
    }

    #[test]
    fn a_late_first_turn_is_one_absence_with_what_was_before() {
        let mut away = Away::new((at(0), at(1_000)));
        away.here(at(2_000));
        assert!(away.includes(at(500), at(1_500)));
    }
}
