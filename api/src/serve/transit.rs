//! The task that gives transit keys a new version when their period has passed.
//!
//! One key that cannot be rotated (it has as many versions as it may have, a policy refuses) keeps no other from it: it is told in the
//! service's log and tried again with the next turn. What is due after a stop is due at the next start.

use ca::CaError;
use policy::{Action, Actor, Resource};
use secrets::SecretError;
use secrets::keyring::TransitKey;

use crate::app::App;
use crate::problem::chain;

/// Rotates what is due.
///
/// # Errors
/// The register does not answer.
pub(super) async fn tend(app: &App) -> Result<(), CaError> {
    let rotating = match app.transit().rotating().await {
        Ok(rotating) => rotating,
        Err(SecretError::Store(error)) => return Err(error.into()),
        Err(other) => {
            tracing::warn!(task = TASK, cause = %chain(&other), "will be tried again");
            return Ok(());
        }
    };
    let now = app.ledger().believed_time();
    for key in rotating.iter().filter(|key| key.is_due(now)) {
        if let Err(why) = rotate(app, key).await {
            app.metrics().task_failed(TASK);
            tracing::warn!(task = TASK, key = %key.name(), cause = why, "its rotation will be tried again");
        }
    }
    Ok(())
}

async fn rotate(app: &App, key: &TransitKey) -> Result<(), String> {
    let on = Resource::transit_key(Some(key.owner().clone()), key.name().as_str());
    let granted = app.authority().authorize(&Actor::system("transit"), Action::ManageTransitKeys, on).await;
    let grant = granted.map_err(|error| chain(&error))?;
    app.transit().rotate_due(grant, key.name()).await.map(drop).map_err(|error| chain(&error))
}

const TASK: &str = "transit";
