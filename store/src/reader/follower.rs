//! A look at the register for whoever asks beyond the log's end as this node knows it: another node may have signed that a moment ago.
//!
//! Readers of the log are strangers, so however many ask, one look is under way at a time, and all who came before it began share it.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;

use crate::nouns::error::StoreError;

/// No node writes more leaves before the others look: whoever asks for more than this beyond the end asks for what is not there.
const AHEAD_LEAVES: u64 = 65_536;
/// A reader of a log whose database is away is told so.
const LOOK_MAX: Duration = Duration::from_secs(2);
const RETRY_AFTER_SECS: u32 = 1;

#[derive(Debug, Default)]
pub(crate) struct Follower {
    begun: AtomicU64,
    /// The number of the last look that came back. Whoever has the lock looks.
    through: Mutex<u64>,
}

impl Follower {
    /// Looks, where the log could have so many leaves by now. Whether somebody looked.
    pub async fn look<F>(&self, asked: u64, known: u64, follow: F) -> Result<bool, StoreError>
    where
        F: Future<Output = Result<(), StoreError>>,
    {
        if asked > known.saturating_add(AHEAD_LEAVES) {
            return Ok(false);
        }
        let looked = tokio::time::timeout(LOOK_MAX, self.share(follow)).await;
        looked.map_err(|_| StoreError::Busy { retry_after_secs: RETRY_AFTER_SECS })?.map(|()| true)
    }

    async fn share<F: Future<Output = Result<(), StoreError>>>(&self, follow: F) -> Result<(), StoreError> {
        let before = self.begun.load(Ordering::SeqCst);
        let mut through = self.through.lock().await;
        if *through > before {
            // It began after we came.
            return Ok(());
        }
        let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        follow.await?;
        *through = number;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::Semaphore;
    use tokio::task::JoinSet;

    use super::*;

    #[tokio::test]
    async fn many_readers_share_a_look_that_began_after_they_came() {
        let (follower, looks) = (Arc::new(Follower::default()), Arc::new(AtomicU64::new(0)));
        let database = Arc::new(Semaphore::new(0));
        let mut readers = JoinSet::new();
        for _ in 0..10 {
            let (follower, looks, database) = (Arc::clone(&follower), Arc::clone(&looks), Arc::clone(&database));
            readers.spawn(async move {
                let follow = async {
                    looks.fetch_add(1, Ordering::SeqCst);
                    let _answer = database.acquire().await.unwrap();
                    Ok(())
                };
                follower.look(5, 4, follow).await.unwrap()
            });
            // It comes while the first look is under way.
            tokio::task::yield_now().await;
        }
        database.add_permits(1);
        assert!(readers.join_all().await.into_iter().all(|looked| looked));
        assert_eq!(looks.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_look_that_failed_answers_nobody_else_and_what_lies_far_beyond_is_not_looked_for() {
        let follower = Follower::default();
        let away = async { Err(StoreError::Closed) };
        let there = async { Ok(()) };
        let (one, other) = tokio::join!(follower.look(5, 4, away), follower.look(5, 4, there));
        assert!(matches!((one, other), (Err(StoreError::Closed), Ok(true))));
        let never = async { panic!("nobody looks") };
        assert!(!follower.look(4 + AHEAD_LEAVES + 1, 4, never).await.unwrap());
    }
}
