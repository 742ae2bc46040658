//! `[hsm]` and `[hsm.tokens.NAME]`: the tokens that hold the keys, checked.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hsm::{PinSource, TokenConfig, TokenSelector};
use serde::Deserialize;

/// Sessions to open on the token where the file does not say.
const SESSIONS_DEFAULT: usize = 4;
/// Signatures that may wait for a session; beyond it the answer is 503.
const QUEUE_DEFAULT: usize = 1024;
/// How long one signature may take, queueing included.
const DEADLINE_MS_DEFAULT: u64 = 5_000;
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

    /// What opens it.
    pub(super) fn open_config(&self) -> TokenConfig {
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

/// `[hsm]`, as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawHsm {
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
pub(super) struct RawFurther {
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
    pub(super) fn all(self) -> Vec<(String, String, RawFurther)> {
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
pub(super) fn check_token(
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
