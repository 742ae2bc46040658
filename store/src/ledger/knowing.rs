//! What the fold of the log knows, without a question to the database: revocations, keys, how the register is.

use std::ops::Range;

use policy::Timestamp;
use zeroize::Zeroizing;

use super::base::Ledger;
use crate::attest::Attested;
use crate::nouns::condition::Condition;
use crate::nouns::credential::Credential;
use crate::nouns::entry::{Base, Covers};
use crate::nouns::error::StoreError;
use crate::register::meeting;
use crate::truth::{Integrity, Revocations, Revoked};
use crate::verify::AuditState;

impl Ledger {
    /// A key for a purpose of its own that every node of this register has, and nobody beside them: 32 bytes, the same each time, and
    /// another once the register has another head key.
    pub fn key_for(&self, purpose: &str) -> Zeroizing<[u8; 32]> {
        self.register().node.key_for(purpose)
    }

    /// Everything revoked of an issuer, expired or not, and what a CRL of it covers. From the fold, not the database.
    pub fn revocations(&self, issuer: &str) -> Revocations {
        self.register().node.revocations(issuer, 0..usize::MAX)
    }

    /// The same, with rows of a part alone: what was revoked since, or some of many at a time.
    pub fn revocations_in(&self, issuer: &str, part: Range<usize>) -> Revocations {
        self.register().node.revocations(issuer, part)
    }

    /// What a delta CRL of a series may rest on, and what that covers; the oldest first. From the fold.
    pub fn crl_bases(&self, series: &str) -> Vec<(Base, Covers)> {
        self.register().node.fold(|fold, _| fold.bases(series))
    }

    /// The greatest number of a series' CRLs, deltas too, that are signed or may yet be. From the fold.
    pub fn last_crl_number(&self, series: &str) -> u64 {
        self.register().node.fold(|fold, _| fold.last_crl_number(series))
    }

    /// Whether something was revoked because this key (SHA-256 of its SubjectPublicKeyInfo) is compromised.
    pub fn is_compromised(&self, key_hash: &[u8; 32]) -> bool {
        self.register().node.fold(|fold, _| fold.is_compromised(key_hash))
    }

    /// Whether what an operation made is revoked, from the fold.
    pub fn is_revoked(&self, operation: u64) -> bool {
        self.register().node.fold(|fold, _| fold.revocation(operation).is_some_and(Revoked::is_ended))
    }

    /// From when and for what reason what an operation made is revoked, from the fold.
    pub fn revocation(&self, operation: u64) -> Option<(Timestamp, u8)> {
        self.register().node.fold(|fold, _| {
            let word = fold.revocation(operation)?.word();
            word.ends().then_some((word.since, word.reason))
        })
    }

    /// The same as it was at the end of the log's first so many leaves.
    pub fn revocation_at(&self, operation: u64, leaves: u64) -> Option<(Timestamp, u8)> {
        self.register()
            .node
            .fold(|fold, _| fold.revocation(operation)?.word_at(leaves).map(|word| (word.since, word.reason)))
    }

    /// The revocation of a serial that the register may not hold: its operation, from when, for what reason. From the fold, looking
    /// at all of the issuer's: for what is asked seldom.
    pub fn revocation_of(&self, issuer: &str, serial: &[u8]) -> Option<(u64, Timestamp, u8)> {
        self.register().node.fold(|fold, _| {
            let (found, word) = fold.revocation_of(issuer, serial).map(|found| (found, found.word()))?;
            word.ends().then_some((found.operation, word.since, word.reason))
        })
    }

    /// The newest signed successor of a certificate, from the fold; of one that ended more than
    /// [`RENEWED_KNOWN_SECS`](crate::RENEWED_KNOWN_SECS) ago it says nothing.
    pub fn renewed(&self, certificate: &Attested<Credential>) -> Option<u64> {
        let of = certificate.renewal()?;
        self.register().node.fold(|fold, _| fold.renewed(of))
    }

    /// Why nothing is written any more, as this node knows it; none when all is well.
    pub fn held(&self) -> Option<String> {
        self.register().held()
    }

    /// How the register is, as this node knows it.
    pub fn integrity(&self) -> Integrity {
        self.register().integrity()
    }

    /// What keeps the register from its work, as its threads met it last, without a question to the database.
    pub fn condition(&self) -> Condition {
        self.register().condition()
    }

    /// How far the service's own audit is.
    pub fn audited(&self) -> AuditState {
        self.register().audited()
    }

    /// One step of the service's own audit: new leaves and their rows, and a tile of old ones (docs/LIMITS.md). What it finds
    /// is an alarm ([`Ledger::integrity`]). Call it every second, from a task of its own.
    pub async fn audit_step(&self) -> Result<AuditState, StoreError> {
        self.register().audit_step().await
    }

    /// Takes in what other nodes appended; an error says that the log is not an extension of what this node knows. Call it
    /// every second: a register that was cut is then noticed although nobody writes.
    pub async fn follow(&self) -> Result<(), StoreError> {
        self.register().follow().await
    }

    /// Holds this node's tree against what other nodes with this token signed, by the token's own memory: two nodes that were led onto
    /// two registers stop. Call it every few seconds, from a task of its own.
    pub async fn meet(&self) -> Result<(), StoreError> {
        meeting::meet(self.register()).await
    }

    /// Raises an alarm about something that the register should hold and does not, as somebody outside this room knows: a
    /// certificate that our own CA signed and that has no row was taken away, or signed behind our back.
    pub fn missing(&self, place: &str, says: &str) {
        self.register().node.alarm(place, says);
    }

    /// Whether a write would come through now: a disk may be full although nobody has met it yet.
    pub async fn would_write(&self) -> Result<(), StoreError> {
        self.register().probe().await
    }
}
