//! The dashboard: what expires when, what raises an alarm, where the log stands. Drawn on the server, readable without
//! JavaScript; the Content-Security-Policy allows no script at all, so that a subject with `<script>` in it is text.
//!
//! A visitor signs in by pasting an API token (`session`) or comes with a client certificate. The page shows what policy
//! lets that actor read and leaves out the rest; it changes nothing.

mod chart;
mod page;
mod session;
mod words;

use axum::Router;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use http::{HeaderValue, StatusCode, header};

use crate::app::App;
use crate::intake::typed;
use crate::problem::{Kind, Problem};

/// The pages' policy: our stylesheet and images, our forms, nothing else.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
);
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

/// A template as a page with its policy.
fn render(status: StatusCode, template: &impl askama::Template) -> Response {
    match template.render() {
        Ok(text) => {
            let mut response = (status, Html(text)).into_response();
            response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, POLICY);
            response
        }
        Err(error) => Problem::internal(&error).into_response(),
    }
}

/// 303: the browser comes back with GET.
fn see(place: &'static str) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    response.headers_mut().insert(header::LOCATION, HeaderValue::from_static(place));
    response
}

/// A form of ours is sent by a page of ours. Browsers say so (Fetch Metadata); other clients have no cookie to steal.
fn same_origin(headers: &http::HeaderMap) -> Result<(), Problem> {
    match headers.get("sec-fetch-site").map(HeaderValue::as_bytes) {
        None | Some(b"same-origin" | b"none") => Ok(()),
        Some(_) => Err(Problem::new(Kind::Refused, "This form was sent by another site.")),
    }
}
