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
        /// Of a CA's certificate: the generation that it was to be of.
        generation: Option<String>,
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
    let total = ledger.unconcluded_total(older_than);
    let mut open = ledger.unconcluded(older_than, most + PASSED_MAX).await?;
    let read = open.len();
    open.retain(|credential| !has_passed(ledger, credential, now));
    let overdue = missed(ledger, renewals.overdue()).await?;
    let total = total.saturating_sub((read - open.len()) as u64) + overdue.len() as u64;
    let first = open.iter().map(Alarm::unconcluded).chain(overdue.into_iter().map(Alarm::NotRenewed)).take(most);
    Ok(Alarms { first: first.collect(), total })
}

/// Whether what may have been signed says nothing any more that anybody could be harmed by: it stays in the log, and is no alarm.
fn has_passed(ledger: &Ledger, credential: &Credential, now: Timestamp) -> bool {
    let has_ended = credential.validity.is_some_and(|validity| validity.not_after() < now);
    match credential.kind {
        // A newer one of its series was published, which tells of all that it told.
        Kind::Crl => {
            ledger.newest_crl_operation(&credential.issuer).is_some_and(|newest| newest > credential.operation)
        }
        Kind::OcspBatch => has_ended || now.since(credential.intended_at) > TOLD_SECS,
        // A proof that a key is ours, by which nobody gets anything.
        Kind::CaRequest => now.since(credential.intended_at) > TOLD_SECS,
        Kind::Certificate | Kind::CaCertificate | Kind::SshUser | Kind::SshHost | Kind::CodeSignature => false,
    }
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
            generation: credential.details.get("generation").and_then(|name| name.as_str()).map(str::to_owned),
            intended_at: credential.intended_at,
        }
    }
}

impl fmt::Display for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Alarm::Unconcluded { operation, kind, subject, serial, generation, intended_at } => {
                write!(
                    f,
                    "Operation {operation} ({kind} for {subject}, serial {serial}) was begun at {intended_at} and never concluded: the \
                     service ended, or the token or the register did not answer. It may be signed, counts as issued, and nobody was given \
                     it. "
                )?;
                match kind {
                    Kind::Certificate | Kind::SshUser | Kind::SshHost => write!(
                        f,
                        "Whoever asked for it has asked again: `chancery certs revoke {serial} --reason superseded` ends this one."
                    ),
                    Kind::CaCertificate => {
                        let generation = generation.as_deref().unwrap_or("NAME/N");
                        write!(
                            f,
                            "The certificate in use is the one that `chancery ca show {generation}` has; unless it is this one, `chancery \
                             certs revoke {serial} --ca --reason superseded` ends this one alone."
                        )
                    }
                    Kind::Crl => f.write_str("Nothing is to be done: the next CRL takes its place, within a day."),
                    Kind::OcspBatch => f.write_str("Nothing is to be done: its responses end by themselves."),
                    Kind::CaRequest => f.write_str("Nothing is to be done: a request is asked for again where it is needed."),
                    Kind::CodeSignature => f.write_str(
                        "Sign the file again; where a signature over it must not exist, revoke the certificate of the key.",
                    ),
                }
            }
            Alarm::NotRenewed(Overdue { operation: _, serial, subject, not_after, why }) => {
                write!(f, "Certificate {serial} ({subject}) expires at {not_after} and is not renewed: {why}.")
            }
        }
    }
}

/// So long what harms nobody is told.
const TOLD_SECS: i64 = 86_400;
/// Intents that are looked at beyond those that are told: each kill leaves one at most.
const PASSED_MAX: usize = 256;
/// An intent is given this long: longer than any deadline of the token's pool, shorter than anybody waits.
const CONCLUDED_WITHIN_SECS: i64 = 60;
