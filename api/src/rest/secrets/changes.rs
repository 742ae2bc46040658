//! What changed, for whoever waits for it instead of asking again and again.
//!
//! A long poll: the answer comes with the first change that is meant, or when the time is over. It tells no more than a list would: where a
//! secret stands and that something happened to it. Whoever waits costs a place and no question to the database.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State as Shared;
use axum::response::Response;
use http::StatusCode;
use policy::{Action, Actor, Resource, Timestamp};
use secrets::{Changed, SecretPath};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use utoipa::{IntoParams, ToSchema};

use super::path_of;
use crate::app::App;
use crate::intake::{Caller, Params, json, page_rows};
use crate::observe::{Heard, Standing, inventory::only_owner};
use crate::problem::{Kind, Problem};

/// Nobody waits for longer at once: an answer comes well before anything between the two gives a silent connection up.
pub(crate) const WAIT_SECS_MAX: u64 = 20;
/// Where there is no place to wait, who asked comes back after so long.
const RETRY_SECS: u32 = 10;

/// From where, and for how long.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Since {
    /// `next` of the answer before. Absent: from now on.
    since: Option<String>,
    /// At this path or below it.
    within: Option<String>,
    /// So many seconds at most it waits for the first change, up to 20; absent: not at all.
    wait: Option<u64>,
    /// Changes of an answer.
    limit: Option<u32>,
}

/// What changed.
#[derive(Serialize, ToSchema)]
pub(crate) struct SecretChanges {
    /// In the order of the log.
    items: Vec<SecretChange>,
    /// `since` of the next question: a place in the log, the same on each node and after each start. It moves on although nothing changed.
    next: String,
    /// Whether there is more already.
    more: bool,
    /// Nothing can be told from `since` on, and why: `old` (too much of the log came since) or `other-log` (this is not the log in which that
    /// was a place, or it was put back). List what there is, and go on from `next`.
    #[serde(skip_serializing_if = "Option::is_none")]
    reset: Option<&'static str>,
}

/// One change.
#[derive(Serialize, ToSchema)]
pub(crate) struct SecretChange {
    /// Of which secret.
    path: String,
    /// `written`, `labelled`, `disabled`, `enabled`, `deleted`, `restored`, `destroyed` or `described`.
    event: &'static str,
    /// The version of its record: one more than the leaf that says so.
    record: u64,
    /// The number of the version that was current then.
    #[serde(skip_serializing_if = "Option::is_none")]
    current: Option<u64>,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
}

impl SecretChange {
    fn of(change: &Arc<Changed>) -> Self {
        let Changed { path, record, happened, current, at, .. } = change.as_ref();
        Self { path: path.to_string(), event: happened.as_str(), record: *record, current: *current, at: *at }
    }
}

/// Tells which secrets changed, of those that the caller may know of, and waits for the first change where there is none yet.
#[utoipa::path(get, path = "/api/v1/secret-changes", tag = "secrets", operation_id = "secretChanges", params(Since),
    responses((status = 200, description = "What changed", body = SecretChanges),
        (status = 429, description = "Too many wait: ask again without waiting, or later")))]
pub(crate) async fn changes(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Params(asked): Params<Since>,
) -> Result<Response, Problem> {
    let within = asked.within.as_deref().map(path_of).transpose()?;
    let limit = page_rows(asked.limit)?;
    let of = only_owner(&actor).or_else(|| actor.owners.iter().next().cloned());
    let on = Resource::secret(of, within.as_ref().map(SecretPath::as_str).unwrap_or_default());
    let _grant = app.authorize(&actor, Action::ListSecrets, on).await?;
    let feed = app.changes();
    let (mut from, reset) = match asked.since {
        None => (feed.newest(), None),
        Some(cursor) => match feed.standing(&cursor).await? {
            Standing::Here(from) => (from, None),
            Standing::Unread => return Err(Problem::field("since", "No answer of this list had that as its `next`.")),
            Standing::Lost(why) => (feed.newest(), Some(why)),
        },
    };
    let wait = Duration::from_secs(asked.wait.unwrap_or(0).min(WAIT_SECS_MAX)).min(app.limits().request / 2);
    let until = Instant::now() + if reset.is_some() { Duration::ZERO } else { wait };
    let full = || Problem::new(Kind::TooMany, "Too many wait for changes.").retry_after(RETRY_SECS);
    let mut place = None;
    loop {
        let heard = feed.page(from, limit, |change| may_know(&app, &actor, within.as_ref(), change)).await?;
        if !heard.changes.is_empty() || heard.has_more || until <= Instant::now() || app.stopping().is_cancelled() {
            return answer(&app, &heard, reset).await;
        }
        from = heard.through;
        if place.is_none() {
            place = Some(feed.waiter(&actor).ok_or_else(full)?);
        }
        tokio::select! {
            () = feed.wait(from) => {}
            () = tokio::time::sleep_until(until) => {}
            () = app.stopping().cancelled() => {}
        }
    }
}

/// As a list would, by the policies of this moment.
fn may_know(app: &App, actor: &Actor, within: Option<&SecretPath>, change: &Changed) -> bool {
    let on = || Resource::secret(Some(change.owner.clone()), change.path.as_str());
    within.is_none_or(|within| change.path.is_within(within))
        && app.authority().policies().permits(actor, Action::ListSecrets, &on())
}

async fn answer(app: &App, heard: &Heard, reset: Option<&'static str>) -> Result<Response, Problem> {
    let items = heard.changes.iter().map(SecretChange::of).collect();
    let next = app.changes().cursor(heard.through).await?;
    let mut answer = json(StatusCode::OK, &SecretChanges { items, next, more: heard.has_more, reset });
    answer.headers_mut().insert(http::header::CACHE_CONTROL, http::HeaderValue::from_static("no-store"));
    Ok(answer)
}
