//! The decision, and what it is made by.

mod alike;
mod demand;
mod engine;
mod error;
mod explain;
mod grant;
mod memo;
mod named;
mod policies;
mod question;
mod rules;
mod shipped;
mod verdict;

pub use alike::Alike;
pub use demand::Demand;
pub use error::PolicyError;
pub use grant::{Grant, Refusal};
pub use policies::{Claim, Policies};
pub use rules::{NameRules, OwnerRules};
