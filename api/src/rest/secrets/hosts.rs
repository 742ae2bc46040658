//! SSH keys on hosts over HTTP: which public keys a host is to have, and which it says that it has.
//!
//! Asking opens nothing, and is no entry of the log. Whoever reports is the host's own agent, by its certificate; what it says is a record.
//! Whoever may write the secret has a host forgotten that is gone.

use std::sync::Arc;

use axum::extract::State as Shared;
use axum::response::Response;
use http::StatusCode;
use policy::{Action, Actor, Name, Proof, Timestamp};
use secrets::{HostReport, KeysInForce, Product, Secret, SecretPath, Turning};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::found::altered;
use super::rotation_shown::{SilentHost, moment, seconds};
use super::{granted, path_of};
use crate::app::App;
use crate::intake::{Caller, Json, Params, Segment, json};
use crate::problem::Problem;

/// The public keys of a secret that hosts are to have now.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HostKeyList {
    path: String,
    /// Whose keys they are at the hosts, as the rotation says; absent where none is set up.
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<String>,
    /// All of them: what is not here any more is taken away.
    keys: Vec<HostKeyInfo>,
}

/// A public key.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HostKeyInfo {
    /// Of which version.
    version: u64,
    /// Its line, without a comment.
    #[schema(example = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI...")]
    line: String,
    /// As `ssh-keygen -l` writes it.
    #[schema(example = "SHA256:uNiVztksCsDhcc0u9e8BrYoXbzzXxxxxxxxxxxxxxxx")]
    fingerprint: String,
}

/// What a host says that it has.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewHostReport {
    /// The host, one of the names in the caller's certificate; absent: the only one there.
    #[serde(default)]
    host: Option<String>,
    /// Fingerprints of the secret's keys that stand there, as `ssh-keygen -l` writes them.
    fingerprints: Vec<String>,
}

/// What a host said that it has.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HostReportInfo {
    host: String,
    fingerprints: Vec<String>,
    /// When it said so first.
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
    /// When it was written down last that it does: each week, while its agent runs.
    #[schema(value_type = String, format = DateTime)]
    heard: Timestamp,
    /// Whether that is longer ago than 30 days: it makes room for another host.
    silent: bool,
}

/// What hosts said.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HostReportList {
    /// By host.
    items: Vec<HostReportInfo>,
    /// So many rows that are not what the log says: they are left out, the status names them, and each host's next report takes the place of
    /// its own. Told to whoever may list everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    altered: Option<u64>,
}

/// Which host is forgotten.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct ForgottenHost {
    /// The host, as its reports have it.
    host: String,
}

/// The public keys of a secret that hosts are to have now: of the current version, of the one to come, and of the one before while it
/// overlaps. Nothing is opened.
#[utoipa::path(get, path = "/api/v1/ssh-host-keys/{path}", tag = "secrets", operation_id = "showHostKeys",
    params(("path" = String, Path, description = "Where the secret stands, with its slashes")),
    responses((status = 200, description = "The keys", body = HostKeyList)))]
pub(crate) async fn keys(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Segment(path): Segment,
) -> Result<Response, Problem> {
    let path = path_of(&path)?;
    // What was destroyed is in force nowhere: its lines go, as those of what is deleted do.
    let gone = app.vault().look(&path).await?.filter(Secret::is_gone);
    let secret = match gone {
        Some(gone) => {
            super::quietly(&app, &actor, Action::ListSecrets, Some(gone.owner().clone()), &path).await?;
            Arc::new(gone)
        }
        None => granted(&app, &actor, Action::ListSecrets, &path).await?.0,
    };
    let KeysInForce { keys, account } = app.host_keys().in_force(&secret).await?;
    let keys =
        keys.into_iter().map(|key| HostKeyInfo { version: key.version, line: key.line, fingerprint: key.fingerprint });
    Ok(json(StatusCode::OK, &HostKeyList { path: path.to_string(), account, keys: keys.collect() }))
}

/// What hosts said that they have of a secret's keys.
#[utoipa::path(get, path = "/api/v1/ssh-host-reports/{path}", tag = "secrets", operation_id = "listHostReports",
    params(("path" = String, Path, description = "Where the secret stands, with its slashes")),
    responses((status = 200, description = "By host", body = HostReportList)))]
pub(crate) async fn reports(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Segment(path): Segment,
) -> Result<Response, Problem> {
    let path = path_of(&path)?;
    let _granted = granted(&app, &actor, Action::ListSecrets, &path).await?;
    let page = app.host_keys().reports(&path).await?;
    let altered = altered(&app, &actor, page.altered);
    let items = page.items.into_iter().map(|report| info(&app, report)).collect();
    Ok(json(StatusCode::OK, &HostReportList { items, altered }))
}

/// A host says which of a secret's keys it has: its own agent does, by its certificate.
#[utoipa::path(put, path = "/api/v1/ssh-host-reports/{path}", tag = "secrets", operation_id = "reportHostKeys",
    request_body = NewHostReport,
    params(("path" = String, Path, description = "Where the secret stands, with its slashes")),
    responses((status = 200, description = "It is taken down", body = HostReportInfo)))]
pub(crate) async fn report(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Segment(path): Segment,
    Json(new): Json<NewHostReport>,
) -> Result<Response, Problem> {
    let path: SecretPath = path_of(&path)?;
    let (secret, grant) = granted(&app, &actor, Action::ListSecrets, &path).await?;
    let host = host(&actor, new.host.as_deref())?;
    let (keys, fingerprints) = (app.host_keys().clone(), new.fingerprints);
    let said = async move { keys.report(grant, (&path, secret.owner()), (&host, fingerprints)).await };
    let report = app.secret_to_its_end(said).await?;
    app.rotation_asked().notify_one();
    Ok(json(StatusCode::OK, &info(&app, report)))
}

/// Forgets what a host said, so that there is room for another: it is gone for good. One whose agent runs says it again within an hour. A
/// rotation that names the host waits for it as before: set that up without it.
#[utoipa::path(delete, path = "/api/v1/ssh-host-reports/{path}", tag = "secrets", operation_id = "forgetHost",
    params(("path" = String, Path, description = "Where the secret stands, with its slashes"), ForgottenHost),
    responses((status = 204, description = "It is forgotten"), (status = 409, description = "Its agent spoke at this moment")))]
pub(crate) async fn forget(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Segment(path): Segment,
    Params(forgotten): Params<ForgottenHost>,
) -> Result<StatusCode, Problem> {
    let path: SecretPath = path_of(&path)?;
    let (secret, grant) = granted(&app, &actor, Action::WriteSecret, &path).await?;
    let keys = app.host_keys().clone();
    let done = async move { keys.forget(grant, (&path, secret.owner()), &forgotten.host).await };
    app.secret_to_its_end(done).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The hosts of a rotation of SSH keys that it may wait for.
#[derive(Default)]
pub(super) struct Waiting {
    /// Those whose agents have not said yet that they have exactly the keys that are in force.
    pub lacks: Vec<String>,
    /// Those whose agents said something once, and were silent since.
    pub silent: Vec<SilentHost>,
}

/// What the hosts of a rotation of SSH keys said, as far as it may wait for them.
pub(super) async fn waiting(app: &App, turning: &Turning) -> Result<Waiting, Problem> {
    let secret = match turning.at().product {
        Product::Ssh => app.vault().look(turning.path()).await?,
        _ => None,
    };
    let Some(secret) = secret else { return Ok(Waiting::default()) };
    let mut wanted: Vec<String> =
        app.host_keys().in_force(&secret).await?.keys.into_iter().map(|key| key.fingerprint).collect();
    wanted.sort();
    let reports = app.host_keys().reports(turning.path()).await?.items;
    let hosts = drivers::ssh_hosts(&turning.at().host, turning.at().port);
    let hosts = hosts.map_err(|error| Problem::field("host", error.to_string()))?;
    let now = seconds(app.world().now());
    let mut waiting = Waiting::default();
    for host in hosts {
        let report = reports.iter().find(|report| report.host == host.name);
        if let Some(silent) = report.filter(|report| report.is_silent(now)) {
            waiting.silent.push(SilentHost { host: host.name.clone(), heard: moment(silent.at) });
        }
        if report.is_none_or(|report| report.fingerprints != wanted) {
            waiting.lacks.push(host.name);
        }
    }
    Ok(waiting)
}

/// For which host an agent speaks: one that its certificate names.
fn host(actor: &Actor, said: Option<&str>) -> Result<String, Problem> {
    let Proof::ClientCertificate { names, .. } = &actor.proof else {
        return Err(Problem::field(
            "host",
            "A host reports by the certificate of its own agent ([identity] of its plan).",
        ));
    };
    let is_host = |name: &&Name| matches!(name, Name::Dns(_) | Name::Ip(_));
    let mut hosts = names.iter().filter(is_host).map(bare);
    match said {
        Some(said) => hosts
            .find(|host| host.eq_ignore_ascii_case(said))
            .ok_or_else(|| Problem::field("host", "The caller's certificate does not name this host.")),
        None => match (hosts.next(), hosts.next()) {
            (Some(host), None) => Ok(host),
            _ => Err(Problem::field("host", "The caller's certificate names several hosts, or none: say which it is.")),
        },
    }
}

fn bare(name: &Name) -> String {
    match name {
        Name::Dns(name) => name.to_string(),
        Name::Ip(address) => address.to_string(),
        Name::Email(_) | Name::Uri(_) | Name::Upn(_) => String::new(),
    }
}

fn info(app: &App, report: HostReport) -> HostReportInfo {
    let silent = report.is_silent(seconds(app.world().now()));
    let HostReport { host, fingerprints, since, at, .. } = report;
    HostReportInfo { host, fingerprints, since: moment(since), heard: moment(at), silent }
}
