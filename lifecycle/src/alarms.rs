//! What somebody should look at.

use std::fmt;

use policy::Timestamp;
use store::{Credential, Kind, Ledger, StoreError};

use crate::watch::{Overdue, RenewalWatch};

/// One thing, in a sentence by `Display`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Alarm {
    /// Something may have been signed that nobody received (a crash, a token that never answered). It counts as issued
    /// (invariant 5).
    Unconcluded {
        /// The operation.
        operation: u64,
        /// What it was to make.
        kind: Kind,
        /// For whom.
        subject: String,
        /// Its serial in hex; empty where the kind has none.
        serial: String,
        /// Since when it is open.
        intended_at: Timestamp,
    },
    /// A certificate that the server should have renewed is past its grace.
    NotRenewed(Overdue),
}

/// What there is, and so much of it as is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alarms {
    /// The first of them.
    pub first: Vec<Alarm>,
    /// How many there are.
    pub total: u64,
}

/// The alarms at `now`: intents older than a minute without a conclusion, the oldest first, then renewals that
/// are overdue, the first to expire first. `most` are read and told; the others are counted.
pub async fn alarms(
    ledger: &Ledger,
    now: Timestamp,
    renewals: &RenewalWatch,
    most: usize,
) -> Result<Alarms, StoreError> {
    let older_than = now.plus_secs(-CONCLUDED_WITHIN_SECS);
    let (open, overdue) = (ledger.unconcluded(older_than, most).await?, missed(ledger, renewals.overdue()).await?);
    let total = ledger.unconcluded_total(older_than) + overdue.len() as u64;
    let first = open.iter().map(Alarm::unconcluded).chain(overdue.into_iter().map(Alarm::NotRenewed)).take(most);
    Ok(Alarms { first: first.collect(), total })
}

/// Those that nothing else took the place of: a certificate of the same names with another key is as good as a renewal.
async fn missed(ledger: &Ledger, overdue: Vec<Overdue>) -> Result<Vec<Overdue>, StoreError> {
    if overdue.is_empty() {
        return Ok(overdue);
    }
    let kin = ledger.kin(overdue.iter().map(|one| one.operation).collect()).await?;
    Ok(overdue.into_iter().filter(|one| kin.get(&one.operation).is_none_or(|kin| !kin.replaced)).collect())
}

impl Alarm {
    fn unconcluded(credential: &Credential) -> Alarm {
        Alarm::Unconcluded {
            operation: credential.operation,
            kind: credential.kind,
            subject: credential.subject.clone(),
            serial: credential.serial_hex(),
            intended_at: credential.intended_at,
        }
    }
}

impl fmt::Display for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Alarm::Unconcluded { operation, kind, subject, serial, intended_at } => write!(
                f,
                "Operation {operation} ({kind} for {subject}, serial {serial}) was intended at {intended_at} and has no \
                 conclusion. It counts as issued: revoke it if nobody has it."
            ),
            Alarm::NotRenewed(Overdue { operation: _, serial, subject, not_after, why }) => {
                write!(f, "Certificate {serial} ({subject}) expires at {not_after} and is not renewed: {why}.")
            }
        }
    }
}

/// An intent is given this long: longer than any deadline of the token's pool, shorter than anybody waits.
const CONCLUDED_WITHIN_SECS: i64 = 60;
