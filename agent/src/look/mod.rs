//! Looking: what a service serves, and where each certificate and each file of secrets stands. Nothing is changed from here.

pub(crate) mod probe;

mod secret;
mod status;

pub use secret::{Lack, SecretState, SecretStatus, secret_status};
pub use status::{State, Status, status};
