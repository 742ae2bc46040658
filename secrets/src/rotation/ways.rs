//! The ways that a rotation takes, one by one.

use super::record::{Stage, Tried, Way};
use super::walks::{Walk, settings};
use super::*;

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

/// The versions in force, one after the other, until it rests or halts.
fn in_force(walk: &mut Walk) -> Vec<Vec<u64>> {
    let mut seen: Vec<Vec<u64>> = Vec::new();
    for _ in 0..60 {
        let rotation = walk.read();
        let numbers: Vec<u64> = rotation.in_force().iter().map(|credential| credential.version).collect();
        if seen.last() != Some(&numbers) {
            seen.push(numbers);
        }
        if matches!(rotation.next(walk.now), Step::Rest { until: None } | Step::Halt) {
            break;
        }
        walk.step();
    }
    seen
}

#[test]
fn what_is_in_force_is_what_logs_in_until_it_is_taken_away() {
    assert_eq!(in_force(&mut asked(2, &[])), [vec![1], vec![1, 2], vec![2, 1], vec![2]]);
    // A host that is away at first is told all the time; where it stays away nobody is told any more.
    assert_eq!(in_force(&mut asked(2, &[OK, AWAY, OK, AWAY])), [vec![1], vec![1, 2], vec![2, 1], vec![2]]);
    let mut gives_up = asked(2, &[OK, AWAY, OK, AWAY, OK, AWAY, OK, AWAY, OK, OK]);
    assert_eq!(in_force(&mut gives_up).get(..3), Some(&[vec![1], vec![1, 2], vec![1]][..]));
    // What does not log in is taken back.
    assert_eq!(in_force(&mut asked(2, &[OK, LIE])), [vec![1], vec![1, 2], vec![1]]);
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
fn what_the_last_try_said_is_kept_until_it_is_done_and_goes_into_the_trouble() {
    let mut walk = asked(2, &[OK, AWAY, OK]);
    trace(&mut walk, 2);
    assert_eq!((walk.read().state(), walk.read().last_try()), ("made", Some("it said so")));
    // Whoever knows that it answers again does not wait out the pause.
    let mut rotation = walk.read();
    assert!(matches!(rotation.next(walk.now), Step::Rest { .. }));
    rotation.resume().unwrap();
    assert!(matches!(rotation.next(walk.now), Step::Set { .. }));
    trace(&mut walk, 2);
    assert_eq!((walk.read().state(), walk.read().last_try()), ("set", None));
    let mut given_up = asked(1, &[OK, AWAY, OK, AWAY, OK, AWAY, OK, AWAY, OK]);
    trace(&mut given_up, 9);
    let rotation = given_up.read();
    let trouble = rotation.trouble().unwrap();
    assert_eq!((trouble.why, trouble.said.as_str()), (Why::Away, "it said so"));
    // A login that neither is in nor out says so as well.
    let mut rotation = asked(2, &[]).read();
    for outcome in [Outcome::Made(2), Outcome::Done, Outcome::Away("a: let in\nb: not let in".to_owned())] {
        let step = rotation.next(1_000);
        rotation.intend(&step);
        rotation.outcome(&step, outcome, 1_000).unwrap();
    }
    assert_eq!((rotation.state(), rotation.last_try()), ("set", Some("a: let in b: not let in")));
}

#[test]
fn what_was_set_nowhere_is_let_go_of_and_nothing_else_is() {
    let mut walk = asked(1, &[OK, AWAY, OK]);
    trace(&mut walk, 2);
    let mut rotation = walk.read();
    assert_eq!(rotation.change(settings(1)), Ok(()));
    assert_eq!((rotation.state(), rotation.pending()), ("resting", None));
    assert_eq!(rotation.next(walk.now), Step::Make { user: "b".to_owned() }, "it was asked for");
    // What leaked is exchanged all the same.
    let mut leaked = walk.read();
    leaked.ask_leaked().unwrap();
    assert!(leaked.let_go() && leaked.is_leaked());
    assert!(!leaked.let_go(), "it rests");
    // A set of which nobody knows how it ended is none that was not.
    let mut begun = walk.read();
    let step = Step::Set { credential: begun.pending().unwrap().clone(), others: Others::Replaced };
    begun.intend(&step);
    assert!(!begun.let_go());
    assert_eq!(begun.change(settings(1)), Err(NotNow::UnderWay));
    begun.outcome(&step, Outcome::Unknown(String::new()), walk.now).unwrap();
    assert!(!begun.let_go());
    // A way back that was asked for leaves what was before.
    let mut single = asked(0, &[]);
    trace(&mut single, 20);
    let mut rotation = single.read();
    rotation.ask_back().unwrap();
    assert!(rotation.let_go());
    assert_eq!(rotation.previous().map(|previous| previous.version), Some(1));
    assert_eq!(rotation.next(single.now), Step::Rest { until: None });
}

/// What a person ends while it is at each stage, halted: nothing is pending, and only what was in use before is `previous`.
#[test]
fn what_ends_where_it_halted_leaves_nothing_pending_in_any_stage() {
    let of = |version| Credential { version, user: "a".to_owned() };
    let pending: [fn(Credential) -> Stage; 6] =
        [Stage::Made, Stage::Set, Stage::Proven, Stage::Back, Stage::Returned, Stage::Discarding];
    let mut halted = asked(2, &[]).read();
    (halted.is_halted, halted.tried.sets) = (true, 1);
    for stage in pending {
        // A new one that was never in use; one that was, and was to be so again.
        for (way, previous) in [(Way::Forth, None), (Way::AskedBack, Some(of(2))), (Way::FellBack, Some(of(2)))] {
            let mut rotation = Rotation { stage: stage(of(2)), way, ..halted.clone() };
            assert_eq!(rotation.end(), Ok(Some(of(2))), "{:?}", rotation.stage);
            assert_eq!((rotation.pending(), rotation.previous()), (None, previous.as_ref()), "{:?}", stage(of(2)));
            assert_eq!(rotation.in_force(), [&of(1)]);
            assert!(!rotation.is_halted());
        }
    }
    for (stage, previous) in
        [(Stage::Overlap(of(2)), Some(of(2))), (Stage::Checked(of(2)), None), (Stage::Retired(of(2)), None)]
    {
        let mut rotation = Rotation { stage, ..halted.clone() };
        assert_eq!(rotation.end(), Ok(Some(of(2))));
        assert_eq!((rotation.pending(), rotation.previous()), (None, previous.as_ref()));
    }
    let mut rests = Rotation { stage: Stage::Resting, ..halted.clone() };
    assert_eq!(rests.end(), Ok(None));
    // Under way it does not end.
    let mut under_way = Rotation { stage: Stage::Back(of(2)), is_halted: false, ..halted };
    let before = under_way.clone();
    assert_eq!((under_way.end(), under_way), (Err(NotNow::UnderWay), before));
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
fn what_leaked_waits_for_neither_distance_nor_overlap() {
    let exchanged = ["make a", "set a3", "test a3", "promote a3", "test a3", "retire b2", "test b2"];
    // Within the distance after one.
    let mut walk = asked(1, &[]);
    trace(&mut walk, 20);
    let mut rotation = walk.read();
    walk.now = rotation.since + 1;
    assert!(matches!(rotation.ask(walk.now), Err(NotNow::TooSoon { .. })));
    rotation.ask_leaked().unwrap();
    walk.write(&rotation);
    assert_eq!(trace(&mut walk, 20), exchanged);
    assert!(!walk.read().is_leaked(), "the next one waits again");
    // Within the overlap of one: what is in use by now is exchanged as well.
    let mut walk = asked(1, &[]);
    trace(&mut walk, 4);
    let mut rotation = walk.read();
    rotation.ask_leaked().unwrap();
    walk.write(&rotation);
    let ends = ["test b2", "retire a1", "test a1"];
    assert_eq!(trace(&mut walk, 20), ends.into_iter().chain(exchanged).collect::<Vec<_>>());
    assert!(!walk.read().is_leaked());
    // Before the new one is in use: it is the one that takes the place of what leaked.
    let mut walk = asked(1, &[]);
    trace(&mut walk, 2);
    let mut rotation = walk.read();
    rotation.ask_leaked().unwrap();
    walk.write(&rotation);
    assert_eq!(trace(&mut walk, 20), ["test b2", "promote b2", "test b2", "retire a1", "test a1"]);
}

#[test]
fn the_distance_counts_from_what_was_promoted_and_not_from_the_set_up() {
    let current = |user: &str| Credential { version: 1, user: user.to_owned() };
    let mut rotation = Rotation::new("x", settings(1), current("a"), 1_000).unwrap();
    assert_eq!(rotation.ask(1_000), Ok(()));
    assert_eq!(rotation.next(1_000), Step::Make { user: "b".to_owned() });
    assert_eq!(Rotation::new("x", settings(1), current("c"), 1_000), Err(SettingsError::NotOfThePlan));
    // Set up again behind one that ended, it is as it was.
    let mut walk = asked(1, &[]);
    trace(&mut walk, 20);
    let before = walk.read();
    let mut again = Rotation::new("x", settings(1), current("b"), 0).unwrap().behind(&before);
    assert!(matches!(again.ask(before.since + 1), Err(NotNow::TooSoon { .. })));
}

#[test]
fn a_way_back_that_leads_nowhere_says_so_and_changes_nothing() {
    let mut walk = asked(1, &[]);
    trace(&mut walk, 4);
    walk.target.users.remove("a");
    let mut rotation = walk.read();
    rotation.ask_back().unwrap();
    walk.write(&rotation);
    trace(&mut walk, 20);
    let rotation = walk.read();
    assert_eq!(rotation.trouble().map(|trouble| trouble.why), Some(Why::NotBack));
    assert!(!rotation.is_halted() && rotation.is_resting());
    assert_eq!(rotation.current().version, 2);
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
    rotation.tried = Tried::default();
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
