//! Asking again: a store that is busy and a line that broke end no backup.
//!
//! Stores ask for it: 500 `InternalError`, 503 `SlowDown`. What is asked again may have been done the first time; each request here may be
//! done twice, or is asked about where it was (`upload`).

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use super::refusal::Refusal;

/// So often one thing is asked.
const TRIES_MAX: u32 = 5;
/// Before the second time; before each further one it is so many times as long: 80 s in all.
const PAUSE_FIRST: Duration = Duration::from_secs(2);
const PAUSE_GROWS: u32 = 3;
/// A store that wants to be left alone for longer (`Retry-After`) is asked all the same.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// Why there is no yes.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The store says no.
    Refused(Refusal),
    /// No answer came, or it broke off; why, without the URL, which has a signature in it.
    Unheard(String),
}

/// What was asked in vain.
#[derive(Debug)]
pub(super) struct Failed {
    /// What came of it the last time.
    trouble: Trouble,
    tried: u32,
}

impl Failed {
    /// What the store said, where it said anything.
    pub fn refusal(&self) -> Option<&Refusal> {
        match &self.trouble {
            Trouble::Refused(refusal) => Some(refusal),
            Trouble::Unheard(_) => None,
        }
    }

    /// Whether nothing was said of what was asked: the store was busy, or not heard.
    pub fn is_away(&self) -> bool {
        self.refusal().is_none_or(Refusal::passes)
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.trouble {
            Trouble::Refused(refusal) => write!(f, "{refusal}")?,
            Trouble::Unheard(why) => write!(f, "{why}")?,
        }
        match self.tried {
            ..=1 => Ok(()),
            tried => write!(f, " (asked {tried} times)"),
        }
    }
}

/// The pauses between two tries.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pauses {
    first: Duration,
}

impl Pauses {
    /// As they are.
    pub const GROWING: Pauses = Pauses { first: PAUSE_FIRST };
    /// For tests over real sockets.
    #[cfg(test)]
    pub const NONE: Pauses = Pauses { first: Duration::ZERO };
}

/// Asks, each time with the time that is left of `within`, and again for as long as `passes` says that what went wrong may pass: five times
/// at most, and none that would begin after `within`.
pub(super) async fn again<T>(
    pauses: Pauses,
    within: Duration,
    mut ask: impl AsyncFnMut(Duration) -> Result<T, Trouble>,
    passes: impl Fn(&Trouble) -> bool,
) -> Result<T, Failed> {
    let end = Instant::now() + within;
    let (mut tried, mut next) = (0, pauses.first);
    loop {
        let trouble = match ask(end.saturating_duration_since(Instant::now())).await {
            Ok(found) => return Ok(found),
            Err(trouble) => trouble,
        };
        tried += 1;
        let pause = next.max(wanted(&trouble).unwrap_or_default()).min(PAUSE_MAX);
        if tried >= TRIES_MAX || !passes(&trouble) || Instant::now() + pause >= end {
            return Err(Failed { trouble, tried });
        }
        tokio::time::sleep(pause).await;
        next = next.saturating_mul(PAUSE_GROWS);
    }
}

fn wanted(trouble: &Trouble) -> Option<Duration> {
    match trouble {
        Trouble::Refused(refusal) => refusal.after(),
        Trouble::Unheard(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use reqwest::StatusCode;
    use reqwest::header::{HeaderMap, HeaderValue, RETRY_AFTER};

    use super::*;

    const WITHIN: Duration = Duration::from_secs(900);

    fn busy(after: Option<&'static str>) -> Trouble {
        let after = after.map(|after| (RETRY_AFTER, HeaderValue::from_static(after)));
        let headers: HeaderMap = after.into_iter().collect();
        Trouble::Refused(Refusal::of(StatusCode::SERVICE_UNAVAILABLE, &headers, "").unwrap())
    }

    /// When each try begins on the paused clock, and what came of it: each takes so long and fails but for the one that is named.
    async fn asked(takes: u64, works: usize, trouble: impl Fn() -> Trouble, passes: bool) -> (Vec<u64>, bool) {
        let (begun, mut at) = (Instant::now(), Vec::new());
        let ask = async |rest: Duration| {
            at.push(begun.elapsed().as_secs());
            assert!(rest <= WITHIN - begun.elapsed());
            tokio::time::sleep(Duration::from_secs(takes)).await;
            if at.len() == works { Ok(()) } else { Err(trouble()) }
        };
        let done = again(Pauses::GROWING, WITHIN, ask, |_| passes).await;
        (at, done.is_ok())
    }

    #[tokio::test(start_paused = true)]
    async fn what_passes_is_asked_again_with_growing_pauses_and_not_for_ever() {
        let cut = || Trouble::Unheard("the line broke".into());
        assert_eq!(asked(0, 3, cut, true).await, (vec![0, 2, 8], true));
        assert_eq!(asked(0, 9, cut, true).await, (vec![0, 2, 8, 26, 80], false));
        assert_eq!(asked(0, 9, cut, false).await, (vec![0], false), "what stays is told at once");
        assert_eq!(asked(890, 9, cut, true).await, (vec![0, 892], false), "none begins after the time is over");
        assert_eq!(asked(899, 9, cut, true).await, (vec![0], false));
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_says_when_is_heeded_up_to_a_bound() {
        assert_eq!(asked(0, 2, || busy(Some("10")), true).await, (vec![0, 10], true));
        assert_eq!(asked(0, 2, || busy(Some("86400")), true).await, (vec![0, 60], true));
        assert_eq!(asked(0, 2, || busy(Some("Fri, 31 Dec 1999 23:59:59 GMT")), true).await, (vec![0, 2], true));
    }

    #[test]
    fn what_was_asked_in_vain_says_how_often() {
        let failed = |tried| Failed { trouble: Trouble::Unheard("the line broke".into()), tried };
        assert_eq!(failed(1).to_string(), "the line broke");
        assert_eq!(failed(5).to_string(), "the line broke (asked 5 times)");
        assert!(failed(5).is_away());
    }
}
