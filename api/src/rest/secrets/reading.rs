//! Values.

use axum::extract::State as Shared;
use axum::response::Response;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use policy::Action;
use secrets::{FieldName, Kind as SecretKind, Opened, Reference, SecretError, Which};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::resolving::{self, Answered, Root};
use super::shown::SecretValues;
use super::{granted, path_of};
use crate::app::App;
use crate::intake::{Caller, Json, Params, Segment, json};
use crate::problem::{Kind, Problem};

/// Which version.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct WhichVersion {
    /// A label or a number; absent: `current`.
    version: Option<String>,
    /// This field alone.
    field: Option<String>,
}

/// The values of one version. With `If-None-Match` of what one has, 304 where that is still it: then nothing is opened and nothing
/// is logged.
#[utoipa::path(get, path = "/api/v1/secret-values/{path}", tag = "secrets", operation_id = "readSecret",
    params(("path" = String, Path, description = "Where it stands, with its slashes"), WhichVersion),
    responses((status = 200, description = "Its values", body = SecretValues),
        (status = 304, description = "The caller has it"),
        (status = 410, description = "It is out of use")))]
pub(crate) async fn one(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Segment(path): Segment,
    Params(asked): Params<WhichVersion>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let path = path_of(&path)?;
    let which = which_of(asked.version.as_deref())?;
    let field = asked.field.as_deref().map(str::parse::<FieldName>).transpose();
    let field = field.map_err(|error| Problem::field("field", error.to_string()))?;
    let (secret, _grant) = granted(&app, &actor, Action::ReadSecret, &path).await?;
    let etag = format!("\"{}\"", secret.sha256_of(&which, app.world().now())?);
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    // What a reference stands for changes without it, and so does a certificate: of such a one nobody has the present value by its own
    // digest.
    let is_alone = secret.references(&which)?.is_empty() && secret.kind() != SecretKind::CertificateBundle;
    if is_alone && known.is_some_and(|known| known.split(',').any(|one| one.trim() == etag)) {
        let mut unchanged = Response::new(axum::body::Body::empty());
        *unchanged.status_mut() = StatusCode::NOT_MODIFIED;
        return Ok(closed(unchanged, Some(&etag)));
    }
    let Answered { opened, said } = resolving::read_one(&app, &actor, &path, &which).await?;
    has_field(&opened, field.as_ref())?;
    let etag = Some(format!("\"{}\"", opened.sha256)).filter(|_| is_alone);
    let values = SecretValues::of(opened, field.as_ref().map(FieldName::as_str)).saying(said);
    Ok(closed(json(StatusCode::OK, &values), etag.as_deref()))
}

/// What is wanted, as references.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wish {
    /// `chy://path#field@version`, 1 to 64.
    #[schema(example = json!(["chy://prod/db#password", "chy://prod/api#key@previous"]))]
    references: Vec<String>,
    /// For so many seconds the caller would keep the values in a sealed cache. Each answer says for how long he may (`lease`), and the
    /// entry of the log says until when.
    #[serde(default)]
    keep_secs: u64,
}

/// What came of each.
#[derive(Serialize, ToSchema)]
pub(crate) struct Answers {
    items: Vec<Answer>,
}

/// What came of one.
#[derive(Serialize, ToSchema)]
pub(crate) struct Answer {
    /// As it was asked for.
    reference: String,
    /// The value, with the field that was asked for alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<SecretValues>,
    /// Why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// The HTTP status that it alone would have had.
    status: u16,
}

/// Reads many at once, each for itself; those that one rule allows share one entry of the log.
#[utoipa::path(post, path = "/api/v1/secret-values", tag = "secrets", operation_id = "readSecrets", request_body = Wish,
    responses((status = 200, description = "What came of each, in their order", body = Answers)))]
pub(crate) async fn many(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Json(wish): Json<Wish>,
) -> Result<Response, Problem> {
    if wish.references.is_empty() || wish.references.len() > store::ACCESSED_MAX {
        let says = format!("1 to {} references are read at once.", store::ACCESSED_MAX);
        return Err(Problem::field("references", says));
    }
    let mut outcomes: Vec<Result<Answered, Problem>> = Vec::with_capacity(wish.references.len());
    let mut references = Vec::with_capacity(wish.references.len());
    for (at, text) in wish.references.iter().enumerate() {
        let wrong = |error: secrets::NameError| Problem::field(format!("references[{at}]"), error.to_string());
        references.push(text.parse::<Reference>().map_err(wrong)?);
    }
    let keep_secs = wish.keep_secs.min(app.limits().cache.as_secs());
    let (mut wanted, mut places) = (Vec::new(), Vec::new());
    for (at, reference) in references.iter().enumerate() {
        let (path, which) = (reference.path.clone(), reference.which.clone());
        outcomes.push(Err(Problem::new(Kind::NotFound, "It was not read.")));
        match granted(&app, &actor, Action::ReadSecret, &path).await {
            Ok((secret, grant)) => {
                wanted.push(Root { grant, secret, which, keep_secs });
                places.push(at);
            }
            Err(problem) => put(&mut outcomes, at, Err(problem)),
        }
    }
    for (at, outcome) in places.into_iter().zip(resolving::read_all(&app, &actor, wanted).await?) {
        put(&mut outcomes, at, outcome);
    }
    let items = wish.references.into_iter().zip(references).zip(outcomes).map(|((text, reference), outcome)| {
        let field = Some(&reference.field);
        match outcome.and_then(|answered| has_field(&answered.opened, field).map(|()| answered)) {
            Ok(Answered { opened, said }) => {
                let secret = SecretValues::of(opened, field.map(FieldName::as_str)).saying(said);
                Answer { reference: text, secret: Some(secret), error: None, status: StatusCode::OK.as_u16() }
            }
            Err(problem) => {
                let (error, status) = (Some(problem.detail().to_owned()), problem.kind().status().as_u16());
                Answer { reference: text, secret: None, error, status }
            }
        }
    });
    Ok(closed(json(StatusCode::OK, &Answers { items: items.collect() }), None))
}

fn put<T>(outcomes: &mut [T], at: usize, outcome: T) {
    if let Some(place) = outcomes.get_mut(at) {
        *place = outcome;
    }
}

pub(super) fn which_of(text: Option<&str>) -> Result<Which, Problem> {
    let which = text.map(str::parse::<Which>).transpose();
    Ok(which.map_err(|error| Problem::field("version", error.to_string()))?.unwrap_or_default())
}

fn has_field(opened: &Opened, field: Option<&FieldName>) -> Result<(), Problem> {
    match field {
        Some(field) if opened.fields.get(field.as_str()).is_none() => {
            let there: Vec<&str> = opened.fields.names().map(FieldName::as_str).collect();
            let why = format!(
                "version {} of {} has no field {field}: {}",
                opened.number,
                opened.secret.path(),
                there.join(", ")
            );
            Err(SecretError::NotFound(why).into())
        }
        Some(_) | None => Ok(()),
    }
}

/// An answer that nobody on the way may keep.
pub(super) fn closed(mut response: Response, etag: Option<&str>) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(etag) = etag.and_then(|etag| HeaderValue::from_str(etag).ok()) {
        headers.insert(header::ETAG, etag);
    }
    response
}
