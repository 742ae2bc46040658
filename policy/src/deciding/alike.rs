//! Which actors get the same answers.

use std::collections::BTreeSet;

use crate::asking::{Action, Actor, Proof, Role, SecondFactor};
use crate::names::{Name, Owner};

/// All of an actor that the answers for one action depend on: two with the same get the same answers, whatever the resource. It is
/// good for the policies that made it alone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Alike {
    /// Where a policy names him, or might.
    id: Option<String>,
    roles: BTreeSet<Role>,
    owners: BTreeSet<Owner>,
    is_in_scope: bool,
    /// Its kind, which says its strength.
    proof: &'static str,
    /// What a client certificate names.
    names: BTreeSet<Name>,
    second_factor: Option<SecondFactor>,
}

impl Alike {
    /// Of an actor; `is_named`: his id is seen.
    pub(crate) fn of(actor: &Actor, action: Action, is_named: bool) -> Alike {
        let names = match &actor.proof {
            Proof::ClientCertificate { names, .. } => names.clone(),
            Proof::Token { .. } | Proof::AcmeKey { .. } | Proof::System => BTreeSet::new(),
        };
        Alike {
            id: is_named.then(|| actor.id.clone()),
            roles: actor.roles.clone(),
            owners: actor.owners.clone(),
            is_in_scope: actor.scopes.as_ref().is_none_or(|scopes| scopes.contains(&action)),
            proof: actor.proof.kind(),
            names,
            second_factor: actor.second_factor,
        }
    }
}
