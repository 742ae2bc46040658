//! What anyone may read without a credential, on both listeners: CRLs, OCSP responses, issuer certificates, roots, SSH CA keys, the public
//! parts of the log, and whether we are alive.
//!
//! RFC 5280 section 4.2.1.13 and RFC 5280 section 8: CRLs and AIA are fetched over plain HTTP, since checking a server's
//! certificate must not need another one. Everything here is signed or public as it is; nothing here writes.

use axum::Router;
use axum::extract::State as Shared;
use axum::response::Response;
use axum::routing::get;
use http::{HeaderMap, HeaderValue, StatusCode};

use super::published::{Published, SHORT, TEXT};
use super::{log, ocsp};
use crate::app::App;
use crate::intake::{Segment, json, typed};
use crate::problem::{Kind, Problem};

/// How long a cache may keep a CRL: a revocation is published within seconds, and may not wait for long in between.
const CRL_SECS: i64 = 60;

/// The label of the root among the issuers.
const ROOT: &str = "root";

/// The public routes.
pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/roots.pem", get(roots))
        .route("/crl/{file}", get(crl))
        .route("/aia/{file}", get(aia))
        .route("/ssh/user_ca.pub", get(ssh_user_ca))
        .route("/ssh/host_ca.pub", get(ssh_host_ca))
        .route("/log/checkpoint", get(log::checkpoint))
        .route("/log/key", get(log::key))
        .route("/log/tile/{*path}", get(log::tile))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .merge(ocsp::routes())
}

/// The root certificates, PEM.
async fn roots(Shared(app): Shared<App>, asked: HeaderMap) -> Response {
    let roots = Published::new("application/x-pem-file", app.authority().roots_pem(), SHORT);
    let since = app.authority().issuers().iter().filter(|issuer| issuer.label == ROOT).map(|root| root.since).max();
    match since {
        Some(since) => roots.since(since, true).answer(&asked),
        None => roots.answer(&asked),
    }
}

/// An issuer's newest CRL, DER: `/crl/{issuer}.crl`.
async fn crl(Shared(app): Shared<App>, Segment(file): Segment, asked: HeaderMap) -> Result<Response, Problem> {
    let issuer = file.strip_suffix(".crl").filter(|issuer| is_issuer(&app, issuer)).ok_or_else(no_issuer)?;
    let crl = app.authority().crl(issuer).await?;
    // Never past its end: a cache would hand out what nobody may believe any more.
    let secs = crl.next_update.since(app.world().now()).clamp(0, CRL_SECS);
    let keep = HeaderValue::try_from(format!("public, max-age={secs}")).unwrap_or(SHORT);
    let published = Published::hashed("application/pkix-crl", crl.der, crl.sha256, keep);
    Ok(published.since(crl.this_update, crl.is_dated).answer(&asked))
}

/// An issuer's certificate, DER: `/aia/{issuer}.cer`.
async fn aia(Shared(app): Shared<App>, Segment(file): Segment, asked: HeaderMap) -> Result<Response, Problem> {
    let label = file.strip_suffix(".cer").ok_or_else(no_issuer)?;
    let issuer = app.authority().issuers().into_iter().find(|issuer| issuer.label == label).ok_or_else(no_issuer)?;
    let published = Published::new("application/pkix-cert", issuer.certificate_der, SHORT);
    Ok(published.since(issuer.since, true).answer(&asked))
}

fn is_issuer(app: &App, label: &str) -> bool {
    app.authority().issuers().iter().any(|issuer| issuer.label == label)
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
