//! What the writer is asked for.

use std::sync::Arc;

use policy::Timestamp;

use super::access::AccessRow;
use super::bounds::{TEXT_BYTES_MAX, bounded_tail, check_actor, check_label, clipped};
use super::conclusion::ConclusionRow;
use super::import::ImportRow;
use super::intent::IntentRow;
use super::record::RecordRow;
use super::revocation::RevocationRow;
use crate::forms::leaf::{Event, Tail};
use crate::nouns::entry::{GrantStamp, RefusalEntry};
use crate::nouns::error::StoreError;

/// What the writer is asked for.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    Intend(Arc<IntentRow>),
    Conclude(Arc<ConclusionRow>),
    /// When it was refused, and its leaf.
    Refuse(Timestamp, Arc<Tail>),
    /// What somebody is about to be shown.
    Access(Arc<AccessRow>),
    Revoke(Arc<RevocationRow>),
    /// Certificates that another program signed, each with its end: all or none.
    Import(Arc<Vec<ImportRow>>),
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
            Op::Access(row) => Some(row.at),
            Op::Revoke(row) => Some(row.at),
            Op::Import(rows) => rows.first().map(|row| row.intent.at),
            Op::Record(rows) => rows.first().map(|row| row.at),
            Op::Checkpoint(..) => None,
        }
    }

    /// Roughly what it adds to a transaction, bytes.
    pub fn weight(&self) -> usize {
        match self {
            Op::Intend(row) => row.weight(),
            Op::Record(rows) => rows.iter().map(|row| row.weight()).sum(),
            Op::Import(rows) => rows.iter().map(|row| row.intent.weight() + TEXT_BYTES_MAX).sum(),
            Op::Access(row) => row.tail.len() + TEXT_BYTES_MAX,
            Op::Conclude(_) | Op::Refuse(..) | Op::Revoke(_) | Op::Checkpoint(..) => TEXT_BYTES_MAX,
        }
    }
}

/// A refusal's leaf. It has no row: what is refused changes nothing.
pub(crate) fn refusal_tail(refusal: &RefusalEntry, at: Timestamp) -> Result<Tail, StoreError> {
    check_actor(&refusal.actor)?;
    check_label("action", &refusal.action)?;
    let mut tail = Tail::new(Event::Refuse, "refusal", at);
    tail.actor(&refusal.actor);
    tail.grant(&GrantStamp {
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
