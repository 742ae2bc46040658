//! What callers write: entries to be signed, refusals, revocations; and who and what allowed them.

use std::fmt;
use std::str::FromStr;

use policy::{Actor, Grant, Owner, Proof, Refusal, Timestamp, Validity};
use serde::{Deserialize, Serialize};

use crate::nouns::error::StoreError;
use crate::nouns::shard::Shard;

/// What a signing operation makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A certificate of one of our own authorities.
    CaCertificate,
    /// An end-entity X.509 certificate.
    Certificate,
    /// An SSH user certificate.
    SshUser,
    /// An SSH host certificate.
    SshHost,
    /// A signature over code.
    CodeSignature,
    /// A certificate revocation list.
    Crl,
    /// A request for a certificate of one of our own authorities, for who signs it elsewhere (PKCS#10).
    CaRequest,
    /// OCSP responses that were made together.
    OcspBatch,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 8] = [
        Kind::CaCertificate,
        Kind::Certificate,
        Kind::SshUser,
        Kind::SshHost,
        Kind::CodeSignature,
        Kind::Crl,
        Kind::CaRequest,
        Kind::OcspBatch,
    ];

    /// The stable name, as written in the ledger.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::CaCertificate => "ca-certificate",
            Kind::Certificate => "certificate",
            Kind::SshUser => "ssh-user",
            Kind::SshHost => "ssh-host",
            Kind::CodeSignature => "code-signature",
            Kind::Crl => "crl",
            Kind::CaRequest => "ca-request",
            Kind::OcspBatch => "ocsp-batch",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Kind {
    type Err = StoreError;
    fn from_str(s: &str) -> Result<Kind, StoreError> {
        Kind::ALL
            .into_iter()
            .find(|kind| kind.as_str() == s)
            .ok_or_else(|| StoreError::Invalid(format!("`{s}` is not a kind of credential")))
    }
}

/// Who asked, and how they proved it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActorStamp {
    /// The actor's name.
    pub id: String,
    /// `token`, `client-certificate`, `acme-key` or `system`; and by which second factor too, where there was one: `token+totp`.
    pub proof: String,
    /// Which token, certificate or key; empty for the service itself.
    pub proof_id: String,
}

impl From<&Actor> for ActorStamp {
    fn from(actor: &Actor) -> ActorStamp {
        let proof_id = match &actor.proof {
            Proof::Token { id } => id.clone(),
            Proof::ClientCertificate { serial, .. } => serial.clone(),
            Proof::AcmeKey { thumbprint } => thumbprint.clone(),
            Proof::System => String::new(),
        };
        let proof = match actor.second_factor {
            None => actor.proof.kind().to_owned(),
            Some(factor) => format!("{}+{}", actor.proof.kind(), factor.method),
        };
        ActorStamp { id: actor.id.clone(), proof, proof_id }
    }
}

/// Whether it is the service that asks for its own certificate. No clock holds that back: without it nobody could revoke.
pub fn is_the_server(actor: &ActorStamp) -> bool {
    actor.id == SERVER && actor.proof == "system"
}

/// As whom the service asks for the certificates of its OCSP responders: it replaces them while it is asked, and nobody else has to
/// look at their end.
pub(crate) const RESPONDER: &str = "system:ocsp";

/// As whom the service asks for its own certificate.
pub(crate) const SERVER: &str = "system:server";

/// What allowed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantStamp {
    /// The action that was granted.
    pub action: String,
    /// The rule that granted it.
    pub rule: String,
    /// The hash of the policies in force.
    pub policy_hash: [u8; 32],
}

impl From<&Grant> for GrantStamp {
    fn from(grant: &Grant) -> GrantStamp {
        GrantStamp {
            action: grant.action().as_str().to_owned(),
            rule: grant.rule().to_owned(),
            policy_hash: grant.policy_hash(),
        }
    }
}

/// Everything about one signing operation, before it is signed.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What it makes.
    pub kind: Kind,
    /// Who asked.
    pub actor: ActorStamp,
    /// What allowed it.
    pub grant: GrantStamp,
    /// The profile's name.
    pub profile: String,
    /// The hash of the profile's text.
    pub profile_hash: [u8; 32],
    /// The key that will sign.
    pub key: hsm::Key,
    /// What will be signed, byte for byte (the TBS of an X.509 object); a batch for OCSP responses, and for nothing else.
    pub message: hsm::Message,
    /// The serial, unique per label of signing key; empty where the kind has none.
    pub serial: Vec<u8>,
    /// The issuer's label, by which CRLs are found.
    pub issuer: String,
    /// Whose it is.
    pub owner: Option<Owner>,
    /// The subject for display.
    pub subject: String,
    /// Names or principals in it, at most [`MAX_NAMES`](policy::MAX_NAMES).
    pub names: Vec<String>,
    /// SHA-256 of the subject's SubjectPublicKeyInfo.
    pub key_hash: [u8; 32],
    /// From when to when.
    pub validity: Option<Validity>,
    /// What a CRL covers; none for every other kind.
    pub covers: Option<Covers>,
    /// What it is made to succeed; the details say the same by its serial (`renews`).
    pub renews: Option<Renews>,
    /// Small facts of the kind (a renew flag, a file name), at most 4 KiB as JSON.
    pub details: serde_json::Value,
}

/// A certificate that another program had signed with a key that is here now: taken in as it is. Nothing is signed.
#[derive(Clone, Debug)]
pub struct Import {
    /// What is known of it. The message is the whole certificate, DER; the profile is [`IMPORTED`], its hash zero.
    pub entry: Entry,
    /// SHA-256 over what it was taken from.
    pub source: [u8; 32],
    /// That it was revoked there; written in the same transaction, so that it never counts as good here.
    pub end: Option<ImportedEnd>,
}

/// The end of a certificate that was taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImportedEnd {
    /// The CRLReason code (RFC 5280 section 5.3.1).
    pub reason: u8,
    /// From when.
    pub at: Timestamp,
    /// Since when its key is not to be trusted, where that was said.
    pub invalid: Option<Timestamp>,
    /// The part of its issuer's revocations that has it; none where there is one part alone.
    pub shard: Option<Shard>,
}

/// The profile of what was taken in, which no file says.
pub const IMPORTED: &str = "imported";

/// A refused request of a known actor: a leaf, no row.
#[derive(Clone, Debug)]
pub struct RefusalEntry {
    /// Who asked.
    pub actor: ActorStamp,
    /// For what.
    pub action: String,
    /// On what, for display.
    pub target: String,
    /// The rule that forbade it; none where nothing allowed it.
    pub rule: Option<String>,
    /// What was missing, a sentence.
    pub missing: String,
    /// The hash of the policies in force.
    pub policy_hash: [u8; 32],
}

impl RefusalEntry {
    /// The leaf of a refusal by policy. `target` names what was asked for.
    pub fn new(refusal: &Refusal, target: impl Into<String>) -> RefusalEntry {
        RefusalEntry {
            actor: ActorStamp::from(refusal.actor.as_ref()),
            action: refusal.action.as_str().to_owned(),
            target: target.into(),
            rule: refusal.rule.clone(),
            missing: refusal.missing.clone(),
            policy_hash: refusal.policy_hash,
        }
    }
}

/// The CRLReason of what is on hold: it may be released, or end for good. Only what is concluded is held.
pub const HOLD: u8 = 6;
/// The CRLReason (removeFromCRL) by which what was on hold counts again.
pub const RELEASED: u8 = 8;

/// The end of a credential before its time; or its hold, or its release. An intent without conclusion can be revoked too.
#[derive(Clone, Debug)]
pub struct Revocation {
    /// The operation that made it.
    pub operation: u64,
    /// The CRLReason code (RFC 5280 section 5.3.1).
    pub reason: u8,
    /// From when. Where only the reason changes, the first date stays.
    pub at: Timestamp,
    /// Since when its key is not to be trusted, where that is known (RFC 5280 section 5.3.2).
    pub invalid: Option<Timestamp>,
    /// The part of its issuer's revocations that has it; none where there is one part alone.
    pub shard: Option<Shard>,
    /// Who asked.
    pub actor: ActorStamp,
    /// What allowed it.
    pub grant: GrantStamp,
}

/// A credential that a CA of ours signed and the register does not hold: it was put back to before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// What it is.
    pub kind: Kind,
    /// Its serial.
    pub serial: Vec<u8>,
    /// The issuer's label.
    pub issuer: String,
    /// SHA-256 of its SubjectPublicKeyInfo.
    pub key_hash: [u8; 32],
    /// Its end; none where it is not known.
    pub not_after: Option<Timestamp>,
}

/// The end of a credential that the register lost.
#[derive(Clone, Debug)]
pub struct LostRevocation {
    /// What ends. Whoever asks knows that a CA of ours signed it: nobody else can tell any more.
    pub of: Lost,
    /// The CRLReason code (RFC 5280 section 5.3.1).
    pub reason: u8,
    /// From when.
    pub at: Timestamp,
    /// Since when its key is not to be trusted, where that is known.
    pub invalid: Option<Timestamp>,
    /// The part of its issuer's revocations that has it; none where there is one part alone.
    pub shard: Option<Shard>,
    /// Who asked.
    pub actor: ActorStamp,
    /// What allowed it.
    pub grant: GrantStamp,
}

/// The certificate that another is made to succeed. Only an attested one gives it ([`Attested::renewal`](crate::Attested::renewal)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Renews {
    operation: u64,
    until: Timestamp,
}

impl Renews {
    pub(crate) fn new(operation: u64, until: Timestamp) -> Renews {
        Renews { operation, until }
    }
    /// The operation that made it.
    pub fn operation(&self) -> u64 {
        self.operation
    }
    /// When it ends.
    pub fn until(&self) -> Timestamp {
        self.until
    }
}

/// What the name of a series has behind it where its delta CRLs are meant: `tls/1/3/delta`.
pub const DELTA: &str = "/delta";

/// The complete CRL that a delta CRL rests on (RFC 5280 section 5.2.4). Only the fold makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Base {
    operation: u64,
    number: u64,
}

impl Base {
    pub(crate) fn new(operation: u64, number: u64) -> Base {
        Base { operation, number }
    }
    /// The operation that made it.
    pub fn operation(&self) -> u64 {
        self.operation
    }
    /// Its CRL number.
    pub fn number(&self) -> u64 {
        self.number
    }
}

/// Up to where a CRL knows the revocations of its issuer. Only the fold makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Covers {
    leaves: u64,
    revocations: u64,
    digest: [u8; 32],
    base: Option<Base>,
}

impl Covers {
    pub(crate) fn new(leaves: u64, revocations: u64, digest: [u8; 32]) -> Covers {
        Covers { leaves, revocations, digest, base: None }
    }
    /// The same of a delta CRL: together with this complete one it tells so much.
    pub fn since(self, base: Base) -> Covers {
        Covers { base: Some(base), ..self }
    }
    /// Of a delta CRL, what it rests on.
    pub fn base(&self) -> Option<Base> {
        self.base
    }
    /// Every revocation in the log's first so many leaves.
    pub fn leaves(&self) -> u64 {
        self.leaves
    }
    /// How many that are, expired ones too.
    pub fn revocations(&self) -> u64 {
        self.revocations
    }
    /// The chained hash of their leaves: `d(0)` is 32 zero bytes, `d(n+1) = SHA-256(d(n) || hash of the leaf)`.
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }
    /// Whether nothing that `earlier` covers is missing here.
    pub(crate) fn includes(&self, earlier: &Covers) -> bool {
        self.leaves >= earlier.leaves && self.revocations >= earlier.revocations
    }
}
