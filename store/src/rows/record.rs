//! A version of a record.

use policy::Timestamp;

use super::bounds::{BODY_BYTES_MAX, TEXT_BYTES_MAX, bounded_json, check_actor, check_label, opt_text, opt_time};
use super::timed::{Timed, timed};
use crate::forms::leaf::{Event, Tail};
use crate::forms::row::row_digest;
use crate::forms::schema::RECORD;
use crate::forms::ward::SECRET;
use crate::nouns::beside::{BESIDE_BYTES_MAX, Beside, Digest};
use crate::nouns::error::StoreError;
use crate::nouns::record::Record;
use crate::nouns::sealed::{HEAD_KEY, SEALED, Under};
use crate::sql::Value;
use crate::truth::{Change, RecordKey, record_key};

/// A record's row and leaf.
#[derive(Debug)]
pub(crate) struct RecordRow {
    pub record: Record,
    pub at: Timestamp,
    pub key: RecordKey,
    /// It takes a right away: the clock does not hold it back.
    pub withdraws: bool,
    /// What it means for generations of the sealing key.
    pub under: Option<Under>,
    /// What becomes of the bytes beside it.
    pub beside: Beside,
    tail: Tail,
    pub(super) body: String,
    digest: [u8; 32],
}

impl RecordRow {
    pub fn new(record: Record, at: Timestamp) -> Result<RecordRow, StoreError> {
        RecordRow::with(record, Beside::Nothing, at)
    }

    /// With what becomes of the bytes beside it, which its body says.
    pub fn with(record: Record, beside: Beside, at: Timestamp) -> Result<RecordRow, StoreError> {
        check_beside(&record, &beside)?;
        check_actor(&record.actor)?;
        check_label("kind", record.kind)?;
        check_label("id", &record.id)?;
        if record.id.is_empty() {
            return Err(StoreError::Invalid("a record has an id".into()));
        }
        record.owner.as_ref().map_or(Ok(()), |owner| check_label("owner", owner))?;
        record.lookup.as_ref().map_or(Ok(()), |lookup| check_label("lookup", lookup))?;
        let body = bounded_json("body", &record.body, BODY_BYTES_MAX)?;
        let under = Under::of_record(record.kind, &record.id, record.lookup.as_deref(), &record.body)?;
        let tail = Tail::new(Event::Record, record.kind, at);
        let key = record_key(record.kind, &record.id);
        let mut row = RecordRow { record, at, key, withdraws: false, under, beside, tail, body, digest: [0; 32] };
        row.digest = row_digest(&RECORD, row.values(at));
        row.tail.actor(&row.record.actor);
        row.tail.text("id", &row.record.id);
        if let Some(under) = under {
            row.tail.number("seal", under.number().into());
        }
        row.tail.hex("row", &row.digest);
        Ok(row)
    }

    /// What its leaf changes, with the time it is given.
    pub fn change(&self, replaces: u64, at: Timestamp) -> Change {
        let secret = self.record.kind == SECRET;
        Change::Recorded { key: self.key, replaces, digest: self.digest(at), under: self.under, secret }
    }

    /// Whether it is the key of the register's heads, sealed.
    pub fn is_head_key(&self) -> bool {
        self.record.kind == SEALED && self.record.id == HEAD_KEY
    }

    /// What is sealed in it.
    pub fn sealed_text(&self) -> &str {
        self.record.body.get(SEALED).and_then(serde_json::Value::as_str).unwrap_or_default()
    }

    fn digest(&self, at: Timestamp) -> [u8; 32] {
        match at == self.at {
            true => self.digest,
            false => row_digest(&RECORD, self.values(at)),
        }
    }

    /// Roughly what it adds to a transaction, bytes.
    pub fn weight(&self) -> usize {
        let beside = if let Beside::Put(bytes) = &self.beside { bytes.len() } else { 0 };
        self.body.len() + TEXT_BYTES_MAX + beside
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

timed!(RecordRow, RecordRow::digest);

/// Only what is sealed has bytes beside it, and its body says which.
fn check_beside(record: &Record, beside: &Beside) -> Result<(), StoreError> {
    let said = match record.kind {
        SEALED => Digest::of_body(&record.body)?,
        _ => None,
    };
    let fits = match beside {
        Beside::Nothing => said.is_none(),
        Beside::Put(bytes) if bytes.len() > BESIDE_BYTES_MAX => {
            return Err(StoreError::Invalid(format!("at most {BESIDE_BYTES_MAX} bytes lie beside one record")));
        }
        Beside::Put(bytes) => said == Some(Digest::of(bytes)),
        Beside::Kept => said.is_some() && record.expect.is_some_and(|version| version > 0),
    };
    match fits {
        true => Ok(()),
        false => Err(StoreError::Invalid("a sealed record says what lies beside it".into())),
    }
}
