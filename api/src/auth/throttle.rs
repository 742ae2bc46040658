//! What wrong guesses cost the address that makes them.
//!
//! Kept in memory, this node's own and bounded: a stranger must fill neither the register nor our memory.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use policy::network;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Addresses whose failures are counted.
const THROTTLED_MAX: usize = 4_096;
/// How long a failure is held against an address.
const FAILURE_WINDOW: Duration = Duration::from_secs(60);

/// Failures by address (IPv6: by /64). When it is full of live entries it starts anew, in favour of callers.
pub(super) struct Throttle {
    failures_max: u32,
    failures: Mutex<HashMap<IpAddr, (Instant, u32)>>,
    slow: Semaphore,
}

impl Throttle {
    /// Allows so many failures per address and minute.
    pub(super) fn new(failures_max: u32) -> Self {
        Self { failures_max, failures: Mutex::default(), slow: Semaphore::new(1) }
    }

    /// Whether an address has used up its failures.
    pub(super) fn is_over(&self, ip: IpAddr) -> bool {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures
            .get(&network(ip))
            .is_some_and(|&(since, count)| count >= self.failures_max && since.elapsed() < FAILURE_WINDOW)
    }

    /// Holds a failure against an address.
    pub(super) fn failed(&self, ip: IpAddr) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() >= THROTTLED_MAX {
            failures.retain(|_, (since, _)| since.elapsed() < FAILURE_WINDOW);
            if failures.len() >= THROTTLED_MAX {
                failures.clear();
            }
        }
        let entry = failures.entry(network(ip)).or_insert_with(|| (Instant::now(), 0));
        if entry.0.elapsed() >= FAILURE_WINDOW {
            *entry = (Instant::now(), 0);
        }
        entry.1 = entry.1.saturating_add(1);
    }

    /// The turn to look something up in the register, which only those wait for who have used up their failures. They have
    /// one turn among them all: a flood of guesses keeps one reader of the register busy, and leaves the others to
    /// everybody else.
    pub(super) async fn turn(&self, from: Option<IpAddr>) -> Option<SemaphorePermit<'_>> {
        match from.is_some_and(|ip| self.is_over(ip)) {
            true => self.slow.acquire().await.ok(),
            false => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn it_counts_a_bounded_number_of_addresses() {
        let throttle = Throttle::new(1);
        for number in 0..u32::try_from(THROTTLED_MAX + 10).expect("fits") {
            throttle.failed(IpAddr::from(number.to_be_bytes()));
        }
        assert!(throttle.failures.lock().expect("lock").len() <= THROTTLED_MAX);
    }

    #[test]
    fn a_guesser_does_not_begin_anew_with_each_address_of_its_slash_64() {
        let throttle = Throttle::new(2);
        throttle.failed(ip("2001:db8::1"));
        throttle.failed(ip("2001:db8::2"));
        assert!(throttle.is_over(ip("2001:db8::3")));
        assert!(!throttle.is_over(ip("2001:db8:0:1::3")));
    }

    #[test]
    fn guessers_look_up_one_at_a_time_and_nobody_else_waits_for_them() {
        let throttle = Throttle::new(1);
        let (one, other, good) = (ip("192.0.2.1"), ip("192.0.2.2"), ip("192.0.2.3"));
        throttle.failed(one);
        throttle.failed(other);
        let mut now = Context::from_waker(Waker::noop());
        let Poll::Ready(Some(turn)) = pin!(throttle.turn(Some(one))).poll(&mut now) else { panic!("it was free") };
        let mut second = pin!(throttle.turn(Some(other)));
        assert!(second.as_mut().poll(&mut now).is_pending());
        assert!(matches!(pin!(throttle.turn(Some(good))).poll(&mut now), Poll::Ready(None)));
        drop(turn);
        assert!(matches!(second.poll(&mut now), Poll::Ready(Some(_))));
    }
}
