//! The file as it is written.

use serde::Deserialize;

use super::Map;
use super::entries::{Credential, Docker, Git, Mycnf, Netrc, Pgpass, Ssh, Unlocks};
use super::host::{Host, Scheme};
use super::site::{Registry, Site};
use super::words::{Words, secret};

/// As many as a file of that size has.
const ENTRIES_MAX: usize = 1024;
/// The longest path that OpenSSH shows whole in its question.
const KEY_BYTES_MAX: usize = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Raw {
    #[serde(default)]
    pub environments: Vec<String>,
    pub default: Option<String>,
    #[serde(default)]
    git: Vec<RawGit>,
    #[serde(default)]
    docker: Vec<RawDocker>,
    #[serde(default)]
    ssh: Vec<RawSsh>,
    #[serde(default)]
    pgpass: Vec<RawPgpass>,
    #[serde(default)]
    mycnf: Vec<RawMycnf>,
    #[serde(default)]
    netrc: Vec<RawNetrc>,
    #[serde(default)]
    credential: Vec<RawCredential>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawGit {
    url: String,
    username: String,
    password: String,
    #[serde(default)]
    store: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDocker {
    registry: String,
    username: String,
    password: String,
    #[serde(default)]
    store: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSsh {
    key: Option<String>,
    login: Option<String>,
    secret: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPgpass {
    host: String,
    port: Option<u16>,
    database: Option<String>,
    username: String,
    password: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMycnf {
    group: Option<String>,
    host: Option<String>,
    port: Option<u16>,
    username: String,
    password: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawNetrc {
    machine: String,
    username: String,
    password: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCredential {
    unit: String,
    name: String,
    reference: String,
}

impl Raw {
    /// Each entry, or which one is wrong.
    pub fn entries(self, env: Option<&str>) -> Result<Map, String> {
        Ok(Map {
            git: each("git", self.git, |raw| git(raw, env))?,
            docker: each("docker", self.docker, |raw| docker(raw, env))?,
            ssh: each("ssh", self.ssh, |raw| ssh(raw, env))?,
            pgpass: each("pgpass", self.pgpass, |raw| pgpass(raw, env))?,
            mycnf: each("mycnf", self.mycnf, |raw| mycnf(raw, env))?,
            netrc: each("netrc", self.netrc, |raw| netrc(raw, env))?,
            credential: each("credential", self.credential, |raw| credential(raw, env))?,
        })
    }
}

fn each<R, E>(name: &str, all: Vec<R>, read: impl Fn(R) -> Result<E, String>) -> Result<Vec<E>, String> {
    if all.len() > ENTRIES_MAX {
        return Err(format!("[[{name}]]: there are {ENTRIES_MAX} at most"));
    }
    let numbered = all.into_iter().zip(1_u32..);
    numbered.map(|(raw, number)| read(raw).map_err(|why| format!("[[{name}]] number {number}: {why}"))).collect()
}

fn git(raw: RawGit, env: Option<&str>) -> Result<Git, String> {
    Ok(Git {
        site: Site::read(&raw.url)?,
        username: Words::read(&raw.username, env)?,
        password: secret(&raw.password, env)?,
        store: raw.store,
    })
}

fn docker(raw: RawDocker, env: Option<&str>) -> Result<Docker, String> {
    Ok(Docker {
        registry: Registry::read(&raw.registry)?,
        username: Words::read(&raw.username, env)?,
        password: secret(&raw.password, env)?,
        store: raw.store,
    })
}

fn ssh(raw: RawSsh, env: Option<&str>) -> Result<Ssh, String> {
    let unlocks = match (raw.key, raw.login) {
        (Some(key), None) => {
            let home = std::env::var("HOME").unwrap_or_default();
            let key = key.strip_prefix("~/").map_or(key.clone(), |rest| format!("{home}/{rest}"));
            if !key.starts_with('/') || key.chars().any(char::is_control) {
                return Err("a key is an absolute path, or begins with ~/".to_owned());
            }
            if key.len() > KEY_BYTES_MAX {
                return Err(format!("ssh shortens a path of more than {KEY_BYTES_MAX} bytes when it asks"));
            }
            Unlocks::Key(key)
        }
        (None, Some(login)) => {
            let (user, host) = login.rsplit_once('@').ok_or("a login is USER@HOST, as ssh shows it")?;
            let is_known = |c: char| c.is_ascii_graphic() && !matches!(c, '\'' | '(' | ')' | '@');
            if user.is_empty() || host.is_empty() || !user.chars().chain(host.chars()).all(is_known) {
                return Err("a login is USER@HOST, as ssh shows it".to_owned());
            }
            Unlocks::Login(login)
        }
        (Some(_), Some(_)) | (None, None) => return Err("say one of key = and login =".to_owned()),
    };
    Ok(Ssh { unlocks, secret: secret(&raw.secret, env)? })
}

fn pgpass(raw: RawPgpass, env: Option<&str>) -> Result<Pgpass, String> {
    // A folder of sockets is a host to libpq; `#` begins a comment, and `*` is every host.
    let is_known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '/' | ':' | '@');
    if raw.host.is_empty() || !raw.host.chars().all(is_known) {
        return Err("a host is a name, an address, or the folder of a socket; none stands for all of them".to_owned());
    }
    let database = raw.database.map(|text| Words::read(&text, env)).transpose()?;
    Ok(Pgpass {
        host: raw.host,
        port: raw.port.unwrap_or(PGPORT),
        database,
        username: Words::read(&raw.username, env)?,
        password: secret(&raw.password, env)?,
    })
}

/// PostgreSQL's.
const PGPORT: u16 = 5432;

fn mycnf(raw: RawMycnf, env: Option<&str>) -> Result<Mycnf, String> {
    let group = raw.group.unwrap_or_else(|| "client".to_owned());
    let is_known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if group.is_empty() || !group.chars().all(is_known) {
        return Err("a group is a word: client, mariadb, clientprod".to_owned());
    }
    let host = raw.host.map(|host| Words::read(&host, env)).transpose()?;
    Ok(Mycnf {
        group,
        host,
        port: raw.port,
        username: Words::read(&raw.username, env)?,
        password: secret(&raw.password, env)?,
    })
}

fn netrc(raw: RawNetrc, env: Option<&str>) -> Result<Netrc, String> {
    let machine = Host::read(&raw.machine, Scheme::Https)?;
    if machine.text() != raw.machine.to_ascii_lowercase() || machine.text().contains(':') {
        return Err("a machine is a host's name alone: a netrc has no ports".to_owned());
    }
    Ok(Netrc {
        machine: machine.text().to_owned(),
        username: Words::read(&raw.username, env)?,
        password: secret(&raw.password, env)?,
    })
}

fn credential(raw: RawCredential, env: Option<&str>) -> Result<Credential, String> {
    let is_known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':' | '@' | '\\');
    let is_name = |text: &str| !text.is_empty() && text.len() <= UNIT_BYTES_MAX && text.chars().all(is_known);
    if !is_name(&raw.unit) || !raw.unit.contains('.') {
        return Err("a unit is named whole, as systemd names it: app.service".to_owned());
    }
    if !is_name(&raw.name) || raw.name.starts_with('.') {
        return Err("a credential's name is that of a file: letters, digits, `.`, `-` and `_`".to_owned());
    }
    Ok(Credential { unit: raw.unit, name: raw.name, reference: secret(&raw.reference, env)? })
}

/// systemd's UNIT_NAME_MAX, and a file's name.
const UNIT_BYTES_MAX: usize = 255;
