//! The registrar's page: how every signature of Chancery comes to be.
//!
//! Straight down, three steps, and after each what a crash at that point means. Every kind of credential walks it; there
//! is no other place where the token is asked to sign. It runs in a task of its own, so that a caller who hangs up
//! changes nothing.
//!
//! It takes a [`Checked`]: linted bytes, whose issuer is usable, whose key is not compromised, at a time that is believed.
//!
//! Trusted for: the order of these steps. Whoever changed it could sign unrecorded; the types of `hsm` and `store` do not
//! let them sign without an intent.

use std::future::Future;

use hsm::{Health, Intent, NotSigned, Pool, SignError, Signature};
use store::{Entry, Issued, Ledger, StoreError};

use crate::checks::Checked;
use crate::error::{CaError, LOCKED_RETRY_SECS};

/// The only one who asks the ledger for intents, the token for signatures and the ledger to conclude them.
#[derive(Clone)]
pub(crate) struct Registrar {
    ledger: Ledger,
    pool: Pool,
}

impl Registrar {
    pub(crate) fn new(ledger: Ledger, pool: Pool) -> Registrar {
        Registrar { ledger, pool }
    }

    /// Issues what was checked.
    pub(crate) async fn issue(&self, checked: Checked) -> Result<Issued, CaError> {
        let (ledger, pool) = (self.ledger.clone(), self.pool.clone());
        let page = tokio::spawn(async move { walk(&ledger, &pool, checked).await });
        page.await.map_err(|e| CaError::Internal(format!("the issuance task ended: {e}")))?
    }

    /// Signs a log head if it moved. The log key signs nothing but heads, each of which is its own record.
    ///
    /// By the key in force, and by those that it follows: whoever knows only an old one finds the new one below a head that the old one
    /// signed. An old key that does not sign keeps no head back.
    pub(crate) async fn checkpoint(&self, log_keys: &[hsm::Key]) -> Result<(), CaError> {
        ready(&self.pool)?;
        let Some(intents) = self.ledger.intend_checkpoint_by(log_keys).await? else { return Ok(()) };
        let mut signatures = Vec::with_capacity(intents.len());
        for intent in intents {
            let is_first = signatures.is_empty();
            match sign(&self.pool, intent).await {
                Ok(Ok(signature)) => signatures.push(signature),
                // A head that was not signed is followed by the next one; there is nothing to close.
                Ok(Err((_, answer))) | Err(answer) if is_first => return Err(answer),
                Ok(Err((_, answer))) | Err(answer) => {
                    tracing::warn!(error = %answer, "an older log key did not sign the log's head");
                }
            }
        }
        self.ledger.conclude_checkpoint_by(signatures).await.map(|_| ()).map_err(CaError::from)
    }
}

/// The steps. `register` and `token` are the ledger and the pool; tests put faults in front of them.
pub(crate) async fn walk(register: &impl Register, token: &impl Token, checked: Checked) -> Result<Issued, CaError> {
    // Step 0. A token that is known not to sign is not asked, and nothing is written: an outage must not fill the log.
    ready(token)?;

    // Step 1. Intend: the entry and its leaf are on disk when this returns, and only then does an Intent exist.
    // A crash before: nothing happened. A crash after: an intent without conclusion, which counts as issued until somebody
    // knows better; it can be revoked, and it raises an alarm.
    let intent = register.intend(checked.into_entry()).await?;

    // Step 2. Sign: the token signs once, and the signature is verified before anybody sees it.
    // A crash before or after: as above; the token may or may not have signed, and nobody received anything.
    let signature = match sign(token, intent).await? {
        Ok(signature) => signature,
        Err((not_signed, answer)) => {
            // Step 2b. Nothing was signed, by the token room's own testimony: the intent is closed as failed.
            // A crash before: an intent without conclusion, although nothing was signed. Counted too high, never too low.
            register.fail(not_signed).await?;
            return Err(answer);
        }
    };

    // Step 3. Conclude: signature and leaf are on disk when this returns, and only then is the credential released.
    // A crash before: signed, and an intent without conclusion. A crash after: issued; the requester finds it in the register.
    let operation = signature.operation();
    register.conclude(signature).await.map_err(|e| unconcluded(operation, &e))
}

/// Asks the token once. The outer error is the unknown outcome: it is never treated as "not signed" (invariant 6), so
/// the intent stays open.
async fn sign(token: &impl Token, intent: Intent) -> Result<Result<Signature, (NotSigned, CaError)>, CaError> {
    match token.sign_once(intent).await {
        Ok(signature) => Ok(Ok(signature)),
        Err(SignError::Refused(not_signed)) => {
            let answer = CaError::Internal(format!("the token refused to sign: {}", not_signed.reason()));
            Ok(Err((not_signed, answer)))
        }
        Err(SignError::Unavailable { not_signed, retry_after_secs }) => {
            let answer =
                CaError::unavailable(retry_after_secs, format!("the token did not sign: {}", not_signed.reason()));
            Ok(Err((not_signed, answer)))
        }
        Err(SignError::Unknown { operation, why }) => {
            tracing::error!(operation, %why, "the outcome of a signature is unknown; it counts as issued");
            Err(CaError::Unknown { operation, why })
        }
    }
}

fn ready(token: &impl Token) -> Result<(), CaError> {
    match token.health() {
        Health::Ready => Ok(()),
        Health::Healing { why } => {
            Err(CaError::unavailable(HEALING_RETRY_SECS, format!("the token does not answer: {why}")))
        }
        Health::Locked { why } => {
            Err(CaError::unavailable(LOCKED_RETRY_SECS, format!("the token refused its PIN: {why}")))
        }
    }
}

fn unconcluded(operation: u64, e: &StoreError) -> CaError {
    tracing::error!(operation, error = %e, "signed, but not concluded; it counts as issued");
    CaError::Unknown { operation, why: format!("signed, but the register did not confirm it: {e}") }
}

/// What the page asks of the register.
pub(crate) trait Register {
    fn intend(&self, entry: Entry) -> impl Future<Output = Result<Intent, StoreError>> + Send;
    fn conclude(&self, signature: Signature) -> impl Future<Output = Result<Issued, StoreError>> + Send;
    fn fail(&self, not_signed: NotSigned) -> impl Future<Output = Result<(), StoreError>> + Send;
}

impl Register for Ledger {
    async fn intend(&self, entry: Entry) -> Result<Intent, StoreError> {
        Ledger::intend(self, entry).await
    }

    async fn conclude(&self, signature: Signature) -> Result<Issued, StoreError> {
        Ledger::conclude(self, signature).await
    }

    async fn fail(&self, not_signed: NotSigned) -> Result<(), StoreError> {
        Ledger::fail(self, not_signed).await
    }
}

/// What the page asks of the token.
pub(crate) trait Token {
    fn sign_once(&self, intent: Intent) -> impl Future<Output = Result<Signature, SignError>> + Send;
    fn health(&self) -> Health;
}

impl Token for Pool {
    async fn sign_once(&self, intent: Intent) -> Result<Signature, SignError> {
        Pool::sign(self, intent).await
    }

    fn health(&self) -> Health {
        Pool::health(self)
    }
}

/// The token room heals within five seconds of the token's return.
const HEALING_RETRY_SECS: u32 = 5;
