//! New versions, and what is said of a secret.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use axum::extract::State as Shared;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use policy::{Action, Actor, Owner, Resource, Timestamp};
use secrets::{Change, FieldName, Fields, Kind, Naming, Patch, Put, Reference, Secret, SecretPath};
use serde::Deserialize;
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::shown::SecretInfo;
use super::{Hidden, granted, owner_of, path_of, quietly};
use crate::app::App;
use crate::intake::{Caller, Json, Segment, json, once, once_or_not};
use crate::problem::Problem;

/// A new version.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewVersion {
    /// Fields as text; the others stay, unless `whole` is said.
    #[serde(default, deserialize_with = "once")]
    #[schema(value_type = BTreeMap<String, String>)]
    fields: BTreeMap<String, Text>,
    /// Fields as base64 of their bytes.
    #[serde(default, deserialize_with = "once")]
    #[schema(value_type = BTreeMap<String, String>)]
    base64: BTreeMap<String, Text>,
    /// Fields that are references to fields of other secrets: `chy://path#field@version`. Who reads this one needs the right to those too.
    #[serde(default, deserialize_with = "once")]
    references: BTreeMap<String, String>,
    /// Fields that go.
    #[serde(default)]
    remove: Vec<String>,
    /// These fields are all there are.
    #[serde(default)]
    whole: bool,
    /// The newest version that the caller knows; 0: there is no secret yet.
    #[serde(default)]
    expect: Option<u64>,
    /// It becomes `pending` instead of `current`.
    #[serde(default)]
    pending: bool,
    /// From when it is used.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    not_before: Option<Timestamp>,
    /// Until when.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires: Option<Timestamp>,
    /// Whose a new secret is; where nobody says, the caller's one owner, or the only one there is.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    owner: Option<Owner>,
    /// Of what kind a new secret is; `generic` where nobody says.
    #[serde(default)]
    kind: Option<String>,
    /// What its kind draws (a password, a key) is drawn anew.
    #[serde(default)]
    draw: bool,
    /// What it is for, in a line; absent: as it was.
    #[serde(default)]
    description: Option<String>,
    /// By what else it is found: these instead of those before; absent: as they were.
    #[serde(default, deserialize_with = "once_or_not")]
    tags: Option<BTreeMap<String, String>>,
    /// So many versions without a label are kept; absent: as it was.
    #[serde(default)]
    keep: Option<u16>,
    /// For so many seconds at most a reader may keep it in a sealed cache; 0: not at all; absent: as it was.
    #[serde(default)]
    cache_secs: Option<u64>,
}

/// What is said of a secret; what is absent stays.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Said {
    /// What it is for, in a line.
    #[serde(default)]
    description: Option<String>,
    /// By what else it is found: these instead of those before.
    #[serde(default, deserialize_with = "once_or_not")]
    tags: Option<BTreeMap<String, String>>,
    /// So many versions without a label are kept.
    #[serde(default)]
    keep: Option<u16>,
    /// Whether nothing of it may be destroyed.
    #[serde(default)]
    purge_lock: Option<bool>,
    /// For so many seconds at most a reader may keep it in a sealed cache; 0: not at all.
    #[serde(default)]
    cache_secs: Option<u64>,
}

/// A value on its way in, wiped when it is done with.
#[derive(Deserialize)]
#[serde(transparent)]
pub(crate) struct Text(policy::Secret<String>);

/// Writes a version, which is `current` from now on; the first makes the secret.
#[utoipa::path(put, path = "/api/v1/secrets/{path}", tag = "secrets", operation_id = "putSecret", request_body = NewVersion,
    params(("path" = String, Path, description = "Where it stands, with its slashes")),
    responses((status = 201, description = "Written", body = SecretInfo),
        (status = 409, description = "The newest version is another than the expected one"),
        (status = 410, description = "The secret is deleted")))]
pub(crate) async fn put(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Segment(path): Segment,
    Hidden(new): Hidden<NewVersion>,
) -> Result<Response, Problem> {
    let path = path_of(&path)?;
    let there = app.vault().look(&path).await?.filter(|secret| !secret.is_gone());
    let owner = match &there {
        Some(secret) => secret.owner().clone(),
        None => owner_of(&app, &actor, new.owner.clone(), Action::WriteSecret, |owner| {
            Resource::secret(Some(owner), path.as_str())
        })?,
    };
    // Whose it is learns nobody who may not write it.
    let grant = quietly(&app, &actor, Action::WriteSecret, Some(owner.clone()), &path).await?;
    if let Some(secret) = &there {
        may_destroy(&app, &actor, secret, (new.keep, None)).await?;
    }
    if new.owner.as_ref().is_some_and(|said| *said != owner) {
        return Err(Problem::field("owner", format!("The secret is {owner}'s, and stays so.")));
    }
    if there.is_none() && !app.authority().policies().owners().iter().any(|rules| rules.name == owner) {
        return Err(Problem::field("owner", format!("The configuration has no owner `{owner}`.")));
    }
    may_be_cached(app.limits().cache, new.cache_secs)?;
    let put = wish(new)?;
    may_refer(&app, &actor, &path, put.references.values()).await?;
    let refreshes = app.refreshes().clone();
    let secret = app.secret_to_its_end(async move { refreshes.put(grant, &path, &owner, put).await }).await?;
    Ok(json(StatusCode::CREATED, &SecretInfo::whole(&secret, app.world().now())))
}

/// Says something else of a secret.
#[utoipa::path(patch, path = "/api/v1/secrets/{path}", tag = "secrets", operation_id = "describeSecret", request_body = Said,
    params(("path" = String, Path, description = "Where it stands, with its slashes")),
    responses((status = 200, description = "Said", body = SecretInfo)))]
pub(crate) async fn describe(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Segment(path): Segment,
    Json(said): Json<Said>,
) -> Result<Response, Problem> {
    let path = path_of(&path)?;
    let (secret, grant) = granted(&app, &actor, Action::WriteSecret, &path).await?;
    may_destroy(&app, &actor, &secret, (said.keep, said.purge_lock)).await?;
    may_be_cached(app.limits().cache, said.cache_secs)?;
    let Said { description, tags, keep, purge_lock, cache_secs } = said;
    let naming = Naming { kind: None, description, tags, keep, purge_lock, cache_secs };
    let vault = app.vault().clone();
    let secret = app.secret_to_its_end(async move { vault.describe(grant, &path, &naming).await }).await?;
    Ok(json(StatusCode::OK, &SecretInfo::whole(&secret, app.world().now())))
}

/// What lets versions go that would stay is an act of whoever may destroy them: a lock that is taken away, and fewer that are kept.
async fn may_destroy(
    app: &App,
    actor: &Actor,
    secret: &Secret,
    (keep, lock): (Option<u16>, Option<bool>),
) -> Result<(), Problem> {
    let is_unlocked = secret.is_purge_locked() && lock == Some(false);
    if is_unlocked || keep.is_some_and(|keep| keep < secret.keep()) {
        let on = Resource::secret(Some(secret.owner().clone()), secret.path().as_str());
        app.authorize(actor, Action::DestroySecret, on).await?;
    }
    Ok(())
}

/// Of one secret less may be said than the service lets anybody, and never more: nobody would keep to it.
fn may_be_cached(most: Duration, wish_secs: Option<u64>) -> Result<(), Problem> {
    let most = most.as_secs();
    match wish_secs.is_some_and(|secs| secs > most) {
        true => {
            let says =
                format!("The service lets nobody keep a secret in a cache for more than {most} s: say that or less.");
            Err(Problem::field("cache_secs", says))
        }
        false => Ok(()),
    }
}

/// Whoever writes a reference may read what it refers to: else he would have it sent to where he says by whoever reads both.
async fn may_refer(
    app: &App,
    actor: &Actor,
    own: &SecretPath,
    references: impl Iterator<Item = &Reference>,
) -> Result<(), Problem> {
    // One to itself has its own words, where it is read.
    let paths: BTreeSet<&SecretPath> = references.map(|one| &one.path).filter(|path| *path != own).collect();
    for path in paths {
        granted(app, actor, Action::ReadSecret, path).await?;
    }
    Ok(())
}

fn wish(new: NewVersion) -> Result<Put, Problem> {
    let NewVersion { fields, base64, references, remove, whole, expect, pending, not_before, expires, draw, .. } = new;
    let kind = new.kind.as_deref().map(str::parse::<Kind>).transpose();
    let kind = kind.map_err(|error| Problem::field("kind", error.to_string()))?;
    let NewVersion { description, tags, keep, cache_secs, .. } = new;
    let naming = Naming { kind, description, tags, keep, purge_lock: None, cache_secs };
    let mut patch = Patch::new();
    let mut set = |name: String, value: Zeroizing<Vec<u8>>| -> Result<(), Problem> {
        let name = field_name(&name)?;
        if patch.names().any(|there| *there == name) {
            return Err(Problem::field("fields", format!("The field {name} is said twice.")));
        }
        patch = std::mem::take(&mut patch).set(name, value);
        Ok(())
    };
    for (name, Text(value)) in fields {
        set(name, Zeroizing::new(value.expose().as_bytes().to_vec()))?;
    }
    for (name, Text(value)) in base64 {
        let bytes = STANDARD.decode(value.expose().as_bytes());
        let bytes = bytes
            .map_err(|_| Problem::field("base64", format!("The field {} is not base64.", policy::shown(&name))))?;
        set(name, Zeroizing::new(bytes))?;
    }
    let change = match whole {
        false => {
            let removed = remove.iter().map(|name| field_name(name)).collect::<Result<Vec<_>, _>>()?;
            Change::Patch(removed.into_iter().fold(patch, Patch::remove))
        }
        true if remove.is_empty() => {
            let mut all = Fields::new();
            all.merge(patch).map_err(|error| Problem::field("fields", error.to_string()))?;
            Change::Whole(all)
        }
        true => return Err(Problem::field("remove", "Where these fields are all there are, none is removed.")),
    };
    let mut links = BTreeMap::new();
    for (name, text) in references {
        let wrong = |error: secrets::NameError| Problem::field("references", error.to_string());
        links.insert(field_name(&name)?, text.parse::<Reference>().map_err(wrong)?);
    }
    Ok(Put { references: links, change, expect, not_before, expires, draw, pending, naming })
}

fn field_name(text: &str) -> Result<FieldName, Problem> {
    text.parse().map_err(|error: secrets::NameError| Problem::field("fields", error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_one_secret_nobody_says_more_than_the_service_lets_anybody_keep_it() {
        let hour = Duration::from_secs(3_600);
        for fits in [None, Some(0), Some(600), Some(3_600)] {
            assert!(may_be_cached(hour, fits).is_ok(), "{fits:?}");
        }
        let refused = may_be_cached(hour, Some(5_400)).expect_err("an hour and a half");
        assert!(refused.detail().contains("3600 s"), "{}", refused.detail());
        assert!(may_be_cached(Duration::ZERO, Some(0)).is_ok() && may_be_cached(Duration::ZERO, Some(1)).is_err());
    }
}
