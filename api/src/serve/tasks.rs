//! What goes on by itself: following the log, auditing it, signed heads, CRLs, OCSP responders, renewals, rotations, wrapping for recovery, backups.
//!
//! Each task fails softly: a failure is counted and logged, and the next turn tries again, so that an HSM that was away is
//! used again when it returns. None of them holds anything that a restart would miss.

use std::future::Future;
use std::time::Duration;

use backup::Plan;
use ca::CaError;
use lifecycle::Renewer;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{backups, leases, recovery, refreshes, rotations, transit};
use crate::app::App;
use crate::problem::chain;

/// Heads are signed at most once a second while the log moves.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(1);
/// What other nodes wrote is known after this, and a log that was cut is noticed although nobody writes.
const FOLLOW_EVERY: Duration = Duration::from_secs(1);
/// What other nodes with the same token signed is held against this node's tree after this.
const MEET_EVERY: Duration = Duration::from_secs(2);
/// A step of the service's own audit: what is new, and a tile of what is old.
const AUDIT_EVERY: Duration = Duration::from_secs(1);
/// A key that the token lost, or that was not there at the start, is looked for again.
const KEYS_EVERY: Duration = Duration::from_secs(15);
/// What stands under an older generation of the sealing key is sealed anew soon after another is in force.
const SEALS_EVERY: Duration = Duration::from_secs(2);
/// The authority itself knows which CRL is due; asking is cheap.
const CRLS_EVERY: Duration = Duration::from_secs(60);
/// An OCSP responder is renewed a week before its end; asking is cheap.
const OCSP_EVERY: Duration = Duration::from_secs(60);
/// Transit keys are rotated by the day; asking is cheap.
const TRANSIT_EVERY: Duration = Duration::from_secs(60);
/// How many were refused beyond those that are leaves is told soon after their window is over.
const REFUSALS_EVERY: Duration = Duration::from_secs(60);
/// After a failure a task waits this much longer, up to the last.
const PAUSE_FIRST: Duration = Duration::from_secs(1);
const PAUSE_LAST: Duration = Duration::from_secs(30);

/// Starts them all; they end with `stop`.
pub(crate) fn spawn(
    tasks: &TaskTracker,
    app: &App,
    (renewer, backup): (Renewer, Option<Plan>),
    stop: &CancellationToken,
) {
    tasks.spawn(every("follow", FOLLOW_EVERY, app.clone(), stop.clone(), |app| async move {
        Ok(app.ledger().follow().await?)
    }));
    tasks.spawn(every(
        "meet",
        MEET_EVERY,
        app.clone(),
        stop.clone(),
        |app| async move { Ok(app.ledger().meet().await?) },
    ));
    tasks.spawn(every("audit", AUDIT_EVERY, app.clone(), stop.clone(), |app| async move {
        app.ledger().audit_step().await.map(drop).map_err(CaError::from)
    }));
    tasks.spawn(every("checkpoint", CHECKPOINT_EVERY, app.clone(), stop.clone(), |app| async move {
        app.authority().checkpoint().await
    }));
    tasks.spawn(every("issuers", FOLLOW_EVERY, app.clone(), stop.clone(), |app| async move {
        app.authority().follow_issuers().await
    }));
    tasks.spawn(every("keys", KEYS_EVERY, app.clone(), stop.clone(), |app| async move {
        app.authority().look_for_keys().await
    }));
    tasks.spawn(every("seals", SEALS_EVERY, app.clone(), stop.clone(), |app| async move {
        app.authority().tend_seals().await.map(drop)
    }));
    tasks.spawn(every("crl", CRLS_EVERY, app.clone(), stop.clone(), |app| async move {
        app.authority().refresh_crls().await
    }));
    tasks.spawn(every("ocsp", OCSP_EVERY, app.clone(), stop.clone(), |app| async move {
        app.authority().tend_ocsp().await
    }));
    tasks.spawn(every("refusals", REFUSALS_EVERY, app.clone(), stop.clone(), |app| async move {
        app.authority().tell_refusals(false).await
    }));
    tasks.spawn(every(
        "transit",
        TRANSIT_EVERY,
        app.clone(),
        stop.clone(),
        |app| async move { transit::tend(&app).await },
    ));
    tasks.spawn(backups::run(app.clone(), backup, stop.clone()));
    tasks.spawn(rotations::run(app.clone(), stop.clone()));
    tasks.spawn(recovery::run(app.clone(), stop.clone()));
    tasks.spawn(leases::run(app.clone(), stop.clone()));
    tasks.spawn(refreshes::run(app.clone(), stop.clone()));
    tasks.spawn(renewer.run_until(stop.clone().cancelled_owned()));
}

/// One task: at once, then every so often; after a failure with a growing pause.
async fn every<F, T>(name: &'static str, period: Duration, app: App, stop: CancellationToken, work: F)
where
    F: Fn(App) -> T,
    T: Future<Output = Result<(), CaError>>,
{
    let mut ticks = tokio::time::interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut pause = PAUSE_FIRST;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        // A database that is frozen holds nobody up at the end: what is broken off here, the next start does.
        let done = tokio::select! {
            () = stop.cancelled() => return,
            done = work(app.clone()) => done,
        };
        match done {
            Ok(()) => pause = PAUSE_FIRST,
            Err(error) => {
                app.metrics().task_failed(name);
                tracing::warn!(task = name, cause = %chain(&error), "will be tried again");
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(pause) => pause = (pause * 2).min(PAUSE_LAST),
                }
            }
        }
    }
}
