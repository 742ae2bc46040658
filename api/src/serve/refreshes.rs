//! The task that refreshes OAuth tokens before they end.
//!
//! It looks at those that are due, and at no other. Each is refreshed in a task of its own: an endpoint that does not answer holds up no
//! other. What came to nothing is written down with when it is asked again, and is told as an alarm: at once where somebody has to look.

use std::collections::HashMap;
use std::time::Duration;

use secrets::{Halt, Refresh, SecretError, SecretPath};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::ahead::Ahead;
use crate::app::App;
use crate::problem::chain;
use crate::warden::Warden;

/// Refreshes until the service ends; what was asked by then is kept first.
pub(super) async fn run(app: App, stop: CancellationToken) {
    let mut task = Task {
        app,
        turns: JoinSet::new(),
        at_work: HashMap::new(),
        held: HashMap::new(),
        seen: None,
        ahead: Ahead::default(),
    };
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let asked = task.app.refresh_asked();
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(ended) = task.turns.join_next_with_id() => task.note(ended),
            _ = ticks.tick() => task.look().await,
            () = asked.notified() => task.look().await,
        }
    }
    while task.turns.join_next().await.is_some() {}
}

struct Task {
    app: App,
    turns: JoinSet<Result<Refresh, SecretError>>,
    at_work: HashMap<Id, SecretPath>,
    /// What could not be begun or kept, until when it is not tried, and why.
    held: HashMap<SecretPath, (u64, String)>,
    /// How long the log was at the last look, and when the next is due by that.
    seen: Option<(u64, Option<u64>)>,
    /// What was put right after the operators' words about the time.
    ahead: Ahead,
}

impl Task {
    async fn look(&mut self) {
        let now = u64::try_from(self.app.ledger().believed_time().unix()).unwrap_or_default();
        let size = self.app.ledger().head().size;
        if self.seen.is_some_and(|(seen, next)| seen == size && next.is_none_or(|next| now < next)) {
            return;
        }
        let refreshes = self.app.refreshes();
        if let Some(word) = self.ahead.word(self.app.ledger()) {
            let done = refreshes.put_right(&Warden::rotation(&self.app)).await;
            if let Err(error) = &done {
                self.failed(error);
            }
            self.ahead.note(word, &done);
        }
        let looked = async { Ok((refreshes.due_by(now, LOOKED_MAX).await?, refreshes.troubled(TOLD_MAX).await?)) };
        let ((due, mut next), troubled) = match looked.await {
            Ok(looked) => looked,
            Err(error) => return self.failed(&error),
        };
        self.held.retain(|path, _| due.iter().any(|refresh| refresh.path() == path));
        for refresh in &due {
            if self.at_work.values().any(|path| path == refresh.path()) {
                continue;
            }
            let held = self.held.get(refresh.path()).map_or(0, |(until, _)| *until).min(now.saturating_add(HELD_SECS));
            let Some(due) = self.app.refreshes().due(refresh, now).map(|due| due.max(held)) else { continue };
            if due <= now && self.at_work.len() < TURNS_MAX {
                self.begin(refresh.path().clone());
            } else {
                next = Some(next.map_or(due, |next: u64| next.min(due)));
            }
        }
        self.seen = Some((size, next)).filter(|_| !self.ahead.is_left());
        self.tell(&troubled);
    }

    fn begin(&mut self, path: SecretPath) {
        let (app, of) = (self.app.clone(), path.clone());
        let turn = async move {
            let warden = Warden::rotation(&app);
            app.refreshes().turn(&of, &warden, app.places(), tokio::time::sleep).await
        };
        let task = self.turns.spawn(turn).id();
        self.at_work.insert(task, path);
    }

    fn note(&mut self, ended: Result<(Id, Result<Refresh, SecretError>), JoinError>) {
        self.seen = None;
        let task = ended.as_ref().map_or_else(JoinError::id, |(task, _)| *task);
        let Some(path) = self.at_work.remove(&task) else { return };
        let why = match ended {
            Ok((_, Ok(_))) => return drop(self.held.remove(&path)),
            Ok((_, Err(error))) => {
                self.failed(&error);
                chain(&error)
            }
            Err(_panicked) => {
                self.app.metrics().panicked();
                "it broke off".to_owned()
            }
        };
        let now = u64::try_from(self.app.ledger().believed_time().unix()).unwrap_or_default();
        self.held.insert(path, (now.saturating_add(HELD_SECS), why));
    }

    fn failed(&self, error: &SecretError) {
        self.app.metrics().task_failed(TASK);
        tracing::warn!(task = TASK, cause = %chain(error), "will be tried again");
    }

    /// What somebody should look at.
    fn tell(&self, troubled: &[Refresh]) {
        let held = self
            .held
            .iter()
            .map(|(path, (_, why))| format!("The token {path} cannot be refreshed, and it is tried again: {why}."));
        let says = troubled.iter().filter_map(|refresh| {
            let (path, (tries, said)) = (refresh.path(), refresh.trouble()?);
            match refresh.halted() {
                Some(Halt::Refused) => Some(format!(
                    "The token {path} is refreshed no more ({said}): write a new refresh token, with which it goes on by itself; or mend \
                     what is said there, then `chancery secret refresh {path} --now`."
                )),
                Some(Halt::Unanswered) => Some(format!(
                    "The token {path} was to be refreshed and what came back was not kept ({said}): its refresh token may be used up. Write \
                     a new one, with which it goes on by itself; or, if the server allows a second use, `chancery secret refresh {path} --now`."
                )),
                None if tries >= TOLD_AFTER => Some(format!(
                    "The token endpoint of {path} was asked {tries} times in vain ({said}); it is asked again."
                )),
                None => None,
            }
        });
        self.app
            .refresh_alarms()
            .set(self.ahead.says("refreshes of tokens").into_iter().chain(held).chain(says).collect());
    }
}

const TASK: &str = "refresh";
/// What another node or the clock made due is seen after this.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// So many that are due are looked at.
const LOOKED_MAX: usize = 1_000;
/// So many alarms are read.
const TOLD_MAX: usize = 100;
/// So many endpoints are asked at once.
const TURNS_MAX: usize = 16;
/// An endpoint that is away is told once it was asked so often.
const TOLD_AFTER: u32 = 2;
/// What could not be begun is tried again after this.
const HELD_SECS: u64 = 10;
