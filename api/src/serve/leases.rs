//! The task that ends users whose lease is over.
//!
//! It looks at those that are due, and at no other. Each is ended in a task of its own, and of one target few at once, of those that were
//! tried before half at most: a target that does not answer takes no other's turn.
//! What does not succeed is written down with when it is tried again, and told as an alarm from the second time on.

use std::collections::HashMap;
use std::time::Duration;

use secrets::{Lease, Product, SecretError};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::ahead::Ahead;
use crate::app::App;
use crate::problem::chain;
use crate::tenants::Tenants;
use crate::warden::Warden;

/// Ends users until the service ends; what is under way then is ended first.
pub(super) async fn run(app: App, stop: CancellationToken) {
    let (ends, at_work, held) = (JoinSet::new(), HashMap::new(), HashMap::new());
    let mut ender = Ender { app, ends, at_work, held, seen: None, waits: false, ahead: Ahead::default() };
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let asked = ender.app.lease_asked();
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(ended) = ender.ends.join_next_with_id() => {
                ender.note(ended);
                if ender.waits {
                    ender.look().await;
                }
            }
            _ = ticks.tick() => ender.look().await,
            () = asked.notified() => ender.look().await,
        }
    }
    while ender.ends.join_next().await.is_some() {}
}

struct Ender {
    app: App,
    ends: JoinSet<Result<Lease, SecretError>>,
    at_work: HashMap<Id, Work>,
    /// What the register did not take is not tried before.
    held: HashMap<String, u64>,
    /// How long the log was at the last look, and when the next is due by that.
    seen: Option<(u64, Option<u64>)>,
    /// Whether somebody who is due waits for a turn.
    waits: bool,
    /// What was put right after the operators' words about the time.
    ahead: Ahead,
}

/// One who is being ended.
struct Work {
    id: String,
    /// Where.
    target: (String, u16),
    /// Whether that was tried before.
    is_again: bool,
}

impl Work {
    fn of(lease: &Lease) -> Work {
        let (at, is_again) = (lease.at(), lease.trouble().is_some());
        Work { id: lease.id().to_owned(), target: (at.host.clone(), at.port), is_again }
    }
}

impl Ender {
    async fn look(&mut self) {
        let now = u64::try_from(self.app.ledger().certain_time().unix()).unwrap_or_default();
        let size = self.app.ledger().head().size;
        if self.seen.is_some_and(|(seen, next)| seen == size && next.is_none_or(|next| now < next)) {
            return;
        }
        let leases = self.app.leases();
        if let Some(word) = self.ahead.word(self.app.ledger()) {
            let done = leases.put_right().await;
            if let Err(error) = &done {
                self.failed(error);
            }
            self.ahead.note(word, &done);
        }
        let looked = async { Ok((leases.due_by(now, LOOKED_MAX).await?, leases.troubled(TOLD_MAX).await?)) };
        let ((due, mut next), troubled) = match looked.await {
            Ok(looked) => looked,
            Err(error) => return self.failed(&error),
        };
        self.held.retain(|id, until| *until > now && due.iter().any(|lease| lease.id() == id));
        self.waits = false;
        for lease in &due {
            if self.at_work.values().any(|work| work.id == lease.id()) {
                continue;
            }
            let held = self.held.get(lease.id()).copied().unwrap_or(0).min(now.saturating_add(HELD_SECS));
            let Some(due) = self.app.leases().due(lease, now).map(|due| due.max(held)) else { continue };
            let work = Work::of(lease);
            match due <= now {
                true if self.has_turn(&work) => self.begin(work),
                is_due => {
                    self.waits |= is_due;
                    next = Some(next.map_or(due, |next: u64| next.min(due)));
                }
            }
        }
        self.seen = Some((size, next)).filter(|_| !self.ahead.is_left());
        self.tell(&troubled);
    }

    /// Whether one more may be ended: of its target few at once, and of those that failed before half of all.
    fn has_turn(&self, work: &Work) -> bool {
        let at_target = self.at_work.values().filter(|other| other.target == work.target).count();
        let again = self.at_work.values().filter(|other| other.is_again).count();
        self.at_work.len() < ENDS_MAX
            && at_target < ENDS_AT_ONE_TARGET_MAX
            && (!work.is_again || again < ENDS_AGAIN_MAX)
    }

    fn begin(&mut self, work: Work) {
        let (app, of) = (self.app.clone(), work.id.clone());
        let end = async move { app.leases().end(&of, &Warden::lease(&app), &Tenants::of(&app)).await };
        let task = self.ends.spawn(end).id();
        self.at_work.insert(task, work);
    }

    fn note(&mut self, ended: Result<(Id, Result<Lease, SecretError>), JoinError>) {
        self.seen = None;
        let task = ended.as_ref().map_or_else(JoinError::id, |(task, _)| *task);
        let Some(Work { id, .. }) = self.at_work.remove(&task) else { return };
        let error = match ended {
            Ok((_, Ok(_))) => return,
            // Another node is at it, or whoever makes him: it is looked at once more.
            Ok((_, Err(SecretError::Conflict(why)))) => {
                tracing::debug!(lease = id, why, "somebody else wrote it meanwhile");
                None
            }
            Ok((_, Err(error))) => Some(error),
            Err(_panicked) => {
                self.app.metrics().panicked();
                None
            }
        };
        if let Some(error) = error {
            self.failed(&error);
        }
        let now = u64::try_from(self.app.ledger().certain_time().unix()).unwrap_or_default();
        self.held.insert(id, now.saturating_add(HELD_SECS));
    }

    fn failed(&self, error: &SecretError) {
        self.app.metrics().task_failed(TASK);
        tracing::warn!(task = TASK, cause = %chain(error), "will be tried again");
    }

    /// Who may still be there although his lease is over.
    fn tell(&self, troubled: &[Lease]) {
        let says = troubled.iter().filter_map(|lease| {
            let (tries, said) = lease.trouble().filter(|(tries, _)| *tries >= TOLD_AFTER)?;
            let (at, id) = (lease.at(), lease.id());
            let now_what = match lease.is_given_up() {
                false => format!("`chancery secret lease revoke {id}` tries it at once."),
                true => format!(
                    "It is tried no more: look at the target, then `chancery secret lease revoke {id}` tries it again, and \
                     `chancery secret lease forget {id} --reason TEXT` takes him off."
                ),
            };
            let place = match at.product {
                Product::Ssh => format!("a certificate of {}", lease.user()),
                Product::PostgreSql
                | Product::MariaDb
                | Product::Redis
                | Product::Ldap
                | Product::Ldaps
                | Product::Exec
                | Product::Http => format!("the user {} of {}", lease.user(), at.described()),
            };
            Some(format!(
                "By a lease of {} that is over {place} may be there: ending him was tried {tries} times ({said}). {now_what}",
                lease.role()
            ))
        });
        self.app.lease_alarms().set(self.ahead.says("leases").into_iter().chain(says).collect());
    }
}

const TASK: &str = "lease";
/// What another node or the clock made due is seen after this.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// So many are ended at once: each may wait for its target half a minute.
const ENDS_MAX: usize = 16;
/// So many of them at one target: one that does not answer leaves the others their turns.
const ENDS_AT_ONE_TARGET_MAX: usize = 4;
/// So many of them that were tried before: a user whose lease ends now is not kept by those whose target is away.
const ENDS_AGAIN_MAX: usize = 8;
/// So many that are due are looked at, of those that were tried before as of the others: all that one owner may have.
const LOOKED_MAX: usize = secrets::LEASES_OF_OWNER_MAX;
/// So many alarms are read; a page tells fewer.
const TOLD_MAX: usize = 100;
/// An alarm is told once it failed so often.
const TOLD_AFTER: u32 = 2;
/// What the register did not take is tried again after this.
const HELD_SECS: u64 = 5;
