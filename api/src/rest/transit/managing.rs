//! Keys are made, rotated, bounded, trimmed, destroyed.

use axum::extract::State as Shared;
use axum::response::Response;
use http::StatusCode;
use policy::{Action, Owner, Resource};
use secrets::keyring::{KeyWish, Settings};
use secrets::transit::{KeyKind, Mode};
use serde::Deserialize;
use utoipa::ToSchema;

use super::shown::TransitKeyInfo;
use super::{granted, name_of, owner_of};
use crate::app::App;
use crate::intake::{Caller, Json, Segment, Segments, json};
use crate::problem::{Kind, Problem};

/// A new key.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewTransitKey {
    /// What it is called.
    name: String,
    /// Whose it is; where nobody says, the caller's one owner, or the only one there is.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    owner: Option<Owner>,
    /// What it does: `aes256-gcm`, `chacha20-poly1305`, `hmac-sha256`, `ed25519`, `ecdsa-p256`.
    kind: String,
    /// How it is used: `plain`, `derived`, `convergent`; absent: `plain`.
    #[serde(default)]
    mode: Option<String>,
    /// After so many days it gets a new version by itself; 0: never.
    #[serde(default)]
    rotate_days: u32,
}

/// What is said of a key; what is absent stays.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TransitSettings {
    /// The oldest version under which something is opened and verified.
    #[serde(default)]
    min_decrypt: Option<u32>,
    /// The oldest under which something new is made.
    #[serde(default)]
    min_encrypt: Option<u32>,
    /// Whether it may be destroyed.
    #[serde(default)]
    deletable: Option<bool>,
    /// After so many days it gets a new version by itself; 0: never.
    #[serde(default)]
    rotate_days: Option<u32>,
}

/// Makes a key, with its version 1.
#[utoipa::path(post, path = "/api/v1/transit/keys", tag = "transit", operation_id = "createTransitKey", request_body = NewTransitKey,
    responses((status = 201, description = "Made", body = TransitKeyInfo),
        (status = 409, description = "There is one of that name")))]
pub(crate) async fn create(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Json(new): Json<NewTransitKey>,
) -> Result<Response, Problem> {
    let name = name_of(&new.name)?;
    let owner = owner_of(&app, &actor, new.owner, Action::ManageTransitKeys, |owner| {
        Resource::transit_key(Some(owner), name.as_str())
    })?;
    let on = Resource::transit_key(Some(owner.clone()), name.as_str());
    let grant = app.authorize(&actor, Action::ManageTransitKeys, on).await?;
    if !app.authority().policies().owners().iter().any(|rules| rules.name == owner) {
        return Err(Problem::field("owner", format!("The configuration has no owner `{owner}`.")));
    }
    let kind: KeyKind = new.kind.parse()?;
    let mode = new.mode.as_deref().map(str::parse::<Mode>).transpose()?.unwrap_or(Mode::Plain);
    let wish = KeyWish { kind, mode, rotate_days: new.rotate_days };
    let keys = app.transit().clone();
    let key = app.secret_to_its_end(async move { keys.create(grant, &name, &owner, wish).await }).await?;
    Ok(json(StatusCode::CREATED, &TransitKeyInfo::whole(&key)))
}

/// Says which versions are used for what, whether the key may be destroyed, and how often it gets a new version by itself.
#[utoipa::path(patch, path = "/api/v1/transit/keys/{key}", tag = "transit", operation_id = "configureTransitKey", request_body = TransitSettings,
    params(("key" = String, Path, description = "Its name")),
    responses((status = 200, description = "Said", body = TransitKeyInfo)))]
pub(crate) async fn configure(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Segment(name): Segment,
    Json(said): Json<TransitSettings>,
) -> Result<Response, Problem> {
    let name = name_of(&name)?;
    let (_, grant) = granted(&app, &actor, Action::ManageTransitKeys, &name).await?;
    let TransitSettings { min_decrypt, min_encrypt, deletable, rotate_days } = said;
    let settings = Settings { min_decrypt, min_encrypt, deletable, rotate_days };
    let keys = app.transit().clone();
    let key = app.secret_to_its_end(async move { keys.configure(grant, &name, settings).await }).await?;
    Ok(json(StatusCode::OK, &TransitKeyInfo::whole(&key)))
}

/// Gives a key a new version (`rotate`), or does away for good with those below the least one that opens (`trim`).
#[utoipa::path(post, path = "/api/v1/transit/keys/{key}/{act}", tag = "transit", operation_id = "actOnTransitKey",
    params(("key" = String, Path, description = "Its name"), ("act" = String, Path, description = "rotate or trim")),
    responses((status = 200, description = "Done", body = TransitKeyInfo),
        (status = 409, description = "The state of the key does not allow it")))]
pub(crate) async fn act(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Segments((name, word)): Segments<(String, String)>,
) -> Result<Response, Problem> {
    let is_trim = match word.as_str() {
        "rotate" => false,
        "trim" => true,
        _ => return Err(Problem::new(Kind::NotFound, "Nothing of that name can be done with a transit key.")),
    };
    let name = name_of(&name)?;
    let action = if is_trim { Action::DestroyTransitKey } else { Action::ManageTransitKeys };
    let (_, grant) = granted(&app, &actor, action, &name).await?;
    let keys = app.transit().clone();
    let work = async move {
        match is_trim {
            true => keys.trim(grant, &name).await,
            false => keys.rotate(grant, &name).await,
        }
    };
    Ok(json(StatusCode::OK, &TransitKeyInfo::whole(&app.secret_to_its_end(work).await?)))
}

/// Does away with a key for good, once somebody said that it may be destroyed. All that it ever sealed is lost.
#[utoipa::path(delete, path = "/api/v1/transit/keys/{key}", tag = "transit", operation_id = "destroyTransitKey",
    params(("key" = String, Path, description = "Its name")),
    responses((status = 204, description = "It is gone"),
        (status = 409, description = "Nobody said that it may be")))]
pub(crate) async fn destroy(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Segment(name): Segment,
) -> Result<StatusCode, Problem> {
    let name = name_of(&name)?;
    let (_, grant) = granted(&app, &actor, Action::DestroyTransitKey, &name).await?;
    let keys = app.transit().clone();
    app.secret_to_its_end(async move { keys.destroy(grant, &name).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}
