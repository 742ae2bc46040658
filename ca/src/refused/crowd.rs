//! All who were refused lately, each at his place, and what is owed to the log of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use policy::{Actor, Holder};
use store::RefusalEntry;

use crate::refused::place::{Place, place};
use crate::refused::window::{INSISTENT_FROM, InCommon, Noted, Sum, Window};

/// What was refused beyond what is leaves of its own, for whoever watches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RefusalState {
    /// So many were counted since the start.
    pub counted: u64,
    /// So many of them are in no leaf yet: their window is not over, or the register is away.
    pub untold: u64,
    /// Holders whose refusals are counted apart now, at most [`REFUSED_APART_MAX`](super::REFUSED_APART_MAX).
    pub apart: usize,
    /// So many refusals since the start, leaves or not, were of holders for whom there was no place of their own.
    pub nameless: u64,
    /// So many of them in windows that are not over.
    pub nameless_lately: u64,
    /// Who is refused more often than people are, the most often first.
    pub insistent: Vec<Insistent>,
}

/// Somebody who was refused [`INSISTENT_FROM`] times or more since his window began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Insistent {
    /// Who, by the credential of his first refusal: of it the log has leaves, and of those after it only a number may be there.
    pub actor: String,
    /// Whether it was by several of his certificates: the log has each by its serial.
    pub by_several: bool,
    /// By what all his certificates are found; none where it is no certificate, or one without a DNS name or address.
    pub in_common: Option<InCommon>,
    /// How often, in a window of at most [`REFUSALS_WINDOW_SECS`](super::REFUSALS_WINDOW_SECS).
    pub times: u64,
}

/// Whether somebody's refusals are counted by now, and no leaf says of what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counting {
    /// His next one is a leaf of its own.
    Not,
    /// He had as many as are leaves.
    Apart,
    /// He and others together had: his own first may be among those that are counted.
    Together,
}

/// The refusals of this node's actors. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Crowd(Arc<Mutex<Memory>>);

#[derive(Default)]
struct Memory {
    /// What is refused now.
    open: HashMap<Place, Window>,
    /// What was counted in windows that are over and stands in no leaf yet.
    owed: HashMap<Place, Sum>,
    /// So many are being told now, and nobody knows yet whether they are in a leaf.
    telling: u64,
    /// All that was ever counted.
    counted: u64,
    /// All that ever shared a place.
    nameless: u64,
}

impl Crowd {
    /// Notes a refusal of an actor, by his holder, and says what becomes of it.
    pub(crate) fn note(&self, refusal: RefusalEntry, actor: &Actor, now: Instant) -> Noted {
        let mut memory = self.memory();
        memory.close(now);
        let place = place(&memory.open, Place::Own(Holder::of(actor)));
        let is_first = !memory.open.contains_key(&place);
        let window = memory.open.entry(place).or_insert_with(|| Window::new(&refusal, InCommon::of(actor), now));
        let noted = window.note(refusal, place);
        warn(window, place, is_first);
        if place.is_shared() {
            memory.nameless = memory.nameless.saturating_add(1);
        }
        if matches!(noted, Noted::Counted) {
            memory.counted = memory.counted.saturating_add(1);
        }
        noted
    }

    /// Whether the refusals of an actor's holder are counted by now.
    pub(crate) fn counting(&self, actor: &Actor, now: Instant) -> Counting {
        let memory = self.memory();
        let place = place(&memory.open, Place::Own(Holder::of(actor)));
        match memory.open.get(&place).is_some_and(|window| window.is_counting(now)) {
            false => Counting::Not,
            true if place.is_shared() => Counting::Together,
            true => Counting::Apart,
        }
    }

    /// A refusal did not become a leaf: it is not among those that are.
    pub(crate) fn untold(&self, place: Place) {
        if let Some(window) = self.memory().open.get_mut(&place) {
            window.untold();
        }
    }

    /// That the rest of a place's is counted did not become a leaf: the next refusal says so again.
    pub(crate) fn unsaid(&self, place: Place) {
        if let Some(window) = self.memory().open.get_mut(&place) {
            window.unsaid();
        }
    }

    /// Takes out what is to be told of windows that are over; at the end of the service, of all. What does not become a leaf comes
    /// back by [`Crowd::owes`].
    pub(crate) fn due(&self, now: Instant, is_end: bool) -> Vec<Sum> {
        let mut memory = self.memory();
        match is_end {
            true => memory.close_all(),
            false => memory.close(now),
        }
        let due: Vec<Sum> = memory.owed.drain().map(|(_, sum)| sum).collect();
        memory.telling = due.iter().fold(memory.telling, |sum, due| sum.saturating_add(due.number));
        due
    }

    /// This one is a leaf.
    pub(crate) fn is_told(&self, sum: &Sum) {
        let mut memory = self.memory();
        memory.telling = memory.telling.saturating_sub(sum.number);
    }

    /// This one is told later: the register does not take it now.
    pub(crate) fn owes(&self, sum: Sum) {
        let mut memory = self.memory();
        memory.telling = memory.telling.saturating_sub(sum.number);
        memory.owe(sum);
    }

    /// How it is now.
    pub(crate) fn state(&self, now: Instant) -> RefusalState {
        let memory = self.memory();
        let (mut untold, mut nameless_lately, mut apart) = (memory.telling, 0_u64, 0);
        let mut insistent = Vec::new();
        for (place, window) in &memory.open {
            untold = untold.saturating_add(window.counted());
            match (window.is_over(now), place.is_shared()) {
                (true, _) => {}
                (false, true) => nameless_lately = nameless_lately.saturating_add(window.times()),
                (false, false) => {
                    apart += 1;
                    insistent.extend(insists(window));
                }
            }
        }
        let untold = memory.owed.values().fold(untold, |sum, owed| sum.saturating_add(owed.number));
        insistent.sort_by(|one, other| other.times.cmp(&one.times).then_with(|| one.actor.cmp(&other.actor)));
        let (counted, nameless) = (memory.counted, memory.nameless);
        RefusalState { counted, untold, apart, nameless, nameless_lately, insistent }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    /// Ends the windows that are over: what was counted in them is owed.
    fn close(&mut self, now: Instant) {
        let over: Vec<(Place, Window)> = self.open.extract_if(|_, window| window.is_over(now)).collect();
        over.into_iter().filter_map(|(place, window)| window.sum(place)).for_each(|sum| self.owe(sum));
    }

    fn close_all(&mut self) {
        let all: Vec<(Place, Window)> = self.open.drain().collect();
        all.into_iter().filter_map(|(place, window)| window.sum(place)).for_each(|sum| self.owe(sum));
    }

    /// One number for each holder; those for whom there is no room share one, as they do while they are counted.
    fn owe(&mut self, sum: Sum) {
        let place = place(&self.owed, sum.place);
        match self.owed.get_mut(&place) {
            Some(there) => there.add(sum),
            None => drop(self.owed.insert(place, Sum { place, ..sum })),
        }
    }
}

/// Somebody, where he is refused so often.
fn insists(window: &Window) -> Option<Insistent> {
    let (times, by_several) = (window.times(), window.is_by_several());
    if times < INSISTENT_FROM {
        return None;
    }
    let (actor, in_common) = (window.actor().to_owned(), window.in_common().cloned());
    Some(Insistent { actor, by_several, in_common, times })
}

/// The lines of the service's log: one when places begin to be shared, and one of whoever is refused very often.
fn warn(window: &Window, place: Place, is_first: bool) {
    let actor = window.actor();
    if is_first && place.is_shared() {
        tracing::warn!(actor, "more actors are refused than are counted apart: from here on several share a number");
    }
    if !place.is_shared() && window.times() == INSISTENT_FROM {
        tracing::warn!(actor, times = INSISTENT_FROM, "this actor is refused more often than people are");
    }
}

#[cfg(test)]
mod tests;
