//! Requests for certificates of our own CAs, for whoever signs them elsewhere: an offline root, another organisation.

mod lints;

mod lint;

mod draft;

pub(crate) use draft::{TEXT, draft, proof};
pub(crate) use lints::REQUEST;
