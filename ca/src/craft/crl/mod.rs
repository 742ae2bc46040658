//! Certificate revocation lists. When one is due, and where it is served, stands in `status`.

mod lint;

mod draft;

pub(crate) use draft::{TEXT, draft};
