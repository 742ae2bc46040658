//! What there is to say of secrets.

use axum::extract::State as Shared;
use axum::response::Response;
use http::StatusCode;
use policy::{Action, Owner, Resource};
use secrets::Kind;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::found::{SecretsFound, SecretsSought, found};
use super::rotation_shown::{moment, seconds};
use super::shown::SecretInfo;
use super::{granted, path_of};
use crate::app::App;
use crate::intake::{Caller, Params, Segment, json, page_rows};
use crate::problem::Problem;

/// A page of secrets.
#[derive(Serialize, ToSchema)]
pub(crate) struct SecretList {
    items: Vec<SecretInfo>,
    /// Where the next page begins; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    /// So many rows of this page that are not what the log says: they are left out, and the status names them. Told to whoever may list
    /// everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    altered: Option<u64>,
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
    /// With words in their path or description that begin as each word of this does, whatever the case: `bill db`. The first page has the
    /// first of all there are; they come by word, and of one word by owner and path.
    search: Option<String>,
    /// With this tag, `name` or `name=value`.
    tag: Option<String>,
    /// Those that are deleted too.
    deleted: Option<bool>,
    /// Whose current version expires within this time, seconds, or has; the first to expire first.
    expiring_secs: Option<u64>,
    /// Which nobody read for this time, seconds; those that were not read for longest first.
    unread_secs: Option<u64>,
    /// Of which a version waits as `pending` for longer than a day, and no rotation is at work.
    stuck: Option<bool>,
    /// Whose credential is older than their rotation allows.
    overdue: Option<bool>,
    /// Whose owner the configuration does not have any more.
    unowned: Option<bool>,
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
    let sought = SecretsSought {
        owner: filter.owner,
        within: filter.within.as_deref().map(path_of).transpose()?,
        text: filter.search,
        tag: filter.tag,
        deleted: filter.deleted.unwrap_or(false),
        expiring_secs: filter.expiring_secs,
        ends: None,
        unread_secs: filter.unread_secs,
        stuck: filter.stuck.unwrap_or(false),
        overdue: filter.overdue.unwrap_or(false),
        unowned: filter.unowned.unwrap_or(false),
        cursor: filter.cursor,
        limit: page_rows(filter.limit)?,
    };
    let SecretsFound { items, next, altered, now, .. } = found(&app, &actor, sought).await?;
    let items = items.iter().map(|(secret, read)| SecretInfo::brief(secret, now).read(read.as_ref())).collect();
    Ok(json(StatusCode::OK, &SecretList { items, next, altered }))
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
    let turning = match secret.is_rotated() {
        true => app.rotations().look(secret.path()).await?,
        false => None,
    };
    let next = turning.and_then(|turning| app.rotations().due(&turning, seconds(app.world().now())).map(moment));
    let refresh = match secret.kind() == Kind::OauthToken {
        true => app.refreshes().look(secret.path()).await?,
        false => None,
    };
    let read = app.vault().last_read(&secret).await?;
    // Asked, and not done: a refusal here is nobody's attempt.
    let on = Resource::secret(Some(secret.owner().clone()), secret.path().as_str());
    let may_read = app.authority().policies().permits(&actor, Action::ReadSecret, &on);
    let info = SecretInfo::whole(&secret, app.world().now()).rotated(next).refreshed(refresh.as_ref());
    Ok(json(StatusCode::OK, &info.read(read.as_ref()).for_reader(may_read)))
}
