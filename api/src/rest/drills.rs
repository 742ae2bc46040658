//! Drills over HTTP: a part of the register is to be replaced before its time; how far that is.

use std::collections::BTreeMap;

use axum::extract::State as Shared;
use axum::response::Response;
use ca::{Listed, NewDrill, Part};
use http::StatusCode;
use policy::{Action, Owner, Resource, ResourceKind, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::app::App;
use crate::intake::{Caller, Json, Params, Segment, json};
use crate::problem::Problem;

/// A drill.
#[derive(Serialize, ToSchema)]
pub(crate) struct Drill {
    /// What it is called.
    id: String,
    /// What it marks: a generation (`tls/1`), or all of an issuer (`tls`).
    issuer: String,
    /// Of this profile alone.
    profile: Option<String>,
    /// Of this owner alone.
    #[schema(value_type = Option<String>)]
    owner: Option<Owner>,
    /// Why.
    reason: String,
    /// Where people read about it.
    url: Option<String>,
    /// When it began.
    #[schema(value_type = String, format = DateTime)]
    begun: Timestamp,
    /// When all that it marks is to be replaced.
    #[schema(value_type = String, format = DateTime)]
    until: Timestamp,
    /// When somebody ended it; null while it marks.
    #[schema(value_type = Option<String>, format = DateTime)]
    ended: Option<Timestamp>,
}

/// How far a part of it is.
#[derive(Serialize, ToSchema)]
pub(crate) struct Share {
    /// Certificates that held when it began.
    held: u64,
    /// Of those: have a successor.
    replaced: u64,
    /// Of those: hold yet, and nothing took their place. The rest was revoked, or ended.
    left: u64,
}

/// How far a drill is.
#[derive(Serialize, ToSchema)]
pub(crate) struct DrillProgress {
    drill: Drill,
    all: Share,
    /// By owner.
    owners: BTreeMap<String, Share>,
}

/// A page of drills.
#[derive(Serialize, ToSchema)]
pub(crate) struct DrillList {
    items: Vec<Drill>,
    /// The cursor of the next page, where there is one.
    next: Option<String>,
    /// So many rows of this page that are not what the log says: nothing comes of them, and the status names them.
    #[serde(skip_serializing_if = "Option::is_none")]
    altered: Option<u64>,
}

impl Drill {
    fn of(drill: ca::Drill) -> Self {
        Self {
            until: drill.begun.plus_secs(drill.window_secs),
            id: drill.id,
            issuer: drill.part.issuer,
            profile: drill.part.profile,
            owner: drill.part.owner,
            reason: drill.reason,
            url: drill.url,
            begun: drill.begun,
            ended: drill.ended,
        }
    }
}

impl Share {
    fn of(share: ca::Share) -> Self {
        Self { held: share.held, replaced: share.replaced, left: share.left }
    }
}

impl DrillProgress {
    fn of(progress: ca::DrillProgress) -> Self {
        Self {
            drill: Drill::of(progress.drill),
            all: Share::of(progress.all),
            owners: progress.owners.into_iter().map(|(owner, share)| (owner, Share::of(share))).collect(),
        }
    }
}

/// Where a page begins.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct DrillParams {
    /// `next` of the page before.
    cursor: Option<String>,
}

/// Lists the drills, the first the oldest.
#[utoipa::path(get, path = "/api/v1/drills", tag = "drills", operation_id = "listDrills", params(DrillParams),
    responses((status = 200, description = "A page", body = DrillList)))]
pub(crate) async fn list(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Params(params): Params<DrillParams>,
) -> Result<Response, Problem> {
    let _grant = app.authorize(&actor, Action::ReadStatus, Resource::plain(ResourceKind::Status)).await?;
    let Listed { items, next, altered } = app.authority().drills(params.cursor).await?;
    let altered = Some(altered).filter(|count| *count > 0);
    Ok(json(StatusCode::OK, &DrillList { items: items.into_iter().map(Drill::of).collect(), next, altered }))
}

/// Shows how far a drill is: what held when it began, has a successor, and is left, by owner. It counts what is left.
#[utoipa::path(get, path = "/api/v1/drills/{id}", tag = "drills", operation_id = "showDrill",
    params(("id" = String, Path, description = "Its id")),
    responses((status = 200, description = "The drill", body = DrillProgress), (status = 404, description = "No such drill")))]
pub(crate) async fn show(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Segment(id): Segment,
) -> Result<Response, Problem> {
    let _grant = app.authorize(&actor, Action::ReadStatus, Resource::plain(ResourceKind::Status)).await?;
    Ok(json(StatusCode::OK, &DrillProgress::of(app.authority().drill(&id).await?)))
}

/// What is to be replaced.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewDrillWish {
    /// A generation (`tls/1`), or all of an issuer (`tls`).
    #[schema(example = "tls/1")]
    issuer: String,
    /// Of this profile alone.
    #[serde(default)]
    profile: Option<String>,
    /// Of this owner alone.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    owner: Option<Owner>,
    /// In how many seconds: spread over them; six hours where nobody says.
    #[serde(default)]
    window_secs: Option<u64>,
    /// Why, for whoever reads the log.
    reason: String,
    /// Where people read about it: renewal information has it as `explanationURL`.
    #[serde(default)]
    url: Option<String>,
    /// Say what it would mark, and mark nothing.
    #[serde(default)]
    dry_run: bool,
}

/// Begins a drill: what it marks is to be replaced within its window. Nothing is revoked.
#[utoipa::path(post, path = "/api/v1/drills", tag = "drills", operation_id = "beginDrill", request_body = NewDrillWish,
    responses((status = 201, description = "It marks from now on", body = DrillProgress),
        (status = 200, description = "With dry_run: what it would mark", body = DrillProgress),
        (status = 409, description = "Too many are open")))]
pub(crate) async fn begin(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Json(wish): Json<NewDrillWish>,
) -> Result<Response, Problem> {
    let new = NewDrill {
        part: Part { issuer: wish.issuer, profile: wish.profile, owner: wish.owner },
        window_secs: i64::try_from(wish.window_secs.unwrap_or(WINDOW_SECS)).unwrap_or(i64::MAX),
        reason: wish.reason,
        url: wish.url,
    };
    let (authority, dry) = (app.authority().clone(), wish.dry_run);
    let begun = app.to_its_end(async move { authority.begin_drill(&actor, new, dry).await }).await?;
    let status = if dry { StatusCode::OK } else { StatusCode::CREATED };
    Ok(json(status, &DrillProgress::of(begun)))
}

/// Ends a drill: what it marks is renewed by its life again.
#[utoipa::path(post, path = "/api/v1/drills/{id}/end", tag = "drills", operation_id = "endDrill",
    params(("id" = String, Path, description = "Its id")),
    responses((status = 200, description = "How far it came", body = DrillProgress), (status = 404, description = "No such drill")))]
pub(crate) async fn end(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Segment(id): Segment,
) -> Result<Response, Problem> {
    let authority = app.authority().clone();
    let ended = app.to_its_end(async move { authority.end_drill(&actor, &id).await }).await?;
    Ok(json(StatusCode::OK, &DrillProgress::of(ended)))
}

/// Six hours: as often as a client asks that was told nothing else.
const WINDOW_SECS: u64 = 6 * 3_600;
