//! What the ledger does but for making intents: prepare, hand to the writer, ask the readers.

mod terms;

mod base;

mod looking;

mod checkpoints;
mod opening;
mod time;
mod writing;

pub(crate) mod meeting;

#[cfg(test)]
mod tests;

pub(crate) use base::{Register, blocking};
pub(crate) use terms::Opening;
pub use terms::{LogConfig, RESUMED_RECORDS_MAX, Resumed, SignedHead};
