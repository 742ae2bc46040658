//! Putting a certificate in service: the journal first, then its files as a unit, then the reload. Putting a file of secrets in its place:
//! beside it first, judged, and then by one rename.
//!
//! Nothing here decides what to install or when to go back; that is `keep`. Whatever is interrupted here is written in
//! the journal, and is done again.

mod switch;

mod files;

mod journal;

mod note;
mod placing;

pub(crate) mod notify;

pub(crate) mod reload;
pub(crate) mod swap;

pub(crate) use files::FileSet;
pub(crate) use journal::{Candidate, Desk, Direction, Journal, Kept, status_path};
pub(crate) use note::Note;
pub(crate) use placing::{Alone, Placing, Seen, Written};
