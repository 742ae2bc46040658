//! The task that ends users whose lease is over.
//!
//! It looks at those that are due, and at no other. Each is ended in a task of its own: a target that does not answer holds up no other.
//! What does not succeed is written down with when it is tried again, and told as an alarm from the second time on.

use std::collections::HashMap;
use std::time::Duration;

use secrets::{Lease, SecretError};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::problem::chain;
use crate::warden::Warden;

/// Ends users until the service ends; what is under way then is ended first.
pub(super) async fn run(app: App, stop: CancellationToken) {
    let mut ender = Ender { app, ends: JoinSet::new(), at_work: HashMap::new(), held: HashMap::new(), seen: None };
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let asked = ender.app.lease_asked();
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(ended) = ender.ends.join_next_with_id() => ender.note(ended),
            _ = ticks.tick() => ender.look().await,
            () = asked.notified() => ender.look().await,
        }
    }
    while ender.ends.join_next().await.is_some() {}
}

struct Ender {
    app: App,
    ends: JoinSet<Result<Lease, SecretError>>,
    at_work: HashMap<Id, String>,
    /// What the register did not take is not tried before.
    held: HashMap<String, u64>,
    /// How long the log was at the last look, and when the next is due by that.
    seen: Option<(u64, Option<u64>)>,
}

impl Ender {
    async fn look(&mut self) {
        let now = u64::try_from(self.app.world().now().unix()).unwrap_or_default();
        let size = self.app.ledger().head().size;
        if self.seen.is_some_and(|(seen, next)| seen == size && next.is_none_or(|next| now < next)) {
            return;
        }
        let leases = self.app.leases();
        let looked = async { Ok((leases.due_by(now, LOOKED_MAX).await?, leases.troubled(TOLD_MAX).await?)) };
        let ((due, mut next), troubled) = match looked.await {
            Ok(looked) => looked,
            Err(error) => return self.failed(&error),
        };
        self.held.retain(|id, until| *until > now && due.iter().any(|lease| lease.id() == id));
        for lease in &due {
            if self.at_work.values().any(|id| id == lease.id()) {
                continue;
            }
            let held = self.held.get(lease.id()).copied().unwrap_or(0);
            let Some(due) = self.app.leases().due(lease, now).map(|due| due.max(held)) else { continue };
            if due <= now && self.at_work.len() < ENDS_MAX {
                self.begin(lease.id().to_owned());
            } else {
                next = Some(next.map_or(due, |next: u64| next.min(due)));
            }
        }
        self.seen = Some((size, next));
        self.tell(&troubled);
    }

    fn begin(&mut self, id: String) {
        let (app, of) = (self.app.clone(), id.clone());
        let end = async move { app.leases().end(&of, &Warden::lease(&app), app.places()).await };
        let task = self.ends.spawn(end).id();
        self.at_work.insert(task, id);
    }

    fn note(&mut self, ended: Result<(Id, Result<Lease, SecretError>), JoinError>) {
        self.seen = None;
        let task = ended.as_ref().map_or_else(JoinError::id, |(task, _)| *task);
        let Some(id) = self.at_work.remove(&task) else { return };
        let error = match ended {
            Ok((_, Ok(_))) => return,
            Ok((_, Err(error))) => Some(error),
            Err(_panicked) => {
                self.app.metrics().panicked();
                None
            }
        };
        if let Some(error) = error {
            self.failed(&error);
        }
        let now = u64::try_from(self.app.world().now().unix()).unwrap_or_default();
        self.held.insert(id, now.saturating_add(HELD_SECS));
    }

    fn failed(&self, error: &SecretError) {
        self.app.metrics().task_failed(TASK);
        tracing::warn!(task = TASK, cause = %chain(error), "will be tried again");
    }

    /// Who is still there although his lease is over.
    fn tell(&self, troubled: &[Lease]) {
        let says = troubled.iter().filter_map(|lease| {
            let (tries, said) = lease.trouble().filter(|(tries, _)| *tries >= TOLD_AFTER)?;
            let at = lease.at();
            Some(format!(
                "The user {} of {} at {}:{} is there although his lease of {} is over: ending him was tried {tries} times ({said}).",
                lease.user(),
                at.product,
                at.host,
                at.port,
                lease.role()
            ))
        });
        self.app.lease_alarms().set(says.collect());
    }
}

const TASK: &str = "lease";
/// What another node or the clock made due is seen after this.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// So many are ended at once: each may wait for its target half a minute.
const ENDS_MAX: usize = 16;
/// So many that are due are looked at.
const LOOKED_MAX: usize = 100;
/// So many alarms are read; a page tells fewer.
const TOLD_MAX: usize = 100;
/// An alarm is told once it failed so often.
const TOLD_AFTER: u32 = 2;
/// What the register did not take is tried again after this.
const HELD_SECS: u64 = 5;
