//! What a policy gets to see of a request: plain words, nothing else.
//!
//! Built once per decision; [`crate::deciding::explain`] changes one word at a time to find out which one was missing.

use crate::asking::{Action, Actor, Proof, Resource, Role, SecondFactor};
use crate::deciding::rules::Matcher;
use crate::names::{Name, Principal};

/// A request in the words of the schema. What does not apply is the empty string or the empty list.
#[derive(Clone)]
pub(crate) struct Question<'a> {
    pub(crate) action: Action,
    pub(crate) id: &'a str,
    pub(crate) roles: Vec<&'a str>,
    pub(crate) owners: Vec<&'a str>,
    pub(crate) proof: &'a str,
    pub(crate) strength: &'a str,
    pub(crate) mfa: bool,
    pub(crate) mfa_secs_ago: i64,
    pub(crate) kind: &'a str,
    pub(crate) owner: &'a str,
    /// Whether the configuration has rules for that owner.
    pub(crate) has_rules: bool,
    pub(crate) profile: &'a str,
    pub(crate) key: &'a str,
    pub(crate) path: &'a str,
    pub(crate) outside: Vec<String>,
    pub(crate) unproven: Vec<String>,
    pub(crate) foreign: Vec<String>,
}

impl<'a> Question<'a> {
    /// `rules` are those of the resource's owner; without them every name is outside. `mfa`: its second factor counts.
    pub(crate) fn new(
        (actor, mfa): (&'a Actor, bool),
        action: Action,
        resource: &'a Resource,
        rules: Option<&Matcher>,
    ) -> Question<'a> {
        Question {
            action,
            id: &actor.id,
            roles: actor.roles.iter().map(|role| role.as_str()).collect(),
            owners: actor.owners.iter().map(|owner| owner.as_str()).collect(),
            proof: actor.proof.kind(),
            strength: actor.proof.strength().as_str(),
            mfa,
            mfa_secs_ago: secs_ago(actor.second_factor.filter(|_| mfa)),
            kind: resource.kind.as_str(),
            owner: resource.owner.as_ref().map_or("", |owner| owner.as_str()),
            profile: resource.profile.as_deref().unwrap_or_default(),
            key: resource.key.as_deref().unwrap_or_default(),
            path: resource.path.as_deref().unwrap_or_default(),
            has_rules: rules.is_some(),
            outside: outside(action, resource, rules),
            unproven: unproven(actor, resource),
            foreign: foreign(actor, resource),
        }
    }
}

impl Question<'_> {
    /// The same, had a second factor been proved just now.
    pub(crate) fn stepped_up(&self) -> Self {
        Question { mfa: true, mfa_secs_ago: 0, ..self.clone() }
    }

    /// Whether its three lists of names are empty: most questions are, and then it is worth remembering.
    pub(crate) fn says_nothing_of_names(&self) -> bool {
        self.outside.is_empty() && self.unproven.is_empty() && self.foreign.is_empty()
    }
}

/// In whole minutes, so that the same question is asked again within one; rounded up, since what is older counts for less.
fn secs_ago(factor: Option<SecondFactor>) -> i64 {
    let secs = factor.and_then(|factor| factor.age_secs.checked_next_multiple_of(60));
    secs.and_then(|secs| i64::try_from(secs).ok()).unwrap_or(i64::MAX)
}

fn outside(action: Action, resource: &Resource, rules: Option<&Matcher>) -> Vec<String> {
    let names = resource.names.iter().filter(|name| !has_name(rules, name)).map(Name::to_string);
    let principals = resource.principals.iter().filter(|principal| !has_principal(rules, action, principal));
    names.chain(principals.map(Principal::to_string)).collect()
}

fn has_name(rules: Option<&Matcher>, name: &Name) -> bool {
    rules.is_some_and(|rules| rules.has_name(name))
}

fn has_principal(rules: Option<&Matcher>, action: Action, principal: &Principal) -> bool {
    rules.is_some_and(|rules| match action {
        Action::SignSshHost => rules.has_host(principal),
        Action::IssueCertificate
        | Action::RenewCertificate
        | Action::RevokeCertificate
        | Action::ApproveCertificate
        | Action::ReadCertificate
        | Action::SignSshUser
        | Action::CreateKey
        | Action::SignCode
        | Action::ReadAudit
        | Action::ManageTokens
        | Action::ManageAuthority
        | Action::ReadStatus
        | Action::ListSecrets
        | Action::ReadSecret
        | Action::ReadSecretCode
        | Action::WriteSecret
        | Action::LeaseSecret
        | Action::DestroySecret
        | Action::ListTransitKeys
        | Action::ManageTransitKeys
        | Action::DestroyTransitKey
        | Action::TransitEncrypt
        | Action::TransitDecrypt
        | Action::TransitRewrap
        | Action::TransitSign
        | Action::TransitVerify
        | Action::TransitRandom => rules.has_account(principal),
    })
}

/// What a client certificate does not name. Other proofs name nothing, and the list stays empty.
fn foreign(actor: &Actor, resource: &Resource) -> Vec<String> {
    match &actor.proof {
        Proof::ClientCertificate { names, .. } => {
            resource.names.iter().filter(|name| !names.contains(*name)).map(Name::to_string).collect()
        }
        Proof::Token { .. } | Proof::AcmeKey { .. } | Proof::System => Vec::new(),
    }
}

/// Only ACME proves control of names; for everybody else the list says nothing and stays empty.
fn unproven(actor: &Actor, resource: &Resource) -> Vec<String> {
    let by_acme = match actor.proof {
        Proof::AcmeKey { .. } => true,
        Proof::Token { .. } | Proof::ClientCertificate { .. } | Proof::System => {
            actor.roles.contains(&Role::AcmeClient)
        }
    };
    match by_acme {
        true => resource.names.iter().filter(|name| !resource.proven.contains(*name)).map(Name::to_string).collect(),
        false => Vec::new(),
    }
}
