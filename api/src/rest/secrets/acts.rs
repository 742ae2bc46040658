//! What is done with a secret.

use axum::extract::State as Shared;
use axum::response::Response;
use http::StatusCode;
use policy::Action;
use secrets::{Label, NameError, Which};
use serde::Deserialize;
use utoipa::ToSchema;

use super::rotations::{self, Word};
use super::shown::SecretInfo;
use super::{granted, path_of};
use crate::app::App;
use crate::intake::{Caller, Json, Segment, json};
use crate::problem::{Kind, Problem};

/// What is done, and with what.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Act {
    /// Where the secret stands.
    path: String,
    /// Which version: a label or a number. Of a rollback, absent: `previous`.
    #[serde(default)]
    version: Option<String>,
    /// Which versions are destroyed.
    #[serde(default)]
    versions: Vec<String>,
    /// Which label is moved; to no version: it goes. `pending` goes alone: its version is given up.
    #[serde(default)]
    label: Option<String>,
    /// For how many days what is deleted can be restored.
    #[serde(default)]
    retention_days: Option<u32>,
    /// Of a rotation: says what would be done, and does nothing.
    #[serde(default)]
    dry_run: bool,
    /// Of a rotation, since what is in use leaked: what happened.
    #[serde(default)]
    reason: Option<String>,
}

/// What can be done.
#[derive(Clone, Copy)]
enum Deed {
    Label,
    RollBack,
    Enable,
    Disable,
    Delete,
    Restore,
    Destroy,
    Purge,
}

impl Deed {
    fn of(word: &str) -> Option<Deed> {
        Some(match word {
            "label" => Deed::Label,
            "roll-back" => Deed::RollBack,
            "enable" => Deed::Enable,
            "disable" => Deed::Disable,
            "delete" => Deed::Delete,
            "restore" => Deed::Restore,
            "destroy" => Deed::Destroy,
            "purge" => Deed::Purge,
            _ => return None,
        })
    }

    fn action(self) -> Action {
        match self {
            Deed::Destroy | Deed::Purge => Action::DestroySecret,
            Deed::Label | Deed::RollBack | Deed::Enable | Deed::Disable | Deed::Delete | Deed::Restore => {
                Action::WriteSecret
            }
        }
    }
}

/// Moves a label (`label`), goes back to an older version (`roll-back`), takes versions out of use and back (`disable`, `enable`), a
/// secret (`delete`, `restore`), and does away with versions (`destroy`) or a deleted secret (`purge`) for good. Has its credential exchanged
/// now (`rotate`), or without waiting for anything since it leaked (`rotate-leaked`), goes back to the one before (`rotate-back`), and goes
/// on where that halted (`rotate-resume`): these four are answered with the rotation, once it is asked for and before it is done.
#[utoipa::path(post, path = "/api/v1/secret-acts/{act}", tag = "secrets", operation_id = "actOnSecret", request_body = Act,
    params(("act" = String, Path, description = "label, roll-back, enable, disable, delete, restore, destroy, purge, rotate, rotate-leaked, rotate-back or rotate-resume")),
    responses((status = 200, description = "Done", body = SecretInfo),
        (status = 202, description = "The rotation is asked for", body = super::rotation_shown::RotationInfo),
        (status = 409, description = "The state of the secret does not allow it"),
        (status = 410, description = "It is out of use")))]
pub(crate) async fn act(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Segment(word): Segment,
    Json(act): Json<Act>,
) -> Result<Response, Problem> {
    if let Some(word) = Word::of(&word, act.reason.as_deref())? {
        return rotations::said(&app, &actor, word, path_of(&act.path)?, act.dry_run).await;
    }
    if act.dry_run {
        return Err(Problem::field("dry_run", "Only a rotation has a dry run."));
    }
    if act.reason.is_some() {
        return Err(Problem::field("reason", "A reason is said of what leaked: rotate-leaked."));
    }
    let none = || Problem::new(Kind::NotFound, "Nothing of that name can be done with a secret.");
    let (deed, path) = (Deed::of(&word).ok_or_else(none)?, path_of(&act.path)?);
    let (_, grant) = granted(&app, &actor, deed.action(), &path).await?;
    let vault = app.vault().clone();
    let version = act.version.as_deref().map(|text| which("version", text)).transpose()?;
    let needed = |version: Option<Which>| version.ok_or_else(|| Problem::field("version", "Say which version."));
    let secret = match deed {
        Deed::Label => {
            let label = act.label.as_deref().ok_or_else(|| Problem::field("label", "Say which label."))?;
            let label = label.parse::<Label>().map_err(|error| Problem::field("label", error.to_string()))?;
            app.secret_to_its_end(async move { vault.label(grant, &path, &label, version.as_ref()).await }).await?
        }
        Deed::RollBack => {
            app.secret_to_its_end(async move { vault.roll_back(grant, &path, version.as_ref()).await }).await?
        }
        Deed::Enable | Deed::Disable => {
            let (which, is_enabled) = (needed(version)?, matches!(deed, Deed::Enable));
            app.secret_to_its_end(async move { vault.enable(grant, &path, &which, is_enabled).await }).await?
        }
        Deed::Delete => {
            let days = act.retention_days.unwrap_or(RETENTION_DAYS);
            app.secret_to_its_end(async move { vault.delete(grant, &path, days).await }).await?
        }
        Deed::Restore => app.secret_to_its_end(async move { vault.restore(grant, &path).await }).await?,
        Deed::Destroy => {
            let all = act.versions.iter().map(|text| which("versions", text)).collect::<Result<Vec<_>, _>>()?;
            if all.is_empty() {
                return Err(Problem::field("versions", "Say which versions."));
            }
            app.secret_to_its_end(async move { vault.destroy_versions(grant, &path, &all).await }).await?
        }
        Deed::Purge => app.secret_to_its_end(async move { vault.purge(grant, &path).await }).await?,
    };
    Ok(json(StatusCode::OK, &SecretInfo::whole(&secret, app.world().now())))
}

fn which(field: &'static str, text: &str) -> Result<Which, Problem> {
    text.parse().map_err(|error: NameError| Problem::field(field, error.to_string()))
}

/// What is deleted can be restored for so long where nobody says otherwise.
const RETENTION_DAYS: u32 = 30;
