//! What anyone may read without a credential, on both listeners: CRLs, OCSP responses, issuer certificates, roots, SSH CA keys and what of
//! theirs is revoked, the public parts of the log, and whether we are alive.
//!
//! RFC 5280 section 4.2.1.13 and RFC 5280 section 8: CRLs and AIA are fetched over plain HTTP, since checking a server's
//! certificate must not need another one. Everything here is signed or public as it is; nothing here writes.

use axum::Router;
use axum::extract::State as Shared;
use axum::response::Response;
use axum::routing::get;
use ca::{BundleForm, GenerationName};
use http::{HeaderMap, HeaderValue, StatusCode};
use store::DELTA;

use super::published::{Published, SHORT, TEXT};
use super::{log, ocsp};
use crate::app::App;
use crate::intake::{Segment, Segments, json, typed};
use crate::problem::{Kind, Problem};

/// How long a cache may keep a CRL: a revocation is published within seconds, and may not wait for long in between.
const CRL_SECS: i64 = 60;
/// "application/pkcs7-mime" for a certs-only message, `.p7c` (RFC 5280 section 4.2.2.1).
const PKCS7: &str = "application/pkcs7-mime; smime-type=certs-only";

/// The public routes.
pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/roots.pem", get(roots))
        .route("/roots.p7c", get(roots_p7c))
        .route("/roots.p12", get(roots_p12))
        .route("/roots.jks", get(roots_jks))
        .route("/crl/{file}", get(newest_crl))
        .route("/crl/{issuer}/{generation}/{file}", get(crl))
        .route("/aia/{issuer}/{file}", get(aia))
        .route("/ssh/user_ca.pub", get(ssh_user_ca))
        .route("/ssh/host_ca.pub", get(ssh_host_ca))
        .route("/ssh/krl", get(ssh_krl))
        .route("/log/checkpoint", get(log::checkpoint))
        .route("/log/key", get(log::key))
        .route("/log/keys", get(log::keys))
        .route("/log/tile/{*path}", get(log::tile))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .merge(ocsp::routes())
}

/// The root certificates, PEM.
async fn roots(Shared(app): Shared<App>, asked: HeaderMap) -> Response {
    let roots = Published::new("application/x-pem-file", app.authority().roots_pem(), SHORT);
    dated(&app, roots, &asked)
}

/// The root certificates, PKCS#7 (certs-only).
async fn roots_p7c(Shared(app): Shared<App>, asked: HeaderMap) -> Result<Response, Problem> {
    bundled(&app, BundleForm::Pkcs7, PKCS7, &asked)
}

/// A trust store, PKCS#12: neither encrypted nor with a MAC, any password or none.
async fn roots_p12(Shared(app): Shared<App>, asked: HeaderMap) -> Result<Response, Problem> {
    bundled(&app, BundleForm::Pkcs12, "application/x-pkcs12", &asked)
}

/// A trust store of Java's, password `changeit`.
async fn roots_jks(Shared(app): Shared<App>, asked: HeaderMap) -> Result<Response, Problem> {
    bundled(&app, BundleForm::Jks, "application/octet-stream", &asked)
}

fn bundled(app: &App, form: BundleForm, media_type: &'static str, asked: &HeaderMap) -> Result<Response, Problem> {
    let bytes = app.authority().roots_as(form)?;
    Ok(dated(app, Published::new(media_type, bytes, SHORT), asked))
}

fn dated(app: &App, roots: Published, asked: &HeaderMap) -> Response {
    match app.authority().roots_since() {
        Some(since) => roots.since(since, true).answer(asked),
        None => roots.answer(asked),
    }
}

/// The newest CRL of the generation that issues for an issuer's name now, DER: `/crl/{issuer}.crl`.
async fn newest_crl(Shared(app): Shared<App>, Segment(file): Segment, asked: HeaderMap) -> Result<Response, Problem> {
    let issuer = file.strip_suffix(".crl").ok_or_else(no_issuer)?;
    if app.authority().has_issuer(issuer) { published(&app, issuer, &asked).await } else { Err(no_issuer()) }
}

/// A generation's newest CRL, DER: `/crl/{issuer}/{generation}/{shard}.crl`; where there are several shards, `full.crl` tells of all;
/// where there are deltas, `{shard}.delta.crl` is the newest of them.
async fn crl(
    Shared(app): Shared<App>,
    Segments((issuer, generation, file)): Segments<(String, String, String)>,
    asked: HeaderMap,
) -> Result<Response, Problem> {
    let name = named(&issuer, &generation)?;
    let part = file.strip_suffix(".crl").ok_or_else(no_issuer)?;
    let is_number = |part: &str| part.parse::<u16>().is_ok_and(|index| index.to_string() == part);
    match part.strip_suffix(".delta") {
        Some(part) if is_number(part) => published(&app, &format!("{name}/{part}{DELTA}"), &asked).await,
        None if part == "full" || is_number(part) => published(&app, &format!("{name}/{part}"), &asked).await,
        Some(_) | None => Err(no_issuer()),
    }
}

async fn published(app: &App, of: &str, asked: &HeaderMap) -> Result<Response, Problem> {
    let crl = app.authority().crl(of).await?;
    // Never past its end: a cache would hand out what nobody may believe any more.
    let secs = crl.next_update.since(app.world().now()).clamp(0, CRL_SECS);
    let keep = HeaderValue::try_from(format!("public, max-age={secs}")).unwrap_or(SHORT);
    let published = Published::identified("application/pkix-crl", crl.der, crl.identity, keep);
    Ok(published.since(crl.this_update, crl.is_dated).answer(asked))
}

/// A generation's newest certificate, DER: `/aia/{issuer}/{generation}.cer`; with those by which others signed for its key, and those
/// before a renewal, as PKCS#7: `.p7c` (RFC 5280 section 4.2.2.1).
async fn aia(
    Shared(app): Shared<App>,
    Segments((issuer, file)): Segments<(String, String)>,
    asked: HeaderMap,
) -> Result<Response, Problem> {
    if let Some(generation) = file.strip_suffix(".p7c") {
        let all = app.authority().certificates_pkcs7(&named(&issuer, generation)?)?.ok_or_else(no_issuer)?;
        return Ok(Published::new(PKCS7, all, SHORT).answer(&asked));
    }
    let name = named(&issuer, file.strip_suffix(".cer").ok_or_else(no_issuer)?)?;
    let certificate = app.authority().ca_certificate(&name).ok_or_else(no_issuer)?;
    let published = Published::new("application/pkix-cert", certificate.der, SHORT);
    Ok(published.since(certificate.since, true).answer(&asked))
}

fn named(issuer: &str, generation: &str) -> Result<GenerationName, Problem> {
    format!("{issuer}/{generation}").parse().map_err(|_| no_issuer())
}

fn no_issuer() -> Problem {
    Problem::new(Kind::NotFound, "There is no such issuer here.")
}

/// The SSH user CA's public key, for TrustedUserCAKeys.
async fn ssh_user_ca(Shared(app): Shared<App>, asked: HeaderMap) -> Response {
    Published::new(TEXT, line(app.authority().ssh_user_ca()), SHORT).answer(&asked)
}

/// The SSH host CA's public key, for `@cert-authority` in known_hosts.
async fn ssh_host_ca(Shared(app): Shared<App>, asked: HeaderMap) -> Response {
    Published::new(TEXT, line(app.authority().ssh_host_ca()), SHORT).answer(&asked)
}

/// The certificates of the SSH CAs that are revoked, for RevokedKeys (OpenSSH PROTOCOL.krl).
async fn ssh_krl(Shared(app): Shared<App>, asked: HeaderMap) -> Response {
    Published::new("application/octet-stream", app.authority().ssh_krl(), SHORT).answer(&asked)
}

fn line(mut text: String) -> String {
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

/// Alive: the process answers. Says nothing of the rooms below, so that a restart is not asked for when the HSM is away.
async fn healthz() -> Response {
    typed(StatusCode::OK, TEXT, "ok\n")
}

/// Ready: the HSM and the register would issue now. The reasons are for `/api/v1/status`, not for strangers.
async fn readyz(Shared(app): Shared<App>) -> Response {
    let readiness = app.lookout().readiness().await;
    let status = if readiness.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    json(status, &readiness)
}
