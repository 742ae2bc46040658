//! What an action is asked on.

use std::collections::BTreeSet;

use crate::names::{Name, Owner, Principal};
use crate::text::words;

/// Names in one certificate: Let's Encrypt's bound; more makes certificates that clients and CRL tooling choke on.
pub const MAX_NAMES: usize = 100;
/// Principals in one SSH certificate: OpenSSH's own bound is 256; nobody can review more than this.
pub const MAX_PRINCIPALS: usize = 100;

words! {
    /// The kinds of thing an action can be on.
    pub enum ResourceKind ("resource kind") {
        /// An X.509 end-entity certificate.
        Certificate = "certificate",
        /// An SSH certificate.
        SshCertificate = "ssh-certificate",
        /// A code-signing key.
        CodeKey = "code-key",
        /// The log.
        Audit = "audit",
        /// API tokens.
        Token = "token",
        /// CA certificates and CRLs.
        Authority = "authority",
        /// The state of the service.
        Status = "status",
        /// A secret.
        Secret = "secret",
        /// A key that others compute with and never hold.
        TransitKey = "transit-key",
    }
}

/// The thing an action is asked on, as far as a decision needs to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// What it is.
    pub kind: ResourceKind,
    /// Who answers for it.
    pub owner: Option<Owner>,
    /// The profile it is, or is to be, issued under.
    pub profile: Option<String>,
    /// The names it speaks for.
    pub names: Vec<Name>,
    /// The SSH principals it opens.
    pub principals: Vec<Principal>,
    /// The names whose control the actor has proven through ACME.
    pub proven: BTreeSet<Name>,
    /// The label of the key it uses.
    pub key: Option<String>,
    /// Where it stands, of a secret; a transit key's name.
    pub path: Option<String>,
}

impl Resource {
    /// A certificate of `owner` under `profile` for `names`.
    pub fn certificate(owner: Option<Owner>, profile: impl Into<String>, names: Vec<Name>) -> Resource {
        Resource { owner, profile: Some(profile.into()), names, ..Resource::plain(ResourceKind::Certificate) }
    }

    /// An SSH certificate of `owner` for `principals` under `profile`.
    pub fn ssh(owner: Option<Owner>, principals: Vec<Principal>, profile: impl Into<String>) -> Resource {
        Resource { owner, principals, profile: Some(profile.into()), ..Resource::plain(ResourceKind::SshCertificate) }
    }

    /// The code-signing key `label` of `owner`.
    pub fn code_key(owner: Option<Owner>, label: impl Into<String>) -> Resource {
        Resource { owner, key: Some(label.into()), ..Resource::plain(ResourceKind::CodeKey) }
    }

    /// The secret of `owner` at `path`; without an owner where there is none yet.
    pub fn secret(owner: Option<Owner>, path: impl Into<String>) -> Resource {
        Resource { owner, path: Some(path.into()), ..Resource::plain(ResourceKind::Secret) }
    }

    /// The transit key `name` of `owner`; without an owner where there is none yet.
    pub fn transit_key(owner: Option<Owner>, name: impl Into<String>) -> Resource {
        Resource { owner, path: Some(name.into()), ..Resource::plain(ResourceKind::TransitKey) }
    }

    /// Something that nobody owns in particular.
    pub fn plain(kind: ResourceKind) -> Resource {
        Resource {
            kind,
            owner: None,
            profile: None,
            names: Vec::new(),
            principals: Vec::new(),
            proven: BTreeSet::new(),
            key: None,
            path: None,
        }
    }

    /// The same, with the names that ACME has proven.
    #[must_use]
    pub fn with_proven(self, proven: BTreeSet<Name>) -> Resource {
        Resource { proven, ..self }
    }
}
