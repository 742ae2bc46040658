//! Accounts, orders and authorizations as they stand in the register, with their transitions as pure functions.
//!
//! A transition takes the object, the moment and the event and gives the changed object or a problem; writing it down is
//! `desk`'s work. Nothing here does I/O, so every rule of the protocol can be tested as a table.

use policy::{Timestamp, World};
use serde::{Deserialize, Serialize};

use crate::identifier::{ChallengeKind, Identifier};
use crate::jwk::Jwk;
use crate::limits::{
    AUTHZ_REUSE_SECS_MIN, AUTHZ_VALID_SECS, ORDER_SECS, PROCESSING_LEASE_SECS, SUBPROBLEMS_MAX, VALIDATION_LEASE_SECS,
};
use crate::machine::{AuthzEvent, AuthzStatus, ChallengeEvent, ChallengeStatus, OrderEvent, OrderStatus, Refused};
use crate::problem::{ErrorKind, Problem};

pub use crate::machine::AccountStatus;

/// A client's account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Account {
    /// Its name in URLs.
    pub id: String,
    /// Where it stands.
    pub status: AccountStatus,
    /// Its key.
    pub key: Jwk,
    /// `mailto:` URLs.
    pub contact: Vec<String>,
    /// Whether it agreed to the terms of service, where there are any.
    #[serde(default)]
    pub agreed: bool,
    /// When it was made.
    pub created: Timestamp,
}

/// Which account holds a key now. One record per key ever used, so that two accounts can never share one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeyHolder {
    /// The key's thumbprint.
    pub thumbprint: String,
    /// The account, or nobody any more.
    pub account: Option<String>,
}

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

/// An account's right to one identifier, proven or to be proven.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Authz {
    /// Its name in URLs.
    pub id: String,
    /// Whose it is.
    pub account: String,
    /// The order it was made for; later orders may use it while it is valid.
    pub order: String,
    /// What is to be proven, wildcard prefix included.
    pub identifier: Identifier,
    /// Where it stands.
    pub status: AuthzStatus,
    /// When it ends.
    pub expires: Timestamp,
    /// The ways to prove it.
    pub challenges: Vec<Challenge>,
}

/// One way to prove an identifier.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Challenge {
    /// Which.
    pub kind: ChallengeKind,
    /// 128 random bits, base64url (RFC 8555 section 8.1).
    pub token: String,
    /// Where it stands.
    pub status: ChallengeStatus,
    /// When its check began.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub began: Option<Timestamp>,
    /// When it was met.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub validated: Option<Timestamp>,
    /// Why it was not.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<Problem>,
}

/// A name for a new object: inverted time, then 96 random bits. The register lists by id, so the newest come first.
pub fn fresh_id(world: &World) -> String {
    let now = u32::try_from(world.now().unix().max(0)).unwrap_or(u32::MAX);
    let mut random = [0u8; 12];
    world.fill(&mut random);
    random.iter().fold(format!("{:08x}", u32::MAX - now), |id, byte| format!("{id}{byte:02x}"))
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
        self.status == OrderStatus::Processing && began.is_none_or(|at| now.since(at) > PROCESSING_LEASE_SECS)
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

impl Authz {
    /// A pending authorization for one identifier of an order, with a fresh token per challenge.
    pub fn pending(world: &World, account: &str, order: &str, identifier: Identifier, expires: Timestamp) -> Self {
        let challenge = |kind: &ChallengeKind| Challenge {
            kind: *kind,
            token: fresh_token(world),
            status: ChallengeStatus::Pending,
            began: None,
            validated: None,
            error: None,
        };
        Self {
            id: fresh_id(world),
            account: account.to_owned(),
            order: order.to_owned(),
            challenges: identifier.challenges().iter().map(challenge).collect(),
            identifier,
            status: AuthzStatus::Pending,
            expires,
        }
    }

    /// The second key it is found by: an account's authorizations for one identifier.
    pub fn lookup_of(account: &str, identifier: &Identifier) -> String {
        format!("{account} {identifier}")
    }

    /// Where it stands at this moment.
    pub fn status_at(&self, now: Timestamp) -> AuthzStatus {
        match self.status.on(AuthzEvent::Expire) {
            Ok(expired) if now > self.expires => expired,
            Ok(_) | Err(_) => self.status,
        }
    }

    /// Whether it proves exactly this identifier for exactly this account now.
    pub fn proves(&self, identifier: &Identifier, account: &str, now: Timestamp) -> bool {
        self.status_at(now) == AuthzStatus::Valid && self.identifier == *identifier && self.account == account
    }

    /// Whether a new order of the same account may lean on it: valid, and for long enough to be finalized in peace.
    pub fn is_reusable(&self, identifier: &Identifier, account: &str, now: Timestamp) -> bool {
        self.proves(identifier, account, now) && self.expires.since(now) >= AUTHZ_REUSE_SECS_MIN
    }

    fn is_lost_at(&self, now: Timestamp) -> bool {
        match self.status_at(now) {
            AuthzStatus::Pending | AuthzStatus::Valid => false,
            AuthzStatus::Invalid | AuthzStatus::Deactivated | AuthzStatus::Expired => true,
        }
    }

    /// The challenge of this kind, if it has one.
    pub fn challenge(&self, kind: ChallengeKind) -> Option<&Challenge> {
        self.challenges.iter().find(|challenge| challenge.kind == kind)
    }

    /// Starts the check of one challenge. Nothing to change (`None`) where it began before or the authorization is decided.
    pub fn begin(&self, kind: ChallengeKind, now: Timestamp) -> Result<Option<Self>, Problem> {
        if self.status_at(now) != AuthzStatus::Pending {
            return Ok(None);
        }
        let challenge = self.challenge(kind).ok_or_else(|| Problem::not_found("challenge"))?;
        if let Some(other) = self.challenges.iter().find(|other| other.kind != kind && other.began.is_some()) {
            return Err(Problem::malformed(format!(
                "the {} challenge of this authorization is being checked",
                other.kind.as_str()
            )));
        }
        Ok(challenge
            .status
            .on(ChallengeEvent::Begin)
            .ok()
            .map(|status| self.with(kind, |challenge| Challenge { status, began: Some(now), ..challenge })))
    }

    /// Ends the check. RFC 8555 section 7.5.1: the authorization follows its challenge.
    pub fn conclude(&self, kind: ChallengeKind, outcome: Result<(), Problem>, now: Timestamp) -> Result<Self, Refused> {
        let status = self.challenge(kind).map_or(ChallengeStatus::Pending, |challenge| challenge.status);
        match outcome {
            Ok(()) => {
                let status = status.on(ChallengeEvent::Pass)?;
                let changed = self.with(kind, |challenge| Challenge { status, validated: Some(now), ..challenge });
                Ok(Self {
                    status: self.status.on(AuthzEvent::Proven)?,
                    expires: now.plus_secs(AUTHZ_VALID_SECS),
                    ..changed
                })
            }
            Err(problem) => {
                let status = status.on(ChallengeEvent::Fail)?;
                let changed =
                    self.with(kind, |challenge| Challenge { status, error: Some(problem.clone()), ..challenge });
                Ok(Self { status: self.status.on(AuthzEvent::Disproven)?, ..changed })
            }
        }
    }

    /// Gives it up.
    pub fn deactivate(&self, now: Timestamp) -> Result<Self, Problem> {
        let status = self.status_at(now).on(AuthzEvent::Deactivate);
        let status =
            status.map_err(|refused| Problem::malformed(format!("the authorization cannot be changed: {refused}")))?;
        Ok(Self { status, ..self.clone() })
    }

    /// The challenge whose check was begun and forgotten (a restart in between), to be checked again.
    pub fn abandoned(&self, now: Timestamp) -> Option<ChallengeKind> {
        let stale = |challenge: &&Challenge| {
            challenge.status == ChallengeStatus::Processing
                && challenge.began.is_none_or(|began| now.since(began) > VALIDATION_LEASE_SECS)
        };
        match self.status_at(now) {
            AuthzStatus::Pending => self.challenges.iter().find(stale).map(|challenge| challenge.kind),
            AuthzStatus::Valid | AuthzStatus::Invalid | AuthzStatus::Deactivated | AuthzStatus::Expired => None,
        }
    }

    /// The same authorization with the check of this challenge begun anew.
    pub fn begun_again(&self, kind: ChallengeKind, now: Timestamp) -> Self {
        self.with(kind, |challenge| Challenge { began: Some(now), ..challenge })
    }

    fn with(&self, kind: ChallengeKind, change: impl Fn(Challenge) -> Challenge) -> Self {
        let each = self.challenges.iter().cloned();
        let challenges =
            each.map(|challenge| if challenge.kind == kind { change(challenge) } else { challenge }).collect();
        Self { challenges, ..self.clone() }
    }
}

/// RFC 8555 section 8.1: a token "MUST have at least 128 bits of entropy" in the base64url alphabet.
fn fresh_token(world: &World) -> String {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let mut random = [0u8; 32];
    world.fill(&mut random);
    URL_SAFE_NO_PAD.encode(random)
}

#[cfg(test)]
#[path = "objects_tests.rs"]
mod tests;
