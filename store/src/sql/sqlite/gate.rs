//! Who of this process reads a file: its writer can have them all out for a moment.
//!
//! A write-ahead log is begun anew only while nobody reads it. SQLite's own wait for that looks now and then whether a reader's place
//! is free, and a reader that comes takes the place of one that went: two that overlap, however short each of them is, keep a place
//! taken for ever, and whether the writer ever sees it free is luck. Here who comes while the writer waits stays outside, so the wait
//! ends with the last of those who are inside, and each of them makes way.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

/// Which file it is: its device, and its number there.
type FileId = (u64, u64);

/// All connections of this process to one file share one.
static GATES: Mutex<Option<HashMap<FileId, Weak<Gate>>>> = Mutex::new(None);

#[derive(Debug, Default)]
pub(super) struct Gate {
    state: Mutex<State>,
    changed: Condvar,
    /// The same as `closed > 0`, for who looks often.
    is_closed: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    inside: usize,
    outside: usize,
    closed: usize,
}

impl Gate {
    pub(super) fn of(file: FileId) -> Arc<Gate> {
        let mut gates = GATES.lock().unwrap_or_else(PoisonError::into_inner);
        let gates = gates.get_or_insert_default();
        if let Some(gate) = gates.get(&file).and_then(Weak::upgrade) {
            return gate;
        }
        gates.retain(|_, gate| gate.strong_count() > 0);
        let gate = Arc::new(Gate::default());
        gates.insert(file, Arc::downgrade(&gate));
        gate
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Goes in, once the gate is open; none where that takes longer than `patience`.
    pub(super) fn enter(self: &Arc<Gate>, patience: Duration) -> Option<Inside> {
        let mut state = self.state();
        state.outside += 1;
        let waited = self.changed.wait_timeout_while(state, patience, |state| state.closed > 0);
        let (mut state, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        state.outside -= 1;
        if waited.timed_out() && state.closed > 0 {
            return None;
        }
        state.inside += 1;
        Some(Inside(Arc::clone(self)))
    }

    /// Whoever is inside is to leave.
    pub(super) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Relaxed)
    }

    /// Lets nobody in while what it answers lives, and waits until all who are inside have left, at most for `patience`.
    pub(super) fn close(self: &Arc<Gate>, patience: Duration) -> Closed {
        let mut state = self.state();
        state.closed += 1;
        self.is_closed.store(true, Ordering::Relaxed);
        // Whoever waits for something to change sees this too.
        self.changed.notify_all();
        let waited = self.changed.wait_timeout_while(state, patience, |state| state.inside > 0);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        Closed { all_out: state.inside == 0, gate: Arc::clone(self) }
    }

    /// For tests: waits until so many are inside, and so many wait outside.
    #[cfg(test)]
    pub(super) fn until(&self, wanted: impl Fn(usize, usize) -> bool) {
        while !{
            let state = self.state();
            wanted(state.inside, state.outside)
        } {
            std::thread::yield_now();
        }
    }
}

/// Reads.
#[derive(Debug)]
pub(super) struct Inside(Arc<Gate>);

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.state().inside -= 1;
        self.0.changed.notify_all();
    }
}

/// Nobody goes in.
#[derive(Debug)]
pub(super) struct Closed {
    gate: Arc<Gate>,
    /// Nobody is inside either.
    pub(super) all_out: bool,
}

impl Drop for Closed {
    fn drop(&mut self) {
        let mut state = self.gate.state();
        state.closed -= 1;
        self.gate.is_closed.store(state.closed > 0, Ordering::Relaxed);
        drop(state);
        self.gate.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Longer than any test.
    const LONG: Duration = Duration::from_secs(600);

    #[test]
    fn who_comes_while_the_writer_waits_stays_outside_until_it_is_done() {
        let gate = Gate::of((1, 1));
        let first = gate.enter(LONG).unwrap();
        std::thread::scope(|all| {
            let writer = all.spawn(|| gate.close(LONG));
            while !gate.is_closed() {
                std::thread::yield_now();
            }
            let second = all.spawn(|| gate.enter(LONG).unwrap());
            gate.until(|inside, outside| inside == 2 || outside == 1);
            assert_eq!(gate.state().inside, 1, "who comes later is not let in");
            drop(first);
            let closed = writer.join().unwrap();
            assert!(closed.all_out);
            gate.until(|inside, outside| (inside, outside) == (0, 1));
            drop(closed);
            drop(second.join().unwrap());
        });
        assert!(!gate.is_closed());
    }

    #[test]
    fn nobody_waits_for_ever() {
        let gate = Gate::of((1, 2));
        let inside = gate.enter(LONG).unwrap();
        let closed = gate.close(Duration::ZERO);
        assert!(!closed.all_out);
        assert!(gate.enter(Duration::ZERO).is_none());
        drop((inside, closed));
        assert!(gate.enter(Duration::ZERO).is_some());
    }

    #[test]
    fn a_file_has_one_gate_and_each_file_its_own() {
        let (one, same, other) = (Gate::of((2, 1)), Gate::of((2, 1)), Gate::of((2, 2)));
        assert!(Arc::ptr_eq(&one, &same) && !Arc::ptr_eq(&one, &other));
    }
}
