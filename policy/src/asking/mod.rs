//! The question: who asks for what.

mod action;
mod actor;
mod resource;

pub use action::Action;
pub use actor::{Actor, Proof, Role, Strength};
pub use resource::{MAX_NAMES, MAX_PRINCIPALS, Resource, ResourceKind};
