//! Requests for certificates of our own CAs, for whoever signs them elsewhere: an offline root, another organisation.

mod lints;

mod lint;

mod draft;

pub(crate) use draft::{TEXT, draft};
pub(crate) use lints::REQUEST;
