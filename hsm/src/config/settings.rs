//! What an operator says about a token, checked once; inside, nobody re-checks.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::uri::TokenUri;
use crate::error::HsmError;

/// Which token, how to log in, and how hard to work it.
#[derive(Clone, Debug)]
pub struct TokenConfig {
    /// The PKCS#11 module (a shared library).
    pub module: PathBuf,
    /// Which of the module's tokens.
    pub token: TokenSelector,
    /// Where the user PIN comes from.
    pub pin: PinSource,
    /// Sessions, each on its own thread; at most [`TokenConfig::SESSIONS_MAX`]. Four fill two cores with SoftHSM, and
    /// more bring nothing there; behind a network, where a session mostly waits, more do.
    pub sessions: usize,
    /// Jobs that may wait for a session; one more is answered `Unavailable`.
    pub queue: usize,
    /// How long a caller waits at most. A job that no session took within the first half of it is cancelled, so that
    /// one that was taken has the other half: waiting in a long queue never ends as an unknown outcome.
    pub deadline: Duration,
}

impl TokenConfig {
    /// More sessions than this only wait for each other; network HSMs allow about as many per client.
    pub const SESSIONS_MAX: usize = 64;
    /// A longer queue is only a longer wait: at 1,000 signatures a second this one is a minute.
    pub const QUEUE_MAX: usize = 65_536;

    /// A configuration with the measured defaults.
    pub fn new(module: impl Into<PathBuf>, token: TokenSelector, pin: PinSource) -> TokenConfig {
        TokenConfig { module: module.into(), token, pin, sessions: 4, queue: 1024, deadline: Duration::from_secs(10) }
    }

    pub(crate) fn check(self) -> Result<Settled, HsmError> {
        let fail = |what: &str, why: String| Err(HsmError::Config { what: what.into(), why });
        if !(1..=Self::SESSIONS_MAX).contains(&self.sessions) {
            return fail("sessions", format!("write a number from 1 to {}", Self::SESSIONS_MAX));
        }
        if !(1..=Self::QUEUE_MAX).contains(&self.queue) {
            return fail("queue", format!("write a number from 1 to {}", Self::QUEUE_MAX));
        }
        if !(Duration::from_millis(100)..=Duration::from_secs(600)).contains(&self.deadline) {
            return fail("deadline", "write 100 milliseconds to 10 minutes".into());
        }
        let uri = match self.token {
            TokenSelector::Label(label) => TokenUri { token: Some(label), ..TokenUri::default() },
            TokenSelector::Serial(serial) => TokenUri { serial: Some(serial), ..TokenUri::default() },
            TokenSelector::Uri(uri) => TokenUri::parse(&uri)?,
        };
        Ok(Settled {
            module: uri.module_path.unwrap_or(self.module),
            pin: uri.pin_file.map_or(self.pin, PinSource::File),
            wanted: Wanted { label: uri.token, serial: uri.serial, manufacturer: uri.manufacturer, model: uri.model },
            sessions: self.sessions,
            queue: self.queue,
            deadline: self.deadline,
        })
    }
}

/// How to recognise the token among the module's slots; never by slot index, whose order is not stable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenSelector {
    /// By `CK_TOKEN_INFO.label`.
    Label(String),
    /// By `CK_TOKEN_INFO.serialNumber`.
    Serial(String),
    /// By RFC 7512 URI (`token`, `serial`, `manufacturer`, `model`); its `module-path` and `pin-source`, where given,
    /// are used instead of the configuration's own.
    Uri(String),
}

/// Where a PIN is read from, each time a login needs it; it is never kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PinSource {
    /// First line of a file, which must not be open to everyone.
    File(PathBuf),
    /// An environment variable.
    Env(String),
    /// A systemd credential: a file in `$CREDENTIALS_DIRECTORY`.
    Credential(String),
}

/// A configuration that cannot be wrong any more.
#[derive(Clone, Debug)]
pub(crate) struct Settled {
    pub(crate) module: PathBuf,
    pub(crate) wanted: Wanted,
    pub(crate) pin: PinSource,
    pub(crate) sessions: usize,
    pub(crate) queue: usize,
    pub(crate) deadline: Duration,
}

/// What the token must answer to; what is `None` may be anything.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) label: Option<String>,
    pub(crate) serial: Option<String>,
    pub(crate) manufacturer: Option<String>,
    pub(crate) model: Option<String>,
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            ("label", &self.label),
            ("serial", &self.serial),
            ("manufacturer", &self.manufacturer),
            ("model", &self.model),
        ];
        let said: Vec<_> = parts.iter().filter_map(|(n, v)| v.as_ref().map(|v| format!("{n} `{v}`"))).collect();
        f.write_str(&said.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(token: TokenSelector) -> TokenConfig {
        TokenConfig::new("/lib/a.so", token, PinSource::Env("PIN".into()))
    }

    #[test]
    fn a_uri_brings_its_module_and_pin_source() {
        let uri = "pkcs11:token=ca;serial=9?module-path=/lib/b.so&pin-source=file:/run/pin";
        let settled = config(TokenSelector::Uri(uri.into())).check().unwrap();
        assert_eq!(settled.module, PathBuf::from("/lib/b.so"));
        assert_eq!(settled.pin, PinSource::File("/run/pin".into()));
        assert_eq!(settled.wanted.to_string(), "label `ca`, serial `9`");
        let settled = config(TokenSelector::Uri("pkcs11:token=ca".into())).check().unwrap();
        assert_eq!((settled.module, settled.pin), (PathBuf::from("/lib/a.so"), PinSource::Env("PIN".into())));
    }

    #[test]
    fn every_bound_is_named_when_it_is_broken() {
        let token = TokenSelector::Label("ca".into());
        let good = config(token);
        for (setting, spoilt) in [
            ("sessions", TokenConfig { sessions: 0, ..good.clone() }),
            ("sessions", TokenConfig { sessions: 65, ..good.clone() }),
            ("queue", TokenConfig { queue: 0, ..good.clone() }),
            ("queue", TokenConfig { queue: 65_537, ..good.clone() }),
            ("deadline", TokenConfig { deadline: Duration::ZERO, ..good }),
        ] {
            assert!(spoilt.check().unwrap_err().to_string().starts_with(setting));
        }
    }
}
