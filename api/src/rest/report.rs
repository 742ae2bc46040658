//! What an access review asks: of each secret who may read it, who did, and how old it is; of each token whose it is. For auditors.
//!
//! Pages: neither the secrets nor the tokens are ever all in memory, but for the tokens that may read, of which there is a bounded number
//! ([`Readers`]).

use axum::extract::State as Shared;
use axum::response::Response;
use http::StatusCode;
use policy::{Action, Resource, ResourceKind, Role, Timestamp};
use secrets::{LastRead, Secret, SecretError, Turning, of_one};
use serde::{Deserialize, Serialize};
use store::RecordFilter;
use utoipa::{IntoParams, ToSchema};

use super::readers::{MayRead, NAMED_MAX, Readers, token_of, turn};
use super::second_factor;
use super::secrets::found::{SecretsFound, SecretsSought, found};
use crate::app::App;
use crate::auth::{KIND, Token, factors};
use crate::intake::{Caller, Params, json};
use crate::problem::Problem;

/// Secrets of a page, at most: each is held against every token.
const ROWS_MAX: usize = 100;

const HOUR_SECS: i64 = 3_600;

/// Which page.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ReportParams {
    /// Who read since so many seconds is named.
    since_secs: Option<u64>,
    /// Where the last page ended.
    cursor: Option<String>,
    /// Rows of a page, 1 to 100. A page of the report may have fewer, and says where the next begins.
    limit: Option<u32>,
}

/// A page of secrets as an access review sees them.
#[derive(Serialize, ToSchema)]
pub(crate) struct SecretsReport {
    items: Vec<SecretReview>,
    /// Where the next page begins; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    /// There are more tokens than were held against the secrets: `may_read` names too few.
    tokens_left_out: bool,
    /// So many rows of this page that are not what the log says, of secrets, of their rotations: they are left out, and the status names
    /// them.
    #[serde(skip_serializing_if = "Option::is_none")]
    altered: Option<u64>,
}

/// A secret as an access review sees it. Never a value.
#[derive(Serialize, ToSchema)]
struct SecretReview {
    path: String,
    owner: String,
    kind: String,
    /// Whether the configuration has its owner.
    owned: bool,
    #[schema(value_type = String, format = DateTime)]
    made: Timestamp,
    /// When its current version was written.
    #[schema(value_type = Option<String>, format = DateTime)]
    rotated: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    expires: Option<Timestamp>,
    /// How old its credential may grow, seconds; null where no rotation says so.
    period_secs: Option<u64>,
    /// By how many seconds it is older.
    overdue_secs: Option<u64>,
    /// The hour in which it was read last, whenever that was, by its beginning: the register knows no minute of the newest reading.
    #[schema(value_type = Option<String>, format = DateTime)]
    last_read_hour: Option<Timestamp>,
    /// Who began to read it in that hour last.
    last_read_by: Option<String>,
    /// Who read it in the time that was asked for: of each reader the last hour.
    readers: Vec<ReadBy>,
    /// There are more than are named.
    more_readers: bool,
    /// Whose tokens policy would let read it now, by their names.
    may_read: Vec<String>,
    /// How many there are.
    may_read_total: u64,
}

#[derive(Serialize, ToSchema)]
struct ReadBy {
    by: String,
    /// The first time of that hour.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// The entry of the log that says so.
    leaf: u64,
}

/// Secrets for an access review: who may read each, who did, how old it is.
#[utoipa::path(get, path = "/api/v1/report/secrets", tag = "audit", operation_id = "reportSecrets", params(ReportParams),
    responses((status = 200, description = "A page", body = SecretsReport)))]
pub(crate) async fn secrets(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Params(params): Params<ReportParams>,
) -> Result<Response, Problem> {
    let _grant = app.authorize(&actor, Action::ReadAudit, Resource::plain(ResourceKind::Audit)).await?;
    let wanted = rows(params.limit)?;
    let (turn, policies) = (turn().await?, app.authority().policies());
    let readers = Readers::living(&app, &policies, app.world().now()).await?;
    let (limit, tokens_left_out) = (readers.rows(wanted), readers.left_out);
    let sought = SecretsSought { cursor: params.cursor, limit, ..SecretsSought::default() };
    let SecretsFound { items, next, now, mut altered, .. } = found(&app, &actor, sought).await?;
    let since =
        params.since_secs.map(|secs| now.plus_secs(-i64::try_from(secs).unwrap_or(i64::MAX / 4).min(i64::MAX / 4)));
    let on = items.iter().map(|(secret, _)| Resource::secret(Some(secret.owner().clone()), secret.path().as_str()));
    let may_read = readers.may_read(turn, policies, on.collect()).await?;
    let mut reviews = Vec::with_capacity(items.len());
    for ((secret, read), may_read) in items.iter().zip(may_read) {
        match of_one(rotation(&app, secret).await)? {
            Some(turning) => {
                reviews.push(review(&app, (secret, read.as_ref(), turning), may_read, (since, now)).await?);
            }
            // How old it may grow is not known of it.
            None => altered = Some(altered.unwrap_or(0).saturating_add(1)),
        }
    }
    Ok(json(StatusCode::OK, &SecretsReport { items: reviews, next, tokens_left_out, altered }))
}

/// The rotation that exchanges it, where one does.
async fn rotation(app: &App, secret: &Secret) -> Result<Option<Turning>, SecretError> {
    match secret.is_rotated() {
        true => app.rotations().look(secret.path()).await,
        false => Ok(None),
    }
}

async fn review(
    app: &App,
    (secret, read, turning): (&Secret, Option<&LastRead>, Option<Turning>),
    may_read: MayRead,
    (since, now): (Option<Timestamp>, Timestamp),
) -> Result<SecretReview, Problem> {
    let policies = app.authority().policies();
    let mut readers = app.vault().readers(secret, NAMED_MAX + 1).await?;
    readers.retain(|reading| since.is_none_or(|since| reading.at >= since));
    let more_readers = readers.len() > NAMED_MAX;
    readers.truncate(NAMED_MAX);
    let secs = u64::try_from(now.unix()).unwrap_or_default();
    let rotation = turning.as_ref().map(secrets::Turning::rotation);
    Ok(SecretReview {
        path: secret.path().to_string(),
        owner: secret.owner().to_string(),
        kind: secret.kind().to_string(),
        owned: policies.owners().iter().any(|rules| rules.name == *secret.owner()),
        made: secret.made(),
        rotated: secret.turned(),
        expires: secret.ends(),
        period_secs: rotation.and_then(|rotation| rotation.settings().schedule.period_secs),
        overdue_secs: rotation.and_then(|rotation| rotation.overdue_secs(secs)),
        last_read_hour: read.map(|read| hour(read.at)),
        last_read_by: read.map(|read| read.by.clone()),
        readers: readers.into_iter().map(|read| ReadBy { by: read.reader, at: read.at, leaf: read.leaf }).collect(),
        more_readers,
        may_read: may_read.named,
        may_read_total: may_read.total,
    })
}

/// A page of tokens as an access review sees them.
#[derive(Serialize, ToSchema)]
pub(crate) struct TokensReport {
    items: Vec<TokenReview>,
    /// Where the next page begins; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    /// So many rows of this page that are not what the log says: they are left out, and the status names them.
    #[serde(skip_serializing_if = "Option::is_none")]
    altered: Option<u64>,
}

/// A token as an access review sees it. Never its secret.
#[derive(Serialize, ToSchema)]
struct TokenReview {
    id: String,
    /// Who it speaks for.
    actor: String,
    #[schema(value_type = Vec<String>)]
    roles: Vec<Role>,
    owners: Vec<String>,
    made_by: String,
    #[schema(value_type = String, format = DateTime)]
    expires: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    revoked: Option<Timestamp>,
    /// Whether it is believed now.
    lives: bool,
    /// `none`; `pending`: no code of it came back yet; `active`; `altered`: its row is not what the log says, and proves nothing.
    second_factor: &'static str,
    /// Since when.
    #[schema(value_type = Option<String>, format = DateTime)]
    second_factor_since: Option<Timestamp>,
}

/// Tokens for an access review: who they speak for, with which roles, and until when.
#[utoipa::path(get, path = "/api/v1/report/tokens", tag = "audit", operation_id = "reportTokens", params(ReportParams),
    responses((status = 200, description = "A page", body = TokensReport)))]
pub(crate) async fn tokens(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Params(params): Params<ReportParams>,
) -> Result<Response, Problem> {
    let _grant = app.authorize(&actor, Action::ReadAudit, Resource::plain(ResourceKind::Audit)).await?;
    let limit = rows(params.limit)?;
    let filter = RecordFilter { limit, after: params.cursor, ..RecordFilter::default() };
    let page = app.ledger().record_page(KIND, filter).await?;
    let next = page.last().filter(|_| page.len() == limit).map(|last| last.id.clone());
    let (factors, now) = (factors(app.ledger()).await?, app.world().now());
    let tokens: Vec<Token> = page.iter().filter_map(token_of).collect();
    let altered = u64::try_from(page.len().saturating_sub(tokens.len())).ok().filter(|count| *count > 0);
    let items = tokens.into_iter().map(|token| TokenReview {
        second_factor: second_factor::of(factors.get(&token.id)),
        second_factor_since: factors.get(&token.id).and_then(Option::as_ref).map(|factor| factor.since),
        lives: token.revoked_at.is_none() && token.expires > now,
        actor: format!("token:{}", token.body.name),
        roles: token.body.roles.iter().copied().collect(),
        owners: token.body.owners.iter().map(ToString::to_string).collect(),
        made_by: token.body.created_by,
        expires: token.expires,
        revoked: token.revoked_at,
        id: token.id,
    });
    Ok(json(StatusCode::OK, &TokensReport { items: items.collect(), next, altered }))
}

/// The beginning of the hour of a moment.
fn hour(at: Timestamp) -> Timestamp {
    at.plus_secs(-at.unix().rem_euclid(HOUR_SECS))
}

fn rows(limit: Option<u32>) -> Result<usize, Problem> {
    match limit.map_or(Ok(ROWS_MAX), usize::try_from) {
        Ok(rows) if (1..=ROWS_MAX).contains(&rows) => Ok(rows),
        Ok(_) | Err(_) => Err(Problem::field("limit", format!("A page has 1 to {ROWS_MAX} rows."))),
    }
}
