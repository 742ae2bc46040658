//! A draft: a granted request as the exact bytes that would be signed, with what the lint needs to doubt them.
//!
//! A draft is made from a [`Grant`] and consumes it: one decision, one draft. The bytes are built once; the lint reads
//! them back and hands on the same buffer, so what was linted is what is signed (invariant 3).

use std::sync::Arc;

use hsm::{Key, Message};
use policy::{Grant, Owner, Timestamp, Validity};
use serde_json::Value;
use store::{ActorStamp, Entry, GrantStamp, Kind};

use crate::code::CodeFormat;
use crate::intake::{SshKey, SubjectKey};
use crate::issuer::Issuing;
use crate::profile::Profile;
use crate::ssh::SshCa;

/// Bytes to be signed and everything known about them.
pub(crate) struct Draft {
    pub(crate) grant: Grant,
    pub(crate) entry: Entry,
    pub(crate) expect: Expect,
}

/// What the bytes of each kind are held against. The names are not here: they are the grant's.
pub(crate) enum Expect {
    /// An end-entity certificate.
    Leaf { issuer: Arc<Issuing>, profile: Arc<Profile>, key: SubjectKey, now: Timestamp },
    /// A CA certificate; without an issuer, a root.
    Ca { issuer: Option<Arc<Issuing>>, key: SubjectKey, path_len: u8, now: Timestamp },
    /// An SSH certificate.
    Ssh { ca: Arc<SshCa>, profile: Arc<Profile>, key: SshKey, now: Timestamp },
    /// A signature over a file's digest.
    Code { format: CodeFormat, digest: [u8; 32], certificate_der: Vec<u8>, now: Timestamp },
    /// A CRL: its number and how many it revokes.
    Crl { issuer: Arc<Issuing>, number: u64, revoked: usize, now: Timestamp },
}

/// Why a request cannot become a draft.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{what}: {detail}")]
pub struct DraftError {
    /// The part of the request that is wrong.
    pub what: &'static str,
    /// What is wrong with it.
    pub detail: String,
}

impl DraftError {
    pub(crate) fn new(what: &'static str, detail: impl Into<String>) -> DraftError {
        DraftError { what, detail: detail.into() }
    }
}

/// Encoding what was parsed cannot fail but for our own mistakes; it is reported, not unwrapped.
impl From<der::Error> for DraftError {
    fn from(e: der::Error) -> DraftError {
        DraftError::new("encoding", e.to_string())
    }
}

/// Which profile shaped a draft.
pub(crate) struct ProfileStamp {
    pub(crate) name: String,
    pub(crate) hash: [u8; 32],
}

impl From<&Profile> for ProfileStamp {
    fn from(profile: &Profile) -> ProfileStamp {
        ProfileStamp { name: profile.name.clone(), hash: profile.hash }
    }
}

/// The facts of a draft that differ from kind to kind.
pub(crate) struct Facts {
    pub(crate) kind: Kind,
    pub(crate) profile: ProfileStamp,
    pub(crate) key: Key,
    pub(crate) message: Message,
    pub(crate) serial: Vec<u8>,
    pub(crate) issuer: String,
    pub(crate) owner: Option<Owner>,
    pub(crate) subject: String,
    pub(crate) names: Vec<String>,
    pub(crate) key_hash: [u8; 32],
    pub(crate) validity: Option<Validity>,
    pub(crate) details: Value,
}

impl Draft {
    pub(crate) fn new(grant: Grant, facts: Facts, expect: Expect) -> Draft {
        let entry = Entry {
            kind: facts.kind,
            actor: ActorStamp::from(grant.actor()),
            grant: GrantStamp::from(&grant),
            profile: facts.profile.name,
            profile_hash: facts.profile.hash,
            key: facts.key,
            message: facts.message,
            serial: facts.serial,
            issuer: facts.issuer,
            owner: facts.owner,
            subject: facts.subject,
            names: facts.names,
            key_hash: facts.key_hash,
            validity: facts.validity,
            details: facts.details,
        };
        Draft { grant, entry, expect }
    }
}

/// From when to when something of `secs` seconds holds: it begins a little in the past, for relying parties whose clock is
/// behind, but never before its issuer and never by more than [`BACKDATE_SECS_MAX`]; it never ends after its issuer.
pub(crate) fn validity(now: Timestamp, secs: i64, issuer: Option<Validity>) -> Result<Validity, DraftError> {
    let backdate = BACKDATE_SECS_MAX.min(secs / 20);
    let wanted = Validity::starting(now.plus_secs(-backdate), secs);
    let Some(issuer) = issuer else { return Ok(wanted) };
    let not_before = wanted.not_before().max(issuer.not_before());
    let not_after = Validity::starting(not_before, secs).not_after().min(issuer.not_after());
    Validity::new(not_before, not_after).map_err(|_| DraftError::new("validity", "its issuer has expired"))
}

/// A minute: the skew between hosts that keep time at all.
pub(crate) const BACKDATE_SECS_MAX: i64 = 60;

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

    #[test]
    fn a_lifetime_is_exact_and_begins_a_little_early() {
        for (secs, early) in [(120, 6), (1200, 60), (86_400, 60), (1, 0)] {
            let validity = validity(NOW, secs, None).unwrap();
            assert_eq!((validity.secs(), NOW.since(validity.not_before())), (secs, early));
        }
    }

    #[test]
    fn nothing_reaches_beyond_its_issuer() {
        let issuer = Validity::new(NOW.plus_secs(-10), NOW.plus_secs(1000)).unwrap();
        let inside = validity(NOW, 5000, Some(issuer)).unwrap();
        assert_eq!(inside, issuer);
        let whole = validity(NOW, 500, Some(issuer)).unwrap();
        assert_eq!((whole.not_before(), whole.secs()), (issuer.not_before(), 500));
        let gone = Validity::new(NOW.plus_secs(-100), NOW.plus_secs(-61)).unwrap();
        assert!(validity(NOW, 5000, Some(gone)).is_err());
    }
}
