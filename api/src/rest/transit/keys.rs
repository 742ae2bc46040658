//! Which keys there are.

use axum::extract::State as Shared;
use axum::response::Response;
use http::StatusCode;
use policy::{Action, Owner, Resource};
use secrets::transit::KeyName;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::shown::TransitKeyInfo;
use super::{granted, name_of};
use crate::app::App;
use crate::intake::{Caller, Params, Segment, json, page_rows};
use crate::observe::inventory::only_owner;
use crate::problem::Problem;
use crate::rest::cursors;

/// Of which list a cursor is.
const LIST: &str = "transit keys";

/// A page of keys.
#[derive(Serialize, ToSchema)]
pub(crate) struct TransitKeyList {
    items: Vec<TransitKeyInfo>,
    /// Where the next page begins; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    /// So many rows of this page that are not what the log says: they are left out, and the status names them. Told to whoever may list
    /// everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    altered: Option<u64>,
}

/// Which keys.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct TransitKeyFilter {
    /// Of this owner.
    #[param(value_type = Option<String>)]
    owner: Option<Owner>,
    /// Where the last page ended.
    cursor: Option<String>,
    /// Rows of a page.
    limit: Option<u32>,
}

/// Lists transit keys by name: those that the caller may know of.
#[utoipa::path(get, path = "/api/v1/transit/keys", tag = "transit", operation_id = "listTransitKeys", params(TransitKeyFilter),
    responses((status = 200, description = "A page", body = TransitKeyList)))]
pub(crate) async fn list(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Params(filter): Params<TransitKeyFilter>,
) -> Result<Response, Problem> {
    let owner = filter.owner.or_else(|| only_owner(&actor));
    // Who may list nothing at all is told so; who may list some sees these.
    let of = owner.clone().or_else(|| actor.owners.iter().next().cloned());
    let _grant = app.authorize(&actor, Action::ListTransitKeys, Resource::transit_key(of, "")).await?;
    let policies = app.authority().policies();
    let may = |owner: &Owner, name: &KeyName| {
        let on = Resource::transit_key(Some(owner.clone()), name.as_str());
        policies.permits(&actor, Action::ListTransitKeys, &on)
    };
    let limit = page_rows(filter.limit)?;
    let cursor = cursors::opened(&app, &actor, LIST, filter.cursor.as_deref())?;
    let found = app.transit().list(owner.as_ref(), cursor, limit, may).await?;
    let next = cursors::sealed(&app, &actor, LIST, found.next)?;
    let items = found.items.iter().map(TransitKeyInfo::brief).collect();
    // Whose what was altered is nobody can say: it is told to whoever may list everything.
    let all = Resource::transit_key(None, "");
    let may_list_all = || policies.permits(&actor, Action::ListTransitKeys, &all);
    let altered = (found.altered > 0 && may_list_all()).then_some(found.altered);
    Ok(json(StatusCode::OK, &TransitKeyList { items, next, altered }))
}

/// One key, with its versions and their public halves.
#[utoipa::path(get, path = "/api/v1/transit/keys/{key}", tag = "transit", operation_id = "showTransitKey",
    params(("key" = String, Path, description = "Its name")),
    responses((status = 200, description = "What there is to say of it", body = TransitKeyInfo)))]
pub(crate) async fn show(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Segment(name): Segment,
) -> Result<Response, Problem> {
    let (key, _grant) = granted(&app, &actor, Action::ListTransitKeys, &name_of(&name)?).await?;
    Ok(json(StatusCode::OK, &TransitKeyInfo::whole(&key)))
}
