//! Authorizations and challenges: read, begun, concluded, given up (RFC 8555 section 7.5).
//!
//! A check runs as a task of its own: a client that hangs up changes nothing. What runs and what waits is bounded; a full queue is
//! said so before anything is written. A check forgotten by a restart is made again when somebody next looks at it.

use serde::Deserialize;

use super::orders;
use crate::gate::{AcmeState, ByAccount, server_actor};
use crate::limits::{CONFLICT_RETRIES, RETRY_AFTER_PROCESSING_SECS};
use crate::objects::{Account, Authz, AuthzStatus, Challenge, ChallengeKind, ChallengeStatus, DeskError, Stored};
use crate::proof::Place;
use crate::wire::Problem;

/// The authorization update payload.
#[derive(Deserialize)]
struct Update {
    status: String,
}

/// Shows or deactivates an authorization of the account.
pub async fn authz(state: &AcmeState, by: &ByAccount, id: &str) -> Result<Authz, Problem> {
    let account = &by.account.object;
    let authz = owned(state, account, id).await?;
    if by.message.is_empty() {
        return revive(state, account, authz).await;
    }
    let asked: Update = by.message.object()?;
    if asked.status != "deactivated" {
        return Err(Problem::malformed("the only change a client may make to an authorization is to deactivate it"));
    }
    by.spend(state, 1)?;
    deactivate(state, account, authz).await
}

/// Gives it up, whatever a check makes of it in the same moment.
async fn deactivate(state: &AcmeState, account: &Account, mut authz: Stored<Authz>) -> Result<Authz, Problem> {
    for _ in 0..CONFLICT_RETRIES {
        let waited = orders::is_pending(&authz.object, state.now());
        let after = authz.object.deactivate(state.now())?;
        match state.desk().write(&state.actor(account), vec![authz.next(&after)]).await {
            Ok(()) => {
                if waited {
                    state.quotas().decided(&account.id, &after.order);
                }
                return Ok(after);
            }
            Err(DeskError::Moved(_)) => authz = owned(state, account, &after.id).await?,
            Err(error) => return Err(error.into()),
        }
    }
    Err(DeskError::Moved("acme-authz".to_owned()).into())
}

/// Shows a challenge (empty payload) or begins its check (`{}`).
pub async fn challenge(state: &AcmeState, by: &ByAccount, id: &str, kind: &str) -> Result<(Authz, Challenge), Problem> {
    let unknown = || Problem::not_found("challenge");
    let kind = ChallengeKind::parse(kind).ok_or_else(unknown)?;
    let account = &by.account.object;
    let authz = owned(state, account, id).await?;
    let authz = match by.message.is_empty() {
        true => revive(state, account, authz).await?,
        false => {
            // RFC 8555 section 7.5.1: the client sends "an empty JSON body ("{}")"; members it may add are ignored.
            by.message.object::<serde_json::Map<String, serde_json::Value>>()?;
            begin(state, by, authz, kind).await?
        }
    };
    let challenge = authz.challenge(kind).cloned().ok_or_else(unknown)?;
    Ok((authz, challenge))
}

/// How long a client should wait before it looks again; nothing while nothing is under way.
pub fn retry_after(authz: &Authz) -> Option<u32> {
    let under_way = authz.status == AuthzStatus::Pending
        && authz.challenges.iter().any(|challenge| challenge.status == ChallengeStatus::Processing);
    under_way.then_some(RETRY_AFTER_PROCESSING_SECS)
}

async fn owned(state: &AcmeState, account: &Account, id: &str) -> Result<Stored<Authz>, Problem> {
    let authz = state.desk().get::<Authz>(id).await?.ok_or_else(|| Problem::not_found("authorization"))?;
    match authz.object.account == account.id {
        true => Ok(authz),
        false => Err(Problem::unauthorized("the authorization belongs to another account")),
    }
}

async fn begin(state: &AcmeState, by: &ByAccount, authz: Stored<Authz>, kind: ChallengeKind) -> Result<Authz, Problem> {
    let account = &by.account.object;
    let Some(begun) = authz.object.begin(kind, state.now())? else { return Ok(authz.object) };
    let place = state.checks().place(&account.id)?;
    by.spend(state, 1)?;
    match state.desk().write(&state.actor(account), vec![authz.next(&begun)]).await {
        Ok(()) => {
            spawn_check(state, account, &begun, kind, place);
            Ok(begun)
        }
        // Somebody else began it in the same moment: show what there is now.
        Err(DeskError::Moved(_)) => Ok(owned(state, account, &begun.id).await?.object),
        Err(error) => Err(error.into()),
    }
}

/// Begins a forgotten check again; of several readers one wins.
async fn revive(state: &AcmeState, account: &Account, authz: Stored<Authz>) -> Result<Authz, Problem> {
    let Some(kind) = authz.object.abandoned(state.now()) else { return Ok(authz.object) };
    let Ok(place) = state.checks().place(&account.id) else { return Ok(authz.object) };
    let begun = authz.object.begun_again(kind, state.now());
    match state.desk().write(&server_actor(), vec![authz.next(&begun)]).await {
        Ok(()) => {
            spawn_check(state, account, &begun, kind, place);
            Ok(begun)
        }
        Err(DeskError::Moved(_)) => Ok(authz.object),
        Err(error) => Err(error.into()),
    }
}

fn spawn_check(state: &AcmeState, account: &Account, authz: &Authz, kind: ChallengeKind, place: Place) {
    let (state, account, authz) = (state.clone(), account.clone(), authz.clone());
    let tasks = state.tasks().clone();
    tasks.spawn(async move {
        let Some(_turn) = place.turn().await else { return };
        let Some(challenge) = authz.challenge(kind) else { return };
        let thumbprint = account.key.thumbprint();
        let outcome = state.validator().check(kind, &authz.identifier, &challenge.token, &thumbprint).await;
        if let Err(problem) = conclude(&state, &account, &authz.id, kind, outcome).await {
            // The lease runs out, and the next reader has it checked again.
            tracing::error!(authz = authz.id, problem = problem.detail, "the outcome of a check could not be written");
        }
    });
}

async fn conclude(
    state: &AcmeState,
    account: &Account,
    id: &str,
    kind: ChallengeKind,
    outcome: Result<(), Problem>,
) -> Result<(), Problem> {
    for _ in 0..CONFLICT_RETRIES {
        let authz = owned(state, account, id).await?;
        let Ok(after) = authz.object.conclude(kind, outcome.clone(), state.now()) else {
            tracing::info!(authz = id, "the outcome of a check came after the authorization was decided");
            return Ok(());
        };
        match state.desk().write(&server_actor(), vec![authz.next(&after)]).await {
            Ok(()) => {
                state.quotas().decided(&account.id, &after.order);
                let (identifier, challenge) = (&after.identifier, kind.as_str());
                match &outcome {
                    Ok(()) => tracing::info!(authz = id, %identifier, challenge, "proven"),
                    Err(why) => tracing::info!(authz = id, %identifier, challenge, %why, "not proven"),
                }
                orders::read(state, account, &after.order).await?;
                return Ok(());
            }
            Err(DeskError::Moved(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(DeskError::Moved("acme-authz".to_owned()).into())
}
