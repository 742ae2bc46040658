//! The wait between two looks, whatever is looked at.

use std::time::Duration;

use delivery::cache::Moment;
use tokio::sync::watch;

use super::wake::Sleeper;

/// Until the pause is over, or somebody wakes all; false if the agent is to end.
pub(super) async fn nap(pause: Duration, mut stop: watch::Receiver<bool>, mut sleeper: Sleeper) -> bool {
    let began = Moment::now().ok();
    loop {
        // A host that slept is not late by more than a nap: this clock goes on meanwhile.
        let gone = began.as_ref().and_then(|began| Moment::now().ok()?.ms_since(began));
        let left = pause.saturating_sub(Duration::from_millis(gone.unwrap_or(0)));
        if left.is_zero() {
            return true;
        }
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return false,
            () = sleeper.woken() => return true,
            () = tokio::time::sleep(left.min(NAP)) => {}
        }
    }
}

/// Longest sleep without asking the clock.
const NAP: Duration = Duration::from_secs(30);
