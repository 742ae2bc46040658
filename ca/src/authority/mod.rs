//! The facade: everything the edges may ask of the authority. Here its rooms are furnished, and each request is passed on to the
//! one who answers it; nothing is decided here.

mod base;

// What is signed for those who ask, and how it ends.
mod ending;
mod issuing;

// Issuers.
mod lives;
mod shown;

pub use base::{Authority, Health};
