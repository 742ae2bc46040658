//! What readers get: credentials with their derived state, and the filters that find them.

use std::fmt;
use std::ops::Deref;
use std::str::FromStr;

use bytes::Bytes;
use hsm::Algorithm;
use policy::{Owner, Timestamp, Validity};

use crate::nouns::entry::{ActorStamp, GrantStamp, HOLD, Kind, RESPONDER};
use crate::nouns::error::StoreError;
use crate::nouns::renewer::Renewer;
use crate::nouns::x509;

/// Where a credential stands; derived from its rows, never stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum State {
    /// Intended, and nobody said what came of it: counts as issued, raises an alarm.
    Intended,
    /// Signed.
    Issued,
    /// Certain that nothing was signed.
    Failed,
    /// Revoked, whether its conclusion is known or not.
    Revoked,
}

impl State {
    /// Every state.
    pub const ALL: [State; 4] = [State::Intended, State::Issued, State::Failed, State::Revoked];

    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Intended => "intended",
            State::Issued => "issued",
            State::Failed => "failed",
            State::Revoked => "revoked",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for State {
    type Err = StoreError;
    fn from_str(s: &str) -> Result<State, StoreError> {
        State::ALL
            .into_iter()
            .find(|state| state.as_str() == s)
            .ok_or_else(|| StoreError::Invalid(format!("`{s}` is not a state")))
    }
}

/// One operation with everything known of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Credential {
    /// The operation: the index of the intent's leaf.
    pub operation: u64,
    /// What it made.
    pub kind: Kind,
    /// Where it stands.
    pub state: State,
    /// It was not signed by this service: the certificate as another program had signed it with this key, DER.
    pub imported: Option<Vec<u8>>,
    /// The serial; empty where the kind has none.
    pub serial: Vec<u8>,
    /// The issuer's label.
    pub issuer: String,
    /// Whose it is.
    pub owner: Option<Owner>,
    /// The subject for display.
    pub subject: String,
    /// Names or principals.
    pub names: Vec<String>,
    /// The profile's name.
    pub profile: String,
    /// The hash of the profile's text.
    pub profile_hash: [u8; 32],
    /// From when to when.
    pub validity: Option<Validity>,
    /// SHA-256 of the subject's SubjectPublicKeyInfo.
    pub key_hash: [u8; 32],
    /// The label of the key that signs.
    pub signing_key: String,
    /// The fingerprint of the key that signs.
    pub signing_key_hash: [u8; 32],
    /// How it signs.
    pub algorithm: Algorithm,
    /// What is signed: the TBS bytes, or a digest of it where `prehashed`.
    pub tbs: Vec<u8>,
    /// `tbs` is a digest: of a file, made by the caller; of a CRL, whose bytes lie apart ([`Crl`]); or of a batch, whose messages
    /// are not kept: the root over them, and the signature is the root over its signatures.
    pub prehashed: bool,
    /// The signature, once concluded.
    pub signature: Option<Vec<u8>>,
    /// From when it is revoked.
    pub revoked_at: Option<Timestamp>,
    /// The CRLReason code.
    pub reason: Option<u8>,
    /// Since when its key is not to be trusted, where that was said.
    pub invalid: Option<Timestamp>,
    /// Why nothing was signed.
    pub failure: Option<String>,
    /// Small facts of the kind.
    pub details: serde_json::Value,
    /// Who asked.
    pub actor: ActorStamp,
    /// What allowed it.
    pub grant: GrantStamp,
    /// When it was intended.
    pub intended_at: Timestamp,
    /// When it was concluded.
    pub concluded_at: Option<Timestamp>,
}

impl Credential {
    /// The serial in lower-case hexadecimal.
    pub fn serial_hex(&self) -> String {
        hex::encode(&self.serial)
    }

    /// Who is expected to renew it: of certificates of end entities alone.
    pub fn renewer(&self) -> Renewer {
        match self.kind {
            Kind::Certificate => Renewer::of(&self.actor.id, &self.actor.proof, &self.details),
            Kind::CaCertificate
            | Kind::SshUser
            | Kind::SshHost
            | Kind::CodeSignature
            | Kind::Crl
            | Kind::CaRequest
            | Kind::OcspBatch => Renewer::Nobody,
        }
    }

    /// The hour from which on somebody should act where nothing took its place.
    pub fn look_at(&self) -> Option<Timestamp> {
        let is_looked_at = self.kind == Kind::Certificate && self.actor.id != RESPONDER;
        self.validity.filter(|_| is_looked_at)?.look_at(self.renewer() != Renewer::Nobody)
    }

    /// Whether it is revoked until somebody releases it.
    pub fn is_held(&self) -> bool {
        self.state == State::Revoked && self.reason == Some(HOLD)
    }

    /// Whether it was signed, was not revoked, and its end has passed.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        let ended = self.validity.is_some_and(|validity| validity.not_after() < now);
        let ends = match self.kind {
            Kind::Certificate | Kind::CaCertificate | Kind::SshUser | Kind::SshHost => true,
            Kind::CodeSignature | Kind::Crl | Kind::CaRequest | Kind::OcspBatch => false,
        };
        match self.state {
            State::Issued => ended && ends,
            State::Intended | State::Failed | State::Revoked => false,
        }
    }

    /// The signed X.509 certificate or request, `SEQUENCE { tbs, AlgorithmIdentifier, BIT STRING }`; none where it is not signed or none.
    pub fn x509_der(&self) -> Option<Vec<u8>> {
        if let Some(whole) = &self.imported {
            return Some(whole.clone());
        }
        match self.kind {
            Kind::CaCertificate | Kind::Certificate | Kind::CaRequest if !self.prehashed => {
                Some(x509::assemble(&self.tbs, self.algorithm, self.signature.as_deref()?))
            }
            Kind::CaCertificate | Kind::Certificate | Kind::CaRequest => None,
            Kind::SshUser | Kind::SshHost | Kind::CodeSignature | Kind::Crl | Kind::OcspBatch => None,
        }
    }

    /// The credential as one that counts: signed, and not revoked as far as was known when it was read. Gives it back where it is not.
    pub fn live(self) -> Result<Issued, Box<Credential>> {
        match self.state {
            State::Issued => self.signed(),
            State::Intended | State::Failed | State::Revoked => Err(Box::new(self)),
        }
    }

    /// The credential as one whose bytes there surely are, whatever became of it since; gives it back where they are not.
    pub fn signed(self) -> Result<Issued, Box<Credential>> {
        if self.signature.is_some() { Ok(Issued(self, Vec::new())) } else { Err(Box::new(self)) }
    }
}

/// A credential whose signature is on disk; whether it was revoked since is said by its state. Only the ledger makes one.
#[derive(Clone, Debug, PartialEq)]
pub struct Issued(Credential, Vec<Vec<u8>>);

impl Issued {
    /// The signature.
    pub fn signature(&self) -> &[u8] {
        self.0.signature.as_deref().unwrap_or_default()
    }
    /// The signed X.509 object; empty for kinds that are not X.509.
    pub fn x509_der(&self) -> Vec<u8> {
        self.0.x509_der().unwrap_or_default()
    }
    /// The same with the signatures of a batch, which the ledger does not keep.
    pub(crate) fn with_batch(self, signatures: Vec<Vec<u8>>) -> Issued {
        Issued(self.0, signatures)
    }
    /// The signatures of a batch, for whoever concluded it: those of its first messages, in their order.
    pub fn batch(&self) -> &[Vec<u8>] {
        &self.1
    }
    /// The credential alone.
    pub fn into_credential(self) -> Credential {
        self.0
    }
}

impl Deref for Issued {
    type Target = Credential;
    fn deref(&self) -> &Credential {
        &self.0
    }
}

/// A signed CRL with its bytes, which are kept of the newest alone.
#[derive(Clone, Debug, PartialEq)]
pub struct Crl {
    issued: Issued,
    tbs: Bytes,
}

impl Crl {
    /// `tbs` is what was signed.
    pub fn new(issued: Issued, tbs: Bytes) -> Crl {
        Crl { issued, tbs }
    }
    /// The digest of its bytes that its intent has.
    pub fn signed_digest(&self) -> &[u8] {
        &self.issued.tbs
    }
    /// `SEQUENCE { tbs, AlgorithmIdentifier, BIT STRING }`.
    pub fn x509_der(&self) -> Vec<u8> {
        x509::assemble(&self.tbs, self.algorithm, self.signature())
    }
}

impl Deref for Crl {
    type Target = Issued;
    fn deref(&self) -> &Issued {
        &self.issued
    }
}

/// In which order a list comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The newest operation first.
    #[default]
    Newest,
    /// The first to expire first; credentials without validity are left out.
    Expiry,
    /// The last to expire first; credentials without validity are left out.
    Latest,
}

/// Which credentials; what is `None` does not filter.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of this kind.
    pub kind: Option<Kind>,
    /// Certificates alone: neither CRLs, OCSP responses nor code signatures, whose end nobody waits for.
    pub certificates: bool,
    /// Of this owner.
    pub owner: Option<String>,
    /// With exactly this name in it (`dns:www.example`, or a principal).
    pub name: Option<String>,
    /// In this state.
    pub state: Option<State>,
    /// What is on hold alone, or all others.
    pub held: Option<bool>,
    /// Of this profile.
    pub profile: Option<String>,
    /// Of this generation of an issuer (`tls/1`), or of all that an issuer has (`tls`).
    pub issuer: Option<String>,
    /// Renewed by this one.
    pub renewer: Option<Renewer>,
    /// Those that somebody renews alone, or all others.
    pub renewed: Option<bool>,
    /// SSH certificates alone, or all others.
    pub ssh: Option<bool>,
    /// What something newer took the place of alone, or all others.
    pub replaced: Option<bool>,
    /// With this in a name, whatever its case; the newest first alone.
    pub text: Option<String>,
    /// With a serial that begins so, in hexadecimal digits; the highest first, which of one node are the newest.
    pub serial: Option<String>,
    /// Such that somebody should have looked at this moment.
    pub look_before: Option<Timestamp>,
    /// Such that nobody has to look yet at this moment.
    pub look_after: Option<Timestamp>,
    /// For this subject key.
    pub key_hash: Option<[u8; 32]>,
    /// Asked for by this actor, as the log names it; certificates of end entities and of SSH alone.
    pub actor: Option<String>,
    /// Expiring before.
    pub not_after_before: Option<Timestamp>,
    /// Expiring at or after.
    pub not_after_after: Option<Timestamp>,
    /// In which order.
    pub order: Order,
    /// Where the last page ended ([`Page::next`]).
    pub after_cursor: Option<String>,
    /// How many, at most 1000; 0 means 100.
    pub limit: usize,
}

/// Some of a longer list.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// What was found.
    pub items: Vec<T>,
    /// The cursor of the next page, where there is one.
    pub next: Option<String>,
}

/// A cursor of a list by the beginning of a serial begins with this, and goes on with a serial.
pub const SERIAL_CURSOR: &str = "s";

/// Which certificates are due for renewal by the server.
#[derive(Clone, Copy, Debug)]
pub struct DueFilter {
    /// Due at this moment or before.
    pub until: Timestamp,
    /// Ending at this moment or later: what ended long ago is nobody's any more.
    pub ends_after: Timestamp,
    /// Where the last page ended: when its last certificate was due, and that certificate's operation.
    pub after: Option<(Timestamp, u64)>,
    /// How many, at most 1000; 0 means 100.
    pub limit: usize,
}

/// A certificate that is due for renewal.
#[derive(Clone, Debug)]
pub struct Due {
    /// Since when.
    pub at: Timestamp,
    /// The certificate.
    pub credential: Credential,
}

/// How many certificates end in an hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpiringHour {
    /// When the hour begins.
    pub begins: Timestamp,
    /// Certificates that are neither failed, revoked nor replaced.
    pub live: u64,
    /// Those of them that somebody renews.
    pub renewed: u64,
}

/// What ends, has ended and waits for somebody at a moment, to the second. Nothing in it is failed, revoked or replaced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outlook {
    /// What ends in each hour from the one under way on; what has ended in that one is not in it.
    pub hours: Vec<ExpiringHour>,
    /// What has ended.
    pub expired: u64,
    /// What has not ended, and somebody should look at.
    pub acting: u64,
    /// When those end, the first first, with who renews them; of very many the first.
    pub acts: Vec<(Timestamp, Renewer)>,
}

/// How many certificates of an owner hold, and how many of those that would have a successor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    /// Whose they are.
    pub owner: Option<String>,
    /// Neither failed, revoked nor replaced.
    pub live: u64,
    /// A later one of their family took their place.
    pub replaced: u64,
}

/// Which others stand before and after a credential.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kin {
    /// The serial of what it took the place of, in hexadecimal.
    pub predecessor: Option<String>,
    /// The serial of what took its place, where that is not revoked.
    pub successor: Option<String>,
    /// Whether something took its place.
    pub replaced: bool,
}

/// What a CRL needs of one revoked credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevokedRow {
    /// The operation that made it.
    pub operation: u64,
    /// What it is.
    pub kind: Kind,
    /// Its serial.
    pub serial: Vec<u8>,
    /// From when it is revoked.
    pub revoked_at: Timestamp,
    /// The CRLReason code.
    pub reason: u8,
    /// Since when its key is not to be trusted, where that was said.
    pub invalid: Option<Timestamp>,
    /// When it expires anyway.
    pub not_after: Option<Timestamp>,
    /// It changes an earlier one, which says so since, and is no entry of its own.
    pub changes: bool,
}

/// How much there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Intents without conclusion, not revoked.
    pub intended: u64,
    /// Signed, neither revoked nor replaced; ended or not.
    pub issued: u64,
    /// Signed and not revoked, and something newer took its place.
    pub replaced: u64,
    /// Surely not signed.
    pub failed: u64,
    /// Revoked.
    pub revoked: u64,
    /// Leaves of the log.
    pub leaves: u64,
}
