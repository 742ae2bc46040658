//! What must hold before anything is signed: a clock that is believed, an issuer that is usable, a key not known to others.
//!
//! Trusted for: that what must not be signed now does not reach the page. It decides nothing about who may ask.

mod clock;

mod checked;

pub(crate) use checked::{Checked, Checks};
pub(crate) use clock::{CrlTime, told_by};
