//! The task that renews.
//!
//! Each turn: 1. read what the register has new; 2. take a bounded batch of what is due; 3. for each, look once more whether it
//! is still wanted (not revoked, not succeeded), then ask the authority for a successor, as `system:renewal`. A crash at any
//! point loses nothing: the diary is made again from the register, and what was renewed has a successor there. What fails is
//! tried again with growing pauses, sooner for what expires sooner, until a week past the expiry; what policy or the profile
//! refuses is not, since neither changes under a running program. An unknown outcome is an intent that counts as issued and
//! raises its own alarm; the next try has a new serial (invariants 2, 5, 6).

use std::future::Future;
use std::time::Duration;

use ca::{Authority, CaError};
use policy::Timestamp;
use store::{State, StoreError};
use tokio::task::JoinSet;

use crate::Summary;
use crate::desk::Desk;
use crate::diary::{Diary, LATE_SECS_MAX, Task};
use crate::watch::{Overdue, RenewalWatch};

/// Renews in time what asked for it.
pub struct Renewer(Worker<Authority>);

impl Renewer {
    /// A renewer for this authority's register.
    pub fn new(authority: Authority) -> Renewer {
        Renewer(Worker::at(authority))
    }

    /// Renews until `shutdown`, then finishes the batch under way.
    pub async fn run_until(self, shutdown: impl Future<Output = ()>) {
        self.0.work(shutdown).await;
    }

    /// One turn by hand: a bounded batch of what is due at the authority's time. Says whether more is due.
    pub async fn turn(&mut self) -> Result<bool, StoreError> {
        self.0.turn().await
    }

    /// Where others see what is overdue.
    pub fn watch(&self) -> RenewalWatch {
        self.0.watch.clone()
    }
}

struct Worker<D> {
    desk: D,
    diary: Diary,
    /// The highest operation that was read.
    read_to: Option<u64>,
    /// The size of the log when it was.
    read_at_size: Option<u64>,
    /// Not before this: the token or the register said so.
    held_until: Option<Timestamp>,
    watch: RenewalWatch,
}

/// What became of one try.
enum Outcome {
    /// It has a successor now.
    Renewed(Summary),
    /// It needs none.
    Settled(&'static str),
    /// Another time.
    Later { why: String, hold_secs: Option<u32> },
    /// No time would be better.
    Never { why: String },
}

impl<D: Desk> Worker<D> {
    fn at(desk: D) -> Worker<D> {
        let watch = RenewalWatch::default();
        Worker { desk, diary: Diary::default(), read_to: None, read_at_size: None, held_until: None, watch }
    }

    async fn work(mut self, shutdown: impl Future<Output = ()>) {
        tokio::pin!(shutdown);
        loop {
            let pause = match self.turn().await {
                Ok(true) => Duration::ZERO,
                Ok(false) => TURN_EVERY,
                Err(error) => {
                    tracing::warn!(cause = %error, "the register could not be read for renewals; will be tried again");
                    TURN_EVERY
                }
            };
            tokio::select! {
                biased;
                () = &mut shutdown => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// One turn; says whether more is due now.
    async fn turn(&mut self) -> Result<bool, StoreError> {
        self.read_news().await?;
        let now = self.desk.now();
        if self.held_until.is_some_and(|until| now < until) {
            return Ok(false);
        }
        self.held_until = None;
        let batch = self.diary.take_due(now, BATCH);
        for (task, outcome) in self.try_all(batch).await {
            self.note(task, outcome);
        }
        let overdue = self.diary.overdue(self.desk.now());
        self.watch.set(overdue.into_iter().map(Overdue::from).collect());
        Ok(self.held_until.is_none() && self.diary.next_due().is_some_and(|due| due <= now))
    }

    /// Enters what the register has beyond the last reading. Only a reading that reached its end counts: one that fails half way
    /// is done again. Intents are entered too: by the time they are due, they are concluded or not.
    async fn read_news(&mut self) -> Result<(), StoreError> {
        let size = self.desk.log_size().await?;
        if self.read_at_size == Some(size) {
            return Ok(());
        }
        let expiry = self.desk.now().plus_secs(-LATE_SECS_MAX);
        let (mut cursor, mut highest) = (None, self.read_to);
        loop {
            let page = self.desk.newest(expiry, cursor).await?;
            let is_new = |summary: &&Summary| self.read_to.is_none_or(|read_to| summary.operation > read_to);
            let reached_known = page.items.iter().any(|summary| !is_new(&summary));
            for summary in page.items.iter().filter(is_new) {
                highest = highest.max(Some(summary.operation));
                self.diary.enter(summary);
            }
            cursor = page.next;
            if reached_known || cursor.is_none() {
                break;
            }
        }
        (self.read_to, self.read_at_size) = (highest, Some(size));
        Ok(())
    }

    /// All of a batch at once: the register commits them in one group. Each runs in a task of its own, so that a shutdown cuts
    /// none in half.
    async fn try_all(&self, batch: Vec<Task>) -> Vec<(Task, Outcome)> {
        let mut tries = JoinSet::new();
        for task in batch {
            let desk = self.desk.clone();
            tries.spawn(async move {
                let outcome = attempt(&desk, &task).await;
                (task, outcome)
            });
        }
        let mut done = Vec::new();
        while let Some(joined) = tries.join_next().await {
            match joined {
                Ok(pair) => done.push(pair),
                // Its task is out of the diary until the next start; the panic itself is in the log.
                Err(error) => tracing::error!(cause = %error, "a renewal broke off"),
            }
        }
        done
    }

    fn note(&mut self, mut task: Task, outcome: Outcome) {
        let now = self.desk.now();
        match outcome {
            Outcome::Renewed(successor) => {
                tracing::info!(
                    serial = task.serial_hex,
                    successor = successor.serial_hex(),
                    subject = task.subject,
                    "renewed"
                );
                self.diary.enter(&successor);
            }
            Outcome::Settled(why) => tracing::debug!(serial = task.serial_hex, why, "not renewed"),
            Outcome::Later { why, hold_secs } => {
                if let Some(secs) = hold_secs {
                    self.held_until = self.held_until.max(Some(now.plus_secs(i64::from(secs))));
                }
                let pause = pause_secs(task.failures, task.not_after.since(now));
                tracing::warn!(
                    serial = task.serial_hex,
                    subject = task.subject,
                    cause = why,
                    pause,
                    "not renewed; will be tried again"
                );
                task.failures = task.failures.saturating_add(1);
                task.why = why;
                self.diary.put(now.plus_secs(pause), task);
            }
            Outcome::Never { why } => {
                tracing::error!(serial = task.serial_hex, subject = task.subject, cause = why, "will not be renewed");
                task.why = why;
                self.diary.give_up(task);
            }
        }
    }
}

async fn attempt<D: Desk>(desk: &D, task: &Task) -> Outcome {
    match still_wanted(desk, task).await {
        Ok(None) => {}
        Ok(Some(outcome)) => return outcome,
        Err(error) => return Outcome::Later { why: error.to_string(), hold_secs: None },
    }
    if task.is_too_late(desk.now()) {
        let tries = if task.failures > 0 { format!("; the last try: {}", task.why) } else { String::new() };
        return Outcome::Never { why: format!("it expired more than a week ago{tries}") };
    }
    match desk.renew(&task.serial_hex).await {
        Ok(successor) => Outcome::Renewed(successor),
        Err(error) => after(error),
    }
}

/// The diary may be old: another node, the owner or an administrator may have been faster. `None` is yes.
async fn still_wanted<D: Desk>(desk: &D, task: &Task) -> Result<Option<Outcome>, StoreError> {
    let Some(current) = desk.find(&task.serial_hex).await? else {
        return Ok(Some(Outcome::Never { why: "the register does not have it".to_owned() }));
    };
    match current.state {
        State::Issued => {}
        State::Intended if desk.now() > task.not_after => return Ok(Some(Outcome::Settled("never concluded"))),
        State::Intended => {
            return Ok(Some(Outcome::Later { why: "its own issuance has no conclusion".to_owned(), hold_secs: None }));
        }
        State::Failed => return Ok(Some(Outcome::Settled("never signed"))),
        State::Revoked => return Ok(Some(Outcome::Settled("revoked"))),
    }
    let succeeded = desk.candidates(&current).await?.iter().any(|other| other.succeeds(&current));
    Ok(succeeded.then_some(Outcome::Settled("has a successor")))
}

fn after(error: CaError) -> Outcome {
    let why = error.to_string();
    match error {
        CaError::Unavailable { retry_after_secs, .. } => Outcome::Later { why, hold_secs: Some(retry_after_secs) },
        CaError::Unknown { .. } | CaError::Conflict(_) | CaError::Internal(_) => {
            Outcome::Later { why, hold_secs: None }
        }
        CaError::Refused(_) | CaError::BadRequest { .. } | CaError::NotFound(_) | CaError::Lint(_) => {
            Outcome::Never { why }
        }
    }
}

/// Doubles with each failure, but never sleeps through more than a quarter of the time that is left; past the expiry there
/// is none left to sleep through.
fn pause_secs(failures: u32, secs_left: i64) -> i64 {
    let growing = PAUSE_SECS_FIRST.saturating_mul(1 << failures.min(20));
    let longest = match secs_left {
        ..0 => PAUSE_SECS_EXPIRED,
        left => (left / 4).clamp(PAUSE_SECS_MIN, PAUSE_SECS_MAX),
    };
    growing.min(longest)
}

/// A certificate of two minutes has 40 s between due and expired: eight turns.
const TURN_EVERY: Duration = Duration::from_secs(5);
/// Enough for one group commit to pay, few enough to leave the token's queue to the callers.
const BATCH: usize = 16;
const PAUSE_SECS_FIRST: i64 = 30;
const PAUSE_SECS_MIN: i64 = 5;
const PAUSE_SECS_MAX: i64 = 3_600;
/// The service is down, so soon; but each try that reaches the token is two leaves in the log.
const PAUSE_SECS_EXPIRED: i64 = 300;

#[cfg(test)]
#[path = "renewer_tests.rs"]
mod tests;
