//! What is read again while the server runs: SIGHUP, and what a start finds changed.
//!
//! The configuration, the policies and the profiles are read and checked as a start does it. A mistake anywhere keeps all of what was
//! in force, and is said. What differs becomes leaves of the log first (`Authority::amend`), and is in force then: owners, policies,
//! profiles, the limits, the log level. What a running server cannot change is named, and waits for a start. Nothing is ended.

use std::path::PathBuf;
use std::sync::Arc;

use ca::{Amendment, Authority};
use policy::Actor;
use tokio::signal::unix::Signal;
use tracing::{error, info, warn};

use crate::Global;
use crate::config::Config;
use crate::failure::{Failure, OrFail};
use crate::{hardening, house};

/// Who does it: the files of the host say so.
const TASK: &str = "settings";

/// The limits as this process can keep them.
pub fn fitting(limits: &api::Limits) -> api::Limits {
    let files = hardening::files();
    let fitting = limits.within(files);
    if fitting.connections < limits.connections {
        warn!(
            files,
            connections = fitting.connections,
            configured = limits.connections,
            "each listener takes fewer connections than configured, since this process may open so few files \
             (ulimit -n, systemd's LimitNOFILE=)"
        );
    }
    fitting
}

/// What takes what is read again.
pub struct Reloads {
    global: Global,
    file: PathBuf,
    started: Arc<Config>,
    authority: Authority,
    bounds: api::Bounds,
    notice: api::Notice,
}

impl Reloads {
    /// For a server that starts by this configuration.
    pub fn new(
        global: Global,
        started: &Arc<Config>,
        authority: Authority,
        (bounds, notice): (api::Bounds, api::Notice),
    ) -> Self {
        Self { global, file: started.file.clone(), started: Arc::clone(started), authority, bounds, notice }
    }

    /// Says in the log what this start brings into force that the log has not heard of yet. A log that takes nothing now hears of it
    /// with the next start or signal.
    pub async fn begin(&self) {
        if let Err(failure) = self.amend(&self.started).await {
            warn!("what changed since the last start is not in the log yet: {failure}");
        }
        self.tell_unfit();
    }

    /// Reads again at each signal, for ever.
    pub async fn hear(self, mut hangups: Signal) {
        while hangups.recv().await.is_some() {
            match self.again().await {
                Ok(()) => self.notice.set(None),
                Err(failure) => {
                    // A line of the log, and a sentence.
                    let failure = failure.to_string();
                    let failure =
                        failure.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ");
                    error!("what was in force stays: {failure}");
                    self.notice.set(Some(format!(
                        "The configuration was read again and refused; what was in force stays: {failure}"
                    )));
                }
            }
        }
    }

    async fn again(&self) -> Result<(), Failure> {
        let config = Config::load(&self.file)?;
        self.amend(&config).await?;
        self.bounds.set(&fitting(&config.limits));
        if let (Some(now), Some(read)) = (&self.started.acme, &config.acme) {
            now.limits.set(read.limits.now());
        }
        self.global.log.set(&config.log_level);
        let waiting = self.started.fixed_keys_that_differ(&config);
        if !waiting.is_empty() {
            warn!(keys = waiting.join(", "), "these are changed in the file, and wait for a restart");
        }
        info!(config = %self.file.display(), "the configuration was read again");
        self.tell_unfit();
        Ok(())
    }

    /// What is in force and can do nothing: its issuer may be made, or come back, later. As long as it is so, it is an alarm.
    fn tell_unfit(&self) {
        for unfit in self.authority.unfit() {
            warn!(profile = unfit.profile, "in force, and of no use: {}", unfit.why);
        }
    }

    async fn amend(&self, config: &Config) -> Result<(), Failure> {
        let policies = house::policies(config)?;
        let profiles = house::profiles(config)?;
        let amendment = Amendment { policies, profiles, settings: config.settings() };
        let amended = self.authority.amend(&Actor::system(TASK), amendment).await;
        for part in amended.or_fail("the log does not take what changed")? {
            info!(part = part.part, hash = part.hash, entry = part.leaf, "in force");
        }
        Ok(())
    }
}
