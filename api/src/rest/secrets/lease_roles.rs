//! Roles of leases over HTTP: where users that live for a while are made, with what rights, for how long.
//!
//! Whoever sets one up may write secrets there, and read the administrator's: where that is sent is said here and nowhere else. Of SSH he
//! may sign for the accounts himself.

use axum::extract::State as Shared;
use axum::response::Response;
use http::StatusCode;
use policy::{Action, Actor, Grant, Owner, Resource};
use secrets::{LeaseRole, Line, Place, Product, RoleWish, SecretError, SecretPath};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::rotations::{line, product};
use super::{granted, owner_of, path_of};
use crate::app::App;
use crate::intake::{Caller, Json, Segment, json};
use crate::problem::Problem;
use crate::tenants::{PROFILE, Tenants, accounts};

/// Where users are made, and how.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewLeaseRole {
    /// Whose it is; absent: the caller's one owner, or the only one there is.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    owner: Option<Owner>,
    /// `postgresql`, `mariadb`, `redis` or `ssh`.
    driver: String,
    /// Of SSH none: a certificate counts at every host that trusts the SSH user CA.
    #[serde(default)]
    host: Option<String>,
    /// Absent: the usual one.
    #[serde(default)]
    port: Option<u16>,
    /// The database in which one logs in.
    #[serde(default)]
    database: Option<String>,
    /// The secret of who makes them; the caller may read it. Of SSH none: the caller may sign for the accounts himself.
    #[serde(default)]
    #[schema(example = "infra/postgres-admin")]
    admin: Option<String>,
    /// The roots of the target's certificate (PEM): it is spoken to by TLS. Without them it is this host.
    #[serde(default)]
    roots: Option<String>,
    /// It is spoken to without TLS although it is another host: whoever is on the way reads passwords.
    #[serde(default)]
    plain: bool,
    /// Whose rights they get: a role of PostgreSQL or MariaDB, a user of Redis; of SSH the accounts, with a space between two.
    #[schema(example = "readers")]
    like: String,
    /// How long a lease is where nobody says, in seconds; absent: an hour, or the longest where that is shorter.
    #[serde(default)]
    secs: Option<u64>,
    /// How long at most, with all renewals.
    #[serde(default = "secs_max")]
    secs_max: u64,
}

/// A role of leases.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LeaseRoleInfo {
    path: String,
    owner: String,
    driver: &'static str,
    /// Of SSH absent, as the two after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    database: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    admin: Option<String>,
    /// `here`, `tls` or `plain`.
    line: &'static str,
    /// The roots of the target's certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    roots: Option<String>,
    like: String,
    secs: u64,
    secs_max: u64,
}

/// Sets up a role, or changes one: who is there stays as he is.
#[utoipa::path(put, path = "/api/v1/secret-lease-roles/{path}", tag = "secrets", operation_id = "setLeaseRole",
    request_body = NewLeaseRole,
    params(("path" = String, Path, description = "Where the role stands, with its slashes")),
    responses((status = 200, description = "It is set up", body = LeaseRoleInfo)))]
pub(crate) async fn put(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Segment(path): Segment,
    Json(new): Json<NewLeaseRole>,
) -> Result<Response, Problem> {
    let path = path_of(&path)?;
    let there = app.leases().role(&path).await?;
    let owner = match &there {
        Some(role) if new.owner.as_ref().is_some_and(|said| said != role.owner()) => {
            // Whose it is is told to whoever may know of it; it stays.
            let _granted = super::quietly(&app, &actor, Action::ListSecrets, Some(role.owner().clone()), &path).await?;
            return Err(Problem::field("owner", "The role is there, and another owner's: a role stays its owner's."));
        }
        Some(role) => role.owner().clone(),
        None => owner_of(&app, &actor, new.owner.clone(), Action::WriteSecret, |owner| {
            Resource::secret(Some(owner), path.as_str())
        })?,
    };
    let grant =
        app.authorize(&actor, Action::WriteSecret, Resource::secret(Some(owner.clone()), path.as_str())).await?;
    let wish = wish(new)?;
    if let Some(admin) = &wish.admin {
        let _granted = granted(&app, &actor, Action::ReadSecret, admin).await?;
    }
    if wish.place.product == Some(Product::Ssh) {
        // Whoever leases is given what this caller may sign.
        let accounts = accounts(&wish.like).map_err(|why| Problem::field("like", why))?;
        let _granted =
            app.authorize(&actor, Action::SignSshUser, Resource::ssh(Some(owner.clone()), accounts, PROFILE)).await?;
    }
    let (leases, tenants) = (app.leases().clone(), Tenants::of(&app));
    let set = async move { leases.set_role(grant, &path, &owner, wish, &tenants).await };
    let role = app.secret_to_its_end(set).await?;
    Ok(json(StatusCode::OK, &info(&role)))
}

/// A role.
#[utoipa::path(get, path = "/api/v1/secret-lease-roles/{path}", tag = "secrets", operation_id = "showLeaseRole",
    params(("path" = String, Path, description = "Where the role stands, with its slashes")),
    responses((status = 200, description = "The role", body = LeaseRoleInfo)))]
pub(crate) async fn show(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Segment(path): Segment,
) -> Result<Response, Problem> {
    let (role, _grant) = role(&app, &actor, Action::ListSecrets, &path_of(&path)?).await?;
    Ok(json(StatusCode::OK, &info(&role)))
}

/// Ends a role: nobody is made by it any more; who is there lives to the end of his lease.
#[utoipa::path(delete, path = "/api/v1/secret-lease-roles/{path}", tag = "secrets", operation_id = "endLeaseRole",
    params(("path" = String, Path, description = "Where the role stands, with its slashes")),
    responses((status = 204, description = "It ended")))]
pub(crate) async fn end(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Segment(path): Segment,
) -> Result<StatusCode, Problem> {
    let path = path_of(&path)?;
    let (_, grant) = role(&app, &actor, Action::WriteSecret, &path).await?;
    let leases = app.leases().clone();
    app.secret_to_its_end(async move { leases.end_role(grant, &path).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What role there is at a path, and the right to do something with it; whoever has none is told the same of what is not there.
pub(super) async fn role(
    app: &App,
    actor: &Actor,
    action: Action,
    path: &SecretPath,
) -> Result<(LeaseRole, Grant), Problem> {
    let there = app.leases().role(path).await?;
    let owner = there.as_ref().map(|role| role.owner().clone());
    let grant = super::quietly(app, actor, action, owner, path).await?;
    let none = || Problem::from(SecretError::NotFound(format!("there is no role at {path}")));
    Ok((there.ok_or_else(none)?, grant))
}

fn wish(new: NewLeaseRole) -> Result<RoleWish, Problem> {
    let NewLeaseRole { owner: _, driver, host, port, database, admin, roots, plain, like, secs, secs_max } = new;
    let product = product(Some(&driver))?;
    if host.is_none() && product != Some(Product::Ssh) {
        return Err(Problem::field("host", "Say where it is; of ssh alone there is no place."));
    }
    Ok(RoleWish {
        place: Place { product, host, port, database, account_host: None },
        admin: admin.as_deref().map(path_of).transpose()?,
        line: line(None, roots, plain)?,
        like,
        secs: secs.unwrap_or_else(|| SECS.min(secs_max)),
        secs_max,
    })
}

fn info(role: &LeaseRole) -> LeaseRoleInfo {
    let (at, (secs, secs_max)) = (role.at(), role.secs());
    let has_place = at.product != Product::Ssh;
    LeaseRoleInfo {
        path: role.path().to_string(),
        owner: role.owner().to_string(),
        driver: at.product.as_str(),
        host: has_place.then(|| at.host.clone()),
        port: has_place.then_some(at.port),
        database: at.database.clone(),
        admin: at.admin.clone(),
        line: match at.line {
            Line::Here => "here",
            Line::Tls { .. } => "tls",
            Line::Plain => "plain",
            Line::Known { .. } => "known",
        },
        roots: match &at.line {
            Line::Tls { roots } => Some(roots.clone()),
            Line::Here | Line::Known { .. } | Line::Plain => None,
        },
        like: role.like().to_owned(),
        secs,
        secs_max,
    }
}

/// An hour.
const SECS: u64 = 3_600;

/// A day.
fn secs_max() -> u64 {
    86_400
}
