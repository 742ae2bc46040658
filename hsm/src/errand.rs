//! What callers have session threads do, but for signing: waits for its turn, waits for a thread, waits for the answer.

use std::time::Duration;

use crossbeam_channel::TrySendError;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::desk::Desk;
use crate::error::HsmError;
use crate::fault::Fault;
use crate::health::RETRY_AFTER_BUSY_SECS;
use crate::module::Inside;
use crate::pool::Pool;
use crate::shared::Shared;
use crate::turn::Turn;
use crate::worker::{Job, Seat, attend};

/// When to ask again for a key while as many are being made as may wait.
pub(crate) const RETRY_AFTER_MAKING_SECS: u32 = 10;

impl Pool {
    /// Has a session thread do an `act` that makes objects: one at a time, and a bounded number that wait.
    pub(crate) async fn make<T: Send + 'static>(
        &self,
        again: Again,
        deadline: Duration,
        mut act: impl FnMut(&Inside<'_>, &Turn, &mut Desk) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, HsmError> {
        self.ready()?;
        let shared = &self.inner.shared;
        let busy = || HsmError::Unavailable {
            retry_after_secs: RETRY_AFTER_MAKING_SECS,
            why: "other keys are being made; nothing was done for this one".into(),
        };
        let place = shared.makers.clone().try_acquire_owned().map_err(|_| busy())?;
        let turn = timeout(deadline, shared.module.turns().make()).await.map_err(|_| busy())?;
        let act = move |inside: &Inside<'_>, desk: &mut Desk| {
            let _held = &place;
            act(inside, &turn, desk)
        };
        self.ask(again, deadline, act).await
    }

    /// Has a session thread do an `act` that searches the token.
    pub(crate) async fn look<T: Send + 'static>(
        &self,
        mut act: impl FnMut(&Inside<'_>, &Turn, &mut Desk) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, HsmError> {
        self.ready()?;
        let shared = self.inner.shared.clone();
        let turn = timeout(self.deadline(), shared.module.turns().search())
            .await
            .map_err(|_| busy("the token is making a key"))?;
        let act = move |inside: &Inside<'_>, desk: &mut Desk| {
            act(inside, &turn, desk).map_err(|fault| shared.absent_keys(&turn, desk, fault))
        };
        self.ask(Again::Once, self.deadline(), act).await
    }

    /// Has a session thread do `act`, and waits for the answer.
    pub(crate) async fn ask<T: Send + 'static>(
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
        self.inner.jobs.try_send(Job::Task(Box::new(task))).map_err(|e| match e {
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
        let standing = &self.inner.shared.standing;
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
