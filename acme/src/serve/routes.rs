//! The HTTP face: paths, statuses and header fields; what happens is decided elsewhere.
//!
//! The router's paths are relative to `/acme`: mount it with `Router::nest("/acme", router(state))`, so that the path it sees is
//! the one below `external_url`/acme that the JWS names. The client's address, for the limits per address, is taken from a
//! `ConnectInfo<SocketAddr>` request extension; requests without one are counted together.

use axum::Router;
use axum::extract::{FromRequestParts, Path, Query, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::request::Parts;
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::views;
use crate::acts::{accounts, authorizations, issue, orders, renewal, revoke};
use crate::gate::{AcmeState, ByAccount, ByEither, ByKey, actor_id};
use crate::limits::{RETRY_AFTER_MARKED_SECS, RETRY_AFTER_PROCESSING_SECS, RETRY_AFTER_RENEWAL_SECS};
use crate::objects::{Account, Order, OrderStatus, store_problem};
use crate::wire::{ErrorKind, Problem};

const REPLAY_NONCE: HeaderName = HeaderName::from_static("replay-nonce");

/// The ACME server's routes.
pub fn router(state: AcmeState) -> Router {
    Router::new()
        // RFC 8555 section 6.3: "The server MUST allow GET requests for the directory and newNonce resources (see
        // Sections 7.1.1 and 7.2), in addition to POST-as-GET requests for these resources."
        .route("/directory", get(directory).post(signed_directory))
        // RFC 8555 section 7.2: HEAD gets 200, GET gets 204.
        .route("/new-nonce", axum::routing::head(StatusCode::OK).get(StatusCode::NO_CONTENT).post(signed_nonce))
        .route("/new-account", post(new_account))
        .route("/new-order", post(new_order))
        .route("/key-change", post(key_change))
        .route("/revoke-cert", post(revoke_cert))
        .route("/account/{id}", post(account))
        .route("/account/{id}/orders", post(account_orders))
        .route("/order/{id}", post(order))
        .route("/order/{id}/finalize", post(finalize))
        .route("/authz/{id}", post(authz))
        .route("/chall/{authz}/{kind}", post(challenge))
        // RFC 9773 section 4.1: "an unauthenticated GET request".
        .route("/renewal-info/{certificate}", get(renewal_info))
        .route("/cert/{serial}", post(certificate))
        .route("/cert/{serial}/{chain}", post(other_chain))
        .fallback(async || Problem::not_found("resource"))
        .method_not_allowed_fallback(async || {
            Problem::malformed("this resource is read by POST-as-GET").with_status(405)
        })
        .layer(middleware::from_fn_with_state(state.clone(), decorate))
        .with_state(state)
}

impl AcmeState {
    /// A refusal from before this room (too many requests at once, a deadline), as an ACME client reads it: a problem of RFC 8555
    /// with a nonce, so that the client tries again instead of giving up.
    pub fn refusal(&self, status: u16, detail: &str, retry_after_secs: Option<u32>) -> Response {
        let kind = match status {
            400..=499 => ErrorKind::Malformed,
            _ => ErrorKind::ServerInternal,
        };
        let problem = Problem { retry_after_secs, ..Problem::new(kind, detail).with_status(status) };
        let mut response = problem.into_response();
        self.decorate(&mut response, true);
        response
    }

    fn decorate(&self, response: &mut Response, wants_nonce: bool) {
        let headers = response.headers_mut();
        if wants_nonce {
            put(headers, REPLAY_NONCE, &self.nonces().mint());
        }
        put(headers, header::LINK, &format!("<{}>;rel=\"index\"", self.urls().directory()));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}

/// Link rel=index on every response and nothing of it cached; a nonce on those to whom it is of use.
///
/// RFC 8555 section 6.5: a nonce on every answer to a POST. A GET of the directory gets none: it is not the request of somebody who
/// is about to sign, and clients have taken that nonce for one that they had asked for.
async fn decorate(State(state): State<AcmeState>, request: axum::extract::Request, next: Next) -> Response {
    let wants_nonce = request.method() == http::Method::POST || request.uri().path() == "/new-nonce";
    let mut response = next.run(request).await;
    state.decorate(&mut response, wants_nonce);
    response
}

fn put(headers: &mut http::HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.append(name, value);
    }
}

async fn directory(State(state): State<AcmeState>) -> Response {
    let (urls, config) = (state.urls(), state.config());
    let mut meta = json!({
        "profiles": { config.profile.clone(): format!("The profile {} of this CA", config.profile) },
    });
    if let (Some(terms), Some(meta)) = (&config.terms_of_service, meta.as_object_mut()) {
        meta.insert("termsOfService".to_owned(), json!(terms));
    }
    if let (false, Some(meta)) = (config.caa_identities.is_empty(), meta.as_object_mut()) {
        meta.insert("caaIdentities".to_owned(), json!(config.caa_identities));
    }
    answer(
        StatusCode::OK,
        &json!({
            "newNonce": urls.of("/new-nonce"),
            "newAccount": urls.of("/new-account"),
            "newOrder": urls.of("/new-order"),
            "revokeCert": urls.of("/revoke-cert"),
            "keyChange": urls.of("/key-change"),
            "renewalInfo": urls.of("/renewal-info"),
            "meta": meta,
        }),
    )
}

async fn signed_directory(state: State<AcmeState>, by: ByAccount) -> Result<Response, Problem> {
    by.message.nothing()?;
    Ok(directory(state).await)
}

async fn signed_nonce(by: ByAccount) -> Result<StatusCode, Problem> {
    by.message.nothing()?;
    Ok(StatusCode::NO_CONTENT)
}

async fn new_account(State(state): State<AcmeState>, by: ByKey) -> Result<Response, Problem> {
    let (account, new) = accounts::open(&state, by).await?;
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    Ok(account_answer(&state, status, &account))
}

async fn account(
    State(state): State<AcmeState>,
    Segments(id): Segments<String>,
    by: ByAccount,
) -> Result<Response, Problem> {
    let account = accounts::update(&state, &id, by).await?;
    Ok(account_answer(&state, StatusCode::OK, &account))
}

async fn key_change(State(state): State<AcmeState>, by: ByAccount) -> Result<Response, Problem> {
    let account = accounts::change_key(&state, by).await?;
    Ok(account_answer(&state, StatusCode::OK, &account))
}

#[derive(Deserialize)]
struct Cursor {
    cursor: Option<String>,
}

async fn account_orders(
    State(state): State<AcmeState>,
    Segments(id): Segments<String>,
    Cursor { cursor }: Cursor,
    by: ByAccount,
) -> Result<Response, Problem> {
    accounts::own(&by, &id)?;
    by.message.nothing()?;
    let (page, next) = orders::list(&state, &by.account.object, cursor).await?;
    let urls = state.urls();
    let listed: Vec<String> = page.iter().map(|order| urls.order(&order.id)).collect();
    let mut response = answer(StatusCode::OK, &json!({ "orders": listed }));
    if let Some(next) = next {
        put(response.headers_mut(), header::LINK, &format!("<{}?cursor={next}>;rel=\"next\"", urls.orders(&id)));
    }
    Ok(response)
}

async fn new_order(State(state): State<AcmeState>, by: ByAccount) -> Result<Response, Problem> {
    let order = orders::place(&state, &by).await?;
    Ok(order_answer(&state, StatusCode::CREATED, &order))
}

async fn order(
    State(state): State<AcmeState>,
    Segments(id): Segments<String>,
    by: ByAccount,
) -> Result<Response, Problem> {
    by.message.nothing()?;
    let order = orders::read(&state, &by.account.object, &id).await?;
    Ok(order_answer(&state, StatusCode::OK, &order.object))
}

async fn finalize(
    State(state): State<AcmeState>,
    Segments(id): Segments<String>,
    by: ByAccount,
) -> Result<Response, Problem> {
    let order = issue::finalize(&state, &by, &id).await?;
    Ok(order_answer(&state, StatusCode::OK, &order))
}

async fn authz(
    State(state): State<AcmeState>,
    Segments(id): Segments<String>,
    by: ByAccount,
) -> Result<Response, Problem> {
    let authz = authorizations::authz(&state, &by, &id).await?;
    let mut response = answer(StatusCode::OK, &views::authz(&authz, state.urls(), state.now()));
    retry_after(&mut response, authorizations::retry_after(&authz));
    Ok(response)
}

async fn challenge(
    State(state): State<AcmeState>,
    Segments((id, kind)): Segments<(String, String)>,
    by: ByAccount,
) -> Result<Response, Problem> {
    let (authz, challenge) = authorizations::challenge(&state, &by, &id, &kind).await?;
    let mut response = answer(StatusCode::OK, &views::challenge(&authz, &challenge, state.urls()));
    // RFC 8555 section 7.5.1: "The server MUST include the "up" link relation".
    put(response.headers_mut(), header::LINK, &format!("<{}>;rel=\"up\"", state.urls().authz(&authz.id)));
    retry_after(&mut response, authorizations::retry_after(&authz));
    Ok(response)
}

async fn certificate(
    State(state): State<AcmeState>,
    Segments(serial): Segments<String>,
    by: ByAccount,
) -> Result<Response, Problem> {
    chain(&state, &serial, 0, &by).await
}

/// The same certificate with another chain: to another root.
async fn other_chain(
    State(state): State<AcmeState>,
    Segments((serial, which)): Segments<(String, usize)>,
    by: ByAccount,
) -> Result<Response, Problem> {
    chain(&state, &serial, which, &by).await
}

async fn chain(state: &AcmeState, serial: &str, which: usize, by: &ByAccount) -> Result<Response, Problem> {
    by.message.nothing()?;
    let found = state.authority().ledger().credential(serial).await.map_err(|error| store_problem(&error))?;
    let credential = found.ok_or_else(|| Problem::not_found("certificate"))?;
    if credential.actor.id != actor_id(&by.account.object.id) {
        return Err(Problem::unauthorized("the certificate belongs to another account"));
    }
    let issued = credential.into_inner().signed().map_err(|_| Problem::not_found("certificate"))?;
    let chains = state.authority().chains_pem(&issued);
    let chain = match chains.get(which) {
        Some(chain) => chain.clone(),
        // No chain leads to a root by now: what was issued is given all the same.
        None if which == 0 => state.authority().chain_pem(&issued),
        None => return Err(Problem::not_found("certificate")),
    };
    let mut response = ([(header::CONTENT_TYPE, "application/pem-certificate-chain")], chain).into_response();
    // RFC 8555 section 7.4.2: "The server MAY provide one or more link relation header fields with relation \"alternate\"."
    for other in (0..chains.len()).filter(|other| *other != which) {
        put(
            response.headers_mut(),
            header::LINK,
            &format!("<{}>;rel=\"alternate\"", state.urls().chain(serial, other)),
        );
    }
    Ok(response)
}

/// When a certificate should be renewed.
async fn renewal_info(State(state): State<AcmeState>, Segments(named): Segments<String>) -> Result<Response, Problem> {
    let renewal = renewal::info(&state, &named).await?;
    let mut response = answer(StatusCode::OK, &views::renewal(&renewal));
    // RFC 9773 section 4.3: the server sets it, "and clients MUST" heed it.
    let secs = if renewal.why.is_some() { RETRY_AFTER_MARKED_SECS } else { RETRY_AFTER_RENEWAL_SECS };
    retry_after(&mut response, Some(secs));
    Ok(response)
}

async fn revoke_cert(State(state): State<AcmeState>, by: ByEither) -> Result<Response, Problem> {
    revoke::revoke(&state, by).await?;
    Ok(StatusCode::OK.into_response())
}

fn answer(status: StatusCode, body: &Value) -> Response {
    (status, axum::Json(body)).into_response()
}

fn account_answer(state: &AcmeState, status: StatusCode, account: &Account) -> Response {
    let mut response = answer(status, &views::account(account, state.urls()));
    put(response.headers_mut(), header::LOCATION, &state.urls().account(&account.id));
    response
}

fn order_answer(state: &AcmeState, status: StatusCode, order: &Order) -> Response {
    let mut response = answer(status, &views::order(order, state.urls(), state.now()));
    put(response.headers_mut(), header::LOCATION, &state.urls().order(&order.id));
    if order.status == OrderStatus::Processing {
        retry_after(&mut response, Some(RETRY_AFTER_PROCESSING_SECS));
    }
    response
}

fn retry_after(response: &mut Response, secs: Option<u32>) {
    if let Some(secs) = secs {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(secs));
    }
}

/// The variable segments of the path. What cannot be read names nothing.
struct Segments<T>(T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Segments<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::from_request_parts(parts, state).await;
        path.map(|Path(segments)| Self(segments)).map_err(|_| Problem::not_found("resource"))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Cursor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = Query::from_request_parts(parts, state).await;
        query.map(|Query(cursor)| cursor).map_err(|_| Problem::malformed("the query is not one cursor"))
    }
}
