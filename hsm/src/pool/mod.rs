//! The pool: async callers on one side, session threads on the other, a bounded queue between.
//!
//! A caller's wish goes down through `facade`, `errand` or `signing` to a job in the queue; `worker` is the other side.
//!
//! Trusted for: at most one signature per intent, verified before it is released, and "not signed" said only where that is
//! known.

mod worker;

mod pace;

mod crew;
mod errand;
mod signing;

mod describe;
mod probe;

mod facade;

mod open;

pub use describe::TokenDescription;
pub use facade::Pool;
pub use open::open;
pub use pace::SigningTimes;
