//! How many refusals of one actor are leaves of their own: whoever may do nothing does not fill the log by asking.
//!
//! The first of a window are leaves, each with what was asked for. The one after them is a leaf too, which says that the rest is counted; and
//! how many that was is one more leaf when the window is over. So nothing is refused of which the log says nothing, and what one actor can
//! have it say is bounded. What is counted lies in memory: a crash loses the number, and never that there was one. While the register is
//! away the numbers are owed, those of one actor as one, and written once it is there.
//!
//! Whoever is refused very often is told as an alarm too ([`Insistent`]).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use store::RefusalEntry;

/// What was refused beyond what is leaves of its own, for whoever watches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RefusalState {
    /// So many were counted since the start.
    pub counted: u64,
    /// So many of them are in no leaf yet: their window is not over, or the register is away.
    pub untold: u64,
    /// Who is refused more often than people are, the most often first.
    pub insistent: Vec<Insistent>,
}

/// Somebody who was refused more than [`INSISTENT_FROM`] times since his window began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Insistent {
    /// Who; none where they are several, of more actors than are counted apart.
    pub actor: Option<String>,
    /// How often, in a window of at most [`REFUSALS_WINDOW_SECS`].
    pub times: u64,
}

/// The refusals of this node's actors. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Crowd(Arc<Mutex<Memory>>);

#[derive(Default)]
struct Memory {
    /// By their names; those for whom there is no room share the empty one.
    actors: HashMap<String, Window>,
    /// What was counted in windows that are over and stands in no leaf yet, by the same names.
    owed: HashMap<String, Sum>,
    /// All that was ever counted.
    counted: u64,
}

/// What was refused to one actor since a moment.
struct Window {
    since: Instant,
    told: u32,
    /// Whether a leaf says that the rest is counted.
    is_said: bool,
    counted: u64,
    /// What was refused last: by it the number is told.
    last: RefusalEntry,
}

/// What becomes of a refusal.
#[derive(Debug)]
pub(crate) enum Noted {
    /// It is a leaf.
    Told(RefusalEntry),
    /// It is the first of those that are counted, and a leaf that says so.
    Counting(RefusalEntry),
    /// It is counted.
    Counted,
}

/// How many were refused to an actor, and counted alone: it is to be a leaf.
#[derive(Clone, Debug)]
pub(crate) struct Sum {
    /// Whose: as in [`Memory`].
    actor: String,
    number: u64,
    /// In so many windows.
    windows: u64,
    last: RefusalEntry,
}

impl Crowd {
    /// Notes a refusal, and says what becomes of it.
    pub(crate) fn note(&self, refusal: RefusalEntry, now: Instant) -> Noted {
        let mut memory = self.memory();
        memory.close(now);
        let is_known = !memory.is_full() || memory.actors.contains_key(&refusal.actor.id);
        // More than a house has: what is refused to the others they share.
        let actor = if is_known { refusal.actor.id.clone() } else { SHARED.to_owned() };
        let whose = whose(&actor);
        let fresh = || Window { since: now, told: 0, is_said: false, counted: 0, last: refusal.clone() };
        let window = memory.actors.entry(actor).or_insert_with(fresh);
        let noted = window.note(refusal, whose);
        if window.times() == INSISTENT_FROM {
            tracing::warn!(actor = %window.last.actor.id, times = INSISTENT_FROM, "{whose} is refused more often than people are");
        }
        if matches!(noted, Noted::Counted) {
            memory.counted = memory.counted.saturating_add(1);
        }
        noted
    }

    /// Whether an actor's refusals are counted by now, and no leaf says of what.
    pub(crate) fn is_counting(&self, actor: &str, now: Instant) -> bool {
        let memory = self.memory();
        let window = memory.actors.get(actor).or_else(|| memory.actors.get(SHARED).filter(|_| memory.is_full()));
        window.is_some_and(|window| window.is_said && !window.is_over(now))
    }

    /// A refusal did not become a leaf: it is not among those that are.
    pub(crate) fn untold(&self, actor: &str) {
        self.memory().of(actor, |window| window.told = window.told.saturating_sub(1));
    }

    /// That the rest of an actor's is counted did not become a leaf: the next refusal says so again.
    pub(crate) fn unsaid(&self, actor: &str) {
        self.memory().of(actor, |window| window.is_said = false);
    }

    /// Takes out what is to be told of windows that are over; at the end of the service, of all. What does not become a leaf comes
    /// back by [`Crowd::owes`].
    pub(crate) fn due(&self, now: Instant, is_end: bool) -> Vec<Sum> {
        let mut memory = self.memory();
        match is_end {
            true => memory.close_all(),
            false => memory.close(now),
        }
        memory.owed.drain().map(|(_, sum)| sum).collect()
    }

    /// These are told later: the register does not take them now.
    pub(crate) fn owes(&self, sums: impl IntoIterator<Item = Sum>) {
        let mut memory = self.memory();
        sums.into_iter().for_each(|sum| memory.owe(sum));
    }

    /// How it is now.
    pub(crate) fn state(&self, now: Instant) -> RefusalState {
        let memory = self.memory();
        let stands = |window: &&Window| !window.is_over(now);
        let open = memory.actors.values().fold(0_u64, |sum, window| sum.saturating_add(window.counted));
        let owed = memory.owed.values().fold(0_u64, |sum, owed| sum.saturating_add(owed.number));
        let insistent = memory.actors.iter().filter(|(_, window)| stands(window) && window.times() >= INSISTENT_FROM);
        let mut insistent: Vec<Insistent> = insistent
            .map(|(actor, window)| Insistent {
                actor: Some(actor.clone()).filter(|actor| actor != SHARED),
                times: window.times(),
            })
            .collect();
        insistent.sort_by(|one, other| other.times.cmp(&one.times).then_with(|| one.actor.cmp(&other.actor)));
        RefusalState { counted: memory.counted, untold: open.saturating_add(owed), insistent }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    fn is_full(&self) -> bool {
        self.actors.len() >= ACTORS_MAX
    }

    /// The window in which an actor's refusals are counted, where it is still there.
    fn of(&mut self, actor: &str, change: impl FnOnce(&mut Window)) {
        let whose = if self.actors.contains_key(actor) { actor } else { SHARED };
        if let Some(window) = self.actors.get_mut(whose) {
            change(window);
        }
    }

    /// Ends the windows that are over: what was counted in them is owed.
    fn close(&mut self, now: Instant) {
        let over: Vec<(String, Window)> = self.actors.extract_if(|_, window| window.is_over(now)).collect();
        over.into_iter().filter_map(|(actor, window)| window.sum(actor)).for_each(|sum| self.owe(sum));
    }

    fn close_all(&mut self) {
        let all: Vec<(String, Window)> = self.actors.drain().collect();
        all.into_iter().filter_map(|(actor, window)| window.sum(actor)).for_each(|sum| self.owe(sum));
    }

    /// One number for each actor; those for whom there is no room share one, as they do while they are counted.
    fn owe(&mut self, sum: Sum) {
        let is_known = self.owed.len() < ACTORS_MAX || self.owed.contains_key(&sum.actor);
        let actor = if is_known { sum.actor.clone() } else { SHARED.to_owned() };
        match self.owed.get_mut(&actor) {
            Some(there) => there.add(sum),
            None => drop(self.owed.insert(actor.clone(), Sum { actor, ..sum })),
        }
    }
}

impl Window {
    fn note(&mut self, refusal: RefusalEntry, whose: &str) -> Noted {
        self.last = refusal.clone();
        if self.told < TOLD_MAX {
            self.told += 1;
            return Noted::Told(refusal);
        }
        if !self.is_said {
            self.is_said = true;
            return Noted::Counting(RefusalEntry { missing: counting(&refusal.missing, whose), ..refusal });
        }
        self.counted = self.counted.saturating_add(1);
        Noted::Counted
    }

    fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) >= WINDOW
    }

    /// How often it was, with those that are leaves.
    fn times(&self) -> u64 {
        self.counted.saturating_add(u64::from(self.told)).saturating_add(u64::from(self.is_said))
    }

    /// What is to be told of it; none where nothing was counted.
    fn sum(self, actor: String) -> Option<Sum> {
        (self.counted > 0).then_some(Sum { actor, number: self.counted, windows: 1, last: self.last })
    }
}

impl Sum {
    fn add(&mut self, other: Sum) {
        self.number = self.number.saturating_add(other.number);
        self.windows = self.windows.saturating_add(other.windows);
        self.last = other.last;
    }

    /// The leaf that says how many were counted.
    pub(crate) fn leaf(&self) -> RefusalEntry {
        let (number, whose) = (self.number, whose(&self.actor));
        let minutes = self.windows.saturating_mul(REFUSALS_WINDOW_SECS / 60);
        let target = format!("{number} more refusals");
        let missing = format!("and {number} more of {whose} within {minutes} minutes, each by policy");
        RefusalEntry { target, missing, rule: None, ..self.last.clone() }
    }
}

/// Whose they are: a leaf has one actor, who was refused last.
fn whose(actor: &str) -> &'static str {
    if actor == SHARED { "several actors, of whom this is the last," } else { "this actor" }
}

fn counting(missing: &str, whose: &str) -> String {
    let minutes = REFUSALS_WINDOW_SECS / 60;
    format!(
        "{missing}; {TOLD_MAX} of {whose} were refused within {minutes} minutes: from here on they are counted, and the number is told"
    )
}

/// So long the refusals of an actor are counted together ...
pub const REFUSALS_WINDOW_SECS: u64 = 3_600;
const WINDOW: Duration = Duration::from_secs(REFUSALS_WINDOW_SECS);
/// ... of which so many are leaves of their own: somebody who mistypes never sees the rest.
const TOLD_MAX: u32 = 256;
/// From so many on somebody should look: no hand mistypes that often, and a program that does is set up wrongly or is somebody else's.
pub const INSISTENT_FROM: u64 = 1_024;
/// Actors whose refusals are counted at once, and of whom a number is owed.
const ACTORS_MAX: usize = 4_096;
/// The name of those for whom there is no room. No actor has it.
const SHARED: &str = "";

#[cfg(test)]
mod tests {
    use store::ActorStamp;

    use super::*;

    fn refusal(actor: &str, target: &str) -> RefusalEntry {
        RefusalEntry {
            actor: ActorStamp { id: actor.to_owned(), proof: "token".to_owned(), proof_id: "x".to_owned() },
            action: "read-secret".to_owned(),
            target: target.to_owned(),
            rule: None,
            missing: "nothing allows it".to_owned(),
            policy_hash: [0; 32],
        }
    }

    fn is_leaf(noted: &Noted) -> bool {
        match noted {
            Noted::Told(_) | Noted::Counting(_) => true,
            Noted::Counted => false,
        }
    }

    /// So many beyond those that are leaves of their own.
    fn counted(crowd: &Crowd, actor: &str, number: u32, now: Instant) {
        for _ in 0..=TOLD_MAX + number {
            crowd.note(refusal(actor, "secret"), now);
        }
    }

    fn told(sums: &[Sum]) -> Vec<String> {
        sums.iter().map(|sum| sum.leaf().target).collect()
    }

    #[test]
    fn an_actor_has_so_many_refusals_written_down_and_then_their_number() {
        let (crowd, begun) = (Crowd::default(), Instant::now());
        let noted = |actor: &str, number: u32, now| crowd.note(refusal(actor, &format!("secret {number}")), now);
        for number in 0..TOLD_MAX {
            assert!(matches!(noted("token:none", number, begun), Noted::Told(_)), "{number}");
        }
        let first = noted("token:none", TOLD_MAX, begun);
        assert!(
            matches!(&first, Noted::Counting(leaf) if leaf.missing.contains("from here on they are counted")),
            "{first:?}"
        );
        for number in 0..1_000 {
            assert!(matches!(noted("token:none", number, begun), Noted::Counted), "{number}");
        }
        // Another's are his own.
        assert!(matches!(noted("token:other", 0, begun), Noted::Told(leaf) if leaf.target == "secret 0"));
        let counting = |actor, now| crowd.is_counting(actor, now);
        assert!(counting("token:none", begun) && !counting("token:none", begun + WINDOW));
        assert!(!counting("token:other", begun) && !counting("token:third", begun));
        // The window is over: how many there were is told once, and the next are leaves again.
        assert!(crowd.due(begun + WINDOW / 2, false).is_empty());
        assert!(matches!(noted("token:none", 7, begun + WINDOW), Noted::Told(leaf) if leaf.target == "secret 7"));
        let later = crowd.due(begun + WINDOW, false);
        assert_eq!(told(&later), ["1000 more refusals"]);
        let missing = later[0].leaf().missing;
        assert!(missing.starts_with("and 1000 more of this actor within 60 minutes"), "{missing}");
        assert!(crowd.due(begun + WINDOW, true).is_empty(), "nothing else was counted");
        assert_eq!(crowd.state(begun + WINDOW), RefusalState { counted: 1_000, ..RefusalState::default() });
    }

    #[test]
    fn what_was_counted_is_told_at_the_end_too() {
        let (crowd, now) = (Crowd::default(), Instant::now());
        counted(&crowd, "token:none", 2, now);
        assert_eq!(told(&crowd.due(now, true)), ["2 more refusals"]);
    }

    #[test]
    fn a_number_that_the_register_did_not_take_is_told_later_with_what_came_since() {
        let (crowd, begun) = (Crowd::default(), Instant::now());
        counted(&crowd, "token:none", 5, begun);
        let refused = crowd.due(begun + WINDOW, false);
        assert_eq!(told(&refused), ["5 more refusals"]);
        crowd.owes(refused);
        assert_eq!(crowd.state(begun + WINDOW).untold, 5);
        // Another hour of it, while the register is away still.
        counted(&crowd, "token:none", 7, begun + WINDOW);
        assert_eq!(crowd.state(begun + WINDOW).untold, 12);
        let both = crowd.due(begun + 2 * WINDOW, false);
        assert_eq!(told(&both), ["12 more refusals"]);
        assert!(both[0].leaf().missing.contains("within 120 minutes"), "{both:?}");
        assert_eq!(crowd.state(begun + 2 * WINDOW).untold, 0);
    }

    #[test]
    fn that_the_rest_is_counted_is_said_until_it_is_a_leaf() {
        let (crowd, now) = (Crowd::default(), Instant::now());
        for _ in 0..TOLD_MAX {
            crowd.note(refusal("token:none", "secret"), now);
        }
        for _ in 0..2 {
            let noted = crowd.note(refusal("token:none", "secret"), now);
            assert!(matches!(noted, Noted::Counting(_)), "{noted:?}");
            crowd.unsaid("token:none");
        }
        assert!(is_leaf(&crowd.note(refusal("token:none", "secret"), now)));
        assert!(!is_leaf(&crowd.note(refusal("token:none", "secret"), now)));
    }

    #[test]
    fn what_did_not_become_a_leaf_is_not_among_those_that_are() {
        let (crowd, now) = (Crowd::default(), Instant::now());
        for _ in 0..3 * TOLD_MAX {
            let noted = crowd.note(refusal("token:none", "secret"), now);
            assert!(matches!(noted, Noted::Told(_)), "{noted:?}");
            crowd.untold("token:none");
        }
        // Nobody's: his window is over meanwhile.
        crowd.untold("token:other");
        assert_eq!(crowd.state(now), RefusalState::default());
    }

    #[test]
    fn however_many_actors_there_are_what_is_remembered_is_bounded() {
        let (crowd, now) = (Crowd::default(), Instant::now());
        let actors = u32::try_from(ACTORS_MAX).unwrap();
        let leaves =
            (0..actors + 2 * TOLD_MAX).filter(|n| is_leaf(&crowd.note(refusal(&format!("acme:{n}"), "x"), now)));
        assert_eq!(leaves.count(), ACTORS_MAX + TOLD_MAX as usize + 1);
        assert_eq!(crowd.memory().actors.len(), ACTORS_MAX + 1);
        // Their number is nobody's own.
        let ended = crowd.due(now, true);
        assert!(ended.len() == 1 && ended[0].leaf().missing.contains("more of several actors"), "{ended:?}");
        // Nor are numbers that the register does not take more than that.
        let last = ended[0].last.clone();
        let sum = |n| Sum { actor: format!("acme:{n}"), number: 2, windows: 1, last: last.clone() };
        crowd.owes((0..actors + 10).map(sum));
        assert_eq!(crowd.memory().owed.len(), ACTORS_MAX + 1);
        assert_eq!(crowd.state(now).untold, 2 * u64::from(actors + 10), "none is lost");
    }

    #[test]
    fn whoever_is_refused_very_often_is_told_of_as_long_as_his_window() {
        let (crowd, begun) = (Crowd::default(), Instant::now());
        let from = u32::try_from(INSISTENT_FROM).unwrap();
        for _ in 1..from {
            crowd.note(refusal("token:none", "secret"), begun);
        }
        crowd.note(refusal("token:other", "secret"), begun);
        assert!(crowd.state(begun).insistent.is_empty());
        crowd.note(refusal("token:none", "secret"), begun);
        let told = Insistent { actor: Some("token:none".to_owned()), times: INSISTENT_FROM };
        assert_eq!(crowd.state(begun).insistent, [told]);
        assert!(crowd.state(begun + WINDOW).insistent.is_empty());
    }
}
