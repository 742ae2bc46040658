//! The second factor: enrolled, proved, taken away; by whom it is and by other administrators.
//!
//! Whoever has a token may enrol and prove: that asks no policy, as it gives nobody a right that the token has not. Those of others are seen by
//! who reads the log, and taken away by who manages tokens.

use axum::extract::State as Shared;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use policy::{Action, Resource, ResourceKind, Role, Timestamp};
use serde::{Deserialize, Serialize};
use store::{RecordFilter, StoreError};
use utoipa::{IntoParams, ToSchema};
use zeroize::Zeroizing;

use crate::app::App;
use crate::auth::{Factor, KIND, Token, factors};
use crate::intake::{Caller, Params, Segment, expect_type, json, page_rows, parse_hidden, read};
use crate::problem::Problem;
use crate::second;

/// A code, or a reason.
const BODY_BYTES_MAX: usize = 1_024;
/// Why somebody's device is taken out of use.
const REASON_CHARS_MAX: usize = 200;
/// What there is of a token without one.
const NONE: &str = "none";
/// Its row is not what the log says.
const ALTERED: &str = "altered";

/// How one's own second factor stands.
#[derive(Serialize, ToSchema)]
pub(crate) struct FactorInfo {
    /// `none`; `pending`: no code of it came back yet; `active`.
    state: &'static str,
    /// Since when.
    #[schema(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// Recovery codes that were not used yet.
    codes_left: usize,
    /// Seconds until a one-time password is looked at again, after too many wrong ones.
    waits_secs: i64,
    /// How old the second factor may be where an administrator acts; null where none is demanded.
    demanded_secs: Option<u32>,
    /// How many seconds ago this caller proved it; null: it did not, or too long ago.
    proved_secs_ago: Option<u64>,
}

/// A seed for a device, the only answer that ever shows it.
#[derive(Serialize, ToSchema)]
pub(crate) struct ShownSeed<'a> {
    /// In base32, as it is typed into an app.
    secret: &'a str,
    /// The same as `otpauth://` URI, as apps read it from a QR code: SHA-1, six digits, thirty seconds.
    uri: &'a str,
}

/// A code of the device, or one from paper.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GivenCode {
    /// Six digits; or sixteen letters and digits. Spaces and hyphens say nothing.
    #[serde(deserialize_with = "wiped")]
    #[schema(value_type = String, example = "123 456")]
    code: Zeroizing<String>,
}

/// Wiped once it was looked at.
fn wiped<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Zeroizing<String>, D::Error> {
    String::deserialize(from).map(Zeroizing::new)
}

/// A second factor, proved: the only answer that shows the login.
#[derive(Serialize, ToSchema)]
pub(crate) struct ShownLogin<'a> {
    /// To be sent with the token, in the header `Chancery-Second-Factor`. Worth nothing beside another token.
    login: &'a str,
    /// Its public half.
    id: &'a str,
    /// `totp`, `recovery-code`.
    method: &'static str,
    /// Until when it counts.
    #[schema(value_type = String, format = DateTime)]
    expires: Timestamp,
    /// Recovery codes that were not used yet.
    codes_left: usize,
    /// Recovery codes, each once, shown once: of an enrolment that counts from now on.
    #[serde(skip_serializing_if = "Option::is_none")]
    codes: Option<Vec<&'a str>>,
}

/// New recovery codes, shown once.
#[derive(Serialize, ToSchema)]
pub(crate) struct ShownCodes<'a> {
    codes: Vec<&'a str>,
}

/// Why another's second factor is taken away.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ResetWish {
    /// What the log keeps of it, 1 to 200 characters.
    #[schema(example = "the telephone was lost")]
    reason: String,
}

/// Tokens with their second factors.
#[derive(Serialize, ToSchema)]
pub(crate) struct FactorList {
    items: Vec<FactorOf>,
    /// The cursor of the next page, where there is one.
    next: Option<String>,
    /// So many tokens of this page whose rows are not what the log says: they speak for nobody, and the status names them.
    #[serde(skip_serializing_if = "Option::is_none")]
    altered: Option<u64>,
}

/// A token that lives, and its second factor.
#[derive(Serialize, ToSchema)]
pub(crate) struct FactorOf {
    /// The token's id.
    id: String,
    /// Who it speaks for.
    actor: String,
    #[schema(value_type = Vec<String>)]
    roles: Vec<Role>,
    /// `none`, `pending`, `active`, `altered`.
    state: &'static str,
    /// Since when.
    #[schema(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// Recovery codes that were not used yet.
    codes_left: usize,
    /// Wrong codes since the last right one.
    misses: u32,
}

/// Which page of them.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct FactorParams {
    /// Rows of a page, 1 to 1000; absent: 100. Tokens that ended are left out of it.
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// Tells how the caller's own second factor stands.
#[utoipa::path(get, path = "/api/v1/second-factor", tag = "tokens", operation_id = "showSecondFactor",
    responses((status = 200, description = "How it stands", body = FactorInfo)))]
pub(crate) async fn show(Shared(app): Shared<App>, Caller(actor): Caller) -> Result<Response, Problem> {
    let second::Standing { factor, waits_secs } = second::standing(&app, &actor).await?;
    let info = FactorInfo {
        state: state(factor.as_ref()),
        since: factor.as_ref().map(|factor| factor.since),
        codes_left: factor.as_ref().map_or(0, |factor| factor.codes.len()),
        waits_secs,
        demanded_secs: app.authority().policies().demand().map(policy::Demand::age_secs_max),
        proved_secs_ago: actor.second_factor.map(|factor| factor.age_secs),
    };
    Ok(json(StatusCode::OK, &info))
}

/// Draws a seed for the caller's device. It counts once a code of it came back.
#[utoipa::path(post, path = "/api/v1/second-factor", tag = "tokens", operation_id = "enrolSecondFactor",
    responses((status = 201, description = "The seed, shown once", body = ShownSeed<'_>),
        (status = 409, description = "There is one that counts")))]
pub(crate) async fn enrol(Shared(app): Shared<App>, Caller(actor): Caller) -> Result<Response, Problem> {
    let shown = second::begin(&app, &actor).await?;
    Ok(unkept(json(StatusCode::CREATED, &ShownSeed { secret: &shown.secret, uri: &shown.uri })))
}

/// Takes the first code of the device: from now on it counts.
#[utoipa::path(post, path = "/api/v1/second-factor/confirm", tag = "tokens", operation_id = "confirmSecondFactor", request_body = GivenCode,
    responses((status = 200, description = "It counts; the recovery codes, shown once, and a login", body = ShownLogin<'_>),
        (status = 404, description = "No enrolment waits")))]
pub(crate) async fn confirm(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    request: axum::extract::Request,
) -> Result<Response, Problem> {
    let given: GivenCode = hidden(&app, request).await?;
    let second::Confirmed { proved, codes } = second::confirm(&app, &actor, &given.code).await?;
    let codes = codes.iter().map(|code| code.as_str()).collect();
    Ok(shown(&proved, Some(codes)))
}

/// Proves the second factor: the answer is a login, which the caller sends beside its token for a while.
#[utoipa::path(post, path = "/api/v1/second-factor/prove", tag = "tokens", operation_id = "proveSecondFactor", request_body = GivenCode,
    responses((status = 200, description = "A login, shown once", body = ShownLogin<'_>),
        (status = 404, description = "This token has no second factor")))]
pub(crate) async fn prove(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    request: axum::extract::Request,
) -> Result<Response, Problem> {
    let given: GivenCode = hidden(&app, request).await?;
    let proved = second::prove(&app, &actor, &given.code).await?;
    Ok(shown(&proved, None))
}

/// Draws new recovery codes; those before count no more. It is proved by the second factor.
#[utoipa::path(post, path = "/api/v1/second-factor/recovery-codes", tag = "tokens", operation_id = "renewRecoveryCodes",
    responses((status = 200, description = "The codes, shown once", body = ShownCodes<'_>),
        (status = 404, description = "This token has no second factor")))]
pub(crate) async fn codes(Shared(app): Shared<App>, Caller(actor): Caller) -> Result<Response, Problem> {
    let codes = second::new_codes(&app, &actor).await?;
    Ok(unkept(json(StatusCode::OK, &ShownCodes { codes: codes.iter().map(|code| code.as_str()).collect() })))
}

/// Takes the caller's own second factor away. It is proved by itself.
#[utoipa::path(delete, path = "/api/v1/second-factor", tag = "tokens", operation_id = "removeSecondFactor",
    responses((status = 204, description = "It is gone"), (status = 404, description = "This token has none")))]
pub(crate) async fn remove(Shared(app): Shared<App>, Caller(actor): Caller) -> Result<StatusCode, Problem> {
    second::remove(&app, &actor).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes another token's second factor away: its device is lost, or in the wrong hands.
#[utoipa::path(post, path = "/api/v1/tokens/{id}/second-factor/reset", tag = "tokens", operation_id = "resetSecondFactor",
    params(("id" = String, Path, description = "The token's id, 16 hex digits")), request_body = ResetWish,
    responses((status = 204, description = "It is gone"), (status = 404, description = "That token has none"),
        (status = 409, description = "It is the caller's own")))]
pub(crate) async fn reset(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Segment(id): Segment,
    crate::intake::Json(wish): crate::intake::Json<ResetWish>,
) -> Result<StatusCode, Problem> {
    let reason = wish.reason.trim();
    if reason.is_empty() || reason.chars().count() > REASON_CHARS_MAX || reason.contains(char::is_control) {
        return Err(Problem::field("reason", format!("A reason is a line of 1 to {REASON_CHARS_MAX} characters.")));
    }
    second::reset(&app, &actor, &id, reason).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists the tokens that live, each with its second factor.
#[utoipa::path(get, path = "/api/v1/second-factors", tag = "tokens", operation_id = "listSecondFactors", params(FactorParams),
    responses((status = 200, description = "A page", body = FactorList)))]
pub(crate) async fn list(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Params(params): Params<FactorParams>,
) -> Result<Response, Problem> {
    let _grant = app.authorize(&actor, Action::ReadAudit, Resource::plain(ResourceKind::Audit)).await?;
    let limit = page_rows(params.limit)?;
    let filter = RecordFilter { limit, after: params.cursor, ..RecordFilter::default() };
    let page = app.ledger().record_page(KIND, filter).await?;
    let next = page.get(limit - 1).map(|last| last.id.clone());
    let (factors, now) = (factors(app.ledger()).await?, app.world().now());
    let (mut items, mut altered) = (Vec::new(), 0_u64);
    for listed in &page {
        // One that somebody altered speaks for nobody, and takes no other off the list.
        let Ok(record) = &listed.record else {
            altered += 1;
            continue;
        };
        let token = Token::from_record(record).map_err(StoreError::Corrupt)?;
        if token.revoked_at.is_some() || token.expires <= now {
            continue;
        }
        let there = factors.get(&token.id);
        let factor = there.and_then(Option::as_ref);
        items.push(FactorOf {
            actor: format!("token:{}", token.body.name),
            roles: token.body.roles.iter().copied().collect(),
            state: of(there),
            since: factor.map(|factor| factor.since),
            codes_left: factor.map_or(0, |factor| factor.codes.len()),
            misses: factor.map_or(0, |factor| factor.misses),
            id: token.id,
        });
    }
    let altered = Some(altered).filter(|count| *count > 0);
    Ok(json(StatusCode::OK, &FactorList { items, next, altered }))
}

/// The word for what a list has of a token.
pub(super) fn of(there: Option<&Option<Factor>>) -> &'static str {
    match there {
        Some(None) => ALTERED,
        Some(Some(factor)) => state(Some(factor)),
        None => NONE,
    }
}

/// The word for what there is of a token.
fn state(factor: Option<&Factor>) -> &'static str {
    use crate::auth::FactorState;
    match factor.map(|factor| factor.state) {
        Some(state @ (FactorState::Pending | FactorState::Active)) => state.as_str(),
        Some(FactorState::Removed) | None => NONE,
    }
}

fn shown(proved: &second::Proved, codes: Option<Vec<&str>>) -> Response {
    let login = ShownLogin {
        login: proved.login.expose(),
        id: &proved.id,
        method: proved.method.as_str(),
        expires: proved.expires,
        codes_left: proved.codes_left,
        codes,
    };
    unkept(json(StatusCode::OK, &login))
}

/// A body that may hold a code: what is wrong with it is told without it.
async fn hidden(app: &App, request: axum::extract::Request) -> Result<GivenCode, Problem> {
    expect_type(request.headers(), &["application/json"])?;
    let bytes = read(request, BODY_BYTES_MAX, app).await?;
    parse_hidden(&bytes)
}

/// What nobody keeps on the way (RFC 9111 section 5.2.2.5).
fn unkept(response: Response) -> Response {
    let mut response = response.into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
