//! The part of `chancery.toml` that says where token, register and profiles are.

use std::path::{Path, PathBuf};

use ca::Profiles;
use hsm::{PinSource, TokenConfig, TokenSelector};
use policy::Instance;
use serde::Deserialize;
use store::{Database, LogConfig};

use super::SeedError;

/// What of the file is read; its other keys are the server's to check.
#[derive(Deserialize)]
struct Raw {
    server: RawServer,
    hsm: RawHsm,
    database: RawDatabase,
    ca: RawCa,
    log: RawLog,
}

#[derive(Deserialize)]
struct RawServer {
    public_http: String,
}

#[derive(Deserialize)]
struct RawHsm {
    module: PathBuf,
    token: Option<String>,
    uri: Option<String>,
    pin_file: Option<PathBuf>,
    pin_env: Option<String>,
}

#[derive(Deserialize)]
struct RawDatabase {
    url: String,
}

#[derive(Deserialize)]
struct RawCa {
    instance: u16,
    #[serde(default = "profiles_default")]
    profiles: PathBuf,
}

#[derive(Deserialize)]
struct RawLog {
    origin: String,
    #[serde(default = "state_default")]
    state: PathBuf,
}

fn profiles_default() -> PathBuf {
    "profiles".into()
}

fn state_default() -> PathBuf {
    "state".into()
}

/// The file, and the folder that its paths are relative to.
pub(super) struct Config {
    raw: Raw,
    dir: PathBuf,
}

impl Config {
    pub(super) fn load(file: &Path) -> Result<Config, SeedError> {
        let refuse = |why: &dyn std::fmt::Display| SeedError::Config(format!("{}: {why}", file.display()));
        let text = std::fs::read_to_string(file).map_err(|e| refuse(&e))?;
        let raw = toml::from_str(&text).map_err(|e| refuse(&e))?;
        let dir = std::path::absolute(file.parent().unwrap_or(Path::new("."))).map_err(|e| refuse(&e))?;
        Ok(Config { raw, dir })
    }

    pub(super) fn token(&self) -> Result<TokenConfig, SeedError> {
        let hsm = &self.raw.hsm;
        let token = match (&hsm.token, &hsm.uri) {
            (Some(label), _) => TokenSelector::Label(label.clone()),
            (None, Some(uri)) => TokenSelector::Uri(uri.clone()),
            (None, None) => return Err(SeedError::Config("[hsm] names no token".into())),
        };
        let pin = match (&hsm.pin_file, &hsm.pin_env) {
            (Some(path), _) => PinSource::File(self.dir.join(path)),
            (None, Some(name)) => PinSource::Env(name.clone()),
            (None, None) => return Err(SeedError::Config("[hsm] has neither pin_file nor pin_env".into())),
        };
        Ok(TokenConfig::new(self.dir.join(&hsm.module), token, pin))
    }

    pub(super) fn database(&self) -> Result<Database, SeedError> {
        match Database::parse(&self.raw.database.url)? {
            Database::Sqlite(path) => Ok(Database::Sqlite(self.dir.join(path))),
            postgres @ Database::Postgres(_) => Ok(postgres),
        }
    }

    pub(super) fn log(&self) -> LogConfig {
        let state = Some(self.dir.join(&self.raw.log.state));
        LogConfig { origin: self.raw.log.origin.clone(), state, instance: None }
    }

    pub(super) fn instance(&self) -> Result<Instance, SeedError> {
        Instance::new(self.raw.ca.instance).map_err(|e| SeedError::Config(e.to_string()))
    }

    pub(super) fn public_http(&self) -> &str {
        self.raw.server.public_http.trim_end_matches('/')
    }

    /// The hash of a profile, as the server will have it.
    pub(super) fn profile_hash(&self, name: &str) -> Result<[u8; 32], SeedError> {
        let dir = self.dir.join(&self.raw.ca.profiles);
        let away = |e: std::io::Error| SeedError::Config(format!("{}: {e}", dir.display()));
        let mut texts = Vec::new();
        for entry in std::fs::read_dir(&dir).map_err(away)? {
            let path = entry.map_err(away)?.path();
            if let (Some(stem), Some("toml")) = (path.file_stem(), path.extension().and_then(|e| e.to_str())) {
                texts.push((stem.to_string_lossy().into_owned(), std::fs::read_to_string(&path).map_err(away)?));
            }
        }
        let profiles = Profiles::load(&texts).map_err(|e| SeedError::Config(e.to_string()))?;
        let profile = profiles.get(name).ok_or_else(|| SeedError::Config(format!("no profile {name}")))?;
        Ok(profile.hash())
    }
}
