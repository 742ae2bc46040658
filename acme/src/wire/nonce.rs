//! Replay nonces (RFC 8555 section 6.5): each is accepted once, and the memory they take is bounded.
//!
//! A nonce is a counter with a MAC over it, so handing one out costs nothing and remembers nothing: a stranger who asks
//! for a million of them changes no state. Only *spent* counters are remembered, at most [`SPENT_MAX`]. When that set is
//! full its lowest counter is dropped and everything at or below it counts as spent: an honest client whose nonce fell
//! off the end gets badNonce with a fresh one, which every ACME client knows how to use.
//!
//! Nonces live in memory, with a key made at start: after a restart, or on another node, they are badNonce.
//! Trusted for: at most one acceptance per nonce. It never writes anything anywhere.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use policy::World;
use ring::hmac;

/// Spent counters remembered. 65,536 of them take about 2 MiB; with 1,000 requests a second an unused nonce lives a minute.
pub const SPENT_MAX: usize = 65_536;
const COUNTER_BYTES: usize = 8;
const MAC_BYTES: usize = 16;
const NONCE_CHARS: usize = 32;

/// The nonces of one running server.
pub struct Nonces {
    key: hmac::Key,
    spent_max: usize,
    ledger: Mutex<Spent>,
}

struct Spent {
    next: u64,
    /// Every counter at or below this one is spent, remembered or not.
    floor: u64,
    above: BTreeSet<u64>,
}

impl Nonces {
    /// A fresh set under a fresh key.
    pub fn new(world: &World) -> Self {
        Self::bounded(world, SPENT_MAX)
    }

    fn bounded(world: &World, spent_max: usize) -> Self {
        let mut key = [0u8; 32];
        world.fill(&mut key);
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, &key),
            spent_max,
            ledger: Mutex::new(Spent { next: 1, floor: 0, above: BTreeSet::new() }),
        }
    }

    /// A nonce nobody has seen yet.
    pub fn mint(&self) -> String {
        let counter = {
            let mut spent = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
            let counter = spent.next;
            spent.next = counter.wrapping_add(1);
            counter
        };
        let counter = counter.to_be_bytes();
        let tag = hmac::sign(&self.key, &counter);
        let mut raw = Vec::with_capacity(COUNTER_BYTES + MAC_BYTES);
        raw.extend_from_slice(&counter);
        raw.extend(tag.as_ref().iter().take(MAC_BYTES));
        URL_SAFE_NO_PAD.encode(raw)
    }

    /// Whether this nonce would be accepted now. Cheap: asked before a signature is verified.
    pub fn is_fresh(&self, nonce: &str) -> bool {
        let Some(counter) = self.counter(nonce) else { return false };
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner).is_fresh(counter)
    }

    /// Spends it: true for exactly one caller.
    pub fn spend(&self, nonce: &str) -> bool {
        let Some(counter) = self.counter(nonce) else { return false };
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner).spend(counter, self.spent_max)
    }

    /// The counter inside, if the MAC is ours.
    fn counter(&self, nonce: &str) -> Option<u64> {
        if nonce.len() != NONCE_CHARS {
            return None;
        }
        let raw = URL_SAFE_NO_PAD.decode(nonce).ok()?;
        let (counter, mac) = raw.split_first_chunk::<COUNTER_BYTES>()?;
        let tag = hmac::sign(&self.key, counter);
        let expected = tag.as_ref().first_chunk::<MAC_BYTES>()?;
        // Constant in time: an xor over all bytes, so that a forger learns nothing from how long a refusal takes.
        let differs = mac.len() != MAC_BYTES || mac.iter().zip(expected).fold(0u8, |sum, (a, b)| sum | (a ^ b)) != 0;
        (!differs).then(|| u64::from_be_bytes(*counter))
    }
}

impl Spent {
    fn is_fresh(&self, counter: u64) -> bool {
        counter > self.floor && counter < self.next && !self.above.contains(&counter)
    }

    fn spend(&mut self, counter: u64, max: usize) -> bool {
        if !self.is_fresh(counter) {
            return false;
        }
        self.above.insert(counter);
        while self.above.len() > max {
            if let Some(lowest) = self.above.pop_first() {
                self.floor = lowest;
            }
        }
        // A run without gaps needs no memory: the floor says it all.
        while self.above.first() == self.floor.checked_add(1).as_ref() {
            if let Some(lowest) = self.above.pop_first() {
                self.floor = lowest;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nonces(max: usize) -> Nonces {
        Nonces::bounded(&World::real(), max)
    }

    #[test]
    fn a_nonce_is_spent_once() {
        let nonces = nonces(16);
        let nonce = nonces.mint();
        assert!(nonces.is_fresh(&nonce));
        assert!(nonces.spend(&nonce));
        assert!(!nonces.is_fresh(&nonce));
        assert!(!nonces.spend(&nonce));
    }

    #[test]
    fn a_hundred_thousand_replays_are_all_refused() {
        let nonces = nonces(SPENT_MAX);
        let minted: Vec<String> = (0..1000).map(|_| nonces.mint()).collect();
        assert!(minted.iter().rev().all(|nonce| nonces.spend(nonce)), "in any order");
        let accepted = (0..100_000).filter(|i| nonces.spend(&minted[i % minted.len()])).count();
        assert_eq!(accepted, 0);
    }

    #[test]
    fn one_of_many_threads_wins_the_race_for_a_nonce() {
        let nonces = nonces(16);
        let nonce = nonces.mint();
        let wins: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| usize::from(nonces.spend(&nonce)))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(wins, 1);
    }

    #[test]
    fn the_memory_of_spent_nonces_is_bounded_and_forgets_towards_refusal() {
        let nonces = nonces(10);
        let minted: Vec<String> = (0..100).map(|_| nonces.mint()).collect();
        // Every second one, so that no run collapses.
        for nonce in minted.iter().skip(1).step_by(2) {
            assert!(nonces.spend(nonce));
        }
        assert!(nonces.ledger.lock().unwrap().above.len() <= 10);
        assert!(!nonces.spend(&minted[0]), "an old unused nonce becomes badNonce");
        assert!(minted.iter().skip(1).step_by(2).all(|nonce| !nonces.spend(nonce)), "a forgotten one is still spent");
        assert!(nonces.spend(&minted[98]), "a recent one still works");
    }

    #[test]
    fn in_order_use_needs_no_memory() {
        let nonces = nonces(SPENT_MAX);
        for _ in 0..10_000 {
            let nonce = nonces.mint();
            assert!(nonces.spend(&nonce));
        }
        assert!(nonces.ledger.lock().unwrap().above.is_empty());
    }

    #[test]
    fn handing_out_nonces_remembers_nothing_and_spoils_none() {
        let nonces = nonces(4);
        let first = nonces.mint();
        (0..100_000).for_each(|_| drop(nonces.mint()));
        assert!(nonces.spend(&first));
    }

    #[test]
    fn a_nonce_of_another_server_or_a_changed_one_is_refused() {
        let ours = nonces(16);
        assert!(!ours.spend(&nonces(16).mint()));
        let nonce = ours.mint();
        for at in 0..nonce.len() {
            let mut forged: Vec<u8> = nonce.bytes().collect();
            forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
            assert!(!ours.spend(std::str::from_utf8(&forged).unwrap()), "character {at}");
        }
        for junk in ["", "=", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", &format!("{nonce}A"), "ä".repeat(16).as_str()] {
            assert!(!ours.spend(junk));
        }
        assert!(ours.spend(&nonce));
    }
}
