//! Opens the house from its configuration: token, register, policies, profiles, and the authority over them.
//!
//! The order is the floors' order. A wrong PIN is tried once and ends the process: a second try would lock the token.

use std::path::Path;
use std::sync::Arc;

use ca::{Authority, Parts, Profiles, Urls};
use lifecycle::Witnesses;
use policy::{Policies, World};
use store::{Database, Ledger, LogConfig};
use tokio::signal::unix::{SignalKind, signal};

use crate::config::Config;
use crate::failure::{Exit, Failure, OrFail};

/// A policy or profile file longer than this is not one.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Closes the token's sessions when a command ends, however it ends: a module that is unloaded under a session crashes.
pub struct Closing(hsm::Pool);

/// A token that somebody is logged in to.
pub type OpenToken = (hsm::Pool, hsm::Mint, Closing);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.shutdown();
    }
}

/// The register over an opened token, with what the authority needs beside them.
pub async fn parts(config: &Config, (pool, mint, closing): OpenToken) -> Result<(Parts, Closing), Failure> {
    let world = World::real();
    let policies = Policies::load(&texts(&config.policies, "cedar")?, config.owners.clone())
        .or_fail(format!("the policies in {} are refused", config.policies.display()))?;
    let profiles = Profiles::load(&texts(&config.profiles, "toml")?)
        .or_fail(format!("the profiles in {} are refused", config.profiles.display()))?;
    let database = Database::parse(&config.database_url).or_fail("the database is not understood")?;
    let log = LogConfig { origin: config.log_origin.clone(), state: Some(config.log_state.clone()) };
    let ledger = Ledger::open(database, (&pool, mint), log, world.clone())
        .await
        .or_exit(Exit::Unavailable, "cannot open the register")?;
    // Before anything is written: a clock that others contradict is not believed from the first moment.
    witnesses(config, &ledger, &world).ask().await;
    let parts = Parts {
        ledger,
        pool,
        world,
        policies: Arc::new(policies),
        profiles,
        instance: config.instance,
        urls: Urls { http_base: config.server.public_http.clone() },
    };
    Ok((parts, closing))
}

/// Who else knows the time.
pub fn witnesses(config: &Config, ledger: &Ledger, world: &World) -> Witnesses {
    Witnesses::new(ledger.clone(), world.clone(), config.time_peers.clone())
}

/// The authority that `chancery init` made.
pub async fn authority(config: &Config) -> Result<(Authority, Closing), Failure> {
    let (parts, closing) = parts(config, open_token(config)?).await?;
    let authority = Authority::open(parts).await.or_fail("the token and the register do not make an authority");
    let help = "run `chancery init` first; `chancery doctor` shows what the token holds";
    Ok((authority.map_err(|failure| failure.help(help))?, closing))
}

/// Logs in to the token, once.
pub fn open_token(config: &Config) -> Result<OpenToken, Failure> {
    let (pool, mint) = hsm::open(config.hsm.open_config()).map_err(|error| {
        let failure = Failure::new(Exit::Failed, "cannot open the token").because(&error);
        match error {
            hsm::HsmError::Locked(_) => failure.help(
                "check the PIN's source in [hsm] and start again; it was tried once and is not tried a second time, \
                 since a loop would lock the token",
            ),
            _ => failure.help("`chancery doctor --config FILE` says more; is the token initialised?"),
        }
    })?;
    let closing = Closing(pool.clone());
    Ok((pool, mint, closing))
}

/// The files of a folder with an extension, as (name without it, text), sorted by name.
fn texts(dir: &Path, extension: &str) -> Result<Vec<(String, String)>, Failure> {
    let said = || format!("cannot read the folder {}", dir.display());
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).or_fail(said())? {
        let path = entry.or_fail(said())?.path();
        if path.extension().is_none_or(|e| e != extension) {
            continue;
        }
        let bytes = crate::files::read(&path, FILE_BYTES_MAX)?;
        let text = String::from_utf8(bytes).or_fail(format!("{} is not text", path.display()))?;
        let name = path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
        found.push((name, text));
    }
    found.sort();
    Ok(found)
}

/// Completes at SIGTERM or Ctrl-C.
pub async fn stop_signal() {
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        },
        Err(_) => drop(tokio::signal::ctrl_c().await),
    }
}
