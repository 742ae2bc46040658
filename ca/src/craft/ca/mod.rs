//! Certificates of our own CAs. What they say is planned with their issuer (`issuers::plan`).

mod lint;
pub(crate) mod lints;

mod draft;

pub(crate) use draft::{CaRequest, TEXTS, draft};
#[cfg(test)]
pub(crate) use lint::Ca;
