//! Certificate revocation lists. When one is due, and where it is served, stands in `status`.

mod listed;

mod lint;

mod draft;

mod roll;

#[cfg(test)]
mod lint_tests;

pub(crate) use draft::TEXT;
pub(crate) use roll::{Moment, Roll};
