//! `chancery serve`: opens the house and serves until it is told to stop. SIGHUP reads the configuration again (`reload`).

mod reload;

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use backup::Plan;
use policy::{Name, Owner, World};
use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, warn};

use crate::Global;
use crate::config::Config;
use crate::failure::{Exit, Failure, OrFail};
use crate::house;
use reload::{Reloads, fitting};

/// Whose the server's own TLS certificate is, in lists and on the dashboard.
const SERVER_OWNER: &str = "chancery";

/// What signing the last head may take.
const LAST_HEAD_MAX: Duration = Duration::from_secs(1);

/// Runs `chancery serve`.
pub async fn run(global: Global) -> Result<(), Failure> {
    // From the first moment on: the signal's own way is to end the process.
    let hangups = signal(SignalKind::hangup()).or_fail("the signal to read the configuration again cannot be heard")?;
    let config = global.config()?;
    global.log.set(&config.log_level);
    let (authority, _closing) = house::authority(&config, house::Way::Serve).await?;
    info!(config = %config.file.display(), https = %config.server.https, http = %config.server.http, "starting");
    let (ledger, world) = (authority.ledger().clone(), authority.world().clone());
    let (closing, register) = (authority.clone(), ledger.clone());
    // Ends with the process, like the server itself.
    tokio::spawn(house::witnesses(&config, &ledger, &world).watch(std::future::pending()));
    let bounds = api::Bounds::new(fitting(&config.limits));
    let config = Arc::new(config);
    let notice = api::Notice::default();
    let reloads = Reloads::new(global, &config, authority.clone(), (bounds.clone(), notice.clone()));
    reloads.begin().await;
    tokio::spawn(reloads.hear(hangups));
    // Nobody here waits for the addresses: `serve` logs them itself.
    let (ready, _) = tokio::sync::oneshot::channel();
    let settings = serve_config(&config, (bounds, notice), world.clone())?;
    api::serve(settings, authority, ledger, world, house::stop_signal(), ready).await.map_err(|error| ended(&error))?;
    // What the next start goes by: the last head is signed, written down, and kept in the token.
    match tokio::time::timeout(LAST_HEAD_MAX, closing.checkpoint()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => warn!(%error, "the last head of the log is signed by the next start"),
        Err(_elapsed) => warn!("the last head of the log is signed by the next start: the register does not answer"),
    }
    register.close().await;
    info!("stopped");
    Ok(())
}

fn serve_config(
    config: &Config,
    (bounds, notice): (api::Bounds, api::Notice),
    world: World,
) -> Result<api::ServeConfig, Failure> {
    let names = config.server.names.iter().map(|name| Name::parse(name).or_fail("server.names"));
    Ok(api::ServeConfig {
        https: config.server.https,
        http: config.server.http,
        names: names.collect::<Result<_, _>>()?,
        owner: Owner::parse(SERVER_OWNER).or_fail("the server's own owner")?,
        bounds,
        notice,
        places: config.rotation.places(world)?,
        acme: config.acme.clone(),
        backup: config.backup.as_ref().map(|backup| Plan {
            target: backup.target.clone(),
            recipients: backup.recipients.clone(),
            every_secs: backup.every.secs(),
            keep: backup.keep,
            database: config.database.clone(),
            beside: config.beside(),
        }),
    })
}

/// Why the server did not begin, or did not go on, and what to do.
fn ended(error: &api::ApiError) -> Failure {
    let failure = Failure::new(Exit::Failed, "the server ended").because(error);
    match error {
        api::ApiError::Bind { address, source } => failure.help(unbound(*address, source.kind())),
        api::ApiError::Tls(_) => failure.help(
            "the server's own certificate is issued for server.names under the profile tls-server: look whether its policies and \
             the profile still allow it (`system-server` in system.cedar)",
        ),
        api::ApiError::Acme(_) => failure.help("look at [acme]: its profile, and the resolvers of this host"),
    }
}

fn unbound(address: SocketAddr, kind: ErrorKind) -> String {
    let port = address.port();
    match kind {
        ErrorKind::AddrInUse => format!(
            "another program has port {port} (`ss -ltnp 'sport = :{port}'` names it): end it, or choose another address in [server]"
        ),
        ErrorKind::PermissionDenied => format!(
            "port {port} is for root, or for who has CAP_NET_BIND_SERVICE: give the service that (systemd: \
             AmbientCapabilities=CAP_NET_BIND_SERVICE), or choose a port from 1024 on in [server]"
        ),
        ErrorKind::AddrNotAvailable => {
            format!("this host has no address {}: choose one of its own in [server]", address.ip())
        }
        _ => "choose another address in [server]".to_owned(),
    }
}
