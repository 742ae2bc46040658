//! How many refusals of one actor are leaves of their own: whoever may do nothing does not fill the log by asking.
//!
//! The first of a window are leaves, each with what was asked for. The one after them is a leaf too, which says that the rest is counted; and
//! how many that was is one more leaf when the window is over. So nothing is refused of which the log says nothing, and what one actor can
//! have it say is bounded. What is counted lies in memory: a crash loses the number, and never that there was one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use store::RefusalEntry;

/// The refusals of this node's actors. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Crowd(Arc<Mutex<HashMap<String, Window>>>);

/// What was refused to one actor since a moment.
struct Window {
    since: Instant,
    /// Of all those for whom there was no room.
    is_shared: bool,
    told: u32,
    counted: u64,
    /// What was refused last: by it the number is told.
    last: RefusalEntry,
}

/// What becomes of a refusal.
#[derive(Debug, PartialEq, Eq)]
enum Noted {
    /// It is a leaf.
    Told,
    /// It is the first of those that are counted, and a leaf that says so.
    Counting,
    /// It is counted.
    Counted,
}

impl Crowd {
    /// The leaves that a refusal is, in their order: none where it is counted alone.
    pub(crate) fn leaves(&self, refusal: RefusalEntry, now: Instant) -> Vec<RefusalEntry> {
        let mut actors = self.actors();
        let mut leaves: Vec<RefusalEntry> = over(&mut actors, now);
        let is_known = actors.len() < ACTORS_MAX || actors.contains_key(&refusal.actor.id);
        let actor = match is_known {
            true => refusal.actor.id.clone(),
            // More than a house has: what is refused to the others they share.
            false => String::new(),
        };
        let fresh = || Window { since: now, is_shared: !is_known, told: 0, counted: 0, last: refusal.clone() };
        let window = actors.entry(actor).or_insert_with(fresh);
        match window.note(&refusal) {
            Noted::Told => leaves.push(refusal),
            Noted::Counting => {
                leaves.push(RefusalEntry { missing: counting(&refusal.missing, window.whose()), ..refusal });
            }
            Noted::Counted => {}
        }
        leaves
    }

    /// The leaves of the windows that are over.
    pub(crate) fn over(&self, now: Instant) -> Vec<RefusalEntry> {
        over(&mut self.actors(), now)
    }

    /// The leaves of all windows, whether they are over or not: the service ends.
    pub(crate) fn end(&self) -> Vec<RefusalEntry> {
        self.actors().drain().filter_map(|(_, window)| window.counts()).collect()
    }

    fn actors(&self) -> MutexGuard<'_, HashMap<String, Window>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Window {
    fn note(&mut self, refusal: &RefusalEntry) -> Noted {
        if self.told < TOLD_MAX {
            self.told += 1;
            return Noted::Told;
        }
        self.counted = self.counted.saturating_add(1);
        self.last = refusal.clone();
        if self.counted == 1 { Noted::Counting } else { Noted::Counted }
    }

    /// Whose they are: a leaf has one actor, who was refused last.
    fn whose(&self) -> &'static str {
        if self.is_shared { "several actors, of whom this is the last," } else { "this actor" }
    }

    /// The leaf that says how many were counted; none where the one that is a leaf was all.
    fn counts(self) -> Option<RefusalEntry> {
        let more = self.counted.saturating_sub(1);
        let target = format!("{more} more refusals");
        let (whose, minutes) = (self.whose(), WINDOW.as_secs() / 60);
        let missing = format!("and {more} more of {whose} within {minutes} minutes, each by policy");
        (more > 0).then_some(RefusalEntry { target, missing, rule: None, ..self.last })
    }
}

/// Takes out the windows that are over: the leaves of those in which more was refused than is told.
fn over(actors: &mut HashMap<String, Window>, now: Instant) -> Vec<RefusalEntry> {
    let is_over = |_: &String, window: &mut Window| now.saturating_duration_since(window.since) >= WINDOW;
    actors.extract_if(is_over).filter_map(|(_, window)| window.counts()).collect()
}

fn counting(missing: &str, whose: &str) -> String {
    let minutes = WINDOW.as_secs() / 60;
    format!(
        "{missing}; {TOLD_MAX} of {whose} were refused within {minutes} minutes: from here on they are counted, and the number is told"
    )
}

/// So long the refusals of an actor are counted together ...
const WINDOW: Duration = Duration::from_secs(3_600);
/// ... of which so many are leaves of their own: somebody who mistypes never sees the rest.
const TOLD_MAX: u32 = 256;
/// Actors whose refusals are counted at once.
const ACTORS_MAX: usize = 4_096;

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

    #[test]
    fn an_actor_has_so_many_refusals_written_down_and_then_their_number() {
        let (crowd, begun) = (Crowd::default(), Instant::now());
        let leaves = |actor: &str, number: u32, now| crowd.leaves(refusal(actor, &format!("secret {number}")), now);
        for number in 0..TOLD_MAX {
            assert_eq!(leaves("token:none", number, begun).len(), 1, "{number}");
        }
        let first = leaves("token:none", TOLD_MAX, begun);
        assert!(first.len() == 1 && first[0].missing.contains("from here on they are counted"), "{first:?}");
        for number in 0..1_000 {
            assert!(leaves("token:none", number, begun).is_empty(), "{number}");
        }
        // Another's are his own.
        assert_eq!(leaves("token:other", 0, begun)[0].target, "secret 0");
        // The window is over: how many there were is told once, and the next are leaves again.
        assert!(crowd.over(begun + WINDOW / 2).is_empty());
        let later = leaves("token:none", 7, begun + WINDOW);
        let says: Vec<&str> = later.iter().map(|leaf| leaf.target.as_str()).collect();
        assert_eq!(says, ["1000 more refusals", "secret 7"]);
        assert!(later[0].missing.starts_with("and 1000 more of this actor"), "{later:?}");
        assert!(crowd.end().is_empty(), "nothing else was counted");
    }

    #[test]
    fn what_was_counted_is_told_at_the_end_too() {
        let (crowd, now) = (Crowd::default(), Instant::now());
        for _ in 0..TOLD_MAX + 3 {
            crowd.leaves(refusal("token:none", "secret"), now);
        }
        let told = crowd.end();
        assert!(told.len() == 1 && told[0].target == "2 more refusals", "{told:?}");
    }

    #[test]
    fn however_many_actors_there_are_what_is_remembered_is_bounded() {
        let (crowd, now) = (Crowd::default(), Instant::now());
        let actors = u32::try_from(ACTORS_MAX).unwrap();
        let told = (0..actors + 2 * TOLD_MAX).map(|n| crowd.leaves(refusal(&format!("acme:{n}"), "x"), now).len());
        assert_eq!(told.sum::<usize>(), ACTORS_MAX + TOLD_MAX as usize + 1);
        assert_eq!(crowd.actors().len(), ACTORS_MAX + 1);
        // Their number is nobody's own.
        let ended = crowd.end();
        assert!(ended.len() == 1 && ended[0].missing.contains("more of several actors"), "{ended:?}");
    }
}
