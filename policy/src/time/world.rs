//! Time and luck, handed in.
//!
//! Every crate asks a [`World`] for the time and for random bytes, so that a test owns both. The real one reads the system
//! clock and the operating system's generator; the fixed one stands still until it is advanced, and its bytes follow from a
//! seed. Beside the clock on the wall, which anybody may set, there is one that only runs: what both show tells whether the
//! first was set. Randomness of a fixed World is predictable: it is for tests, and the binary never makes one.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ring::digest;
use ring::rand::{SecureRandom, SystemRandom};
use rustix::time::{ClockId, clock_gettime};

use crate::time::stamp::Timestamp;

/// The clock that nobody sets. `CLOCK_MONOTONIC`, which `Instant` reads, stands still on Linux while the machine sleeps: what
/// wakes up then would find its clock on the wall ahead.
#[cfg(any(target_os = "linux", target_os = "android"))]
const RUNNING: ClockId = ClockId::Boottime;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const RUNNING: ClockId = ClockId::Monotonic;

/// The clock and the dice. Cheap to clone; clones share them.
#[derive(Clone)]
pub struct World(Arc<Kind>);

enum Kind {
    Real { rng: SystemRandom, made: Duration },
    Fixed(Mutex<Fixed>),
}

struct Fixed {
    now: Timestamp,
    gone_by: Duration,
    seed: u64,
    drawn: u64,
}

impl World {
    /// The system's clock and the operating system's random generator.
    pub fn real() -> World {
        World(Arc::new(Kind::Real { rng: SystemRandom::new(), made: running() }))
    }

    /// A World that a test owns: time moves by [`World::advance`], [`World::set`] and [`World::jump`] alone, bytes follow from
    /// `seed`.
    pub fn fixed(now: Timestamp, seed: u64) -> World {
        World(Arc::new(Kind::Fixed(Mutex::new(Fixed { now, gone_by: Duration::ZERO, seed, drawn: 0 }))))
    }

    /// The current second.
    pub fn now(&self) -> Timestamp {
        match &*self.0 {
            Kind::Real { .. } => system_now(),
            Kind::Fixed(fixed) => lock(fixed).now,
        }
    }

    /// How long this World has been there, by the clock that nobody sets. The sleep of a machine counts.
    pub fn gone_by(&self) -> Duration {
        match &*self.0 {
            Kind::Real { made, .. } => running().saturating_sub(*made),
            Kind::Fixed(fixed) => lock(fixed).gone_by,
        }
    }

    /// How long to wait where so much time is to go by. In a fixed World not at all: its time goes by no sooner for waiting.
    pub fn wait(&self, time: Duration) -> Duration {
        match &*self.0 {
            Kind::Real { .. } => time,
            Kind::Fixed(_) => Duration::ZERO,
        }
    }

    /// 256ths of a second since the epoch; 0 before it. For numbers that shall come in the order of time, not for validity.
    pub fn ticks(&self) -> u64 {
        match &*self.0 {
            Kind::Real { .. } => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                since.as_secs() * 256 + u64::from(since.subsec_millis()) * 256 / 1000
            }
            Kind::Fixed(fixed) => u64::try_from(lock(fixed).now.unix()).unwrap_or(0) * 256,
        }
    }

    /// Fills `out` with random bytes.
    ///
    /// # Panics
    /// If the operating system has no randomness to give. An issuer without it must stop: a guessable serial or secret is
    /// worse than no answer.
    pub fn fill(&self, out: &mut [u8]) {
        match &*self.0 {
            Kind::Real { rng, .. } => rng.fill(out).expect("the operating system gives random bytes"),
            Kind::Fixed(fixed) => lock(fixed).fill(out),
        }
    }

    /// Lets time go by in a fixed World. Backwards only the clock on the wall can go.
    ///
    /// # Panics
    /// On a real World: its time is nobody's to move.
    pub fn advance(&self, secs: i64) {
        self.change(|fixed| fixed.go(secs));
    }

    /// Lets time go by in a fixed World until this moment.
    ///
    /// # Panics
    /// On a real World: its time is nobody's to set.
    pub fn set(&self, now: Timestamp) {
        self.change(|fixed| fixed.go(now.since(fixed.now)));
    }

    /// Somebody sets the clock on the wall of a fixed World forward or back; no time goes by.
    ///
    /// # Panics
    /// On a real World: its time is nobody's to set.
    pub fn jump(&self, secs: i64) {
        self.change(|fixed| fixed.now = fixed.now.plus_secs(secs));
    }

    fn change(&self, act: impl FnOnce(&mut Fixed)) {
        match &*self.0 {
            Kind::Real { .. } => panic!("only a fixed World has a time to set"),
            Kind::Fixed(fixed) => act(&mut lock(fixed)),
        }
    }
}

impl Fixed {
    fn go(&mut self, secs: i64) {
        self.now = self.now.plus_secs(secs);
        self.gone_by += Duration::from_secs(u64::try_from(secs).unwrap_or(0));
    }

    /// SHA-256 in counter mode: the n-th block is the digest of seed and n.
    fn fill(&mut self, out: &mut [u8]) {
        for block in out.chunks_mut(digest::SHA256_OUTPUT_LEN) {
            let mut context = digest::Context::new(&digest::SHA256);
            context.update(&self.seed.to_be_bytes());
            context.update(&self.drawn.to_be_bytes());
            self.drawn += 1;
            for (to, from) in block.iter_mut().zip(context.finish().as_ref()) {
                *to = *from;
            }
        }
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Kind::Real { .. } => f.write_str("World(real)"),
            Kind::Fixed(fixed) => write!(f, "World(fixed at {})", lock(fixed).now),
        }
    }
}

fn system_now() -> Timestamp {
    let secs = match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_secs()).unwrap_or(i64::MAX),
        // A clock before 1970: rounded away from the epoch, so that the second it lies in is named.
        Err(before) => -i64::try_from(before.duration().as_secs()).unwrap_or(i64::MAX) - 1,
    };
    Timestamp::from_unix(secs)
}

fn running() -> Duration {
    let now = clock_gettime(RUNNING);
    Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// A test thread that panicked while it held the lock left a time and a counter that are both still whole.
fn lock(fixed: &Mutex<Fixed>) -> MutexGuard<'_, Fixed> {
    fixed.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fixed_world_moves_only_when_told_and_its_clones_with_it() {
        let world = World::fixed(Timestamp::from_unix(1_000), 7);
        let clone = world.clone();
        assert_eq!(world.now(), world.now());
        world.advance(60);
        assert_eq!(clone.now(), Timestamp::from_unix(1_060));
        clone.advance(-3_600);
        assert_eq!(world.now(), Timestamp::from_unix(-2_540));
        world.set(Timestamp::from_unix(5));
        assert_eq!(clone.now(), Timestamp::from_unix(5));
    }

    #[test]
    fn the_clock_that_nobody_sets_only_runs() {
        let world = World::fixed(Timestamp::from_unix(1_000), 7);
        world.advance(60);
        world.jump(7_200);
        world.advance(-100);
        world.jump(-7_200);
        assert_eq!((world.now(), world.gone_by()), (Timestamp::from_unix(960), Duration::from_secs(60)));
        world.set(Timestamp::from_unix(1_000));
        assert_eq!(world.gone_by(), Duration::from_secs(100));
    }

    #[test]
    fn nobody_waits_for_a_clock_that_stands_still() {
        let second = Duration::from_secs(1);
        assert_eq!(World::fixed(Timestamp::from_unix(1_000), 7).wait(second), Duration::ZERO);
        assert_eq!(World::real().wait(second), second);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_clock_that_nobody_sets_runs_on_while_a_machine_sleeps() {
        // What the kernel calls its uptime has the sleep in it, and is cut to hundredths.
        let before = running();
        let uptime = std::fs::read_to_string("/proc/uptime").unwrap();
        let uptime: f64 = uptime.split(' ').next().unwrap().parse().unwrap();
        assert!(before.as_secs_f64() - 0.02 <= uptime && uptime <= running().as_secs_f64());
        // On a machine that never slept both clocks show the same.
        assert_eq!(RUNNING, ClockId::Boottime);
        assert!(World::real().gone_by() < before);
    }

    #[test]
    fn a_seed_repeats_its_bytes_and_no_draw_repeats_another() {
        let draw = |seed| {
            let world = World::fixed(Timestamp::from_unix(0), seed);
            let (mut a, mut b) = ([0u8; 40], [0u8; 40]);
            world.fill(&mut a);
            world.fill(&mut b);
            (a, b)
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        assert_ne!(draw(1).0, draw(1).1);
    }

    #[test]
    fn the_real_world_is_after_this_code_was_written_and_is_random() {
        let world = World::real();
        assert!(world.now() > Timestamp::parse_rfc3339("2025-01-01T00:00:00Z").unwrap());
        let (mut a, mut b) = ([0u8; 32], [0u8; 32]);
        world.fill(&mut a);
        world.fill(&mut b);
        assert_ne!(a, b);
    }
}
