//! The tables of `chancery.toml` as they are written, before anything is checked.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use lifecycle::{PEERS_MAX, Peer};
use serde::Deserialize;

use super::backup::RawBackup;
use super::limits::RawLimits;
use super::login::RawLogin;
use super::rotation::Rotation;
use super::token::RawHsm;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    pub(super) server: Server,
    pub(super) hsm: RawHsm,
    pub(super) database: RawDatabase,
    pub(super) ca: RawCa,
    pub(super) log: RawLog,
    #[serde(default)]
    pub(super) login: RawLogin,
    #[serde(default)]
    pub(super) time: RawTime,
    #[serde(default)]
    pub(super) rotation: Rotation,
    #[serde(default)]
    pub(super) secrets: RawSecrets,
    pub(super) acme: Option<acme::Settings>,
    pub(super) backup: Option<RawBackup>,
    #[serde(default, rename = "owner")]
    pub(super) owners: Vec<RawOwner>,
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
    pub(super) log: String,
    #[serde(default)]
    pub(super) limits: RawLimits,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawDatabase {
    pub(super) url: String,
    pub(super) password_file: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCa {
    pub(super) instance: u16,
    #[serde(default = "policies_default")]
    pub(super) policies: PathBuf,
    #[serde(default = "profiles_default")]
    pub(super) profiles: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLog {
    pub(super) origin: String,
    #[serde(default = "state_default")]
    pub(super) state: PathBuf,
}

/// `[time]`: absent, the clock is held against the log, the time gone by and a database server's clock alone.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTime {
    #[serde(default)]
    pub(super) peers: Vec<String>,
}

impl RawTime {
    /// The time servers; or what is wrong.
    pub(super) fn check(&self) -> Result<Vec<Peer>, String> {
        if self.peers.len() > PEERS_MAX {
            return Err(format!("at most {PEERS_MAX} time servers"));
        }
        self.peers.iter().map(|peer| peer.parse::<Peer>().map_err(|e| e.to_string())).collect()
    }
}

/// `[secrets]`
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSecrets {
    /// For how long a reader may keep them in a sealed cache.
    cache_secs: Option<u64>,
}

impl RawSecrets {
    /// The same bounds with these; or what is wrong.
    pub(super) fn check(&self, limits: api::Limits) -> Result<api::Limits, String> {
        let cache_secs = self.cache_secs.unwrap_or(limits.cache.as_secs());
        match cache_secs <= secrets::CACHE_SECS_MAX {
            true => Ok(api::Limits { cache: Duration::from_secs(cache_secs), ..limits }),
            false => Err(format!("{cache_secs} is not in 0..={}", secrets::CACHE_SECS_MAX)),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawOwner {
    pub(super) name: String,
    #[serde(default)]
    pub(super) dns: Vec<String>,
    #[serde(default)]
    pub(super) ip: Vec<String>,
    #[serde(default)]
    pub(super) principals: Vec<String>,
    #[serde(default)]
    pub(super) email: Vec<String>,
    #[serde(default)]
    pub(super) uri: Vec<String>,
    #[serde(default)]
    pub(super) upn: Vec<String>,
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
