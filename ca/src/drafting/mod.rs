//! From a grant to bytes that were doubted: what a draft is, what a craft owes, and the lint.
//!
//! No kind of credential is known here; each is a [`Craft`] in its own folder. Trusted for: that only what was read back and
//! found right becomes a [`Linted`].

mod serials;
mod validity;

mod craft;

mod draft;

mod lint;

pub(crate) use craft::Craft;
pub(crate) use draft::{Draft, Facts, ProfileStamp};
pub(crate) use lint::Linted;
pub(crate) use serials::Serials;
pub(crate) use validity::{BACKDATE_SECS_MAX, SKEW_SECS, backdated, until, validity};
