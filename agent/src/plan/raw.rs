//! The plan file as it is written: every key, nothing checked yet. Unknown keys are refused.

use std::path::PathBuf;

use serde::Deserialize;

/// The whole file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPlan {
    pub state_dir: PathBuf,
    pub identity: Option<RawIdentity>,
    #[serde(default)]
    pub certificate: Vec<RawCertificate>,
    pub secrets: Option<RawSecrets>,
    #[serde(default)]
    pub secret: Vec<RawSecret>,
    #[serde(default)]
    pub authorized_keys: Vec<RawAuthorizedKeys>,
}

/// `[secrets]`: what all files of secrets have in common. Whom to ask, where that is not the identity's server.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSecrets {
    pub url: Option<String>,
    pub ca_file: Option<PathBuf>,
    pub token_file: Option<PathBuf>,
    pub client_cert: Option<PathBuf>,
    pub client_key: Option<PathBuf>,
    pub environment: Option<String>,
    pub poll_secs: Option<u64>,
    pub max_age_secs: Option<u64>,
    pub cache: Option<PathBuf>,
    pub cache_keys: Option<PathBuf>,
}

/// One `[[secret]]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSecret {
    pub name: String,
    pub template: Option<PathBuf>,
    pub text: Option<String>,
    pub reference: Option<String>,
    pub file: RawSecretFile,
    pub check: Option<Vec<String>>,
    pub check_timeout_secs: Option<u64>,
    pub reload: Option<Vec<String>>,
    pub reload_timeout_secs: Option<u64>,
    pub signal: Option<RawSignal>,
    pub at_end: Option<String>,
}

/// `file = { ... }`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSecretFile {
    pub path: PathBuf,
    pub mode: Option<String>,
    pub owner: Option<String>,
    pub group: Option<String>,
    pub on_disk: Option<bool>,
}

/// One `[[authorized_keys]]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAuthorizedKeys {
    pub name: String,
    pub secret: String,
    pub file: RawKeyFile,
    pub options: Option<String>,
    pub host: Option<String>,
}

/// `file = { ... }`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawKeyFile {
    pub path: PathBuf,
    pub mode: Option<String>,
    pub owner: Option<String>,
    pub group: Option<String>,
}

/// `signal = { ... }`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSignal {
    pub name: String,
    pub pid_file: PathBuf,
}

/// A server, and what proves who asks: no table of its own, but a part of several.
pub(super) struct RawServer {
    pub url: Option<String>,
    pub ca_file: Option<PathBuf>,
    pub token_file: Option<PathBuf>,
    pub client_cert: Option<PathBuf>,
    pub client_key: Option<PathBuf>,
}

/// `[identity]`: the agent's own client certificate.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawIdentity {
    pub url: String,
    pub ca_file: PathBuf,
    pub token_file: PathBuf,
    pub owner: String,
    pub names: Vec<String>,
    pub profile: Option<String>,
    pub validity_secs: Option<u64>,
    pub key: Option<String>,
    pub renew_at: Option<f64>,
    pub jitter: Option<f64>,
}

/// One `[[certificate]]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCertificate {
    pub name: String,
    pub names: Vec<String>,
    pub source: RawSource,
    pub files: RawFiles,
    pub key: Option<String>,
    pub reuse_key: Option<bool>,
    pub reload: Option<Vec<String>>,
    pub reload_timeout_secs: Option<u64>,
    pub check: Option<RawCheck>,
    pub renew_at: Option<f64>,
    pub jitter: Option<f64>,
}

/// `source = { kind = ..., ... }`
#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(super) enum RawSource {
    Chancery(RawChancery),
    Acme(RawAcme),
}

/// `source = { kind = "chancery", ... }`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawChancery {
    pub url: Option<String>,
    pub ca_file: Option<PathBuf>,
    pub owner: Option<String>,
    pub token_file: Option<PathBuf>,
    pub client_cert: Option<PathBuf>,
    pub client_key: Option<PathBuf>,
    pub profile: Option<String>,
    pub validity_secs: Option<u64>,
}

/// `source = { kind = "acme", ... }`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAcme {
    pub directory: String,
    pub ca_file: Option<PathBuf>,
    #[serde(default)]
    pub contact: Vec<String>,
    pub profile: Option<String>,
    pub external_account: Option<RawExternalAccount>,
    pub http01: RawHttp01,
}

/// `external_account = { kid = ..., hmac_file = ... }` (RFC 8555 section 7.3.4): asked for by several public CAs.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawExternalAccount {
    pub kid: String,
    pub hmac_file: PathBuf,
}

/// `http01 = { listen = ... }` or `{ webroot = ... }`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawHttp01 {
    pub listen: Option<String>,
    pub webroot: Option<PathBuf>,
}

/// `files = { ... }`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawFiles {
    pub key: PathBuf,
    pub cert: Option<PathBuf>,
    pub chain: Option<PathBuf>,
    pub fullchain: Option<PathBuf>,
    pub mode: Option<String>,
    pub owner: Option<String>,
    pub group: Option<String>,
}

/// `check = { ... }`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCheck {
    pub connect: String,
    pub server_name: Option<String>,
    pub timeout_secs: Option<u64>,
}
