//! Where a certificate that the server renewed by itself went: the first time that somebody is given it, that is put on record.
//!
//! The server puts a successor into the register, and nobody has it until somebody fetches it. So "renewed" would say more than is
//! so; this says who was given it, and from where, or that nobody was.

use std::net::IpAddr;

use axum::extract::Request;
use http::HeaderValue;
use policy::{Actor, Timestamp};
use serde::{Deserialize, Serialize};
use store::{ActorStamp, Credential, Record, StoreError};
use utoipa::ToSchema;

use crate::app::App;
use crate::edge::Peer;

/// The kind of the record; its id is the serial.
const KIND: &str = "fetched";
/// Who renews by itself.
const RENEWAL: &str = "system:renewal";

/// Who was first given a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Fetched {
    /// Whom the log knows.
    pub(crate) by: String,
    /// The address it asked from.
    pub(crate) from: Option<String>,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub(crate) at: Timestamp,
}

/// Whether it waits to be fetched by somebody: what others ask for is in the answer to them.
pub(crate) fn waits(credential: &Credential) -> bool {
    credential.actor.id == RENEWAL && credential.actor.proof == "system" && credential.signature.is_some()
}

/// Who was first given it; none: nobody.
pub(crate) async fn first(app: &App, credential: &Credential) -> Result<Option<Fetched>, StoreError> {
    if !waits(credential) {
        return Ok(None);
    }
    let record = app.ledger().record_get(KIND, &credential.serial_hex()).await?;
    Ok(record.and_then(|record| serde_json::from_value(record.body.clone()).ok()))
}

/// Where somebody asks from.
pub(crate) struct Asked {
    from: Option<IpAddr>,
    /// Whether a browser asks because another site's page had it do so: what it is given nobody takes.
    foreign: bool,
}

impl Asked {
    /// By a request.
    pub(crate) fn by(request: &Request) -> Self {
        let site = request.headers().get("sec-fetch-site").map(HeaderValue::as_bytes);
        let foreign = matches!(site, Some(b"cross-site" | b"same-site"));
        Self { from: request.extensions().get::<Peer>().map(Peer::ip), foreign }
    }
}

/// It is given to somebody now. What cannot be written keeps nobody from being given it.
pub(crate) async fn given(app: &App, actor: &Actor, Asked { from, foreign }: Asked, credential: &Credential) {
    if foreign || !waits(credential) || !matches!(first(app, credential).await, Ok(None)) {
        return;
    }
    let fetched = Fetched { by: actor.id.clone(), from: from.map(|ip| ip.to_string()), at: app.world().now() };
    let record = Record {
        kind: KIND,
        id: credential.serial_hex(),
        owner: credential.owner.as_ref().map(|owner| owner.as_str().to_owned()),
        lookup: None,
        expires: credential.validity.map(|validity| validity.not_after()),
        body: serde_json::json!(fetched),
        actor: ActorStamp::from(actor),
        // Another may have been a moment faster.
        expect: Some(0),
    };
    match app.ledger().record(vec![record]).await {
        Ok(_) | Err(StoreError::Conflict(_)) => {}
        Err(error) => tracing::warn!(%error, "who fetched a renewed certificate is not on record"),
    }
}
