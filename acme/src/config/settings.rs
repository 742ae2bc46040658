//! `[acme]` of the configuration file: raw text, checked once, then an immutable value.

use std::net::SocketAddr;
use std::path::PathBuf;

use policy::{NameRules, Owner};
use serde::{Deserialize, Serialize};

use super::network::Network;
use crate::limits::{Limits, LimitsInForce};

/// `[acme]` as written.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// DNS servers with ports; empty: the system's.
    pub resolvers: Vec<SocketAddr>,
    /// Whether /etc/hosts and `localhost` count.
    pub use_hosts_file: bool,
    /// Where http-01 looks (80 in the standard; another one only in tests).
    pub http01_port: u16,
    /// The HTTPS port beside 443 that http-01 redirects may lead to, where tls-alpn-01 will look.
    pub tls_alpn01_port: u16,
    /// Networks that validation may reach although they are refused by default (loopback, link-local, ...).
    pub allow_networks: Vec<Network>,
    /// The profile ACME certificates have.
    pub profile: String,
    /// Whose they are.
    pub owner: String,
    /// Which names are certified, as the owners' rules are written; absent: every name whose control is proven.
    pub names: Option<Vec<String>>,
    /// What CAA records call this CA; empty: CAA is not checked.
    pub caa_identities: Vec<String>,
    /// Terms a client must agree to.
    pub terms_of_service: Option<String>,
    /// Bounds per client.
    pub limits: Limits,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            resolvers: Vec::new(),
            use_hosts_file: false,
            http01_port: 80,
            tls_alpn01_port: 443,
            allow_networks: Vec::new(),
            profile: "tls-server".to_owned(),
            owner: "acme".to_owned(),
            names: None,
            caa_identities: Vec::new(),
            terms_of_service: None,
            limits: Limits::default(),
        }
    }
}

/// A setting that cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("[acme] {key}: {why}")]
pub struct ConfigError {
    /// Which.
    pub key: &'static str,
    /// Why not, and what to write instead.
    pub why: String,
}

/// The checked configuration.
#[derive(Clone, Debug)]
pub struct AcmeConfig {
    /// What URLs begin with, whatever a request's Host says: `https://localhost:8443`.
    pub external_url: String,
    /// See [`Settings::resolvers`].
    pub resolvers: Vec<SocketAddr>,
    /// The hosts file, where it counts.
    pub hosts_file: Option<PathBuf>,
    /// See [`Settings::http01_port`].
    pub http01_port: u16,
    /// See [`Settings::tls_alpn01_port`].
    pub tls_alpn01_port: u16,
    /// See [`Settings::allow_networks`].
    pub allow_networks: Vec<Network>,
    /// See [`Settings::profile`].
    pub profile: String,
    /// See [`Settings::owner`].
    pub owner: Owner,
    /// See [`Settings::names`].
    pub names: Option<NameRules>,
    /// See [`Settings::caa_identities`].
    pub caa_identities: Vec<String>,
    /// See [`Settings::terms_of_service`].
    pub terms_of_service: Option<String>,
    /// See [`Settings::limits`].
    pub limits: LimitsInForce,
}

impl Settings {
    /// Checks the settings; `external_url` is `public_https` of `[server]`.
    pub fn check(self, external_url: &str) -> Result<AcmeConfig, ConfigError> {
        let refuse = |key, why: String| ConfigError { key, why };
        let external_url = external_url.trim_end_matches('/');
        let parsed: http::Uri = external_url
            .parse()
            .map_err(|error| refuse("public_https", format!("{external_url:?} is no URL: {error}")))?;
        // RFC 8555 section 6.1: "Use of HTTPS is REQUIRED"; plain http is for tests in this process alone.
        if !matches!(parsed.scheme_str(), Some("https" | "http"))
            || parsed.authority().is_none()
            || parsed.path() != "/"
        {
            return Err(refuse(
                "public_https",
                format!("{external_url:?} must look like https://ca.example.internal:8443"),
            ));
        }
        if self.http01_port == 0 || self.tls_alpn01_port == 0 {
            return Err(refuse("http01_port, tls_alpn01_port", "0 is no port: write 80 and 443".to_owned()));
        }
        if let Some(zero) = self.resolvers.iter().find(|server| server.port() == 0) {
            return Err(refuse("resolvers", format!("{zero} has no port: write {}:53", zero.ip())));
        }
        let owner = Owner::parse(&self.owner).map_err(|error| refuse("owner", error.to_string()))?;
        if self.names.as_ref().is_some_and(Vec::is_empty) {
            let why =
                "an empty list has no name: write names = [\"*.example.internal\"], or leave it out for every name";
            return Err(refuse("names", why.to_owned()));
        }
        let names = self.names.map(|texts| NameRules::parse(&texts)).transpose();
        let names = names.map_err(|error| refuse("names", error.to_string()))?;
        Ok(AcmeConfig {
            external_url: external_url.to_owned(),
            resolvers: self.resolvers,
            hosts_file: self.use_hosts_file.then(|| PathBuf::from("/etc/hosts")),
            http01_port: self.http01_port,
            tls_alpn01_port: self.tls_alpn01_port,
            allow_networks: self.allow_networks,
            profile: self.profile,
            owner,
            names,
            caa_identities: self.caa_identities,
            terms_of_service: self.terms_of_service,
            limits: self.limits.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_a_production_configuration() {
        let config = Settings::default().check("https://ca.example.internal:8443/").unwrap();
        assert_eq!(config.external_url, "https://ca.example.internal:8443");
        assert_eq!((config.http01_port, config.tls_alpn01_port), (80, 443));
        assert!(config.hosts_file.is_none() && config.allow_networks.is_empty() && config.terms_of_service.is_none());
    }

    #[test]
    fn what_cannot_work_is_refused_with_its_key() {
        let with = |change: fn(&mut Settings)| {
            let mut settings = Settings::default();
            change(&mut settings);
            settings.check("https://localhost:8443").unwrap_err().key
        };
        assert_eq!(with(|s| s.http01_port = 0), "http01_port, tls_alpn01_port");
        assert_eq!(with(|s| s.owner = "No One".into()), "owner");
        assert_eq!(with(|s| s.names = Some(vec![])), "names");
        assert_eq!(with(|s| s.names = Some(vec!["10.0.0.1/8".into()])), "names");
        assert_eq!(with(|s| s.resolvers = vec!["127.0.0.1:0".parse().unwrap()]), "resolvers");
        for url in ["", "localhost", "ftp://localhost", "https://localhost/ca"] {
            assert_eq!(Settings::default().check(url).unwrap_err().key, "public_https", "{url}");
        }
    }

    /// Fina 2024 issued "test" certificates in production. What can be set is this, and none of it lets a name go unproven.
    #[test]
    fn no_setting_switches_validation_off() {
        let settings = serde_json::to_value(Settings::default()).unwrap();
        let keys: Vec<&str> = settings.as_object().unwrap().keys().map(String::as_str).collect();
        let mut known = [
            "resolvers",
            "use_hosts_file",
            "http01_port",
            "tls_alpn01_port",
            "allow_networks",
            "profile",
            "owner",
            "names",
            "caa_identities",
            "terms_of_service",
            "limits",
        ];
        let mut keys = keys;
        keys.sort_unstable();
        known.sort_unstable();
        assert_eq!(keys, known, "a new setting is thought about: can it let a name go unproven?");
    }

    #[test]
    fn the_settings_of_the_demo_are_read() {
        let text = r#"{"resolvers": ["127.0.0.1:5353"], "use_hosts_file": true, "http01_port": 5002, "allow_networks": ["127.0.0.0/8", "::1"]}"#;
        let config = serde_json::from_str::<Settings>(text).unwrap().check("https://localhost:8443").unwrap();
        assert_eq!(config.hosts_file, Some("/etc/hosts".into()));
        assert_eq!(config.allow_networks.len(), 2);
        assert!(serde_json::from_str::<Settings>(r#"{"resolver": []}"#).is_err(), "an unknown key is refused");
    }
}
