//! OCSP over HTTP (RFC 6960 appendix A, RFC 5019 sections 5 and 6), on both listeners.
//!
//! POST takes the request as its body, whatever type it is said to be: some clients say none, or a form's. GET has it in base64 in
//! the path, percent-encoded, twice, or not, in either alphabet: clients do all of these, proxies make a blank of a plus, and some
//! put a second slash before it. What is no request is answered so in OCSP's own words, with 200, as clients expect it.

use std::borrow::Cow;

use axum::Router;
use axum::extract::{Request, State as Shared};
use axum::response::Response;
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::GeneralPurpose;
use base64::engine::{DecodePaddingMode, GeneralPurposeConfig};
use ca::{OCSP_REQUEST_BYTES_MAX, OcspAnswer};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use policy::Timestamp;

use super::published::{Published, http_date};
use crate::app::App;
use crate::edge::Peer;
use crate::intake::{read, typed};
use crate::problem::{Kind, Problem};

/// What a response is.
const RESPONSE: &str = "application/ocsp-response";
/// How long a cache may keep one: a revocation is believed at once here, and may not wait for long in between.
const KEPT_SECS: i64 = 3_600;

/// The routes: a path's end is an issuer and its generation, a request, or both.
pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/ocsp", get(empty).post(post))
        .route("/ocsp/", get(empty).post(post))
        .route("/ocsp/{*path}", get(in_path).post(post))
}

/// A GET without a request.
async fn empty(Shared(app): Shared<App>) -> Response {
    plain(app.authority().ocsp(None, &[], None).await)
}

/// A request in a body, under `/ocsp` or `/ocsp/{issuer}/{generation}`.
async fn post(Shared(app): Shared<App>, request: Request) -> Result<Response, Problem> {
    let (under, rest) = parts(&app, request.uri().path()).await;
    if !rest.is_empty() {
        return Err(Problem::new(Kind::NotFound, "There is no such issuer here."));
    }
    let from = from(&request);
    let body = read(request, OCSP_REQUEST_BYTES_MAX, &app).await?;
    Ok(plain(app.authority().ocsp(under.as_deref(), &body, from).await))
}

/// A request in the path.
async fn in_path(Shared(app): Shared<App>, request: Request) -> Response {
    let (under, rest) = parts(&app, request.uri().path()).await;
    let bytes = decoded(&rest).unwrap_or_default();
    let answer = app.authority().ocsp(under.as_deref(), &bytes, from(&request)).await;
    match answer.shared {
        Some(times) => kept(answer.der, times, (app.world().now(), request.headers())),
        None => plain(answer),
    }
}

fn from(request: &Request) -> Option<std::net::IpAddr> {
    request.extensions().get::<Peer>().map(Peer::ip)
}

/// The generation that a path names, if it names one, and what comes after it.
async fn parts(app: &App, path: &str) -> (Option<String>, String) {
    let rest = path.strip_prefix("/ocsp").unwrap_or_default().trim_start_matches('/');
    let end = rest.match_indices('/').nth(1).map_or(rest.len(), |(at, _)| at);
    let (named, after) = rest.split_at(end);
    match app.authority().answers_for(named).await {
        true => (Some(named.to_owned()), after.trim_start_matches('/').to_owned()),
        false => (None, rest.to_owned()),
    }
}

/// Base64 as it stands in a path.
fn decoded(text: &str) -> Option<Vec<u8>> {
    // Each byte of a third more, percent-encoded at worst.
    if text.len() > OCSP_REQUEST_BYTES_MAX * 4 {
        return None;
    }
    let once = unescaped(text.as_bytes());
    let mut plain = unescaped(&once).into_owned();
    for byte in &mut plain {
        match byte {
            b'-' | b' ' => *byte = b'+',
            b'_' => *byte = b'/',
            _ => {}
        }
    }
    BASE64.decode(plain).ok()
}

/// RFC 3986 section 2.1; a plus stays one.
fn unescaped(bytes: &[u8]) -> Cow<'_, [u8]> {
    if !bytes.contains(&b'%') {
        return Cow::Borrowed(bytes);
    }
    let (mut plain, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while let Some(byte) = bytes.get(at) {
        let digits =
            bytes.get(at + 1..at + 3).filter(|_| *byte == b'%').and_then(|pair| std::str::from_utf8(pair).ok());
        let (value, length) = match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(value) => (value, 3),
            None => (*byte, 1),
        };
        plain.push(value);
        at += length;
    }
    Cow::Owned(plain)
}

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// For the one who asked.
fn plain(answer: OcspAnswer) -> Response {
    typed(StatusCode::OK, RESPONSE, answer.der)
}

/// RFC 5019 section 6.2: "max-age ... later than thisUpdate but earlier than nextUpdate", `Expires` is nextUpdate, `Last-Modified` is
/// thisUpdate.
fn kept(
    der: bytes::Bytes,
    (this_update, next_update): (Timestamp, Timestamp),
    (now, asked): (Timestamp, &HeaderMap),
) -> Response {
    let secs = (next_update.since(now) - 1).clamp(0, KEPT_SECS);
    let keep = format!("max-age={secs}, public, no-transform, must-revalidate");
    let keep = HeaderValue::try_from(keep).unwrap_or(HeaderValue::from_static("no-store"));
    // Two of one second may differ: the entity tag alone tells them apart.
    let mut response = Published::new(RESPONSE, der, keep).since(this_update, false).answer(asked);
    if let Ok(expires) = HeaderValue::try_from(http_date(next_update)) {
        response.headers_mut().insert(header::EXPIRES, expires);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_in_a_path_is_read_however_clients_write_it() {
        for (text, bytes) in [
            ("+/8=", Some(vec![0xfb, 0xff])),
            ("+/8", Some(vec![0xfb, 0xff])),
            ("%2B%2F8%3D", Some(vec![0xfb, 0xff])),
            ("%2b%2f8%3d", Some(vec![0xfb, 0xff])),
            ("//8%3D", Some(vec![0xff, 0xff])),
            ("-_8", Some(vec![0xfb, 0xff])),
            (" /8=", Some(vec![0xfb, 0xff])),
            ("%20%2F8%3D", Some(vec![0xfb, 0xff])),
            ("%252B%252F8%253D", Some(vec![0xfb, 0xff])),
            ("", Some(vec![])),
            ("a", None),
            ("a%2", None),
            ("%zz", None),
            (" ", None),
        ] {
            assert_eq!(decoded(text), bytes, "{text}");
        }
        assert_eq!(decoded(&"A".repeat(OCSP_REQUEST_BYTES_MAX * 4 + 4)), None);
    }
}
