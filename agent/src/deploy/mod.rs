//! Putting a certificate in service: the journal first, then its files as a unit, then the reload.
//!
//! Nothing here decides what to install or when to go back; that is `keep`. Whatever is interrupted here is written in
//! the journal, and is done again.

mod switch;

mod files;

mod journal;

pub(crate) mod reload;
pub(crate) mod swap;

pub(crate) use files::FileSet;
pub(crate) use journal::{Candidate, Desk, Direction, Journal, Kept, status_path};
