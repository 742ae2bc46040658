//! `chancery serve`: opens the house and serves until it is told to stop.

use std::time::Duration;

use policy::{Name, Owner};
use tracing::{info, warn};

use crate::Global;
use crate::config::Config;
use crate::failure::{Exit, Failure, OrFail};
use crate::house;

/// Whose the server's own TLS certificate is, in lists and on the dashboard.
const SERVER_OWNER: &str = "chancery";

/// What signing the last head may take.
const LAST_HEAD_MAX: Duration = Duration::from_secs(1);

/// Runs `chancery serve`.
pub async fn run(global: &Global) -> Result<(), Failure> {
    let config = global.config()?;
    let (authority, _closing) = house::authority(&config).await?;
    info!(config = %config.file.display(), https = %config.server.https, http = %config.server.http, "starting");
    let (ledger, world) = (authority.ledger().clone(), authority.world().clone());
    let (closing, register) = (authority.clone(), ledger.clone());
    // Ends with the process, like the server itself.
    tokio::spawn(house::witnesses(&config, &ledger, &world).watch(std::future::pending()));
    // Nobody here waits for the addresses: `serve` logs them itself.
    let (ready, _) = tokio::sync::oneshot::channel();
    api::serve(serve_config(config)?, authority, ledger, world, house::stop_signal(), ready)
        .await
        .or_exit(Exit::Failed, "the server ended")?;
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

fn serve_config(config: Config) -> Result<api::ServeConfig, Failure> {
    let names = config.server.names.iter().map(|name| Name::parse(name).or_fail("server.names"));
    Ok(api::ServeConfig {
        https: config.server.https,
        http: config.server.http,
        names: names.collect::<Result<_, _>>()?,
        owner: Owner::parse(SERVER_OWNER).or_fail("the server's own owner")?,
        limits: config.limits,
        acme: config.acme,
    })
}
