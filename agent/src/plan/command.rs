//! A command that the agent runs: an argument list, and no shell.

use std::time::Duration;

/// The command that makes a service read its files again, or that judges a new one.
#[derive(Debug, Clone)]
pub(crate) struct Reload {
    pub program: String,
    pub args: Vec<String>,
    pub timeout: Duration,
}
