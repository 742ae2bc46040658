//! What a refused client reads: `application/problem+json` documents (RFC 7807) with the error types of RFC 8555
//! section 6.7, and the one table that says which HTTP status each type travels with.
//!
//! A problem is also what a challenge or an order keeps as its `error`, so it round-trips through the register.
//! It never carries a secret, and never more than [`DETAIL_CHARS_MAX`] characters of what somebody else sent.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};

use super::named::Wire;

/// Longest `detail`: names and server answers are quoted in it, and they are written by strangers.
pub const DETAIL_CHARS_MAX: usize = 600;

/// The error types this server uses: the registry of RFC 8555 section 9.7.4, the profiles draft's `invalidProfile`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ErrorKind {
    /// No account has this key (RFC 8555 section 7.3.1).
    #[serde(rename = "urn:ietf:params:acme:error:accountDoesNotExist")]
    AccountDoesNotExist,
    /// The certificate has a successor already, or an order for one (RFC 9773).
    #[serde(rename = "urn:ietf:params:acme:error:alreadyReplaced")]
    AlreadyReplaced,
    /// The certificate is revoked already.
    #[serde(rename = "urn:ietf:params:acme:error:alreadyRevoked")]
    AlreadyRevoked,
    /// The CSR cannot be used for this order.
    #[serde(rename = "urn:ietf:params:acme:error:badCSR")]
    BadCsr,
    /// The nonce was not one of ours, was used, or is too old: try again with the fresh one.
    #[serde(rename = "urn:ietf:params:acme:error:badNonce")]
    BadNonce,
    /// The account key is too weak or malformed.
    #[serde(rename = "urn:ietf:params:acme:error:badPublicKey")]
    BadPublicKey,
    /// The revocation reason is not one a subscriber may give.
    #[serde(rename = "urn:ietf:params:acme:error:badRevocationReason")]
    BadRevocationReason,
    /// The JWS algorithm is not on the list; the problem names those that are.
    #[serde(rename = "urn:ietf:params:acme:error:badSignatureAlgorithm")]
    BadSignatureAlgorithm,
    /// A CAA record forbids this CA.
    #[serde(rename = "urn:ietf:params:acme:error:caa")]
    Caa,
    /// Several problems: see `subproblems`.
    #[serde(rename = "urn:ietf:params:acme:error:compound")]
    Compound,
    /// The validation target could not be reached.
    #[serde(rename = "urn:ietf:params:acme:error:connection")]
    Connection,
    /// A DNS query failed.
    #[serde(rename = "urn:ietf:params:acme:error:dns")]
    Dns,
    /// The answer did not match the challenge.
    #[serde(rename = "urn:ietf:params:acme:error:incorrectResponse")]
    IncorrectResponse,
    /// A contact URL is malformed.
    #[serde(rename = "urn:ietf:params:acme:error:invalidContact")]
    InvalidContact,
    /// The profile is not offered (draft-ietf-acme-profiles).
    #[serde(rename = "urn:ietf:params:acme:error:invalidProfile")]
    InvalidProfile,
    /// The request is malformed.
    #[serde(rename = "urn:ietf:params:acme:error:malformed")]
    Malformed,
    /// The order is not ready to be finalized.
    #[serde(rename = "urn:ietf:params:acme:error:orderNotReady")]
    OrderNotReady,
    /// A named limit is reached: `Retry-After` says when to come back.
    #[serde(rename = "urn:ietf:params:acme:error:rateLimited")]
    RateLimited,
    /// No certificate is issued for this name.
    #[serde(rename = "urn:ietf:params:acme:error:rejectedIdentifier")]
    RejectedIdentifier,
    /// Our side failed.
    #[serde(rename = "urn:ietf:params:acme:error:serverInternal")]
    ServerInternal,
    /// The validation target spoke no usable TLS.
    #[serde(rename = "urn:ietf:params:acme:error:tls")]
    Tls,
    /// The key, account or answer has no right to this.
    #[serde(rename = "urn:ietf:params:acme:error:unauthorized")]
    Unauthorized,
    /// A contact URL of a scheme other than mailto.
    #[serde(rename = "urn:ietf:params:acme:error:unsupportedContact")]
    UnsupportedContact,
    /// An identifier type other than dns and ip.
    #[serde(rename = "urn:ietf:params:acme:error:unsupportedIdentifier")]
    UnsupportedIdentifier,
}

impl ErrorKind {
    /// The status this type travels with unless the route knows better.
    pub fn status(self) -> u16 {
        match self {
            Self::AccountDoesNotExist
            | Self::AlreadyRevoked
            | Self::BadCsr
            | Self::BadNonce
            | Self::BadPublicKey
            | Self::BadRevocationReason
            | Self::BadSignatureAlgorithm
            | Self::Compound
            | Self::Connection
            | Self::Dns
            | Self::InvalidContact
            | Self::InvalidProfile
            | Self::Malformed
            | Self::RejectedIdentifier
            | Self::Tls
            | Self::UnsupportedContact
            | Self::UnsupportedIdentifier => 400,
            Self::Caa | Self::IncorrectResponse | Self::OrderNotReady | Self::Unauthorized => 403,
            // RFC 9773 section 7.4: with HTTP status 409.
            Self::AlreadyReplaced => 409,
            Self::RateLimited => 429,
            Self::ServerInternal => 500,
        }
    }
}

/// One problem document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The error type.
    #[serde(rename = "type")]
    pub kind: ErrorKind,
    /// A sentence for the person reading the client's output.
    pub detail: String,
    /// The HTTP status.
    pub status: u16,
    /// The identifier it is about, in a subproblem (RFC 8555 section 6.7.1).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub identifier: Option<Box<Wire>>,
    /// One problem per identifier that was refused.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub subproblems: Vec<Problem>,
    /// The algorithms that would have been accepted (RFC 8555 section 6.2, with badSignatureAlgorithm).
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub algorithms: Vec<String>,
    /// Sent as `Retry-After`.
    #[serde(skip)]
    pub retry_after_secs: Option<u32>,
    /// Sent as `Location` (a key change that meets another account, RFC 8555 section 7.3.5).
    #[serde(skip)]
    pub location: Option<String>,
}

impl Problem {
    /// A problem of this type with its usual status.
    pub fn new(kind: ErrorKind, detail: impl AsRef<str>) -> Self {
        Self {
            kind,
            detail: presentable(detail.as_ref()),
            status: kind.status(),
            identifier: None,
            subproblems: Vec::new(),
            algorithms: Vec::new(),
            retry_after_secs: None,
            location: None,
        }
    }

    /// Shorthand for the commonest type.
    pub fn malformed(detail: impl AsRef<str>) -> Self {
        Self::new(ErrorKind::Malformed, detail)
    }

    /// Shorthand for a refusal of rights.
    pub fn unauthorized(detail: impl AsRef<str>) -> Self {
        Self::new(ErrorKind::Unauthorized, detail)
    }

    /// An unknown object: malformed, with 404.
    pub fn not_found(what: &str) -> Self {
        Self::malformed(format!("there is no such {what}")).with_status(404)
    }

    /// A limit was reached.
    pub fn rate_limited(detail: impl AsRef<str>, retry_after_secs: u32) -> Self {
        Self::new(ErrorKind::RateLimited, detail).retry_after(retry_after_secs)
    }

    /// Our side cannot do it now; nothing changed, so the same request may come again.
    pub fn unavailable(detail: impl AsRef<str>, retry_after_secs: u32) -> Self {
        Self::new(ErrorKind::ServerInternal, detail).with_status(503).retry_after(retry_after_secs)
    }

    /// Our side does not do it before somebody acts; `Retry-After` only where it may pass by itself.
    pub fn held(detail: impl AsRef<str>, retry_after_secs: Option<u32>) -> Self {
        Self { retry_after_secs, ..Self::new(ErrorKind::ServerInternal, detail).with_status(503) }
    }

    /// The same problem with another status.
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// The same problem with `Retry-After`.
    pub fn retry_after(mut self, secs: u32) -> Self {
        self.retry_after_secs = Some(secs);
        self
    }

    /// The same problem, said about one identifier, or about text that may be none at all.
    pub fn about(mut self, identifier: impl Into<Wire>) -> Self {
        let identifier = identifier.into();
        self.identifier =
            Some(Box::new(Wire { kind: presentable(&identifier.kind), value: presentable(&identifier.value) }));
        self
    }

    /// One document for several refused identifiers: a single one speaks for itself, more become `compound`, or their
    /// common type where they share one.
    pub fn gather(mut each: Vec<Problem>, summary: &str) -> Option<Self> {
        let first = each.first()?.kind;
        if each.len() == 1 {
            let only = each.pop()?;
            let mut whole = Self::new(only.kind, &only.detail).with_status(only.status);
            whole.subproblems = vec![only];
            return Some(whole);
        }
        let kind = if each.iter().all(|problem| problem.kind == first) { first } else { ErrorKind::Compound };
        let mut whole = Self::new(kind, summary);
        whole.subproblems = each;
        Some(whole)
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.detail)
    }
}

/// One line, printable, bounded.
fn presentable(text: &str) -> String {
    let cut: String = text.chars().take(DETAIL_CHARS_MAX).collect();
    let mut out = policy::shown(&cut).into_owned();
    if text.chars().nth(DETAIL_CHARS_MAX).is_some() {
        out.push_str(" ...");
    }
    out
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(secs) = self.retry_after_secs {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(secs));
        }
        if let Some(location) = self.location.as_deref().and_then(|url| HeaderValue::from_str(url).ok()) {
            headers.insert(header::LOCATION, location);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_has_the_registered_type_and_its_status() {
        let json = serde_json::to_value(Problem::new(ErrorKind::BadCsr, "no")).unwrap();
        assert_eq!(
            json,
            serde_json::json!({"type": "urn:ietf:params:acme:error:badCSR", "detail": "no", "status": 400})
        );
    }

    #[test]
    fn a_detail_is_one_bounded_printable_line() {
        let long = format!("a\r\n\u{202e}b{}", "x".repeat(5000));
        let problem = Problem::malformed(long);
        assert!(problem.detail.starts_with("a\\u{d}\\u{a}\\u{202e}b"));
        assert!(problem.detail.chars().count() <= DETAIL_CHARS_MAX + 24);
    }

    #[test]
    fn several_problems_of_one_type_keep_it_and_mixed_ones_are_compound() {
        let refused = || Problem::new(ErrorKind::RejectedIdentifier, "no");
        let same = Problem::gather(vec![refused(), refused()], "two names refused").unwrap();
        assert_eq!(same.kind, ErrorKind::RejectedIdentifier);
        let mixed = Problem::gather(vec![refused(), Problem::malformed("bad")], "two names refused").unwrap();
        assert_eq!(mixed.kind, ErrorKind::Compound);
        assert_eq!(mixed.subproblems.len(), 2);
        assert!(Problem::gather(Vec::new(), "none").is_none());
    }

    #[test]
    fn a_problem_survives_the_register() {
        let problem = Problem::new(ErrorKind::Dns, "no answer").with_status(400);
        let back: Problem = serde_json::from_value(serde_json::to_value(&problem).unwrap()).unwrap();
        assert_eq!(back, problem);
    }
}
