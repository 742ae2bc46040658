//! What is made of secrets without showing them: codes of one-time passwords, and public keys.

use axum::extract::State as Shared;
use axum::response::Response;
use http::{HeaderValue, StatusCode, header};
use policy::{Action, Timestamp};
use secrets::Wanted;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::reading::{closed, which_of};
use super::{granted, path_of};
use crate::app::App;
use crate::intake::{Caller, Params, Segment, json, typed};
use crate::problem::{Kind, Problem};

/// Of which version.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct CodeOf {
    /// A label or a number; absent: `current`.
    version: Option<String>,
}

/// A code.
#[derive(Serialize, ToSchema)]
pub(crate) struct CodeInfo {
    /// Of which secret.
    path: String,
    /// Of which version of its seed.
    version: u64,
    /// The digits, with leading zeros.
    code: String,
    /// Until when it is the present one.
    #[schema(value_type = String, format = DateTime)]
    until: Timestamp,
    /// The entry of the log that says so.
    leaf: u64,
}

/// The present code of a one-time password (RFC 6238), without its seed.
#[utoipa::path(get, path = "/api/v1/secret-codes/{path}", tag = "secrets", operation_id = "showSecretCode", params(CodeOf,
    ("path" = String, Path, description = "Where the seed stands, with its slashes")),
    responses((status = 200, description = "The code", body = CodeInfo), (status = 410, description = "It is out of use")))]
pub(crate) async fn show(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Segment(path): Segment,
    Params(of): Params<CodeOf>,
) -> Result<Response, Problem> {
    let (path, which) = (path_of(&path)?, which_of(of.version.as_deref())?);
    let (_, grant) = granted(&app, &actor, Action::ReadSecretCode, &path).await?;
    let code = app.vault().code(Wanted { grant, path: path.clone(), known: None, which, keep_secs: 0 }).await?;
    let info = CodeInfo {
        path: path.to_string(),
        version: code.number,
        code: code.code.to_string(),
        until: code.until,
        leaf: code.leaf,
    };
    Ok(closed(json(StatusCode::OK, &info), None))
}

/// The public keys of a signing key that is published (RFC 7517): of the current version, the one before and the one to come. For anybody.
#[utoipa::path(get, path = "/.well-known/jwks/{path}", tag = "secrets", operation_id = "publishedKeys",
    params(("path" = String, Path, description = "Where the signing key stands, with its slashes")),
    responses((status = 200, description = "A JWK set", content((String = "application/jwk-set+json"))),
        (status = 404, description = "Nothing is published there")))]
pub(crate) async fn jwks(Shared(app): Shared<App>, Segment(path): Segment) -> Result<Response, Problem> {
    let none = || Problem::new(Kind::NotFound, "No signing key is published there.");
    let path = path_of(&path).map_err(|_| none())?;
    let keys = app.vault().jwks(&path, app.ledger().believed_time()).await?.ok_or_else(none)?;
    let mut response = typed(StatusCode::OK, "application/jwk-set+json", keys);
    response.headers_mut().insert(header::CACHE_CONTROL, KEEP);
    Ok(response)
}

/// Shorter than any overlap of a rotation: who verifies tokens has the next key before it signs.
const KEEP: HeaderValue = HeaderValue::from_static("public, max-age=300");
