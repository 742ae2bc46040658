//! The task that makes backups by itself, and knows of those that others made.
//!
//! One node at a time: whoever takes the turn in the register makes it. What fails is tried again with growing pauses, and told as an
//! alarm; a backup that breaks off has no name, and nothing has to be cleaned up.

use std::time::Duration;

use backup::{Diary, Job, Last, Plan, Pruned};
use policy::Timestamp;
use store::{ActorStamp, StoreError};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::observe::UnderWay;
use crate::problem::chain;

/// Makes them until the service ends; one that is under way then is given up.
pub(super) async fn run(app: App, plan: Option<Plan>, stop: CancellationToken) {
    app.backups().note(|state| state.every_secs = plan.as_ref().map(|plan| plan.every_secs));
    let mut keeper = Keeper {
        diary: Diary::new(app.ledger().clone()),
        app,
        plan,
        seen: None,
        failures: 0,
        until: None,
        ahead: Vec::new(),
    };
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = keeper.turn() => {}
        }
    }
}

struct Keeper {
    app: App,
    plan: Option<Plan>,
    diary: Diary,
    /// How long the log was when the register was read last.
    seen: Option<u64>,
    failures: u32,
    /// After a failure it is not tried before.
    until: Option<Timestamp>,
    /// The names of later than now that were told of.
    ahead: Vec<String>,
}

impl Keeper {
    async fn turn(&mut self) {
        if let Err(error) = self.look().await {
            self.app.metrics().task_failed(TASK);
            tracing::warn!(task = TASK, cause = %chain(&error), "will be tried again");
            return;
        }
        // Nothing begins by a clock that is not believed, which has an alarm of its own: after an operator's word no pause is waited for.
        if self.app.ledger().time_held().is_some() {
            return;
        }
        let now = self.app.world().now();
        let last = self.app.backups().last().map(|(at, _)| at);
        let Some(plan) = self.plan.clone().filter(|plan| is_due(plan.every_secs, (last, self.until), now)) else {
            return;
        };
        let node = self.app.authority().instance().get();
        match self.diary.take_turn(node, now, keeper()).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => return self.failed(now, chain(&error)),
        }
        self.app.backups().note(|state| state.under_way = Some(UnderWay::default()));
        let done = self.make(plan, now).await;
        self.app.backups().note(|state| state.under_way = None);
        match done {
            Ok(()) => {
                (self.failures, self.until, self.seen) = (0, None, None);
                self.app.backups().note(|state| state.failed = None);
            }
            Err(why) => self.failed(now, why),
        }
    }

    /// What the log says, where it has grown.
    async fn look(&mut self) -> Result<(), StoreError> {
        let size = self.app.ledger().head().size;
        if self.seen != Some(size) {
            let (last, drill) = (self.diary.last().await?, self.diary.last_drill().await?);
            self.app.backups().knows(last, drill);
            self.seen = Some(size);
        }
        Ok(())
    }

    async fn make(&mut self, plan: Plan, now: Timestamp) -> Result<(), String> {
        let (origin, watch) = (self.app.ledger().origin().to_owned(), self.app.backups().clone());
        let (recipients, kept) = (plan.recipients.texts(), self.app.backups().clone());
        // By a signed head the files in it are proved. Where the token is away they are not, and all else is worth a backup.
        if let Err(error) = self.app.authority().checkpoint().await {
            tracing::warn!(task = TASK, cause = %chain(&error), "the head that is backed up is not signed");
        }
        let work = move || {
            let companions = plan.beside.gather()?;
            let job = Job {
                database: &plan.database,
                origin: &origin,
                program: env!("CARGO_PKG_VERSION"),
                now,
                companions: &companions,
                recipients: &plan.recipients,
            };
            let made = backup::make(&job, &plan.target, &mut |progress| {
                watch.note(|state| state.under_way = Some(UnderWay { done: progress.done, total: progress.total }));
            })?;
            Ok::<_, backup::BackupError>((made, plan, origin))
        };
        let made = tokio::task::spawn_blocking(work).await.map_err(|e| e.to_string())?;
        let (made, plan, origin) = made.map_err(|error| chain(&error))?;
        let last = Last::of(&made, recipients);
        self.diary.note(&last, keeper()).await.map_err(|error| chain(&error))?;
        tracing::info!(task = TASK, place = %last.place, bytes = last.bytes, entries = last.size, "a backup was made");
        // The new one is there and in the log: now those before it may go.
        let pruned =
            tokio::task::spawn_blocking(move || backup::prune(&plan.target, (origin.as_str(), now), plan.keep)).await;
        let not_pruned = match pruned {
            Ok(Ok(Pruned { gone, ahead, stay })) => {
                self.says_ahead(ahead);
                gone.iter().for_each(|name| tracing::info!(task = TASK, name, "an old backup was taken away"));
                stay.told()
            }
            Ok(Err(error)) => Some(chain(&error)),
            Err(panicked) => Some(panicked.to_string()),
        };
        kept.note(|state| state.not_pruned = not_pruned);
        Ok(())
    }

    /// Once: they stay there until their day.
    fn says_ahead(&mut self, ahead: Vec<String>) {
        if !ahead.is_empty() && self.ahead != ahead {
            let names = ahead.join(", ");
            tracing::warn!(task = TASK, names, "backups of later than now lie there: they count for nothing, and stay");
        }
        self.ahead = ahead;
    }

    fn failed(&mut self, now: Timestamp, why: String) {
        self.app.metrics().task_failed(TASK);
        tracing::warn!(task = TASK, cause = %why, "no backup was made; it will be tried again");
        let pause = PAUSE_FIRST_SECS.saturating_mul(1 << self.failures.min(16)).min(PAUSE_LAST_SECS);
        self.failures = self.failures.saturating_add(1);
        self.until = Some(now.plus_secs(pause));
        self.app.backups().note(|state| state.failed = Some(why));
    }
}

/// Whether one is made now: the last good one is so old, or of later than now, and no pause after a failure is waited for.
fn is_due(every_secs: u64, (last, until): (Option<Timestamp>, Option<Timestamp>), now: Timestamp) -> bool {
    let every = i64::try_from(every_secs).unwrap_or(i64::MAX);
    let rests = until.is_some_and(|until| now.is_held(until, PAUSE_LAST_SECS));
    !rests && last.is_none_or(|last| now.is_due(last, every))
}

/// Who makes them, in the log.
fn keeper() -> ActorStamp {
    ActorStamp { id: "system:backup".to_owned(), proof: "system".to_owned(), proof_id: String::new() }
}

const TASK: &str = "backup";
/// What became due, or another node made, is seen after this.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// After a failure it is tried again after this, doubled each time up to the last.
const PAUSE_FIRST_SECS: i64 = 30;
const PAUSE_LAST_SECS: i64 = 3_600;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_that_a_clock_made_which_was_ahead_does_not_hold_up_the_next() {
        let now = Timestamp::from_unix(1_800_000_000);
        let at = |secs| Some(now.plus_secs(secs));
        let three_days = 3 * 86_400;
        for (last, until, wanted) in [
            (None, None, true),
            (at(-60), None, true),
            (at(-59), None, false),
            // Another node made it, whose clock is a little ahead.
            (at(120), None, false),
            (at(three_days), None, true),
            (at(-60), at(PAUSE_LAST_SECS), false),
            (at(-60), at(0), true),
            (at(-60), at(three_days), true),
        ] {
            assert_eq!(is_due(60, (last, until), now), wanted, "{last:?} {until:?}");
        }
    }
}
