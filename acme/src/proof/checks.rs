//! Places for checks: so many run, so many wait, and no account has more than its share of them.
//!
//! Account keys are free and a check can be made slow by whoever is checked. Without the share, one account could keep everybody
//! else from being validated.

use std::sync::Arc;

use policy::{Share, Shares};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::limits::{CHECKS_PER_ACCOUNT_MAX, VALIDATIONS_MAX, VALIDATIONS_WAITING_MAX};
use crate::wire::Problem;

/// When a client that found no place should come again: half a check later.
const RETRY_SECS: u32 = 5;

/// The checks under way.
pub struct Checks {
    turns: Arc<Semaphore>,
    queue: Arc<Semaphore>,
    accounts: Arc<Shares<String>>,
}

/// The right to wait for a turn and to use it; given back when dropped.
pub struct Place {
    turns: Arc<Semaphore>,
    _share: Share<String>,
    _queued: OwnedSemaphorePermit,
}

impl Default for Checks {
    fn default() -> Self {
        Self {
            turns: Arc::new(Semaphore::new(VALIDATIONS_MAX)),
            queue: Arc::new(Semaphore::new(VALIDATIONS_WAITING_MAX)),
            accounts: Shares::new(CHECKS_PER_ACCOUNT_MAX),
        }
    }
}

impl Checks {
    /// A place for one check of this account, or the refusal of one.
    pub fn place(&self, account: &str) -> Result<Place, Problem> {
        let full = || Problem::rate_limited("too many challenges are being checked: come again", RETRY_SECS);
        let queued = Arc::clone(&self.queue).try_acquire_owned().map_err(|_| full())?;
        let share = self.accounts.take(account.to_owned()).ok_or_else(|| {
            let said = format!(
                "{CHECKS_PER_ACCOUNT_MAX} challenges of this account are being checked: begin others when some are done"
            );
            Problem::rate_limited(said, RETRY_SECS)
        })?;
        Ok(Place { turns: Arc::clone(&self.turns), _share: share, _queued: queued })
    }
}

impl Place {
    /// Waits for a turn; nothing when the server ends.
    pub async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.turns).acquire_owned().await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ErrorKind;

    #[track_caller]
    fn refused(place: Result<Place, Problem>) {
        let problem = place.err().expect("refused");
        assert_eq!((problem.kind, problem.status), (ErrorKind::RateLimited, 429));
        assert!(problem.retry_after_secs.is_some());
    }

    #[test]
    fn an_account_has_its_share_of_places_and_leaves_the_others_theirs() {
        let checks = Checks::default();
        let mut places: Vec<Place> = (0..CHECKS_PER_ACCOUNT_MAX).map(|_| checks.place("a").unwrap()).collect();
        refused(checks.place("a"));
        assert!(checks.place("b").is_ok());
        places.pop();
        places.push(checks.place("a").unwrap());
        refused(checks.place("a"));
    }

    #[test]
    fn all_accounts_together_have_so_many_places() {
        let checks = Checks::default();
        let places: Vec<Place> = (0..VALIDATIONS_WAITING_MAX).map(|n| checks.place(&n.to_string()).unwrap()).collect();
        refused(checks.place("a"));
        drop(places);
        assert!(checks.place("a").is_ok());
    }
}
