//! The task that wraps what is sealed to the recovery key, once after each ceremony and whenever somebody asks; and what is told of it.
//!
//! What is written after a ceremony is wrapped as it is written. What was there before is wrapped here, so that nobody has to remember it:
//! until that is done the shares do not open the register.

use std::time::Duration;

use policy::{Action, Actor, Resource, ResourceKind};
use secrets::{Recovery, SecretError, Wrapping};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::problem::chain;

/// Looks, and walks where there is something to do, until the service ends. What is broken off here, the next start does.
pub(super) async fn run(app: App, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut seen = None;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
            () = app.wrapping().heard() => {}
        }
        let size = app.ledger().head().size;
        if seen == Some(size) && !app.wrapping().is_asked() {
            continue;
        }
        let looked = tokio::select! {
            () = stop.cancelled() => return,
            looked = look(&app) => looked,
        };
        match looked {
            Ok(()) => seen = Some(size),
            Err(error) => {
                app.metrics().task_failed(TASK);
                let cause = chain(&error);
                tracing::warn!(task = TASK, cause = %cause, "will be tried again");
                app.wrapping().ended(Some(cause));
                tell(&app).await;
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(PAUSE) => {}
                }
            }
        }
    }
}

async fn look(app: &App) -> Result<(), SecretError> {
    let recovery = app.vault().recovery().await?;
    let is_due = match recovery.wrapping {
        Wrapping::NoKey => false,
        Wrapping::Begun(_) => true,
        Wrapping::Done(..) => app.wrapping().is_asked(),
    };
    if is_due {
        // No entry says that it was refused: it would be one every few seconds.
        let on = Resource::plain(ResourceKind::Authority);
        let granted = app.authority().policies().decide(&Actor::system(TASK), Action::ManageAuthority, &on);
        let grant = granted.map_err(|refusal| SecretError::Conflict(format!("{NOT_LET}: {refusal}")))?;
        let walked = app.vault().wrap_all(&grant).await?;
        tracing::info!(done = walked.done, before = walked.before, left = walked.left, "wrapped to the recovery key");
    }
    app.wrapping().ended(None);
    tell(app).await;
    Ok(())
}

/// What somebody should look at.
async fn tell(app: &App) {
    // What cannot be read now is told by the register's own alarm.
    let Ok(recovery) = app.vault().recovery().await else { return };
    let lost = app.ledger().standing_lost();
    app.wrapping().alarms().set(alarms(&recovery, app.wrapping().trouble(), lost));
}

fn alarms(recovery: &Recovery, trouble: Option<String>, lost: u64) -> Vec<String> {
    let generation = recovery.key.as_ref().map_or(0, |key| key.generation());
    let of_wrapping = match &recovery.wrapping {
        Wrapping::NoKey if recovery.has_secrets() => Some(
            "There are secrets and no recovery key: whoever loses the token loses them all. Hold a ceremony: `chancery recovery ceremony` \
             (docs/RECOVERY.md)."
                .to_owned(),
        ),
        Wrapping::NoKey | Wrapping::Done(0, _) => None,
        Wrapping::Begun(_) => Some(format!(
            "Not everything is wrapped to the recovery key of generation {generation} yet, and its shares do not open the register before that; \
             `chancery recovery wrap` shows how far it is{}.",
            trouble.map_or_else(String::new, |why| format!(" (it did not go on: {why})"))
        )),
        Wrapping::Done(left, which) => Some(format!(
            "The recovery key of generation {generation} does not open {left} sealed keys{}; `chancery recovery show` names them, and `chancery \
             recovery wrap` tries again.",
            which.first().map_or_else(String::new, |one| format!(" (the first is {}: {})", one.id, one.why))
        )),
    };
    let of_loss = (lost > 0).then(|| {
        format!(
            "{lost} sealed keys stand under a sealing key that is lost, and nobody opens them: `chancery recovery restore` with older papers, \
             or `chancery secret destroy` where there are none."
        )
    });
    of_wrapping.into_iter().chain(of_loss).collect()
}

/// Who walks, and what the task is called.
const TASK: &str = "recovery";
const NOT_LET: &str = "the policies do not let the service wrap by itself (`system-recovery` in system.cedar)";
/// What a ceremony, or another node, brought is seen after this.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// After a failure.
const PAUSE: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests {
    use secrets::Left;

    use super::*;

    #[test]
    fn what_would_be_lost_with_the_token_is_told_with_what_to_do() {
        let recovery = |sealed, wrapping| Recovery { key: None, sealed, wrapping };
        assert!(alarms(&recovery(1, Wrapping::NoKey), None, 0).is_empty(), "the key of the heads alone");
        let told = alarms(&recovery(2, Wrapping::NoKey), None, 0).concat();
        assert!(told.contains("chancery recovery ceremony"), "{told}");
        let told = alarms(&recovery(2, Wrapping::Begun(None)), Some("the token is away".to_owned()), 0).concat();
        assert!(told.contains("yet") && told.contains("the token is away"), "{told}");
        assert!(alarms(&recovery(2, Wrapping::Done(0, Vec::new())), None, 0).is_empty());
        let left = vec![Left { id: "a@1.1".to_owned(), why: "it is another's".to_owned() }];
        let told = alarms(&recovery(3, Wrapping::Done(1, left)), None, 2);
        assert!(told.len() == 2 && told[0].contains("a@1.1") && told[1].contains("2 sealed keys"), "{told:?}");
    }
}
