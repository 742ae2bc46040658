//! OCSP (RFC 6960, 5019, 9654): what is asked, who signs the answers, what they say.
//!
//! The responses of a moment are one batch: one intent, one root, one conclusion. Trusted for: that a response says of a
//! certificate what the register says.

mod asn1;

mod request;

pub(crate) mod lints;

mod responder;

mod said;

mod lint;

mod draft;

#[cfg(test)]
mod lint_tests;
#[cfg(test)]
mod request_tests;

pub(crate) use draft::{TEXT as RESPONSE_TEXT, draft, times};
pub(crate) use request::{Asked, Named};
pub use request::{OCSP_REQUEST_BYTES_MAX, is_ocsp_request};
pub(crate) use responder::{
    PROFILE, RESPONDER_SECS, Responder, TEXT as RESPONDER_TEXT, draft as draft_responder, issuer_ids,
};
pub(crate) use said::{Said, Wanted};
