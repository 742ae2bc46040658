//! Requests that others approve, over HTTP: see them, approve, refuse, collect.

use axum::extract::State as Shared;
use axum::response::Response;
use ca::Listed;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::waiting::WaitingRequest;
use super::{Certificate, created};
use crate::app::App;
use crate::intake::{Caller, Json, Params, Segment, json};
use crate::problem::Problem;

/// Which page.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct RequestParams {
    /// true: only those that wait for others.
    waiting: Option<bool>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// A page of requests.
#[derive(Serialize, ToSchema)]
pub(crate) struct RequestList {
    items: Vec<WaitingRequest>,
    /// The cursor of the next page, where there is one. A page may be empty and another follow.
    next: Option<String>,
    /// So many rows of this page that are not what the log says: nothing comes of them; told to who reads the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    altered: Option<u64>,
}

/// Lists the requests that the caller made or may approve.
#[utoipa::path(get, path = "/api/v1/requests", tag = "requests", operation_id = "listRequests", params(RequestParams),
    responses((status = 200, description = "A page", body = RequestList)))]
pub(crate) async fn list(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Params(params): Params<RequestParams>,
) -> Result<Response, Problem> {
    let page = app.authority().requests(&actor, params.waiting == Some(true), params.cursor).await?;
    let Listed { items, next, altered } = page;
    let now = app.world().now();
    let items = items.into_iter().map(|(id, waiting)| WaitingRequest::of(id, waiting, now)).collect();
    let altered = Some(altered).filter(|count| *count > 0);
    Ok(json(StatusCode::OK, &RequestList { items, next, altered }))
}

/// Shows a request, to who asked and to who may approve it.
#[utoipa::path(get, path = "/api/v1/requests/{id}", tag = "requests", operation_id = "showRequest",
    params(("id" = String, Path, description = "The request's name")),
    responses((status = 200, description = "The request", body = WaitingRequest), (status = 404, description = "No such request")))]
pub(crate) async fn show(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Segment(id): Segment,
) -> Result<Response, Problem> {
    let waiting = app.authority().request(&actor, &id).await?;
    Ok(json(StatusCode::OK, &WaitingRequest::of(id, waiting, app.world().now())))
}

/// Approves what another asked for. Nothing is signed by that: who asked collects it.
#[utoipa::path(post, path = "/api/v1/requests/{id}/approve", tag = "requests", operation_id = "approveRequest",
    params(("id" = String, Path, description = "The request's name")),
    responses((status = 200, description = "Approved", body = WaitingRequest), (status = 404, description = "No such request"),
        (status = 409, description = "One's own, approved by the caller before, over, or of a profile that has changed")))]
pub(crate) async fn approve(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Segment(id): Segment,
) -> Result<Response, Problem> {
    let (authority, of) = (app.authority().clone(), id.clone());
    let waiting = app.to_its_end(async move { authority.approve(&actor, &of).await }).await?;
    Ok(json(StatusCode::OK, &WaitingRequest::of(id, waiting, app.world().now())))
}

/// Why it is refused.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RefusalWish {
    /// For whoever asked; at most 1000 bytes.
    #[serde(default)]
    reason: Option<String>,
}

/// Refuses what another asked for, for good.
#[utoipa::path(post, path = "/api/v1/requests/{id}/refuse", tag = "requests", operation_id = "refuseRequest",
    params(("id" = String, Path, description = "The request's name")), request_body = RefusalWish,
    responses((status = 200, description = "Refused", body = WaitingRequest), (status = 404, description = "No such request"),
        (status = 409, description = "One's own, or over")))]
pub(crate) async fn refuse(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Segment(id): Segment,
    Json(wish): Json<RefusalWish>,
) -> Result<Response, Problem> {
    let (authority, of) = (app.authority().clone(), id.clone());
    let waiting = app.to_its_end(async move { authority.refuse(&actor, &of, wish.reason).await }).await?;
    Ok(json(StatusCode::OK, &WaitingRequest::of(id, waiting, app.world().now())))
}

/// Has what was approved signed, for who asked; by what they may now.
#[utoipa::path(post, path = "/api/v1/requests/{id}/collect", tag = "requests", operation_id = "collectRequest",
    params(("id" = String, Path, description = "The request's name")),
    responses((status = 201, description = "Issued", body = Certificate), (status = 404, description = "No such request of the caller's"),
        (status = 409, description = "It waits yet, or is over")))]
pub(crate) async fn collect(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Segment(id): Segment,
) -> Result<Response, Problem> {
    let authority = app.authority().clone();
    let issued = app.to_its_end(async move { authority.collect(&actor, &id).await }).await?;
    Ok(created(issued, &app))
}
