//! Thousands of walks of the machine over a target that fails, lies, answers late and never, and a process that is killed anywhere.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::record::Stage;
use super::*;

/// What logs in where, and what was sent and has not arrived yet.
#[derive(Default)]
struct Target {
    users: BTreeMap<String, BTreeSet<u64>>,
    late: Vec<Step>,
}

impl Target {
    /// Changes of one user stand in line: what was sent earlier happens earlier.
    fn change(&mut self, step: &Step) {
        for step in std::mem::take(&mut self.late).iter().chain([step]) {
            match step {
                Step::Set { credential, others } => {
                    let known = self.users.entry(credential.user.clone()).or_default();
                    if *others == Others::Replaced {
                        known.clear();
                    }
                    known.insert(credential.version);
                }
                Step::Retire { credential, others: Others::Kept } => {
                    self.users.entry(credential.user.clone()).or_default().remove(&credential.version);
                }
                Step::Retire { credential, others: Others::Replaced } => {
                    self.users.remove(&credential.user);
                }
                other => panic!("{other:?} is no change"),
            }
        }
    }

    fn lets_in(&self, credential: &Credential) -> bool {
        self.users.get(&credential.user).is_some_and(|known| known.contains(&credential.version))
    }
}

/// A process that works on a rotation, its register, and the luck it has.
struct Walk {
    target: Target,
    /// The record as the register has it.
    saved: String,
    now: u64,
    luck: Vec<u8>,
    version: u64,
    /// Changes, logins and silences in the stage that is saved.
    counted: [u32; 3],
}

fn settings(kind: u8) -> Settings {
    let (a, b) = ("a".to_owned(), "b".to_owned());
    let (plan, overlap_secs) = match kind {
        0 => (Plan::Single { user: a }, 0),
        1 => (Plan::Pair { users: [a, b] }, 600),
        _ => (Plan::Keys { user: a }, 600),
    };
    let schedule = Schedule { windows: vec!["daily 01:00-05:00".parse().unwrap()], ..Schedule::default() };
    let bounds = Bounds { tries: 3, away: 4, ..Bounds::default() };
    Settings { plan, overlap_secs, distance_secs: overlap_secs, bounds, schedule }
}

impl Walk {
    fn new(kind: u8, luck: Vec<u8>) -> Walk {
        let current = Credential { version: 1, user: "a".to_owned() };
        let mut target = Target::default();
        target.users.entry("a".to_owned()).or_default().insert(1);
        let rotation = Rotation::new("prod/db", settings(kind), current, 0).unwrap();
        let saved = serde_json::to_string(&rotation).unwrap();
        Walk { target, saved, now: 1_000, luck, version: 1, counted: [0; 3] }
    }

    fn read(&self) -> Rotation {
        serde_json::from_str(&self.saved).unwrap()
    }

    fn write(&mut self, rotation: &Rotation) {
        if self.read().stage != rotation.stage {
            self.counted = [0; 3];
        }
        self.saved = serde_json::to_string(rotation).unwrap();
        self.hold();
    }

    /// What is handed out logs in.
    fn hold(&self) {
        let rotation = self.read();
        assert!(
            rotation.is_between() || self.target.lets_in(rotation.current()),
            "{} does not log in: {:?}, {rotation:?}",
            rotation.current().version,
            self.target.users
        );
        let (tries, away) = (rotation.settings().bounds.tries, rotation.settings().bounds.away);
        let [acts, tests, silent] = self.counted;
        assert!(
            acts <= tries && tests <= tries && silent <= away + 2 * tries,
            "tried {:?} times: {rotation:?}",
            self.counted
        );
    }

    fn luck(&mut self) -> u8 {
        self.luck.pop().unwrap_or(u8::MAX)
    }

    /// One step from what the register has; a return is the end of a process, killed or not.
    fn step(&mut self) {
        let mut rotation = self.read();
        let step = rotation.next(self.now);
        self.now += 1;
        match &step {
            Step::Rest { until } => {
                self.now = until.expect("something is under way").max(self.now);
                return;
            }
            Step::Halt => return,
            Step::Make { .. } | Step::Promote { .. } | Step::Discard { .. } | Step::GiveUp => {
                // Killed before the transaction.
                if self.luck() < 40 {
                    return;
                }
                let outcome = match &step {
                    Step::Make { .. } => {
                        self.version += 1;
                        Outcome::Made(self.version)
                    }
                    _ => Outcome::Done,
                };
                rotation.outcome(&step, outcome, self.now).unwrap();
                return self.write(&rotation);
            }
            Step::Set { .. } | Step::Retire { .. } | Step::Test { .. } => {}
        }
        rotation.intend(&step);
        self.write(&rotation);
        let Some(outcome) = self.outside(&step) else { return };
        self.hold();
        rotation.outcome(&step, outcome, self.now).unwrap();
        // Killed before the outcome is written.
        if self.luck() >= 25 {
            self.write(&rotation);
        }
    }

    /// What a target does and says; nothing where the process is killed meanwhile.
    fn outside(&mut self, step: &Step) -> Option<Outcome> {
        let said = || "it said so".to_owned();
        let (luck, is_test) = (self.luck(), matches!(step, Step::Test { .. }));
        self.counted[usize::from(is_test)] += 1;
        let away = |walk: &mut Walk| {
            walk.counted[usize::from(is_test)] -= 1;
            walk.counted[2] += 1;
            Some(Outcome::Away(said()))
        };
        match (luck, step) {
            (0..25, _) => None,
            (25..60, _) => away(self),
            (60..70, _) => Some(Outcome::Refused(said())),
            // Known by the target, whatever it says.
            (_, Step::Test { credential }) => match self.target.lets_in(credential) {
                true => Some(Outcome::Done),
                false => Some(Outcome::Refused(said())),
            },
            (70..90, step) => {
                self.target.change(step);
                None
            }
            (90..105, step) => {
                self.target.change(step);
                Some(Outcome::Unknown(said()))
            }
            (105..120, _) => Some(Outcome::Unknown(said())),
            (120..140, step) => {
                self.target.late.push(step.clone());
                (luck % 2 == 0).then(|| Outcome::Unknown(said()))
            }
            // It says that it did, and did not.
            (140..150, _) => Some(Outcome::Done),
            (_, step) => {
                self.target.change(step);
                Some(Outcome::Done)
            }
        }
    }

    /// Until it rests or halts.
    fn run(&mut self) {
        for _ in 0..1_000 {
            let rotation = self.read();
            if rotation.is_halted() || (rotation.stage == Stage::Resting && !rotation.is_asked) {
                return;
            }
            self.step();
        }
        panic!("it does not end: {:?}", self.read());
    }

    /// A person reads the trouble and does what it says, while nothing else fails. What lied earlier may be found out only now.
    fn obey(&mut self) {
        self.luck.clear();
        for _ in 0..3 {
            let mut rotation = self.read();
            if !rotation.is_halted() {
                break;
            }
            let why = rotation.trouble().expect("a halt has its reason").why;
            let others =
                if matches!(rotation.settings().plan, Plan::Keys { .. }) { Others::Kept } else { Others::Replaced };
            let (credential, gone) = (rotation.current().clone(), rotation.pending().or(rotation.previous()).cloned());
            match why {
                Why::NothingLogsIn => self.target.change(&Step::Set { credential, others }),
                Why::NotReturned
                    if gone.as_ref().is_some_and(|gone| gone.user == credential.user) && others == Others::Replaced =>
                {
                    self.target.change(&Step::Set { credential, others });
                }
                Why::NotReturned | Why::NotRetired => {
                    let credential = gone.expect("what is to be taken away is named");
                    self.target.change(&Step::Retire { credential, others });
                }
                Why::SetRefused | Why::NoLogin | Why::Unknown => {}
                Why::Away | Why::Returned => panic!("{why:?} waits for nobody"),
            }
            rotation.resume().unwrap();
            self.counted = [0; 3];
            self.write(&rotation);
            self.run();
        }
        assert!(!self.read().is_halted(), "halts again and again without a fault: {:?}", self.read());
        assert!(self.target.lets_in(self.read().current()), "rests without a credential: {:?}", self.read());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6_000, ..ProptestConfig::default() })]

    #[test]
    fn whatever_fails_the_current_credential_logs_in_or_a_person_is_told_what_to_do(
        kind in 0u8..3,
        luck in proptest::collection::vec(any::<u8>(), 0..48),
        back in any::<bool>(),
    ) {
        let mut walk = Walk::new(kind, luck);
        let mut rotation = walk.read();
        rotation.ask(walk.now).unwrap();
        walk.write(&rotation);
        walk.run();
        let mut rotation = walk.read();
        if back && rotation.ask_back().is_ok() {
            walk.write(&rotation);
            walk.run();
        }
        walk.obey();
    }
}

/// The steps of a walk, in short.
fn trace(walk: &mut Walk, most: usize) -> Vec<String> {
    let mut steps = Vec::new();
    for _ in 0..most {
        let rotation = walk.read();
        let step = rotation.next(walk.now);
        let text = match &step {
            Step::Rest { until: None } => break,
            Step::Rest { .. } => "rest".to_owned(),
            Step::Make { user } => format!("make {user}"),
            Step::Set { credential, .. } => format!("set {}{}", credential.user, credential.version),
            Step::Test { credential } => format!("test {}{}", credential.user, credential.version),
            Step::Promote { credential } => format!("promote {}{}", credential.user, credential.version),
            Step::Retire { credential, .. } => format!("retire {}{}", credential.user, credential.version),
            Step::Discard { credential } => format!("discard {}{}", credential.user, credential.version),
            Step::GiveUp => "give up".to_owned(),
            Step::Halt => "halt".to_owned(),
        };
        steps.push(text);
        if step == Step::Halt {
            break;
        }
        walk.step();
    }
    steps
}

fn asked(kind: u8, luck: &[u8]) -> Walk {
    let mut walk = Walk::new(kind, luck.iter().rev().copied().collect());
    let mut rotation = walk.read();
    rotation.ask(walk.now).unwrap();
    walk.write(&rotation);
    walk
}

const OK: u8 = u8::MAX;
const AWAY: u8 = 25;
const REFUSED: u8 = 60;
const KILLED_AFTER: u8 = 70;
const LIE: u8 = 140;

#[test]
fn each_plan_has_its_way() {
    let pair = ["make b", "set b2", "test b2", "promote b2", "rest", "test b2", "retire a1", "test a1"];
    let keys = ["make a", "set a2", "test a2", "promote a2", "rest", "test a2", "retire a1", "test a1"];
    assert_eq!(trace(&mut asked(0, &[]), 20), ["make a", "set a2", "test a2", "promote a2"]);
    assert_eq!(trace(&mut asked(1, &[]), 20), pair);
    assert_eq!(trace(&mut asked(2, &[]), 20), keys);
}

#[test]
fn a_set_that_was_killed_is_tried_out_and_not_assumed() {
    let done = ["make a", "set a2", "test a2", "promote a2"];
    assert_eq!(trace(&mut asked(0, &[OK, KILLED_AFTER]), 20), done);
    let not_done = ["make a", "set a2", "test a2", "rest", "set a2", "test a2", "promote a2"];
    assert_eq!(trace(&mut asked(0, &[OK, 0]), 20), not_done);
}

#[test]
fn what_fails_goes_back_and_is_shown_by_a_login() {
    let mut walk = asked(0, &[OK, LIE]);
    let said = ["test a2", "rest", "test a2", "rest", "test a2", "give up", "set a1", "test a1", "discard a2", "halt"];
    assert_eq!(trace(&mut walk, 30), ["make a", "set a2"].into_iter().chain(said).collect::<Vec<_>>());
    assert_eq!(walk.read().trouble().map(|trouble| trouble.why), Some(Why::NoLogin));
    assert_eq!((walk.read().current().version, walk.read().pending()), (1, None));
}

#[test]
fn an_administrators_wrong_password_is_tried_once() {
    let mut walk = asked(1, &[OK, REFUSED]);
    assert_eq!(trace(&mut walk, 20), ["make b", "set b2", "discard b2", "halt"]);
    let rotation = walk.read();
    let trouble = rotation.trouble().unwrap();
    assert_eq!((trouble.why, trouble.said.as_str()), (Why::SetRefused, "it said so"));
    // Whoever resumes begins anew.
    let mut rotation = rotation.clone();
    assert_eq!(rotation.ask(walk.now), Err(NotNow::Halted));
    rotation.resume().unwrap();
    assert_eq!(rotation.resume(), Err(NotNow::NotHalted));
    walk.write(&rotation);
    walk.now += 10_000;
    assert_eq!(trace(&mut walk, 4), ["make b", "set b3", "test b3", "promote b3"]);
}

#[test]
fn a_target_that_is_away_is_asked_so_often_and_then_later() {
    let mut walk = asked(1, &[OK, AWAY, OK, AWAY, OK, AWAY, OK, AWAY, OK]);
    let steps = [
        "make b",
        "set b2",
        "rest",
        "set b2",
        "rest",
        "set b2",
        "rest",
        "set b2",
        "give up",
        "discard b2",
        "rest",
        "make b",
    ];
    let before = walk.now;
    assert_eq!(trace(&mut walk, 12), steps);
    assert!(walk.now >= before + FAILED_PAUSE_SECS, "begun again too soon");
    assert_eq!(walk.read().trouble().map(|trouble| trouble.why), Some(Why::Away));
}

#[test]
fn the_two_users_are_not_exchanged_within_the_overlap() {
    let mut walk = asked(1, &[]);
    trace(&mut walk, 4);
    let promoted = walk.read();
    assert_eq!(promoted.clone().ask(walk.now), Err(NotNow::UnderWay));
    trace(&mut walk, 20);
    let mut rested = walk.read();
    let until = rested.since + 600;
    assert_eq!(rested.ask(until - 1), Err(NotNow::TooSoon { until }));
    rested.is_asked = true;
    assert_eq!(rested.next(until - 1), Step::Rest { until: Some(until) });
    assert_eq!(rested.next(until), Step::Make { user: "a".to_owned() });
}

#[test]
fn a_promoted_credential_that_stops_gives_way_to_the_one_before() {
    let mut walk = asked(2, &[]);
    trace(&mut walk, 4);
    // Somebody at the target takes it away.
    walk.target.users.get_mut("a").unwrap().remove(&2);
    let mut rotation = walk.read();
    let mut seen = Vec::new();
    while rotation.current().version == 2 {
        let step = rotation.next(walk.now);
        if let Step::Rest { until: Some(until) } = step {
            walk.now = until;
            continue;
        }
        let outcome = match &step {
            Step::Test { credential } if !walk.target.lets_in(credential) => Outcome::Refused("no".to_owned()),
            _ => Outcome::Done,
        };
        rotation.intend(&step);
        rotation.outcome(&step, outcome, walk.now).unwrap();
        seen.push(step);
    }
    assert!(!seen.iter().any(|step| matches!(step, Step::Retire { .. })), "{seen:?}");
    assert_eq!(rotation.current().version, 1);
    assert_eq!(rotation.trouble().map(|trouble| trouble.why), Some(Why::Returned));
}

#[test]
fn windows_hold_up_what_begins_and_not_what_ends() {
    let schedule =
        Schedule { period_secs: Some(86_400), windows: vec!["daily 01:00-05:00".parse().unwrap()], jitter_secs: 0 };
    let current = Credential { version: 1, user: "a".to_owned() };
    let mut rotation = Rotation::new("x", Settings { schedule, ..settings(0) }, current, 0).unwrap();
    let one = 86_400 + 3_600;
    assert_eq!(rotation.next(86_400), Step::Rest { until: Some(one) });
    assert_eq!(rotation.next(one), Step::Make { user: "a".to_owned() });
    let make = rotation.next(one);
    rotation.outcome(&make, Outcome::Made(2), one).unwrap();
    // The process was down meanwhile: nothing is set at noon, and what was set is not left half done.
    let noon = 86_400 + 12 * 3_600;
    assert_eq!(rotation.next(noon), Step::Rest { until: Some(2 * 86_400 + 3_600) });
    let set = rotation.next(one);
    rotation.intend(&set);
    assert!(matches!(rotation.next(noon), Step::Test { .. }));
    // Asked for, no window is waited for.
    rotation.is_asked = true;
    rotation.tried = super::record::Tried::default();
    assert!(matches!(rotation.next(noon), Step::Set { .. }));
}

#[test]
fn a_dry_run_says_what_would_be_done_and_changes_nothing() {
    let rotation = asked(1, &[]).read();
    let rehearsed = rotation.rehearse(1_000);
    assert_eq!(rehearsed.len(), 7, "{rehearsed:?}");
    assert!(matches!(rehearsed.first(), Some((1_000, Step::Make { .. }))));
    assert!(matches!(rehearsed.get(4), Some((1_600, Step::Test { .. }))), "{rehearsed:?}");
    assert_eq!(rotation, asked(1, &[]).read());
    let never = Walk::new(1, vec![]).read();
    assert_eq!(never.rehearse(1_000), []);
}

#[test]
fn an_outcome_of_another_step_changes_nothing() {
    let mut rotation = asked(0, &[]).read();
    let before = rotation.clone();
    let credential = rotation.current().clone();
    for step in [Step::Promote { credential: credential.clone() }, Step::Test { credential }, Step::Halt] {
        assert_eq!(rotation.outcome(&step, Outcome::Done, 1), Err(Mismatch));
        assert_eq!(rotation, before);
    }
}
