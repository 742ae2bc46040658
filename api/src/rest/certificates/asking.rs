//! Asking for a certificate, and for the successor of one.

use axum::body::Bytes;
use axum::extract::{Request, State as Shared};
use axum::response::Response;
use ca::{CertifyRequest, Csr, Lifetime};
use http::{HeaderValue, StatusCode, header};
use policy::{Name, Owner};
use serde::Deserialize;
use store::Issued;
use utoipa::{IntoParams, ToSchema};

use super::card::Certificate;
use super::listing::find;
use super::waiting;
use crate::app::App;
use crate::intake::{Caller, Json, Params, Segment, expect_type, json, media_type, parse_json, read, typed};
use crate::limits::{CSR_BYTES_MAX, JSON_BYTES_MAX};
use crate::problem::{Kind, Problem};

/// RFC 5967: a bare PKCS#10 request.
const PKCS10: &str = "application/pkcs10";
/// RFC 8555 section 9.1.
const PEM_CHAIN: &str = "application/pem-certificate-chain";

/// A request for a certificate.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewCertificate {
    /// What kind of certificate: `tls-server`, `tls-client` ...
    #[schema(example = "tls-server")]
    profile: String,
    /// The certificate request, PEM, at most 16 KiB.
    csr: String,
    /// Whose it is.
    #[schema(value_type = String, example = "web")]
    owner: Owner,
    /// The names; absent: those that the CSR asks for.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>, example = json!(["dns:www.example.internal"]))]
    names: Option<Vec<Name>>,
    /// Its life; absent: the profile's.
    #[serde(default)]
    #[schema(example = 86_400)]
    validity_secs: Option<u64>,
    /// Whether the server renews it by itself, for the same key.
    #[serde(default)]
    renew: bool,
    /// The serial of a certificate of the same owner, which the caller may renew, that this one takes the place of although its
    /// names or its profile are others. Between certificates of the same owner, profile and names this needs no word.
    #[serde(default)]
    replaces: Option<String>,
}

/// The query that goes with a bare CSR.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct BareParams {
    /// With `application/pkcs10`: the profile.
    profile: Option<String>,
    /// With `application/pkcs10`: whose it is.
    #[param(value_type = Option<String>)]
    owner: Option<Owner>,
}

/// Issues a certificate from a CSR: JSON, or a bare `application/pkcs10` body (PEM or DER) with `?profile=&owner=`.
#[utoipa::path(post, path = "/api/v1/certificates", tag = "certificates", operation_id = "issueCertificate", params(BareParams),
    request_body(content((NewCertificate = "application/json"), (String = "application/pkcs10"))),
    responses((status = 201, description = "Issued; a PEM chain where the request was bare",
        content((Certificate = "application/json"), (String = "application/pem-certificate-chain"))),
        (status = 202, description = "Its profile wants others to approve: it waits for them", body = waiting::WaitingRequest)))]
pub(crate) async fn post(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Params(bare): Params<BareParams>,
    request: Request,
) -> Result<Response, Problem> {
    expect_type(request.headers(), &["application/json", PKCS10])?;
    let is_bare = media_type(request.headers()).as_deref() == Some(PKCS10);
    let wish = match is_bare {
        true => bare_wish(bare, read(request, CSR_BYTES_MAX, &app).await?).await?,
        false => wish(&app, parse_json(&read(request, JSON_BYTES_MAX, &app).await?)?).await?,
    };
    if app.authority().profiles().get(&wish.profile).is_some_and(|profile| profile.approvals() > 0) {
        return waiting::ask(&app, actor, wish).await;
    }
    // The hot path: `ca` itself walks intend, sign, conclude in a task of its own, which a hang-up does not reach.
    let issued = app.authority().certify(&actor, wish).await?;
    match is_bare {
        true => {
            let chain = app.authority().chain_pem(&issued);
            Ok(located(typed(StatusCode::CREATED, PEM_CHAIN, chain), &issued))
        }
        false => Ok(created(issued, &app)),
    }
}

async fn wish(app: &App, new: NewCertificate) -> Result<CertifyRequest, Problem> {
    if new.csr.len() > CSR_BYTES_MAX {
        return Err(Problem::new(Kind::TooLarge, format!("A CSR has at most {CSR_BYTES_MAX} bytes.")));
    }
    let replaces = match new.replaces.as_deref() {
        Some(serial) => Some(find(app, serial).await.map_err(|problem| problem.about("replaces"))?.serial_hex()),
        None => None,
    };
    Ok(CertifyRequest {
        profile: new.profile,
        owner: new.owner,
        csr: csr(new.csr).await?,
        names: new.names,
        proven: Default::default(),
        lifetime: new.validity_secs.into(),
        renew: new.renew,
        replaces,
    })
}

async fn bare_wish(params: BareParams, body: Bytes) -> Result<CertifyRequest, Problem> {
    let (Some(profile), Some(owner)) = (params.profile, params.owner) else {
        return Err(Problem::new(Kind::Malformed, "A bare CSR needs ?profile= and ?owner= in the query."));
    };
    let csr = csr(body).await?;
    Ok(CertifyRequest {
        profile,
        owner,
        csr,
        names: None,
        proven: Default::default(),
        lifetime: Lifetime::ByProfile,
        renew: false,
        replaces: None,
    })
}

async fn csr(bytes: impl Into<Vec<u8>>) -> Result<Csr, Problem> {
    Csr::receive(bytes.into()).await.map_err(|error| Problem::field("csr", error.to_string()))
}

/// 201 with the certificate and where it is from now on.
pub(crate) fn created(issued: Issued, app: &App) -> Response {
    let location = location(&issued);
    let mut response = json(StatusCode::CREATED, &Certificate::whole(issued, app));
    response.headers_mut().extend(location.map(|value| (header::LOCATION, value)));
    response
}

fn located(mut response: Response, issued: &Issued) -> Response {
    response.headers_mut().extend(location(issued).map(|value| (header::LOCATION, value)));
    response
}

fn location(issued: &Issued) -> Option<HeaderValue> {
    HeaderValue::try_from(format!("/api/v1/certificates/{}", issued.serial_hex())).ok()
}

/// A renewal.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RenewalWish {
    /// A CSR for a new key; absent: the same key again.
    #[serde(default)]
    csr: Option<String>,
}

/// Issues the successor of a certificate: same names, owner and profile.
#[utoipa::path(post, path = "/api/v1/certificates/{serial}/renew", tag = "certificates", operation_id = "renewCertificate",
    params(("serial" = String, Path, description = "The serial: hex, whole or a beginning that one alone has; of an SSH certificate also decimal")), request_body = RenewalWish,
    responses((status = 201, description = "The successor", body = Certificate),
        (status = 404, description = "No such serial")))]
pub(crate) async fn renew(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Segment(serial): Segment,
    Json(wish): Json<RenewalWish>,
) -> Result<Response, Problem> {
    let csr = match wish.csr {
        None => None,
        Some(text) if text.len() > CSR_BYTES_MAX => {
            return Err(Problem::new(Kind::TooLarge, format!("A CSR has at most {CSR_BYTES_MAX} bytes.")));
        }
        Some(text) => Some(csr(text).await?),
    };
    let serial = find(&app, &serial).await?.serial_hex();
    let authority = app.authority().clone();
    let issued = app.to_its_end(async move { authority.renew(&actor, &serial, csr).await }).await?;
    Ok(created(issued, &app))
}
