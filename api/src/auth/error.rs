//! Why nobody was recognised, and under which label it is counted.

use store::StoreError;

/// Why nobody was recognised. What the caller is told is in `problem`.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// Neither token nor certificate.
    #[error("send `Authorization: Bearer chy_...`, or use a client certificate of this authority")]
    Missing,
    /// An Authorization header that is not a token of ours.
    #[error("the Authorization header is not `Bearer chy_ID_SECRET`")]
    Malformed,
    /// No such token, or another secret: the same answer for both.
    #[error("this token is not known here")]
    Unknown,
    /// Its time is over.
    #[error("this token has expired")]
    Expired,
    /// It was revoked.
    #[error("this token has been revoked")]
    Revoked,
    /// The client certificate does not stand in the register as valid.
    #[error("this client certificate does not count: {0}")]
    Certificate(&'static str),
    /// Too many failures from this address.
    #[error("too many failed attempts from this address")]
    Throttled,
    /// The register did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl AuthError {
    /// A client certificate whose time has not come, or is over.
    pub(super) const OUTSIDE_VALIDITY: AuthError = AuthError::Certificate("it is outside its validity");

    /// The label under which it is counted.
    pub(crate) fn label(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Malformed => "malformed",
            Self::Unknown => "unknown",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::Certificate(_) => "certificate",
            Self::Throttled => "throttled",
            Self::Store(_) => "register",
        }
    }
}
