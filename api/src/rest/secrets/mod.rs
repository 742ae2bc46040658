//! Secrets over HTTP: each reading is in the log before its answer is made.
//!
//! `secrets` is what there is to say of them, `secret-changes` what happens to them, `secret-values` their values, `secret-cache-reads` what was read from caches,
//! `secret-rotations` how they are exchanged, `secret-refreshes` how tokens are got anew, `secret-lease-roles` and `secret-leases` the users that live for a while, `ssh-host-keys` and `ssh-host-reports` SSH keys on hosts, `secret-acts` what is done with them: a path may have any number of levels, so none
//! of these stands behind one.

mod certificates;
mod resolving;
mod rotation_shown;
mod shown;

pub(crate) mod found;

pub(crate) mod acts;
pub(crate) mod changes;
pub(crate) mod codes;
pub(crate) mod hosts;
pub(crate) mod kept;
pub(crate) mod lease_roles;
pub(crate) mod leases;
pub(crate) mod listing;
pub(crate) mod reading;
pub(crate) mod refreshes;
pub(crate) mod rotations;
pub(crate) mod writing;

use std::sync::Arc;

use axum::extract::{FromRequest, Request};
use policy::{Action, Actor, Grant, Owner, Resource};
use secrets::{Secret, SecretPath};
use serde::de::DeserializeOwned;

use crate::app::App;
use crate::intake::{expect_type, parse_hidden, read};
use crate::limits::SECRET_BYTES_MAX;
use crate::problem::{Kind, Problem};

/// A JSON body that may hold values: what is wrong with it is told by its place alone.
pub(crate) struct Hidden<T, const BYTES_MAX: usize = SECRET_BYTES_MAX>(pub(crate) T);

impl<T: DeserializeOwned, const BYTES_MAX: usize> FromRequest<App> for Hidden<T, BYTES_MAX> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        expect_type(request.headers(), &["application/json"])?;
        let bytes = read(request, BYTES_MAX, app).await?;
        parse_hidden(&bytes).map(Self)
    }
}

/// The path of a secret as it stands in a URL.
pub(crate) fn path_of(segment: &str) -> Result<SecretPath, Problem> {
    segment.parse().map_err(|error: secrets::NameError| Problem::field("path", error.to_string()))
}

/// What there is at a path, and the right to do something with it. Who has none learns nothing of what is there: the log says whose it
/// is, and he is told what he would be told of what is not there.
///
/// Whoever reads is judged by what this node knows: the register holds it against what is so when the reading is written down.
pub(crate) async fn granted(
    app: &App,
    actor: &Actor,
    action: Action,
    path: &SecretPath,
) -> Result<(Arc<Secret>, Grant), Problem> {
    let there = match action {
        Action::ReadSecret => app.vault().known(path).await?,
        _ => Box::pin(app.vault().look(path)).await?.map(Arc::new),
    };
    let there = there.filter(|secret| !secret.is_gone());
    let owner = there.as_ref().map(|secret| secret.owner().clone());
    let grant = quietly(app, actor, action, owner, path).await?;
    let none = || Problem::from(secrets::SecretError::NotFound(format!("there is no secret at {path}")));
    Ok((there.ok_or_else(none)?, grant))
}

/// The right to do something with what there is at a path, of this owner; whoever has none is told the same of what is not there.
async fn quietly(
    app: &App,
    actor: &Actor,
    action: Action,
    owner: Option<Owner>,
    path: &SecretPath,
) -> Result<Grant, Problem> {
    match app.authorize(actor, action, Resource::secret(owner, path.as_str())).await {
        Err(problem) if problem.kind() == Kind::Refused => {
            let nothing = Resource::secret(None, path.as_str());
            Err(quiet(app, actor, action, &nothing).unwrap_or(problem))
        }
        granted => granted,
    }
}

/// The refusal of what is not there; none where that would be granted.
pub(super) fn quiet(app: &App, actor: &Actor, action: Action, nothing: &Resource) -> Option<Problem> {
    app.authority().refusal(actor, action, nothing).map(Problem::from)
}

/// Whose a new secret or transit key is: as it is said, or the caller's one owner, or the only one there is. Where neither is so, the refusal
/// names the owners for whom the caller may do what he wants to do, and no others: `of` is what it would be, of an owner.
pub(super) fn owner_of(
    app: &App,
    actor: &Actor,
    said: Option<Owner>,
    action: Action,
    of: impl Fn(Owner) -> Resource,
) -> Result<Owner, Problem> {
    let mut owners = actor.owners.iter();
    let only = owners.next().filter(|_| owners.next().is_none()).cloned();
    let policies = app.authority().policies();
    let alone = match policies.owners() {
        [rules] if actor.owners.is_empty() => Some(rules.name.clone()),
        _ => None,
    };
    said.or(only).or(alone).ok_or_else(|| {
        let names = policies.owners().iter().take(OWNERS_LOOKED_MAX).map(|rules| &rules.name);
        let names = names.filter(|name| policies.permits(actor, action, &of((*name).clone())));
        Problem::field("owner", nobodys(&names.map(Owner::as_str).take(OWNERS_NAMED_MAX + 1).collect::<Vec<_>>()))
    })
}

/// That an owner has to be said, and which there are.
fn nobodys(owners: &[&str]) -> String {
    let named = match owners.get(..OWNERS_NAMED_MAX) {
        Some(first) if owners.len() > OWNERS_NAMED_MAX => format!("{}, or another", first.join(", ")),
        _ => owners.join(", "),
    };
    match owners {
        [] => "What is new has an owner: say whose it is, with `owner` (of a command, `--owner NAME`).".to_owned(),
        _ => format!(
            "What is new has an owner: say whose it is, with `owner` (of a command, `--owner NAME`), one of {named}."
        ),
    }
}

/// So many owners are looked through for those that a refusal names: each is a question to the policies.
const OWNERS_LOOKED_MAX: usize = 256;
/// So many are named.
const OWNERS_NAMED_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_owners_and_only_so_many() {
        assert!(nobodys(&["db", "web"]).ends_with("`--owner NAME`), one of db, web."));
        assert!(nobodys(&["x"; OWNERS_NAMED_MAX]).ends_with(", x, x."));
        assert!(nobodys(&["x"; OWNERS_NAMED_MAX + 1]).ends_with(", x, x, or another."));
        assert!(nobodys(&[]).ends_with("`--owner NAME`)."));
    }
}
