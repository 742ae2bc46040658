//! The pages' paths and their two assets.

use axum::Router;
use axum::response::Response;
use axum::routing::{get, post};
use http::{HeaderValue, StatusCode, header};

use super::{page, session};
use crate::app::App;
use crate::intake::typed;

/// The stylesheet changes with the program alone.
const AN_HOUR: HeaderValue = HeaderValue::from_static("public, max-age=3600");

/// The pages and their two assets.
pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/", get(page::show))
        .route("/login", get(session::form).post(session::sign_in))
        .route("/logout", post(session::sign_out))
        .route("/assets/chancery.css", get(css))
        .route("/assets/seal.svg", get(seal))
}

async fn css() -> Response {
    kept(typed(StatusCode::OK, "text/css; charset=utf-8", include_str!("../../templates/chancery.css")))
}

async fn seal() -> Response {
    kept(typed(StatusCode::OK, "image/svg+xml", include_str!("../../templates/seal.svg")))
}

fn kept(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, AN_HOUR);
    response
}
