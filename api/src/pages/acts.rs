//! What a page's forms do: renew, revoke. Each form has a word that only a page of ours to this visitor can have, and a box that
//! says that it is meant.

use std::str::FromStr;
use std::sync::Arc;

use axum::extract::{Request, State as Shared};
use axum::response::Response;
use ca::RevocationReason;
use policy::Actor;
use serde::Deserialize;

use super::frame::{parse_form, same_origin, see};
use super::session::Visitor;
use crate::app::App;
use crate::intake::{Segment, expect_type, read};
use crate::problem::{Kind, Problem};
use crate::rest::certificates::find;

/// What the forms are called, in their addresses.
pub(super) const RENEW: &str = "renew";
pub(super) const REVOKE: &str = "revoke";
/// Three short fields.
const FORM_BYTES_MAX: usize = 1_024;

/// What a form's word is about.
pub(super) fn about(act: &str, serial: &str) -> String {
    format!("{act} {serial}")
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Sent {
    word: String,
    meant: String,
    reason: String,
}

/// `POST /certificates/{serial}/renew`: a successor for the same key; then its page.
pub(super) async fn renew(
    Shared(app): Shared<App>,
    Visitor(actor): Visitor,
    Segment(serial): Segment,
    request: Request,
) -> Result<Response, Problem> {
    let (serial, _) = sent(&app, &actor, RENEW, &serial, request).await?;
    let authority = app.authority().clone();
    let issued = app.to_its_end(async move { authority.renew(&actor, &serial, None).await }).await?;
    Ok(see(&format!("/certificates/{}", issued.serial_hex())))
}

/// `POST /certificates/{serial}/revoke`; then its page again.
pub(super) async fn revoke(
    Shared(app): Shared<App>,
    Visitor(actor): Visitor,
    Segment(serial): Segment,
    request: Request,
) -> Result<Response, Problem> {
    let (serial, sent) = sent(&app, &actor, REVOKE, &serial, request).await?;
    let reason = RevocationReason::from_str(&sent.reason);
    let reason = reason.map_err(|error| Problem::field("reason", error.to_string()))?;
    let (authority, of) = (app.authority().clone(), serial.clone());
    app.to_its_end(async move { authority.revoke(&actor, &of, reason).await }).await?;
    Ok(see(&format!("/certificates/{serial}")))
}

/// The serial and the fields of a form that was sent by a page of ours, and meant.
async fn sent(
    app: &App,
    actor: &Arc<Actor>,
    act: &str,
    serial: &str,
    request: Request,
) -> Result<(String, Sent), Problem> {
    same_origin(request.headers(), request.uri())?;
    expect_type(request.headers(), &["application/x-www-form-urlencoded"])?;
    let body = read(request, FORM_BYTES_MAX, app).await?;
    let sent: Sent = parse_form(&body).ok_or_else(|| Problem::new(Kind::Malformed, "This is no form of ours."))?;
    let serial = find(app, serial).await?.serial_hex();
    if !app.sessions().is_form_word(&actor.proof.to_string(), &about(act, &serial), &sent.word) {
        let again =
            "This form is not from a page of this service to you, or from before its last start: load the page again.";
        return Err(Problem::new(Kind::Refused, again));
    }
    if sent.meant != "yes" {
        return Err(Problem::field("meant", "Nothing was done: tick the box that says that it is meant."));
    }
    Ok((serial, sent))
}
