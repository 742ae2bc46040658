//! From bytes to typed requests: content types, sizes, deadlines and the field that is wrong.
//!
//! Everything a caller sends passes here before a handler sees it, and what does not parse becomes a 4xx problem that names
//! the field. Nothing here panics on input, and nothing allocates past the bound.

use std::error::Error as _;

use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, header};
use http_body_util::{BodyExt, Limited};
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use super::once::SAID_TWICE;
use crate::app::App;
use crate::limits::{JSON_BYTES_MAX, PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX};
use crate::problem::{Kind, Problem};

/// What is expected where bytes stand in JSON: RFC 4648 section 4.
pub(crate) const BASE64: &str = "base64 with its padding";

/// A JSON body of a known shape.
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<App> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        expect_type(request.headers(), &["application/json"])?;
        let bytes = read(request, JSON_BYTES_MAX, app).await?;
        parse_json(&bytes).map(Self)
    }
}

/// How many rows of a list a caller wants on a page.
pub(crate) fn page_rows(limit: Option<u32>) -> Result<usize, Problem> {
    let limit = limit.unwrap_or(PAGE_ROWS_DEFAULT);
    match usize::try_from(limit) {
        Ok(rows) if (1..=PAGE_ROWS_MAX).contains(&limit) => Ok(rows),
        Ok(_) | Err(_) => Err(Problem::field("limit", format!("A page has 1 to {PAGE_ROWS_MAX} rows."))),
    }
}

/// Query parameters of a known shape.
pub(crate) struct Params<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequestParts<App> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _app: &App) -> Result<Self, Problem> {
        match Query::<T>::try_from_uri(&parts.uri) {
            Ok(Query(value)) => Ok(Self(value)),
            Err(rejection) => {
                let told = rejection.source().map_or_else(|| rejection.to_string(), ToString::to_string);
                Err(query_problem(&told))
            }
        }
    }
}

/// What serde says of a query begins with the parameter where one is wrong: `limit: invalid digit found in string`.
fn query_problem(told: &str) -> Problem {
    match told.split_once(": ") {
        Some((name, why)) if name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') => {
            Problem::field(name.to_owned(), format!("The query: {name}: {why}."))
        }
        Some(_) | None => Problem::new(Kind::Malformed, format!("The query: {told}.")),
    }
}

/// The segment of a path; invalid percent-encoding is a problem, not a plain-text answer.
pub(crate) struct Segment(pub(crate) String);

impl FromRequestParts<App> for Segment {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        axum::extract::Path::<String>::from_request_parts(parts, app)
            .await
            .map(|axum::extract::Path(segment)| Self(segment))
            .map_err(|rejection| Problem::new(Kind::Malformed, rejection.body_text()))
    }
}

/// Several segments of a path.
pub(crate) struct Segments<T>(pub(crate) T);

impl<T: DeserializeOwned + Send> FromRequestParts<App> for Segments<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        axum::extract::Path::<T>::from_request_parts(parts, app)
            .await
            .map(|axum::extract::Path(segments)| Self(segments))
            .map_err(|rejection| Problem::new(Kind::Malformed, rejection.body_text()))
    }
}

/// The media type without parameters, in lower case.
pub(crate) fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

/// 415 unless the body is of one of these types.
pub(crate) fn expect_type(headers: &HeaderMap, accepted: &[&str]) -> Result<(), Problem> {
    match media_type(headers) {
        Some(found) if accepted.contains(&found.as_str()) => Ok(()),
        Some(_) | None => Err(Problem::new(
            Kind::UnsupportedMediaType,
            format!("This route reads Content-Type {}.", accepted.join(" or ")),
        )),
    }
}

/// The body, at most `bytes_max` of it, within the deadline.
pub(crate) async fn read(request: Request, bytes_max: usize, app: &App) -> Result<Bytes, Problem> {
    let too_large = || Problem::new(Kind::TooLarge, format!("A body here has at most {bytes_max} bytes."));
    let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length: usize| length > bytes_max) {
        return Err(too_large());
    }
    let body = Limited::new(request.into_body(), bytes_max).collect();
    match tokio::time::timeout(app.limits().body, body).await {
        Err(_elapsed) => Err(Problem::new(Kind::SlowBody, "The body did not arrive within the time for it.")),
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => Err(too_large()),
        Ok(Err(_cut)) => Err(Problem::new(Kind::Malformed, "The body ended before its length.")),
    }
}

/// JSON with the path of the wrong field in the problem.
pub(crate) fn parse_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    parsed(bytes, cause)
}

/// The same of what may hold secrets: what is wrong with it is told by its place alone, since a cause may repeat what was sent.
pub(crate) fn parse_hidden<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    parsed(bytes, |error| {
        let place = format!("at line {} column {}", error.line(), error.column());
        // Ours, and nothing of what was sent.
        let said = error.to_string();
        let expected = said.rsplit_once(", expected ").map_or("", |(_, expected)| expected);
        let is_another = said.starts_with("invalid type: ") || said.starts_with("invalid value: ");
        let belongs = expected.split_once(" at line ").map(|(belongs, _)| belongs).filter(|_| is_another);
        match belongs {
            _ if said.starts_with(SAID_TWICE) => format!("{SAID_TWICE}, {place}"),
            Some("a string") => format!("a text belongs there, in quotes, {place}"),
            Some(BASE64) => format!("{BASE64} belongs there, in quotes, {place}"),
            Some(_) | None => format!("not what this route reads, {place}"),
        }
    })
}

fn parsed<T: DeserializeOwned>(bytes: &[u8], cause: impl Fn(&serde_json::Error) -> String) -> Result<T, Problem> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let (field, cause) = (error.path().to_string(), cause(&error.into_inner()));
        match field.as_str() {
            "." | "?" => Problem::new(Kind::Malformed, format!("The JSON body: {cause}.")),
            _ => Problem::field(field, format!("The JSON body: {cause}.")),
        }
    })?;
    json.end().map_err(|_| Problem::new(Kind::Malformed, "The JSON body goes on after its end."))?;
    Ok(value)
}

/// What is wrong. Where a value is, is said by its path; a line and a column are for text that is no JSON.
fn cause(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    match error.classify() {
        Category::Data => text.strip_suffix(&place).map(str::to_owned).unwrap_or(text),
        Category::Io | Category::Syntax | Category::Eof => text,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Wish {
        #[allow(dead_code)]
        names: Vec<String>,
    }

    #[test]
    fn a_wrong_field_is_named_with_its_place() {
        let cases: [(&str, &str); 5] = [
            (r#"{"names": ["a", 3]}"#, r#""field":"names[1]""#),
            (r#"{"nmes": []}"#, "nmes"),
            (r#"{}"#, "names"),
            (r#"{"names": []} {}"#, "goes on"),
            ("\u{0}", "JSON body"),
        ];
        for (body, told) in cases {
            let problem = parse_json::<Wish>(body.as_bytes()).expect_err(body);
            assert_eq!(problem.kind(), Kind::Malformed);
            let shown = format!("{problem:?}");
            let told = told.trim_matches('"').replace("\":\"", ": Some(\"");
            assert!(shown.contains(&told), "{body} -> {shown}");
        }
    }

    #[test]
    fn of_what_may_hold_secrets_is_told_what_belongs_there_and_nothing_of_what_was_sent() {
        for (body, told) in [
            (r#"{"names": ["a", 48151]}"#, "a text belongs there, in quotes, at line 1"),
            (r#"{"names": [], "n48151": 1}"#, "not what this route reads, at line 1"),
            (r#"{"names": "48151, expected a string at line "}"#, "not what this route reads, at line 1"),
        ] {
            let shown = format!("{:?}", parse_hidden::<Wish>(body.as_bytes()).expect_err(body));
            assert!(shown.contains(told), "{body} -> {shown}");
            assert!(!shown.contains("48151, ") && !shown.contains("`48151`"), "{body} -> {shown}");
        }
    }

    #[test]
    fn a_media_type_is_read_without_its_parameters() {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("Application/JSON; charset=utf-8"));
        assert!(expect_type(&headers, &["application/json"]).is_ok());
        assert!(expect_type(&HeaderMap::new(), &["application/json"]).is_err());
    }
}
