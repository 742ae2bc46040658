//! `serve`: both listeners and the background tasks, from bind to the last answered request.
//!
//! Order at start: bind both sockets (a taken port is known at once), serve plain HTTP (CRLs must be there even while the
//! HSM is away), get the server's certificate, serve HTTPS, say ready. While there is no certificate a handshake fails at once. At shutdown: no new connections, open ones finish
//! within `limits.drain`, tasks end within the same time, or are left behind.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use acme::{AcmeConfig, AcmeState, StartError};
use axum::Router;
use backup::Plan;
use ca::Authority;
use lifecycle::Renewer;
use policy::{Name, Owner, Validity, World};
use store::Ledger;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{routes, tasks};
use crate::app::App;
use crate::edge::{Door, Edge, ServerCertificate, TlsError, guard, no_such_method, no_such_path};
use crate::limits::{Bounds, Limits, Listener};
use crate::observe::{Metrics, Notice};
use crate::pages::for_browsers;
use crate::problem::chain;
use crate::public;

/// Tasks have ended long before, unless the database holds one.
const LAST_TASKS_MAX: Duration = Duration::from_millis(500);
/// So long a start waits for CRLs that are due; a large one is made meanwhile, and served when it is there.
const CRLS_AT_START_MAX: Duration = Duration::from_secs(1);

/// Where and how to serve.
#[derive(Clone, Debug)]
pub struct ServeConfig {
    /// The HTTPS listener; port 0 takes a free one.
    pub https: SocketAddr,
    /// The plain listener; port 0 takes a free one.
    pub http: SocketAddr,
    /// The names of the server's own certificate.
    pub names: Vec<Name>,
    /// The owner that the server's own certificate is listed under.
    pub owner: Owner,
    /// The bounds; whoever keeps a copy may change them.
    pub bounds: Bounds,
    /// What its alarms tell beside those of the rooms below.
    pub notice: Notice,
    /// Where secrets are exchanged, with the programs and hooks of the configuration.
    pub places: drivers::Places,
    /// ACME under `/acme`; `None` leaves it out.
    pub acme: Option<AcmeConfig>,
    /// Backups that it makes by itself; `None`: it makes none.
    pub backup: Option<Plan>,
}

/// The addresses in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// Of the HTTPS listener.
    pub https: SocketAddr,
    /// Of the plain listener.
    pub http: SocketAddr,
}

/// Why serving did not begin.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// A listener's address cannot be had.
    #[error("cannot listen on {address}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// There is no TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// ACME cannot begin: its profile or its resolvers.
    #[error("ACME cannot begin")]
    Acme(#[from] StartError),
}

/// Serves until `shutdown` resolves, then drains. `ready` gets the bound addresses once both listeners answer.
pub async fn serve(
    config: ServeConfig,
    authority: Authority,
    ledger: Ledger,
    world: World,
    shutdown: impl Future<Output = ()> + Send + 'static,
    ready: oneshot::Sender<Bound>,
) -> Result<(), ApiError> {
    let limits = config.bounds.limits().clone();
    let (https, http) = (bind(config.https).await?, bind(config.http).await?);
    let bound = Bound { https: address(&https, config.https), http: address(&http, config.http) };
    let metrics = Arc::new(Metrics::new());
    let renewer = Renewer::new(authority.clone());
    let app = App::new(
        authority.clone(),
        ledger,
        world.clone(),
        limits.clone(),
        Arc::clone(&metrics),
        (renewer.watch(), config.notice, config.places),
    );
    let acme = config.acme.map(|acme| AcmeState::new(authority.clone(), acme)).transpose()?;
    let (tasks, stop) = (TaskTracker::new(), watch(shutdown));
    let _stop_on_return = stop.clone().drop_guard();
    let (ends, waiting) = (stop.clone(), app.stopping().clone());
    tasks.spawn(async move {
        ends.cancelled().await;
        waiting.cancel();
    });

    // The register may know of revocations that its newest CRL lacks, most of all where an operator let it go on from a backup.
    match tokio::time::timeout(CRLS_AT_START_MAX, authority.refresh_crls()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::warn!(cause = %chain(&error), "the CRLs are those of before, and will be tried again")
        }
        Err(_) => tracing::warn!("the CRLs are those of before until newer ones are made"),
    }
    let plain = Door {
        listener: http,
        tls: None,
        app: finished(public::routes(), None, (&limits, config.bounds.http()), &metrics, &app),
        limits: limits.clone(),
        room: config.bounds.http().connections.clone(),
        connections: metrics.http(),
    };
    tasks.spawn(plain.serve(stop.clone()));
    tasks::spawn(&tasks, &app, (renewer, config.backup), &stop);

    let certificate = ServerCertificate::new(authority, world, config.names, config.owner);
    let tls = TlsAcceptor::from(Arc::new(certificate.config()?));
    let drained = drained(&stop, limits.drain);
    let secure = Door {
        listener: https,
        tls: Some(tls),
        app: finished(routes::all(acme.clone()), acme.clone(), (&limits, config.bounds.https()), &metrics, &app),
        limits: limits.clone(),
        room: config.bounds.https().connections.clone(),
        connections: metrics.https(),
    };
    // Callers wait for the certificate in the system's queue; where it does not come at once they are refused, and know it.
    let open = CancellationToken::new();
    let certified = async {
        let first = tokio::select! {
            () = stop.cancelled() => None,
            first = certificate.first(&stop, &open) => first?,
        };
        if let Some(validity) = first {
            app.lookout().https_answers(validity.not_after());
            let seen = app.clone();
            let renewed = move |fresh: Validity| seen.lookout().https_answers(fresh.not_after());
            tasks.spawn(certificate.keep_fresh(validity, Arc::clone(&metrics), stop.clone(), renewed));
            tracing::info!(https = %bound.https, http = %bound.http, "serving");
            // A caller that dropped its end does not wait for us.
            let _ = ready.send(bound);
        }
        open.cancel();
        Ok::<_, ApiError>(())
    };
    let served = async {
        open.cancelled().await;
        secure.serve(stop.clone()).await;
        Ok(())
    };
    tokio::try_join!(certified, served)?;
    stop.cancel();
    // One time for all of it, from the signal on.
    let until = drained.await.unwrap_or_else(|_| Instant::now());
    if let Some(acme) = acme {
        acme.drain(until.saturating_duration_since(Instant::now())).await;
    }
    // How many were refused to whom is told before the register is closed, where it answers.
    let told = tokio::time::timeout_at((until + LAST_TASKS_MAX).into(), app.authority().tell_refusals(true)).await;
    let refusals = app.authority().refusals().untold;
    match told {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::warn!(refusals, cause = %chain(&error), "so many more were refused, and the log does not say so");
        }
        Err(_) => {
            tracing::warn!(
                refusals,
                "so many more were refused, and the log does not say so: the register does not answer"
            );
        }
    }
    tasks.close();
    if tokio::time::timeout_at((until + LAST_TASKS_MAX).into(), tasks.wait()).await.is_err() {
        tracing::warn!(tasks = tasks.len(), "work of the service's own was still under way when it stopped");
    }
    Ok(())
}

/// When the time for what is under way ends, known once the signal came.
fn drained(stop: &CancellationToken, drain: Duration) -> tokio::task::JoinHandle<Instant> {
    let stop = stop.clone();
    tokio::spawn(async move {
        stop.cancelled().await;
        Instant::now() + drain
    })
}

async fn bind(address: SocketAddr) -> Result<TcpListener, ApiError> {
    TcpListener::bind(address).await.map_err(|source| ApiError::Bind { address, source })
}

/// The port that the system gave where port 0 was asked for.
fn address(listener: &TcpListener, asked: SocketAddr) -> SocketAddr {
    listener.local_addr().unwrap_or(asked)
}

/// The caller's signal as a token that many can wait for.
fn watch(shutdown: impl Future<Output = ()> + Send + 'static) -> CancellationToken {
    let stop = CancellationToken::new();
    let (signal, stopped) = (stop.clone(), stop.clone());
    tokio::spawn(async move {
        tokio::select! {
            () = shutdown => signal.cancel(),
            () = stopped.cancelled() => {}
        }
    });
    stop
}

/// Routes with what every request passes.
fn finished(
    routes: Router<App>,
    acme: Option<AcmeState>,
    (limits, places): (&Limits, &Listener),
    metrics: &Arc<Metrics>,
    app: &App,
) -> Router {
    let edge = Edge::new(limits, places.requests.clone(), Arc::clone(metrics), acme);
    routes
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .layer(axum::middleware::from_fn_with_state(edge, guard))
        .layer(axum::middleware::from_fn(for_browsers))
        .with_state(app.clone())
}
