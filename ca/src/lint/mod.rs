//! What is held of every object that is signed, each thing by its name.
//!
//! A [`Lint`] is defined once, in one table: `chancery lint --list` prints them, docs/CPS.md names them, a finding carries its
//! own. Trusted for: nothing. Whoever controls this room can let a wrong draft pass, and still meets the checks and the register.

mod named;

mod findings;

pub(crate) mod certificate;

pub use findings::Finding;
pub(crate) use findings::Findings;
pub(crate) use named::lints;
pub use named::{Lint, Severity};
