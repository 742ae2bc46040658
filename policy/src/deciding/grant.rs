//! The answer to "may I?": a [`Grant`] or a [`Refusal`], each with the hash of the policies that gave it.

use std::fmt;

use crate::asking::{Action, Actor, Resource};

/// Proof that a policy permitted exactly this actor to do exactly this. Only [`crate::deciding::policies::Policies::decide`] makes one, it cannot be
/// cloned, and the crates above consume it: one decision, one act.
///
/// ```compile_fail,E0599
/// fn twice(grant: chancery_policy::Grant) -> [chancery_policy::Grant; 2] {
///     [grant.clone(), grant]
/// }
/// ```
/// ```compile_fail,E0624
/// fn forged(actor: chancery_policy::Actor, resource: chancery_policy::Resource) -> chancery_policy::Grant {
///     chancery_policy::Grant::new(actor, chancery_policy::Action::SignCode, resource, "admin".to_owned(), [0; 32])
/// }
/// ```
#[derive(Debug, PartialEq, Eq)]
pub struct Grant {
    actor: Actor,
    action: Action,
    resource: Resource,
    rule: String,
    policy_hash: [u8; 32],
}

impl Grant {
    pub(crate) fn new(actor: Actor, action: Action, resource: Resource, rule: String, policy_hash: [u8; 32]) -> Grant {
        Grant { actor, action, resource, rule, policy_hash }
    }

    /// Who may.
    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    /// What they may.
    pub fn action(&self) -> Action {
        self.action
    }

    /// On what.
    pub fn resource(&self) -> &Resource {
        &self.resource
    }

    /// SHA-256 of the policies and owner rules that decided.
    pub fn policy_hash(&self) -> [u8; 32] {
        self.policy_hash
    }

    /// The name of the policy that permitted it.
    pub fn rule(&self) -> &str {
        &self.rule
    }
}

/// A "no", with what was missing. Boxed inside so that it stays small in every `Result` that carries it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Refusal {
    /// Who asked.
    pub actor: Box<Actor>,
    /// What for.
    pub action: Action,
    /// On what.
    pub resource: Box<Resource>,
    /// The policy that forbade it; `None` if simply none permitted it.
    pub rule: Option<String>,
    /// One sentence: what would have been needed.
    pub missing: String,
    /// Whether a second factor, proved now, is all that is missing.
    pub step_up: bool,
    /// SHA-256 of the policies and owner rules that decided.
    pub policy_hash: [u8; 32],
}

impl Refusal {
    /// What is told of what was missing where nobody looked for it ([`crate::Policies::decide_briefly`]).
    pub const BRIEFLY: &str =
        "it was refused so often within the hour that nobody looks for the reason any more: the first refusals had it";
    /// The same for one of many who are counted together: his first refusal may be among those of which nobody told the reason.
    pub const AMONG_MANY: &str = "more are refused within the hour than are told apart, so that nobody looks for the reason of each: ask an \
                                  administrator which right it takes, or ask again in an hour";

    /// What is told of one of many who are counted together, where nobody looked for what was missing. What was known without looking
    /// stays as it is.
    #[must_use]
    pub fn among_many(self) -> Refusal {
        match self.missing == Refusal::BRIEFLY {
            true => Refusal { missing: Refusal::AMONG_MANY.to_owned(), ..self },
            false => self,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} may not {}: {}", self.actor.id, self.action, self.missing)
    }
}
