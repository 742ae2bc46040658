//! A CA that comes with what it signed elsewhere: its beginning, its certificates some at a time, its end.
//!
//! The form in which another program keeps them is read by the client; what comes here is certificates and revocations, each judged by the
//! room below as a stranger's.

use axum::extract::{Request, State as Shared};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ca::estates::Ended;
use ca::{ARRIVING_MAX, Arrival, Arrived, Arriving, GenerationName, Landed, Source};
use http::StatusCode;
use policy::{Owner, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::App;
use crate::intake::{Json, ManagesAuthority, Permitted, Segments, expect_type, json, parse_json, read};
use crate::limits::IMPORT_BYTES_MAX;
use crate::problem::{Kind, Problem};
use crate::rest::issuers::fingerprint;

/// A CA that comes with what it signed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewArrival {
    /// What it will be called here.
    #[schema(example = "legacy")]
    name: String,
    /// The label of its key in the token.
    key_label: String,
    /// Its key was outside the token: a copy of it may be anywhere.
    #[serde(default)]
    key_was_outside: bool,
    /// The token that has it; the first where nobody says.
    #[serde(default)]
    token: Option<String>,
    /// Its certificate first, and those above it, PEM.
    chain: String,
    /// SHA-256 of the root, where that is not known here; not from the file that has the chain.
    #[serde(default)]
    fingerprint: Option<String>,
    /// It signs CAs alone.
    #[serde(default)]
    cas_only: bool,
    /// The number of the newest CRL that was made of it elsewhere.
    #[serde(default)]
    crl_number: Option<u64>,
    /// Say what would be, and write nothing.
    #[serde(default)]
    dry_run: bool,
}

/// How it stands.
#[derive(Serialize, ToSchema)]
pub(crate) struct ArrivalState {
    /// What it is called here.
    #[schema(example = "legacy/1")]
    name: String,
    /// It was not here before.
    is_new: bool,
    /// It signs nothing yet: what it signed elsewhere is being taken in.
    arriving: bool,
    /// The number of the newest CRL that was published here.
    crl_published: Option<u64>,
    /// The least number that its next CRL may have.
    crl_next: u64,
}

impl From<Arrived> for ArrivalState {
    fn from(arrived: Arrived) -> Self {
        let Arrived { name, is_new, arriving, published, next } = arrived;
        Self { name: name.to_string(), is_new, arriving, crl_published: published, crl_next: next }
    }
}

/// Writes down a CA that comes with what it signed elsewhere: until that is taken in it signs nothing, no CRL either. Asked again, it goes on.
#[utoipa::path(post, path = "/api/v1/issuers/import/begin", tag = "issuers", operation_id = "beginImport", request_body = NewArrival,
    responses((status = 200, description = "How it stands, or would", body = ArrivalState),
        (status = 409, description = "The name or the key is in use")))]
pub(crate) async fn begin(
    Shared(app): Shared<App>,
    Permitted { actor, .. }: Permitted<ManagesAuthority>,
    Json(new): Json<NewArrival>,
) -> Result<Response, Problem> {
    let authority = app.authority().clone();
    let NewArrival { name, key_label, key_was_outside, token, chain, fingerprint: root, cas_only, crl_number, dry_run } =
        new;
    let root = fingerprint(root.as_deref())?;
    let arrival = Arrival {
        name,
        label: key_label,
        chain_pem: chain.into_bytes(),
        leaves: !cas_only,
        token,
        was_outside: key_was_outside,
        root,
        crl_number,
    };
    let arrived = app.to_its_end(async move { authority.import_begin(&actor, arrival, dry_run).await }).await?;
    Ok(json(StatusCode::OK, &ArrivalState::from(arrived)))
}

/// How a certificate ended.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ArrivingEnd {
    /// From when.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// The CRLReason code.
    reason: u8,
    /// Since when its key is not to be trusted.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    invalid: Option<Timestamp>,
}

/// One of what it signed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ArrivingItem {
    /// The certificate, DER in base64.
    #[serde(default)]
    certificate: Option<String>,
    /// The serial in hexadecimal, where there is no certificate.
    #[serde(default)]
    serial: Option<String>,
    /// When such a certificate ends, where that is known.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
    /// How it ended; absent where it did not.
    #[serde(default)]
    revoked: Option<ArrivingEnd>,
}

/// Some of what it signed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ArrivingItems {
    /// At most 128.
    items: Vec<ArrivingItem>,
    /// Whose those are that no owner's rules name.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    owner: Option<Owner>,
    /// SHA-256 over everything that is taken in, hexadecimal.
    source_sha256: String,
    /// Say what would come of them, and write nothing.
    #[serde(default)]
    dry_run: bool,
}

/// One that is not taken, or not as it comes.
#[derive(Serialize, ToSchema)]
pub(crate) struct LeftItem {
    /// Its serial.
    serial: String,
    /// Why.
    why: String,
}

/// What came of them.
#[derive(Serialize, ToSchema)]
pub(crate) struct LandedItems {
    /// Certificates that were not here.
    certificates: u64,
    /// Certificates that are here already.
    certificates_there: u64,
    /// Revocations that were not here.
    revocations: u64,
    /// Revocations that are here already.
    revocations_there: u64,
    /// What is not taken, or not as it comes.
    left: Vec<LeftItem>,
}

impl From<Landed> for LandedItems {
    fn from(landed: Landed) -> Self {
        let Landed { new, there, revoked, revoked_there, left } = landed;
        Self {
            certificates: new,
            certificates_there: there,
            revocations: revoked,
            revocations_there: revoked_there,
            left: left.into_iter().map(|(serial, why)| LeftItem { serial, why }).collect(),
        }
    }
}

/// Takes in some of what a CA signed elsewhere, each certificate with its end; what is here already is left as it is.
#[utoipa::path(post, path = "/api/v1/issuers/{issuer}/{generation}/import", tag = "issuers", operation_id = "importSome",
    params(("issuer" = String, Path, description = "The issuer's name"), ("generation" = String, Path, description = "The generation's number")),
    request_body = ArrivingItems,
    responses((status = 200, description = "What came of them, or would", body = LandedItems), (status = 404, description = "No such generation")))]
pub(crate) async fn some(
    Shared(app): Shared<App>,
    Permitted { actor, .. }: Permitted<ManagesAuthority>,
    Segments((issuer, number)): Segments<(String, String)>,
    request: Request,
) -> Result<Response, Problem> {
    expect_type(request.headers(), &["application/json"])?;
    let body: ArrivingItems = parse_json(&read(request, IMPORT_BYTES_MAX, &app).await?)?;
    if body.items.len() > ARRIVING_MAX {
        return Err(Problem::field("items", format!("at most {ARRIVING_MAX} are taken in at once")));
    }
    let (name, sha256) = (named(&issuer, &number)?, hash(&body.source_sha256)?);
    let items = body.items.into_iter().map(arriving).collect::<Result<Vec<_>, _>>()?;
    let (authority, owner, dry_run) = (app.authority().clone(), body.owner, body.dry_run);
    let landed = app
        .to_its_end(async move { authority.import_some(&actor, &name, (items, owner, &sha256), dry_run).await })
        .await?;
    Ok(json(StatusCode::OK, &LandedItems::from(landed)))
}

/// That everything was taken in.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Completion {
    /// From where, in words.
    source: String,
    /// SHA-256 over everything that was taken in, hexadecimal.
    source_sha256: String,
    /// How many certificates came; where fewer are here it is refused.
    certificates: u64,
    /// How many were here already.
    certificates_there: u64,
    /// How many revocations came.
    revocations: u64,
}

/// Has a CA sign from now on, a CRL first, once everything that it signed elsewhere is here. What the log says of how much that is, is counted
/// here. Asked again, it changes nothing.
#[utoipa::path(post, path = "/api/v1/issuers/{issuer}/{generation}/import/done", tag = "issuers", operation_id = "finishImport",
    params(("issuer" = String, Path, description = "The issuer's name"), ("generation" = String, Path, description = "The generation's number")),
    request_body = Completion,
    responses((status = 200, description = "It signs", body = ArrivalState), (status = 404, description = "No such generation"),
        (status = 409, description = "Less is here than is said to have come")))]
pub(crate) async fn done(
    Shared(app): Shared<App>,
    Permitted { actor, .. }: Permitted<ManagesAuthority>,
    Segments((issuer, number)): Segments<(String, String)>,
    Json(done): Json<Completion>,
) -> Result<Response, Problem> {
    let name = named(&issuer, &number)?;
    let source = Source { place: done.source, sha256: hash(&done.source_sha256)? };
    let landed = Landed {
        new: done.certificates,
        there: done.certificates_there,
        revoked: done.revocations,
        ..Landed::default()
    };
    let authority = app.authority().clone();
    let arrived = app.to_its_end(async move { authority.import_done(&actor, &name, (&source, &landed)).await }).await?;
    Ok(json(StatusCode::OK, &ArrivalState::from(arrived)))
}

fn arriving(item: ArrivingItem) -> Result<Arriving, Problem> {
    let certificate = item.certificate.map(|text| STANDARD.decode(text)).transpose();
    let certificate = certificate.map_err(|_| Problem::field("items", "a certificate in it is no base64"))?;
    let serial = item.serial.map(hex::decode).transpose();
    let serial = serial.map_err(|_| Problem::field("items", "a serial in it is no hexadecimal"))?;
    if certificate.is_none() && serial.is_none() {
        return Err(Problem::field("items", "one of them has neither a certificate nor a serial"));
    }
    let end = item.revoked.map(|end| Ended { at: end.at, reason: end.reason, invalid: end.invalid });
    Ok(Arriving { certificate, serial: serial.unwrap_or_default(), until: item.until, end })
}

fn named(issuer: &str, number: &str) -> Result<GenerationName, Problem> {
    format!("{issuer}/{number}").parse().map_err(|_| Problem::new(Kind::NotFound, "There is no such generation here."))
}

fn hash(text: &str) -> Result<[u8; 32], Problem> {
    let bytes = hex::decode(text).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    bytes.ok_or_else(|| Problem::field("source_sha256", "it is a SHA-256: 64 hexadecimal digits"))
}
