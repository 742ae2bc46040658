//! Values.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::State as Shared;
use axum::response::Response;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use policy::Action;
use secrets::{FieldName, Kind as SecretKind, Opened, Reference, SecretPath, Which};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::resolving::{self, Answered, Root};
use super::shown::SecretValues;
use super::{granted, path_of};
use crate::app::App;
use crate::intake::{Caller, Json, Params, Segment, json, none_match};
use crate::limits::SECRET_ANSWER_BYTES_MAX;
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
    responses((status = 200, description = "Its values", body = SecretValues<'static>),
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
    let (secret, grant) = granted(&app, &actor, Action::ReadSecret, &path).await?;
    let sha256 = secret.sha256_of(&which, app.ledger().believed_time())?;
    // What a reference stands for changes without it, and so does a certificate: of such a one nobody has the present value by its own
    // digest.
    let is_alone = secret.is_alone(&which)? && secret.kind() != SecretKind::CertificateBundle;
    let etag = quoted(sha256);
    // Nobody has a field that is not there.
    let has_field = field.as_ref().map(|field| secret.has_field(&which, field)).transpose()?.unwrap_or(true);
    if is_alone && has_field && none_match(&headers, &etag) == Some(true) {
        let mut unchanged = Response::new(axum::body::Body::empty());
        *unchanged.status_mut() = StatusCode::NOT_MODIFIED;
        return Ok(closed(unchanged, Some(&etag)));
    }
    let answered = resolving::read_one(&app, &actor, (secret, grant), &which).await?;
    let Answered { opened, said } = answered.as_ref();
    field.as_ref().map(|field| field_of(opened, field)).transpose()?;
    let etag = (is_alone && opened.is_alone()).then(|| quoted(&opened.sha256));
    let values = SecretValues::of(opened, field.as_ref().map(FieldName::as_str), said);
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
pub(crate) struct Answers<'a> {
    items: Vec<Answer<'a>>,
}

/// What came of one.
#[derive(Serialize, ToSchema)]
pub(crate) struct Answer<'a> {
    /// As it was asked for.
    reference: &'a str,
    /// The value, with the field that was asked for alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<SecretValues<'a>>,
    /// Why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// The type of the problem that it alone would have been (RFC 9457): `urn:chancery:problem:no-field` where the secret is there and may
    /// be read, and has no such field.
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<String>,
    /// The HTTP status that it alone would have had.
    status: u16,
}

/// Reads many at once, each for itself; those that one rule allows share one entry of the log.
#[utoipa::path(post, path = "/api/v1/secret-values", tag = "secrets", operation_id = "readSecrets", request_body = Wish,
    responses((status = 200, description = "What came of each, in their order", body = Answers<'static>)))]
pub(crate) async fn many(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Json(wish): Json<Wish>,
) -> Result<Response, Problem> {
    if wish.references.is_empty() || wish.references.len() > store::ACCESSED_MAX {
        let says = format!("1 to {} references are read at once.", store::ACCESSED_MAX);
        return Err(Problem::field("references", says));
    }
    let mut references = Vec::with_capacity(wish.references.len());
    for (at, text) in wish.references.iter().enumerate() {
        let wrong = |error: secrets::NameError| Problem::field(format!("references[{at}]"), error.to_string());
        references.push(text.parse::<Reference>().map_err(wrong)?);
    }
    let keep_secs = wish.keep_secs.min(app.limits().cache.as_secs());
    let (mut wanted, mut places) = (Vec::new(), Vec::new());
    let mut outcomes: Vec<Result<Arc<Answered>, Problem>> = Vec::with_capacity(references.len());
    // What is refused is asked once, and is one entry of the log.
    let mut refused: HashMap<&SecretPath, Problem> = HashMap::new();
    for (at, Reference { path, which, .. }) in references.iter().enumerate() {
        let outcome = match refused.get(path) {
            Some(problem) => Err(problem.clone()),
            None => granted(&app, &actor, Action::ReadSecret, path).await,
        };
        outcomes.push(Err(match outcome {
            Ok((secret, grant)) => {
                wanted.push(Root { grant, secret, which: which.clone(), keep_secs });
                places.push(at);
                Problem::new(Kind::NotFound, "It was not read.")
            }
            Err(problem) => {
                refused.insert(path, problem.clone());
                problem
            }
        }));
    }
    for (at, outcome) in places.into_iter().zip(resolving::read_all(&app, &actor, wanted).await?) {
        put(&mut outcomes, at, outcome);
    }
    let mut bytes = 0;
    let items = wish.references.iter().zip(&references).zip(&outcomes).map(|((text, reference), outcome)| {
        let shown = outcome.as_ref().map_err(Clone::clone).and_then(|answered| {
            bytes += field_of(&answered.opened, &reference.field)?.len();
            if bytes > SECRET_ANSWER_BYTES_MAX { Err(resolving::too_much()) } else { Ok(answered) }
        });
        match shown {
            Ok(answered) => {
                let secret = SecretValues::of(&answered.opened, Some(reference.field.as_str()), &answered.said);
                let status = StatusCode::OK.as_u16();
                Answer { reference: text, secret: Some(secret), error: None, r#type: None, status }
            }
            Err(problem) => {
                let (error, kind) = (Some(problem.detail().to_owned()), problem.kind());
                let (r#type, status) = (Some(kind.urn()), kind.status().as_u16());
                Answer { reference: text, secret: None, error, r#type, status }
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

fn quoted(sha256: &str) -> String {
    format!("\"{sha256}\"")
}

pub(super) fn which_of(text: Option<&str>) -> Result<Which, Problem> {
    let which = text.map(str::parse::<Which>).transpose();
    Ok(which.map_err(|error| Problem::field("version", error.to_string()))?.unwrap_or_default())
}

fn field_of<'a>(opened: &'a Opened, field: &FieldName) -> Result<&'a [u8], Problem> {
    opened.fields.get(field.as_str()).ok_or_else(|| {
        let there: Vec<&str> = opened.fields.names().map(FieldName::as_str).collect();
        let (number, path) = (opened.number, opened.secret.path());
        Problem::no_field(format!("version {number} of {path} has no field {field}: {}", there.join(", ")))
    })
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
