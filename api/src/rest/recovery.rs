//! Recovery over HTTP: the recovery key of the register, and how far everything is wrapped to it.
//!
//! Shares never come here: what a ceremony made of the private half is on paper. The public half is taken from whoever manages the
//! authority, as an entry of the log; from then on what is written is wrapped to it. Where several administer, a key that follows another is
//! brought by two of them.

use axum::extract::State as Shared;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use policy::{Action, Resource, ResourceKind, Timestamp};
use secrets::recovery::RecoveryKey;
use secrets::{Brought, KeyWaits, Recovery, Wrapping};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::tokens::another_administers;
use crate::app::App;
use crate::intake::{Caller, Json, ManagesAuthority, Permitted, json};
use crate::problem::{Kind, Problem};

/// How a register's recovery stands.
#[derive(Serialize, ToSchema)]
pub(crate) struct RecoveryInfo {
    /// The log's name, for which a ceremony makes a key.
    log: String,
    /// The newest recovery key; null before a ceremony.
    key: Option<RecoveryKeyInfo>,
    /// Who took it.
    taken_by: Option<String>,
    /// And when.
    #[schema(value_type = Option<String>, format = DateTime)]
    taken_at: Option<Timestamp>,
    /// The one that is to follow it, which one administrator brought and another is to bring too; null where none waits.
    waits: Option<WaitingKey>,
    /// When its shares were joined in a machine: then a new ceremony is to be held. Null where they were not.
    #[schema(value_type = Option<String>, format = DateTime)]
    joined_at: Option<Timestamp>,
    /// How many keys are sealed by the token: those of versions of secrets, and that of the register's heads.
    sealed: u64,
    /// `no-key`, `begun` (the shares do not open everything yet), `done`.
    wrapping: &'static str,
    /// Of a walk of this node that is under way: how many keys it looked at.
    looked: Option<u64>,
    /// And of how many.
    of: Option<u64>,
    /// Whether a walk was asked for that has not ended.
    asked: bool,
    /// Why the last walk did not come to its end.
    trouble: Option<String>,
    /// Once it is done: with how many keys it could not be.
    left: Option<u64>,
    /// The first of those.
    which: Vec<LeftKey>,
}

/// A recovery key: its public half, in which nothing is secret.
#[derive(Serialize, ToSchema)]
pub(crate) struct RecoveryKeyInfo {
    /// Which one, from 1.
    generation: u16,
    /// How many shares open.
    needed: u8,
    /// How many there are.
    shares: u8,
    /// Which set its shares are of, as it stands on the papers.
    set: String,
    /// SHA-256 of the key, as it stands on the papers.
    fingerprint: String,
    /// The key, base64.
    key: String,
}

/// A recovery key that waits for another administrator to bring it too.
#[derive(Serialize, ToSchema)]
pub(crate) struct WaitingKey {
    /// Which one.
    generation: u16,
    /// SHA-256 of it, as it stands on the papers.
    fingerprint: String,
    /// Who brought it.
    by: String,
    /// Until then.
    #[schema(value_type = String, format = DateTime)]
    until: Timestamp,
}

/// A sealed key that is not wrapped.
#[derive(Serialize, ToSchema)]
pub(crate) struct LeftKey {
    /// Its name in the register.
    id: String,
    /// Why.
    why: String,
}

/// The public half that a ceremony released.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewRecoveryKey {
    /// The key, base64.
    key: String,
}

impl RecoveryInfo {
    /// As it stands now.
    async fn now(app: &App) -> Result<RecoveryInfo, Problem> {
        let (recovery, waits) = (app.vault().recovery().await?, app.vault().recovery_key_waits().await?);
        Ok(RecoveryInfo::of(app, recovery, waits))
    }

    fn of(app: &App, recovery: Recovery, waits: Option<KeyWaits>) -> RecoveryInfo {
        let (wrapping, so_far, left, which) = match recovery.wrapping {
            Wrapping::NoKey => ("no-key", None, None, Vec::new()),
            Wrapping::Begun(so_far) => ("begun", so_far, None, Vec::new()),
            Wrapping::Done(left, which) => ("done", app.vault().walked_so_far(), Some(left), which),
        };
        let (looked, of) = so_far.unzip();
        let (taken_by, taken_at) = recovery.taken.into_iter().next().map(|taken| (taken.by, taken.at)).unzip();
        RecoveryInfo {
            log: app.ledger().origin().to_owned(),
            key: recovery.key.as_deref().map(RecoveryKeyInfo::of),
            taken_by,
            taken_at,
            waits: waits.map(|KeyWaits { generation, fingerprint, by, until, .. }| WaitingKey {
                generation,
                fingerprint,
                by,
                until,
            }),
            joined_at: recovery.joined.map(|joined| joined.at),
            sealed: recovery.sealed,
            wrapping,
            looked,
            of,
            asked: app.wrapping().is_asked(),
            trouble: app.wrapping().trouble(),
            left,
            which: which.into_iter().map(|left| LeftKey { id: left.id, why: left.why }).collect(),
        }
    }
}

impl RecoveryKeyInfo {
    fn of(key: &RecoveryKey) -> RecoveryKeyInfo {
        RecoveryKeyInfo {
            generation: key.generation(),
            needed: key.threshold(),
            shares: key.shares(),
            set: key.set().to_string(),
            fingerprint: key.fingerprint().iter().map(|byte| format!("{byte:02x}")).collect(),
            key: STANDARD.encode(key.to_bytes()),
        }
    }
}

/// Tells how the register's recovery stands.
#[utoipa::path(get, path = "/api/v1/recovery", tag = "secrets", operation_id = "showRecovery",
    responses((status = 200, description = "How it stands", body = RecoveryInfo)))]
pub(crate) async fn show(Shared(app): Shared<App>, Caller(actor): Caller) -> Result<Response, Problem> {
    app.authorize(&actor, Action::ReadStatus, Resource::plain(ResourceKind::Status)).await?;
    let mut info = RecoveryInfo::now(&app).await?;
    // They are named by their paths: whoever may not list every secret has their number.
    if !app.lookout().lists_every_owner(&actor) {
        info.which.clear();
    }
    Ok(json(StatusCode::OK, &info))
}

/// Takes the public half of a recovery key that a ceremony released: of this log, and of the next generation. What is written from now on is
/// wrapped to it, and what was there before by the service itself. One that follows another is taken once two administrators brought it within a
/// day, where there are two.
#[utoipa::path(post, path = "/api/v1/recovery", tag = "secrets", operation_id = "takeRecoveryKey", request_body = NewRecoveryKey,
    responses((status = 201, description = "It is the register's recovery key", body = RecoveryInfo),
        (status = 202, description = "Another administrator is to bring it too", body = RecoveryInfo),
        (status = 422, description = "It is another register's, or not of the next generation")))]
pub(crate) async fn take(
    Shared(app): Shared<App>,
    by: Permitted<ManagesAuthority>,
    Json(new): Json<NewRecoveryKey>,
) -> Result<Response, Problem> {
    let bytes = STANDARD.decode(&new.key).map_err(|_| Problem::field("key", "It is base64."))?;
    let key = RecoveryKey::from_bytes(&bytes).map_err(|error| Problem::field("key", error.to_string()))?;
    let vault = app.vault().clone();
    let is_for_two = another_administers(&app, &by.actor).await?;
    let brought = async move {
        match is_for_two {
            true => vault.bring_recovery_key(&by.grant, &key).await,
            false => vault.take_recovery_key(&by.grant, &key).await.map(|()| Brought::Taken),
        }
    };
    let status = match app.secret_to_its_end(brought).await? {
        Brought::Taken => {
            app.wrapping().ask();
            StatusCode::CREATED
        }
        Brought::Waits => StatusCode::ACCEPTED,
    };
    Ok(json(status, &RecoveryInfo::now(&app).await?))
}

/// Has the service look at everything that is sealed, and wrap to the newest recovery key what is not.
#[utoipa::path(post, path = "/api/v1/recovery/wrap", tag = "secrets", operation_id = "wrapToRecoveryKey",
    responses((status = 202, description = "It is asked for; GET /api/v1/recovery shows how far it is", body = RecoveryInfo),
        (status = 404, description = "There is no recovery key")))]
pub(crate) async fn wrap(Shared(app): Shared<App>, _by: Permitted<ManagesAuthority>) -> Result<Response, Problem> {
    if app.vault().recovery_key().await?.is_none() {
        return Err(Problem::new(Kind::NotFound, "This register has no recovery key: a ceremony makes one."));
    }
    app.wrapping().ask();
    Ok(json(StatusCode::ACCEPTED, &RecoveryInfo::now(&app).await?))
}
