//! What went wrong, as a page: for whoever asks with a browser, whatever the path.

use askama::Template;
use axum::body::Body;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderMap, header};
use http_body_util::BodyExt;
use serde::Deserialize;

use super::frame::render;
use crate::problem::PROBLEM_JSON;

/// A problem of ours, as it is on the wire.
#[derive(Default, Deserialize)]
struct Told {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    title: String,
    #[serde(default)]
    detail: String,
}

#[derive(Template)]
#[template(path = "refusal.html")]
struct Refusal {
    status: u16,
    title: String,
    detail: String,
    again: Option<String>,
    /// Whether a code of the second factor is all that is missing.
    step_up: bool,
}

/// Turns a problem into a page for a browser; everybody else gets what they got.
pub(crate) async fn for_browsers(request: Request, next: Next) -> Response {
    let browses = wants_a_page(request.headers());
    let response = next.run(request).await;
    let is_problem = response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == PROBLEM_JSON);
    if browses && is_problem { page(response).await } else { response }
}

/// Browsers name HTML first; nothing else of ours is asked for with it.
fn wants_a_page(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    accept.split(',').next().is_some_and(|first| first.trim().starts_with("text/html"))
}

async fn page(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    // Our own problem: small, and all there.
    let Ok(bytes) = body.collect().await.map(http_body_util::Collected::to_bytes) else {
        return Response::from_parts(parts, Body::empty());
    };
    let told: Told = serde_json::from_slice(&bytes).unwrap_or_default();
    let again = parts.headers.get(header::RETRY_AFTER).and_then(|secs| secs.to_str().ok()).map(str::to_owned);
    let (status, step_up) = (parts.status.as_u16(), told.kind.ends_with(":second-factor"));
    let refusal = Refusal { status, title: told.title, detail: told.detail, again, step_up };
    let (page, body) = render(parts.status, &refusal).into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.extend(page.headers);
    Response::from_parts(parts, body)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_browser_is_known_by_what_it_asks_for_first() {
        let of = |accept: &'static str| HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(accept))]);
        assert!(wants_a_page(&of("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")));
        for other in ["*/*", "application/json, text/html", "application/pem-certificate-chain", ""] {
            assert!(!wants_a_page(&of(other)), "{other}");
        }
        assert!(!wants_a_page(&HeaderMap::new()));
    }
}
