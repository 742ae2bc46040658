//! Thousands of walks of the machine over a target that fails, lies, answers late and never, and a process that is killed anywhere.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::record::Stage;
use super::*;

/// What logs in where, and what was sent and has not arrived yet.
#[derive(Default)]
pub(super) struct Target {
    pub(super) users: BTreeMap<String, BTreeSet<u64>>,
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

    pub(super) fn lets_in(&self, credential: &Credential) -> bool {
        self.users.get(&credential.user).is_some_and(|known| known.contains(&credential.version))
    }
}

/// A process that works on a rotation, its register, and the luck it has.
pub(super) struct Walk {
    pub(super) target: Target,
    /// The record as the register has it.
    pub(super) saved: String,
    pub(super) now: u64,
    luck: Vec<u8>,
    version: u64,
    /// Changes, logins and silences in the stage that is saved.
    counted: [u32; 3],
}

pub(super) fn settings(kind: u8) -> Settings {
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
    pub(super) fn new(kind: u8, luck: Vec<u8>) -> Walk {
        let current = Credential { version: 1, user: "a".to_owned() };
        let mut target = Target::default();
        target.users.entry("a".to_owned()).or_default().insert(1);
        let rotation = Rotation::new("prod/db", settings(kind), current, 0).unwrap();
        let saved = serde_json::to_string(&rotation).unwrap();
        Walk { target, saved, now: 1_000, luck, version: 1, counted: [0; 3] }
    }

    pub(super) fn read(&self) -> Rotation {
        serde_json::from_str(&self.saved).unwrap()
    }

    pub(super) fn write(&mut self, rotation: &Rotation) {
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
    pub(super) fn step(&mut self) {
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
                Why::Away | Why::Returned | Why::NotBack => panic!("{why:?} waits for nobody"),
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
