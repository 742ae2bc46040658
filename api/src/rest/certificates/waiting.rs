//! A request that waits for others, as it is shown; and how one comes to be.

use std::sync::Arc;

use axum::response::Response;
use ca::{CertifyRequest, Said, Waiting, WaitingState};
use http::{HeaderValue, StatusCode, header};
use policy::{Actor, Name, Owner, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::intake::json;
use crate::problem::Problem;

/// A request for a certificate that waits for others.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WaitingRequest {
    /// Its name.
    id: String,
    /// `waiting`; `approved`: who asked collects it; `refused`; `expired`; `collected`.
    state: &'static str,
    /// Under which profile.
    profile: String,
    /// Whose certificate it would be.
    #[schema(value_type = String)]
    owner: Owner,
    /// For which names.
    #[schema(value_type = Vec<String>)]
    names: Vec<Name>,
    /// The certificate request, PEM.
    csr: String,
    /// How long it is to live; absent: as the profile says.
    #[serde(skip_serializing_if = "Option::is_none")]
    validity_secs: Option<u64>,
    /// The serial of the one whose place it takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    replaces: Option<String>,
    /// Who asked, as the log names them.
    by: String,
    /// Until then it is approved and collected.
    #[schema(value_type = String, format = DateTime)]
    expires: Timestamp,
    /// How many others are to approve.
    needs: u8,
    /// Who did.
    approved: Vec<Word>,
    /// Who refused it.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<Word>,
    /// The serial of what came of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    serial: Option<String>,
}

/// One word of one person.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Word {
    /// Who.
    by: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl From<Said> for Word {
    fn from(said: Said) -> Self {
        Self { by: said.by, at: said.at, reason: said.why }
    }
}

impl WaitingRequest {
    pub(super) fn of(id: String, waiting: Waiting, now: Timestamp) -> Self {
        let state = WaitingState::as_str(waiting.state(now));
        let Waiting { profile, owner, names, csr, validity_secs, replaces, by, expires, needs, .. } = waiting;
        Self {
            id,
            state,
            profile,
            owner,
            names,
            csr,
            validity_secs,
            replaces,
            by,
            expires,
            needs,
            approved: waiting.approved.into_iter().map(Word::from).collect(),
            refused: waiting.refused.map(Word::from),
            serial: waiting.serial,
        }
    }
}

/// A request under a profile that wants others to approve: written down, and 202 with where it is.
pub(super) async fn ask(app: &App, actor: Arc<Actor>, wish: CertifyRequest) -> Result<Response, Problem> {
    let authority = app.authority().clone();
    let (id, waiting) = app.to_its_end(async move { authority.ask(&actor, wish).await }).await?;
    let location = HeaderValue::try_from(format!("/api/v1/requests/{id}")).ok();
    let mut response = json(StatusCode::ACCEPTED, &WaitingRequest::of(id, waiting, app.world().now()));
    response.headers_mut().extend(location.map(|value| (header::LOCATION, value)));
    Ok(response)
}
