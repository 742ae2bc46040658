//! What goes through the queue, and what comes back.

use policy::Timestamp;
use tokio::sync::oneshot;

use crate::nouns::error::StoreError;
use crate::rows::Op;

/// Callers beyond this are told to come back: a queue never gets longer, only fuller.
pub(super) const QUEUE: usize = 4_096;

/// What a caller gets.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Reply {
    /// The index of the operation's leaf, and the time it was given.
    Leaf(u64, Timestamp),
    /// The new versions of records.
    Versions(Vec<u64>),
    /// The checkpoint that stands.
    Note(String),
}

pub(super) type Answer = oneshot::Sender<Result<Reply, StoreError>>;

pub(super) enum Message {
    Write(Op, Answer),
    /// Would it be written?
    Probe(oneshot::Sender<Result<(), StoreError>>),
    Stop,
}

/// One operation of a batch.
pub(super) struct Item {
    pub op: Op,
    /// None: a parked conclusion, whose caller was answered already.
    pub answer: Option<Answer>,
}
