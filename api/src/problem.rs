//! The one table from errors to what a caller is told: RFC 9457 `application/problem+json`.
//!
//! Every error of every room below becomes a [`Problem`] here and nowhere else, so that status, type and `Retry-After`
//! cannot differ between routes. Causes that only an operator may see go to the log under a reference that the caller is
//! given; never does a problem carry a secret, a path or an SQL text.

use std::borrow::Cow;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use ca::CaError;
use http::{HeaderValue, StatusCode, header};
use policy::Refusal;
use secrets::SecretError;
use secrets::transit::TransitError;
use serde::Serialize;
use store::StoreError;

use crate::auth::AuthError;
use crate::limits::RETRY_AFTER_SECS;

/// A clock is set right by a person or by NTP, neither of them at once.
const CLOCK_RETRY_SECS: u32 = 60;
/// When a register that is away is asked again.
const STORE_RETRY_SECS: u32 = 5;
/// When a target of a rotation or a lease that is away is asked again.
const TARGET_RETRY_SECS: u32 = 30;
/// The window in which failures are held against an address.
const THROTTLE_RETRY_SECS: u32 = 60;
/// The media type of RFC 9457 section 3.
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";

/// What went wrong, as the caller may act on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The request does not parse or breaks a rule of its own format.
    Malformed,
    /// It parses, and asks for something that the CA does not issue.
    Unacceptable,
    /// What would be signed fails a lint: a mistake of a profile, or of ours. It names the lint.
    Lint,
    /// No credential, or one that does not hold.
    Unauthenticated,
    /// A known actor, who has to prove a second factor first.
    SecondFactor,
    /// A known actor without the right.
    Refused,
    /// Nothing there.
    NotFound,
    /// The secret is there and may be read, and has no field of this name: a mistake of whoever asks, or of whoever wrote it.
    NoField,
    /// The path is there, the method is not.
    MethodNotAllowed,
    /// Too slow in sending the body.
    SlowBody,
    /// It is already so, or has moved on.
    Conflict,
    /// It was there and is out of use.
    Gone,
    /// It is not what the caller asked for (RFC 9110 section 13.1).
    Precondition,
    /// Larger than the bound.
    TooLarge,
    /// Not a media type that this route reads.
    UnsupportedMediaType,
    /// Too many requests or failures from here.
    TooMany,
    /// A row of the register is not what the log says, and was refused.
    Altered,
    /// Our own broken promise.
    Internal,
    /// The token gave no answer that we can trust, or the register none: it may have been signed, or written.
    Unknown,
    /// Busy, or the HSM or the register is away.
    Unavailable,
    /// Not before somebody acts: the register is held, or the clock is not believed. It says what to do.
    Held,
    /// Not answered in time.
    TimedOut,
}

/// One row of the table.
struct Row(&'static str, StatusCode, &'static str);

impl Kind {
    /// THE table: name in `urn:chancery:problem:NAME`, status, title.
    const fn row(self) -> Row {
        match self {
            Self::Malformed => Row("malformed", StatusCode::BAD_REQUEST, "The request is malformed"),
            Self::Unacceptable => {
                Row("unacceptable", StatusCode::UNPROCESSABLE_ENTITY, "The request asks for what is not done here")
            }
            Self::Lint => Row("lint", StatusCode::UNPROCESSABLE_ENTITY, "What would be signed failed its lint"),
            Self::Unauthenticated => Row("unauthenticated", StatusCode::UNAUTHORIZED, "A valid credential is needed"),
            Self::SecondFactor => Row("second-factor", StatusCode::UNAUTHORIZED, "A second factor is needed"),
            Self::Refused => Row("refused", StatusCode::FORBIDDEN, "The policy refuses this"),
            Self::NotFound => Row("not-found", StatusCode::NOT_FOUND, "There is no such thing here"),
            Self::NoField => Row("no-field", StatusCode::NOT_FOUND, "The secret has no such field"),
            Self::MethodNotAllowed => {
                Row("method-not-allowed", StatusCode::METHOD_NOT_ALLOWED, "This path has no such method")
            }
            Self::SlowBody => Row("slow-body", StatusCode::REQUEST_TIMEOUT, "The body did not arrive in time"),
            Self::Conflict => Row("conflict", StatusCode::CONFLICT, "The state of things does not allow this"),
            Self::Gone => Row("gone", StatusCode::GONE, "It is out of use"),
            Self::Precondition => {
                Row("precondition-failed", StatusCode::PRECONDITION_FAILED, "It is another one than the caller wants")
            }
            Self::TooLarge => Row("too-large", StatusCode::PAYLOAD_TOO_LARGE, "The request is too large"),
            Self::UnsupportedMediaType => {
                Row("unsupported-media-type", StatusCode::UNSUPPORTED_MEDIA_TYPE, "The content type is not read here")
            }
            Self::TooMany => Row("too-many", StatusCode::TOO_MANY_REQUESTS, "Too many requests"),
            Self::Altered => Row("altered", StatusCode::INTERNAL_SERVER_ERROR, "The register was altered"),
            Self::Internal => Row("internal", StatusCode::INTERNAL_SERVER_ERROR, "The service broke a promise"),
            Self::Unknown => Row("outcome-unknown", StatusCode::INTERNAL_SERVER_ERROR, "The outcome is unknown"),
            Self::Unavailable => Row("unavailable", StatusCode::SERVICE_UNAVAILABLE, "The service cannot do this now"),
            Self::Held => Row("held", StatusCode::SERVICE_UNAVAILABLE, "The service waits for somebody to act"),
            Self::TimedOut => Row("timed-out", StatusCode::SERVICE_UNAVAILABLE, "The answer took too long"),
        }
    }

    /// What all problems of this kind have in common.
    pub(crate) const fn title(self) -> &'static str {
        self.row().2
    }

    /// The HTTP status of this kind.
    pub(crate) const fn status(self) -> StatusCode {
        self.row().1
    }

    /// The type that programs go by (RFC 9457 section 3.1.1).
    pub(crate) fn urn(self) -> String {
        format!("urn:chancery:problem:{}", self.row().0)
    }
}

/// A refusal or failure on its way to a caller.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{detail}")]
pub struct Problem {
    kind: Kind,
    detail: Cow<'static, str>,
    field: Option<Cow<'static, str>>,
    missing: Option<String>,
    operation: Option<u64>,
    retry_after_secs: Option<u32>,
}

impl Problem {
    /// A problem of a kind, with one sentence for the caller.
    pub(crate) fn new(kind: Kind, detail: impl Into<Cow<'static, str>>) -> Self {
        let retry_after_secs = match kind {
            Kind::TooMany | Kind::Unavailable | Kind::TimedOut => Some(RETRY_AFTER_SECS),
            Kind::Malformed
            | Kind::Unacceptable
            | Kind::Lint
            | Kind::Unauthenticated
            | Kind::SecondFactor
            | Kind::Refused
            | Kind::NotFound
            | Kind::NoField
            | Kind::MethodNotAllowed
            | Kind::SlowBody
            | Kind::Conflict
            | Kind::Gone
            | Kind::Precondition
            | Kind::TooLarge
            | Kind::UnsupportedMediaType
            | Kind::Altered
            | Kind::Internal
            | Kind::Held
            | Kind::Unknown => None,
        };
        Self { kind, detail: detail.into(), field: None, missing: None, operation: None, retry_after_secs }
    }

    /// A field or parameter that is wrong, and how.
    pub(crate) fn field(name: impl Into<Cow<'static, str>>, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { field: Some(name.into()), ..Self::new(Kind::Malformed, detail) }
    }

    /// A version that may be read has no such field.
    pub(crate) fn no_field(why: String) -> Self {
        Self::new(Kind::NoField, sentence(why))
    }

    /// The same problem with the field that decides: what is refused until it is said.
    pub(crate) fn about(mut self, field: &'static str) -> Self {
        self.field = Some(field.into());
        self
    }

    /// The same problem with another wait than the default.
    pub(crate) fn retry_after(mut self, secs: u32) -> Self {
        self.retry_after_secs = Some(secs.max(1));
        self
    }

    /// What somebody has to do before this goes on, and when to ask again where it may pass by itself.
    fn held(why: impl Into<Cow<'static, str>>, retry_after_secs: Option<u32>) -> Self {
        Self { retry_after_secs, ..Self::new(Kind::Held, why) }
    }

    /// What this needs was altered by somebody who is not of ours; which row, the status says.
    fn altered(says: &str) -> Self {
        tracing::error!(says, "refused");
        let detail = "A row that this needs is not what the log says, and was refused. On the host of the service \
             `chancery audit verify` says which.";
        Self::new(Kind::Altered, detail)
    }

    /// Our own fault: the cause goes to the log, the caller gets the reference under which it is found there.
    pub(crate) fn internal(cause: &(dyn std::error::Error + 'static)) -> Self {
        let reference = reference();
        tracing::error!(reference, cause = %chain(cause), "internal error");
        Self::new(Kind::Internal, format!("The log of the service says why, under reference {reference}."))
    }

    /// The kind, for the counters.
    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// When to ask again, where that may help.
    pub(crate) fn retry_after_secs(&self) -> Option<u32> {
        self.retry_after_secs
    }

    /// The sentence for the caller.
    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let detail = refusal.to_string();
        let kind = if refusal.step_up { Kind::SecondFactor } else { Kind::Refused };
        Self { missing: Some(refusal.missing), ..Self::new(kind, detail) }
    }
}

impl From<CaError> for Problem {
    fn from(error: CaError) -> Self {
        match error {
            CaError::Refused(refusal) => refusal.into(),
            CaError::BadRequest { what, detail } => {
                Self { field: Some(what.into()), ..Self::new(Kind::Unacceptable, detail) }
            }
            CaError::NotFound(what) => Self::new(Kind::NotFound, format!("{what} is not here.")),
            CaError::Conflict(why) => Self::new(Kind::Conflict, why),
            CaError::Unavailable { retry_after_secs, why, issuer } => {
                tracing::debug!(why, "unavailable");
                let detail = match issuer {
                    None => "The HSM or the register does not answer now; nothing was signed.".to_owned(),
                    Some(issuer) => format!(
                        "Issuer {issuer} signs nothing now, since the tokens of its key do not answer; nothing was signed, and other \
                         issuers go on. An operator sees with `chancery ca tokens {issuer}` where its key is, and gives it another token."
                    ),
                };
                Self::new(Kind::Unavailable, detail).retry_after(retry_after_secs)
            }
            CaError::Held { why, retry_after_secs } => Self::held(sentence(why), retry_after_secs),
            CaError::Unknown { operation, why } => {
                tracing::error!(operation, why, "outcome unknown");
                let detail = format!(
                    "A signature may exist for operation {operation}. The register counts it as issued, and it can be revoked."
                );
                Self { operation: Some(operation), ..Self::new(Kind::Unknown, detail) }
            }
            CaError::Altered(says) => Self::altered(&says),
            CaError::Lint(failure) => Self::new(Kind::Lint, sentence(failure.to_string())),
            error @ CaError::Internal(_) => Self::internal(&error),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Busy { retry_after_secs } => {
                Self::new(Kind::Unavailable, "The register has as much to do as it takes at once.")
                    .retry_after(retry_after_secs)
            }
            StoreError::Unavailable(why) => {
                tracing::debug!(why, "register unavailable");
                Self::new(Kind::Unavailable, "The register does not answer now.").retry_after(STORE_RETRY_SECS)
            }
            StoreError::Full(why) => {
                tracing::debug!(why, "register full");
                let says = "The register's disk is full: nothing is written until there is room.";
                Self::new(Kind::Unavailable, says).retry_after(STORE_RETRY_SECS)
            }
            StoreError::Token(why) => {
                tracing::debug!(why, "token unavailable");
                let says = "The token that seals and opens does not answer now, or has not the key; the register does.";
                Self::new(Kind::Unavailable, says).retry_after(STORE_RETRY_SECS)
            }
            StoreError::Target(why) => {
                tracing::warn!(why, "backup not written");
                let says = "Where the backup is to lie, it cannot be written now.";
                Self::new(Kind::Unavailable, says).retry_after(STORE_RETRY_SECS)
            }
            StoreError::Unshown(why) => {
                tracing::warn!(why, "outcome of an access unknown");
                let says =
                    "The register did not say whether the access is in its log, so nothing was opened; ask again.";
                Self::new(Kind::Unavailable, says).retry_after(STORE_RETRY_SECS)
            }
            StoreError::Late { limit } => {
                let says = format!("The register took longer than {} s; ask for less, or later.", limit.as_secs());
                Self::new(Kind::Unavailable, says).retry_after(STORE_RETRY_SECS)
            }
            StoreError::Clock(held) => Self::held(sentence(held.to_string()), Some(CLOCK_RETRY_SECS)),
            StoreError::Closed => Self::new(Kind::Unavailable, "The service is ending.").retry_after(STORE_RETRY_SECS),
            StoreError::Unknown(why) => {
                tracing::error!(why, "outcome of a write unknown");
                Self::new(Kind::Unknown, "Nobody knows whether this was written; look before asking again.")
            }
            StoreError::Conflict(why) => Self::new(Kind::Conflict, why),
            StoreError::Duplicate(why) => Self::new(Kind::Conflict, why),
            StoreError::NotFound(what) => Self::new(Kind::NotFound, what),
            StoreError::Invalid(why) => Self::new(Kind::Unacceptable, why),
            StoreError::Held(why) => {
                tracing::debug!(why, "the register is held");
                Self::held(store::HELD, None)
            }
            StoreError::Altered(says) => Self::altered(&says),
            error @ (StoreError::Corrupt(_) | StoreError::Database(_) | StoreError::Taken { .. }) => {
                Self::internal(&error)
            }
        }
    }
}

impl From<SecretError> for Problem {
    fn from(error: SecretError) -> Self {
        match error {
            SecretError::NotFound(why) => Self::new(Kind::NotFound, sentence(why)),
            SecretError::OutOfUse(why) => Self::new(Kind::Gone, sentence(why)),
            SecretError::Conflict(why) => Self::new(Kind::Conflict, sentence(why)),
            SecretError::Away(why) => Self::new(Kind::Unavailable, sentence(why)).retry_after(TARGET_RETRY_SECS),
            SecretError::Invalid { what, why } => {
                Self { field: Some(what.into()), ..Self::new(Kind::Unacceptable, sentence(format!("{what}: {why}"))) }
            }
            SecretError::Transit(error) => error.into(),
            SecretError::Forged(forged) => Self::altered(&forged.to_string()),
            SecretError::Store(error) => error.into(),
            error @ SecretError::NoRandom => Self::internal(&error),
        }
    }
}

impl From<TransitError> for Problem {
    fn from(error: TransitError) -> Self {
        let field = if let TransitError::Invalid { what, .. } = &error { Some(*what) } else { None };
        let kind = match &error {
            TransitError::Malformed | TransitError::Invalid { .. } => Kind::Malformed,
            TransitError::ContextMissing | TransitError::ContextUnused | TransitError::TooLong { .. } => {
                Kind::Malformed
            }
            TransitError::NotForKind { .. } | TransitError::NoMode { .. } => Kind::Unacceptable,
            TransitError::NoVersion(_) | TransitError::Forged => Kind::Unacceptable,
            TransitError::Retired { .. } => Kind::Gone,
            TransitError::Full(_) => Kind::Conflict,
            TransitError::NoRandom => return Self::internal(&error),
        };
        Self { field: field.map(Into::into), ..Self::new(kind, sentence(error.to_string())) }
    }
}

impl From<AuthError> for Problem {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::Store(error) => error.into(),
            AuthError::Throttled => Self::new(Kind::TooMany, error.to_string()).retry_after(THROTTLE_RETRY_SECS),
            AuthError::Missing
            | AuthError::Malformed
            | AuthError::Unknown
            | AuthError::Expired
            | AuthError::Revoked
            | AuthError::Certificate(_) => {
                let told = error.to_string();
                Self { missing: Some(told.clone()), ..Self::new(Kind::Unauthenticated, told) }
            }
        }
    }
}

/// The body, in the order that RFC 9457 lists its members.
#[derive(Serialize)]
struct Wire<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    operation: Option<u64>,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Row(_, status, title) = self.kind.row();
        // What a stranger sent is repeated in some of these, and a person's terminal shows it.
        let missing = self.missing.as_deref().map(policy::shown);
        let field = self.field.as_deref().map(policy::shown);
        let wire = Wire {
            r#type: self.kind.urn(),
            title,
            status: status.as_u16(),
            detail: &policy::shown(&self.detail),
            field: field.as_deref(),
            missing: missing.as_deref(),
            operation: self.operation,
        };
        let body = serde_json::to_vec(&wire).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if let Some(secs) = self.retry_after_secs {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(secs));
        }
        // RFC 9110 section 11.6.1: a 401 MUST name at least one challenge; RFC 9470 section 3 names that of a step-up.
        let challenge = match self.kind {
            Kind::Unauthenticated => Some("Bearer realm=\"chancery\""),
            Kind::SecondFactor => Some("Bearer realm=\"chancery\", error=\"insufficient_user_authentication\""),
            _ => None,
        };
        headers.extend(challenge.map(|says| (header::WWW_AUTHENTICATE, HeaderValue::from_static(says))));
        response
    }
}

/// Words of a room below as a sentence of its own. It begins with a capital where it begins with a word that is nobody's name: paths, keys and
/// fields are told apart by their letters.
fn sentence(mut words: String) -> String {
    let first = words.split([' ', ',', ':']).next().unwrap_or_default();
    if OPENERS.contains(&first)
        && let Some(letter) = words.get_mut(..1)
    {
        letter.make_ascii_uppercase();
    }
    if !words.ends_with('.') {
        words.push('.');
    }
    words
}

/// What sentences begin with, and names do not.
const OPENERS: &[&str] = &[
    "a", "all", "an", "another", "as", "at", "by", "each", "every", "for", "if", "in", "it", "its", "more", "no",
    "nobody", "none", "nothing", "of", "on", "one", "only", "so", "some", "that", "the", "there", "these", "this",
    "those", "what", "where", "while", "who", "whoever", "you",
];

/// The error with its sources, for the log.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// A name for one failure, unique on this node; not a secret.
pub(crate) fn reference() -> String {
    use ring::rand::{SecureRandom, SystemRandom};
    let mut bytes = [0_u8; 8];
    // A reference of zeros is still a reference: randomness here only keeps two failures apart.
    let _ = SystemRandom::new().fill(&mut bytes);
    hex::encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_away_is_named_and_an_access_that_nobody_knows_of_is_asked_for_again() {
        let of = |error: StoreError| Problem::from(error);
        for (error, says) in [
            (StoreError::Unavailable("a.db".to_owned()), "The register does not answer"),
            (StoreError::Full("a.db".to_owned()), "disk is full"),
            (StoreError::Token("gone".to_owned()), "The token"),
            (StoreError::Target("full".to_owned()), "backup"),
            (StoreError::Unshown("cut".to_owned()), "nothing was opened"),
        ] {
            let problem = of(error);
            assert_eq!(
                (problem.kind().status(), problem.retry_after_secs()),
                (StatusCode::SERVICE_UNAVAILABLE, Some(5))
            );
            assert!(problem.detail().contains(says), "{problem}");
        }
        // What was to be written is looked for before it is written again, and no signature is spoken of.
        let written = of(StoreError::Unknown("cut".to_owned()));
        assert_eq!((written.kind(), written.retry_after_secs()), (Kind::Unknown, None));
        assert!(!written.kind().title().contains("signature"));
    }

    #[test]
    fn a_sentence_begins_with_a_capital_and_a_name_stays_a_name() {
        for (words, told) in [
            ("pay/key has no version 1", "pay/key has no version 1."),
            // A name may be a word that sentences begin with: it stands behind another.
            ("the secret all has no version 1", "The secret all has no version 1."),
            ("payments is not to be destroyed", "payments is not to be destroyed."),
            ("min_decrypt: it is above the newest", "min_decrypt: it is above the newest."),
            ("the owner has no such rule", "The owner has no such rule."),
            ("it is there already.", "It is there already."),
            ("", "."),
        ] {
            assert_eq!(sentence(words.to_owned()), told);
        }
    }
}
