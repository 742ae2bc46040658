//! The checked plan: what is kept, in which files, and how a service takes it up. Immutable.

use std::path::{Path, PathBuf};
use std::time::Duration;

use policy::Name;
use rustls::pki_types::ServerName;

use super::authorized::AuthorizedKeys;
use super::command::Reload;
use super::origin::Source;
use super::schedule::Cadence;
use super::secret::SecretFile;
use crate::credential::KeyKind;

/// A checked plan.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Where the agent keeps its journals, candidates, account keys and status files.
    pub(crate) state_dir: PathBuf,
    /// The agent's own certificate first, where the plan has one.
    pub(crate) certificates: Vec<Certificate>,
    /// The files that are made of secrets.
    pub(crate) secrets: Vec<SecretFile>,
    /// The files of public keys.
    pub(crate) keys: Vec<AuthorizedKeys>,
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

/// Where the new certificate must be seen after the reload.
#[derive(Debug, Clone)]
pub(crate) struct Check {
    pub connect: String,
    pub server_name: ServerName<'static>,
    pub timeout: Duration,
}

/// The name under which the agent's own certificate is kept.
pub(crate) const IDENTITY: &str = "identity";
