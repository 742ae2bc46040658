//! What callers have session threads do, but for signing: waits for its turn, waits for a thread, waits for the answer.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::TrySendError;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::crew::Crew;
use super::worker::{Job, Seat, attend};
use crate::error::HsmError;
use crate::heal::{RETRY_AFTER_BUSY_SECS, Shared};
use crate::module::{Fault, Inside, Turn};
use crate::session::Desk;

/// When to ask again for a key while as many are being made as may wait.
pub(crate) const RETRY_AFTER_MAKING_SECS: u32 = 10;

impl Crew {
    /// Has a session thread do an `act` that makes objects: one at a time, and a bounded number that wait.
    pub(super) async fn make<T: Send + 'static>(
        &self,
        again: Again,
        deadline: Duration,
        mut act: impl FnMut(&Inside<'_>, &Turn, &mut Desk) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, HsmError> {
        self.ready()?;
        let shared = &self.shared;
        let busy = || HsmError::Unavailable {
            retry_after_secs: RETRY_AFTER_MAKING_SECS,
            why: "other keys are being made; nothing was done for this one".into(),
        };
        let place = shared.makers.clone().try_acquire_owned().map_err(|_| busy())?;
        let turn = timeout(deadline, shared.turns.make()).await.map_err(|_| busy())?;
        let act = move |inside: &Inside<'_>, desk: &mut Desk| {
            let _held = &place;
            act(inside, &turn, desk)
        };
        self.ask(again, deadline, act).await
    }

    /// Has a session thread do an `act` that searches the token.
    pub(super) async fn look<T: Send + 'static>(
        &self,
        mut act: impl FnMut(&Inside<'_>, &Turn, &mut Desk) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, HsmError> {
        self.ready()?;
        let shared = self.shared.clone();
        let turn =
            timeout(self.deadline(), shared.turns.search()).await.map_err(|_| busy("the token is making a key"))?;
        let act = move |inside: &Inside<'_>, desk: &mut Desk| {
            act(inside, &turn, desk).map_err(|fault| shared.absent_keys(&turn, desk, fault))
        };
        self.ask(Again::Once, self.deadline(), act).await
    }

    /// Has a session thread do an `act` that needs a turn only where its desk has not looked for the key yet, and then answers
    /// nothing.
    pub(super) async fn once_seen<T: Send + 'static>(
        &self,
        act: impl Fn(Option<&Turn>, &mut Desk) -> Result<Option<T>, Fault> + Send + Sync + 'static,
    ) -> Result<T, HsmError> {
        let act = Arc::new(act);
        let first = act.clone();
        if let Some(done) = self.ask(Again::Once, self.deadline(), move |_, desk| first(None, desk)).await? {
            return Ok(done);
        }
        let done = self.look(move |_, turn, desk| act(Some(turn), desk)).await?;
        done.ok_or_else(|| HsmError::Failed("the key was not looked for".into()))
    }

    /// Has a session thread do `act`, and waits for the answer.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        again: Again,
        deadline: Duration,
        act: impl FnMut(&Inside<'_>, &mut Desk) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, HsmError> {
        self.ready()?;
        let (reply, answer) = oneshot::channel();
        let task = move |shared: &Shared, seat: &mut Seat| {
            if !reply.is_closed() {
                // An error means that the caller's deadline has passed: it was told that the outcome is not known.
                let _ = reply.send(attend(shared, seat, matches!(again, Again::Once), act));
            }
        };
        self.jobs.try_send(Job::Task(Box::new(task))).map_err(|e| match e {
            TrySendError::Full(_) => busy("the queue for the token is full"),
            TrySendError::Disconnected(_) => busy("the pool was shut down"),
        })?;
        match timeout(deadline, answer).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(busy("the pool was shut down")),
            Err(_) => Err(busy("the token did not answer in time; what was asked may have been done")),
        }
    }

    /// An absent token is answered at once.
    fn ready(&self) -> Result<(), HsmError> {
        let standing = &self.shared.standing;
        if standing.is_ready() { Ok(()) } else { Err(standing.unavailable()) }
    }
}

fn busy(why: &str) -> HsmError {
    HsmError::Unavailable { retry_after_secs: RETRY_AFTER_BUSY_SECS, why: why.into() }
}

/// Whether an act may be done again with a new session after the first was lost.
#[derive(Clone, Copy)]
pub(crate) enum Again {
    /// It leaves nothing behind.
    Once,
    /// It may have been done although the answer was lost.
    Never,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::custody::{KeyKind, SealingKey};
    use crate::heal::MAKERS_MAX;
    use crate::testing::alone;

    #[tokio::test(flavor = "multi_thread")]
    async fn so_many_wait_for_a_key_and_the_next_one_is_told_to_come_again() {
        let (pool, _mint, _folder) = alone("makers");
        let turn = pool.first().crew.shared.turns.make().await;
        let all: Vec<_> = (0..MAKERS_MAX + 8)
            .map(|number| {
                let pool = pool.clone();
                tokio::spawn(async move { pool.generate(&format!("k{number}"), KeyKind::P256).await })
            })
            .collect();
        // All have come: those who may wait hold every place, and the others were answered.
        let answered = async {
            while all.iter().filter(|one| one.is_finished()).count() < 8 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(Duration::from_secs(60), answered).await.expect("those beyond the bound are answered");
        assert_eq!(pool.first().crew.shared.makers.available_permits(), 0);
        drop(turn);
        let mut sent_away = 0;
        for one in all {
            match one.await.unwrap() {
                Ok(_) => {}
                Err(HsmError::Unavailable { retry_after_secs: RETRY_AFTER_MAKING_SECS, .. }) => sent_away += 1,
                Err(other) => panic!("{other}"),
            }
        }
        assert_eq!((sent_away, pool.keys().await.unwrap().len()), (8, MAKERS_MAX));
    }

    #[tokio::test]
    async fn while_a_key_is_being_made_what_was_seen_is_sealed_with_and_searches_wait_for_their_turn() {
        let (pool, _mint, _folder) = alone("sealing-meanwhile");
        pool.generate_sealing(None, "seal").await.unwrap();
        let sealed = pool.seal(&SealingKey::named("seal"), b"secret", b"").await.unwrap();
        let turn = pool.first().crew.shared.turns.make().await;
        assert_eq!(pool.unseal(&SealingKey::named("seal"), &sealed, b"").await.unwrap(), b"secret");
        let mut search = std::pin::pin!(pool.has_sealing(None, "seal"));
        assert!(timeout(Duration::from_millis(100), &mut search).await.is_err(), "it did not wait for its turn");
        drop(turn);
        assert!(search.await.unwrap());
    }
}
