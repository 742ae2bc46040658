//! What a node knows of time, and what follows from it: pure, both clocks are handed in.

use std::time::Duration;

use policy::Timestamp;

use crate::nouns::held::{Held, Witness};

/// Clocks of nodes and witnesses that are kept by NTP differ by less; a clock that somebody set differs by more.
const SLIP_SECS: i64 = Timestamp::SLIP_SECS;
/// What was believed at one time is held against the clock for so long, then what is believed at the end of it: small steps add up
/// to nothing in a year, and to no more than the slip in this time.
const ANCHOR_MAX: Duration = Duration::from_secs(3_600);
/// What a witness said is of use for so long.
const HEARD_MAX: Duration = Duration::from_secs(900);
/// Witnesses there may be: the database and some peers.
const WITNESSES_MAX: usize = 16;

/// What the clocks of a node show at one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    pub wall: Timestamp,
    pub gone_by: Duration,
}

/// A time that was right when so much time had gone by.
#[derive(Clone, Copy, Debug)]
struct Anchor {
    time: Timestamp,
    at: Duration,
}

impl Anchor {
    fn here(look: Look) -> Anchor {
        Anchor { time: look.wall, at: look.gone_by }
    }

    fn age(&self, gone_by: Duration) -> Duration {
        gone_by.saturating_sub(self.at)
    }

    fn expects(&self, gone_by: Duration) -> Timestamp {
        self.time.plus_secs(i64::try_from(self.age(gone_by).as_secs()).unwrap_or(i64::MAX))
    }
}

/// What a witness said.
#[derive(Clone, Debug)]
struct Heard {
    by: String,
    anchor: Anchor,
}

/// What a node knows of time. Pure: both clocks are handed in.
#[derive(Clone, Debug)]
pub(super) struct Knowledge {
    pub in_force: Timestamp,
    anchor: Anchor,
    /// Whether the clock was ever believed: before that the time gone by tells nothing that the log does not.
    is_anchored: bool,
    heard: Vec<Heard>,
}

/// How an operation stands to a clock that is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It begins something, with times of its own in it.
    Waits,
    /// It must be written now.
    Goes,
    /// An operator's word: its time is its own.
    Word(Timestamp),
}

impl Knowledge {
    pub fn new(look: Look, in_force: Timestamp) -> Knowledge {
        Knowledge { in_force, anchor: Anchor::here(look), is_anchored: false, heard: Vec::new() }
    }

    /// Takes over the time in force. That it fell is an operator's word, and holds for this node's own clock too.
    pub fn learn(&mut self, gone_by: Duration, in_force: Timestamp) {
        if self.in_force.since(in_force) > SLIP_SECS {
            (self.anchor, self.is_anchored) = (Anchor { time: in_force, at: gone_by }, true);
        }
        self.in_force = in_force;
    }

    pub fn hear(&mut self, gone_by: Duration, by: &str, time: Timestamp) {
        self.heard.retain(|heard| heard.by != by && heard.anchor.age(gone_by) <= HEARD_MAX);
        if self.heard.len() < WITNESSES_MAX {
            self.heard.push(Heard { by: by.to_owned(), anchor: Anchor { time, at: gone_by } });
        }
    }

    /// Whether the clock is believed. Of several witnesses as many as speak against it must speak for it and one more.
    pub fn judge(&self, look: Look) -> Result<(), Held> {
        let held = |expected, by| Err(Held { shows: look.wall, expected, by });
        let fresh = self.heard.iter().filter(|heard| heard.anchor.age(look.gone_by) <= HEARD_MAX);
        let (agree, contradict): (Vec<_>, Vec<_>) =
            fresh.partition(|heard| apart(heard.anchor.expects(look.gone_by), look.wall) <= SLIP_SECS);
        if let Some(first) = contradict.first()
            && contradict.len() >= agree.len()
        {
            return held(first.anchor.expects(look.gone_by), Witness::Other(first.by.clone()));
        }
        if self.in_force.since(look.wall) > SLIP_SECS {
            return held(self.in_force, Witness::Log);
        }
        // A log that came as far, or a witness, vouches for a clock that was ahead of the time gone by.
        let expected = self.anchor.expects(look.gone_by).max(self.in_force);
        if agree.is_empty() && look.wall.since(expected) > SLIP_SECS {
            return held(expected, Witness::Run);
        }
        Ok(())
    }

    /// The time by which things end although the clock is not believed: the lesser of what it shows and what contradicts it, but never less
    /// than the time in force, nor than the time gone by since it was believed, which a witness may contradict too.
    pub fn in_spite_of(&self, held: &Held, gone_by: Duration) -> Timestamp {
        let ran = self.anchor.expects(gone_by);
        let ran = match held.by {
            Witness::Other(_) => ran.min(held.expected),
            Witness::Log | Witness::Run => ran,
        };
        held.cautious().max(ran).max(self.in_force)
    }

    /// The time that has surely come although the clock is not believed: the same, but of a log that is further than time went by since this
    /// clock was believed, one of the two is wrong, and nobody knows which. Nothing is done by it that cannot be undone.
    pub fn surely(&self, held: &Held, gone_by: Duration) -> Timestamp {
        let by_both = self.anchor.expects(gone_by).plus_secs(SLIP_SECS);
        let ended = self.in_spite_of(held, gone_by);
        if self.is_anchored { ended.min(by_both) } else { ended }
    }

    /// A clock that was believed is what the next look is held against.
    pub fn believed(&mut self, look: Look) {
        self.is_anchored = true;
        let (age, expected) = (self.anchor.age(look.gone_by), self.anchor.expects(look.gone_by));
        if age >= ANCHOR_MAX || look.wall < expected || look.wall.since(expected) > SLIP_SECS {
            self.anchor = Anchor::here(look);
        }
    }

    /// The time an operation's leaf is given, `asked` being what its caller's clock showed; none while the clock is not believed and
    /// the operation can wait.
    pub fn time_for(&self, look: Look, standing: Standing, asked: Option<Timestamp>) -> Result<Timestamp, Held> {
        let most = match (self.judge(look), standing) {
            (_, Standing::Word(time)) => return Ok(time),
            (Ok(()), _) => look.wall,
            (Err(held), Standing::Waits) => return Err(held),
            (Err(held), Standing::Goes) => held.cautious(),
        };
        Ok(asked.unwrap_or(most).min(most).max(self.in_force))
    }
}

fn apart(a: Timestamp, b: Timestamp) -> i64 {
    a.since(b).abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: i64 = 1_790_000_000;
    const HOURS: i64 = 3_600;
    const DB: &str = "the database";

    fn time(after_noon: i64) -> Timestamp {
        Timestamp::from_unix(NOON + after_noon)
    }

    fn look(wall: i64, gone_by: u64) -> Look {
        Look { wall: time(wall), gone_by: Duration::from_secs(gone_by) }
    }

    /// A node that believed its clock at noon.
    fn node(in_force: i64, heard: &[(&str, i64)]) -> Knowledge {
        let mut knowledge = Knowledge::new(look(0, 0), time(in_force));
        knowledge.believed(look(0, 0));
        for (by, says) in heard {
            knowledge.hear(Duration::ZERO, by, time(*says));
        }
        knowledge
    }

    #[test]
    fn a_clock_is_judged_in_both_directions() {
        type Row = (&'static str, i64, &'static [(&'static str, i64)], (i64, u64), Option<(&'static str, i64)>);
        let rows: &[Row] = &[
            ("time goes by", 0, &[], (7_200, 7_200), None),
            ("a year without an entry", -365 * 24 * HOURS, &[], (60, 60), None),
            ("a little behind another node", 300, &[], (0, 0), None),
            ("behind the log", 301, &[], (0, 0), Some(("log", 301))),
            ("set back an hour after a leaf", 0, &[], (-HOURS, 5), Some(("log", 0))),
            ("set back before any leaf", -24 * HOURS, &[], (-HOURS, 5), None),
            ("a small step ahead", 0, &[], (305, 5), None),
            ("a jump ahead", 0, &[], (306, 5), Some(("run", 5))),
            ("ten years ahead", 0, &[], (87_600 * HOURS, 60), Some(("run", 60))),
            ("a jump ahead that the log has made too", 2 * HOURS, &[], (2 * HOURS, 5), None),
            ("a jump ahead that a witness has made too", 0, &[(DB, 2 * HOURS)], (2 * HOURS, 5), None),
            ("a witness is behind", 0, &[(DB, -2 * HOURS)], (60, 60), Some((DB, 60 - 2 * HOURS))),
            ("a witness is ahead", 0, &[(DB, 2 * HOURS)], (60, 60), Some((DB, 60 + 2 * HOURS))),
            ("a witness was heard long ago", 0, &[(DB, 2 * HOURS)], (901, 901), None),
            ("one against one", 0, &[("a", 0), (DB, HOURS)], (0, 0), Some((DB, HOURS))),
            ("one against two", 0, &[("a", 0), (DB, HOURS), ("b", 0)], (0, 0), None),
            ("the log is ahead, and a witness is not", 2 * HOURS, &[(DB, 0)], (0, 0), Some(("log", 2 * HOURS))),
        ];
        for (what, in_force, heard, (wall, gone_by), expected) in rows {
            let held = node(*in_force, heard).judge(look(*wall, *gone_by)).err();
            let by = |held: &Held| match &held.by {
                Witness::Log => "log".to_owned(),
                Witness::Run => "run".to_owned(),
                Witness::Other(name) => name.clone(),
            };
            let found = held.as_ref().map(|held| (by(held), held.expected));
            assert_eq!(found, expected.map(|(by, at)| (by.to_owned(), time(at))), "{what}");
        }
    }

    #[test]
    fn what_must_not_wait_is_written_and_never_before_nor_after_what_is_known() {
        use Standing::{Goes, Waits, Word};
        type Row = (&'static str, i64, (i64, u64), Standing, Option<i64>, Option<i64>);
        let rows: &[Row] = &[
            ("as its caller saw it", 0, (9, 9), Waits, Some(7), Some(7)),
            ("another was faster", 8, (9, 9), Waits, Some(7), Some(8)),
            ("a little behind", 300, (9, 9), Waits, Some(7), Some(300)),
            ("behind: it waits", 2 * HOURS, (9, 9), Waits, Some(7), None),
            ("behind: it goes", 2 * HOURS, (9, 9), Goes, Some(7), Some(2 * HOURS)),
            ("ahead: it waits", 0, (2 * HOURS, 9), Waits, Some(2 * HOURS), None),
            ("ahead: it goes, at the time gone by", 0, (2 * HOURS, 9), Goes, Some(2 * HOURS), Some(9)),
            ("made while the clock was ahead", 5, (9, 9), Goes, Some(2 * HOURS), Some(9)),
            ("an operator's word", 2 * HOURS, (9, 9), Word(time(9)), Some(9), Some(9)),
        ];
        for (what, in_force, (wall, gone_by), standing, asked, expected) in rows {
            let given = node(*in_force, &[]).time_for(look(*wall, *gone_by), *standing, asked.map(time));
            assert_eq!(given.ok(), expected.map(time), "{what}");
        }
    }

    #[test]
    fn things_end_by_the_time_that_went_by_whatever_the_clock_shows() {
        type Row = (&'static str, i64, &'static [(&'static str, i64)], (i64, u64), i64);
        let rows: &[Row] = &[
            ("an hour back", 0, &[], (-HOURS, 5), 5),
            ("an hour back, and most of it went by since", 0, &[], (-600, 3_000), 3_000),
            ("an hour back, and the log came further", 60, &[], (-HOURS, 5), 60),
            ("an hour back, and a witness says so", 0, &[(DB, 0)], (-HOURS, 5), 5),
            ("two hours ahead", 0, &[], (2 * HOURS, 9), 9),
            ("two hours ahead, and the log came further", 100, &[], (2 * HOURS, 9), 100),
            ("two hours ahead, and a witness says so", 0, &[(DB, 0)], (2 * HOURS, 9), 9),
            ("a witness is ahead", 0, &[(DB, 2 * HOURS)], (60, 60), 60),
            ("a witness is behind", 30, &[(DB, -2 * HOURS)], (60, 60), 30),
            ("the log is ahead", 2 * HOURS, &[], (60, 60), 2 * HOURS),
            ("the log is ahead, by little", 200, &[], (-HOURS, 60), 200),
        ];
        for (what, in_force, heard, (wall, gone_by), expected) in rows {
            let (node, look) = (node(*in_force, heard), look(*wall, *gone_by));
            let held = node.judge(look).unwrap_err();
            assert_eq!(node.in_spite_of(&held, look.gone_by), time(*expected), "{what}");
            // Where the log says more than the time that went by, nothing has surely ended by it.
            let surely = (*expected).min(i64::try_from(*gone_by).unwrap() + SLIP_SECS);
            assert_eq!(node.surely(&held, look.gone_by), time(surely), "{what}");
        }
        // One that was never believed has nothing better than the log.
        let node = Knowledge::new(look(0, 0), time(2 * HOURS));
        let held = node.judge(look(60, 60)).unwrap_err();
        assert_eq!(node.surely(&held, Duration::from_secs(60)), time(2 * HOURS));
        // Wrong from its start: what went by since then is no better than it.
        let mut node = Knowledge::new(look(2 * HOURS, 0), time(0));
        node.hear(Duration::ZERO, DB, time(0));
        let held = node.judge(look(2 * HOURS + 9, 9)).unwrap_err();
        assert_eq!(node.in_spite_of(&held, Duration::from_secs(9)), time(9));
    }

    #[test]
    fn a_word_holds_for_the_node_whose_clock_is_still_ahead() {
        // Wrong from its start, so that nothing but the word contradicts it.
        let mut node = Knowledge::new(look(2 * HOURS, 0), time(0));
        assert!(node.judge(look(2 * HOURS + 9, 9)).is_ok());
        node.learn(Duration::from_secs(9), time(2 * HOURS + 9));
        node.learn(Duration::from_secs(20), time(20));
        let held = node.judge(look(2 * HOURS + 30, 30)).unwrap_err();
        assert_eq!((held.by, held.expected), (Witness::Run, time(30)));
        assert!(node.judge(look(30, 30)).is_ok());
    }

    #[test]
    fn small_steps_add_up_to_nothing_in_a_year_and_large_ones_are_not_hidden_in_them() {
        let mut node = node(0, &[]);
        for hour in 1..=24 * 365_i64 {
            let now = look(hour * HOURS + hour * 5, (hour * HOURS) as u64);
            assert!(node.judge(now).is_ok(), "hour {hour}");
            node.believed(now);
        }
        let mut node = self::node(0, &[]);
        let held = (1..60).find(|minute| {
            let now = look(minute * 260, (minute * 60) as u64);
            let held = node.judge(now).is_err();
            if !held {
                node.believed(now);
            }
            held
        });
        assert_eq!(held, Some(2), "a step each minute");
    }
}
