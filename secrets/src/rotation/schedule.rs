//! When a rotation is due.

use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use super::window::Window;

/// When a rotation begins by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// How old a credential grows, in seconds; without it, rotations are on demand alone.
    #[serde(default)]
    pub period_secs: Option<u64>,
    /// By how many seconds at most it is begun earlier, so that those that were made together are not all exchanged together.
    #[serde(default)]
    pub jitter_secs: u64,
    /// When it may be begun, and when an old credential may be taken away; none is always. A credential may grow older than its period
    /// by the time until the next one.
    #[serde(default)]
    pub windows: Vec<Window>,
}

impl Schedule {
    /// When a credential that came into use at `since` is due. `name` says whose jitter it is; the same name and time are always due at
    /// the same moment, on whichever node.
    pub fn due(&self, name: &str, since: u64) -> Option<u64> {
        let period = self.period_secs?;
        let most = self.jitter_secs.min(period / 2);
        let hash = digest(&SHA256, format!("chancery rotation jitter\n{since}\n{name}").as_bytes());
        let luck = hash.as_ref().iter().take(8).fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
        let earlier = luck.checked_rem(most.saturating_add(1)).unwrap_or(0);
        Some(since.saturating_add(period - earlier))
    }

    /// When a window is open next; `now` where one is.
    pub fn opens(&self, now: u64) -> u64 {
        self.windows.iter().map(|window| window.opens(now)).min().unwrap_or(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_made_together_is_due_apart_and_never_late() {
        let schedule = Schedule { period_secs: Some(86_400), jitter_secs: 3_600, windows: vec![] };
        let due: Vec<u64> = (0..64).filter_map(|n| schedule.due(&format!("prod/{n}"), 1_000)).collect();
        assert!(due.iter().all(|due| (1_000 + 86_400 - 3_600..=1_000 + 86_400).contains(due)));
        let mut apart = due.clone();
        apart.sort_unstable();
        apart.dedup();
        assert!(apart.len() > 48, "{} moments for 64 secrets", apart.len());
        assert_eq!(schedule.due("prod/1", 1_000), due.get(1).copied());
        assert_eq!(Schedule::default().due("prod/1", 1_000), None);
        // A jitter as long as the period would exchange what was exchanged just now.
        let hasty = Schedule { period_secs: Some(10), jitter_secs: u64::MAX, windows: vec![] };
        assert!((0..64).all(|n| hasty.due(&n.to_string(), 0).is_some_and(|due| (5..=10).contains(&due))));
    }
}
