//! What a row holds at most, and how its columns are written.

use hsm::Message;
use policy::Timestamp;

use crate::forms::leaf::{TAIL_BYTES_MAX, Tail};
use crate::forms::object::OBJECT_BYTES_MAX;
use crate::nouns::entry::{ActorStamp, Entry, Kind};
use crate::nouns::error::StoreError;
use crate::sql::Value;

/// Names, labels and sentences: longer ones are no display text.
pub(super) const TEXT_BYTES_MAX: usize = 4_096;
/// Names that go into every leaf.
pub(super) const LABEL_BYTES_MAX: usize = 1_024;
/// RFC 5280 section 4.1.2.2 allows 20; SSH uses 8; code signatures and CRLs number themselves.
pub(crate) const SERIAL_BYTES_MAX: usize = 32;
/// What is signed whole and is a column: certificates; a file to be code-signed comes as its SHA-256.
pub(super) const MESSAGE_BYTES_MAX: usize = 1 << 20;
/// A message of a batch: an OCSP response has some hundred.
pub(super) const BATCHED_BYTES_MAX: usize = 16_384;
/// Small facts of a kind.
pub(super) const DETAILS_BYTES_MAX: usize = 4_096;
/// A record is a form, not a file.
pub(super) const BODY_BYTES_MAX: usize = 65_536;
/// The name table numbers an intent's names in seven bits.
pub(crate) const NAME_SLOTS: u64 = 128;
const _: () = assert!(policy::MAX_NAMES < NAME_SLOTS as usize);

pub(super) fn check_entry(entry: &Entry) -> Result<(), StoreError> {
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
        Message::Sha256(_) | Message::Batch(_) if entry.covers.is_some() => {
            Err(StoreError::Invalid("a CRL is signed whole".into()))
        }
        Message::Whole(_) | Message::Sha256(_) if entry.kind == Kind::OcspBatch => {
            Err(StoreError::Invalid("OCSP responses are signed as a batch".into()))
        }
        Message::Batch(_) if entry.kind != Kind::OcspBatch => {
            Err(StoreError::Invalid(format!("a {} is signed by itself", entry.kind)))
        }
        Message::Batch(batch) if batch.bytes().any(|bytes| bytes.len() > BATCHED_BYTES_MAX) => {
            Err(StoreError::Invalid(format!("at most {BATCHED_BYTES_MAX} bytes are one message of a batch")))
        }
        Message::Whole(_) | Message::Sha256(_) | Message::Batch(_) => Ok(()),
    }
}

pub(super) fn check_actor(actor: &ActorStamp) -> Result<(), StoreError> {
    check_label("actor", &actor.id)?;
    check_label("proof", &actor.proof)?;
    check_label("proof id", &actor.proof_id)
}

pub(super) fn check_label(what: &str, text: &str) -> Result<(), StoreError> {
    check_text(what, text, LABEL_BYTES_MAX)
}

/// PostgreSQL has no NUL in a TEXT: refused here, where it costs one caller, not in the batch.
pub(super) fn check_text(what: &str, text: &str, bytes_max: usize) -> Result<(), StoreError> {
    if text.len() > bytes_max {
        return Err(StoreError::Invalid(format!("{what}: at most {bytes_max} bytes")));
    }
    if text.contains('\0') {
        return Err(StoreError::Invalid(format!("{what}: no NUL")));
    }
    Ok(())
}

pub(super) fn bounded_json(what: &str, value: &serde_json::Value, bytes_max: usize) -> Result<String, StoreError> {
    let text = value.to_string();
    check_text(what, &text, bytes_max)?;
    Ok(text)
}

pub(super) fn bounded_tail(tail: &Tail) -> Result<(), StoreError> {
    if tail.len() > TAIL_BYTES_MAX {
        return Err(StoreError::Invalid("the leaf would be longer than a log entry may be".into()));
    }
    Ok(())
}

/// A sentence cut to what a leaf holds, without NUL.
pub(super) fn clipped(text: &str) -> String {
    let mut end = text.len().min(LABEL_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().replace('\0', " ")
}

pub(super) fn opt_text(text: Option<&str>) -> Value<'_> {
    text.map_or(Value::Null, Value::Text)
}

pub(super) fn opt_time(time: Option<Timestamp>) -> Value<'static> {
    time.map_or(Value::Null, |at| Value::Int(at.unix()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clipped_sentence_ends_at_a_character() {
        let text = "é".repeat(LABEL_BYTES_MAX);
        let cut = clipped(&text);
        assert!(cut.len() <= LABEL_BYTES_MAX && text.starts_with(&cut));
        assert_eq!(clipped("a\0b"), "a b");
    }
}
