//! `chancery.toml`: TOML -> raw serde structs -> checks -> one immutable value.
//!
//! A mistake is refused at start-up with the file, the key, the reason and the line to write instead.
//! Relative paths are relative to the file, so that a folder made by `chancery init` can be moved.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use hsm::{PinSource, TokenConfig, TokenSelector};
use lifecycle::{PEERS_MAX, Peer};
use policy::{Instance, Owner, OwnerRules};
use store::{Database, LogConfig};

use crate::failure::{Failure, OrFail};
use crate::files;
use crate::logging::LogLevel;
use crate::written::written;

/// Sessions to open on the token where the file does not say.
const SESSIONS_DEFAULT: usize = 4;
/// Signatures that may wait for a session; beyond it the answer is 503.
const QUEUE_DEFAULT: usize = 1024;
/// How long one signature may take, queueing included.
const DEADLINE_MS_DEFAULT: u64 = 5_000;
/// Connections of a listener: each holds a file descriptor and some 20 KiB.
const CONNECTIONS_MAX: usize = 65_536;
/// Requests under way on a listener: each may hold a body.
const REQUESTS_MAX: usize = 8_192;
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
    /// The ACME server's settings, checked; absent, there is none.
    pub acme: Option<acme::AcmeConfig>,
    /// Which names belong to whom.
    pub owners: Vec<OwnerRules>,
}

/// `[server]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// REST, ACME and the dashboard.
    #[serde(default = "https_default")]
    pub https: SocketAddr,
    /// CRL, AIA, roots, the public log.
    #[serde(default = "http_default")]
    pub http: SocketAddr,
    /// The names in the server's own certificate.
    #[serde(default = "names_default")]
    pub names: Vec<String>,
    /// How clients reach `http`; written into certificates (CRL, AIA).
    pub public_http: String,
    /// How clients reach `https`; the base of ACME's URLs.
    pub public_https: String,
    /// What is logged, in the words of `CHANCERY_LOG`, which has the last one.
    #[serde(default = "log_default")]
    log: String,
    #[serde(default)]
    limits: RawLimits,
}

/// `[server.limits]`: of each listener. Absent, `api::Limits` says.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLimits {
    connections: Option<usize>,
    connections_per_address: Option<usize>,
    requests: Option<usize>,
    requests_per_address: Option<usize>,
}

impl RawLimits {
    /// The bounds; or the key that is wrong, why, and what to write.
    fn check(&self) -> Result<api::Limits, (&'static str, String, String)> {
        let bounds = api::Limits::default();
        let (connections, connections_per_address) = places(
            ["connections", "connections_per_address"],
            [self.connections, self.connections_per_address],
            bounds.connections,
            CONNECTIONS_MAX,
        )?;
        let (requests, requests_per_address) = places(
            ["requests", "requests_per_address"],
            [self.requests, self.requests_per_address],
            bounds.requests,
            REQUESTS_MAX,
        )?;
        Ok(api::Limits { connections, connections_per_address, requests, requests_per_address, ..bounds })
    }
}

/// Places of a listener and those of one address: as written, or the default and a quarter.
fn places(
    keys: [&'static str; 2],
    written: [Option<usize>; 2],
    default: usize,
    most: usize,
) -> Result<(usize, usize), (&'static str, String, String)> {
    let all = written[0].unwrap_or(default);
    let of_one = written[1].unwrap_or((all / 4).max(1));
    for (key, value, most, good) in [(keys[0], all, most, default), (keys[1], of_one, all, (all / 4).max(1))] {
        if !(1..=most).contains(&value) {
            return Err((key, format!("{value} is not in 1..={most}"), format!("{key} = {good}")));
        }
    }
    Ok((all, of_one))
}

/// `[hsm]`, checked.
#[derive(Debug)]
pub struct Token {
    /// What it is called here.
    pub name: String,
    /// The PKCS#11 module.
    pub module: PathBuf,
    token: RawToken,
    pin: RawPin,
    sessions: usize,
    queue: usize,
    deadline: Duration,
}

#[derive(Debug, Clone)]
enum RawToken {
    Label(String),
    Uri(String),
}

#[derive(Debug, Clone)]
enum RawPin {
    File(PathBuf),
    Env(String),
    Credential(String),
}

impl Config {
    /// What `hsm::open_all` takes.
    pub fn open_tokens(&self) -> Vec<(String, TokenConfig)> {
        let all = std::iter::once(&self.hsm).chain(&self.tokens);
        all.map(|token| (token.name.clone(), token.open_config())).collect()
    }
}

impl Token {
    /// The token's label; none where the file names it by its URI.
    pub fn label(&self) -> Option<&str> {
        match &self.token {
            RawToken::Label(label) => Some(label),
            RawToken::Uri(_) => None,
        }
    }

    /// Where the PIN is, in words.
    pub fn pin_source(&self) -> String {
        match &self.pin {
            RawPin::File(path) => format!("the file {}", path.display()),
            RawPin::Env(name) => format!("the environment's {name}"),
            RawPin::Credential(name) => format!("the credential {name}"),
        }
    }

    fn open_config(&self) -> TokenConfig {
        TokenConfig {
            module: self.module.clone(),
            token: match &self.token {
                RawToken::Label(label) => TokenSelector::Label(label.clone()),
                RawToken::Uri(uri) => TokenSelector::Uri(uri.clone()),
            },
            pin: match &self.pin {
                RawPin::File(path) => PinSource::File(path.clone()),
                RawPin::Env(name) => PinSource::Env(name.clone()),
                RawPin::Credential(name) => PinSource::Credential(name.clone()),
            },
            sessions: self.sessions,
            queue: self.queue,
            deadline: self.deadline,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    server: Server,
    hsm: RawHsm,
    database: RawDatabase,
    ca: RawCa,
    log: RawLog,
    #[serde(default)]
    time: RawTime,
    acme: Option<acme::Settings>,
    #[serde(default, rename = "owner")]
    owners: Vec<RawOwner>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawHsm {
    /// What the first token is called.
    name: Option<String>,
    module: PathBuf,
    token: Option<String>,
    uri: Option<String>,
    pin_file: Option<PathBuf>,
    pin_env: Option<String>,
    pin_credential: Option<String>,
    sessions: Option<usize>,
    queue: Option<usize>,
    deadline_ms: Option<u64>,
    /// Further tokens.
    #[serde(default)]
    tokens: BTreeMap<String, RawFurther>,
}

/// A token beside the first.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFurther {
    /// That of the first, where none is named.
    module: Option<PathBuf>,
    token: Option<String>,
    uri: Option<String>,
    pin_file: Option<PathBuf>,
    pin_env: Option<String>,
    pin_credential: Option<String>,
    sessions: Option<usize>,
    queue: Option<usize>,
    deadline_ms: Option<u64>,
}

impl RawHsm {
    /// Every token by its name, the first first.
    fn all(self) -> Vec<(String, String, RawFurther)> {
        let first = RawFurther {
            module: Some(self.module.clone()),
            token: self.token,
            uri: self.uri,
            pin_file: self.pin_file,
            pin_env: self.pin_env,
            pin_credential: self.pin_credential,
            sessions: self.sessions,
            queue: self.queue,
            deadline_ms: self.deadline_ms,
        };
        let name = self.name.unwrap_or_else(|| hsm::FIRST_TOKEN.to_owned());
        let further = self.tokens.into_iter().map(|(name, raw)| {
            let module = raw.module.or_else(|| Some(self.module.clone()));
            (format!("hsm.tokens.{name}"), name, RawFurther { module, ..raw })
        });
        std::iter::once(("hsm".to_owned(), name, first)).chain(further).collect()
    }
}

/// What stands in one table, checked: what is wrong, why, and what to write instead.
fn check_token(
    (table, name, raw): (String, String, RawFurther),
    dir: &Path,
) -> Result<Token, (String, String, &'static str)> {
    let refuse = |key: &str, why: String, write| Err((format!("{table}.{key}"), why, write));
    if let Err(why) = hsm::check_name(&name) {
        return refuse("name", why, "name = \"main\"   # or [hsm.tokens.spare]");
    }
    let token = match (raw.token, raw.uri) {
        (Some(label), None) => RawToken::Label(label),
        (None, Some(uri)) => RawToken::Uri(uri),
        _ => {
            let reason = "exactly one of token and uri names the token".to_owned();
            return refuse("token", reason, "token = \"chancery\"");
        }
    };
    let pin = match (raw.pin_file, raw.pin_env, raw.pin_credential) {
        (Some(path), None, None) => RawPin::File(dir.join(path)),
        (None, Some(name), None) => RawPin::Env(name),
        (None, None, Some(name)) => RawPin::Credential(name),
        _ => {
            let reason = "exactly one of pin_file, pin_env and pin_credential says where the PIN is".to_owned();
            return refuse("pin_file", reason, "pin_file = \"pin\"");
        }
    };
    let deadline_ms = raw.deadline_ms.unwrap_or(DEADLINE_MS_DEFAULT);
    // An ACME order's lease covers the longest signature.
    let most = acme::SIGNATURE_TIMEOUT_MAX.as_millis();
    if !(100..=most).contains(&u128::from(deadline_ms)) {
        let reason = format!("{deadline_ms} is not in 100..={most}");
        return refuse("deadline_ms", reason, "deadline_ms = 5000");
    }
    Ok(Token {
        name,
        module: dir.join(raw.module.unwrap_or_default()),
        token,
        pin,
        sessions: raw.sessions.unwrap_or(SESSIONS_DEFAULT),
        queue: raw.queue.unwrap_or(QUEUE_DEFAULT),
        deadline: Duration::from_millis(deadline_ms),
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDatabase {
    url: String,
    password_file: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCa {
    instance: u16,
    #[serde(default = "policies_default")]
    policies: PathBuf,
    #[serde(default = "profiles_default")]
    profiles: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLog {
    origin: String,
    #[serde(default = "state_default")]
    state: PathBuf,
}

/// `[time]`: absent, the clock is held against the log, the time gone by and a database server's clock alone.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTime {
    #[serde(default)]
    peers: Vec<String>,
}

impl RawTime {
    fn check(&self) -> Result<Vec<Peer>, String> {
        if self.peers.len() > PEERS_MAX {
            return Err(format!("at most {PEERS_MAX} time servers"));
        }
        self.peers.iter().map(|peer| peer.parse::<Peer>().map_err(|e| e.to_string())).collect()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawOwner {
    name: String,
    #[serde(default)]
    dns: Vec<String>,
    #[serde(default)]
    ip: Vec<String>,
    #[serde(default)]
    principals: Vec<String>,
    #[serde(default)]
    email: Vec<String>,
    #[serde(default)]
    uri: Vec<String>,
    #[serde(default)]
    upn: Vec<String>,
}

/// A configuration that is refused: where, why, and what to write instead.
#[derive(Debug)]
pub struct ConfigError {
    file: PathBuf,
    key: String,
    reason: String,
    write: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.file.display(), self.key, self.reason)?;
        if self.write.is_empty() { Ok(()) } else { write!(f, "; write: {}", self.write) }
    }
}

impl std::error::Error for ConfigError {}

impl ConfigError {
    fn new(file: &Path, key: &str, reason: String, write: &str) -> Self {
        Self { file: file.to_owned(), key: key.to_owned(), reason, write: write.to_owned() }
    }
}

impl Config {
    /// How the log is known outside, for a command that opens the register beside no service of this node.
    pub fn log(&self) -> LogConfig {
        LogConfig { origin: self.log_origin.clone(), state: Some(self.log_state.clone()), instance: None }
    }

    /// The limits as text, for whoever reads the log.
    pub fn limits_text(&self) -> String {
        let api::Limits { connections, connections_per_address, requests, requests_per_address, .. } = &self.limits;
        let mut text = format!(
            "connections = {connections}\nconnections_per_address = {connections_per_address}\nrequests = {requests}\n\
             requests_per_address = {requests_per_address}\n"
        );
        if let Some(acme) = &self.acme {
            // A struct of numbers is TOML.
            text.push_str(&format!("[acme]\n{}", toml::to_string(&acme.limits.now()).unwrap_or_default()));
        }
        text
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
                ("[acme]", format!("{:?}", acme(config))),
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
        let acme = raw
            .acme
            .map(|settings| settings.check(&raw.server.public_https))
            .transpose()
            .map_err(|e| refuse(&format!("acme.{}", e.key), e.why, ""))?;
        let owners = raw
            .owners
            .into_iter()
            .map(|o| {
                let name = Owner::parse(&o.name).map_err(|e| refuse("owner.name", e.to_string(), "name = \"web\""))?;
                let RawOwner { name: _, dns, ip, principals, email, uri, upn } = o;
                Ok(OwnerRules { name, dns, ip, principals, email, uri, upn })
            })
            .collect::<Result<Vec<_>, ConfigError>>()?;
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
            time_peers,
            log_origin: raw.log.origin,
            log_state: dir.join(raw.log.state),
            policies: dir.join(raw.ca.policies),
            profiles: dir.join(raw.ca.profiles),
            acme,
            owners,
        })
    }
}

fn check_url(url: &str, scheme: &str) -> Result<(), String> {
    let host = url.strip_prefix(scheme).ok_or_else(|| format!("{url:?} does not begin with {scheme}"))?;
    if host.is_empty() || host.ends_with('/') || host.contains(char::is_whitespace) {
        return Err(format!("{url:?} is not {scheme}HOST[:PORT][/PATH] without a slash at its end"));
    }
    Ok(())
}

fn absolute_database(url: &str, dir: &Path) -> Result<String, String> {
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        return Ok(url.to_owned());
    }
    match url.strip_prefix("sqlite:") {
        Some(path) if !path.is_empty() => Ok(format!("sqlite:{}", dir.join(path).display())),
        _ => Err("it begins with neither sqlite: nor postgres://".to_owned()),
    }
}

/// The file becomes a parameter of the URL, as the roots of TLS are.
fn with_password_file(url: &str, file: &Path) -> Result<String, String> {
    let path = file.display().to_string();
    if url.starts_with("sqlite:") {
        return Err("a file of this host has no password".to_owned());
    }
    if path.contains(['&', '%', '?', '#', '=']) {
        return Err(format!("{path}: choose a path without & % ? # and ="));
    }
    let joint = if url.contains('?') { '&' } else { '?' };
    Ok(format!("{url}{joint}password_file={path}"))
}

fn https_default() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8443))
}
fn http_default() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8080))
}
fn log_default() -> String {
    "info".to_owned()
}
fn names_default() -> Vec<String> {
    vec!["localhost".to_owned(), "127.0.0.1".to_owned()]
}
fn state_default() -> PathBuf {
    PathBuf::from("state")
}

fn policies_default() -> PathBuf {
    "policies".into()
}
fn profiles_default() -> PathBuf {
    "profiles".into()
}

#[cfg(test)]
mod tests {
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
        assert_eq!(config.server.https, https_default());
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
            ("[acme]", "[acme]\nhttp01_port = 0", "acme.http01_port", "write 80"),
            ("[hsm]", "[server.limits]\nconnections = 0\n[hsm]", "limits.connections", "connections = 1024"),
            (
                "[hsm]",
                "[server.limits]\nrequests = 100\nrequests_per_address = 101\n[hsm]",
                "limits.requests_per_address",
                "requests_per_address = 25",
            ),
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
