//! Leases over HTTP: users that live for a while, asked for, renewed, given back.
//!
//! A password is shown once, in the answer that makes its user, after the entry of the log that says to whom.

use axum::extract::State as Shared;
use axum::response::Response;
use http::StatusCode;
use policy::{Action, Actor, Grant, Resource, Timestamp};
use secrets::{Lease, LeaseStage, LeaseWish, Leased, Product, Renewed};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::found::altered;
use super::lease_roles::role;
use super::rotation_shown::moment;
use super::{path_of, quietly};
use crate::app::App;
use crate::intake::{Caller, Json, Params, Segment, json, page_rows};
use crate::problem::Problem;
use crate::rest::cursors;

/// Of which list a cursor is.
const LIST: &str = "leases";
use crate::tenants::Tenants;
use crate::warden::Warden;

/// Which user is asked for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewLease {
    /// Where the role stands.
    #[schema(example = "prod/db/readers")]
    role: String,
    /// For how long, in seconds; absent: as the role says.
    #[serde(default)]
    secs: Option<u64>,
    /// Of SSH: a public key of one's own, as a line of OpenSSH; absent: one is drawn.
    #[serde(default)]
    #[schema(example = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI... alice@laptop")]
    public_key: Option<String>,
}

/// For how long, from now on.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LongerLease {
    /// In seconds; absent: as long as it was.
    #[serde(default)]
    secs: Option<u64>,
}

/// Why a user is taken off who cannot be ended.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Forgetting {
    /// In a line: who looked at the target, and what was there.
    #[schema(example = "the database was taken down for good")]
    reason: String,
}

/// A lease.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LeaseInfo {
    /// By what it is renewed and given back.
    id: String,
    role: String,
    owner: String,
    driver: &'static str,
    /// Of SSH absent, as the two after it: a certificate counts at every host that trusts the SSH user CA.
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    database: Option<String>,
    /// What the user is called at the target; of SSH in the comment of his key.
    user: String,
    /// Of SSH: the accounts that he logs in to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    accounts: Vec<String>,
    /// Of SSH: his public key.
    #[serde(skip_serializing_if = "Option::is_none")]
    public_key: Option<String>,
    /// `making`, `live`, `ending`, `ended`.
    state: &'static str,
    /// Who asked for it.
    by: String,
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    until: Timestamp,
    /// It is renewed to this moment at most.
    #[schema(value_type = String, format = DateTime)]
    until_max: Timestamp,
    /// How often his end was tried without success.
    #[serde(skip_serializing_if = "Option::is_none")]
    tries: Option<u32>,
    /// What the target said to that.
    #[serde(skip_serializing_if = "Option::is_none")]
    said: Option<String>,
    /// Why somebody took him off who could not be ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    forgotten: Option<String>,
}

/// A user, shown once.
#[derive(Serialize, ToSchema)]
pub(crate) struct LeasedUser {
    #[serde(flatten)]
    lease: LeaseInfo,
    /// With what he logs in; of SSH absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<String>,
    /// Of SSH: the private key that was drawn, in the form of OpenSSH; absent where the key is the caller's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    private_key: Option<String>,
    /// Of SSH: the certificate, one line, for `KEY-cert.pub`.
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate: Option<String>,
    /// The entry of the log that says to whom it was shown.
    leaf: u64,
}

/// A user who lives longer.
#[derive(Serialize, ToSchema)]
pub(crate) struct RenewedUser {
    #[serde(flatten)]
    lease: LeaseInfo,
    /// Of SSH: the certificate that holds from now on, one line.
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate: Option<String>,
}

/// A page of leases.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LeaseList {
    /// Those that did not end, the first due first.
    items: Vec<LeaseInfo>,
    /// What to say as `after` for the next page; absent where this is the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    /// So many rows of this page that are not what the log says: they are left out, and the status names them. Told to whoever may list
    /// everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    altered: Option<u64>,
}

/// Which leases are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct LeaseFilter {
    /// Of this role.
    role: Option<String>,
    /// Where the last page ended; `cursor`, as other lists call it, is the same.
    #[serde(alias = "cursor")]
    after: Option<String>,
    /// So many at most, 1 to 1000.
    limit: Option<u32>,
}

/// Makes a user that lives for a while. His password is in this answer and in no other.
#[utoipa::path(post, path = "/api/v1/secret-leases", tag = "secrets", operation_id = "lease", request_body = NewLease,
    responses((status = 201, description = "The user", body = LeasedUser),
        (status = 409, description = "The target refused, or too many users of the role did not end yet"),
        (status = 503, description = "The target does not answer: nobody was made")))]
pub(crate) async fn post(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Json(new): Json<NewLease>,
) -> Result<Response, Problem> {
    let path = path_of(&new.role)?;
    let (_, grant) = role(&app, &actor, Action::LeaseSecret, &path).await?;
    let (leases, tenants, warden) = (app.leases().clone(), Tenants::of(&app), Warden::lease(&app));
    let wish = LeaseWish { secs: new.secs, public_key: new.public_key };
    let made = async move { leases.lease(grant, &path, wish, &warden, &tenants).await };
    let made = app.secret_to_its_end(made).await;
    // Whoever is there and should not be is ended, and the end of whoever should is known.
    app.lease_asked().notify_one();
    let Leased { lease, password, document, leaf } = made?;
    let shown = Some(password.expose().clone()).filter(|shown| !shown.is_empty());
    let (password, private_key) = if lease.public_key().is_some() { (None, shown) } else { (shown, None) };
    let certificate = document.map(|document| document.text);
    let user = LeasedUser { lease: info(&lease), password, private_key, certificate, leaf };
    Ok(json(StatusCode::CREATED, &user))
}

/// The leases that did not end, of roles that the caller may know of.
#[utoipa::path(get, path = "/api/v1/secret-leases", tag = "secrets", operation_id = "listLeases", params(LeaseFilter),
    responses((status = 200, description = "Leases", body = LeaseList)))]
pub(crate) async fn list(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Params(filter): Params<LeaseFilter>,
) -> Result<Response, Problem> {
    let of = actor.owners.iter().next().cloned();
    let _grant = app.authorize(&actor, Action::ListSecrets, Resource::secret(of, "")).await?;
    let role = filter.role.as_deref().map(path_of).transpose()?;
    let limit = page_rows(filter.limit)?;
    let after = cursors::opened(&app, &actor, LIST, filter.after.as_deref())?;
    let page = app.leases().list(after, limit).await?;
    let next = cursors::sealed(&app, &actor, LIST, page.next)?;
    let may = |lease: &Lease| {
        let on = Resource::secret(Some(lease.owner().clone()), lease.role().as_str());
        let is_of = role.as_ref().is_none_or(|role| role == lease.role());
        is_of && app.authority().policies().permits(&actor, Action::ListSecrets, &on)
    };
    let items = page.items.iter().filter(|lease| may(lease)).map(info).collect();
    let altered = altered(&app, &actor, page.altered);
    Ok(json(StatusCode::OK, &LeaseList { items, next, altered }))
}

/// A lease.
#[utoipa::path(get, path = "/api/v1/secret-leases/{id}", tag = "secrets", operation_id = "showLease",
    params(("id" = String, Path, description = "The lease's name")),
    responses((status = 200, description = "The lease", body = LeaseInfo)))]
pub(crate) async fn show(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Segment(id): Segment,
) -> Result<Response, Problem> {
    let (lease, _grant) = lease(&app, &actor, Action::ListSecrets, &id).await?;
    Ok(json(StatusCode::OK, &info(&lease)))
}

/// Lets a user live longer, from now on.
#[utoipa::path(post, path = "/api/v1/secret-leases/{id}/renew", tag = "secrets", operation_id = "renewLease",
    request_body = LongerLease, params(("id" = String, Path, description = "The lease's name")),
    responses((status = 200, description = "It is renewed", body = RenewedUser),
        (status = 409, description = "It has reached its longest, or the target refused"),
        (status = 410, description = "It is over"),
        (status = 503, description = "The target does not answer")))]
pub(crate) async fn renew(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Segment(id): Segment,
    Json(longer): Json<LongerLease>,
) -> Result<Response, Problem> {
    let (_, grant) = lease(&app, &actor, Action::LeaseSecret, &id).await?;
    let (leases, tenants, warden) = (app.leases().clone(), Tenants::of(&app), Warden::lease(&app));
    let renewed = async move { leases.renew(grant, &id, longer.secs, &warden, &tenants).await };
    let Renewed { lease, document } = app.secret_to_its_end(renewed).await?;
    let renewed = RenewedUser { lease: info(&lease), certificate: document.map(|document| document.text) };
    Ok(json(StatusCode::OK, &renewed))
}

/// Gives a user back: he is ended as soon as the target answers.
#[utoipa::path(delete, path = "/api/v1/secret-leases/{id}", tag = "secrets", operation_id = "endLease",
    params(("id" = String, Path, description = "The lease's name")),
    responses((status = 202, description = "He is being ended", body = LeaseInfo)))]
pub(crate) async fn end(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Segment(id): Segment,
) -> Result<Response, Problem> {
    let (_, grant) = match lease(&app, &actor, Action::LeaseSecret, &id).await {
        // Who keeps the role ends anybody's.
        Err(_) => lease(&app, &actor, Action::WriteSecret, &id).await?,
        ours => ours?,
    };
    let leases = app.leases().clone();
    let lease = app.secret_to_its_end(async move { leases.give_back(grant, &id).await }).await?;
    app.lease_asked().notify_one();
    Ok(json(StatusCode::ACCEPTED, &info(&lease)))
}

/// Takes a user off who cannot be ended: somebody looked at the target, or it is gone for good. The administrator's alone.
#[utoipa::path(post, path = "/api/v1/secret-leases/{id}/forget", tag = "secrets", operation_id = "forgetLease",
    request_body = Forgetting, params(("id" = String, Path, description = "The lease's name")),
    responses((status = 200, description = "It ended", body = LeaseInfo),
        (status = 409, description = "No end of it failed")))]
pub(crate) async fn forget(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Segment(id): Segment,
    Json(forgetting): Json<Forgetting>,
) -> Result<Response, Problem> {
    let (_, grant) = lease(&app, &actor, Action::DestroySecret, &id).await?;
    let leases = app.leases().clone();
    let forgotten = async move { leases.forget(grant, &id, &forgetting.reason).await };
    let lease = app.secret_to_its_end(forgotten).await?;
    app.lease_asked().notify_one();
    Ok(json(StatusCode::OK, &info(&lease)))
}

/// A lease, and the right to do something with it: whoever asked for it, by its role; and whoever keeps the role.
async fn lease(app: &App, actor: &Actor, action: Action, id: &str) -> Result<(Lease, Grant), Problem> {
    let lease = app.leases().look(id).await?;
    let grant = quietly(app, actor, action, Some(lease.owner().clone()), lease.role()).await?;
    match action == Action::LeaseSecret && lease.by() != actor.id {
        true => Err(secrets::SecretError::NotFound("there is no such lease".to_owned()).into()),
        false => Ok((lease, grant)),
    }
}

fn info(lease: &Lease) -> LeaseInfo {
    let (at, (since, until, until_max)) = (lease.at(), lease.times());
    let has_place = at.product != Product::Ssh;
    let trouble = lease.trouble().filter(|_| lease.stage() != LeaseStage::Ended);
    LeaseInfo {
        id: lease.id().to_owned(),
        role: lease.role().to_string(),
        owner: lease.owner().to_string(),
        driver: at.product.as_str(),
        host: has_place.then(|| at.host.clone()),
        port: has_place.then_some(at.port),
        database: at.database.clone(),
        user: lease.user().to_owned(),
        accounts: match at.product {
            Product::Ssh => lease.like().split_whitespace().map(str::to_owned).collect(),
            _ => Vec::new(),
        },
        public_key: lease.public_key().map(str::to_owned),
        state: lease.stage().as_str(),
        by: lease.by().to_owned(),
        since: moment(since),
        until: moment(until),
        until_max: moment(until_max),
        tries: trouble.map(|(tries, _)| tries),
        said: trouble.map(|(_, said)| said.to_owned()),
        forgotten: lease.forgotten().map(str::to_owned),
    }
}
