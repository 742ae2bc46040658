//! Looking for certificates: lists of them, and the one that a serial means.

use axum::extract::{Request, State as Shared};
use axum::response::Response;
use http::StatusCode;
use policy::{Action, Owner, Resource, SerialText, Timestamp};
use serde::{Deserialize, Serialize};
use store::{Attested, Credential};
use utoipa::{IntoParams, ToSchema};

use super::card::Certificate;
use super::{csv, fetched, word};
use crate::app::App;
use crate::intake::{Caller, Params, Segment, json, page_rows};
use crate::observe::inventory::{self, Sought, only_owner};
use crate::problem::{Kind, Problem};

/// Further ahead than any certificate reaches, and far from the end of time.
const EXPIRING_SECS_MAX: i64 = 200 * 366 * 86_400;

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
                view.fetched(before)
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
    // A CA that came from elsewhere may have begun at 01: a whole serial goes before what begins so.
    if let Some(short) = meant.short() {
        let mut found = app.ledger().credentials_of(short).await?;
        match (found.len(), found.pop()) {
            (0, _) | (_, None) => {}
            (1, Some(one)) => return Ok(one),
            (many, Some(_)) => {
                let says = format!(
                    "{many} CAs gave the serial {short}: show the certificate that is meant (chancery certs revoke --certificate FILE)."
                );
                return Err(Problem::new(Kind::Conflict, says));
            }
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
