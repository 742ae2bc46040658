//! What was unsealed or read a moment ago, so that neither the token nor the database is asked for each reading.
//!
//! Nothing in a memory decides by itself. A key opens nothing of which no leaf says so, and a row that was attested is used while the
//! log, which this node has in memory too, knows no other version of it; the access is refused where another node of the register
//! wrote one meanwhile ([`store::AccessEntry::judged`]). Whoever reads this process's memory reads the keys, as he would what they
//! open; nobody else comes nearer by them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Things by their names, each for a lease, and together of so many bytes at most.
pub(super) struct Memory<T> {
    held: Mutex<Held<T>>,
    lease: Duration,
    bounds: Bounds,
}

/// What a memory takes.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    /// So many things.
    pub things: usize,
    /// So many bytes of them together.
    pub bytes: usize,
    /// None that is longer.
    pub bytes_each: usize,
}

struct Held<T> {
    things: HashMap<String, Thing<T>>,
    bytes: usize,
}

struct Thing<T> {
    since: Instant,
    bytes: usize,
    thing: Arc<T>,
}

impl<T> Memory<T> {
    /// That keeps each for so long; zero: nothing.
    pub fn new(lease: Duration, bounds: Bounds) -> Memory<T> {
        Memory { held: Mutex::new(Held { things: HashMap::new(), bytes: 0 }), lease, bounds }
    }

    pub fn get(&self, name: &str) -> Option<Arc<T>> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.things.get(name).filter(|thing| thing.since.elapsed() < self.lease).map(|thing| Arc::clone(&thing.thing))
    }

    /// When it is full, all is forgotten.
    pub fn keep(&self, name: &str, thing: &Arc<T>, bytes: usize) {
        let Bounds { things, bytes: most, bytes_each } = self.bounds;
        if self.lease.is_zero() || bytes > bytes_each.min(most) {
            return self.forget(name);
        }
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.forget(name);
        if held.things.len() >= things || held.bytes + bytes > most {
            held.things.clear();
            held.bytes = 0;
        }
        held.bytes += bytes;
        held.things.insert(name.to_owned(), Thing { since: Instant::now(), bytes, thing: Arc::clone(thing) });
    }

    pub fn forget(&self, name: &str) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).forget(name);
    }
}

impl<T> Held<T> {
    fn forget(&mut self, name: &str) {
        if let Some(gone) = self.things.remove(name) {
            self.bytes -= gone.bytes;
        }
    }
}

/// Keys of versions: half a mebibyte.
pub(super) const DEKS: Bounds = Bounds { things: 4_096, bytes: 4_096 * 32, bytes_each: 32 };
/// What is said of secrets.
pub(super) const SECRETS: Bounds = Bounds { things: 4_096, bytes: 8 << 20, bytes_each: 16 << 10 };
/// Sealed values.
pub(super) const VALUES: Bounds = Bounds { things: 4_096, bytes: 16 << 20, bytes_each: 64 << 10 };

#[cfg(test)]
mod tests {
    use super::*;

    const FEW: Bounds = Bounds { things: 3, bytes: 10, bytes_each: 6 };
    const LONG: Duration = Duration::from_secs(3_600);

    #[test]
    fn things_are_kept_for_a_lease_and_are_forgotten_when_told() {
        let memory = Memory::new(LONG, FEW);
        memory.keep("a", &Arc::new(1), 1);
        assert_eq!(memory.get("a").as_deref(), Some(&1));
        memory.keep("a", &Arc::new(2), 1);
        assert_eq!(memory.get("a").as_deref(), Some(&2), "what is kept last");
        memory.forget("a");
        assert!(memory.get("a").is_none() && memory.held.lock().unwrap().bytes == 0);
        let none = Memory::new(Duration::ZERO, FEW);
        none.keep("a", &Arc::new(1), 1);
        assert!(none.get("a").is_none() && none.held.lock().unwrap().things.is_empty());
    }

    #[test]
    fn things_are_bounded_in_number_and_in_bytes() {
        let memory = Memory::new(LONG, FEW);
        for n in 0..20_u8 {
            memory.keep(&n.to_string(), &Arc::new(n), usize::from(n % 6));
            let held = memory.held.lock().unwrap();
            assert!(held.things.len() <= FEW.things && held.bytes <= FEW.bytes, "{n}");
            assert_eq!(held.bytes, held.things.values().map(|thing| thing.bytes).sum::<usize>());
        }
        assert_eq!(memory.get("19").as_deref(), Some(&19), "what is newest is there");
        memory.keep("long", &Arc::new(0), FEW.bytes_each + 1);
        assert!(memory.get("long").is_none());
        // What has grown too long is not there as it was before.
        memory.keep("19", &Arc::new(20), FEW.bytes_each + 1);
        assert!(memory.get("19").is_none());
    }
}
