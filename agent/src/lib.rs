//! Keeps certificates fresh on a host: plan, fetch, swap files as a unit, reload, look at what is served, roll back.
//!
//! The agent is an ordinary client: it talks to Chancery's REST API, or to any ACME server, makes every key on
//! the host that uses it, and knows nothing of tokens (PKCS#11) or SQL.
//!
//! Trusted for: the private keys of the host it runs on. Whoever controls it can at most use and replace the
//! certificates that its own credential may ask for, and stop renewing them.
//!
//! Architecture invariant: files are touched only after the new certificate was verified, and every change of
//! files is in a journal first, so that a run after a crash ends with a key and a certificate that match.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

// From the bottom floor to the top; a room names only those above it in this list.
mod error;

mod credential;

mod plan;

mod disk;

mod source;

mod deploy;

mod look;

mod keep;

#[cfg(test)]
mod testing;

pub use error::{AgentError, PlanError};
pub use keep::{RunMode, run};
pub use look::{State, Status, status};
pub use plan::Plan;
