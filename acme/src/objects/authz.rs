//! Authorizations and their challenges: an account's right to one identifier, with its transitions as pure functions.
//!
//! A transition takes the object, the moment and the event and gives the changed object or a problem; writing it down is
//! `desk`'s work. Nothing here does I/O, so every rule of the protocol can be tested as a table.

use policy::{Timestamp, World};
use serde::{Deserialize, Serialize};

use super::fresh::{fresh_id, fresh_token};
use super::identifier::{ChallengeKind, Identifier};
use super::machine::{AuthzEvent, AuthzStatus, ChallengeEvent, ChallengeStatus, Refused};
use crate::limits::{AUTHZ_REUSE_SECS_MIN, AUTHZ_VALID_SECS, VALIDATION_LEASE_SECS};
use crate::wire::Problem;

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

    pub(super) fn is_lost_at(&self, now: Timestamp) -> bool {
        match self.status_at(now) {
            AuthzStatus::Pending | AuthzStatus::Valid => false,
            AuthzStatus::Invalid | AuthzStatus::Deactivated | AuthzStatus::Expired => true,
        }
    }

    /// RFC 8555 section 7.1.4: "For pending authorizations, the challenges that the client can fulfill [...]. For valid
    /// authorizations, the challenge that was validated. For invalid authorizations, the challenge that was attempted and failed."
    pub fn shown_challenges(&self) -> impl Iterator<Item = &Challenge> {
        let only = match self.status {
            AuthzStatus::Valid => Some(ChallengeStatus::Valid),
            AuthzStatus::Invalid => Some(ChallengeStatus::Invalid),
            AuthzStatus::Pending | AuthzStatus::Deactivated | AuthzStatus::Expired => None,
        };
        self.challenges.iter().filter(move |challenge| only.is_none_or(|only| challenge.status == only))
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
                && challenge.began.is_none_or(|began| now.is_due(began, VALIDATION_LEASE_SECS + 1))
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
