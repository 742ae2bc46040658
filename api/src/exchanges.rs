//! Where rotations are done: drivers at their targets, and for SSH keys the hosts' own agents.
//!
//! Nobody logs in as root: an agent on each host asks which public keys are in force and says which it has, so that a key is set, or taken
//! away, when the last host says so. What they say is no proof; that is a login, with the key itself, by OpenSSH's client.

use policy::Owner;
use secrets::rotation::{Outcome, Settings, Step};
use secrets::{At, Errand, Login, Product, SecretPath, Targets, ssh_fingerprint, ssh_public_line};

use crate::app::App;
use crate::problem::chain;

/// Rotations at all targets.
pub(crate) struct Exchanges(App);

impl Exchanges {
    /// Of this service.
    pub(crate) fn of(app: &App) -> Exchanges {
        Exchanges(app.clone())
    }
}

impl Targets for Exchanges {
    fn check(&self, at: &At, owner: &Owner, settings: &Settings) -> Result<(), String> {
        self.0.places().check(at, owner, settings)
    }

    async fn act(&self, errand: &Errand<'_>, step: &Step, admin: Option<&Login>, login: &Login) -> Outcome {
        if errand.at.product != Product::Ssh {
            return self.0.places().act(errand, step, admin, login).await;
        }
        match step {
            Step::Set { .. } => self.all_say(errand, login, true).await,
            Step::Retire { .. } => self.all_say(errand, login, false).await,
            Step::Test { .. } => self.0.places().log_in(errand.at, login, &self.0.authority().ssh_host_ca()).await,
            Step::Rest { .. } | Step::Make { .. } | Step::Promote { .. } | Step::Discard { .. } => nothing(),
            Step::GiveUp | Step::Halt => nothing(),
        }
    }
}

impl Exchanges {
    /// Whether every host says that it has a key, or has it no more.
    async fn all_say(&self, errand: &Errand<'_>, login: &Login, has: bool) -> Outcome {
        let key = ssh_public_line(login.secret.expose()).ok().and_then(|line| ssh_fingerprint(&line));
        let Some(key) = key else { return Outcome::Refused("the version's private key cannot be read".to_owned()) };
        match lacking(&self.0, errand.path, errand.at, &key, has).await {
            Ok(hosts) if hosts.is_empty() => Outcome::Done,
            Ok(hosts) => {
                let what = if has { "has the new key" } else { "took the key away" };
                let each = hosts.iter().map(|host| format!("{host}: its agent does not say yet that it {what}"));
                Outcome::Away(each.collect::<Vec<_>>().join("; "))
            }
            Err(why) => Outcome::Away(why),
        }
    }
}

/// The hosts of a rotation that do not say that they have a key; or, where it is taken away, that they have it no more.
pub(crate) async fn lacking(
    app: &App,
    path: &SecretPath,
    at: &At,
    fingerprint: &str,
    has: bool,
) -> Result<Vec<String>, String> {
    let reports = app.host_keys().reports(path).await.map_err(|error| chain(&error))?;
    let hosts = drivers::ssh_hosts(&at.host, at.port).map_err(|error| error.to_string())?;
    let says = |host: &str| {
        let report = reports.iter().find(|report| report.host == host);
        report.is_some_and(|report| report.fingerprints.iter().any(|one| one == fingerprint) == has)
    };
    Ok(hosts.into_iter().map(|host| host.name).filter(|host| !says(host)).collect())
}

fn nothing() -> Outcome {
    Outcome::Away("this is done in the register, not at a host".to_owned())
}
