//! Certificate revocation lists. When one is due, and where it is served, stands in `status`.

mod listed;

mod lint;
pub(crate) mod lints;

mod draft;

mod roll;

mod delta;

#[cfg(test)]
mod lint_tests;

pub(crate) use delta::{Changes, changes};
pub(crate) use draft::TEXT;
pub(crate) use roll::{Drafted, Moment, Roll};
