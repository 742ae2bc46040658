//! The roll: an issuer's entries as its next CRL will list them, encoded once and linted once.
//!
//! A CRL lists the whole past of its issuer, and one is made after each revocation. So what was encoded and read by two parsers
//! stays as it is, byte for byte, and a CRL costs what is new, one copy and one hash. Memory: the entry's own bytes, 35 without
//! a reason and 49 with one.

use std::sync::Arc;

use bytes::Bytes;
use hsm::Message;
use policy::{Grant, Timestamp};
use store::{Covers, Ledger, RevokedRow};

use crate::craft::crl::draft::{CrlPlan, append, draft, is_listed, leaves_at};
use crate::craft::crl::listed::Listed;
use crate::drafting::Linted;
use crate::error::{CaError, DraftError};
use crate::issuers::Issuing;

/// An issuer's entries. A new one is empty: the first CRL made with it encodes and lints all.
#[derive(Default)]
pub(crate) struct Roll {
    /// What a lint has passed, and nothing else.
    listed: Arc<Listed>,
    /// Of the issuer's revocations so many, in the order of the log, are on it or need not be.
    told: usize,
    begun: Option<Timestamp>,
    /// When the first entry may leave.
    leaves: Option<Timestamp>,
}

/// A CRL that may be signed, and the very bytes.
pub(crate) struct Drafted {
    pub(crate) linted: Linted,
    pub(crate) tbs: Bytes,
}

/// What came since.
#[derive(Default)]
struct News {
    listed: Listed,
    leaves: Option<Timestamp>,
}

impl Roll {
    /// Drafts the next CRL and lints it. Works through what is new, and copies the rest: call it off the async threads.
    pub(crate) fn draft(
        &mut self,
        grant: Grant,
        issuer: &Arc<Issuing>,
        number: u64,
        ledger: &Ledger,
        now: Timestamp,
    ) -> Result<Drafted, CaError> {
        self.sweep(now);
        let (news, told, covers) = self.news(issuer, ledger, now)?;
        let plan = CrlPlan { issuer, number, before: &self.listed, added: &news.listed, covers, now };
        let draft = draft(grant, &plan)?;
        let tbs = match &draft.entry.message {
            Message::Whole(bytes) => Bytes::from_owner(Arc::clone(bytes)),
            Message::Sha256(_) => return Err(CaError::Internal("a CRL is signed whole".to_owned())),
        };
        let linted = draft.lint()?;
        // Only what was linted comes onto the roll, whatever becomes of this CRL. The lint let go of it, so nothing is copied.
        let listed = Arc::make_mut(&mut self.listed);
        listed.entries.extend_from_slice(&news.listed.entries);
        listed.count += news.listed.count;
        self.told = told;
        self.leaves = [self.leaves, news.leaves].into_iter().flatten().min();
        self.begun = self.begun.or(Some(now));
        Ok(Drafted { linted, tbs })
    }

    /// Begins anew where entries may leave, once a day: what stays a day longer harms nobody.
    fn sweep(&mut self, now: Timestamp) {
        let may_leave = self.leaves.is_some_and(|leaves| now > leaves);
        if may_leave && self.begun.is_none_or(|begun| now.since(begun) >= SWEEP_SECS) {
            *self = Roll::default();
        }
    }

    /// Encodes what was revoked since, some at a time: the fold is not held for long.
    fn news(&self, issuer: &Issuing, ledger: &Ledger, now: Timestamp) -> Result<(News, usize, Covers), CaError> {
        let (mut news, mut told) = (News::default(), self.told);
        loop {
            let some = ledger.revocations_in(&issuer.label, told..told.saturating_add(ROWS));
            news.add(issuer, &some.rows, now).map_err(DraftError::from)?;
            told += some.rows.len();
            if told as u64 >= some.covers.revocations() {
                return Ok((news, told, some.covers));
            }
            if some.rows.is_empty() {
                return Err(CaError::Internal(format!("revocations of `{}` are missing in the fold", issuer.label)));
            }
        }
    }
}

impl News {
    fn add(&mut self, issuer: &Issuing, rows: &[RevokedRow], now: Timestamp) -> Result<(), der::Error> {
        for row in rows.iter().filter(|row| is_listed(row)) {
            let leaves = leaves_at(issuer, row);
            if leaves.is_none_or(|leaves| now <= leaves) {
                append(&mut self.listed.entries, row)?;
                self.listed.count += 1;
                self.leaves = [self.leaves, leaves].into_iter().flatten().min();
            }
        }
        Ok(())
    }
}

/// A day between two sweeps.
const SWEEP_SECS: i64 = 86_400;
/// Revocations taken from the fold at once: about a millisecond.
const ROWS: usize = 4_096;
