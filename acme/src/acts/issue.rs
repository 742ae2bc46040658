//! Finalization: from a ready order and a CSR to a certificate (RFC 8555 section 7.4), as one page.
//!
//! 1. The CSR is read and compared: its names are the order's identifiers, no more and no fewer; its key is not the account's.
//! 2. `ready -> processing` is written, naming the CSR. Of two finalizations one wins; the same CSR again is answered with the order.
//!    *Crash here:* nothing was intended. The lease runs out, `recover` finds nothing and the order becomes invalid.
//! 3. Authorizations are read again and CAA is checked, right before issuance.
//! 4. The order is read again: whoever found its lease over has given it up, and nothing is signed for it. Then
//!    `Authority::certify`, once. While it says that nothing was signed and to come back, it is asked again for a minute; each try
//!    is a new serial and a new intent. An unknown outcome is never tried again.
//!    *Crash here:* the register has the intent; `recover` finds the certificate, or that its outcome is unknown.
//! 5. `processing -> valid` or `invalid` is written. A certificate whose order was given up meanwhile is revoked.
//!    *Crash before it:* `recover` finds the certificate by account, key, names and time.
//!
//! Steps 2 to 5 run in a task of their own: a client that hangs up changes nothing.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use ca::{CertifyRequest, Csr, Lifetime, RevocationReason};
use policy::Name;
use ring::digest;
use serde::Deserialize;
use tokio::sync::oneshot;

use super::orders;
use super::told::ca_problem;
use crate::gate::{AcmeState, ByAccount, server_actor};
use crate::limits::{CAA_TIMEOUT, CONFLICT_RETRIES, FINALIZE_RECORDS, FINALIZE_WAIT, ISSUE_PATIENCE};
use crate::objects::{
    Account, Authz, ChallengeKind, ChallengeStatus, DeskError, Finalized, Identifier, Order, OrderStatus, Stored,
};
use crate::proof::caa::{self, Applicant};
use crate::wire::{ErrorKind, Problem, base64url};

/// Shortest pause between two tries.
const RETRY_PAUSE_MIN: Duration = Duration::from_secs(1);
/// A token heals within seconds; a clock is set right by a person or by NTP.
const TOKEN_RETRY_SECS: u32 = 5;
const CLOCK_RETRY_SECS: u32 = 60;

/// The finalize payload.
#[derive(Deserialize)]
struct Finalize {
    csr: String,
}

/// Takes the CSR and waits a little for the certificate; the order says how far it got.
pub async fn finalize(state: &AcmeState, by: &ByAccount, id: &str) -> Result<Order, Problem> {
    let asked: Finalize = by.message.object()?;
    let account = &by.account.object;
    let order = orders::read(state, account, id).await?;
    let der = base64url(&asked.csr, "csr")?;
    let fingerprint = sha256_hex(&der);
    if let Some(known) = answered_before(&order.object, &fingerprint) {
        return Ok(known);
    }
    // The order's state comes first: whose order is not ready need not be told about its CSR.
    let began = Finalized { csr: fingerprint, key: String::new(), at: state.now() };
    order.object.begin(began.clone(), state.now())?;
    let csr = check_csr(der, &order.object, account).await?;
    let finalized = Finalized { key: sha256_hex(csr.spki_der()), ..began };
    let begun = order.object.begin(finalized.clone(), state.now())?;
    check_health(state)?;
    by.spend(state, FINALIZE_RECORDS)?;

    let (tell, told) = oneshot::channel();
    let task = Task { state: state.clone(), account: account.clone(), csr };
    state.tasks().spawn(async move {
        // Nobody may be listening any more; what happened is in the register.
        let _ = tell.send(task.run(order, begun).await);
    });
    match tokio::time::timeout(FINALIZE_WAIT, told).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => Err(Problem::new(ErrorKind::ServerInternal, "the issuance ended without an outcome")),
        Err(_) => answer_for(orders::read(state, account, id).await?.object, Some(&finalized)),
    }
}

/// The same finalization again gets the same answer, whether it is under way or done.
fn answered_before(order: &Order, csr: &str) -> Option<Order> {
    match (order.status, &order.finalized) {
        (OrderStatus::Processing | OrderStatus::Valid, Some(before)) if before.csr == csr => Some(order.clone()),
        (
            OrderStatus::Pending
            | OrderStatus::Ready
            | OrderStatus::Processing
            | OrderStatus::Valid
            | OrderStatus::Invalid,
            _,
        ) => None,
    }
}

/// What a finalization finds that waits no longer or was overtaken. The same CSR has the same answer; for another one the order is
/// ready no longer (RFC 8555 section 7.4).
fn answer_for(order: Order, ours: Option<&Finalized>) -> Result<Order, Problem> {
    match (&order.finalized, ours) {
        (Some(there), Some(ours)) if there.csr != ours.csr => {
            Err(Problem::new(ErrorKind::OrderNotReady, "the order was finalized with another CSR"))
        }
        (Some(_) | None, _) => Ok(order),
    }
}

/// "the CSR MUST indicate the exact same set of requested identifiers as the initial newOrder request"
async fn check_csr(der: Vec<u8>, order: &Order, account: &Account) -> Result<Csr, Problem> {
    let bad = |detail: String| Problem::new(ErrorKind::BadCsr, detail);
    let csr = Csr::receive(der).await.map_err(|error| bad(error.to_string()))?;
    let asked: BTreeSet<Name> = csr.names().iter().cloned().chain(common_name(&csr)).collect();
    let ordered: BTreeSet<Name> = order.identifiers.iter().map(Identifier::name).collect();
    if asked != ordered {
        let list =
            |names: &mut dyn Iterator<Item = &Name>| names.take(5).map(Name::to_string).collect::<Vec<_>>().join(", ");
        return Err(bad(format!(
            "the CSR's names are not the order's identifiers (too many: {}; missing: {})",
            list(&mut asked.difference(&ordered)),
            list(&mut ordered.difference(&asked))
        )));
    }
    if csr.spki_der() == account.key.spki_der() {
        // RFC 8555 section 11.1: "a certificate signing request ... SHOULD NOT" use the account key.
        return Err(bad("the CSR's key is the account's key: a certificate needs a key of its own".to_owned()));
    }
    Ok(csr)
}

/// A common name that reads as a name counts as one: it would be shown as if it were certified.
fn common_name(csr: &Csr) -> Option<Name> {
    csr.common_name().and_then(|text| match text.parse::<std::net::IpAddr>() {
        Ok(ip) => Some(Name::Ip(ip)),
        Err(_) => policy::DnsName::parse(text).ok().map(Name::Dns),
    })
}

fn check_health(state: &AcmeState) -> Result<(), Problem> {
    let authority = state.authority();
    if authority.ledger().held().is_some() {
        return Err(Problem::held(store::HELD, None));
    }
    let health = authority.health();
    let (why, secs) = match (health.token, health.held) {
        (ca::TokenHealth::Ready, None) => return Ok(()),
        (ca::TokenHealth::Ready, Some(why)) => (why, CLOCK_RETRY_SECS),
        (ca::TokenHealth::Healing { .. } | ca::TokenHealth::Locked { .. }, _) => {
            ("the token that holds the keys is not available".to_owned(), TOKEN_RETRY_SECS)
        }
    };
    Err(Problem::unavailable(format!("no certificate can be issued now ({why}); the order stays as it is"), secs))
}

struct Task {
    state: AcmeState,
    account: Account,
    csr: Csr,
}

impl Task {
    async fn run(self, order: Stored<Order>, begun: Order) -> Result<Order, Problem> {
        let actor = self.state.actor(&self.account);
        match self.state.desk().write(&actor, vec![order.next(&begun)]).await {
            Ok(()) => {}
            // Another finalization was faster.
            Err(DeskError::Moved(_)) => {
                let there = orders::read(&self.state, &self.account, &begun.id).await?.object;
                return answer_for(there, begun.finalized.as_ref());
            }
            Err(error) => return Err(error.into()),
        }
        let outcome = self.issue(&begun).await;
        self.conclude(&begun.id, outcome).await
    }

    async fn issue(&self, order: &Order) -> Result<String, Problem> {
        let proofs = self.proofs(order).await?;
        self.check_caa(&proofs).await?;
        let names: Vec<Name> = order.identifiers.iter().map(Identifier::name).collect();
        let proven: BTreeSet<Name> = proofs.iter().map(|(identifier, _)| identifier.name()).collect();
        let started = Instant::now();
        loop {
            let request = CertifyRequest {
                profile: order.profile.clone(),
                owner: self.state.config().owner.clone(),
                csr: self.csr.clone(),
                names: Some(names.clone()),
                proven: proven.clone(),
                lifetime: order.not_after.map_or(Lifetime::ByProfile, Lifetime::Until),
                renew: false,
                replaces: order.replaces.as_ref().map(|replaces| replaces.serial.clone()),
            };
            match self.certify(order, request).await {
                Err(Problem { retry_after_secs: Some(secs), detail, .. }) => {
                    let pause = Duration::from_secs(u64::from(secs)).max(RETRY_PAUSE_MIN);
                    if started.elapsed().saturating_add(pause) > ISSUE_PATIENCE {
                        return Err(Problem::unavailable(format!("no certificate could be issued: {detail}"), secs));
                    }
                    tracing::warn!(order = order.id, why = detail, "issuance is tried again");
                    tokio::time::sleep(pause).await;
                }
                outcome => return outcome,
            }
        }
    }

    /// One try. A problem with Retry-After: nothing was signed, and it may come again.
    async fn certify(&self, order: &Order, request: CertifyRequest) -> Result<String, Problem> {
        let there = self.state.desk().get::<Order>(&order.id).await?;
        if !there.is_some_and(|there| there.object.is_issued_by(order)) {
            return Err(Problem::new(ErrorKind::ServerInternal, "the order was given up before it was issued"));
        }
        let issued = self.state.authority().certify(&self.state.actor(&self.account), request).await;
        issued.map(|issued| issued.serial_hex()).map_err(|error| ca_problem(&error))
    }

    /// What the account has proven at this moment, identifier by identifier, and how.
    async fn proofs(&self, order: &Order) -> Result<Vec<(Identifier, ChallengeKind)>, Problem> {
        let now = self.state.now();
        let authzs = orders::authzs(&self.state, order).await?;
        let lost = || Problem::unauthorized("an authorization of the order is no longer valid");
        if authzs.len() != order.identifiers.len() {
            return Err(lost());
        }
        let proof = |(asked, authz): (&Identifier, &Authz)| {
            let met = authz.challenges.iter().find(|challenge| challenge.status == ChallengeStatus::Valid);
            let met = met.filter(|_| authz.proves(asked, &self.account.id, now));
            met.map(|challenge| (asked.clone(), challenge.kind)).ok_or_else(lost)
        };
        order.identifiers.iter().zip(&authzs).map(proof).collect()
    }

    async fn check_caa(&self, proofs: &[(Identifier, ChallengeKind)]) -> Result<(), Problem> {
        let identities = &self.state.config().caa_identities;
        if identities.is_empty() {
            return Ok(());
        }
        let account_url = self.state.urls().account(&self.account.id);
        let applicant = Applicant { identities, account_url: &account_url };
        let lookup = |name: String| async move { self.state.validator().resolver().caa(&name).await };
        caa::check(&applicant, proofs, CAA_TIMEOUT, lookup).await
    }

    async fn conclude(&self, id: &str, outcome: Result<String, Problem>) -> Result<Order, Problem> {
        for _ in 0..CONFLICT_RETRIES {
            let stored = self.state.desk().get::<Order>(id).await?.ok_or_else(|| Problem::not_found("order"))?;
            let Ok(after) = stored.object.conclude(outcome.clone()) else {
                if let Ok(serial) = &outcome {
                    self.discard(&stored.object, serial).await;
                }
                return Ok(stored.object);
            };
            match self.state.desk().write(&server_actor(), vec![stored.next(&after)]).await {
                Ok(()) => {
                    self.state.quotas().closed(&self.account.id, id);
                    tracing::info!(order = id, status = after.status.as_str(), serial = after.serial, "finalized");
                    return Ok(after);
                }
                Err(DeskError::Moved(_)) => {}
                // The certificate, if there is one, is in the register; the lease runs out and `recover` finds it.
                Err(error) => return Err(error.into()),
            }
        }
        Err(DeskError::Moved("acme-order".to_owned()).into())
    }

    /// A certificate that its order does not show was given to nobody: it must not stay good. `recover` may have found it first.
    async fn discard(&self, order: &Order, serial: &str) {
        if order.serial.as_deref() == Some(serial) {
            return;
        }
        let (id, actor) = (&order.id, self.state.actor(&self.account));
        match self.state.authority().revoke(&actor, serial, RevocationReason::CessationOfOperation).await {
            Ok(_) => tracing::error!(order = id, serial, "issued after its order was given up, and revoked"),
            Err(error) => {
                tracing::error!(order = id, serial, %error, "issued after its order was given up: revoke it by hand");
            }
        }
    }
}

fn sha256_hex(bytes: &[u8]) -> String {
    digest::digest(&digest::SHA256, bytes).as_ref().iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

#[cfg(test)]
#[path = "issue_tests.rs"]
mod tests;
