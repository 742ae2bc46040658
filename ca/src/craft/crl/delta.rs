//! A delta CRL: what was said since a complete one, the last word of each certificate.
//!
//! RFC 5280 section 5.2.4: "The CRL issuer MUST include an entry in the delta CRL for each certificate within the scope of the delta
//! CRL whose status has changed since the generation of the referenced base CRL". What is revoked, or revoked for another reason, is
//! listed as a complete CRL would list it; what was released from hold as removeFromCRL, also where it was both held and released
//! since: a delta between may have told of the hold. What has ended stays as long as on a complete CRL.
//!
//! It is as large as what came since, so it is encoded and linted whole each time.

use std::collections::BTreeMap;
use std::sync::Arc;

use policy::Grant;
use store::{Covers, Ledger, RevokedRow};

use crate::craft::crl::draft::{CrlPlan, append, begins, draft, is_x509, leaves_at, told_date};
use crate::craft::crl::listed::Listed;
use crate::craft::crl::roll::{Drafted, Moment, ROWS, number_after};
use crate::error::{CaError, DraftError};
use crate::issuers::{Issuing, Scope, Since};

/// On what a delta rests.
#[derive(Clone, Copy)]
pub(crate) struct Changes {
    pub(crate) since: Since,
    /// So many revocations its base covers.
    pub(crate) told: u64,
}

/// Drafts a delta CRL and lints it. Works through what is new: call it off the async threads.
pub(crate) fn changes(
    grant: Grant,
    (issuer, scope): (&Arc<Issuing>, Scope),
    ledger: &Ledger,
    (at, from): (Moment, Changes),
) -> Result<Drafted, CaError> {
    let (words, covers) = words(&scope.series(&issuer.label), ledger, from.told)?;
    let (mut added, mut newest) = (Listed::default(), None);
    for row in words.values().filter(|row| is_x509(row)) {
        if leaves_at(issuer, row).is_none_or(|leaves| at.time.now <= leaves) {
            let date = told_date(issuer, row, at.time).map_err(CaError::from)?;
            append(&mut added.entries, row, date).map_err(DraftError::from)?;
            added.count += 1;
            newest = newest.max(Some(row.revoked_at).filter(|revoked| at.time.may_be_right(*revoked)));
        }
    }
    let begins = begins(issuer, at.time.now, newest, at.before).map_err(CaError::from)?;
    let number = number_after(at.last_number, begins);
    let plan = CrlPlan {
        issuer,
        shard: scope.shard,
        since: Some(from.since),
        number,
        before: &Arc::default(),
        added: &added,
        covers,
        now: at.time.now,
        begins,
    };
    Drafted::linted(draft(grant, &plan)?, number)
}

/// What was said since so many revocations, each certificate once, and what is covered with it. What is said of one that was read
/// already comes behind it, and is read then.
fn words(series: &str, ledger: &Ledger, told: u64) -> Result<(BTreeMap<u64, RevokedRow>, Covers), CaError> {
    let mut told = usize::try_from(told).unwrap_or(usize::MAX);
    let mut words = BTreeMap::new();
    loop {
        let some = ledger.revocations_in(series, told..told.saturating_add(ROWS));
        told += some.rows.len();
        let is_last = told as u64 >= some.covers.revocations();
        if some.rows.is_empty() && !is_last {
            return Err(CaError::Internal(format!("revocations of `{series}` are missing in the fold")));
        }
        words.extend(some.rows.into_iter().map(|row| (row.operation, row)));
        if is_last {
            return Ok((words, some.covers));
        }
    }
}
