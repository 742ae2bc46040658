//! Where rotations are done: drivers at their targets, and for SSH keys the hosts' own agents.
//!
//! Nobody logs in as root: an agent on each host asks which public keys are in force and says which it has, so that a key is set, or taken
//! away, when the last host says so. What they say is no proof; that is a login, with the key itself, by OpenSSH's client.

use policy::{Owner, Timestamp};
use secrets::rotation::{Outcome, Settings, Step};
use secrets::{At, Errand, HostReport, Login, Product, SecretPath, Targets, ssh_fingerprint, ssh_public_line};

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
            Step::Test { .. } => {
                let (cas, revoked) = (self.0.authority().ssh_host_ca(), self.0.authority().ssh_krl());
                self.0.places().log_in(errand.at, login, &cas, &revoked).await
            }
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
                let each = hosts.iter().map(|(host, silent)| lack(host, *silent, has));
                Outcome::Away(each.collect::<Vec<_>>().join("; "))
            }
            Err(why) => Outcome::Away(why),
        }
    }
}

/// The hosts of a rotation that do not say that they have a key, or, where it is taken away, that they have it no more; and when one that
/// has been silent for long was heard last.
async fn lacking(
    app: &App,
    path: &SecretPath,
    at: &At,
    fingerprint: &str,
    has: bool,
) -> Result<Vec<(String, Option<Timestamp>)>, String> {
    let reports = app.host_keys().reports(path).await.map_err(|error| chain(&error))?.items;
    let hosts = drivers::ssh_hosts(&at.host, at.port).map_err(|error| error.to_string())?;
    let now = u64::try_from(app.world().now().unix()).unwrap_or_default();
    let says = |report: &HostReport| report.fingerprints.iter().any(|one| one == fingerprint) == has;
    let heard = |report: &HostReport| Timestamp::from_unix(i64::try_from(report.at).unwrap_or(i64::MAX));
    let each = hosts.into_iter().filter_map(|host| match reports.iter().find(|report| report.host == host.name) {
        Some(report) if says(report) => None,
        said => Some((host.name, said.filter(|said| said.is_silent(now)).map(heard))),
    });
    Ok(each.collect())
}

/// Why a host is waited for. Between two such stands `; `, so that there is none in it.
fn lack(host: &str, silent: Option<Timestamp>, has: bool) -> String {
    let what = if has { "has the new key" } else { "took the key away" };
    match silent {
        Some(heard) => format!(
            "{host}: its agent has been silent since {heard}, and does not say that it {what} (if the host is gone for good, set the \
             rotation up without it)"
        ),
        None => format!("{host}: its agent does not say yet that it {what}"),
    }
}

fn nothing() -> Outcome {
    Outcome::Away("this is done in the register, not at a host".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_that_has_been_silent_is_waited_for_by_its_name_and_with_what_to_do() {
        let heard = Timestamp::from_unix(1_790_000_000);
        for has in [true, false] {
            let said = lack("web1", Some(heard), has);
            assert!(said.starts_with("web1: ") && said.contains(&heard.to_string()), "{said}");
            assert!(said.contains("without it") && !said.contains("; "), "{said}");
            assert_ne!(said, lack("web1", None, has));
        }
    }
}
