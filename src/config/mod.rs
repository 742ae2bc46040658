//! `chancery.toml`: TOML -> raw serde structs -> checks -> one immutable value.
//!
//! A mistake is refused at start-up with the file, the key, the reason and the line to write instead.
//! Relative paths are relative to the file, so that a folder made by `chancery init` can be moved.

mod backup;
mod error;
mod in_force;
mod limits;
mod login;
mod rotation;
mod tables;
mod token;
mod urls;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use hsm::TokenConfig;
use lifecycle::Peer;
use policy::{Demand, Instance, OwnerRules};
use store::{Database, LogConfig};

use crate::failure::{Failure, OrFail};
use crate::files;
use crate::logging::LogLevel;
use crate::written::written;

pub use self::backup::{Backup, recipients};
pub use error::ConfigError;
pub use in_force::InForce;
pub use rotation::Rotation;
pub use tables::Server;
pub use token::Token;

use tables::Raw;
use token::check_token;
use urls::{absolute_database, check_url, with_password_file};

/// A configuration longer than this is not one.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The whole configuration, checked.
#[derive(Debug)]
pub struct Config {
    /// The file it was read from.
    pub file: PathBuf,
    /// Where the server listens and how it is reached.
    pub server: Server,
    /// What is logged.
    pub log_level: LogLevel,
    /// The bounds of its listeners.
    pub limits: api::Limits,
    /// The token that holds the keys.
    pub hsm: Token,
    /// `[hsm.tokens]`: those beside the first, by name.
    pub tokens: Vec<Token>,
    /// Where the register is.
    pub database: Database,
    /// The same as it is written: `sqlite:PATH` with an absolute path, or `postgres://...`.
    pub database_url: String,
    /// This node's part of every serial number.
    pub instance: Instance,
    /// What administrators prove beside their token; absent, nothing.
    pub demand: Option<Demand>,
    /// Time servers that the clock is held against.
    pub time_peers: Vec<Peer>,
    /// The name that the log's checkpoints carry.
    pub log_origin: String,
    /// A folder of this node alone: the newest head it saw, outside the database.
    pub log_state: PathBuf,
    /// Folder of `*.cedar` files.
    pub policies: PathBuf,
    /// Folder of `*.toml` profiles.
    pub profiles: PathBuf,
    /// The programs and hooks by which secrets are exchanged.
    pub rotation: Rotation,
    /// The ACME server's settings, checked; absent, there is none.
    pub acme: Option<acme::AcmeConfig>,
    /// Backups that the service makes; absent, it makes none.
    pub backup: Option<Backup>,
    /// Which names belong to whom.
    pub owners: Vec<OwnerRules>,
}

impl Config {
    /// What `hsm::open_all` takes.
    pub fn open_tokens(&self) -> Vec<(String, TokenConfig)> {
        let all = std::iter::once(&self.hsm).chain(&self.tokens);
        all.map(|token| (token.name.clone(), token.open_config())).collect()
    }

    /// How the log is known outside, for a command that opens the register beside no service of this node.
    pub fn log(&self) -> LogConfig {
        LogConfig { origin: self.log_origin.clone(), state: Some(self.log_state.clone()), instance: None }
    }

    /// The files that a restore needs beside the register.
    pub fn beside(&self) -> ::backup::Beside {
        ::backup::Beside { config: self.file.clone(), policies: self.policies.clone(), profiles: self.profiles.clone() }
    }

    /// The settings of the service that the log is told, by their names, as text.
    pub fn settings(&self) -> BTreeMap<&'static str, String> {
        in_force::settings(&self.limits, self.acme.as_ref(), &self.log_level, self.demand)
    }

    /// What a running server keeps until its next start, as far as another configuration says it otherwise.
    pub fn fixed_keys_that_differ(&self, other: &Config) -> Vec<&'static str> {
        let acme = |config: &Config| {
            let limits = acme::LimitsInForce::default();
            config.acme.clone().map(|acme| format!("{:?}", acme::AcmeConfig { limits, ..acme }))
        };
        let of = |config: &Config| {
            let server = &config.server;
            [
                ("server.https", server.https.to_string()),
                ("server.http", server.http.to_string()),
                ("server.names", server.names.join(" ")),
                ("server.public_http", server.public_http.clone()),
                ("server.public_https", server.public_https.clone()),
                ("[hsm]", format!("{:?} {:?}", config.hsm, config.tokens)),
                ("[database]", config.database_url.clone()),
                ("ca.instance", config.instance.get().to_string()),
                ("[log]", format!("{} {}", config.log_origin, config.log_state.display())),
                ("time.peers", format!("{:?}", config.time_peers)),
                ("[rotation]", format!("{:?}", config.rotation)),
                ("secrets.cache_secs", config.limits.cache.as_secs().to_string()),
                ("[acme]", format!("{:?}", acme(config))),
                ("[backup]", format!("{:?}", config.backup)),
            ]
        };
        let pairs = of(self).into_iter().zip(of(other));
        pairs.filter(|((_, one), (_, two))| one != two).map(|((key, _), _)| key).collect()
    }

    /// Reads and checks `file`.
    pub fn load(file: &Path) -> Result<Self, Failure> {
        let text = files::deciding(file, FILE_BYTES_MAX)?;
        Self::parse(&text, file).or_fail("the configuration is refused")
    }

    /// Checks the text that stands, or will stand, in `file`.
    pub fn parse(text: &str, file: &Path) -> Result<Self, ConfigError> {
        let refuse = |key: &str, reason: String, write: &str| ConfigError::new(file, key, reason, write);
        let raw: Raw = toml::from_str(text).map_err(|e| {
            let (line, why) = written(text, &e);
            refuse(&line, why, "a line as in docs/CONFIG.md")
        })?;
        // A bare name stands in the folder the command is given in.
        let dir = file.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let dir = std::path::absolute(dir).map_err(|e| refuse("(file)", e.to_string(), ""))?;

        check_url(&raw.server.public_http, "http://")
            .map_err(|why| refuse("server.public_http", why, "public_http = \"http://ca.example.internal:8080\""))?;
        check_url(&raw.server.public_https, "https://")
            .map_err(|why| refuse("server.public_https", why, "public_https = \"https://ca.example.internal:8443\""))?;
        for name in &raw.server.names {
            policy::Name::parse(name).map_err(|e| refuse("server.names", e.to_string(), "names = [\"localhost\"]"))?;
        }
        let log_level = LogLevel::parse(&raw.server.log).map_err(|e| {
            refuse("server.log", e.to_string(), "log = \"info\"   # or debug, or info,chancery_store=debug")
        })?;
        let limits = raw
            .server
            .limits
            .check()
            .map_err(|(key, why, write)| refuse(&format!("server.limits.{key}"), why, &write))?;
        let limits = raw
            .secrets
            .check(limits)
            .map_err(|why| refuse("secrets.cache_secs", why, "cache_secs = 3600   # 0: nobody keeps any"))?;
        let mut tokens = Vec::new();
        for raw in raw.hsm.all() {
            tokens.push(check_token(raw, &dir).map_err(|(key, why, write)| refuse(&key, why, write))?);
        }
        let mut tokens = tokens.into_iter();
        let Some(hsm) = tokens.next() else {
            return Err(refuse("hsm", "no token is named".to_owned(), "token = \"chancery\""));
        };
        let tokens: Vec<Token> = tokens.collect();
        if tokens.len() >= hsm::TOKENS_MAX || tokens.iter().any(|token| token.name == hsm.name) {
            let why =
                format!("{} tokens at most, each with a name of its own; the first is `{}`", hsm::TOKENS_MAX, hsm.name);
            return Err(refuse("hsm.tokens", why, "[hsm.tokens.spare]"));
        }
        let instance = Instance::new(raw.ca.instance).map_err(|e| {
            refuse(
                "ca.instance",
                e.to_string(),
                "instance = 1   # another number on every node that shares the register",
            )
        })?;
        let database_url = absolute_database(&raw.database.url, &dir).map_err(|why| {
            refuse("database.url", why, "url = \"sqlite:chancery.db\"   # or postgres://user@host/database")
        })?;
        Database::parse(&database_url).map_err(|e| {
            refuse("database.url", e.to_string(), "url = \"postgres://user@host/database\", password_file = \"FILE\"")
        })?;
        let database_url = match raw.database.password_file {
            Some(file) => with_password_file(&database_url, &dir.join(file))
                .map_err(|why| refuse("database.password_file", why, "password_file = \"database.password\""))?,
            None => database_url,
        };
        let database = Database::parse(&database_url)
            .map_err(|e| refuse("database.url", e.to_string(), "url = \"sqlite:chancery.db\""))?;
        if raw.log.origin.is_empty() || raw.log.origin.contains(|c: char| c.is_whitespace() || c == '+') {
            let reason = "an origin is a non-empty name without spaces and plus signs".to_owned();
            return Err(refuse("log.origin", reason, "origin = \"chancery.example.internal/log\""));
        }
        let time_peers =
            raw.time.check().map_err(|why| refuse("time.peers", why, "peers = [\"time.example.internal:123\"]"))?;
        let demand = raw.login.check().map_err(|(key, why, write)| refuse(key, why, write))?;
        let rotation =
            raw.rotation.check(&dir).map_err(|(key, why, write)| refuse(&format!("rotation.{key}"), why, write))?;
        let acme = raw
            .acme
            .map(|settings| settings.check(&raw.server.public_https))
            .transpose()
            .map_err(|e| refuse(&format!("acme.{}", e.key), e.why, ""))?;
        let backup = raw.backup.map(|raw| raw.check(&dir)).transpose();
        let backup = backup.map_err(|(key, why, write)| refuse(&format!("backup.{key}"), why, write))?;
        let owners = in_force::owners(raw.owners, file)?;
        Ok(Self {
            file: file.to_owned(),
            server: raw.server,
            log_level,
            limits,
            hsm,
            tokens,
            database,
            database_url,
            instance,
            demand,
            time_peers,
            log_origin: raw.log.origin,
            log_state: dir.join(raw.log.state),
            policies: dir.join(raw.ca.policies),
            profiles: dir.join(raw.ca.profiles),
            rotation,
            acme,
            backup,
            owners,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    const GOOD: &str = r#"
[server]
public_http = "http://ca.test:8080"
public_https = "https://ca.test:8443"
[hsm]
module = "/usr/lib/softhsm/libsofthsm2.so"
token = "chancery"
pin_file = "pin"
[database]
url = "sqlite:chancery.db"
[ca]
instance = 1
[log]
origin = "ca.test/log"
[acme]
[[owner]]
name = "web"
dns = ["*.test"]
"#;

    fn load(text: &str) -> Result<Config, String> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("chancery.toml");
        std::fs::write(&file, text).unwrap();
        Config::load(&file).map_err(|e| e.to_string())
    }

    #[test]
    fn a_small_file_is_enough_and_paths_are_relative_to_it() {
        let config = load(GOOD).unwrap();
        assert_eq!(config.server.https, SocketAddr::from(([127, 0, 0, 1], 8443)));
        assert!(config.database_url.starts_with("sqlite:/"));
        assert!(config.policies.is_absolute());
        assert_eq!(config.acme.unwrap().http01_port, 80);
    }

    #[test]
    fn a_bare_name_is_a_file_of_the_folder_the_command_is_given_in() {
        let config = Config::parse(GOOD, Path::new("chancery.toml")).unwrap();
        assert_eq!(config.policies, std::env::current_dir().unwrap().join("policies"));
    }

    #[test]
    fn a_mistake_is_refused_with_its_key_and_the_line_to_write() {
        for (from, to, key, write) in [
            ("instance = 1", "instance = 0", "ca.instance", "instance = 1"),
            ("http://ca.test:8080", "ca.test", "server.public_http", "public_http ="),
            ("pin_file = \"pin\"", "", "hsm.pin_file", "pin_file ="),
            ("token = \"chancery\"", "", "hsm.token", "token ="),
            ("sqlite:chancery.db", "mysql:x", "database.url", "sqlite:chancery.db"),
            ("sqlite:chancery.db", "postgres://me:secret@db/x", "database.url", "password_file ="),
            ("db\"", "db\"\npassword_file = \"p\"", "database.password_file", "has no password"),
            ("[hsm]", "log = \"loud,x=y\"\n[hsm]", "server.log", "log = \"info\""),
            ("ca.test/log", "a b", "log.origin", "origin ="),
            ("[acme]", "[time]\npeers = [\"time\"]\n[acme]", "time.peers", "time.example.internal:123"),
            ("[acme]", "[rotation]\nshortest_overlap_secs = 0\n[acme]", "rotation.shortest_overlap_secs", "= 60"),
            ("[acme]", "[rotation.exec.x]\ncommand = [\"x\"]\n[acme]", "rotation.exec.x.command", "command = [\"/"),
            (
                "[acme]",
                "[rotation.exec.x]\ncommand = [\"/x\"]\ntimeout_secs = 61\n[acme]",
                "rotation.exec.x.timeout_secs",
                "timeout_secs = 30",
            ),
            (
                "[acme]",
                "[rotation.http.x]\nurl = \"https://x\"\nroots = \"r\"\ncertificate = \"c\"\n[acme]",
                "rotation.http.x.key",
                "key =",
            ),
            ("[acme]", "[acme]\nhttp01_port = 0", "acme.http01_port", "write 80"),
            ("[hsm]", "[server.limits]\nconnections = 0\n[hsm]", "limits.connections", "connections = 1024"),
            (
                "[hsm]",
                "[server.limits]\nrequests = 100\nrequests_per_address = 101\n[hsm]",
                "limits.requests_per_address",
                "requests_per_address = 25",
            ),
            ("[acme]", "[secrets]\ncache_secs = 2592001\n[acme]", "secrets.cache_secs", "cache_secs = 3600"),
            ("[acme]", "[backup]\nto = \"b/\"\nevery = \"often\"\n[acme]", "backup.every", "every = \"24h\""),
            ("[acme]", "[backup]\nto = \"b/\"\nevery = \"1s\"\n[acme]", "backup.every", "every = \"24h\""),
            ("[acme]", "[backup]\nto = \"b/\"\nkeep = 0\n[acme]", "backup.keep", "keep = 14"),
            ("[acme]", "[backup]\nto = \"b\"\nrecipients = [\"age1\"]\n[acme]", "backup.recipients", "recipients ="),
            ("name = \"web\"", "name = \"Web Team\"", "owner.name", "name = \"web\""),
        ] {
            let said = load(&GOOD.replace(from, to)).unwrap_err();
            assert!(said.contains(key) && said.contains(write), "{key}: {said}");
        }
    }

    #[test]
    fn an_address_has_a_quarter_of_the_places_unless_the_file_says_more() {
        let limits =
            |lines: &str| load(&GOOD.replace("[hsm]", &format!("[server.limits]\n{lines}\n[hsm]"))).unwrap().limits;
        assert_eq!(limits(""), api::Limits::default());
        let some = limits("connections = 40\nrequests = 2");
        assert_eq!((some.connections, some.connections_per_address), (40, 10));
        assert_eq!((some.requests, some.requests_per_address), (2, 1));
        let behind_a_proxy = limits("requests_per_address = 512");
        assert_eq!((behind_a_proxy.requests, behind_a_proxy.requests_per_address), (512, 512));
    }

    #[test]
    fn an_unknown_key_is_refused_by_name() {
        assert!(
            load(&GOOD.replace("[acme]", "[acme]\nskip_validation = true")).unwrap_err().contains("skip_validation")
        );
    }
}
