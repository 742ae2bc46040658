//! The plan: which certificates this host keeps, where they come from, where they go.
//!
//! TOML -> raw structs that refuse unknown keys -> check -> immutable values. A plan that cannot be used is
//! refused as a whole, with file, key, reason and the line to write instead; nothing is ever half-applied.
//! Relative paths are relative to the plan file.

mod check;
mod place;
mod raw;
mod sources;
mod users;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use policy::Name;
use rustls::pki_types::ServerName;

use crate::error::{AgentError, PlanError};
use crate::keys::KeyKind;
use crate::schedule::Cadence;

/// A checked plan.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Where the agent keeps its journals, candidates, account keys and status files.
    pub(crate) state_dir: PathBuf,
    /// The agent's own certificate first, where the plan has one.
    pub(crate) certificates: Vec<Certificate>,
}

impl Plan {
    /// Reads and checks a plan file.
    pub fn load(path: &Path) -> Result<Self, AgentError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| AgentError::disk(path, "the plan cannot be read", source))?;
        Ok(Self::parse(&text, path)?)
    }

    /// Checks the text of a plan that stands in `file`.
    pub fn parse(text: &str, file: &Path) -> Result<Self, PlanError> {
        check::parse(text, file)
    }
}

/// One certificate to keep.
#[derive(Debug, Clone)]
pub(crate) struct Certificate {
    pub name: String,
    pub names: Vec<Name>,
    pub source: Source,
    pub files: Files,
    pub key: KeyKind,
    pub reuse_key: bool,
    pub reload: Option<Reload>,
    pub check: Option<Check>,
    pub cadence: Cadence,
}

/// Where a certificate comes from.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    Chancery(Chancery),
    Acme(Acme),
}

/// A Chancery server and how to prove who asks.
#[derive(Debug, Clone)]
pub(crate) struct Chancery {
    pub url: String,
    pub ca_file: PathBuf,
    pub owner: String,
    pub profile: String,
    pub validity_secs: Option<u64>,
    /// First choice: the client certificate and its key.
    pub client: Option<ClientFiles>,
    /// Second choice, for the first enrolment.
    pub token_file: Option<PathBuf>,
}

/// A client certificate on disk.
#[derive(Debug, Clone)]
pub(crate) struct ClientFiles {
    pub cert: PathBuf,
    pub key: PathBuf,
}

/// An ACME server and how to prove control of the names.
#[derive(Debug, Clone)]
pub(crate) struct Acme {
    pub directory: String,
    pub ca_file: PathBuf,
    pub contact: Vec<String>,
    pub profile: Option<String>,
    pub external_account: Option<ExternalAccount>,
    pub http01: Http01,
}

/// The binding of the ACME account to an account elsewhere (RFC 8555 section 7.3.4).
#[derive(Debug, Clone)]
pub(crate) struct ExternalAccount {
    pub kid: String,
    pub hmac_file: PathBuf,
}

/// How http-01 answers are served.
#[derive(Debug, Clone)]
pub(crate) enum Http01 {
    /// By the agent's own responder on this address, only while an order is under way.
    Listen(SocketAddr),
    /// By a server that already serves this folder.
    Webroot(PathBuf),
}

/// The files of one certificate; at least the key and one of `cert` and `fullchain`.
#[derive(Debug, Clone)]
pub(crate) struct Files {
    pub key: PathBuf,
    pub cert: Option<PathBuf>,
    pub chain: Option<PathBuf>,
    pub fullchain: Option<PathBuf>,
    pub mode: Option<u32>,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
}

impl Files {
    /// The file whose first certificate is the leaf.
    pub fn leaf(&self) -> Option<&Path> {
        self.fullchain.as_deref().or(self.cert.as_deref())
    }

    /// Every configured path.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        std::iter::once(self.key.as_path())
            .chain([&self.cert, &self.chain, &self.fullchain].into_iter().filter_map(|p| p.as_deref()))
    }
}

/// The command that makes the service read its files again.
#[derive(Debug, Clone)]
pub(crate) struct Reload {
    pub program: String,
    pub args: Vec<String>,
    pub timeout: Duration,
}

/// Where the new certificate must be seen after the reload.
#[derive(Debug, Clone)]
pub(crate) struct Check {
    pub connect: String,
    pub server_name: ServerName<'static>,
    pub timeout: Duration,
}

/// The name under which the agent's own certificate is kept.
pub(crate) const IDENTITY: &str = "identity";

#[cfg(test)]
mod tests;
