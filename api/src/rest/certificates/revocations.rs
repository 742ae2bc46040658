//! Many revocations in one act: shown first, then done; above a bound by two persons.

use axum::extract::State as Shared;
use axum::response::Response;
use ca::{Act, Listed, Meant, Proposal, Published, Selection};
use http::StatusCode;
use policy::{Owner, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::ending::ending;
use crate::app::App;
use crate::intake::{Caller, Json, Params, Segment, json};
use crate::problem::Problem;

/// Which certificates, and why. Those that fit all that is said, count now and have not ended; CAs never. One thing at least is said.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ManyWish {
    /// Of this owner.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    owner: Option<Owner>,
    /// Of this profile.
    #[serde(default)]
    profile: Option<String>,
    /// Of this issuer (`tls`), or of one generation of it (`tls/1`).
    #[serde(default)]
    issuer: Option<String>,
    /// For this key: SHA-256 of its SubjectPublicKeyInfo.
    #[serde(default)]
    key_hash: Option<String>,
    /// With exactly this name: `dns:www.example.com`, `ip:10.0.0.1`; of SSH certificates a principal.
    #[serde(default)]
    #[schema(example = "dns:www.example.com")]
    name: Option<String>,
    /// Asked for by this actor, as the log names it.
    #[serde(default)]
    #[schema(example = "token:ann")]
    person: Option<String>,
    /// Of this host: its DNS name or address in a certificate, or its name as an SSH principal.
    #[serde(default)]
    host: Option<String>,
    /// As for one certificate.
    #[serde(default)]
    #[schema(example = "cessation-of-operation")]
    reason: Option<String>,
    /// As for one certificate.
    #[serde(default)]
    #[schema(format = DateTime)]
    invalid: Option<String>,
    /// Say how many that are, and do nothing.
    #[serde(default)]
    preview: bool,
}

/// What an act is, or what became of it.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct ManyState {
    /// `preview`: nothing is done; `proposed`: another person has to confirm it; `done`.
    state: &'static str,
    /// How many certificates.
    count: u64,
    /// SHA-256 over which and why: the same act has the same one.
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    /// Some of them.
    sample: Vec<Sample>,
    /// The proposal's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// Until then it can be confirmed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires: Option<Timestamp>,
    /// It was confirmed before, then, and nothing was left to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    confirmed_at: Option<Timestamp>,
    /// As after one revocation.
    #[serde(skip_serializing_if = "Option::is_none")]
    crl: Option<&'static str>,
}

/// One that is meant.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Sample {
    /// Its serial, hex.
    serial: String,
    /// Its subject, or its names.
    subject: String,
}

impl ManyState {
    fn of(state: &'static str, meant: Meant) -> Self {
        let sample = meant.sample.into_iter().map(|(serial, subject)| Sample { serial, subject }).collect();
        Self { state, count: meant.count, digest: Some(meant.digest), sample, ..Self::default() }
    }

    fn after(act: Act) -> (StatusCode, Self) {
        match act {
            Act::Done { revoked, published } => {
                (StatusCode::OK, Self { state: "done", count: revoked, crl: word(published), ..Self::default() })
            }
            Act::Before { count, at, published } => {
                let (confirmed_at, crl) = (Some(at), word(published));
                (StatusCode::OK, Self { state: "done", count, confirmed_at, crl, ..Self::default() })
            }
            Act::Proposed { id, meant, expires } => {
                let proposed = Self::of("proposed", meant);
                (StatusCode::ACCEPTED, Self { id: Some(id), expires: Some(expires), ..proposed })
            }
        }
    }
}

fn word(published: Published) -> Option<&'static str> {
    match published {
        Published::Now => Some("published"),
        Published::Pending => Some("pending"),
        Published::Never => None,
    }
}

/// Revokes, or puts on hold, all certificates that are meant. More than 100 are proposed: another person confirms them.
#[utoipa::path(post, path = "/api/v1/revocations", tag = "certificates", operation_id = "revokeMany", request_body = ManyWish,
    responses((status = 200, description = "Done, or with `preview` what would be", body = ManyState),
        (status = 202, description = "Proposed: another person confirms it", body = ManyState)))]
pub(crate) async fn post(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Json(wish): Json<ManyWish>,
) -> Result<Response, Problem> {
    let ending = ending(wish.reason.as_deref(), wish.invalid.as_deref())?;
    let ManyWish { owner, profile, issuer, key_hash, name, person, host, preview, .. } = wish;
    let owner = owner.map(|owner| owner.to_string());
    let of = Selection { owner, profile, issuer, key_hash, name, person, host };
    if preview {
        let meant = app.authority().preview(&actor, &of, ending).await?;
        return Ok(json(StatusCode::OK, &ManyState::of("preview", meant)));
    }
    let authority = app.authority().clone();
    let act = app.to_its_end(async move { authority.revoke_many(&actor, of, ending).await }).await?;
    let (status, state) = ManyState::after(act);
    Ok(json(status, &state))
}

/// A proposal.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProposalState {
    /// Its name.
    id: String,
    /// Which certificates, in the words of whoever proposed it.
    #[schema(value_type = Object)]
    of: Selection,
    /// Why.
    reason: String,
    /// Since when their keys are not to be trusted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    invalid: Option<Timestamp>,
    /// How many.
    count: u64,
    /// Exactly which, and why.
    digest: String,
    /// `waiting`; `expired`; `confirmed`, and carried out; `broken-off`: confirmed, and something of it may be left, with which another
    /// person than the one who proposed it goes on.
    state: &'static str,
    /// Some of them.
    sample: Vec<Sample>,
    /// Who proposed it.
    by: String,
    /// Until then it can be confirmed, by another.
    #[schema(value_type = String, format = DateTime)]
    expires: Timestamp,
    /// Who confirmed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    confirmed: Option<String>,
}

impl ProposalState {
    fn of(id: String, proposal: Proposal, now: Timestamp) -> Self {
        let state = match proposal.waits(now) {
            true if proposal.is_broken_off() => "broken-off",
            true => "waiting",
            false if proposal.confirmed.is_some() => "confirmed",
            false => "expired",
        };
        let Proposal {
            of,
            reason,
            invalid,
            count,
            digest,
            leaves: _,
            by,
            hands: _,
            expires,
            sample,
            confirmed,
            done: _,
        } = proposal;
        let sample = sample.into_iter().map(|(serial, subject)| Sample { serial, subject }).collect();
        Self { id, of, reason, invalid, count, digest, state, sample, by, expires, confirmed }
    }
}

/// Which page.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProposalParams {
    /// true: only those that another person may confirm yet.
    waiting: Option<bool>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// A page of proposals.
#[derive(Serialize, ToSchema)]
pub(crate) struct ProposalList {
    items: Vec<ProposalState>,
    /// The cursor of the next page, where there is one. A page may be empty and another follow.
    next: Option<String>,
    /// So many rows of this page that are not what the log says: nothing comes of them; told to who reads the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    altered: Option<u64>,
}

/// Lists the proposals to revoke many, of what the caller may revoke; all of them for who reads the log. Expired and confirmed ones too.
#[utoipa::path(get, path = "/api/v1/revocations", tag = "certificates", operation_id = "listRevocations", params(ProposalParams),
    responses((status = 200, description = "A page", body = ProposalList)))]
pub(crate) async fn list(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Params(params): Params<ProposalParams>,
) -> Result<Response, Problem> {
    let page = app.authority().proposals(&actor, params.waiting == Some(true), params.cursor).await?;
    let Listed { items, next, altered } = page;
    let now = app.world().now();
    let items = items.into_iter().map(|(id, proposal)| ProposalState::of(id, proposal, now)).collect();
    let altered = Some(altered).filter(|count| *count > 0);
    Ok(json(StatusCode::OK, &ProposalList { items, next, altered }))
}

/// Shows a proposal, for who may revoke what it is about, and for who reads the log.
#[utoipa::path(get, path = "/api/v1/revocations/{id}", tag = "certificates", operation_id = "showRevocations",
    params(("id" = String, Path, description = "The proposal's name")),
    responses((status = 200, description = "The proposal", body = ProposalState), (status = 404, description = "No such proposal")))]
pub(crate) async fn show(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Segment(id): Segment,
) -> Result<Response, Problem> {
    let proposal = app.authority().proposal(&actor, &id).await?;
    Ok(json(StatusCode::OK, &ProposalState::of(id, proposal, app.world().now())))
}

/// Carries out what another person proposed, if it is still exactly that.
#[utoipa::path(post, path = "/api/v1/revocations/{id}/confirm", tag = "certificates", operation_id = "confirmRevocations",
    params(("id" = String, Path, description = "The proposal's name")),
    responses((status = 200, description = "Done, now or before", body = ManyState), (status = 404, description = "No such proposal"),
        (status = 409, description = "One's own proposal, an expired one, or another set by now")))]
pub(crate) async fn confirm(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Segment(id): Segment,
) -> Result<Response, Problem> {
    let authority = app.authority().clone();
    let act = app.to_its_end(async move { authority.confirm(&actor, &id).await }).await?;
    let (status, state) = ManyState::after(act);
    Ok(json(status, &state))
}
