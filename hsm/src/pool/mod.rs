//! The pool: async callers on one side, the session threads of one token or of several on the other, bounded queues between.
//!
//! What is asked of the pool goes to a token of it (`failover`, `facade`), and there down through `errand` or `signing` to a job in
//! that token's queue; `worker` is the other side. Each token has threads, a queue, and a healer of its own.
//!
//! Trusted for: at most one signature per intent is released, verified before it is, and "not signed" said only where that is
//! known of every token that was asked.

mod worker;

mod pace;

mod crew;
mod errand;
mod signing;

mod describe;
mod measure;
mod probe;

mod token;

mod failover;

mod facade;

mod sealing;

mod open;

pub use describe::TokenDescription;
pub use facade::{AtHome, Pool};
pub use measure::Measured;
pub use open::{FIRST_TOKEN, TOKENS_MAX, check_name, open, open_all};
pub use pace::SigningTimes;
pub use sealing::SealingHomes;
pub use token::Token;
