//! What every page shares: its policy, how it is drawn, where a browser is sent next, and whose forms are taken.

use axum::response::{Html, IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};

use crate::problem::{Kind, Problem};

/// The pages' policy: our stylesheet and images, our forms, nothing else.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
);
/// A template as a page with its policy.
pub(super) fn render(status: StatusCode, template: &impl askama::Template) -> Response {
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
pub(super) fn see(place: &'static str) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    response.headers_mut().insert(header::LOCATION, HeaderValue::from_static(place));
    response
}

/// A form of ours is sent by a page of ours. Browsers say so (Fetch Metadata); other clients have no cookie to steal.
pub(super) fn same_origin(headers: &http::HeaderMap) -> Result<(), Problem> {
    match headers.get("sec-fetch-site").map(HeaderValue::as_bytes) {
        None | Some(b"same-origin" | b"none") => Ok(()),
        Some(_) => Err(Problem::new(Kind::Refused, "This form was sent by another site.")),
    }
}
