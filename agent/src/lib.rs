//! Keeps certificates fresh on a host: plan, fetch, swap files as a unit, reload, look at what is served, roll back. And files that are made
//! of secrets: look, fetch, judge, replace at once, tell; and take away when nobody answers for them any more.
//!
//! The agent is an ordinary client: it talks to Chancery's REST API, or to any ACME server, makes every key on
//! the host that uses it, and knows nothing of tokens (PKCS#11) or SQL.
//!
//! Trusted for: the private keys of the host it runs on, and the values of the secrets that its own credential may read. Whoever controls it
//! can at most use and replace the certificates that this credential may ask for, stop renewing them, and read those secrets, each of which
//! is an entry of the server's log.
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
pub use keep::{Report, RunMode, run};
pub use look::{Lack, SecretState, SecretStatus, State, Status, secret_status, status};
pub use plan::Plan;
