//! Rows made ready in the caller's task: checked, digested, their leaf written but for its numbers.
//!
//! The writer thread is one and everyone waits for it, so everything that can be computed before is computed here. The time is what
//! the caller's clock shows; where the writer has to give another ([`Timed`]), which is seldom, it digests the row again.

use std::borrow::Cow;
use std::sync::Arc;

use hsm::Message;
use policy::Timestamp;

use crate::credential::Credential;
use crate::entry::{ActorStamp, Entry, GrantStamp, Lost, LostRevocation, RefusalEntry, Revocation};
use crate::error::StoreError;
use crate::leaf::{Event, TAIL_BYTES_MAX, Tail};
use crate::object::{OBJECT_BYTES_MAX, Object};
use crate::projection::{Card, Labels};
use crate::record::Record;
use crate::row::{RowDigest, row_digest};
use crate::schema::{CONCLUSION, INTENT, RECORD, REVOCATION, sha256};
use crate::sql::Value;
use crate::truth::{Change, RecordKey, Revoked, record_key};

/// Names, labels and sentences: longer ones are no display text.
const TEXT_BYTES_MAX: usize = 4_096;
/// Names that go into every leaf.
const LABEL_BYTES_MAX: usize = 1_024;
/// RFC 5280 section 4.1.2.2 allows 20; SSH uses 8; code signatures and CRLs number themselves.
const SERIAL_BYTES_MAX: usize = 32;
/// What is signed whole and is a column: certificates; a file to be code-signed comes as its SHA-256.
const MESSAGE_BYTES_MAX: usize = 1 << 20;
/// Small facts of a kind.
const DETAILS_BYTES_MAX: usize = 4_096;
/// A record is a form, not a file.
const BODY_BYTES_MAX: usize = 65_536;
/// The name table numbers an intent's names in seven bits.
pub(crate) const NAME_SLOTS: u64 = 128;
const _: () = assert!(policy::MAX_NAMES < NAME_SLOTS as usize);

/// A row whose time only the holder of the head can say for certain.
pub(crate) trait Timed {
    /// The time it was made with.
    fn at(&self) -> Timestamp;
    /// Its leaf with that time.
    fn tail(&self) -> &Tail;
    /// Its digest with another.
    fn digest_at(&self, at: Timestamp) -> [u8; 32];
    /// Its leaf with the time it is given.
    fn tail_at(&self, at: Timestamp) -> Cow<'_, Tail> {
        if at == self.at() {
            return Cow::Borrowed(self.tail());
        }
        Cow::Owned(self.tail().restamped(at, Some(&self.digest_at(at))))
    }
}

macro_rules! timed {
    ($row:ty, $digest:expr) => {
        impl Timed for $row {
            fn at(&self) -> Timestamp {
                self.at
            }
            fn tail(&self) -> &Tail {
                &self.tail
            }
            fn digest_at(&self, at: Timestamp) -> [u8; 32] {
                $digest(self, at)
            }
        }
    };
}
timed!(IntentRow, IntentRow::digest);
timed!(ConclusionRow, |row: &ConclusionRow, at| row_digest(&CONCLUSION, row.values(at)));
timed!(RevocationRow, RevocationRow::digest);
timed!(RecordRow, RecordRow::digest);

/// An intent's row and leaf.
#[derive(Debug)]
pub(crate) struct IntentRow {
    pub entry: Entry,
    pub at: Timestamp,
    pub key_hash: [u8; 32],
    pub card: Card,
    /// What is written beside the row.
    pub object: Option<Object>,
    tail: Tail,
    message_hash: [u8; 32],
    names: String,
    details: String,
}

impl IntentRow {
    pub fn new(entry: Entry, at: Timestamp) -> Result<IntentRow, StoreError> {
        check_entry(&entry)?;
        let names = serde_json::to_string(&entry.names).map_err(|e| StoreError::Invalid(e.to_string()))?;
        let details = bounded_json("details", &entry.details, DETAILS_BYTES_MAX)?;
        let tail = Tail::new(Event::Intend, entry.kind.as_str(), at);
        let key_hash = entry.key.fingerprint();
        let card = Card::of(&entry);
        if card.renews.is_some() != entry.renews.is_some() {
            return Err(StoreError::Invalid("a successor says what it renews, in its details and in its leaf".into()));
        }
        let message_hash = match &entry.message {
            Message::Whole(bytes) => sha256(bytes),
            Message::Sha256(hash) => *hash,
        };
        let object = Object::of(&entry, &message_hash);
        let mut row = IntentRow { entry, at, key_hash, tail, message_hash, card, object, names, details };
        row.write_tail();
        bounded_tail(&row.tail)?;
        Ok(row)
    }

    fn write_tail(&mut self) {
        let digest = self.digest(self.at);
        let (tail, entry) = (&mut self.tail, &self.entry);
        tail.actor(&entry.actor);
        tail.grant(&entry.grant);
        tail.named_hash("profile", &entry.profile, &entry.profile_hash);
        tail.named_hash("key", entry.key.label(), &self.key_hash);
        tail.text("algorithm", entry.key.algorithm().as_str());
        tail.hex("digest", &self.message_hash);
        tail.hex("serial", &entry.serial);
        tail.text("issuer", &entry.issuer);
        if let Some(renews) = &entry.renews {
            tail.renews(renews.operation(), renews.until());
        }
        if let Some(covers) = &entry.covers {
            tail.covers(covers.leaves(), covers.revocations(), covers.digest());
        }
        tail.hex("row", &digest);
    }

    /// What its leaf changes, with the time it is given.
    pub fn change(&self, at: Timestamp) -> Change {
        let crl = self.entry.covers.map(|covers| (self.entry.issuer.clone(), covers));
        Change::Intended { at, crl, renews: self.entry.renews }
    }

    fn digest(&self, at: Timestamp) -> [u8; 32] {
        let mut digest = RowDigest::of(&INTENT);
        let message_at = INTENT.position("message").map(|at| at - INTENT.stated);
        for (column, value) in self.values(at).into_iter().enumerate() {
            match value {
                Value::Blob(bytes) if Some(column) == message_at && self.object.is_none() => {
                    digest.hashed_blob(bytes, &self.message_hash);
                }
                value => digest.column(value),
            }
        }
        digest.finish()
    }

    /// The columns after `op`, with the time the row is given.
    pub fn values(&self, at: Timestamp) -> [Value<'_>; 24] {
        let entry = &self.entry;
        let (form, message) = match (&self.object, &entry.message) {
            (Some(object), _) => (FORM_OBJECT, object.digest.as_slice()),
            (None, Message::Whole(bytes)) => (FORM_WHOLE, bytes.as_ref()),
            (None, Message::Sha256(hash)) => (FORM_SHA256, hash.as_slice()),
        };
        [
            Value::Text(entry.kind.as_str()),
            Value::Int(at.unix()),
            Value::Text(&entry.actor.id),
            Value::Text(&entry.actor.proof),
            Value::Text(&entry.actor.proof_id),
            Value::Text(&entry.grant.action),
            Value::Text(&entry.grant.rule),
            Value::Blob(&entry.grant.policy_hash),
            Value::Text(&entry.profile),
            Value::Blob(&entry.profile_hash),
            Value::Text(entry.key.label()),
            Value::Blob(&self.key_hash),
            Value::Text(entry.key.algorithm().as_str()),
            Value::Text(form),
            Value::Blob(message),
            if entry.serial.is_empty() { Value::Null } else { Value::Blob(&entry.serial) },
            Value::Text(&entry.issuer),
            opt_text(entry.owner.as_ref().map(policy::Owner::as_str)),
            Value::Text(&entry.subject),
            Value::Text(&self.names),
            Value::Blob(&entry.key_hash),
            opt_time(entry.validity.map(|v| v.not_before())),
            opt_time(entry.validity.map(|v| v.not_after())),
            Value::Text(&self.details),
        ]
    }

    /// The columns that say where it stands.
    pub fn labels(&self) -> Labels<'_> {
        let Entry { kind, profile, issuer, owner, .. } = &self.entry;
        Labels { kind: kind.as_str(), profile, issuer, owner: owner.as_ref().map(policy::Owner::as_str) }
    }

    /// Roughly what it adds to a transaction.
    pub fn weight(&self) -> usize {
        match &self.entry.message {
            Message::Whole(bytes) => bytes.len() + TEXT_BYTES_MAX,
            Message::Sha256(_) => TEXT_BYTES_MAX,
        }
    }
}

/// The column `form`: the message is what is signed; its SHA-256; or the digest of an object, as its algorithm makes it.
pub(crate) const FORM_WHOLE: &str = "whole";
pub(crate) const FORM_OBJECT: &str = "object";
pub(crate) const FORM_SHA256: &str = "sha256";

/// What came of an operation.
#[derive(Debug)]
pub(crate) enum Outcome {
    Issued(Vec<u8>),
    Failed(String),
}

impl Outcome {
    pub fn as_str(&self) -> &'static str {
        match self {
            Outcome::Issued(_) => "issued",
            Outcome::Failed(_) => "failed",
        }
    }
}

/// A conclusion's row and leaf.
#[derive(Debug)]
pub(crate) struct ConclusionRow {
    pub op: u64,
    pub at: Timestamp,
    pub outcome: Outcome,
    tail: Tail,
}

impl ConclusionRow {
    pub fn new(op: u64, kind: &str, serial: &[u8], outcome: Outcome, at: Timestamp) -> ConclusionRow {
        let event = match outcome {
            Outcome::Issued(_) => Event::Conclude,
            Outcome::Failed(_) => Event::Fail,
        };
        let outcome = match outcome {
            Outcome::Failed(reason) => Outcome::Failed(clipped(&reason)),
            issued @ Outcome::Issued(_) => issued,
        };
        let mut row = ConclusionRow { op, at, outcome, tail: Tail::new(event, kind, at) };
        let digest = row_digest(&CONCLUSION, row.values(at));
        row.tail.hex("serial", serial);
        row.tail.text("outcome", row.outcome.as_str());
        row.tail.hex("row", &digest);
        row
    }

    /// What its leaf changes.
    pub fn change(&self) -> Change {
        Change::Settled { op: self.op, issued: matches!(self.outcome, Outcome::Issued(_)) }
    }

    /// The columns after `leaf` and `op`, with the time the row is given.
    pub fn values(&self, at: Timestamp) -> [Value<'_>; 4] {
        let (signature, reason) = match &self.outcome {
            Outcome::Issued(signature) => (Value::Blob(signature), Value::Null),
            Outcome::Failed(reason) => (Value::Null, Value::Text(reason)),
        };
        [Value::Int(at.unix()), Value::Text(self.outcome.as_str()), signature, reason]
    }
}

/// A revocation's row and leaf.
#[derive(Debug)]
pub(crate) struct RevocationRow {
    /// What ends; none where the register does not hold it, and the revocation is an operation of its own.
    pub operation: Option<u64>,
    pub at: Timestamp,
    actor: ActorStamp,
    grant: GrantStamp,
    tail: Tail,
    issuer: String,
    /// As the fold will hold it with the time it was made with, but for its leaf.
    revoked: Revoked,
}

impl RevocationRow {
    /// `of` is the credential that ends.
    pub fn new(revocation: Revocation, of: &Credential, at: Timestamp) -> Result<RevocationRow, StoreError> {
        let operation = revocation.operation;
        RevocationRow::made(Some(operation), named(revocation, of), at)
    }

    /// Raises the reason of a credential that ended before: an operation of its own, since each is revoked once.
    pub fn raising(revocation: Revocation, of: &Credential, at: Timestamp) -> Result<RevocationRow, StoreError> {
        RevocationRow::made(None, named(revocation, of), at)
    }

    /// Of a credential that the register does not hold.
    pub fn lost(revocation: LostRevocation, at: Timestamp) -> Result<RevocationRow, StoreError> {
        if revocation.of.serial.is_empty() || revocation.of.serial.len() > SERIAL_BYTES_MAX {
            return Err(StoreError::Invalid(format!("a serial has 1 to {SERIAL_BYTES_MAX} bytes")));
        }
        check_label("issuer", &revocation.of.issuer)?;
        RevocationRow::made(None, revocation, at)
    }

    fn made(operation: Option<u64>, revocation: LostRevocation, at: Timestamp) -> Result<RevocationRow, StoreError> {
        let LostRevocation { of, reason, at: revoked_at, actor, grant } = revocation;
        // RFC 5280 section 5.3.1: 0 to 10, 7 is not used.
        if reason > 10 || reason == 7 {
            return Err(StoreError::Invalid(format!("{reason} is no CRLReason")));
        }
        check_actor(&actor)?;
        check_label("action", &grant.action)?;
        check_label("rule", &grant.rule)?;
        let tail = Tail::new(Event::Revoke, of.kind.as_str(), at);
        let revoked = Revoked {
            operation: operation.unwrap_or(0),
            leaf: 0,
            kind: of.kind,
            serial: of.serial,
            revoked_at,
            reason,
            not_after: of.not_after,
            key_hash: of.key_hash,
            row: [0; 32],
            raised: None,
            raises: None,
        };
        let mut row = RevocationRow { operation, at, actor, grant, tail, issuer: of.issuer, revoked };
        row.revoked.row = row_digest(&REVOCATION, row.values(at));
        row.write_tail();
        bounded_tail(&row.tail)?;
        Ok(row)
    }

    fn write_tail(&mut self) {
        let RevocationRow { actor, grant, tail, issuer, revoked, .. } = self;
        tail.actor(actor);
        tail.grant(grant);
        tail.hex("serial", &revoked.serial);
        tail.text("issuer", issuer);
        tail.hex("subject", &revoked.key_hash);
        tail.text("outcome", "revoked");
        tail.number("reason", revoked.reason.into());
        tail.time("since", revoked.revoked_at);
        if let Some(until) = revoked.not_after {
            tail.time("until", until);
        }
        tail.hex("row", &revoked.row);
    }

    /// The operation that it is of: its own leaf's where the register does not hold what ends.
    pub fn operation_at(&self, leaf: u64) -> u64 {
        self.operation.unwrap_or(leaf)
    }

    /// The issuer and the serial of what ends.
    pub fn names(&self) -> (&str, &[u8]) {
        (&self.issuer, &self.revoked.serial)
    }

    /// What it says, as the fold holds it.
    pub fn revoked(&self) -> &Revoked {
        &self.revoked
    }

    /// What its leaf changes, with its number and the time it is given.
    pub fn change(&self, leaf: u64, at: Timestamp) -> Change {
        let operation = self.operation_at(leaf);
        let revoked = Box::new(Revoked { operation, leaf, row: self.digest(at), ..self.revoked.clone() });
        Change::Revoked { issuer: self.issuer.clone(), revoked }
    }

    fn digest(&self, at: Timestamp) -> [u8; 32] {
        match at == self.at {
            true => self.revoked.row,
            false => row_digest(&REVOCATION, self.values(at)),
        }
    }

    /// The columns after `leaf` and `op`, with the time the row is given.
    pub fn values(&self, at: Timestamp) -> [Value<'_>; 9] {
        let RevocationRow { revoked, actor, grant, .. } = self;
        [
            Value::Int(at.unix()),
            Value::Int(revoked.revoked_at.unix()),
            Value::Int(revoked.reason.into()),
            Value::Text(&actor.id),
            Value::Text(&actor.proof),
            Value::Text(&actor.proof_id),
            Value::Text(&grant.action),
            Value::Text(&grant.rule),
            Value::Blob(&grant.policy_hash),
        ]
    }
}

/// A revocation that says of its credential all there is to say.
fn named(revocation: Revocation, of: &Credential) -> LostRevocation {
    let Revocation { operation: _, reason, at, actor, grant } = revocation;
    let of = Lost {
        kind: of.kind,
        serial: of.serial.clone(),
        issuer: of.issuer.clone(),
        key_hash: of.key_hash,
        not_after: of.validity.map(|validity| validity.not_after()),
    };
    LostRevocation { of, reason, at, actor, grant }
}

/// A record's row and leaf.
#[derive(Debug)]
pub(crate) struct RecordRow {
    pub record: Record,
    pub at: Timestamp,
    pub key: RecordKey,
    /// It takes a right away: the clock does not hold it back.
    pub withdraws: bool,
    tail: Tail,
    body: String,
    digest: [u8; 32],
}

impl RecordRow {
    pub fn new(record: Record, at: Timestamp) -> Result<RecordRow, StoreError> {
        check_actor(&record.actor)?;
        check_label("kind", record.kind)?;
        check_label("id", &record.id)?;
        if record.id.is_empty() {
            return Err(StoreError::Invalid("a record has an id".into()));
        }
        record.owner.as_ref().map_or(Ok(()), |owner| check_label("owner", owner))?;
        record.lookup.as_ref().map_or(Ok(()), |lookup| check_label("lookup", lookup))?;
        let body = bounded_json("body", &record.body, BODY_BYTES_MAX)?;
        let tail = Tail::new(Event::Record, record.kind, at);
        let key = record_key(record.kind, &record.id);
        let mut row = RecordRow { record, at, key, withdraws: false, tail, body, digest: [0; 32] };
        row.digest = row_digest(&RECORD, row.values(at));
        row.tail.actor(&row.record.actor);
        row.tail.text("id", &row.record.id);
        row.tail.hex("row", &row.digest);
        Ok(row)
    }

    /// What its leaf changes, with the time it is given.
    pub fn change(&self, replaces: u64, at: Timestamp) -> Change {
        Change::Recorded { key: self.key, replaces, digest: self.digest(at) }
    }

    fn digest(&self, at: Timestamp) -> [u8; 32] {
        match at == self.at {
            true => self.digest,
            false => row_digest(&RECORD, self.values(at)),
        }
    }

    /// The same, which takes a right away, or does not.
    pub fn withdrawing(self, withdraws: bool) -> RecordRow {
        RecordRow { withdraws, ..self }
    }

    /// The columns after `leaf` and `replaces`, with the time the row is given.
    pub fn values(&self, at: Timestamp) -> [Value<'_>; 10] {
        let record = &self.record;
        [
            Value::Text(record.kind),
            Value::Text(&record.id),
            Value::Int(at.unix()),
            opt_text(record.owner.as_deref()),
            opt_text(record.lookup.as_deref()),
            opt_time(record.expires),
            Value::Text(&self.body),
            Value::Text(&record.actor.id),
            Value::Text(&record.actor.proof),
            Value::Text(&record.actor.proof_id),
        ]
    }
}

/// A refusal's leaf. It has no row: what is refused changes nothing.
pub(crate) fn refusal_tail(refusal: &RefusalEntry, at: Timestamp) -> Result<Tail, StoreError> {
    check_actor(&refusal.actor)?;
    check_label("action", &refusal.action)?;
    let mut tail = Tail::new(Event::Refuse, "refusal", at);
    tail.actor(&refusal.actor);
    tail.grant(&crate::entry::GrantStamp {
        action: refusal.action.clone(),
        rule: clipped(refusal.rule.as_deref().unwrap_or_default()),
        policy_hash: refusal.policy_hash,
    });
    tail.text("outcome", "refused");
    tail.text("target", &clipped(&refusal.target));
    tail.text("says", &clipped(&refusal.missing));
    bounded_tail(&tail)?;
    Ok(tail)
}

/// What the writer is asked for.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    Intend(Arc<IntentRow>),
    Conclude(Arc<ConclusionRow>),
    /// When it was refused, and its leaf.
    Refuse(Timestamp, Arc<Tail>),
    Revoke(Arc<RevocationRow>),
    Record(Arc<Vec<RecordRow>>),
    /// A signed checkpoint: its size and its note. The one write without a leaf: it speaks of the log from outside.
    Checkpoint(u64, Arc<str>),
}

impl Op {
    /// What the caller's clock showed; none where there is no leaf.
    pub fn asked(&self) -> Option<Timestamp> {
        match self {
            Op::Intend(row) => Some(row.at),
            Op::Conclude(row) => Some(row.at),
            Op::Refuse(at, _) => Some(*at),
            Op::Revoke(row) => Some(row.at),
            Op::Record(rows) => rows.first().map(|row| row.at),
            Op::Checkpoint(..) => None,
        }
    }

    /// Roughly what it adds to a transaction, bytes.
    pub fn weight(&self) -> usize {
        match self {
            Op::Intend(row) => row.weight(),
            Op::Record(rows) => rows.iter().map(|row| row.body.len() + TEXT_BYTES_MAX).sum(),
            Op::Conclude(_) | Op::Refuse(..) | Op::Revoke(_) | Op::Checkpoint(..) => TEXT_BYTES_MAX,
        }
    }
}

fn check_entry(entry: &Entry) -> Result<(), StoreError> {
    check_actor(&entry.actor)?;
    check_label("action", &entry.grant.action)?;
    check_label("rule", &entry.grant.rule)?;
    check_label("profile", &entry.profile)?;
    check_label("issuer", &entry.issuer)?;
    check_label("key label", entry.key.label())?;
    check_text("subject", &entry.subject, TEXT_BYTES_MAX)?;
    if entry.serial.len() > SERIAL_BYTES_MAX {
        return Err(StoreError::Invalid(format!("a serial has at most {SERIAL_BYTES_MAX} bytes")));
    }
    if entry.names.len() > policy::MAX_NAMES {
        return Err(StoreError::Invalid(format!("at most {} names", policy::MAX_NAMES)));
    }
    entry.names.iter().try_for_each(|name| check_label("name", name))?;
    let most = if entry.covers.is_some() { OBJECT_BYTES_MAX } else { MESSAGE_BYTES_MAX };
    match &entry.message {
        Message::Whole(bytes) if bytes.len() > most => {
            Err(StoreError::Invalid(format!("at most {most} bytes of a {} are signed whole", entry.kind)))
        }
        Message::Sha256(_) if entry.covers.is_some() => Err(StoreError::Invalid("a CRL is signed whole".into())),
        Message::Whole(_) | Message::Sha256(_) => Ok(()),
    }
}

fn check_actor(actor: &ActorStamp) -> Result<(), StoreError> {
    check_label("actor", &actor.id)?;
    check_label("proof", &actor.proof)?;
    check_label("proof id", &actor.proof_id)
}

fn check_label(what: &str, text: &str) -> Result<(), StoreError> {
    check_text(what, text, LABEL_BYTES_MAX)
}

/// PostgreSQL has no NUL in a TEXT: refused here, where it costs one caller, not in the batch.
fn check_text(what: &str, text: &str, bytes_max: usize) -> Result<(), StoreError> {
    if text.len() > bytes_max {
        return Err(StoreError::Invalid(format!("{what}: at most {bytes_max} bytes")));
    }
    if text.contains('\0') {
        return Err(StoreError::Invalid(format!("{what}: no NUL")));
    }
    Ok(())
}

fn bounded_json(what: &str, value: &serde_json::Value, bytes_max: usize) -> Result<String, StoreError> {
    let text = value.to_string();
    check_text(what, &text, bytes_max)?;
    Ok(text)
}

fn bounded_tail(tail: &Tail) -> Result<(), StoreError> {
    if tail.len() > TAIL_BYTES_MAX {
        return Err(StoreError::Invalid("the leaf would be longer than a log entry may be".into()));
    }
    Ok(())
}

/// A sentence cut to what a leaf holds, without NUL.
fn clipped(text: &str) -> String {
    let mut end = text.len().min(LABEL_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().replace('\0', " ")
}

fn opt_text(text: Option<&str>) -> Value<'_> {
    text.map_or(Value::Null, Value::Text)
}

fn opt_time(time: Option<Timestamp>) -> Value<'static> {
    time.map_or(Value::Null, |at| Value::Int(at.unix()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::Table;

    #[test]
    fn every_row_has_a_value_for_every_column() {
        let columns_after_stated = |table: &Table| table.columns.len() - table.stated;
        assert_eq!(columns_after_stated(&INTENT), 24);
        assert_eq!(columns_after_stated(&CONCLUSION), 4);
        assert_eq!(columns_after_stated(&REVOCATION), 9);
        assert_eq!(columns_after_stated(&RECORD), 10);
    }

    #[test]
    fn a_clipped_sentence_ends_at_a_character() {
        let text = "é".repeat(LABEL_BYTES_MAX);
        let cut = clipped(&text);
        assert!(cut.len() <= LABEL_BYTES_MAX && text.starts_with(&cut));
        assert_eq!(clipped("a\0b"), "a b");
    }
}
