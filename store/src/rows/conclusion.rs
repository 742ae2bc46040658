//! What came of it.

use policy::Timestamp;

use super::bounds::clipped;
use super::timed::{Timed, timed};
use crate::forms::leaf::{Event, Tail};
use crate::forms::row::row_digest;
use crate::forms::schema::CONCLUSION;
use crate::sql::Value;
use crate::truth::Change;

/// What came of an operation: the signature, or of a batch the root over its signatures.
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
    /// `signed`: of a batch, how many signatures were made.
    pub fn new(
        (op, kind, serial): (u64, &str, &[u8]),
        outcome: Outcome,
        signed: Option<u64>,
        at: Timestamp,
    ) -> ConclusionRow {
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
        if let Some(signed) = signed {
            row.tail.number("signed", signed);
        }
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

timed!(ConclusionRow, |row: &ConclusionRow, at| row_digest(&CONCLUSION, row.values(at)));
