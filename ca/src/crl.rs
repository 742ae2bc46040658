//! CRLs: full ones, one series per issuer, made by one desk per issuer.
//!
//! A desk is a task that takes requests to publish and makes one CRL for all that wait. It makes a few at once and then one
//! a second, so that ten revocations a millisecond do not make ten CRLs. Every CRL is an entry of the ledger like any other signature; the newest
//! one in the register is what is served. The TBSCertList is put together here and not by a library's builder: those copy the
//! wrong key identifier or write an empty list where RFC 5280 wants none.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use const_oid::db::rfc5280;
use der::Encode;
use der::asn1::UintRef;
use hsm::Message;
use policy::{Action, Actor, Grant, Resource, ResourceKind, Timestamp};
use serde_json::json;
use store::{Credential, Kind, RevokedRow};
use tokio::sync::{mpsc, oneshot};
use x509_cert::ext::Extension;

use crate::Authority;
use crate::authority::Inner;
use crate::draft::{Draft, DraftError, Expect, Facts, ProfileStamp, validity};
use crate::error::CaError;
use crate::issuer::{Issuing, authority_key_identifier};
use crate::subject_key::sha256;
use crate::x509::{CrlParts, RevokedEntry, extension};

impl Authority {
    /// The newest CRL of an issuer, DER.
    pub async fn crl(&self, issuer: &str) -> Result<Vec<u8>, CaError> {
        let missing = || CaError::NotFound(format!("CRL of `{issuer}`"));
        self.issuing(issuer).map_err(|_| missing())?;
        let newest = self.ledger().latest(Kind::Crl, issuer).await?.ok_or_else(missing)?;
        newest.x509_der().ok_or_else(missing)
    }

    /// Publishes every CRL that is due: a revocation it lacks, or a day of age.
    pub async fn refresh_crls(&self) -> Result<(), CaError> {
        let mut first_failure = Ok(());
        for desk in self.inner.desks.values() {
            // One issuer's trouble keeps no other's CRL back.
            first_failure = first_failure.and(desk.publish().await);
        }
        first_failure
    }

    /// Publishes after a revocation, which is durable already: a failure here is an alarm, not the caller's.
    pub(crate) async fn publish_after_revocation(&self, issuer: &str) {
        let Some(desk) = self.inner.desks.get(issuer) else { return };
        if desk.rested() {
            if let Err(e) = desk.publish().await {
                tracing::error!(issuer, error = %e, "the CRL after a revocation is not published yet");
            }
        } else {
            desk.nudge();
        }
    }
}

/// The way to one issuer's desk.
pub(crate) struct Desk {
    requests: mpsc::Sender<Option<oneshot::Sender<Result<(), CaError>>>>,
    shared: Arc<Shared>,
}

/// What a desk and those who ask it both see.
struct Shared {
    started: Instant,
    /// Milliseconds after `started` up to which the desk has worked ahead: each CRL adds [`PACE_MS`].
    ahead_until_ms: AtomicU64,
}

impl Desk {
    /// Opens a desk for each issuer. The tasks end with the last handle on the authority.
    pub(crate) fn open(labels: impl Iterator<Item = String>) -> (BTreeMap<String, Desk>, Vec<Clerk>) {
        let mut desks = BTreeMap::new();
        let mut clerks = Vec::new();
        for label in labels {
            let (requests, inbox) = mpsc::channel(DESK_QUEUE);
            let shared = Arc::new(Shared { started: Instant::now(), ahead_until_ms: AtomicU64::new(0) });
            clerks.push(Clerk { label: label.clone(), inbox, shared: shared.clone(), last_number: 0 });
            desks.insert(label, Desk { requests, shared });
        }
        (desks, clerks)
    }

    /// Whether a request would be served at once.
    fn rested(&self) -> bool {
        self.shared.rest_ms() == 0
    }

    /// Has the CRL made if it is due, and waits for it.
    async fn publish(&self) -> Result<(), CaError> {
        let (answer, answered) = oneshot::channel();
        let closed = || CaError::unavailable(CLOSED_RETRY_SECS, "the CRL desk is closed");
        self.requests.send(Some(answer)).await.map_err(|_| closed())?;
        answered.await.map_err(|_| closed())?
    }

    /// Has the CRL made soon. A full queue means that it will be made anyway.
    fn nudge(&self) {
        let _ = self.requests.try_send(None);
    }
}

impl Shared {
    fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// How long the desk has to rest before its next CRL.
    fn rest_ms(&self) -> u64 {
        self.ahead_until_ms.load(Ordering::Relaxed).saturating_sub(self.elapsed_ms().saturating_add(AHEAD_MS))
    }

    fn made_one(&self) {
        let from = self.ahead_until_ms.load(Ordering::Relaxed).max(self.elapsed_ms());
        self.ahead_until_ms.store(from + PACE_MS, Ordering::Relaxed);
    }
}

/// The one who makes an issuer's CRLs.
pub(crate) struct Clerk {
    label: String,
    inbox: mpsc::Receiver<Option<oneshot::Sender<Result<(), CaError>>>>,
    shared: Arc<Shared>,
    /// The highest number used by this process: a number is used up even by a CRL that was not signed.
    last_number: u64,
}

impl Clerk {
    /// Serves until nobody can ask any more. Holds the authority only while there is work.
    pub(crate) async fn serve(mut self, authority: std::sync::Weak<Inner>) {
        while let Some(first) = self.inbox.recv().await {
            let mut waiting: Vec<_> = first.into_iter().collect();
            while let Ok(more) = self.inbox.try_recv() {
                waiting.extend(more);
            }
            let Some(inner) = authority.upgrade() else { return };
            let made = self.publish(&Authority { inner }).await;
            if let Err(e) = &made {
                tracing::error!(issuer = %self.label, error = %e, "no CRL was published");
            }
            if matches!(made, Ok(true)) {
                self.shared.made_one();
            }
            for answer in waiting {
                let _ = answer.send(repeat(&made));
            }
            tokio::time::sleep(Duration::from_millis(self.shared.rest_ms())).await;
        }
    }

    /// Makes a CRL if one is due; `true` if one was made.
    async fn publish(&mut self, authority: &Authority) -> Result<bool, CaError> {
        let issuer = authority.issuing(&self.label)?;
        let now = authority.inner.clock.of_crl(&issuer)?;
        let revoked = authority.ledger().revoked(&self.label).await?;
        let newest = authority.ledger().latest(Kind::Crl, &self.label).await?;
        if newest.as_ref().is_some_and(|crl| !due(crl, revoked.len(), now)) {
            return Ok(false);
        }
        let newest_number = newest.as_ref().map_or(0, number_of);
        for _ in 0..NUMBERS_MAX {
            let number = newest_number.max(self.last_number) + 1;
            self.last_number = number;
            let draft = draft(grant(authority)?, &issuer, number, &revoked, now)?;
            match authority.issue(draft.lint()?).await {
                Ok(_) => return Ok(true),
                // The number was used up, by another node or by a CRL that was never signed.
                Err(CaError::Conflict(_)) => continue,
                Err(e) => return Err(e),
            }
        }
        Err(CaError::Conflict(format!("no free CRL number for `{}` in {NUMBERS_MAX} tries", self.label)))
    }
}

fn grant(authority: &Authority) -> Result<Grant, CaError> {
    Ok(authority.policies().decide(
        &Actor::system("crl"),
        Action::ManageAuthority,
        &Resource::plain(ResourceKind::Authority),
    )?)
}

fn due(newest: &Credential, revocations: usize, now: Timestamp) -> bool {
    let told = newest.details.get("revocations").and_then(|n| n.as_u64());
    let age = newest.validity.map_or(i64::MAX, |v| now.since(v.not_before()));
    told != u64::try_from(revocations).ok() || age >= AGE_MAX_SECS
}

fn number_of(crl: &Credential) -> u64 {
    crl.serial.last_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

fn draft(
    grant: Grant,
    issuer: &Arc<Issuing>,
    number: u64,
    revoked: &[RevokedRow],
    now: Timestamp,
) -> Result<Draft, DraftError> {
    let validity = validity(now, VALIDITY_SECS, Some(issuer.validity))?;
    let entries = revoked.iter().filter(|row| listed(row, now)).map(entry).collect::<Result<Vec<_>, _>>()?;
    let parts = CrlParts {
        algorithm: issuer.key.algorithm(),
        issuer: issuer.subject.as_der(),
        validity,
        revoked: entries,
        extensions: extensions(issuer, number)?,
    };
    let facts = Facts {
        kind: Kind::Crl,
        profile: ProfileStamp { name: "crl".to_owned(), hash: sha256(b"crl v1: full, CRLNumber, AKI, seven days") },
        key: issuer.key.clone(),
        message: Message::from(parts.encode()?),
        serial: number.to_be_bytes().to_vec(),
        issuer: issuer.label.clone(),
        owner: None,
        subject: format!("CRL {number} of {}", issuer.subject),
        names: Vec::new(),
        key_hash: issuer.key.fingerprint(),
        validity: Some(validity),
        details: json!({ "listed": parts.revoked.len(), "number": number, "revocations": revoked.len() }),
    };
    let expect = Expect::Crl { issuer: issuer.clone(), number, revoked: parts.revoked.len(), now };
    Ok(Draft::new(grant, facts, expect))
}

/// RFC 5280 section 3.3: "An entry MUST NOT be removed from the CRL until it appears on one regularly scheduled CRL issued
/// beyond the revoked certificate's validity period." Twice the lifetime of a CRL is that and some.
fn listed(row: &RevokedRow, now: Timestamp) -> bool {
    match row.kind {
        Kind::Certificate | Kind::CaCertificate => row.not_after.is_none_or(|end| now.since(end) <= 2 * VALIDITY_SECS),
        Kind::SshUser | Kind::SshHost | Kind::CodeSignature | Kind::Crl => false,
    }
}

fn entry(row: &RevokedRow) -> Result<RevokedEntry, der::Error> {
    // Section 5.3.1: "the reason code CRL entry extension SHOULD be absent instead of using the unspecified (0) reasonCode value."
    let reason = match row.reason {
        0 => None,
        // ENUMERATED of one octet.
        code => Some(vec![extension(rfc5280::ID_CE_CRL_REASONS, false, &[0x0a, 0x01, code])?]),
    };
    Ok(RevokedEntry { serial: row.serial.clone(), at: row.revoked_at, extensions: reason })
}

fn extensions(issuer: &Issuing, number: u64) -> Result<Vec<Extension>, der::Error> {
    let number = UintRef::new(&number.to_be_bytes())?.to_der()?;
    Ok(vec![
        // The issuer's subjectKeyIdentifier, not a hash of our own: they differ for imported CAs.
        authority_key_identifier(&issuer.key_identifier)?,
        extension(rfc5280::ID_CE_CRL_NUMBER, false, &number)?,
    ])
}

/// The same answer for everyone who waited. Errors hold foreign causes, so the copies are of the kinds a caller acts on.
fn repeat(made: &Result<bool, CaError>) -> Result<(), CaError> {
    match made {
        Ok(_) => Ok(()),
        Err(CaError::Unavailable { retry_after_secs, why }) => {
            Err(CaError::unavailable(*retry_after_secs, why.clone()))
        }
        Err(CaError::Unknown { operation, why }) => Err(CaError::Unknown { operation: *operation, why: why.clone() }),
        Err(CaError::Conflict(why)) => Err(CaError::Conflict(why.clone())),
        Err(other) => Err(CaError::Internal(other.to_string())),
    }
}

/// How long a CRL holds. A week bridges a long weekend without a token.
const VALIDITY_SECS: i64 = 7 * 86_400;
/// A CRL is replaced at this age, long before its end.
const AGE_MAX_SECS: i64 = 86_400;
/// In the long run a desk makes one CRL in this time; many revocations share it.
const PACE_MS: u64 = 1000;
/// So far ahead of its pace it may get: a person who revokes a few certificates waits for none of this.
const AHEAD_MS: u64 = 4000;
/// Requests that may wait at a desk: each is answered by the next CRL, so this bounds callers and not work.
const DESK_QUEUE: usize = 1024;
/// Numbers tried before giving up: more than nodes that could be publishing at once.
const NUMBERS_MAX: usize = 8;
const CLOSED_RETRY_SECS: u32 = 5;
