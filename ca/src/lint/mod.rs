//! What is held of every object that is signed, each thing by its name; and the lints that need no grant and no profile, for any
//! certificate and CRL as bytes.
//!
//! A [`Lint`] is defined once, in one table: `chancery lint --list` prints them, docs/CPS.md names them, a finding carries its
//! own. Trusted for: nothing. Whoever controls this room can let a wrong draft pass, and still meets the checks and the register.

mod named;

mod findings;

// Of anything.
pub(crate) mod algorithms;
pub(crate) mod names;
pub(crate) mod usage;
pub(crate) mod within;

pub(crate) mod extensions;

// Of what is signed.
pub(crate) mod certificate;
pub(crate) mod crl;
pub(crate) mod ocsp;

// Of files.
mod split;

mod file;

#[cfg(test)]
mod tests;

pub use file::{Judged, Kind, judge};
pub use findings::Finding;
pub(crate) use findings::Findings;
pub(crate) use named::lints;
pub use named::{Lint, Severity};
pub use split::NoObject;
