//! What the HTTPS listener serves, put together from the rooms that serve it.

use acme::AcmeState;
use axum::Router;

use crate::app::App;
use crate::{pages, public, rest};

/// Everything the HTTPS listener serves: what is public, the REST surface, the dashboard, and ACME where it is configured.
pub(crate) fn all(acme: Option<AcmeState>) -> Router<App> {
    let routes = public::routes().merge(rest::routes()).merge(pages::routes());
    match acme {
        None => routes,
        Some(state) => routes.nest("/acme", acme::router(state).with_state(())),
    }
}
