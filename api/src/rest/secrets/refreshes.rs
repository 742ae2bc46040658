//! Refreshes over HTTP: how an OAuth token is got anew before it ends.
//!
//! Whoever sets one up may write the token, and read it and the client's secret: where both are sent is said here and nowhere else.

use axum::extract::State as Shared;
use axum::response::Response;
use http::StatusCode;
use policy::{Action, Actor, Grant, Timestamp};
use secrets::{Endpoint, Refresh, RefreshWish, SecretError, SecretPath, Way};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::rotation_shown::moment;
use super::{granted, path_of};
use crate::app::App;
use crate::intake::{Caller, Json, Segment, json};
use crate::problem::Problem;

/// How a token is refreshed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewRefresh {
    /// The token endpoint: https, or http within the server's own host.
    #[schema(example = "https://idp.example/oauth/token")]
    url: String,
    /// The secret of the client, an `oauth-client`; the caller may read it.
    #[schema(example = "prod/oauth/client")]
    client: String,
    /// `refresh-token` (RFC 6749 section 6) or `client-credentials` (section 4.4).
    way: String,
    /// So many seconds before its end; of a shorter token when half of it is over.
    #[serde(default = "ahead_secs")]
    ahead_secs: u64,
    /// The roots of the endpoint's certificate (PEM); absent: those of the server's system.
    #[serde(default)]
    roots: Option<String>,
    /// The client proves itself in the body, and not by HTTP Basic.
    #[serde(default)]
    post: bool,
}

/// A refresh.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RefreshInfo {
    path: String,
    owner: String,
    url: String,
    client: String,
    way: &'static str,
    ahead_secs: u64,
    post: bool,
    /// When the last token came; absent where none did yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    refreshed: Option<Timestamp>,
    /// When it is asked next; absent where somebody has to look first.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    next: Option<Timestamp>,
    /// `refused`, or `unanswered`: the refresh token may be used up.
    #[serde(skip_serializing_if = "Option::is_none")]
    halted: Option<&'static str>,
    /// How often it was asked in vain since the last token came.
    tries: u32,
    /// What the endpoint said last, where it gave none.
    #[serde(skip_serializing_if = "Option::is_none")]
    said: Option<String>,
}

/// Sets up how a token is refreshed, or changes it; what it halted at counts no more.
#[utoipa::path(put, path = "/api/v1/secret-refreshes/{path}", tag = "secrets", operation_id = "setSecretRefresh",
    request_body = NewRefresh,
    params(("path" = String, Path, description = "Where the token stands, with its slashes")),
    responses((status = 200, description = "It is set up", body = RefreshInfo),
        (status = 409, description = "It is being refreshed at this moment")))]
pub(crate) async fn put(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Segment(path): Segment,
    Json(new): Json<NewRefresh>,
) -> Result<Response, Problem> {
    let path = path_of(&path)?;
    let (_, grant) = granted(&app, &actor, Action::WriteSecret, &path).await?;
    let _granted = granted(&app, &actor, Action::ReadSecret, &path).await?;
    let wish = wish(new)?;
    let _granted = granted(&app, &actor, Action::ReadSecret, &wish.client).await?;
    let (refreshes, places) = (app.refreshes().clone(), app.places().clone());
    let set = async move { refreshes.set(grant, &path, wish, &places).await };
    let refresh = app.secret_to_its_end(set).await?;
    app.refresh_asked().notify_one();
    Ok(json(StatusCode::OK, &info(&refresh)))
}

/// How a token is refreshed, and when next.
#[utoipa::path(get, path = "/api/v1/secret-refreshes/{path}", tag = "secrets", operation_id = "showSecretRefresh",
    params(("path" = String, Path, description = "Where the token stands, with its slashes")),
    responses((status = 200, description = "How", body = RefreshInfo)))]
pub(crate) async fn show(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Segment(path): Segment,
) -> Result<Response, Problem> {
    let (refresh, _grant) = refresh(&app, &actor, Action::ListSecrets, &path).await?;
    Ok(json(StatusCode::OK, &info(&refresh)))
}

/// Refreshes a token now; where it halted, somebody has looked, and it goes on.
#[utoipa::path(post, path = "/api/v1/secret-refreshes/{path}", tag = "secrets", operation_id = "refreshSecret",
    params(("path" = String, Path, description = "Where the token stands, with its slashes")),
    responses((status = 202, description = "It is asked for", body = RefreshInfo),
        (status = 409, description = "It is being refreshed at this moment")))]
pub(crate) async fn ask(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Segment(path): Segment,
) -> Result<Response, Problem> {
    let (there, grant) = refresh(&app, &actor, Action::WriteSecret, &path).await?;
    let (refreshes, path) = (app.refreshes().clone(), there.path().clone());
    let refresh = app.secret_to_its_end(async move { refreshes.ask(grant, &path).await }).await?;
    app.refresh_asked().notify_one();
    Ok(json(StatusCode::ACCEPTED, &info(&refresh)))
}

/// Ends it: the token stays as it is, and nobody refreshes it.
#[utoipa::path(delete, path = "/api/v1/secret-refreshes/{path}", tag = "secrets", operation_id = "endSecretRefresh",
    params(("path" = String, Path, description = "Where the token stands, with its slashes")),
    responses((status = 204, description = "It ended"), (status = 409, description = "It is being refreshed at this moment")))]
pub(crate) async fn end(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Segment(path): Segment,
) -> Result<StatusCode, Problem> {
    let (there, grant) = refresh(&app, &actor, Action::WriteSecret, &path).await?;
    let (refreshes, path) = (app.refreshes().clone(), there.path().clone());
    app.secret_to_its_end(async move { refreshes.end(grant, &path).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What there is at a path, and the right to do something with the token there.
async fn refresh(app: &App, actor: &Actor, action: Action, path: &str) -> Result<(Refresh, Grant), Problem> {
    let path: SecretPath = path_of(path)?;
    let (_, grant) = granted(app, actor, action, &path).await?;
    let none = || Problem::from(SecretError::NotFound(format!("no refresh of {path} is set up")));
    Ok((app.refreshes().look(&path).await?.ok_or_else(none)?, grant))
}

fn wish(new: NewRefresh) -> Result<RefreshWish, Problem> {
    let NewRefresh { url, client, way, ahead_secs, roots, post } = new;
    let way = [Way::RefreshToken, Way::ClientCredentials].into_iter().find(|known| known.as_str() == way);
    let way = way.ok_or_else(|| Problem::field("way", "A way is refresh-token or client-credentials."))?;
    Ok(RefreshWish { at: Endpoint { url, roots, post }, client: path_of(&client)?, way, ahead_secs })
}

fn info(refresh: &Refresh) -> RefreshInfo {
    let (tries, said) = refresh.trouble().map(|(tries, said)| (tries, said.to_owned())).unzip();
    RefreshInfo {
        path: refresh.path().to_string(),
        owner: refresh.owner().to_string(),
        url: refresh.at().url.clone(),
        client: refresh.client().to_owned(),
        way: refresh.way().as_str(),
        ahead_secs: refresh.ahead_secs(),
        post: refresh.at().post,
        refreshed: refresh.refreshed().map(moment),
        next: refresh.due().map(moment),
        halted: refresh.halted().map(secrets::Halt::as_str),
        tries: tries.unwrap_or(0),
        said,
    }
}

/// Ten minutes.
fn ahead_secs() -> u64 {
    600
}
