//! The pages' paths and their three assets.

use axum::Router;
use axum::response::Response;
use axum::routing::{get, post};
use http::{HeaderValue, StatusCode, header};

use super::{acts, certificate, drills, issuers, list, overview, secret, secrets, session};
use crate::app::App;
use crate::intake::typed;

/// Assets change with the program alone.
const AN_HOUR: HeaderValue = HeaderValue::from_static("public, max-age=3600");

/// The pages and their assets.
pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/", get(overview::show))
        .route("/certificates", get(list::show))
        .route("/certificates.csv", get(list::show_csv))
        .route("/certificates/{serial}", get(certificate::show))
        .route("/certificates/{serial}/chain.pem", get(certificate::show_pem))
        .route("/certificates/{serial}/renew", post(acts::renew))
        .route("/certificates/{serial}/revoke", post(acts::revoke))
        .route("/issuers", get(issuers::show))
        .route("/secrets", get(secrets::show))
        .route("/secrets/{*path}", get(secret::show))
        .route("/drills", get(drills::show))
        .route("/drills/{id}", get(drills::show_one))
        .route("/operations/{number}", get(certificate::show_operation))
        .route("/login", get(session::form).post(session::sign_in))
        .route("/second-factor", get(session::code_form).post(session::step_up))
        .route("/logout", post(session::sign_out))
        .route("/assets/chancery.css", get(css))
        .route("/assets/fresh.js", get(script))
        .route("/assets/seal.svg", get(seal))
}

async fn css() -> Response {
    kept(typed(StatusCode::OK, "text/css; charset=utf-8", include_str!("../../templates/chancery.css")))
}

async fn script() -> Response {
    kept(typed(StatusCode::OK, "text/javascript; charset=utf-8", include_str!("../../templates/fresh.js")))
}

async fn seal() -> Response {
    kept(typed(StatusCode::OK, "image/svg+xml", include_str!("../../templates/seal.svg")))
}

fn kept(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, AN_HOUR);
    response
}
