//! The question: who asks for what.

mod action;
mod actor;
mod factor;
mod holder;
mod resource;

pub use action::Action;
pub use actor::{Actor, Proof, Role, Strength};
pub use factor::{Method, SecondFactor};
pub use holder::{Holder, Kin};
pub use resource::{MAX_NAMES, MAX_PRINCIPALS, Resource, ResourceKind};
