//! The checked plan of a file of public keys that sshd reads, of which some lines are a secret's. Immutable.

use std::time::Duration;

use secrets::SecretPath;

use super::origin::Server;
use super::secret::Place as FilePlace;

/// One file of public keys to keep.
#[derive(Debug, Clone)]
pub(crate) struct AuthorizedKeys {
    pub name: String,
    pub server: Server,
    /// Whose lines are kept in it; all others stay as they are.
    pub secret: SecretPath,
    pub file: FilePlace,
    /// Whether the plan says no mode: one that stands there keeps its own.
    pub keeps_mode: bool,
    /// What stands before each of its keys.
    pub options: Option<String>,
    /// By which name this host reports; none: the only one in the agent's certificate.
    pub host: Option<String>,
    pub poll: Duration,
}
