//! What this room answers instead of a credential; variants are named for what the caller can do about it.

use hsm::HsmError;
use policy::{Actor, Refusal};
use store::{RefusalEntry, StoreError};

use crate::intake::CsrError;
use crate::lint::Finding;

/// Why there is no credential.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// Policy refused; the refusal stands in the log.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The request is wrong as it stands; nothing was issued.
    #[error("{what}: {detail}")]
    BadRequest {
        /// The part of the request that is wrong: `csr`, `names`, `validity`, `profile`, `principals`, `key` ...
        what: &'static str,
        /// What is wrong with it, for the caller.
        detail: String,
    },
    /// Nothing of that name here.
    #[error("{0} not found")]
    NotFound(String),
    /// It exists already, or moved meanwhile.
    #[error("{0}")]
    Conflict(String),
    /// Our own draft failed its lint: nothing was intended, nothing signed; the refusal stands in the log.
    #[error(transparent)]
    Lint(#[from] LintFailure),
    /// Not now; nothing was signed. Ask again.
    #[error("unavailable: {why}")]
    Unavailable {
        /// When to ask again.
        retry_after_secs: u32,
        /// Why not now.
        why: String,
        /// The issuer that cannot sign, where others can.
        issuer: Option<String>,
    },
    /// Not before somebody acts: the register is held, the clock is not believed, a CA has ended. Nothing was signed.
    #[error("{why}")]
    Held {
        /// What holds it, and the way out, for whoever asked.
        why: String,
        /// When to ask again, where it may pass by itself.
        retry_after_secs: Option<u32>,
    },
    /// A signature may exist that nobody received. The register counts it as issued; it can be revoked by serial.
    #[error("the outcome of operation {operation} is unknown: {why}")]
    Unknown {
        /// The ledger's operation number.
        operation: u64,
        /// What was seen.
        why: String,
    },
    /// A row of the register that this needs is not as a node of ours wrote it: refused, with an alarm that names it.
    #[error("{0}")]
    Altered(String),
    /// A broken promise of our own, or of the token's or the register's content.
    #[error("{0}")]
    Internal(String),
}

impl CaError {
    pub(crate) fn bad(what: &'static str, detail: impl Into<String>) -> CaError {
        CaError::BadRequest { what, detail: detail.into() }
    }

    pub(crate) fn unavailable(retry_after_secs: u32, why: impl Into<String>) -> CaError {
        CaError::Unavailable { retry_after_secs, why: why.into(), issuer: None }
    }

    /// One issuer's tokens are away, and others are not.
    pub(crate) fn away(retry_after_secs: u32, issuer: &str, why: impl Into<String>) -> CaError {
        CaError::Unavailable { retry_after_secs, why: why.into(), issuer: Some(issuer.to_owned()) }
    }

    /// Held by what the clock shows.
    pub(crate) fn by_the_clock(why: String) -> CaError {
        CaError::Held { why, retry_after_secs: Some(CLOCK_RETRY_SECS) }
    }
}

/// Why a request cannot become a draft.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{what}: {detail}")]
pub struct DraftError {
    /// The part of the request that is wrong.
    pub what: &'static str,
    /// What is wrong with it.
    pub detail: String,
}

impl DraftError {
    pub(crate) fn new(what: &'static str, detail: impl Into<String>) -> DraftError {
        DraftError { what, detail: detail.into() }
    }
}

/// Encoding what was parsed cannot fail but for our own mistakes; it is reported, not unwrapped.
impl From<der::Error> for DraftError {
    fn from(e: der::Error) -> DraftError {
        DraftError::new("encoding", e.to_string())
    }
}

/// What a draft's own bytes say against it. A failed lint is our bug or an attack, never a caller's typing mistake, so it is
/// logged as an error too.
#[derive(Debug, thiserror::Error)]
#[error("the draft failed its lint: {}", LintFailure::in_words(findings))]
pub struct LintFailure {
    /// Each finding.
    pub findings: Vec<Finding>,
    /// The leaf it becomes.
    pub(crate) leaf: Box<RefusalEntry>,
    /// Of whom it is counted.
    pub(crate) actor: Box<Actor>,
}

impl LintFailure {
    /// Findings, each with its name.
    pub(crate) fn in_words(findings: &[Finding]) -> String {
        findings.iter().map(Finding::to_string).collect::<Vec<_>>().join("; ")
    }
}

impl From<DraftError> for CaError {
    fn from(e: DraftError) -> CaError {
        CaError::BadRequest { what: e.what, detail: e.detail }
    }
}

impl From<CsrError> for CaError {
    fn from(e: CsrError) -> CaError {
        CaError::bad("csr", e.to_string())
    }
}

/// For everything but a conclusion, whose failure leaves a signature behind (see the issuance page).
impl From<StoreError> for CaError {
    fn from(e: StoreError) -> CaError {
        match e {
            StoreError::Busy { retry_after_secs } => CaError::unavailable(retry_after_secs, e.to_string()),
            // Whether a row was written or not: without its answer nothing was handed to the token.
            StoreError::Unavailable(_)
            | StoreError::Full(_)
            | StoreError::Token(_)
            | StoreError::Target(_)
            | StoreError::Unshown(_)
            | StoreError::Late { .. }
            | StoreError::Unknown(_)
            | StoreError::Closed => CaError::unavailable(STORE_RETRY_SECS, e.to_string()),
            StoreError::Held(_) => CaError::Held { why: store::HELD.to_owned(), retry_after_secs: None },
            StoreError::Clock(held) => CaError::by_the_clock(held.to_string()),
            StoreError::Conflict(_) | StoreError::Duplicate(_) => CaError::Conflict(e.to_string()),
            StoreError::NotFound(what) => CaError::NotFound(what),
            StoreError::Altered(_) => CaError::Altered(e.to_string()),
            StoreError::Invalid(_) | StoreError::Corrupt(_) | StoreError::Database(_) | StoreError::Taken { .. } => {
                CaError::Internal(e.to_string())
            }
        }
    }
}

impl From<HsmError> for CaError {
    fn from(e: HsmError) -> CaError {
        match e {
            HsmError::Unavailable { retry_after_secs, .. } => CaError::unavailable(retry_after_secs, e.to_string()),
            HsmError::Locked(_) => CaError::unavailable(LOCKED_RETRY_SECS, e.to_string()),
            HsmError::NotFound { label } => CaError::NotFound(format!("key `{label}` of the token")),
            HsmError::Exists { .. } | HsmError::TokenExists { .. } => CaError::Conflict(e.to_string()),
            HsmError::Unsupported(_) => CaError::bad("key", e.to_string()),
            HsmError::Config { .. }
            | HsmError::Module { .. }
            | HsmError::Token(_)
            | HsmError::Unfit { .. }
            | HsmError::Sealed(_)
            | HsmError::Failed(_) => CaError::Internal(e.to_string()),
        }
    }
}

/// A database that fails over is back within this.
const STORE_RETRY_SECS: u32 = 5;
/// A clock is set right by a person or by NTP, neither of them at once.
const CLOCK_RETRY_SECS: u32 = 60;
/// A refused PIN needs a person.
pub(crate) const LOCKED_RETRY_SECS: u32 = 300;
