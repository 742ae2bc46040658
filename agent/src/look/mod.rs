//! Looking: what a service serves, and where each certificate stands. Nothing is changed from here.

pub(crate) mod probe;

mod status;

pub use status::{State, Status, status};
