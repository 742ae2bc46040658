//! What readers read from their caches while nobody could be asked, told afterwards.

use axum::extract::State as Shared;
use axum::response::Response;
use http::StatusCode;
use policy::{Action, Timestamp};
use secrets::{KeptRead, Reference, Which};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::granted;
use crate::app::App;
use crate::intake::{Caller, Json, json};
use crate::problem::Problem;

/// So many are told at once.
const TOLD_MAX: usize = store::ACCESSED_MAX;

/// What was read from a cache.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CacheReads {
    /// 1 to 64.
    reads: Vec<CacheRead>,
}

/// One version, and when it was read from a cache.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CacheRead {
    /// `chy://path@number`: the version by its number, since a label has moved perhaps.
    #[schema(example = json!("chy://prod/db@7"))]
    reference: String,
    /// When it was read first, by the reader's clock.
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
    /// When last.
    #[schema(value_type = String, format = DateTime)]
    until: Timestamp,
}

/// What came of each, in their order.
#[derive(Serialize, ToSchema)]
pub(crate) struct CacheReadsTold {
    items: Vec<CacheReadTold>,
}

/// What came of one.
#[derive(Serialize, ToSchema)]
pub(crate) struct CacheReadTold {
    /// As it was told.
    reference: String,
    /// The entry of the log that says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    leaf: Option<u64>,
    /// Why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// The HTTP status that it alone would have had. Below 500 it need not be told again.
    status: u16,
}

/// Tells what was read from a sealed cache while the service could not be asked: an entry of the log for each, with the outcome `leased`. It
/// is the reader's word, and opens nothing.
#[utoipa::path(post, path = "/api/v1/secret-cache-reads", tag = "secrets", operation_id = "tellCacheReads", request_body = CacheReads,
    responses((status = 200, description = "What came of each, in their order", body = CacheReadsTold)))]
pub(crate) async fn tell(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Json(told): Json<CacheReads>,
) -> Result<Response, Problem> {
    if told.reads.is_empty() || told.reads.len() > TOLD_MAX {
        return Err(Problem::field("reads", format!("1 to {TOLD_MAX} are told at once.")));
    }
    let mut reads = Vec::with_capacity(told.reads.len());
    for (at, CacheRead { reference, since, until }) in told.reads.into_iter().enumerate() {
        let wrong = |why: String| Problem::field(format!("reads[{at}].reference"), why);
        let parsed = reference.parse::<Reference>().map_err(|error| wrong(error.to_string()))?;
        let Which::Version(_) = parsed.which else {
            return Err(wrong("Say the version by its number: chy://path@7.".to_owned()));
        };
        reads.push((reference, parsed, since, until));
    }
    let mut items = Vec::with_capacity(reads.len());
    for (reference, parsed, since, until) in reads {
        let (leaf, error, status) = match told_of(&app, &actor, parsed, (since, until)).await {
            Ok(leaf) => (Some(leaf), None, StatusCode::OK.as_u16()),
            Err(problem) => (None, Some(problem.detail().to_owned()), problem.kind().status().as_u16()),
        };
        items.push(CacheReadTold { reference, leaf, error, status });
    }
    Ok(json(StatusCode::OK, &CacheReadsTold { items }))
}

async fn told_of(
    app: &App,
    actor: &policy::Actor,
    Reference { path, which, .. }: Reference,
    (since, until): (Timestamp, Timestamp),
) -> Result<u64, Problem> {
    let (_, grant) = granted(app, actor, Action::ReadSecret, &path).await?;
    let vault = app.vault().clone();
    let read = KeptRead { grant, path, which, since, until };
    app.secret_to_its_end(async move { vault.kept_read(read).await }).await
}
