//! The end of a certificate, by its serial, by itself, by its key; and the end of a hold.

use axum::extract::{Request, State as Shared};
use axum::response::Response;
use ca::{Csr, Ending, Published, RevocationReason};
use http::StatusCode;
use policy::Timestamp;
use serde::{Deserialize, Serialize};
use store::State;
use utoipa::ToSchema;

use super::card::Certificate;
use super::listing::find;
use super::word;
use crate::app::App;
use crate::auth::AuthError;
use crate::edge::Peer;
use crate::intake::{Caller, Json, Segment, expect_type, json, parse_json, read};
use crate::limits::{CSR_BYTES_MAX, JSON_BYTES_MAX};
use crate::problem::{Kind, Problem};

/// Why a certificate is revoked.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RevocationWish {
    /// `unspecified`, `key-compromise`, `ca-compromise` (of a CA), `affiliation-changed`, `superseded`,
    /// `cessation-of-operation`, `certificate-hold` (until it is released or ends for good), `privilege-withdrawn`.
    #[serde(default)]
    #[schema(example = "superseded")]
    reason: Option<String>,
    /// Since when its key is known or suspected to be in other hands, RFC 3339.
    #[serde(default)]
    #[schema(format = DateTime)]
    invalid: Option<String>,
    /// Said of the certificate of a CA, whose end is the end of all that it issued; else that is refused.
    #[serde(default)]
    ca: bool,
}

fn on_crl(published: Published) -> Option<&'static str> {
    match published {
        Published::Now => Some("published"),
        Published::Pending => Some("pending"),
        Published::Never => None,
    }
}

/// Revokes a certificate; the answer says whether its CRL is published.
#[utoipa::path(post, path = "/api/v1/certificates/{serial}/revoke", tag = "certificates", operation_id = "revokeCertificate",
    params(("serial" = String, Path, description = "The serial: hex, whole or a beginning that one alone has; of an SSH certificate also decimal")), request_body = RevocationWish,
    responses((status = 200, description = "Revoked", body = Certificate), (status = 404, description = "No such serial"),
        (status = 409, description = "Revoked before, or a CA's and not said to be")))]
pub(crate) async fn revoke(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Segment(serial): Segment,
    Json(wish): Json<RevocationWish>,
) -> Result<Response, Problem> {
    let ending = ending(wish.reason.as_deref(), wish.invalid.as_deref())?;
    let found = find(&app, &serial).await?;
    if found.kind == store::Kind::CaCertificate && !wish.ca {
        return Err(ends_much(&found.subject));
    }
    let serial = found.serial_hex();
    let (authority, of) = (app.authority().clone(), serial.clone());
    let published = app.to_its_end(async move { authority.revoke(&actor, &of, ending).await }).await?;
    stands(&app, &serial, published).await
}

/// Releases a certificate from its hold: it counts again. What is on no hold stays as it is.
#[utoipa::path(post, path = "/api/v1/certificates/{serial}/release", tag = "certificates", operation_id = "releaseCertificate",
    params(("serial" = String, Path, description = "The serial: hex, whole or a beginning that one alone has; of an SSH certificate also decimal")),
    responses((status = 200, description = "It counts", body = Certificate), (status = 404, description = "No such serial"),
        (status = 409, description = "It was revoked for good, or has ended")))]
pub(crate) async fn release(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Segment(serial): Segment,
) -> Result<Response, Problem> {
    let serial = find(&app, &serial).await?.serial_hex();
    let (authority, of) = (app.authority().clone(), serial.clone());
    let published = app.to_its_end(async move { authority.release(&actor, &of).await }).await?;
    stands(&app, &serial, published).await
}

/// A certificate as it stands, with where its CRL does.
async fn stands(app: &App, serial: &str, published: Published) -> Result<Response, Problem> {
    let there = Certificate::row(find(app, serial).await?.into_inner(), app.world().now());
    Ok(json(StatusCode::OK, &there.on_crl(on_crl(published))))
}

/// Why, and since when a key is not to be trusted.
pub(crate) fn ending(reason: Option<&str>, invalid: Option<&str>) -> Result<Ending, Problem> {
    let reason = word("reason", reason)?.unwrap_or(RevocationReason::Unspecified);
    let invalid = invalid.map(|at| {
        let says = |e| Problem::field("invalid", format!("{e}; write it as 2027-03-01T12:00:00Z"));
        Timestamp::parse_rfc3339(at).map_err(says)
    });
    Ok(Ending { reason, invalid: invalid.transpose()? })
}

/// The end of a CA is asked for twice.
fn ends_much(subject: &str) -> Problem {
    let says = format!(
        "{subject} is the certificate of a CA: everything that it issued ends with it. Say \"ca\": true where that is meant."
    );
    Problem::new(Kind::Conflict, says).about("ca")
}

/// A certificate that is shown to be revoked.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ShownWish {
    /// The certificate, PEM.
    certificate: String,
    /// As for a serial.
    #[serde(default)]
    #[schema(example = "key-compromise")]
    reason: Option<String>,
    /// As for a serial.
    #[serde(default)]
    #[schema(format = DateTime)]
    invalid: Option<String>,
    /// As for a serial.
    #[serde(default)]
    ca: bool,
}

/// What became of it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ShownState {
    serial: String,
    state: &'static str,
    /// The register does not hold it: it was put back to before it, and the CRL alone speaks of it.
    lost: bool,
    /// As after a revocation by serial.
    crl: Option<&'static str>,
}

/// Revokes a certificate that is shown, also one that the register lost: a CA of this authority signed it.
#[utoipa::path(post, path = "/api/v1/certificates/revoke", tag = "certificates", operation_id = "revokeShownCertificate",
    request_body = ShownWish, responses((status = 200, description = "Revoked", body = ShownState),
        (status = 422, description = "No CA of this authority signed it"), (status = 409, description = "Revoked before")))]
pub(crate) async fn revoke_shown(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Json(wish): Json<ShownWish>,
) -> Result<Response, Problem> {
    let ending = ending(wish.reason.as_deref(), wish.invalid.as_deref())?;
    if wish.certificate.len() > CSR_BYTES_MAX {
        return Err(Problem::new(Kind::TooLarge, format!("A certificate has at most {CSR_BYTES_MAX} bytes.")));
    }
    if let Some(subject) = app.authority().shown_ca(wish.certificate.as_bytes())?.filter(|_| !wish.ca) {
        return Err(ends_much(&subject));
    }
    let authority = app.authority().clone();
    let revoked = app
        .to_its_end(async move { authority.revoke_shown(&actor, wish.certificate.as_bytes(), ending).await })
        .await?;
    let (state, crl) = (State::Revoked.as_str(), on_crl(revoked.published));
    let state = ShownState { serial: revoked.serial_hex, state, lost: revoked.is_lost, crl };
    Ok(json(StatusCode::OK, &state))
}

/// A certificate, and the proof that its key is in the hands of whoever asks.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProofWish {
    /// The certificate, PEM.
    certificate: String,
    /// A certificate request by its own key, PEM, with the subject `/O=revoke key-compromise/CN=` and the SHA-256 of the
    /// certificate's DER in hexadecimal.
    proof: String,
}

/// Revokes a certificate as compromised for whoever holds its key. No credential is needed: the proof is one.
#[utoipa::path(post, path = "/api/v1/certificates/revoke-by-key", tag = "certificates", operation_id = "revokeCertificateByKey",
    request_body = ProofWish, security(()), responses((status = 200, description = "Revoked, now or before", body = ShownState),
        (status = 422, description = "No CA of this authority signed it, it is a CA's, or the proof is none of its key"),
        (status = 429, description = "Too many proofs that proved nothing, of this address")))]
pub(crate) async fn revoke_by_key(Shared(app): Shared<App>, request: Request) -> Result<Response, Problem> {
    let from = request.extensions().get::<Peer>().map(Peer::ip);
    if app.doorkeeper().has_guessed_enough(from) {
        return Err(Problem::from(AuthError::Throttled));
    }
    expect_type(request.headers(), &["application/json"])?;
    let wish: ProofWish = parse_json(&read(request, JSON_BYTES_MAX, &app).await?)?;
    let proven = proven(&app, wish).await;
    let revoked = proven.inspect_err(|problem| {
        if matches!(problem.kind(), Kind::Unacceptable | Kind::Malformed | Kind::TooLarge) {
            app.doorkeeper().guessed(from);
        }
    })?;
    let (state, crl) = (State::Revoked.as_str(), on_crl(revoked.published));
    Ok(json(StatusCode::OK, &ShownState { serial: revoked.serial_hex, state, lost: revoked.is_lost, crl }))
}

async fn proven(app: &App, wish: ProofWish) -> Result<ca::ShownRevoked, Problem> {
    if wish.certificate.len().max(wish.proof.len()) > CSR_BYTES_MAX {
        return Err(Problem::new(
            Kind::TooLarge,
            format!("A certificate and a proof have at most {CSR_BYTES_MAX} bytes."),
        ));
    }
    let proof = Csr::receive(wish.proof.into_bytes()).await.map_err(|e| Problem::field("proof", e.to_string()))?;
    let authority = app.authority().clone();
    app.to_its_end(async move { authority.revoke_by_key(wish.certificate.as_bytes(), &proof).await }).await
}
