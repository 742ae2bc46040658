//! Certificates over HTTP: ask for one, see them, renew, revoke.
//!
//! Thin by design: a request is parsed into policy's types, `ca` decides, drafts, lints, signs and records, and the answer is
//! written. What only reads asks policy itself and takes the grant along.

use axum::body::Bytes;
use axum::extract::{Request, State as Shared};
use axum::response::Response;
use ca::{CertifyRequest, Csr, Ending, Lifetime, Published, RevocationReason};
use http::{HeaderValue, StatusCode, header};
use policy::{Action, Name, Owner, Resource, SerialText, Timestamp};
use serde::{Deserialize, Serialize};
use store::{Attested, Credential, Issued, Kin, State};
use utoipa::{IntoParams, ToSchema};

use crate::app::App;
use crate::auth::AuthError;
use crate::edge::Peer;
use crate::intake::{Caller, Json, Params, Segment, expect_type, json, media_type, page_rows, parse_json, read, typed};
use crate::limits::{CSR_BYTES_MAX, JSON_BYTES_MAX};
use crate::observe::inventory::{self, Sought, Standing, only_owner};
use crate::problem::{Kind, Problem};
use crate::rest::csv;
use crate::rest::fetched::{self, Fetched};
use crate::rest::waiting;

/// RFC 5967: a bare PKCS#10 request.
const PKCS10: &str = "application/pkcs10";
/// RFC 8555 section 9.1.
const PEM_CHAIN: &str = "application/pem-certificate-chain";
const PEM_END: &str = "-----END CERTIFICATE-----\n";

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

/// A credential of the register.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Certificate {
    /// The operation that made it: the index of its intent in the log.
    operation: u64,
    /// The serial, in hex.
    serial: String,
    /// `certificate`, `ca-certificate`, `ssh-user`, `ssh-host`, `code-signature`, `crl`, `ocsp-batch`.
    kind: &'static str,
    /// `intended`, `issued`, `expired`, `failed`, `revoked`; `held`: revoked until it is released.
    state: &'static str,
    /// The profile it was made under.
    profile: String,
    /// The issuer's label.
    issuer: String,
    /// Whose it is.
    #[schema(value_type = Option<String>)]
    owner: Option<Owner>,
    /// The subject, for display.
    subject: String,
    /// Names or principals.
    names: Vec<String>,
    /// The first second of its validity.
    #[schema(value_type = Option<String>, format = DateTime)]
    not_before: Option<Timestamp>,
    /// The last second of its validity.
    #[schema(value_type = Option<String>, format = DateTime)]
    not_after: Option<Timestamp>,
    /// SHA-256 of the subject's public key, hex.
    key_hash: String,
    /// Another program signed it with its CA's key, and it was taken in; its profile is `imported`.
    imported: bool,
    /// Who asked for it; of an imported one, who took it in.
    actor: String,
    /// Whether the server renews it.
    renew: bool,
    /// Who is expected to renew it: `server`, `agent`, `acme`, `nobody`. Believed while the new one comes in time.
    renewer: &'static str,
    /// From when on somebody should act if nothing took its place; none where its life is too short for that.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    act_at: Option<Timestamp>,
    /// From when on it should be renewed, and not later by much. Where one alone is shown.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    renew_at: Option<Timestamp>,
    /// Why that is before its time: `revoked`, `issuer-ended` (its CA is revoked or compromised), `drill`. In lists `issuer-ended` alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    replace: Option<&'static str>,
    /// Whether a later certificate of the same kind, profile, owner and names took its place.
    replaced: bool,
    /// The serial of the one it took the place of.
    #[serde(skip_serializing_if = "Option::is_none")]
    predecessor: Option<String>,
    /// The serial of the one that took its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    successor: Option<String>,
    /// When it was revoked.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked_at: Option<Timestamp>,
    /// Since when its key is not to be trusted, where that was said.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    invalid_at: Option<Timestamp>,
    /// Why it was revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    /// Of a code signature: when it was made.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    signed_at: Option<Timestamp>,
    /// What its CSR asked for and did not get: extensions that programs send by habit, by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    left_out: Vec<String>,
    /// In the answer to a revocation: `published`, a CRL that has it is served; `pending`, it follows. Absent where no CRL is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    crl: Option<&'static str>,
    /// Of one that the server renewed by itself: who was first given it. Absent: nobody was, and what is in use is the one before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    fetched: Option<Fetched>,
    /// The certificate, PEM. Not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate: Option<String>,
    /// The certificate and its intermediates, PEM. Not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    chain: Option<String>,
}

impl Certificate {
    /// Without the PEM texts.
    pub(crate) fn row(credential: Credential, now: Timestamp) -> Self {
        Self {
            operation: credential.operation,
            serial: credential.serial_hex(),
            kind: credential.kind.as_str(),
            state: Standing::of(&credential, now).as_str(),
            renewer: credential.renewer().as_str(),
            act_at: credential.look_at(),
            renew_at: None,
            replace: None,
            replaced: false,
            predecessor: None,
            successor: None,
            renew: credential.details.get("renew").and_then(serde_json::Value::as_bool).unwrap_or(false),
            not_before: credential.validity.map(|validity| validity.not_before()),
            not_after: credential.validity.map(|validity| validity.not_after()),
            key_hash: hex::encode(credential.key_hash),
            imported: credential.imported.is_some(),
            reason: credential.reason.and_then(RevocationReason::from_code).map(RevocationReason::as_str),
            revoked_at: credential.revoked_at,
            invalid_at: credential.invalid,
            left_out: ca::left_out(&credential),
            signed_at: credential.concluded_at.filter(|_| credential.kind == store::Kind::CodeSignature),
            profile: credential.profile,
            issuer: credential.issuer,
            owner: credential.owner,
            subject: credential.subject,
            names: credential.names,
            actor: credential.actor.id,
            crl: None,
            fetched: None,
            certificate: None,
            chain: None,
        }
    }

    /// With the PEM texts.
    pub(crate) fn whole(issued: Issued, app: &App) -> Self {
        let chain = app.authority().chain_pem(&issued);
        let certificate = chain.find(PEM_END).and_then(|end| chain.get(..end + PEM_END.len())).map(str::to_owned);
        Self { certificate, chain: Some(chain), ..Self::row(issued.into_credential(), app.world().now()) }
    }

    /// With when it should be renewed.
    fn due(self, renewal: Option<ca::Renewal>) -> Self {
        let replace = renewal.as_ref().and_then(|renewal| renewal.why.as_ref()).map(ca::Why::as_str);
        Self { renew_at: renewal.map(|renewal| renewal.from), replace, ..self }
    }

    /// One of a list: nobody believes what a CA issued that is over, and a list shall not say that all is well.
    fn listed(entry: inventory::Entry, app: &App, now: Timestamp) -> Self {
        let replace = entry.is_orphaned(app.authority(), now).then(|| ca::Why::IssuerEnded.as_str());
        Self { replace, ..Self::row(entry.credential, now) }.beside(entry.kin)
    }

    /// With who stands before and after it.
    pub(crate) fn beside(self, kin: Kin) -> Self {
        let Kin { predecessor, successor, replaced } = kin;
        Self { predecessor, successor, replaced, ..self }
    }
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

/// What is listed. Every parameter narrows.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListParams {
    /// Of this owner. An actor with one owner and no wider role need not say it.
    #[param(value_type = Option<String>)]
    owner: Option<Owner>,
    /// With exactly this name: `dns:www.example.internal`, an SSH principal, or, of code signatures, `sha256:` and the digest of
    /// the file in hex, or `file:` and its name. The newest first, whatever else is asked.
    name: Option<String>,
    /// `intended`, `issued` (and it holds now, or will), `expired` (the last to expire first), `failed`, `revoked` (for good), `held` (until it is released).
    state: Option<String>,
    /// `certificate`, `ssh-user`, `ssh-host`, `ca-certificate`, `code-signature`, `crl`, `ocsp-batch`; `ssh`: both of them; absent: the first four.
    kind: Option<String>,
    /// Of this profile.
    profile: Option<String>,
    /// Of this issuer.
    issuer: Option<String>,
    /// Renewed by `server`, `agent`, `acme` or `nobody`.
    renewer: Option<String>,
    /// true: only what somebody is expected to renew; false: only others.
    renewed: Option<bool>,
    /// true: only what a later one took the place of; false: only others.
    replaced: Option<bool>,
    /// true: only what somebody must act for: it holds, is past the point of its renewal, and nothing took its place; false: only
    /// what holds and is in time.
    act: Option<bool>,
    /// With this in one of its names, whatever its case; the newest first. A page looks through so many names: follow `next`.
    search: Option<String>,
    /// With a serial that begins with these hexadecimal digits; the highest first, which of one node are the newest.
    serial: Option<String>,
    /// Still valid now, not replaced, and not valid any more in so many seconds; the first to expire first.
    expiring_secs: Option<u64>,
    /// Ending at this time (RFC 3339) or later.
    #[param(value_type = Option<String>, format = DateTime)]
    expires_from: Option<Timestamp>,
    /// Ending before this time (RFC 3339).
    #[param(value_type = Option<String>, format = DateTime)]
    expires_to: Option<Timestamp>,
    /// `csv`: as comma-separated values, the cursor of the next page in the header `Next-Cursor`.
    format: Option<String>,
    /// At most so many, 1 to 1000; 100 by default.
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// A page of credentials.
#[derive(Serialize, ToSchema)]
pub(crate) struct CertificateList {
    /// Without their PEM texts.
    items: Vec<Certificate>,
    /// The cursor of the next page, where there is one.
    next: Option<String>,
    /// That the register is held, and what is listed may not be what the log says; absent when all is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    held: Option<&'static str>,
}

/// Lists credentials, the newest first, or with `expiring_secs` the first to expire first.
#[utoipa::path(get, path = "/api/v1/certificates", tag = "certificates", operation_id = "listCertificates", params(ListParams),
    responses((status = 200, description = "A page; with format=csv the same as comma-separated values",
        content((CertificateList = "application/json"), (String = "text/csv")))))]
pub(crate) async fn list(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Params(params): Params<ListParams>,
) -> Result<Response, Problem> {
    let owner = params.owner.clone().or_else(|| only_owner(&actor));
    let on = Resource::certificate(owner.clone(), params.profile.clone().unwrap_or_default(), Vec::new());
    let grant = app.authorize(&actor, Action::ReadCertificate, on).await?;
    let now = app.world().now();
    let as_csv = match params.format.as_deref() {
        None | Some("json") => false,
        Some("csv") => true,
        Some(_) => return Err(Problem::field("format", "A list comes as `json` or as `csv`.")),
    };
    let page = inventory::page(&grant, sought(params, owner, now)?, now, app.ledger()).await?;
    if as_csv {
        return Ok(csv::answer(page, now));
    }
    let items = page.items.into_iter().map(|entry| Certificate::listed(entry, &app, now)).collect();
    Ok(json(StatusCode::OK, &CertificateList { items, next: page.next, held: app.lookout().held() }))
}

fn is_beginning(digits: &str) -> bool {
    (1..=64).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
}

fn sought(params: ListParams, owner: Option<Owner>, now: Timestamp) -> Result<Sought, Problem> {
    let limit = page_rows(params.limit)?;
    if params.serial.as_deref().is_some_and(|digits| !is_beginning(digits)) {
        return Err(Problem::field("serial", "The beginning of a serial is 1 to 64 hexadecimal digits."));
    }
    let expiring = params.expiring_secs.map(|secs| i64::try_from(secs).unwrap_or(i64::MAX).min(EXPIRING_SECS_MAX));
    Ok(Sought {
        owner,
        standing: word("state", params.state.as_deref())?,
        kinds: word("kind", params.kind.as_deref())?,
        renewer: word("renewer", params.renewer.as_deref())?,
        profile: params.profile,
        issuer: params.issuer,
        // What was replaced expires without anybody's harm.
        replaced: params.replaced.or(expiring.map(|_| false)),
        renewed: params.renewed,
        act: params.act,
        name: params.name,
        text: params.search,
        serial: params.serial,
        from: params.expires_from.max(expiring.map(|_| now)),
        to: [params.expires_to, expiring.map(|secs| now.plus_secs(secs))].into_iter().flatten().min(),
        by_expiry: false,
        cursor: params.cursor,
        limit,
    })
}

/// Further ahead than any certificate reaches, and far from the end of time.
const EXPIRING_SECS_MAX: i64 = 200 * 366 * 86_400;

fn word<T: std::str::FromStr<Err: std::fmt::Display>>(
    field: &'static str,
    value: Option<&str>,
) -> Result<Option<T>, Problem> {
    value.map(str::parse).transpose().map_err(|error: T::Err| Problem::field(field, error.to_string()))
}

/// How one is shown.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct ShowParams {
    /// false: without the PEM texts, for who only looks. With them it is given, which is put on record where the server renewed it.
    pem: Option<bool>,
}

/// Shows one credential with its PEM texts.
#[utoipa::path(get, path = "/api/v1/certificates/{serial}", tag = "certificates", operation_id = "showCertificate",
    params(ShowParams, ("serial" = String, Path, description = "The serial: hex, whole or a beginning that one alone has; of an SSH certificate also decimal")),
    responses((status = 200, description = "The credential", body = Certificate),
        (status = 404, description = "No such serial"), (status = 409, description = "Several serials begin so")))]
pub(crate) async fn show(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Segment(serial): Segment,
    Params(shown): Params<ShowParams>,
    request: Request,
) -> Result<Response, Problem> {
    let (asked, credential) = (fetched::Asked::by(&request), find(&app, &serial).await?);
    let on = Resource::certificate(credential.owner.clone(), credential.profile.clone(), Vec::new());
    let grant = app.authorize(&actor, Action::ReadCertificate, on).await?;
    let credential = credential.into_inner();
    let (kin, now) = (inventory::kin(&grant, &credential, app.ledger()).await?, app.world().now());
    let renewal = credential.signature.as_ref().and_then(|_| ca::Renewing::of(&credential));
    let renewal = renewal.map(|renewing| app.authority().renewal(&renewing));
    let view = match credential.kind {
        store::Kind::Certificate | store::Kind::CaCertificate => match credential.signed() {
            Ok(issued) => {
                let before = fetched::first(&app, &issued).await?;
                let view = match shown.pem {
                    Some(false) => Certificate::row(issued.into_credential(), now),
                    None | Some(true) => {
                        fetched::given(&app, &actor, asked, &issued).await;
                        Certificate::whole(issued, &app)
                    }
                };
                Certificate { fetched: before, ..view }
            }
            Err(unsigned) => Certificate::row(*unsigned, now),
        },
        store::Kind::SshUser
        | store::Kind::SshHost
        | store::Kind::CodeSignature
        | store::Kind::Crl
        | store::Kind::CaRequest
        | store::Kind::OcspBatch => Certificate::row(credential, now),
    };
    Ok(json(StatusCode::OK, &view.beside(kin).due(renewal)))
}

/// Certificates of one beginning that are counted.
const MEANT_MAX: usize = 8;
/// Hexadecimal digits of a whole serial.
const SERIAL_DIGITS: usize = 32;

/// The one credential that a serial means, however it is written.
pub(crate) async fn find(app: &App, text: &str) -> Result<Attested<Credential>, Problem> {
    let meant = SerialText::parse(text).map_err(|error| Problem::field("serial", error.to_string()))?;
    for whole in meant.whole() {
        if let Some(found) = app.ledger().credential(&whole.hex()).await? {
            return Ok(found);
        }
    }
    let mut found = app.ledger().credentials_meant(meant.clone(), MEANT_MAX).await?;
    match (found.len(), found.pop()) {
        (1, Some(one)) => Ok(one),
        (0, _) | (_, None) => {
            let serial = meant.beginnings().next().map_or_else(|| text.trim().to_owned(), str::to_owned);
            // The beginning of one was mistyped; a whole one may be of a register that was put back.
            let lost = match serial.len() >= SERIAL_DIGITS {
                true => {
                    " What a CA of this authority signed before the register was put back can be revoked by the certificate \
                     itself: chancery certs revoke --certificate FILE."
                }
                false => "",
            };
            Err(Problem::new(Kind::NotFound, format!("The register has no serial {serial}.{lost}")))
        }
        // Not which: they may be another owner's.
        (many, Some(_)) => {
            let several = if many == MEANT_MAX { format!("{many} or more") } else { many.to_string() };
            Err(Problem::new(Kind::Conflict, format!("{several} serials begin so: write more digits.")))
        }
    }
}

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
    Ok(json(StatusCode::OK, &Certificate { crl: on_crl(published), ..there }))
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
