//! Certificates of our own CAs. Nobody asks for one: they are planned when an authority is founded.

mod lint;
pub(crate) mod lints;

mod draft;

pub(crate) use draft::{CaPlan, TEXTS, draft};
