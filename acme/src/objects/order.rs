//! Orders: requests for one certificate, with their transitions as pure functions.
//!
//! What an order is follows from its authorizations, and is derived from them whenever somebody reads it; writing it down is
//! `desk`'s work. Nothing here does I/O, so every rule of the protocol can be tested as a table.

use policy::Timestamp;
use serde::{Deserialize, Serialize};

use super::authz::Authz;
use super::identifier::Identifier;
use super::machine::{OrderEvent, OrderStatus, Refused};
use crate::limits::{ORDER_SECS, PROCESSING_LEASE_SECS, SUBPROBLEMS_MAX};
use crate::wire::{ErrorKind, Problem};

/// A request for one certificate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// Its name in URLs.
    pub id: String,
    /// Whose it is.
    pub account: String,
    /// Where it stands.
    pub status: OrderStatus,
    /// The names, each once, sorted.
    pub identifiers: Vec<Identifier>,
    /// Their authorizations, in the same order.
    pub authzs: Vec<String>,
    /// The profile asked for or given.
    pub profile: String,
    /// The last second of validity asked for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub not_after: Option<Timestamp>,
    /// The certificate that its own takes the place of.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub replaces: Option<Replaces>,
    /// When it was placed.
    pub created: Timestamp,
    /// After this it is invalid, unless it is being issued.
    pub expires: Timestamp,
    /// What it was finalized with, once it was.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub finalized: Option<Finalized>,
    /// The certificate.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub serial: Option<String>,
    /// Why it is invalid.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<Problem>,
}

/// Which certificate an order replaces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replaces {
    /// As the client named it.
    pub id: String,
    /// Its serial, hex.
    pub serial: String,
}

/// Enough of a finalization to recognise it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finalized {
    /// SHA-256 of the CSR, hex: the same request again is answered and not refused.
    pub csr: String,
    /// SHA-256 of the CSR's SubjectPublicKeyInfo, hex: finds the certificate after a crash.
    pub key: String,
    /// When issuance began.
    pub at: Timestamp,
}

impl Order {
    /// A new order over these authorizations; ready at once where every one of them is valid already.
    pub fn place(
        id: String,
        account: &str,
        profile: &str,
        not_after: Option<Timestamp>,
        authzs: &[Authz],
        now: Timestamp,
    ) -> Self {
        let latest = now.plus_secs(ORDER_SECS);
        let order = Self {
            id,
            account: account.to_owned(),
            status: OrderStatus::Pending,
            identifiers: authzs.iter().map(|authz| authz.identifier.clone()).collect(),
            authzs: authzs.iter().map(|authz| authz.id.clone()).collect(),
            profile: profile.to_owned(),
            not_after,
            replaces: None,
            created: now,
            expires: authzs.iter().map(|authz| authz.expires).min().unwrap_or(latest).min(latest),
            finalized: None,
            serial: None,
            error: None,
        };
        order.settled(authzs, now).unwrap_or(order)
    }

    /// Where it stands at this moment: past its `expires` an open order is invalid.
    pub fn status_at(&self, now: Timestamp) -> OrderStatus {
        match self.status.on(OrderEvent::Expire) {
            Ok(expired) if now > self.expires => expired,
            Ok(_) | Err(_) => self.status,
        }
    }

    /// What its authorizations make of it: the changed order, or nothing to change. Safe to ask at any time, by anyone who
    /// reads the order, so no event between two authorizations can be lost.
    pub fn settled(&self, authzs: &[Authz], now: Timestamp) -> Option<Self> {
        if self.status_at(now) != self.status {
            return None;
        }
        let lost: Vec<&Authz> = authzs.iter().filter(|authz| authz.is_lost_at(now)).collect();
        if !lost.is_empty() {
            let status = self.status.on(OrderEvent::Lost).ok()?;
            return Some(Self { status, error: Some(lost_problem(&lost, now)), ..self.clone() });
        }
        // One authorization per identifier, each the right one: nothing proven for one name counts for another.
        let complete = self.identifiers.len() == authzs.len()
            && self.identifiers.iter().zip(authzs).all(|(asked, authz)| authz.proves(asked, &self.account, now));
        match complete {
            true => Some(Self { status: self.status.on(OrderEvent::Proven).ok()?, ..self.clone() }),
            false => None,
        }
    }

    /// Begins issuance.
    pub fn begin(&self, finalized: Finalized, now: Timestamp) -> Result<Self, Problem> {
        let status = self.status_at(now).on(OrderEvent::Finalize).map_err(|refused| {
            Problem::new(ErrorKind::OrderNotReady, format!("the order cannot be finalized: {refused}"))
        })?;
        Ok(Self { status, finalized: Some(finalized), ..self.clone() })
    }

    /// Whether it is still being issued by the finalization that `begun` is.
    pub fn is_issued_by(&self, begun: &Self) -> bool {
        self.status == OrderStatus::Processing && self.finalized == begun.finalized
    }

    /// Ends issuance, with a serial or a reason.
    pub fn conclude(&self, outcome: Result<String, Problem>) -> Result<Self, Refused> {
        match outcome {
            Ok(serial) => {
                let status = self.status.on(OrderEvent::Issued)?;
                Ok(Self { status, serial: Some(serial), ..self.clone() })
            }
            Err(problem) => {
                let status = self.status.on(OrderEvent::NotIssued)?;
                Ok(Self { status, error: Some(problem), ..self.clone() })
            }
        }
    }

    /// Whether it has been processing for so long that whoever did it is gone.
    pub fn is_abandoned(&self, now: Timestamp) -> bool {
        let began = self.finalized.as_ref().map(|finalized| finalized.at);
        self.status == OrderStatus::Processing && began.is_none_or(|at| now.is_due(at, PROCESSING_LEASE_SECS + 1))
    }
}

fn lost_problem(lost: &[&Authz], now: Timestamp) -> Problem {
    let each = lost.iter().take(SUBPROBLEMS_MAX).map(|authz| {
        let why = authz.challenges.iter().find_map(|challenge| challenge.error.clone());
        let unproven = || Problem::unauthorized(format!("the authorization is {}", authz.status_at(now).as_str()));
        why.unwrap_or_else(unproven).about(authz.identifier.clone())
    });
    Problem::gather(each.collect(), &format!("{} of the order's identifiers were not proven", lost.len()))
        .unwrap_or_else(|| Problem::unauthorized("an identifier was not proven"))
}
