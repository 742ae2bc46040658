//! What a caller can be told, named for what he can do about it.

use store::StoreError;

use crate::envelope::Forged;
use crate::nouns::NameError;
use crate::recovery::WrapError;
use crate::transit::TransitError;

/// A secret was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// There is no such secret, version, label or field.
    #[error("{0}")]
    NotFound(String),
    /// It was there, and is out of use: deleted, disabled, ended, not begun, or destroyed.
    #[error("{0}")]
    OutOfUse(String),
    /// Something moved under the caller, or is not what he expected: read it again.
    #[error("{0}")]
    Conflict(String),
    /// A target did not answer, and nothing was done there: ask again later.
    #[error("{0}")]
    Away(String),
    /// What was asked for cannot be: it says why.
    #[error("{what}: {why}")]
    Invalid {
        /// Which part of it.
        what: &'static str,
        /// What it has to be.
        why: String,
    },
    /// Nothing of a batch comes to anything, or a key cannot be as it was wished for.
    #[error(transparent)]
    Transit(#[from] TransitError),
    /// What lies there is not what was sealed.
    #[error("{0}")]
    Forged(#[from] Forged),
    /// The register or the token.
    #[error(transparent)]
    Store(StoreError),
    /// The system has no random bytes.
    #[error("the system gives no random bytes: try again, and look at its entropy")]
    NoRandom,
}

impl SecretError {
    pub(crate) fn invalid(what: &'static str, why: impl Into<String>) -> SecretError {
        SecretError::Invalid { what, why: why.into() }
    }
}

impl From<StoreError> for SecretError {
    fn from(error: StoreError) -> SecretError {
        match error {
            StoreError::Conflict(why) => SecretError::Conflict(why),
            other => SecretError::Store(other),
        }
    }
}

impl From<NameError> for SecretError {
    fn from(error: NameError) -> SecretError {
        SecretError::invalid("name", error.to_string())
    }
}

impl From<WrapError> for SecretError {
    fn from(error: WrapError) -> SecretError {
        match error {
            WrapError::NoRandom => SecretError::NoRandom,
            WrapError::Forged(forged) => SecretError::Forged(forged),
            WrapError::Elsewhere | WrapError::NotNewer { .. } => {
                SecretError::invalid("recovery key", error.to_string())
            }
        }
    }
}

impl From<ring::error::Unspecified> for SecretError {
    fn from(_: ring::error::Unspecified) -> SecretError {
        SecretError::NoRandom
    }
}
