//! The roll: an issuer's entries as its next CRL will list them, encoded once and linted once.
//!
//! A CRL lists the whole past of its issuer, and one is made after each revocation. So what was encoded and read by two parsers
//! stays as it is, byte for byte, and a CRL costs what is new, one copy and one hash. Memory: the entry's own bytes, 35 without
//! a reason and 49 with one.

use std::sync::Arc;

use bytes::Bytes;
use hsm::Message;
use policy::{Grant, Timestamp};
use store::{Covers, Ledger, RevokedRow, Shard};

use crate::checks::CrlTime;
use crate::craft::crl::draft::{CrlPlan, append, begins, draft, is_listed, leaves_at, told_date};
use crate::craft::crl::lint::Crl;
use crate::craft::crl::listed::Listed;
use crate::drafting::{Draft, Linted};
use crate::error::{CaError, DraftError};
use crate::issuers::{Issuing, Scope};

/// An issuer's entries. A new one is empty: the first CRL made with it encodes and lints all.
#[derive(Default)]
pub(crate) struct Roll {
    /// What a lint has passed, and nothing else.
    listed: Arc<Listed>,
    /// Of the issuer's revocations so many, in the order of the log, are on it or need not be.
    told: usize,
    begun: Option<Timestamp>,
    /// When it was added to last.
    added: Option<Timestamp>,
    /// When the first entry may leave.
    leaves: Option<Timestamp>,
    /// The newest revocation on it, of those whose time may be right.
    newest: Option<Timestamp>,
    /// The first date on it that is yet to come, and is not told therefore.
    comes: Option<Timestamp>,
}

/// A CRL that may be signed, and the very bytes.
pub(crate) struct Drafted {
    pub(crate) linted: Linted,
    pub(crate) tbs: Bytes,
    pub(crate) number: u64,
}

impl Drafted {
    /// Of a draft that passes its lint.
    pub(super) fn linted(draft: Draft<Crl>, number: u64) -> Result<Drafted, CaError> {
        let tbs = match &draft.entry.message {
            Message::Whole(bytes) => Bytes::from_owner(Arc::clone(bytes)),
            Message::Sha256(_) | Message::Batch(_) => {
                return Err(CaError::Internal("a CRL is signed whole".to_owned()));
            }
        };
        Ok(Drafted { linted: draft.lint()?, tbs, number })
    }
}

/// What came since.
#[derive(Default)]
struct News {
    listed: Listed,
    leaves: Option<Timestamp>,
    newest: Option<Timestamp>,
    comes: Option<Timestamp>,
}

/// When a CRL is made, and after which.
#[derive(Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) time: CrlTime,
    /// When the one before it begins, where that may be right.
    pub(crate) before: Option<Timestamp>,
    /// The greatest number that was used.
    pub(crate) last_number: u64,
}

impl Roll {
    /// Drafts the next CRL and lints it. Works through what is new, and copies the rest: call it off the async threads.
    pub(crate) fn draft(
        &mut self,
        grant: Grant,
        (issuer, shard): (&Arc<Issuing>, Option<Shard>),
        ledger: &Ledger,
        at: Moment,
    ) -> Result<Drafted, CaError> {
        let now = at.time.now;
        self.sweep(at.time);
        let (news, told, covers) = self.news((issuer, shard), ledger, at.time)?;
        let newest = self.newest.max(news.newest);
        let begins = begins(issuer, now, newest, at.before).map_err(CaError::from)?;
        let number = number_after(at.last_number, begins);
        let plan = CrlPlan {
            issuer,
            shard,
            since: None,
            number,
            before: &self.listed,
            added: &news.listed,
            covers,
            now,
            begins,
        };
        let draft = draft(grant, &plan)?;
        let drafted = Drafted::linted(draft, number)?;
        // Only what was linted comes onto the roll, whatever becomes of this CRL. The lint let go of it, so nothing is copied.
        let listed = Arc::make_mut(&mut self.listed);
        listed.entries.extend_from_slice(&news.listed.entries);
        listed.count += news.listed.count;
        self.told = told;
        self.leaves = [self.leaves, news.leaves].into_iter().flatten().min();
        self.newest = newest;
        self.comes = [self.comes, news.comes].into_iter().flatten().min();
        self.begun = self.begun.or(Some(now));
        self.added = Some(now);
        Ok(drafted)
    }

    /// Begins anew where entries may leave, once a day: what stays a day longer harms nobody. And where it was added to by a clock that was
    /// ahead: what has not ended by the right one may be missing.
    fn sweep(&mut self, time: CrlTime) {
        let may_leave = self.leaves.is_some_and(|leaves| time.now > leaves);
        let is_old = may_leave && self.begun.is_none_or(|begun| time.is_due(begun, SWEEP_SECS));
        let was_ahead = [self.added, self.newest].into_iter().flatten().any(|at| !time.may_be_right(at));
        // And where a date has come that was not told.
        let has_come = self.comes.is_some_and(|comes| time.may_be_right(comes));
        if is_old || was_ahead || has_come {
            *self = Roll::default();
        }
    }

    /// Encodes what was revoked since, some at a time: the fold is not held for long. Where something else is said of what is
    /// encoded already - its reason was raised, it was released -, all begins anew.
    fn news(
        &mut self,
        (issuer, shard): (&Issuing, Option<Shard>),
        ledger: &Ledger,
        time: CrlTime,
    ) -> Result<(News, usize, Covers), CaError> {
        let series = Scope { shard, is_delta: false }.series(&issuer.label);
        let (mut news, mut told) = (News::default(), self.told);
        // So many were known when the first was read here: their reasons are what these raise them to.
        let mut known = if told == 0 { ledger.revocations_in(&series, 0..0).covers.revocations() } else { 0 };
        loop {
            let some = ledger.revocations_in(&series, told..told.saturating_add(ROWS));
            let raised = some.rows.iter().zip(told as u64..).any(|(row, place)| row.changes && place >= known);
            if raised {
                *self = Roll::default();
                known = some.covers.revocations();
                (news, told) = (News::default(), 0);
                continue;
            }
            news.add(issuer, &some.rows, time)?;
            told += some.rows.len();
            if told as u64 >= some.covers.revocations() {
                return Ok((news, told, some.covers));
            }
            if some.rows.is_empty() {
                return Err(CaError::Internal(format!("revocations of `{series}` are missing in the fold")));
            }
        }
    }
}

impl News {
    fn add(&mut self, issuer: &Issuing, rows: &[RevokedRow], time: CrlTime) -> Result<(), DraftError> {
        for row in rows.iter().filter(|row| is_listed(row)) {
            let leaves = leaves_at(issuer, row);
            if leaves.is_none_or(|leaves| time.now <= leaves) {
                let is_right = time.may_be_right(row.revoked_at);
                append(&mut self.listed.entries, row, told_date(issuer, row, time)?)?;
                self.listed.count += 1;
                self.leaves = [self.leaves, leaves].into_iter().flatten().min();
                self.newest = self.newest.max(Some(row.revoked_at).filter(|_| is_right));
                let comes = Some(row.revoked_at).filter(|_| !is_right);
                self.comes = [self.comes, comes].into_iter().flatten().min();
            }
        }
        Ok(())
    }
}

/// The next CRL number: above the last, and not below its own second, so that a register that is put back does not give a number
/// a second time to another CRL (RFC 5280 section 5.2.3; docs/decisions/008).
pub(super) fn number_after(last: u64, this_update: Timestamp) -> u64 {
    last.saturating_add(1).max(u64::try_from(this_update.unix()).unwrap_or(0))
}

/// A day between two sweeps.
const SWEEP_SECS: i64 = 86_400;
/// Revocations taken from the fold at once: about a millisecond.
pub(super) const ROWS: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_comes_once_although_the_register_is_put_back() {
        let at = Timestamp::from_unix;
        assert_eq!(number_after(0, at(1_790_000_000)), 1_790_000_000);
        assert_eq!(number_after(1_790_000_000, at(1_790_000_000)), 1_790_000_001, "two of one second");
        // The newest of a register that lost a day: the lost numbers lie between.
        assert_eq!(number_after(1_790_000_000, at(1_790_086_400)), 1_790_086_400);
        assert_eq!(number_after(7, at(-1)), 8);
    }
}
