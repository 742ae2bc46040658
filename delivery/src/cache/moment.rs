//! Now, by two clocks: the one that people set, and the one that nobody does.

use std::fs::File;
use std::io::{self, Read};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// A moment of this host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Moment {
    /// Which start of the host it is of (`/proc/sys/kernel/random/boot_id`).
    pub boot: String,
    /// Milliseconds since then, sleep included (CLOCK_BOOTTIME): nobody sets it.
    pub boot_ms: u64,
    /// Seconds since 1970, by the clock that is set.
    pub unix_secs: u64,
}

impl Moment {
    /// Now.
    ///
    /// # Errors
    /// Where `/proc` says nothing of the host's start.
    pub fn now() -> io::Result<Moment> {
        let mut boot = String::new();
        File::open(BOOT_ID)?.take(BOOT_ID_BYTES_MAX).read_to_string(&mut boot)?;
        let boottime = clock_gettime(ClockId::Boottime);
        let (secs, millis) = (boottime.tv_sec.unsigned_abs(), boottime.tv_nsec.unsigned_abs() / 1_000_000);
        let unix_secs = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let boot = boot.trim().to_owned();
        Ok(Moment { boot, boot_ms: secs.saturating_mul(1_000).saturating_add(millis), unix_secs })
    }

    /// How long ago another one was, in milliseconds, by the clock that says more; none where it was before the host's last start, or the
    /// clock that nobody sets goes back.
    ///
    /// A clock that is turned back makes nothing younger, since the other one goes on. One that is turned forth makes it older: the machine
    /// may have been asleep where its own clock did not count.
    pub fn ms_since(&self, earlier: &Moment) -> Option<u64> {
        let by_boot = self.boot_ms.checked_sub(earlier.boot_ms).filter(|_| self.boot == earlier.boot)?;
        let by_wall = self.unix_secs.saturating_sub(earlier.unix_secs).saturating_mul(1_000);
        // Whole seconds: two moments of one second may be told as two.
        Some(by_boot.max(by_wall.saturating_sub(999)))
    }
}

const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
/// 36, and a line break.
const BOOT_ID_BYTES_MAX: u64 = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_clock_makes_anything_younger() {
        let at = |boot_ms, unix_secs| Moment { boot: "one".to_owned(), boot_ms, unix_secs };
        let then = at(5_000, 1_000);
        for (now, ms) in [
            (at(5_000, 1_000), Some(0)),
            (at(65_000, 1_060), Some(60_000)),
            // Turned back by an hour, by everything.
            (at(65_000, 1_000 - 600), Some(60_000)),
            (at(65_000, 0), Some(60_000)),
            // Turned forth, or asleep.
            (at(65_000, 4_600), Some(3_599_001)),
            (at(4_999, 1_060), None),
            (Moment { boot: "two".to_owned(), ..at(65_000, 1_060) }, None),
        ] {
            assert_eq!(now.ms_since(&then), ms, "{now:?}");
        }
    }

    #[test]
    fn this_host_has_both_clocks() {
        let (one, two) = (Moment::now().unwrap(), Moment::now().unwrap());
        assert!(!one.boot.is_empty() && one.boot == two.boot && one.boot_ms <= two.boot_ms);
    }
}
