//! Who asks, what they are, and how they proved it.
//!
//! An [`Actor`] is built by whoever authenticated (the edge, the ACME server, the service itself) and only read here. This crate
//! trusts its fields: it decides what an actor may do, not who it is.

use std::collections::BTreeSet;
use std::fmt;

use crate::asking::action::Action;
use crate::asking::factor::SecondFactor;
use crate::names::{Name, Owner};
use crate::text::words;

words! {
    /// What an actor is; the shipped policies give each role its rights.
    pub enum Role ("role") {
        /// Everything, for owners' names.
        Admin = "admin",
        /// Keeps the service running: revoke, renew, read.
        Operator = "operator",
        /// Certificates for the owners it belongs to.
        Issuer = "issuer",
        /// SSH user certificates for the principals of its owners.
        SshUser = "ssh-user",
        /// Signs code with the keys of its owners.
        CodeSigner = "code-signer",
        /// Reads the secrets of its owners.
        SecretReader = "secret-reader",
        /// Makes and changes the secrets of its owners; what they are it does not see.
        SecretWriter = "secret-writer",
        /// Gets users that live for a while, of the roles of its owners.
        SecretLeaser = "secret-leaser",
        /// Computes with the transit keys of its owners.
        TransitUser = "transit-user",
        /// Encrypts with the transit keys of its owners, and verifies; it opens and signs nothing.
        TransitEncrypter = "transit-encrypter",
        /// Makes and rotates the transit keys of its owners; it computes nothing with them.
        TransitManager = "transit-manager",
        /// Approves what others ask for, and reads.
        Approver = "approver",
        /// Reads the log and the inventory, changes nothing.
        Auditor = "auditor",
        /// A host that keeps its own certificates fresh.
        Agent = "agent",
        /// An ACME account.
        AcmeClient = "acme-client",
        /// The service itself, one named task at a time.
        System = "system",
    }
}

words! {
    /// How much a proof proves.
    pub enum Strength ("strength") {
        /// Whoever holds a copy of the secret passes.
        Bearer = "bearer",
        /// A signature by a key that never crossed the wire.
        Possession = "possession",
        /// No wire at all: the service's own code.
        Internal = "internal",
    }
}

/// How an actor proved who it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Proof {
    /// An API token, by its public id.
    Token {
        /// The token's id, never its secret.
        id: String,
    },
    /// A TLS client certificate of ours.
    ClientCertificate {
        /// Its serial in hex.
        serial: String,
        /// The names in it: whom it speaks for.
        names: BTreeSet<Name>,
    },
    /// A JWS by an ACME account key.
    AcmeKey {
        /// RFC 7638 thumbprint of the key.
        thumbprint: String,
    },
    /// The service itself.
    System,
}

impl Proof {
    /// The stable word of its kind.
    pub fn kind(&self) -> &'static str {
        match self {
            Proof::Token { .. } => "token",
            Proof::ClientCertificate { .. } => "client-certificate",
            Proof::AcmeKey { .. } => "acme-key",
            Proof::System => "system",
        }
    }

    /// How much it proves.
    pub fn strength(&self) -> Strength {
        match self {
            Proof::Token { .. } => Strength::Bearer,
            Proof::ClientCertificate { .. } | Proof::AcmeKey { .. } => Strength::Possession,
            Proof::System => Strength::Internal,
        }
    }
}

/// `token:ID`, `client-certificate:SERIAL`, `acme-key:THUMBPRINT`, `system`: what the log records.
impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Proof::Token { id } => write!(f, "token:{id}"),
            Proof::ClientCertificate { serial, .. } => write!(f, "client-certificate:{serial}"),
            Proof::AcmeKey { thumbprint } => write!(f, "acme-key:{thumbprint}"),
            Proof::System => f.write_str("system"),
        }
    }
}

/// An authenticated someone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// The name the log knows it by.
    pub id: String,
    /// What it is.
    pub roles: BTreeSet<Role>,
    /// The owners it belongs to.
    pub owners: BTreeSet<Owner>,
    /// The actions its token is limited to; `None` is no limit.
    pub scopes: Option<BTreeSet<Action>>,
    /// How it proved itself.
    pub proof: Proof,
    /// What it proved beside that; `None` where it did not, or too long ago to be told.
    pub second_factor: Option<SecondFactor>,
}

impl Actor {
    /// The service's own act under the task's name: `system:renewal`. Each task has its own narrow policy.
    pub fn system(task: &'static str) -> Actor {
        Actor {
            id: format!("system:{task}"),
            roles: BTreeSet::from([Role::System]),
            owners: BTreeSet::new(),
            scopes: None,
            proof: Proof::System,
            second_factor: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_survives_its_word() {
        for role in Role::ALL {
            assert_eq!(role.as_str().parse::<Role>().unwrap(), *role);
            assert_eq!(serde_json::from_str::<Role>(&format!("\"{role}\"")).unwrap(), *role);
        }
        assert!("root".parse::<Role>().is_err());
    }

    #[test]
    fn the_service_speaks_under_its_tasks_name() {
        let actor = Actor::system("renewal");
        assert_eq!((actor.id.as_str(), actor.proof.strength()), ("system:renewal", Strength::Internal));
    }
}
