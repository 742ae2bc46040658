//! The authority's answers in ACME's words.

use ca::CaError;

use super::recover::unknown_outcome;
use crate::wire::{ErrorKind, Problem};

/// What a client is told when the authority does not issue. A problem with Retry-After: nothing was signed, and it may come again.
pub(super) fn ca_problem(error: &CaError) -> Problem {
    match error {
        CaError::Refused(refusal) => {
            Problem::unauthorized(format!("policy refuses this certificate: {}", refusal.missing))
        }
        CaError::BadRequest { what: "csr" | "key", .. } => Problem::new(ErrorKind::BadCsr, error.to_string()),
        CaError::BadRequest { what: "names", .. } => Problem::new(ErrorKind::RejectedIdentifier, error.to_string()),
        CaError::BadRequest { .. } => Problem::malformed(error.to_string()),
        CaError::Unavailable { retry_after_secs, why, issuer: _ } => Problem::unavailable(why, *retry_after_secs),
        CaError::Held { why, retry_after_secs } => Problem::held(why, *retry_after_secs),
        CaError::Unknown { operation, .. } => {
            tracing::error!(%error, "the outcome of an issuance is unknown");
            Problem::new(ErrorKind::ServerInternal, unknown_outcome(*operation))
        }
        // Whose mistake it is, the operator sees; the client learns that nothing was signed, and why.
        CaError::Lint(failure) => Problem::new(ErrorKind::ServerInternal, failure.to_string()),
        CaError::NotFound(_) | CaError::Conflict(_) | CaError::Altered(_) | CaError::Internal(_) => {
            tracing::error!(%error, "an issuance failed");
            Problem::new(ErrorKind::ServerInternal, "the certificate could not be issued; the operator's log says why")
        }
    }
}
