//! What one holder may have of a room's places.
//!
//! A bound on everybody's connections, requests or checks is one stranger's to exhaust; with a share for each, that takes many
//! strangers.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Who counts as one address: an IPv6 host owns its /64, and counting single addresses of it would count nothing.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.into(),
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) & !u128::from(u64::MAX)).into()),
    }
}

/// The shares of one room. Remembers those who hold something now and nobody else, so never more than the room has places.
#[derive(Debug)]
pub struct Shares<K: Eq + Hash> {
    most: AtomicUsize,
    held: Mutex<HashMap<K, usize>>,
}

impl<K: Eq + Hash + Clone> Shares<K> {
    /// So many places for each holder.
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most: AtomicUsize::new(most), held: Mutex::default() })
    }

    /// From now on so many; whoever holds more gives them back in time.
    pub fn set(&self, most: usize) {
        self.most.store(most, Ordering::Relaxed);
    }

    /// A place for this holder, if it has not all of its share.
    pub fn take(self: &Arc<Self>, holder: K) -> Option<Share<K>> {
        let mut held = self.held();
        let count = held.get(&holder).copied().unwrap_or(0);
        if count >= self.most.load(Ordering::Relaxed) {
            return None;
        }
        held.insert(holder.clone(), count.saturating_add(1));
        Some(Share { of: Arc::clone(self), holder })
    }
}

impl<K: Eq + Hash> Shares<K> {
    fn held(&self) -> MutexGuard<'_, HashMap<K, usize>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place, given back by drop.
#[derive(Debug)]
pub struct Share<K: Eq + Hash> {
    of: Arc<Shares<K>>,
    holder: K,
}

impl<K: Eq + Hash> Drop for Share<K> {
    fn drop(&mut self) {
        let mut held = self.of.held();
        if let Some(count) = held.get_mut(&self.holder) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                held.remove(&self.holder);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_share_and_gives_it_back() {
        let shares = Shares::new(2);
        let first = shares.take("one").unwrap();
        let second = shares.take("one").unwrap();
        assert!(shares.take("one").is_none());
        assert!(shares.take("other").is_some(), "another has its own");
        drop(first);
        let third = shares.take("one").unwrap();
        assert!(shares.take("one").is_none());
        drop((second, third));
        assert!(shares.held().is_empty(), "who holds nothing is not remembered");
    }

    #[test]
    fn a_slash_64_is_one_address_and_a_mapped_ipv4_address_is_itself() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:2"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }
}
