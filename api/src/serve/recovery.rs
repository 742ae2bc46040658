//! The task that wraps what is sealed to the recovery key, once after each ceremony and whenever somebody asks; and what is told of it.
//!
//! What is written after a ceremony is wrapped as it is written. What was there before is wrapped here, so that nobody has to remember it:
//! until that is done the shares do not open the register.

use std::time::Duration;

use policy::{Action, Actor, Resource, ResourceKind, Timestamp};
use secrets::{KeyWaits, Recovery, SecretError, Wrapping};
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
    let told = alarms(&recovery, app.wrapping().trouble(), lost);
    let of_hands = of_hands(&recovery, app.world().now());
    let waits = app.vault().recovery_key_waits().await.ok().flatten().map(|waits| of_waits(&waits));
    app.wrapping().alarms().set(told.into_iter().chain(of_hands).chain(waits).collect());
}

/// Who took a recovery key this week: whoever did not hold that ceremony should know. And that the newest one was joined in a machine.
fn of_hands(recovery: &Recovery, now: Timestamp) -> Vec<String> {
    let taken = recovery.taken.iter().filter(|taken| now.since(taken.at) < TAKEN_TOLD_SECS).map(|taken| {
        format!(
            "The recovery key of generation {} was taken by {} at {}: its papers open everything that is sealed. Where nobody of yours held \
             that ceremony, take that right away, hold one (`chancery recovery ceremony --online`) and exchange every secret \
             (docs/RECOVERY.md).",
            taken.generation, taken.by, taken.at
        )
    });
    let joined = recovery.joined.iter().map(|joined| {
        format!(
            "The shares of the recovery key of generation {} were joined in a machine at {}: hold a new ceremony, `chancery recovery ceremony \
             --online` (docs/RECOVERY.md).",
            joined.generation, joined.at
        )
    });
    taken.chain(joined).collect()
}

/// That one administrator brought a key, for the others.
fn of_waits(waits: &KeyWaits) -> String {
    let KeyWaits { generation, fingerprint, by, until, .. } = waits;
    format!(
        "A recovery key of generation {generation} was brought by {by}, and is taken once another administrator brings it too, before {until}: \
         `chancery recovery take FILE`, where its fingerprint is {fingerprint}. Where nobody of yours held that ceremony, take that right away \
         (docs/RECOVERY.md)."
    )
}

fn alarms(recovery: &Recovery, trouble: Option<String>, lost: u64) -> Vec<String> {
    let generation = recovery.key.as_ref().map_or(0, |key| key.generation());
    let of_wrapping = match &recovery.wrapping {
        Wrapping::NoKey if recovery.has_secrets() => Some(
            "There are secrets and no recovery key: whoever loses the token loses them all. Hold a ceremony: `chancery recovery ceremony \
             --online` (docs/RECOVERY.md)."
                .to_owned(),
        ),
        Wrapping::NoKey | Wrapping::Done(0, _) => None,
        Wrapping::Begun(_) => Some(format!(
            "Not everything is wrapped to the recovery key of generation {generation} yet, and its shares do not open the register before that; \
             `chancery recovery wrap` shows how far it is{}.",
            trouble.map_or_else(String::new, |why| format!(" (it did not go on: {why})"))
        )),
        Wrapping::Done(left, _) => Some(format!(
            "The recovery key of generation {generation} does not open {left} sealed keys; `chancery recovery show` tells of them, and `chancery \
             recovery wrap` tries again."
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
/// For a week it is told who took a recovery key.
const TAKEN_TOLD_SECS: i64 = 7 * 86_400;
/// After a failure.
const PAUSE: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests {
    use secrets::{Hand, Left};

    use super::*;

    #[test]
    fn what_would_be_lost_with_the_token_is_told_with_what_to_do() {
        let recovery = |sealed, wrapping| Recovery { key: None, sealed, wrapping, taken: Vec::new(), joined: None };
        assert!(alarms(&recovery(1, Wrapping::NoKey), None, 0).is_empty(), "the key of the heads alone");
        let told = alarms(&recovery(2, Wrapping::NoKey), None, 0).concat();
        assert!(told.contains("chancery recovery ceremony"), "{told}");
        let told = alarms(&recovery(2, Wrapping::Begun(None)), Some("the token is away".to_owned()), 0).concat();
        assert!(told.contains("yet") && told.contains("the token is away"), "{told}");
        assert!(alarms(&recovery(2, Wrapping::Done(0, Vec::new())), None, 0).is_empty());
        let left = vec![Left { id: "a@1.1".to_owned(), why: "it is another's".to_owned() }];
        let told = alarms(&recovery(3, Wrapping::Done(1, left)), None, 2);
        assert!(told.len() == 2 && told[1].contains("2 sealed keys"), "{told:?}");
        assert!(told[0].contains("does not open 1 ") && !told[0].contains("a@1.1"), "{told:?}");
    }

    #[test]
    fn who_took_a_recovery_key_is_told_for_a_week_and_that_it_was_in_a_machine_until_there_is_another() {
        const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);
        let hand = |generation, at| Hand { generation, by: "token:thief".to_owned(), at };
        let told = |taken, joined| {
            of_hands(&Recovery { key: None, sealed: 2, wrapping: Wrapping::Done(0, Vec::new()), taken, joined }, NOW)
        };
        let week = |more| NOW.plus_secs(-TAKEN_TOLD_SECS - more);
        let both = told(vec![hand(2, week(-1)), hand(1, week(0))], None);
        assert!(both.len() == 1 && both[0].contains("generation 2") && both[0].contains("token:thief"), "{both:?}");
        let waits = KeyWaits {
            generation: 2,
            fingerprint: "ab12".to_owned(),
            by: "token:thief".to_owned(),
            hands: "00".to_owned(),
            until: NOW,
        };
        let waits = of_waits(&waits);
        assert!(waits.contains("token:thief") && waits.contains("ab12") && waits.contains("recovery take"), "{waits}");
        let joined = told(Vec::new(), Some(hand(1, week(1_000_000))));
        assert!(joined.len() == 1 && joined[0].contains("hold a new ceremony"), "{joined:?}");
    }
}
