//! The keys in a token: which may be used, finding them, making them, sealing with them.
//!
//! Signing is not here: it takes an intent, and is the pool's.

mod attributes;

pub(crate) mod ending;
pub(crate) mod making;
pub(crate) mod objects;
pub(crate) mod seal;
