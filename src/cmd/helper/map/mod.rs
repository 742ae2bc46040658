//! `helpers.toml`: which secret is for whom. It is the user's own, or the host's; never a file of the folder in which a program asks.
//!
//! A program like git asks in whatever folder it stands, and that may be somebody else's: a file there that said "this secret is for that
//! host" would be a way to have any secret sent anywhere. So it is looked for at one place, and one that everybody may write is refused.
//! It holds names and references, and no value.

mod entries;
mod host;
mod raw;
mod site;
mod words;

use std::path::{Path, PathBuf};

pub use entries::{Credential, Docker, Git, Mycnf, Netrc, Pgpass, Ssh, Unlocks};
pub use site::Registry;
pub use words::Words;

use crate::client::variable;
use crate::cmd::deliver::needs::chosen;
use crate::cmd::deliver::source::Sourcing;
use crate::failure::{Exit, Failure};
use crate::files;
use crate::written::written;

/// What every helper is told.
#[derive(clap::Args, Default)]
pub struct Common {
    /// Which secret is for whom, instead of ~/.config/chancery/helpers.toml (or CHANCERY_HELPERS)
    #[arg(long, value_name = "FILE", env = "CHANCERY_HELPERS", hide_env = true)]
    pub helpers: Option<PathBuf>,
    /// The environment that {env} stands for in its references (or CHANCERY_ENVIRONMENT), instead of the file's default
    #[arg(long, value_name = "NAME", env = "CHANCERY_ENVIRONMENT", hide_env = true)]
    pub environment: Option<String>,
    #[command(flatten)]
    pub sourcing: Sourcing,
}

/// All that is named there.
#[derive(Debug, Default)]
pub struct Map {
    /// For `git`.
    pub git: Vec<Git>,
    /// For `docker`.
    pub docker: Vec<Docker>,
    /// For `ssh` and `ssh-add`.
    pub ssh: Vec<Ssh>,
    /// For libpq.
    pub pgpass: Vec<Pgpass>,
    /// For the clients of MariaDB and MySQL.
    pub mycnf: Vec<Mycnf>,
    /// For curl.
    pub netrc: Vec<Netrc>,
    /// For units of systemd.
    pub credential: Vec<Credential>,
}

impl Map {
    /// The file that is named, or the user's own.
    pub fn load(helpers: Option<&Path>, environment: Option<&str>) -> Result<Map, Failure> {
        let none = || {
            Failure::new(Exit::Failed, "no file says which secret is for whom")
                .help("write ~/.config/chancery/helpers.toml, or name one with --helpers FILE; docs/HELPERS.md has an example")
        };
        let path = helpers.map(Path::to_owned).or_else(own).ok_or_else(none)?;
        if helpers.is_none() && path.symlink_metadata().is_err() {
            return Err(none());
        }
        let text = files::deciding(&path, FILE_BYTES_MAX)?;
        Map::read(&text, environment).map_err(|why| {
            let says = format!("{} cannot be used", files::shown(&path));
            Failure::new(Exit::Failed, says).since(why).help("docs/HELPERS.md has an example of each entry")
        })
    }

    /// Reads the text. Whatever is wrong anywhere in it, nothing of it is used.
    pub fn read(text: &str, said: Option<&str>) -> Result<Map, String> {
        let raw: raw::Raw = toml::from_str(text).map_err(|error| {
            let (line, why) = written(text, &error);
            format!("{line}: {why}")
        })?;
        // A file without environments has nothing to choose, whatever the shell's variable says for others.
        let said = said.filter(|_| !raw.environments.is_empty());
        let environment = chosen(&raw.environments, raw.default.as_deref(), said)?.map(str::to_owned);
        raw.entries(environment.as_deref())
    }
}

/// `$XDG_CONFIG_HOME/chancery/helpers.toml`, by default under `~/.config`.
fn own() -> Option<PathBuf> {
    let home = || variable("HOME").map(|home| PathBuf::from(home).join(".config"));
    let base = variable("XDG_CONFIG_HOME").map(PathBuf::from).or_else(home)?;
    Some(base.join("chancery/helpers.toml"))
}

/// Names and references of a user's programs are a few KiB.
const FILE_BYTES_MAX: u64 = 256 << 10;

#[cfg(test)]
mod tests;
