//! From values to answers: JSON, or bytes of another media type.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

use crate::problem::Problem;

/// A JSON answer, serialized straight to bytes.
pub(crate) fn json<T: Serialize>(status: StatusCode, value: &T) -> Response {
    // A certificate with its chain, which is the answer that is made most often.
    let mut bytes = Vec::with_capacity(4_096);
    match serde_json::to_writer(&mut bytes, value) {
        Ok(()) => typed(status, "application/json", bytes),
        Err(error) => Problem::internal(&error).into_response(),
    }
}

/// An answer of a media type.
pub(crate) fn typed(status: StatusCode, media_type: &'static str, body: impl Into<axum::body::Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}
