//! Orders: placed, read, listed (RFC 8555 section 7.4).
//!
//! Whoever reads an open order also settles it: what its authorizations make of it is written down before it is shown. That makes
//! "the last authorization became valid" an event that cannot get lost between two authorizations decided at once, or in a crash.
//!
//! A valid authorization of the same account for the same identifier is used again while it lives (8 hours): a client that failed
//! at finalize need not prove everything anew. Pending ones are not shared between orders.

use std::collections::BTreeSet;

use ca::{CaError, Lifetime, Prospect};
use policy::Timestamp;
use serde::Deserialize;

use super::told::ca_problem;
use super::{recover, renewal};
use crate::gate::{AcmeState, ByAccount, server_actor};
use crate::limits::{AUTHZ_LOOKBACK, CONFLICT_RETRIES, IDENTIFIERS_MAX, ORDER_SECS};
use crate::objects::{
    Account, Authz, AuthzStatus, Change, DeskError, Identifier, Order, OrderStatus, Replaces, Stored, fresh_id,
};
use crate::wire::{ErrorKind, Object, Problem, Wire};

/// Orders per page of an account's list.
const PAGE: usize = 100;

/// The newOrder payload.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NewOrder {
    identifiers: Vec<Object<Wire>>,
    not_before: Option<String>,
    not_after: Option<String>,
    profile: Option<String>,
    replaces: Option<String>,
}

/// Places an order.
pub async fn place(state: &AcmeState, by: &ByAccount) -> Result<Order, Problem> {
    let asked: NewOrder = by.message.object()?;
    let now = state.now();
    let profile = profile(state, asked.profile.as_deref())?;
    let not_after = end_asked_for(asked.not_before.as_deref(), asked.not_after.as_deref())?;
    let identifiers = identifiers(state, &profile, asked.identifiers.into_iter().map(|Object(wire)| wire).collect())?;

    let account = &by.account.object;
    foresee(state, account, &profile, &identifiers, not_after).await?;
    let id = fresh_id(state.world());
    let expires = now.plus_secs(ORDER_SECS);
    let mut authzs = Vec::with_capacity(identifiers.len());
    let mut changes = Vec::new();
    for identifier in identifiers {
        let authz = match reusable(state, account, &identifier, now).await? {
            Some(valid) => valid,
            None => {
                let fresh = Authz::pending(state.world(), &account.id, &id, identifier, expires);
                changes.push(Change::create(&fresh));
                fresh
            }
        };
        authzs.push(authz);
    }
    let pending = changes.len();
    let mut order = Order::place(id, &account.id, &profile, not_after, &authzs, now);
    if let Some(named) = asked.replaces {
        let (change, serial) = renewal::replaced(state, by, &named, &order.id, order.identifiers.iter()).await?;
        changes.push(change);
        order.replaces = Some(Replaces { id: named, serial });
    }
    changes.push(Change::create(&order));
    state.quotas().order(&account.id, &order.id, pending, order.expires, now)?;
    if let Err(problem) = file(state, by, changes).await {
        state.quotas().closed(&account.id, &order.id);
        return Err(problem);
    }
    Ok(order)
}

async fn file(state: &AcmeState, by: &ByAccount, changes: Vec<Change>) -> Result<(), Problem> {
    by.spend(state, changes.len())?;
    Ok(state.desk().write(&state.actor(&by.account.object), changes).await?)
}

/// An order of this account, settled.
pub async fn read(state: &AcmeState, account: &Account, id: &str) -> Result<Stored<Order>, Problem> {
    for _ in 0..CONFLICT_RETRIES {
        let order = owned(state, account, id).await?;
        let changed = match order.object.status {
            OrderStatus::Pending | OrderStatus::Ready => {
                let authzs = authzs(state, &order.object).await?;
                order.object.settled(&authzs, state.now())
            }
            OrderStatus::Processing if order.object.is_abandoned(state.now()) => {
                Some(recover::recover(state, &order.object).await?)
            }
            OrderStatus::Processing | OrderStatus::Valid | OrderStatus::Invalid => None,
        };
        let Some(changed) = changed else { return Ok(order) };
        match state.desk().write(&server_actor(), vec![order.next(&changed)]).await {
            Ok(()) if !changed.status.is_open() => state.quotas().closed(&account.id, id),
            Ok(()) | Err(DeskError::Moved(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(DeskError::Moved("acme-order".to_owned()).into())
}

/// One page of an account's orders that are not invalid, and where the next begins.
pub async fn list(
    state: &AcmeState,
    account: &Account,
    after: Option<String>,
) -> Result<(Vec<Order>, Option<String>), Problem> {
    let page = state.desk().find::<Order>(account.id.clone(), after, PAGE).await?;
    let next = if page.len() == PAGE { page.last().map(|order| order.object.id.clone()) } else { None };
    let now = state.now();
    let shown = page.into_iter().map(|order| order.object).filter(|order| order.status_at(now) != OrderStatus::Invalid);
    Ok((shown.collect(), next))
}

/// The order's authorizations, in the order of its identifiers.
pub async fn authzs(state: &AcmeState, order: &Order) -> Result<Vec<Authz>, Problem> {
    let mut found = Vec::with_capacity(order.authzs.len());
    for id in &order.authzs {
        let authz = state.desk().get::<Authz>(id).await?;
        let authz =
            authz.ok_or_else(|| Problem::new(ErrorKind::ServerInternal, "an authorization of the order is missing"))?;
        found.push(authz.object);
    }
    Ok(found)
}

async fn owned(state: &AcmeState, account: &Account, id: &str) -> Result<Stored<Order>, Problem> {
    let order = state.desk().get::<Order>(id).await?.ok_or_else(|| Problem::not_found("order"))?;
    match order.object.account == account.id {
        true => Ok(order),
        false => Err(Problem::unauthorized("the order belongs to another account")),
    }
}

async fn reusable(
    state: &AcmeState,
    account: &Account,
    identifier: &Identifier,
    now: Timestamp,
) -> Result<Option<Authz>, Problem> {
    let lookup = Authz::lookup_of(&account.id, identifier);
    let newest = state.desk().find::<Authz>(lookup, None, AUTHZ_LOOKBACK).await?;
    Ok(newest.into_iter().map(|authz| authz.object).find(|authz| authz.is_reusable(identifier, &account.id, now)))
}

fn profile(state: &AcmeState, asked: Option<&str>) -> Result<String, Problem> {
    let offered = &state.config().profile;
    match asked {
        Some(name) if name != offered => Err(Problem::new(
            ErrorKind::InvalidProfile,
            format!("the profile {name:?} is not offered: see the directory's meta"),
        )),
        Some(_) | None => Ok(offered.clone()),
    }
}

/// Each identifier once, all of them or a subproblem for each that is refused.
fn identifiers(state: &AcmeState, profile: &str, asked: Vec<Wire>) -> Result<BTreeSet<Identifier>, Problem> {
    if asked.is_empty() || asked.len() > IDENTIFIERS_MAX {
        let count = asked.len();
        return Err(Problem::malformed(format!(
            "an order has 1 to {IDENTIFIERS_MAX} identifiers, this one has {count}"
        )));
    }
    let mut good = BTreeSet::new();
    let mut refused = Vec::new();
    for wire in asked {
        match Identifier::try_from(wire.clone()) {
            Ok(identifier) => match rejection(state, profile, &identifier) {
                None => drop(good.insert(identifier)),
                Some(why) => refused.push(Problem::new(ErrorKind::RejectedIdentifier, why).about(identifier)),
            },
            Err(problem) => refused.push(problem.about(wire)),
        }
    }
    match Problem::gather(refused, "several identifiers are refused") {
        Some(problem) => Err(problem),
        None => Ok(good),
    }
}

/// Why no certificate is issued for a name, whoever proves it.
fn rejection(state: &AcmeState, profile: &str, identifier: &Identifier) -> Option<String> {
    let name = identifier.name();
    if state.config().names.as_ref().is_some_and(|names| !names.has(&name)) {
        return Some(format!("{identifier} is not among the names that ACME certifies here ([acme] names)"));
    }
    let certified = state.authority().profiles().get(profile).is_none_or(|profile| profile.allows_name(&name));
    (!certified).then(|| format!("the profile {profile} certifies no such name: {identifier}"))
}

/// RFC 8555 section 7.4: dates may be asked for, in any form of RFC 3339. A certificate begins when it is issued, so notBefore cannot
/// be promised; notAfter can, to the second.
fn end_asked_for(not_before: Option<&str>, not_after: Option<&str>) -> Result<Option<Timestamp>, Problem> {
    if not_before.is_some() {
        return Err(Problem::malformed("notBefore cannot be chosen: a certificate begins when it is issued"));
    }
    let read = |text: &str| Timestamp::read_rfc3339(text).map_err(|why| Problem::malformed(format!("notAfter: {why}")));
    not_after.map(read).transpose()
}

/// What could not be issued when everything is proven is refused now, and not after the client's work.
async fn foresee(
    state: &AcmeState,
    account: &Account,
    profile: &str,
    identifiers: &BTreeSet<Identifier>,
    not_after: Option<Timestamp>,
) -> Result<(), Problem> {
    let prospect = Prospect {
        profile: profile.to_owned(),
        owner: state.config().owner.clone(),
        names: identifiers.iter().map(Identifier::name).collect(),
        lifetime: not_after.map_or(Lifetime::ByProfile, Lifetime::Until),
    };
    let foreseen = state.authority().foresee(&state.actor(account), prospect).await;
    foreseen.map_err(|error| match &error {
        CaError::Refused(refusal) => Problem::new(
            ErrorKind::RejectedIdentifier,
            format!("policy refuses a certificate with these identifiers: {}", refusal.missing),
        ),
        CaError::BadRequest { what: "validity", detail } => Problem::malformed(format!("notAfter: {detail}")),
        _ => ca_problem(&error),
    })
}

/// Whether an authorization still waits for its proof.
pub fn is_pending(authz: &Authz, now: Timestamp) -> bool {
    authz.status_at(now) == AuthzStatus::Pending
}
