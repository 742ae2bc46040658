//! Where certificates come from, as the checked plan says it: which server, which roots, and what proves who asks.

use std::net::SocketAddr;
use std::path::PathBuf;

/// Where a certificate comes from.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    Chancery(Chancery),
    Acme(Acme),
}

/// A Chancery server, and what is asked of it.
#[derive(Debug, Clone)]
pub(crate) struct Chancery {
    pub server: Server,
    pub owner: String,
    pub profile: String,
    pub validity_secs: Option<u64>,
}

/// A Chancery server, and how to prove who asks.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    pub url: String,
    pub ca_file: PathBuf,
    /// First choice: the client certificate and its key.
    pub client: Option<ClientFiles>,
    /// Second choice: until there is a certificate.
    pub token_file: Option<PathBuf>,
}

/// A client certificate on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
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
