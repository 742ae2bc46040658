//! The task that exchanges credentials whose rotation is due, or was asked for.
//!
//! When the log has grown, or the next is due, it looks at those that are due, and at no other; it lets each have its turn in a task of its own: a
//! target that does not answer holds up no other. Which node is at a step stands in the rotation's record. What the record says of a
//! target that is away or refuses is retried by the machine and told as an alarm; what cannot even be begun (a credential that is gone,
//! a policy that refuses) is tried again here with growing pauses, and told too.

use std::collections::HashMap;
use std::time::Duration;

use policy::Timestamp;
use secrets::{At, Product, SecretError, SecretPath, Turn, Turning};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::ahead::Ahead;
use crate::app::App;
use crate::exchanges::Exchanges;
use crate::problem::chain;
use crate::warden::Warden;

/// Turns rotations until the service ends; what is under way then ends with its step.
pub(super) async fn run(app: App, stop: CancellationToken) {
    let mut turner = Turner {
        app,
        turns: JoinSet::new(),
        at_work: HashMap::new(),
        failed: HashMap::new(),
        seen: None,
        ahead: Ahead::default(),
    };
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let asked = turner.app.rotation_asked();
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(ended) = turner.turns.join_next_with_id() => turner.note(ended),
            _ = ticks.tick() => turner.look().await,
            () = asked.notified() => turner.look().await,
        }
    }
    while turner.turns.join_next().await.is_some() {}
}

struct Turner {
    app: App,
    turns: JoinSet<Result<Turn, SecretError>>,
    /// And where.
    at_work: HashMap<Id, (SecretPath, (String, u16))>,
    failed: HashMap<SecretPath, Failed>,
    /// How long the log was when the register was read last, and when the next is due by that.
    seen: Option<(u64, Option<u64>)>,
    /// What was put right after the operators' words about the time.
    ahead: Ahead,
}

/// What could not be begun.
struct Failed {
    times: u32,
    /// It is not tried before.
    until: u64,
    why: String,
}

impl Turner {
    async fn look(&mut self) {
        let now = self.now();
        let size = self.app.ledger().head().size;
        let is_same = self.seen.is_some_and(|(seen, next)| seen == size && next.is_none_or(|next| now < next));
        if is_same {
            return;
        }
        let rotations = self.app.rotations();
        if let Some(word) = self.ahead.word(self.app.ledger()) {
            let done = rotations.put_right(&Warden::rotation(&self.app)).await;
            if let Err(error) = &done {
                self.app.metrics().task_failed(TASK);
                tracing::warn!(task = TASK, cause = %chain(error), "will be tried again");
            }
            self.ahead.note(word, &done);
        }
        let looked = async { Ok((rotations.due_by(now, LOOKED_MAX).await?, rotations.troubled(TOLD_MAX).await?)) };
        let (due, troubled) = match looked.await {
            Ok(looked) => looked,
            Err(error) => {
                let error: SecretError = error;
                self.app.metrics().task_failed(TASK);
                tracing::warn!(task = TASK, cause = %chain(&error), "will be tried again");
                return;
            }
        };
        // What is due no more is not held back either.
        self.failed.retain(|path, _| due.found.iter().any(|turning| turning.path() == path));
        let mut next = due.next;
        for turning in &due.found {
            if self.at_work.values().any(|(path, _)| path == turning.path()) {
                continue;
            }
            let target = (turning.at().host.clone(), turning.at().port);
            let at_target = self.at_work.values().filter(|(_, other)| *other == target).count();
            let held = self
                .failed
                .get(turning.path())
                .map_or(0, |failed| failed.until)
                .min(now.saturating_add(PAUSE_LAST_SECS));
            let Some(due) = self.app.rotations().due(turning, now).map(|due| due.max(held)) else { continue };
            if due <= now && self.at_work.len() < TURNS_MAX && at_target < TURNS_AT_ONE_TARGET_MAX {
                self.begin(turning.path().clone(), target);
            } else {
                next = Some(next.map_or(due, |next: u64| next.min(due)));
            }
        }
        self.seen = Some((size, next)).filter(|_| !self.ahead.is_left());
        self.tell(&troubled);
    }

    fn begin(&mut self, path: SecretPath, target: (String, u16)) {
        let (app, on) = (self.app.clone(), path.clone());
        let turn = async move { app.rotations().turn(&on, &Warden::rotation(&app), &Exchanges::of(&app)).await };
        let id = self.turns.spawn(turn).id();
        self.at_work.insert(id, (path, target));
    }

    fn note(&mut self, ended: Result<(Id, Result<Turn, SecretError>), JoinError>) {
        // Whatever came of it, the register is read again.
        self.seen = None;
        let id = ended.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
        let Some((path, _)) = self.at_work.remove(&id) else { return };
        let why = match ended {
            Ok((_, Ok(Turn::Rests(_) | Turn::Halted | Turn::GoesOn))) => {
                self.failed.remove(&path);
                return;
            }
            Ok((_, Err(error))) => chain(&error),
            Err(_panicked) => {
                self.app.metrics().panicked();
                "its turn panicked; the log of the service says why".to_owned()
            }
        };
        self.app.metrics().task_failed(TASK);
        tracing::warn!(task = TASK, path = %path, cause = %why, "the rotation will be tried again");
        let times = self.failed.get(&path).map_or(0, |failed| failed.times).saturating_add(1);
        let pause = PAUSE_FIRST_SECS.saturating_mul(1 << times.min(16)).min(PAUSE_LAST_SECS);
        self.failed.insert(path, Failed { times, until: self.now().saturating_add(pause), why });
    }

    /// What somebody should look at.
    fn tell(&self, troubled: &[Turning]) {
        let cannot =
            self.failed.iter().filter(|(_, failed)| failed.times >= TOLD_AFTER).map(|(path, failed)| {
                format!("The rotation of {path} cannot go on, and is tried again: {}.", failed.why)
            });
        let says = troubled.iter().filter(|turning| !self.failed.contains_key(turning.path())).filter_map(|turning| {
            let (path, rotation) = (turning.path(), turning.rotation());
            match rotation.trouble().zip(turning.trouble_words()) {
                Some((trouble, why)) if trouble.said.is_empty() => Some(format!("The rotation of {path}: {why}.")),
                Some((trouble, why)) => Some(format!("The rotation of {path}: {why}. What was said: {}", trouble.said)),
                // Agents look each minute: that they have not said so yet is no trouble.
                None if turning.at().product == Product::Ssh && rotation.times_away() < HOSTS_TOLD_AFTER => None,
                None if turning.at().product == Product::Ssh => Some(format!(
                    "The rotation of {path} waits for hosts among {}, and asked {} times ({}): `chancery secret rotation {path}` says which \
                     lack what.",
                    turning.at().called(),
                    rotation.times_away(),
                    rotation.last_try().unwrap_or("nothing was said")
                )),
                None if rotation.times_away() >= TOLD_AFTER => Some(silent(path, turning.at(), rotation.times_away())),
                None => None,
            }
        });
        self.app.rotation_alarms().set(self.ahead.says("rotations").into_iter().chain(cannot).chain(says).collect());
    }

    fn now(&self) -> u64 {
        seconds(self.app.ledger().believed_time())
    }
}

/// What is said of a target that is away.
fn silent(path: &SecretPath, at: &At, times: u32) -> String {
    format!(
        "The target of the rotation of {path}, {}, did not answer {times} times; it is tried again.",
        at.described()
    )
}

fn seconds(at: Timestamp) -> u64 {
    u64::try_from(at.unix()).unwrap_or_default()
}

const TASK: &str = "rotation";
/// What another node or the clock made due is seen after this.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// So many that are due are looked at; more than are under way, since some wait for a window or another node.
const LOOKED_MAX: usize = 1_000;
/// So many alarms are read; a page tells fewer.
const TOLD_MAX: usize = 100;
/// So many rotations are under way at once: each may wait for its target half a minute.
const TURNS_MAX: usize = 16;
/// So many of them at one target: one that does not answer leaves the others their turns.
const TURNS_AT_ONE_TARGET_MAX: usize = 8;
/// An alarm is told once it failed so often.
const TOLD_AFTER: u32 = 2;
/// Of hosts, which are waited for: after two and a half minutes.
const HOSTS_TOLD_AFTER: u32 = 6;
/// What cannot be begun is tried again after this, doubled each time up to the last.
const PAUSE_FIRST_SECS: u64 = 5;
const PAUSE_LAST_SECS: u64 = 3_600;

#[cfg(test)]
mod tests {
    use secrets::Line;

    use super::*;

    #[test]
    fn a_program_that_is_away_is_named_without_a_port() {
        let at = |product, host: &str, port| {
            let host = host.to_owned();
            At { product, host, port, database: None, account_host: None, admin: None, pinned: None, line: Line::Plain }
        };
        let path: SecretPath = "prod/x".parse().unwrap();
        let says = |at: &At| silent(&path, at, 3);
        let program = "The target of the rotation of prod/x, exec echo, did not answer 3 times; it is tried again.";
        assert_eq!(says(&at(Product::Exec, "echo", 0)), program);
        assert!(says(&at(Product::Redis, "10.0.0.7", 6379)).contains("redis at 10.0.0.7:6379,"));
    }
}
