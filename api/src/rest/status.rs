//! How the service is: for whoever may know (`/api/v1/status`, `/metrics`), and who the caller is (`/api/v1/whoami`).

use std::collections::BTreeSet;

use axum::extract::State as Shared;
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use policy::{Action, Owner, Resource, ResourceKind, Role, Timestamp};
use secrets::Tally;
use serde::Serialize;
use store::{Filter, State};
use utoipa::ToSchema;

use crate::app::App;
use crate::intake::{Caller, json, typed};
use crate::observe::{BackupStatus, Exposition, HsmStatus, Own, Readings};
use crate::problem::{Problem, chain};

/// The state of the service.
#[derive(Serialize, ToSchema)]
pub(crate) struct Status {
    /// The program's version.
    version: &'static str,
    /// The service's clock.
    #[schema(value_type = String, format = DateTime)]
    now: Timestamp,
    /// The tokens together: ready, if one is.
    hsm: HsmStatus,
    /// Each token, the first first.
    tokens: Vec<TokenStatus>,
    /// Why nothing is issued although the HSM is ready; null when all is well.
    held: Option<String>,
    store: StoreStatus,
    log: LogStatus,
    secrets: SecretCounts,
    ocsp: OcspStatus,
    backup: BackupStatus,
    /// Live credentials by the time they have left.
    expiring: Vec<Expiring>,
    /// What somebody should look at.
    alarms: Vec<String>,
}

/// A token.
#[derive(Serialize, ToSchema)]
struct TokenStatus {
    /// What it is called here.
    name: String,
    /// `ready`, `healing`, `locked`.
    state: &'static str,
    /// What was seen.
    why: Option<String>,
    /// Signatures it made since the service began.
    signatures: u64,
    /// What it was asked for and did not sign.
    failed: u64,
    /// What waits for a session of it now.
    waiting: usize,
}

impl TokenStatus {
    fn all(authority: &ca::Authority, tokens: Vec<(String, ca::TokenHealth)>) -> Vec<Self> {
        let times = authority.signing_times();
        let of = |(name, health): (String, ca::TokenHealth)| {
            let HsmStatus { state, why } = HsmStatus::of(health);
            let of_it = times.iter().find(|(token, _)| *token == name).map(|(_, times)| times);
            Self {
                state,
                why,
                signatures: of_it.map_or(0, |times| times.counts.iter().map(|(_, count)| count).sum()),
                failed: of_it.map_or(0, |times| times.failed),
                waiting: of_it.map_or(0, |times| times.queued),
                name,
            }
        };
        tokens.into_iter().map(of).collect()
    }
}

/// The register.
#[derive(Serialize, ToSchema)]
struct StoreStatus {
    /// Intents without a conclusion; they count as issued.
    intended: u64,
    /// Signed, and neither ended, revoked nor replaced.
    issued: u64,
    /// Ended, and nothing took their place.
    expired: u64,
    /// A later certificate took their place, before their end or after it.
    replaced: u64,
    /// Surely not signed.
    failed: u64,
    /// Revoked.
    revoked: u64,
    certificates: CertificateCounts,
}

/// Certificates alone, of CAs, end entities and SSH: neither CRLs nor OCSP responses, requests or code signatures.
#[derive(Serialize, ToSchema)]
struct CertificateCounts {
    /// Neither ended, revoked nor replaced.
    issued: u64,
    /// Ended, and nothing took their place.
    expired: u64,
    /// Revoked, or on hold.
    revoked: u64,
}

impl CertificateCounts {
    /// Counted by counters, like the rest.
    async fn of(ledger: &store::Ledger, expired: u64) -> Result<Self, store::StoreError> {
        let of = |state, replaced| Filter { certificates: true, state: Some(state), replaced, ..Filter::default() };
        let issued = ledger.count(of(State::Issued, Some(false))).await?.saturating_sub(expired);
        Ok(Self { issued, expired, revoked: ledger.count(of(State::Revoked, None)).await? })
    }
}

/// Secrets: each number is exact up to 10000, and says "at least" from there on.
#[derive(Serialize, ToSchema)]
struct SecretCounts {
    /// There, and not deleted.
    all: u64,
    /// Whose current version has ended.
    expired: u64,
    /// Whose current version ends within 24 hours, 7, 30 and 90 days: each without those before it.
    expiring: Vec<SecretsExpiring>,
    /// Which nobody read for 90 days.
    unread: u64,
    /// Of which a version waits as pending for longer than a day.
    stuck: u64,
}

/// A number of secrets.
#[derive(Serialize, ToSchema)]
struct SecretsExpiring {
    /// `24h`, `7d`, `30d`, `90d`; each without those before it.
    within: &'static str,
    /// How many.
    count: u64,
}

impl SecretCounts {
    fn of(tally: Tally) -> Self {
        let Tally { all, expired, ending, unread, stuck } = tally;
        let words = ["24h", "7d", "30d", "90d"].into_iter().zip(ending);
        let expiring = words.map(|(within, count)| SecretsExpiring { within, count }).collect();
        Self { all, expired, expiring, unread, stuck }
    }
}

/// The log.
#[derive(Serialize, ToSchema)]
struct LogStatus {
    /// Its name.
    origin: String,
    /// Leaves.
    size: u64,
    /// RFC 6962 root over them, hex.
    root: String,
    /// The newest signed head.
    checkpoint: Option<String>,
    audited: Audited,
}

/// How far the service's own audit of its register is. What it finds is an alarm.
#[derive(Serialize, ToSchema)]
struct Audited {
    /// New leaves up to this one were looked at as they came.
    newest: u64,
    /// How many leaves the present round through all of them looked at, the newest first.
    round_at: u64,
    /// Every leaf and row was looked at since then; null until the first round is through.
    #[schema(value_type = Option<String>, format = DateTime)]
    all_since: Option<Timestamp>,
    /// How many findings there were.
    findings: u64,
}

impl From<store::AuditState> for Audited {
    fn from(state: store::AuditState) -> Self {
        let store::AuditState { newest, round_started: _, round_at, all_since, findings } = state;
        Self { newest, round_at, all_since, findings }
    }
}

/// Who answers OCSP requests, and what was asked since the start.
#[derive(Serialize, ToSchema)]
struct OcspStatus {
    /// Those at work: none for an issuer of which nobody asked yet.
    responders: Vec<OcspResponder>,
    /// Responses in memory.
    kept: u64,
    /// Answers from memory.
    answered: u64,
    /// Responses signed.
    signed: u64,
    /// Answers that somebody had too many of.
    limited: u64,
    /// Requests for what the register does not hold.
    unknown: u64,
}

/// An OCSP responder.
#[derive(Serialize, ToSchema)]
struct OcspResponder {
    /// Whose certificates it answers for.
    issuer: String,
    /// When its own certificate ends. It is renewed a week before.
    #[schema(value_type = String, format = DateTime)]
    until: Timestamp,
}

impl From<ca::OcspState> for OcspStatus {
    fn from(state: ca::OcspState) -> Self {
        let responders = state.responders.into_iter().map(|(issuer, until)| OcspResponder { issuer, until });
        Self {
            responders: responders.collect(),
            kept: state.kept,
            answered: state.answered,
            signed: state.signed,
            limited: state.limited,
            unknown: state.strangers + state.alarms,
        }
    }
}

/// A number of live credentials.
#[derive(Serialize, ToSchema)]
struct Expiring {
    /// `24h`, `7d`, `30d`, `90d`, `later`; each without those before it.
    within: &'static str,
    /// How many.
    count: u64,
    /// How many of them somebody is said to renew: the server, an agent, an ACME client.
    renewed: u64,
}

/// Tells the state of the service.
#[utoipa::path(get, path = "/api/v1/status", tag = "status", operation_id = "status",
    responses((status = 200, description = "The state", body = Status)))]
pub(crate) async fn status(Shared(app): Shared<App>, Caller(actor): Caller) -> Result<Response, Problem> {
    let grant = app.authorize(&actor, Action::ReadStatus, Resource::plain(ResourceKind::Status)).await?;
    let (ledger, health) = (app.ledger(), app.authority().health());
    let (counts, head, now) = (ledger.counts().await?, ledger.head(), app.world().now());
    let survey = app.surveyor().survey(&grant, None).await?;
    let status = Status {
        version: env!("CARGO_PKG_VERSION"),
        now,
        alarms: app.lookout().alarms(&grant, app.ends().await).await?,
        hsm: HsmStatus::of(health.token),
        tokens: TokenStatus::all(app.authority(), health.tokens),
        held: health.held,
        store: StoreStatus {
            intended: counts.intended,
            issued: counts.issued.saturating_sub(survey.expired()),
            expired: survey.expired(),
            replaced: counts.replaced,
            failed: counts.failed,
            revoked: counts.revoked,
            certificates: CertificateCounts::of(ledger, survey.expired()).await?,
        },
        log: LogStatus {
            origin: ledger.origin().to_owned(),
            size: head.size,
            root: hex::encode(head.root),
            checkpoint: ledger.checkpoint().await?,
            audited: ledger.audited().into(),
        },
        ocsp: app.authority().ocsp_state().into(),
        secrets: SecretCounts::of(app.keepsakes().survey(&grant).await?.tally),
        backup: app.backups().status(),
        expiring: survey
            .buckets
            .iter()
            .map(|(bucket, expiring)| Expiring {
                within: bucket.as_str(),
                count: expiring.count,
                renewed: expiring.renewed,
            })
            .collect(),
    };
    Ok(json(StatusCode::OK, &status))
}

/// The counters, as Prometheus's text; as OpenMetrics where that is asked for.
#[utoipa::path(get, path = "/metrics", tag = "status", operation_id = "metrics",
    responses((status = 200, description = "The figures",
        content((String = "text/plain"), (String = "application/openmetrics-text")))))]
pub(crate) async fn metrics(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let grant = app.authorize(&actor, Action::ReadStatus, Resource::plain(ResourceKind::Status)).await?;
    let readings = app.lookout().readings(&grant, app.ends().await).await.unwrap_or_else(|problem| {
        // A scrape is most wanted when something is broken: the process's own counters always come.
        tracing::warn!(cause = %chain(&problem), "metrics without the register's readings");
        Readings::default()
    });
    let own = Own { ready: app.lookout().readiness().await.parts().to_vec(), ..app.lookout().own() };
    let text = app.metrics().text(&readings, &own).map_err(|error| Problem::internal(&error))?;
    let exposition = Exposition::asked(&headers);
    Ok(typed(StatusCode::OK, exposition.media_type(), exposition.of(text)))
}

/// Who the caller is.
#[derive(Serialize, ToSchema)]
pub(crate) struct Whoami<'a> {
    /// The name the log knows.
    id: &'a str,
    /// Its roles.
    #[schema(value_type = Vec<String>)]
    roles: &'a BTreeSet<Role>,
    /// The owners it belongs to.
    #[schema(value_type = Vec<String>)]
    owners: &'a BTreeSet<Owner>,
    /// The only actions it may do; null: all that its roles may.
    #[schema(value_type = Option<Vec<String>>)]
    scopes: &'a Option<BTreeSet<Action>>,
    /// How it proved itself: `token:ID`, `client-certificate:SERIAL`.
    proof: String,
    /// By what it proved a second factor beside that: `totp`, `recovery-code`; null: it did not, or too long ago.
    second_factor: Option<&'static str>,
}

/// Tells the caller who it is. Needs no grant: it says back what the caller has just proved.
#[utoipa::path(get, path = "/api/v1/whoami", tag = "status", operation_id = "whoami",
    responses((status = 200, description = "The caller", body = Whoami<'_>)))]
pub(crate) async fn whoami(Caller(actor): Caller) -> Response {
    let proof = actor.proof.to_string();
    let second_factor = actor.second_factor.map(|factor| factor.method.as_str());
    let (id, roles, owners, scopes) = (&actor.id, &actor.roles, &actor.owners, &actor.scopes);
    let whoami = Whoami { id, roles, owners, scopes, proof, second_factor };
    json(StatusCode::OK, &whoami)
}
