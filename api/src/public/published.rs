//! What anyone may read, as caches want it: validators, a lifetime, and 304 for those who have it already.
//!
//! RFC 9110 sections 8.8 (validators), 13.1 and 13.2 (conditional requests), RFC 9111. The body of an answer shares the bytes
//! that everybody reads: a reader who takes his time holds a place, and no copy.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use policy::Timestamp;
use ring::digest::{SHA256, digest};

use crate::intake::{none_match, strong_match, typed};
use crate::problem::{Kind, Problem};

/// How long a cache may keep an issuer, the roots, a key: they change with a rotation, which must arrive too.
pub(super) const SHORT: HeaderValue = HeaderValue::from_static("public, max-age=60");
/// Lines for people and tools.
pub(super) const TEXT: &str = "text/plain; charset=utf-8";

/// Something that is published.
pub(super) struct Published {
    media_type: &'static str,
    bytes: Bytes,
    /// What tells these bytes from all others: the ETag.
    identity: [u8; 32],
    keep: HeaderValue,
    modified: Option<Modified>,
}

/// Since when it is as it is.
struct Modified {
    at: Timestamp,
    /// Whether nothing else was published here with this date: seconds do not tell apart what changes within one
    /// (RFC 9110 section 8.8.2.2).
    is_exact: bool,
}

impl Published {
    /// Bytes of a media type, and how long a cache may keep them.
    pub(super) fn new(media_type: &'static str, bytes: impl Into<Bytes>, keep: HeaderValue) -> Self {
        let bytes = bytes.into();
        let mut identity = [0; 32];
        identity.copy_from_slice(digest(&SHA256, &bytes).as_ref());
        Self { media_type, bytes, identity, keep, modified: None }
    }

    /// The same where that is known: large things are not hashed for every reader.
    pub(super) fn identified(media_type: &'static str, bytes: Bytes, identity: [u8; 32], keep: HeaderValue) -> Self {
        Self { media_type, bytes, identity, keep, modified: None }
    }

    /// Since when it is so; `is_exact` if nothing else was published here with this date.
    pub(super) fn since(self, at: Timestamp, is_exact: bool) -> Self {
        Self { modified: Some(Modified { at, is_exact }), ..self }
    }

    /// The answer to a GET or HEAD with these headers: all of it, or that the caller has it already.
    pub(super) fn answer(self, asked: &HeaderMap) -> Response {
        let etag = format!("\"{}\"", hex::encode(self.identity));
        if self.is_another(asked, &etag) {
            return Problem::new(Kind::Precondition, "It is not what was asked for any more.").into_response();
        }
        let mut response = if self.is_known(asked, &etag) {
            let mut unchanged = Response::new(Body::empty());
            *unchanged.status_mut() = StatusCode::NOT_MODIFIED;
            // RFC 9110 section 8.6: what a 200 would have, or nothing; an empty body must not be counted.
            unchanged.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(self.bytes.len()));
            unchanged
        } else {
            typed(StatusCode::OK, self.media_type, self.bytes)
        };
        // RFC 9110 section 15.4.5: a 304 carries the validators and the lifetime that a 200 would.
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, self.keep);
        let date = self.modified.map(|modified| http_date(modified.at));
        for (name, value) in [(header::ETAG, Some(etag)), (header::LAST_MODIFIED, date)] {
            if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
                headers.insert(name, value);
            }
        }
        response
    }

    /// RFC 9110 section 13.2.2: If-Match decides where it is present, else If-Unmodified-Since; before what is known is looked at.
    fn is_another(&self, asked: &HeaderMap, etag: &str) -> bool {
        if let Some(is_named) = strong_match(asked, etag) {
            return !is_named;
        }
        let date = date_of(asked, header::IF_UNMODIFIED_SINCE);
        date.zip(self.modified.as_ref()).is_some_and(|(date, modified)| system(modified.at) > date)
    }

    /// RFC 9110 section 13.2.2: If-None-Match decides where it is present, else If-Modified-Since.
    fn is_known(&self, asked: &HeaderMap, etag: &str) -> bool {
        if let Some(is_named) = none_match(asked, etag) {
            return is_named;
        }
        let date = date_of(asked, header::IF_MODIFIED_SINCE);
        let exact = self.modified.as_ref().filter(|modified| modified.is_exact);
        date.zip(exact).is_some_and(|(date, modified)| system(modified.at) <= date)
    }
}

/// A date; none where there is none, or what is no date (section 13.1.3: it is ignored then).
fn date_of(asked: &HeaderMap, name: HeaderName) -> Option<SystemTime> {
    let date = asked.get(name).and_then(|date| date.to_str().ok());
    date.and_then(|date| httpdate::parse_http_date(date).ok())
}

/// A moment as HTTP writes it.
pub(super) fn http_date(at: Timestamp) -> String {
    httpdate::fmt_http_date(system(at))
}

fn system(at: Timestamp) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(u64::try_from(at.unix()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    const AT: Timestamp = Timestamp::from_unix(1_800_000_000);

    fn published(is_exact: bool) -> Published {
        let bytes = Bytes::from_static(b"something");
        Published::new("text/plain", bytes, HeaderValue::from_static("public")).since(AT, is_exact)
    }

    fn asked(headers: &[(HeaderName, &str)]) -> HeaderMap {
        headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).expect("a value"))).collect()
    }

    fn date(secs: i64) -> String {
        httpdate::fmt_http_date(system(AT.plus_secs(secs)))
    }

    #[test]
    fn who_has_it_is_told_so_and_who_has_not_gets_it() {
        let whole = published(true).answer(&HeaderMap::new());
        let etag = whole.headers()[header::ETAG].to_str().expect("text").to_owned();
        let (weak, list) = (format!("W/{etag}"), format!("\"a\", {etag}"));
        let (tag, since) = (header::IF_NONE_MATCH, header::IF_MODIFIED_SINCE);
        let cases: &[(&[(HeaderName, &str)], bool)] = &[
            (&[(tag.clone(), etag.as_str())], true),
            (&[(tag.clone(), weak.as_str())], true),
            (&[(tag.clone(), list.as_str())], true),
            (&[(tag.clone(), "\"a\""), (tag.clone(), etag.as_str())], true),
            (&[(tag.clone(), "*")], true),
            (&[(tag.clone(), "\"a\"")], false),
            (&[(tag.clone(), "\"a\""), (since.clone(), &date(0))], false),
            (&[(since.clone(), &date(0))], true),
            (&[(since.clone(), &date(5))], true),
            (&[(since.clone(), &date(-1))], false),
            (&[(since.clone(), "yesterday")], false),
        ];
        for (headers, is_known) in cases {
            let mut all = HeaderMap::new();
            headers.iter().for_each(|(name, value)| {
                all.append(name, HeaderValue::from_str(value).expect("a value"));
            });
            let answer = published(true).answer(&all);
            let status = if *is_known { StatusCode::NOT_MODIFIED } else { StatusCode::OK };
            assert_eq!(answer.status(), status, "{headers:?}");
            for name in [header::ETAG, header::LAST_MODIFIED, header::CACHE_CONTROL] {
                assert_eq!(answer.headers()[&name], whole.headers()[&name], "{headers:?}");
            }
        }
    }

    #[test]
    fn who_wants_no_other_gets_no_other() {
        let etag = published(true).answer(&HeaderMap::new()).headers()[header::ETAG].to_str().expect("text").to_owned();
        let weak = format!("W/{etag}");
        let (tag, since, known) = (header::IF_MATCH, header::IF_UNMODIFIED_SINCE, header::IF_NONE_MATCH);
        let cases: &[(&[(HeaderName, &str)], u16)] = &[
            (&[(tag.clone(), etag.as_str())], 200),
            (&[(tag.clone(), "*")], 200),
            (&[(tag.clone(), "\"a\"")], 412),
            (&[(tag.clone(), weak.as_str())], 412),
            (&[(tag.clone(), "\"a\""), (known.clone(), etag.as_str())], 412),
            (&[(tag.clone(), etag.as_str()), (known.clone(), etag.as_str())], 304),
            (&[(tag.clone(), etag.as_str()), (since.clone(), &date(-1))], 200),
            (&[(since.clone(), &date(0))], 200),
            (&[(since.clone(), &date(-1))], 412),
            (&[(since.clone(), "yesterday")], 200),
        ];
        for (headers, status) in cases {
            assert_eq!(published(true).answer(&asked(headers)).status().as_u16(), *status, "{headers:?}");
        }
    }

    #[test]
    fn a_date_that_two_have_tells_nobody_that_he_has_the_newer() {
        let asked = asked(&[(header::IF_MODIFIED_SINCE, &date(0))]);
        assert_eq!(published(false).answer(&asked).status(), StatusCode::OK);
    }

    #[tokio::test]
    async fn a_hundred_readers_share_the_bytes() {
        let bytes = Bytes::from(vec![7; 1 << 20]);
        for _ in 0..100 {
            let keep = HeaderValue::from_static("public");
            let answer = Published::identified("text/plain", bytes.clone(), [0; 32], keep).answer(&HeaderMap::new());
            let body = answer.into_body().collect().await.expect("a body").to_bytes();
            assert_eq!((body.as_ptr(), body.len()), (bytes.as_ptr(), bytes.len()));
        }
    }
}
