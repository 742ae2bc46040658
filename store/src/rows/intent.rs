//! What will be signed.

use hsm::Message;
use policy::Timestamp;

use super::bounds::{DETAILS_BYTES_MAX, TEXT_BYTES_MAX, bounded_json, bounded_tail, check_entry, opt_text, opt_time};
use super::timed::{Timed, timed};
use crate::forms::leaf::{Event, Tail};
use crate::forms::object::Object;
use crate::forms::projection::{Card, Labels};
use crate::forms::row::RowDigest;
use crate::forms::schema::{INTENT, sha256};
use crate::nouns::entry::{Entry, IMPORTED, Kind};
use crate::nouns::error::StoreError;
use crate::sql::Value;
use crate::truth::{Change, CrlIntent, number};

/// The column `form`: the message is what is signed; its SHA-256; the digest of an object, as its algorithm makes it; or the root
/// over the messages of a batch.
pub(crate) const FORM_WHOLE: &str = "whole";
pub(crate) const FORM_OBJECT: &str = "object";
pub(crate) const FORM_BATCH: &str = "batch";
/// ... or nothing is signed here: the message is a certificate as another program signed it.
pub(crate) const FORM_IMPORTED: &str = "imported";
const FORM_SHA256: &str = "sha256";

/// An intent's row and leaf.
#[derive(Debug)]
pub(crate) struct IntentRow {
    pub entry: Entry,
    pub at: Timestamp,
    pub key_hash: [u8; 32],
    pub card: Card,
    /// What is written beside the row.
    pub object: Option<Object>,
    /// Of what was taken in: SHA-256 over what it was taken from.
    pub source: Option<[u8; 32]>,
    tail: Tail,
    message_hash: [u8; 32],
    names: String,
    details: String,
}

impl IntentRow {
    pub fn new(entry: Entry, at: Timestamp) -> Result<IntentRow, StoreError> {
        if entry.profile == IMPORTED {
            return Err(StoreError::Invalid(format!("`{IMPORTED}` is the profile of what was not signed here")));
        }
        IntentRow::made(entry, None, at)
    }

    /// Of a certificate that another program signed.
    pub fn imported(entry: Entry, source: [u8; 32], at: Timestamp) -> Result<IntentRow, StoreError> {
        let is_one = matches!(entry.kind, Kind::Certificate | Kind::CaCertificate)
            && matches!(entry.message, Message::Whole(_))
            && (entry.covers, entry.renews) == (None, None)
            && entry.profile == IMPORTED
            && entry.validity.is_some()
            && !entry.serial.is_empty();
        match is_one {
            true => IntentRow::made(entry, Some(source), at),
            false => {
                Err(StoreError::Invalid("what is taken in is a certificate, whole, with its serial and end".into()))
            }
        }
    }

    fn made(entry: Entry, source: Option<[u8; 32]>, at: Timestamp) -> Result<IntentRow, StoreError> {
        check_entry(&entry)?;
        let names = serde_json::to_string(&entry.names).map_err(|e| StoreError::Invalid(e.to_string()))?;
        let details = bounded_json("details", &entry.details, DETAILS_BYTES_MAX)?;
        let event = if source.is_some() { Event::Import } else { Event::Intend };
        let tail = Tail::new(event, entry.kind.as_str(), at);
        let key_hash = entry.key.fingerprint();
        let card = Card::of(&entry);
        if card.renews.is_some() != entry.renews.is_some() {
            return Err(StoreError::Invalid("a successor says what it renews, in its details and in its leaf".into()));
        }
        let message_hash = match &entry.message {
            Message::Whole(bytes) => sha256(bytes),
            Message::Sha256(hash) => *hash,
            Message::Batch(batch) => *batch.root(),
        };
        let object = Object::of(&entry, &message_hash);
        let mut row = IntentRow { entry, at, key_hash, tail, message_hash, card, object, source, names, details };
        row.write_tail();
        bounded_tail(&row.tail)?;
        Ok(row)
    }

    fn write_tail(&mut self) {
        let digest = self.digest(self.at);
        let (tail, entry) = (&mut self.tail, &self.entry);
        tail.actor(&entry.actor);
        tail.grant(&entry.grant);
        if let Some(source) = &self.source {
            tail.named_hash("key", entry.key.label(), &self.key_hash);
            tail.hex("digest", &self.message_hash);
            tail.hex("serial", &entry.serial);
            tail.text("issuer", &entry.issuer);
            tail.hex("subject", &entry.key_hash);
            tail.text("outcome", IMPORTED);
            if let Some(validity) = entry.validity {
                tail.time("until", validity.not_after());
            }
            tail.hex("source", source);
            return tail.hex("row", &digest);
        }
        tail.named_hash("profile", &entry.profile, &entry.profile_hash);
        tail.named_hash("key", entry.key.label(), &self.key_hash);
        tail.text("algorithm", entry.key.algorithm().as_str());
        tail.hex("digest", &self.message_hash);
        if let Message::Batch(batch) = &entry.message {
            tail.number("messages", batch.messages().len() as u64);
        }
        tail.hex("serial", &entry.serial);
        tail.text("issuer", &entry.issuer);
        if let Some(renews) = &entry.renews {
            tail.renews(renews.operation(), renews.until());
        }
        if let Some(covers) = &entry.covers {
            tail.covers(covers);
        }
        tail.hex("row", &digest);
    }

    /// What its leaf changes, with the time it is given.
    pub fn change(&self, at: Timestamp) -> Change {
        if self.source.is_some() {
            return Change::Nothing;
        }
        Change::Intended { at, crl: self.crl(), renews: self.entry.renews }
    }

    /// What a CRL is to the fold.
    pub fn crl(&self) -> Option<CrlIntent> {
        let Entry { issuer, serial, covers, .. } = &self.entry;
        Some(CrlIntent { issuer: issuer.clone(), covers: (*covers)?, number: number(serial) })
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
            (None, Message::Whole(bytes)) if self.source.is_some() => (FORM_IMPORTED, bytes.as_ref()),
            (None, Message::Whole(bytes)) => (FORM_WHOLE, bytes.as_ref()),
            (None, Message::Sha256(hash)) => (FORM_SHA256, hash.as_slice()),
            (None, Message::Batch(batch)) => (FORM_BATCH, batch.root().as_slice()),
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
            Message::Sha256(_) | Message::Batch(_) => TEXT_BYTES_MAX,
        }
    }
}

timed!(IntentRow, IntentRow::digest);
