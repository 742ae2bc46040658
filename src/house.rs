//! Opens the house from its configuration: token, register, policies, profiles, and the authority over them.
//!
//! The order is the floors' order. A wrong PIN is tried once and ends the process: a second try would lock the token.

use std::path::Path;
use std::sync::Arc;

use ca::{Authority, Parts, Profiles, Urls};
use lifecycle::Witnesses;
use policy::{Policies, PolicyError, World};
use store::{Ledger, LogConfig, StoreError};
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

/// What a register is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// To make what is missing.
    Found,
    /// To serve what is there, alone with this node's number.
    Serve,
    /// For a command beside the service.
    Beside,
}

/// The policies and owners that the configuration names.
pub fn policies(config: &Config) -> Result<Policies, Failure> {
    let loaded = Policies::load(&texts(&config.policies, "cedar")?, config.owners.clone());
    let loaded = loaded.map(|policies| match config.demand {
        Some(demand) => policies.demanding(demand),
        None => policies,
    });
    loaded.map_err(|error| {
        let says = match &error {
            PolicyError::Policy { .. } | PolicyError::DuplicatePolicy(_) | PolicyError::Empty => {
                format!("the policies in {} are refused", config.policies.display())
            }
            PolicyError::Rule { .. } | PolicyError::DuplicateOwner(_) => {
                format!("an [[owner]] in {} is refused", config.file.display())
            }
        };
        Failure::new(Exit::Failed, says).because(&error)
    })
}

/// The profiles that the configuration names.
pub fn profiles(config: &Config) -> Result<Profiles, Failure> {
    Profiles::load(&texts(&config.profiles, "toml")?)
        .or_fail(format!("the profiles in {} are refused", config.profiles.display()))
}

/// Why there is no register, and what to do.
pub fn unopened(config: &Config, error: &StoreError) -> Failure {
    let (file, says) = (config.file.display(), error.to_string());
    let failure = |exit| Failure::new(exit, "cannot open the register").because(error);
    match error {
        StoreError::Taken { .. } => failure(Exit::Failed).help(format!(
            "stop the server that has it, or give this one a number of its own: [ca] instance in {file}"
        )),
        // These say themselves what to do.
        StoreError::Held(_) | StoreError::Clock(_) => failure(Exit::Unavailable),
        StoreError::Conflict(_) => {
            failure(Exit::Unavailable).help("wait until that command has ended, and start again")
        }
        StoreError::Database(_) => failure(Exit::Failed).help(refused_by_the_database(config, &says)),
        StoreError::Token(_) => failure(Exit::Unavailable).help(format!(
            "look whether a token opens that has the key that seals, without which nothing begins: `chancery doctor`, and [hsm] in {file}"
        )),
        StoreError::Full(_) => failure(Exit::Unavailable).help("make room where the register lies, and start again"),
        StoreError::Unavailable(_)
        | StoreError::Unknown(_)
        | StoreError::Unshown(_)
        | StoreError::Target(_)
        | StoreError::Late { .. }
        | StoreError::Busy { .. } => {
            failure(Exit::Unavailable).help(format!("look whether the database answers: [database] url in {file}"))
        }
        StoreError::Duplicate(_)
        | StoreError::NotFound(_)
        | StoreError::Invalid(_)
        | StoreError::Altered(_)
        | StoreError::Corrupt(_)
        | StoreError::Closed => {
            failure(Exit::Failed).help("look with `chancery audit verify`; docs/BACKUP.md has the way back")
        }
    }
}

/// By PostgreSQL's code (Appendix A), which stands in what it said.
fn refused_by_the_database(config: &Config, says: &str) -> String {
    let file = config.file.display();
    let has = |code: &str| says.contains(&format!("({code})"));
    if has("28P01") || has("28000") {
        format!(
            "the server refuses the user or the password: [database] url and password_file in {file}, and its pg_hba.conf"
        )
    } else if has("3D000") {
        "make the database: CREATE DATABASE name ENCODING 'UTF8' TEMPLATE template0 OWNER user".to_owned()
    } else if has("42501") {
        "give the user the right to make and write tables in its schema: make it the database's owner".to_owned()
    } else if has("53300") {
        "give the user more connections: a node takes 7, and two more for the moment of a start (docs/CONFIG.md)"
            .to_owned()
    } else {
        format!("look at [database] in {file}; docs/CONFIG.md says what it may be")
    }
}

/// The register over an opened token, with what the authority needs beside them.
pub async fn parts(config: &Config, (pool, mint, closing): OpenToken, way: Way) -> Result<(Parts, Closing), Failure> {
    let world = World::real();
    let rules = (policies(config)?, profiles(config)?);
    let (database, token, log) = (config.database.clone(), (&pool, mint), config.log());
    let opened = match way {
        Way::Found => Ledger::found(database, token, log, world.clone()).await,
        Way::Beside => Ledger::open(database, token, log, world.clone()).await,
        Way::Serve => {
            let log = LogConfig { instance: Some(config.instance.get()), ..log };
            Ledger::open(database, token, log, world.clone()).await
        }
    };
    let ledger = opened.map_err(|error| unopened(config, &error))?;
    Ok((furnished(config, rules, (ledger, pool, world)).await, closing))
}

/// What the authority needs beside a register that is open.
pub async fn furnished(
    config: &Config,
    (policies, profiles): (Policies, Profiles),
    (ledger, pool, world): (Ledger, hsm::Pool, World),
) -> Parts {
    // Before anything is written: a clock that others contradict is not believed from the first moment.
    witnesses(config, &ledger, &world).ask().await;
    Parts {
        ledger,
        pool,
        world,
        policies: Arc::new(policies),
        profiles,
        instance: config.instance,
        urls: Urls { http_base: config.server.public_http.clone() },
    }
}

/// Who else knows the time.
pub fn witnesses(config: &Config, ledger: &Ledger, world: &World) -> Witnesses {
    Witnesses::new(ledger.clone(), world.clone(), config.time_peers.clone())
}

/// The authority that `chancery init` made.
pub async fn authority(config: &Config, way: Way) -> Result<(Authority, Closing), Failure> {
    let (parts, closing) = parts(config, open_token(config)?, way).await?;
    let authority = Authority::open(parts).await.or_fail("the token and the register do not make an authority");
    let help = "run `chancery init` first; `chancery doctor` shows what the token holds";
    Ok((authority.map_err(|failure| failure.help(help))?, closing))
}

/// Logs in to the token, once.
pub fn open_token(config: &Config) -> Result<OpenToken, Failure> {
    let (pool, mint) = hsm::open_all(config.open_tokens()).map_err(|error| {
        let failure = Failure::new(Exit::Failed, "cannot open the token").because(&error);
        failure.help(unopened_token(config, &error))
    })?;
    let closing = Closing(pool.clone());
    Ok((pool, mint, closing))
}

/// What to do about a token that does not open.
pub fn unopened_token(config: &Config, error: &hsm::HsmError) -> String {
    let (file, module) = (config.file.display(), config.hsm.module.display());
    match error {
        hsm::HsmError::Locked(_) => {
            "check the PIN's source in [hsm] and start again; it was tried once and is not tried a second time, since a loop would \
             lock the token"
                .to_owned()
        }
        hsm::HsmError::Config { .. } => format!("correct [hsm] in {file}"),
        hsm::HsmError::Module { .. } if !config.hsm.module.exists() => {
            format!("name the PKCS#11 module's library: [hsm] module in {file}")
        }
        hsm::HsmError::Module { .. } | hsm::HsmError::Token(_) => match environment(&config.hsm.module) {
            Some(says) => says,
            None => format!(
                "look whether {module} shows the token at all (`pkcs11-tool --module {module} -L`); many modules read an environment \
                 variable or a file of their own: the service needs the same"
            ),
        },
        hsm::HsmError::NotFound { .. }
        | hsm::HsmError::Exists { .. }
        | hsm::HsmError::TokenExists { .. }
        | hsm::HsmError::Unfit { .. }
        | hsm::HsmError::Unsupported(_)
        | hsm::HsmError::Sealed(_)
        | hsm::HsmError::Unavailable { .. }
        | hsm::HsmError::Failed(_) => format!("look with the vendor's own tools whether the token answers; [hsm] in {file} names it"),
    }
}

/// Where a known module looks for its tokens, and what that is now.
fn environment(module: &Path) -> Option<String> {
    let name = module.file_name()?.to_string_lossy().into_owned();
    let of = |variable: &str| match std::env::var(variable) {
        Ok(value) => format!("{variable} is {value}"),
        Err(_) => format!("{variable} is not set"),
    };
    if name.contains("softhsm") {
        return Some(format!(
            "SoftHSM2 finds its tokens by the file that SOFTHSM2_CONF names, else by /etc/softhsm/softhsm2.conf; {}. The service's user \
             must be able to read it and to write the token folder in it; `softhsm2-util --show-slots` shows what it finds",
            of("SOFTHSM2_CONF")
        ));
    }
    if name.contains("p11-kit") {
        return Some(
            "p11-kit shows the modules that its files name (/etc/pkcs11/modules, /usr/share/p11-kit/modules, ~/.config/pkcs11/modules): \
             `p11-kit list-modules` shows what it finds; the modules need their own environment too"
                .to_owned(),
        );
    }
    None
}

/// The files of a folder with an extension, as (name without it, text), sorted by name.
fn texts(dir: &Path, extension: &str) -> Result<Vec<(String, String)>, Failure> {
    let mut found = Vec::new();
    for path in crate::files::deciding_folder(dir)? {
        if path.extension().is_none_or(|e| e != extension) {
            continue;
        }
        let text = crate::files::deciding(&path, FILE_BYTES_MAX)?;
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
