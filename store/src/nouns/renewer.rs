//! Who puts a new certificate in the place of one before it ends, as far as the register knows: a word that is believed while the
//! new one comes in time.

use std::str::FromStr;

use crate::nouns::entry::{RESPONDER, SERVER};
use crate::nouns::error::StoreError;

/// Who is expected to put a new certificate in the place of one before it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Renewer {
    /// Nobody that this register knows of.
    Nobody,
    /// The server: as was asked for with the certificate, or its own.
    Server,
    /// The agent of a host, which asked for it.
    Agent,
    /// The client of the ACME account that asked for it.
    Acme,
}

impl Renewer {
    /// Everybody.
    pub const ALL: [Renewer; 4] = [Renewer::Nobody, Renewer::Server, Renewer::Agent, Renewer::Acme];

    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Renewer::Nobody => "nobody",
            Renewer::Server => "server",
            Renewer::Agent => "agent",
            Renewer::Acme => "acme",
        }
    }

    /// As the register numbers them.
    pub(crate) fn number(self) -> i64 {
        match self {
            Renewer::Nobody => 0,
            Renewer::Server => 1,
            Renewer::Agent => 2,
            Renewer::Acme => 3,
        }
    }

    /// Of a certificate: by who asked for it, how it proved itself, and the details.
    pub(crate) fn of(actor: &str, proof: &str, details: &serde_json::Value) -> Renewer {
        let says = |name: &str| details.get(name).and_then(serde_json::Value::as_bool) == Some(true);
        match proof {
            "acme-key" => Renewer::Acme,
            "system" if actor == SERVER || actor == RESPONDER => Renewer::Server,
            _ if says("renew") => Renewer::Server,
            _ if says("agent") => Renewer::Agent,
            _ => Renewer::Nobody,
        }
    }
}

impl FromStr for Renewer {
    type Err = StoreError;
    fn from_str(s: &str) -> Result<Renewer, StoreError> {
        let found = Renewer::ALL.into_iter().find(|renewer| renewer.as_str() == s);
        found.ok_or_else(|| StoreError::Invalid(format!("`{s}` renews nothing here")))
    }
}

/// What is counted apart of each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// Certificates of end entities.
    Certificates,
    /// SSH certificates, which live for hours.
    Ssh,
    /// The CAs' own certificates, which live for decades.
    Authorities,
}

impl Class {
    /// As the register numbers them.
    pub(crate) fn number(self) -> i64 {
        match self {
            Class::Certificates => 0,
            Class::Ssh => 1,
            Class::Authorities => 2,
        }
    }
}
