//! The task that renews.
//!
//! Each turn: 1. take what is to be tried again, then the next of the register's list of what is due, then of what is due before its
//! time because its CA ended or a drill has it come; 2. hold the lease, so that
//! of several nodes one renews; 3. for each, look once more whether it is still wanted (not revoked, not succeeded, as the log
//! knows it), then ask the authority for a successor, as `system:renewal`. What has ended is renewed only if this run tried before, or
//! nobody was there from when it was due to its end: a list that was put back brings no key back. A crash at any point loses nothing: what was renewed is on the list no
//! more, and what was not still is. What fails is tried again with growing pauses, sooner for what expires sooner, until a week
//! past the expiry; what policy or the profile refuses is not, since neither changes under a running program. An unknown outcome
//! is an intent that counts as issued and raises its own alarm; the next try has a new serial (invariants 2, 5, 6).
//!
//! A shutdown ends everything at once but a renewal that the authority has begun.

use std::future::Future;
use std::time::Duration;

use ca::{Authority, CaError, Part};
use policy::Timestamp;
use store::{State, StoreError};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::away::Away;
use crate::desk::{Asked, Desk, Found, MarkedAt};
use crate::diary::{Diary, LATE_SECS_MAX, Task};
use crate::lease::Lease;
use crate::summary::Summary;
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
    lease: Lease,
    away: Away,
    /// How far the list of what is due was read in this round: when the last one was due, and its operation.
    read_to: Option<(Timestamp, u64)>,
    /// How far what is due before its time was read in this round.
    marked_at: MarkedAt,
    /// What was to be replaced before its time when this round began.
    marks: Vec<Part>,
    /// A round that ended is followed by the next at this time.
    next_round: Option<Timestamp>,
    /// Not before this: the token or the register said so.
    held_until: Option<Timestamp>,
    watch: RenewalWatch,
    stop: watch::Sender<bool>,
}

/// What comes next on the list of what is due.
struct Next {
    tasks: Vec<Task>,
    /// The last that was read, in the tasks or known.
    read_to: Option<(Timestamp, u64)>,
    /// There is no more.
    is_end: bool,
    /// So many of the tasks, the first, are from the list of what is due by its life.
    listed: usize,
    /// How far the other list was read.
    marked_at: MarkedAt,
}

/// What became of one try.
enum Outcome {
    /// It has a successor now.
    Renewed(Summary),
    /// It needs none.
    Settled(&'static str),
    /// Another time.
    Later { why: String, hold_secs: Option<u32> },
    /// Not by this run: the service ends.
    Cut,
    /// No time would be better.
    Never { why: String },
}

impl<D: Desk> Worker<D> {
    fn at(desk: D) -> Worker<D> {
        Worker {
            away: Away::new(desk.away()),
            desk,
            diary: Diary::default(),
            lease: Lease::default(),
            read_to: None,
            marked_at: MarkedAt::default(),
            marks: Vec::new(),
            next_round: None,
            held_until: None,
            watch: RenewalWatch::default(),
            stop: watch::Sender::new(false),
        }
    }

    async fn work(mut self, shutdown: impl Future<Output = ()>) {
        tokio::pin!(shutdown);
        let stop = self.stop.clone();
        loop {
            let pause = {
                let turn = self.turn();
                tokio::pin!(turn);
                let turned = tokio::select! {
                    biased;
                    () = &mut shutdown => {
                        // What has begun is finished, which is bounded by the token's deadline; nothing else is.
                        let _ = stop.send(true);
                        let _ = turn.await;
                        break;
                    }
                    turned = &mut turn => turned,
                };
                match turned {
                    Ok(true) => Duration::ZERO,
                    Ok(false) => TURN_EVERY,
                    Err(error) => {
                        tracing::warn!(cause = %error, "the register could not be read for renewals; will be tried again");
                        TURN_EVERY
                    }
                }
            };
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                () = tokio::time::sleep(pause) => {}
            }
        }
        let given_back = tokio::time::timeout(GIVE_BACK_WITHIN, self.lease.give_back(&self.desk)).await;
        if !matches!(given_back, Ok(Ok(()))) {
            tracing::warn!("the renewal's lease ends by itself");
        }
    }

    /// One turn; says whether more is due now.
    async fn turn(&mut self) -> Result<bool, StoreError> {
        let now = self.desk.now();
        if self.away.here(now) {
            // What it showed before is waited for by nothing.
            (self.next_round, self.held_until) = (Some(now), None);
            self.diary.put_back(now);
        }
        if self.held_until.is_some_and(|until| now < until) {
            return Ok(false);
        }
        self.held_until = None;
        let mut stopped = self.stop.subscribe();
        let gathered = tokio::select! {
            biased;
            _ = stopped.wait_for(|stop| *stop) => return Ok(false),
            gathered = self.gather(now) => gathered?,
        };
        let Some((batch, leased_until)) = gathered else { return Ok(false) };
        let is_full = batch.len() == BATCH;
        for (task, outcome) in self.try_all(batch, leased_until).await {
            self.note(task, outcome);
        }
        let overdue = self.diary.overdue(self.desk.now());
        self.watch.set(overdue.into_iter().map(Overdue::from).collect());
        Ok(self.held_until.is_none() && (is_full || self.diary.has_due(now)))
    }

    /// A batch of what is due, and until when it may be begun; none where another node renews. Read before anything is taken,
    /// so that a reading that breaks off loses nothing.
    async fn gather(&mut self, now: Timestamp) -> Result<Option<(Vec<Task>, Timestamp)>, StoreError> {
        if !self.diary.has_due(now) {
            let there = self.next(now, 1).await?;
            if there.tasks.is_empty() {
                self.passed(now, there);
                return Ok(Some((Vec::new(), now)));
            }
        }
        let Some(leased_until) = self.lease.hold(&self.desk).await? else { return Ok(None) };
        let mut there = self.next(now, BATCH).await?;
        let mut batch = self.diary.take_due(now, BATCH);
        let room = BATCH - batch.len();
        if there.tasks.len() <= room {
            batch.append(&mut there.tasks);
            self.passed(now, there);
        } else {
            batch.extend(there.tasks.drain(..room));
            // What is due before its time is read again where some of it found no room: what is at work by then is known.
            self.read_to = match batch.last().filter(|_| (1..=there.listed).contains(&room)) {
                Some(last) => Some((last.due, last.operation)),
                None if room > 0 => there.read_to,
                None => self.read_to,
            };
        }
        Ok(Some((batch, leased_until)))
    }

    /// Everything that was read is at work, or known.
    fn passed(&mut self, now: Timestamp, there: Next) {
        (self.read_to, self.marked_at) = (there.read_to, there.marked_at);
        if there.is_end && self.marked_at.is_end && self.next_round.is_none() {
            self.diary.end_round();
            self.next_round = Some(now.plus_secs(ROUND_SECS));
        }
    }

    /// The next on the list that the diary does not know, at most so many.
    async fn next(&mut self, now: Timestamp, wanted: usize) -> Result<Next, StoreError> {
        let marks = self.desk.marks();
        // A drill, or the end of a CA, waits for no round.
        if self.next_round.is_some_and(|at| at <= now) || marks != self.marks {
            (self.next_round, self.read_to, self.marked_at) = (None, None, MarkedAt::default());
            self.marks = marks;
        }
        let (read_to, marked_at) = (self.read_to, self.marked_at.clone());
        let mut there = Next { tasks: Vec::new(), read_to, is_end: false, listed: 0, marked_at };
        let ends_after = now.plus_secs(-LATE_SECS_MAX);
        while there.tasks.len() < wanted && !there.is_end && !self.diary.is_full() {
            let page = self.desk.due(Asked { now, ends_after, after: there.read_to, limit: PAGE }).await?;
            there.is_end = page.len() < PAGE;
            for (due, summary) in &page {
                if there.tasks.len() == wanted {
                    there.is_end = false;
                    break;
                }
                there.read_to = Some((*due, summary.operation));
                if !self.diary.knows(summary.operation) {
                    there.tasks.push(Task::of(*due, summary));
                }
            }
        }
        there.listed = there.tasks.len();
        while there.tasks.len() < wanted && there.is_end && !there.marked_at.is_end && !self.diary.is_full() {
            // No more than there is room for: what was read is not read again in this round.
            let room = wanted - there.tasks.len();
            let (page, on) = self.desk.marked(there.marked_at, room).await?;
            let news = page.iter().filter(|(_, summary)| !self.diary.knows(summary.operation));
            there.tasks.extend(news.map(|(due, summary)| Task::of(*due, summary)));
            there.marked_at = on;
        }
        Ok(there)
    }

    /// All of a batch at once: the register commits them in one group. Each runs in a task of its own, so that a shutdown cuts
    /// none in half.
    async fn try_all(&self, batch: Vec<Task>, leased_until: Timestamp) -> Vec<(Task, Outcome)> {
        let mut tries = JoinSet::new();
        for task in batch {
            let (desk, away, stopped) = (self.desk.clone(), self.away, self.stop.subscribe());
            tries.spawn(async move {
                let outcome = attempt(&desk, &task, (away, leased_until), stopped).await;
                (task, outcome)
            });
        }
        let mut done = Vec::new();
        while let Some(joined) = tries.join_next().await {
            match joined {
                Ok(pair) => done.push(pair),
                // Its task comes back with the next round; the panic itself is in the log.
                Err(error) => tracing::error!(cause = %error, "a renewal broke off"),
            }
        }
        done
    }

    fn note(&mut self, mut task: Task, outcome: Outcome) {
        let now = self.desk.now();
        match outcome {
            Outcome::Renewed(successor) => {
                self.watch.count(|counts| counts.renewed += 1);
                tracing::info!(
                    serial = task.serial_hex,
                    successor = successor.serial_hex(),
                    subject = task.subject,
                    "renewed"
                );
            }
            Outcome::Settled(why) => {
                tracing::debug!(serial = task.serial_hex, why, "not renewed");
                self.diary.settle(task.operation);
            }
            Outcome::Cut => {}
            Outcome::Later { why, hold_secs } => {
                self.watch.count(|counts| counts.failed += 1);
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
                self.watch.count(|counts| counts.given_up += 1);
                tracing::error!(serial = task.serial_hex, subject = task.subject, cause = why, "will not be renewed");
                task.why = why;
                self.diary.give_up(task);
            }
        }
    }
}

async fn attempt<D: Desk>(
    desk: &D,
    task: &Task,
    (away, leased_until): (Away, Timestamp),
    mut stopped: watch::Receiver<bool>,
) -> Outcome {
    let wanted = tokio::select! {
        biased;
        _ = stopped.wait_for(|stop| *stop) => return Outcome::Cut,
        wanted = still_wanted(desk, task) => wanted,
    };
    let current = match wanted {
        Ok(Ok(current)) => current,
        Ok(Err(outcome)) => return outcome,
        Err(error) => return Outcome::Later { why: error.to_string(), hold_secs: None },
    };
    let (now, end) = (desk.now(), current.validity.not_after());
    if now > end.plus_secs(LATE_SECS_MAX) {
        let tries = if task.failures > 0 { format!("; the last try: {}", task.why) } else { String::new() };
        return Outcome::Never { why: format!("it expired more than a week ago{tries}") };
    }
    if now > end && task.failures == 0 && !away.includes(current.renew_at(), end) {
        return Outcome::Never { why: "it has ended, and was not on the list while it could be renewed".to_owned() };
    }
    if desk.now() >= leased_until || *stopped.borrow() {
        return Outcome::Cut;
    }
    match desk.renew(&current.serial_hex()).await {
        Ok(successor) => Outcome::Renewed(successor),
        Err(error) => after(error),
    }
}

/// The certificate as it stands now, if it is still wanted. The list may be old, and nobody vouches for it: another node, the owner or
/// an administrator may have been faster.
async fn still_wanted<D: Desk>(desk: &D, task: &Task) -> Result<Result<Summary, Outcome>, StoreError> {
    let Some(Found { summary: current, due, is_renewed }) = desk.find(task.operation).await? else {
        return Ok(Err(Outcome::Never { why: "the register does not have it".to_owned() }));
    };
    let settled = |why| Ok(Err(Outcome::Settled(why)));
    match current.state {
        State::Issued if !current.renew || due > desk.now() => return settled("not due"),
        State::Issued => {}
        State::Intended if desk.now() > current.validity.not_after() => return settled("never concluded"),
        State::Intended => {
            let why = "its own issuance has no conclusion".to_owned();
            return Ok(Err(Outcome::Later { why, hold_secs: None }));
        }
        State::Failed => return settled("never signed"),
        State::Revoked => return settled("revoked"),
    }
    // The log knows of each that says so; one that does not is looked for among those alike.
    if is_renewed || desk.candidates(&current).await?.iter().any(|other| other.succeeds(&current)) {
        return settled("has a successor");
    }
    Ok(Ok(current))
}

fn after(error: CaError) -> Outcome {
    let why = error.to_string();
    match error {
        CaError::Unavailable { retry_after_secs, .. } => Outcome::Later { why, hold_secs: Some(retry_after_secs) },
        // All of them wait for the same word.
        CaError::Held { retry_after_secs, .. } => {
            Outcome::Later { why, hold_secs: Some(retry_after_secs.unwrap_or(HELD_SECS)) }
        }
        CaError::Unknown { .. } | CaError::Conflict(_) | CaError::Altered(_) | CaError::Internal(_) => {
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

/// Certificates read at once: few enough to be read in some milliseconds.
const PAGE: usize = 64;
/// The list of what is due is read from its beginning again after this long: what another node concluded late may stand before
/// where this one was.
const ROUND_SECS: i64 = 60;
/// An operator's word is waited for so long at a time.
const HELD_SECS: u32 = 60;
/// What the last word to the register may take.
const GIVE_BACK_WITHIN: Duration = Duration::from_secs(2);
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
