//! How a pool's token is, what all of its threads know, and who brings the token back.

mod standing;

mod shared;

pub(crate) mod healer;

#[cfg(test)]
pub(crate) use shared::MAKERS_MAX;
pub(crate) use shared::Shared;
pub use standing::Health;
pub(crate) use standing::{RETRY_AFTER_BUSY_SECS, RETRY_AFTER_HEALING_SECS};
