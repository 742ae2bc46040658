//! That administrators prove a second factor before they act.
//!
//! It is decided here and not in Cedar, because no policy may loosen it; the configuration alone does, and what it says is part of the
//! policies' hash. Policies may ask for more: they see `context.mfa` and `context.mfa_secs_ago`.

use serde::Serialize;

use crate::asking::{Action, Actor, Proof, Role, SecondFactor};

/// How old a second factor may be where an administrator acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Demand {
    age_secs_max: u32,
}

impl Demand {
    /// The name that a refusal has for the rule.
    pub const RULE: &'static str = "second-factor";
    /// How old it may be where nobody says otherwise: a quarter of an hour, as PCI DSS 8.2.8 has it of idle sessions.
    pub const AGE_SECS: u32 = 900;
    /// Shorter, and a person cannot finish what he began.
    pub const AGE_SECS_MIN: u32 = 60;
    /// Longer than a working day is none.
    pub const AGE_SECS_MAX: u32 = 12 * 3_600;

    /// With this age, where it is one between [`Demand::AGE_SECS_MIN`] and [`Demand::AGE_SECS_MAX`].
    pub fn within(age_secs_max: u32) -> Option<Demand> {
        (Self::AGE_SECS_MIN..=Self::AGE_SECS_MAX).contains(&age_secs_max).then_some(Demand { age_secs_max })
    }

    /// How old it may be.
    pub fn age_secs_max(self) -> u32 {
        self.age_secs_max
    }

    /// Whether a second factor is there, and young enough.
    pub fn is_met_by(self, factor: Option<SecondFactor>) -> bool {
        factor.is_some_and(|factor| factor.age_secs <= u64::from(self.age_secs_max))
    }

    /// Whether it is asked of this actor for this action, and not met.
    pub(crate) fn lacks(self, actor: &Actor, action: Action) -> bool {
        let is_administrator = actor.roles.contains(&Role::Admin) && actor.proof != Proof::System;
        is_administrator && is_asked_for(action) && !self.is_met_by(actor.second_factor)
    }

    /// What is missing, in words.
    pub(crate) fn missing(self) -> String {
        let minutes = self.age_secs_max.div_ceil(60);
        format!("a second factor, proved within the last {minutes} minutes")
    }
}

/// Three kinds of act an administrator does by his token alone: what looks; what ends a certificate, since who sees that a key was stolen
/// must not look for his telephone first; and the everyday certificates of hosts and services, which the owners' name rules bound and
/// machines get by themselves. Everything else that makes, changes, shows or destroys asks for more.
fn is_asked_for(action: Action) -> bool {
    match action {
        Action::ReadCertificate
        | Action::ReadAudit
        | Action::ReadStatus
        | Action::ListSecrets
        | Action::ListTransitKeys
        | Action::TransitVerify
        | Action::TransitRandom
        | Action::RevokeCertificate
        | Action::IssueCertificate
        | Action::RenewCertificate
        | Action::SignSshHost => false,
        Action::ApproveCertificate
        | Action::SignSshUser
        | Action::CreateKey
        | Action::SignCode
        | Action::ManageTokens
        | Action::ManageAuthority
        | Action::ReadSecret
        | Action::ReadSecretCode
        | Action::WriteSecret
        | Action::LeaseSecret
        | Action::DestroySecret
        | Action::ManageTransitKeys
        | Action::DestroyTransitKey
        | Action::TransitEncrypt
        | Action::TransitDecrypt
        | Action::TransitRewrap
        | Action::TransitSign => true,
    }
}
