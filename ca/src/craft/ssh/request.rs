//! What is asked for, and what is handed out.

use policy::{Owner, Principal};
use store::Issued;

use crate::craft::leaf::Lifetime;

/// A request for an SSH certificate.
#[derive(Clone, Debug)]
pub struct SshRequest {
    /// Whose it is.
    pub owner: Owner,
    /// The subject's public key, one OpenSSH line.
    pub public_key: String,
    /// Whom it may log in as, or which host it is.
    pub principals: Vec<Principal>,
    /// What sshd logs before the actor's id, which stands in brackets after it; default: the id alone.
    pub key_id: Option<String>,
    /// How long it is to live, within the profile's bounds.
    pub life: Lifetime,
}

/// An issued SSH certificate.
#[derive(Clone, Debug)]
pub struct SshIssued {
    /// The register's row.
    pub issued: Issued,
    /// The certificate as one OpenSSH line, for `KEY-cert.pub`.
    pub certificate: String,
}
