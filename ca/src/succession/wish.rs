//! What may be asked of issuers.

use hsm::KeyKind;
use policy::Timestamp;

use crate::encode::Dn;
use crate::error::CaError;
use crate::issuers::record::{GenerationRecord, IssuerRecord};
use crate::issuers::{CrlForm, GenerationName, IssuerRole};

/// A new issuer.
#[derive(Clone, Debug)]
pub struct CreateIssuer {
    /// Its name: `[a-z][a-z0-9-]{0,30}`.
    pub name: String,
    /// What it signs; a log cannot be added.
    pub role: IssuerRole,
    /// The key of its first generation, and of those that follow.
    pub key: KeyKind,
    /// Of a CA with a certificate.
    pub ca: Option<CaWish>,
    /// Into how many CRLs the revocations of its first generation are parted, for ever; none is one.
    pub shards: Option<u16>,
    /// Whether it has delta CRLs, for ever; none is no.
    pub deltas: Option<bool>,
    /// The token in which its key is made; none is the first.
    pub token: Option<String>,
}

/// What a CA's certificate is to say.
#[derive(Clone, Debug)]
pub struct CaWish {
    /// Below which it stands: `itself` (a root), `elsewhere` (its certificate is brought), or an issuer's name.
    pub above: String,
    /// Its subject.
    pub subject: Dn,
    /// How long it lives, at most as long as what is above it.
    pub validity_secs: i64,
    /// How many CAs may follow below.
    pub path_len: u8,
    /// Extended key usages, as words or OIDs.
    pub purposes: Vec<String>,
    /// Names that what is below may have: `dns:example.internal`, `ip:10.0.0.0/8` ...
    pub permitted: Vec<String>,
    /// Names that it may not have.
    pub excluded: Vec<String>,
    /// Certificate policies, as OIDs.
    pub policies: Vec<String>,
    /// Whether it signs certificates of end entities; else CAs alone.
    pub leaves: bool,
}

/// When a generation begins to issue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// At once.
    Now,
    /// At a moment that is to come.
    At(Timestamp),
    /// When an operator says so.
    Later,
}

/// A successor of an issuer's generation.
#[derive(Clone, Debug)]
pub struct Rotate {
    /// Of which issuer.
    pub issuer: String,
    /// The kind of its key; none is that of the one before.
    pub key: Option<KeyKind>,
    /// From when it issues.
    pub activates: Activation,
    /// Have the generation that issues now sign for the new root too, so that whoever trusts the old one believes it.
    pub cross: bool,
    /// Into how many CRLs its revocations are parted, for ever; none is as before.
    pub shards: Option<u16>,
    /// Whether it has delta CRLs, for ever; none is as before.
    pub deltas: Option<bool>,
    /// The token in which its key is made; none is that of the one before.
    pub token: Option<String>,
}

/// What becomes of the tokens of a generation's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Homes {
    /// Another one has it: it is looked at, and signs, before it is believed.
    Add {
        /// Its name.
        token: String,
        /// The key was outside a token once, as an operator knows and says.
        was_outside: bool,
    },
    /// One is not asked for it any more; what it has stays in it.
    Remove(String),
    /// One is asked first.
    First(String),
}

/// A request for a certificate from elsewhere.
#[derive(Clone, Debug)]
pub struct Request {
    /// For which generation.
    pub name: GenerationName,
    /// PKCS#10, PEM.
    pub pem: String,
    /// SHA-256 of its DER in groups, as it goes on the paper beside it.
    pub aloud: String,
}

/// An existing CA that comes here: its key is in the token.
#[derive(Clone, Debug)]
pub struct Brought {
    /// What it will be called here.
    pub name: String,
    /// The label of its key in the token.
    pub label: String,
    /// Which token; none is the first.
    pub token: Option<String>,
    /// The key was outside a token once, as an operator knows: a copy of it may be anywhere.
    pub was_outside: bool,
    /// Its certificate and those above it, PEM.
    pub chain_pem: Vec<u8>,
    /// SHA-256 of its root, DER, where that is not known here: it came by another way than the chain.
    pub root: Option<[u8; 32]>,
    /// Whether it signs certificates of end entities.
    pub leaves: bool,
    /// Into how many CRLs its revocations are parted from here on; one where nobody says.
    pub shards: Option<u16>,
    /// Whether it has delta CRLs from here on; none is no.
    pub deltas: Option<bool>,
}

/// Why a role that signs no X.509 takes no word about CRLs.
pub(super) const NO_CRLS: &str = "it has no CRLs that could be parted, or have deltas";

impl Rotate {
    /// A successor that issues from now on, in everything else as the one before.
    pub fn of(issuer: &str) -> Rotate {
        Rotate {
            issuer: issuer.to_owned(),
            key: None,
            activates: Activation::Now,
            cross: false,
            shards: None,
            deltas: None,
            token: None,
        }
    }

    /// How its revocations will be told: as it is said, else as those of the one before.
    pub(super) fn crls_after(&self, record: &IssuerRecord) -> Result<CrlForm, CaError> {
        CrlForm::wanted(self.shards, self.deltas, record.generations.last().map(GenerationRecord::crls))
    }

    /// What a successor of this role can be asked to be.
    pub(super) fn check(&self, role: IssuerRole) -> Result<(), CaError> {
        let parted = self.shards.is_some() || self.deltas == Some(true);
        match role {
            IssuerRole::Seal if self.key.is_some() || self.cross || parted => {
                Err(CaError::bad("name", "a key that seals is AES-256, and signs nothing"))
            }
            IssuerRole::SshUser | IssuerRole::SshHost | IssuerRole::Log if parted => Err(CaError::bad("name", NO_CRLS)),
            IssuerRole::Seal | IssuerRole::X509 | IssuerRole::SshUser | IssuerRole::SshHost | IssuerRole::Log => Ok(()),
        }
    }
}
