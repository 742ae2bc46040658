//! What there is to say of secrets.

use axum::extract::State as Shared;
use axum::response::Response;
use http::StatusCode;
use policy::{Action, Owner, Resource};
use secrets::{Search, SecretPath};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::shown::SecretInfo;
use super::{granted, path_of};
use crate::app::App;
use crate::intake::{Caller, Params, Segment, json, page_rows};
use crate::observe::inventory::only_owner;
use crate::problem::Problem;

/// A page of secrets.
#[derive(Serialize, ToSchema)]
pub(crate) struct SecretList {
    items: Vec<SecretInfo>,
    /// Where the next page begins; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// Which secrets.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct SecretFilter {
    /// Of this owner.
    #[param(value_type = Option<String>)]
    owner: Option<Owner>,
    /// At this path or below it.
    within: Option<String>,
    /// With this in their path or description, whatever the case.
    search: Option<String>,
    /// With this tag, `name` or `name=value`.
    tag: Option<String>,
    /// Those that are deleted too.
    deleted: Option<bool>,
    /// Where the last page ended.
    cursor: Option<String>,
    /// Rows of a page.
    limit: Option<u32>,
}

/// Lists secrets without their values: those that the caller may know of. A page may be short, and says where the next begins.
#[utoipa::path(get, path = "/api/v1/secrets", tag = "secrets", operation_id = "listSecrets", params(SecretFilter),
    responses((status = 200, description = "A page", body = SecretList)))]
pub(crate) async fn list(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Params(filter): Params<SecretFilter>,
) -> Result<Response, Problem> {
    let owner = filter.owner.or_else(|| only_owner(&actor));
    // Who may list nothing at all is told so; who may list some sees these.
    let within = filter.within.as_deref().map(path_of).transpose()?;
    let policies = app.authority().policies();
    let may = |owner: &Owner, path: &SecretPath| {
        let on = Resource::secret(Some(owner.clone()), path.as_str());
        policies.decide(&actor, Action::ListSecrets, &on).is_ok()
    };
    let of = owner.clone().or_else(|| actor.owners.iter().next().cloned());
    let on = Resource::secret(of, within.as_ref().map(SecretPath::as_str).unwrap_or_default());
    let _grant = app.authorize(&actor, Action::ListSecrets, on).await?;
    let tag = filter.tag.map(|tag| match tag.split_once('=') {
        Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
        None => (tag, None),
    });
    let search = Search {
        owner,
        within,
        text: filter.search,
        tag,
        deleted: filter.deleted.unwrap_or(false),
        after: filter.cursor,
        limit: page_rows(filter.limit)?,
    };
    let (found, next) = app.vault().list(&search, may).await?;
    let now = app.world().now();
    let items = found.iter().map(|secret| SecretInfo::brief(secret, now)).collect();
    Ok(json(StatusCode::OK, &SecretList { items, next }))
}

/// One secret with its versions, without their values.
#[utoipa::path(get, path = "/api/v1/secrets/{path}", tag = "secrets", operation_id = "showSecret",
    params(("path" = String, Path, description = "Where it stands, with its slashes")),
    responses((status = 200, description = "What there is to say of it", body = SecretInfo)))]
pub(crate) async fn show(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Segment(path): Segment,
) -> Result<Response, Problem> {
    let (secret, _grant) = granted(&app, &actor, Action::ListSecrets, &path_of(&path)?).await?;
    // Asked, and not done: a refusal here is nobody's attempt.
    let on = Resource::secret(Some(secret.owner().clone()), secret.path().as_str());
    let may_read = app.authority().policies().decide(&actor, Action::ReadSecret, &on).is_ok();
    Ok(json(StatusCode::OK, &SecretInfo::whole(&secret, app.world().now()).for_reader(may_read)))
}
