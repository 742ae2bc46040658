//! Issuers as anyone may see them.

use bytes::Bytes;
use policy::Timestamp;

use crate::encode::Dn;
use crate::issuers::name::GenerationName;
use crate::issuers::record::IssuerRole;

/// Where a generation stands: what an operator decided, by the time and by what is revoked. Never stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GenerationState {
    /// It will issue, from its day on; or waits for its key or certificate.
    Pending,
    /// It issues.
    Active,
    /// Another has taken its place; it tells of revocations until the last of what it issued has ended.
    Retiring,
    /// Its certificate has ended, or an operator has retired it.
    Ended,
    /// It was revoked, its key is known to others, or that of every CA above it.
    Revoked,
}

impl GenerationState {
    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            GenerationState::Pending => "pending",
            GenerationState::Active => "active",
            GenerationState::Retiring => "retiring",
            GenerationState::Ended => "ended",
            GenerationState::Revoked => "revoked",
        }
    }
}

/// A generation of an issuer.
#[derive(Clone, Debug)]
pub struct Generation {
    /// `tls/1`.
    pub name: GenerationName,
    /// What the issuer signs.
    pub role: IssuerRole,
    /// Where it stands.
    pub state: GenerationState,
    /// Why nothing is issued under it; none where it may be.
    pub why: Option<String>,
    /// Its key's label in the token.
    pub key_label: String,
    /// The tokens that sign with it, in the order in which they are asked.
    pub tokens: Vec<ShownHome>,
    /// Tokens in which the keys are that it follows, and in which its own is not.
    pub lacks: Vec<String>,
    /// Its key is in no token of ours: its certificate and its CRLs are brought.
    pub elsewhere: bool,
    /// Its key was outside the token once, as an operator said: a copy of it may be anywhere.
    pub brought: bool,
    /// What it signed elsewhere is being taken in: it signs nothing until that is done.
    pub arriving: bool,
    /// The number of the newest CRL that was made of it elsewhere; ours are above it.
    pub crl_above: Option<u64>,
    /// Of a key that seals: how many sealed records stand under it.
    pub sealed: Option<u64>,
    /// What kind of key it is, where the token has it.
    pub key_kind: Option<hsm::KeyKind>,
    /// SHA-256 of its SubjectPublicKeyInfo, once there is one.
    pub key_hash: Option<String>,
    /// From when it issues.
    pub activates: Option<Timestamp>,
    /// Of a CA: its certificate.
    pub certificate: Option<ShownCertificate>,
    /// Of a CA: how many certificates it has, renewals and cross-signatures counted.
    pub certificates: usize,
    /// Of a CA that can sign: where its CRLs are, one for each part of its revocations.
    pub crl_urls: Vec<String>,
    /// Where its delta CRLs are, if it has any, one for each part.
    pub delta_crl_urls: Vec<String>,
    /// Of an SSH CA: its line for `TrustedUserCAKeys`. Of the log: its verifier key.
    pub line: Option<String>,
}

/// A token of a generation's key.
#[derive(Clone, Debug)]
pub struct ShownHome {
    /// Its name.
    pub token: String,
    /// `ready`, `healing`, `locked`, or `refused`: it has another key of that name, or none, and is not asked.
    pub state: &'static str,
    /// Why it does not sign.
    pub why: Option<String>,
}

/// A CA's certificate.
#[derive(Clone, Debug)]
pub struct ShownCertificate {
    /// DER.
    pub der: Bytes,
    /// Whom it names.
    pub subject: Dn,
    /// Who issued it.
    pub issuer: Dn,
    /// Its serial, lower-case hexadecimal.
    pub serial: String,
    /// From when it is valid.
    pub since: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// Whether it is a root.
    pub is_root: bool,
    /// How many chains lead from it to a root.
    pub chains: usize,
}

/// What a CA's certificates say: the same for each of its generations.
#[derive(Clone, Debug)]
pub struct ShownPlan {
    /// How many CAs may follow below.
    pub path_len: u8,
    /// What its leaves are for, in words where there are some; else OIDs.
    pub purposes: Vec<String>,
    /// Names that what is below it may have (`dns:example.internal`); none named: any.
    pub permitted: Vec<String>,
    /// Names that it may not have.
    pub excluded: Vec<String>,
    /// Certificate policies, OIDs.
    pub policies: Vec<String>,
}

/// An issuer with all its generations.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// Its name.
    pub name: String,
    /// What it signs.
    pub role: IssuerRole,
    /// Below which it stands: `itself`, `elsewhere`, or an issuer's name. Of a CA alone.
    pub above: Option<String>,
    /// Whether it signs certificates of end entities; else CAs alone.
    pub leaves: bool,
    /// Of a CA: what its certificates say.
    pub plan: Option<ShownPlan>,
    /// By number.
    pub generations: Vec<Generation>,
}
