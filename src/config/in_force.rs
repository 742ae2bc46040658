//! What of a configuration the log is told: who owns which names, what is demanded of administrators, limits, the log level. Read from its
//! text alone, so that a file of another host is held against the log there; no file beside it is asked.

use std::collections::BTreeMap;
use std::path::Path;

use policy::{Demand, Owner, OwnerRules};

use super::error::ConfigError;
use super::login;
use super::tables::{Raw, RawOwner};
use crate::logging::LogLevel;
use crate::written::written;

/// What the log is told of a configuration, beside policies and profiles.
#[derive(Debug)]
pub struct InForce {
    /// Of which node.
    pub instance: u16,
    /// Which names belong to whom.
    pub owners: Vec<OwnerRules>,
    /// What administrators prove beside their token.
    pub demand: Option<Demand>,
    /// Settings of the service, by their names, as text.
    pub settings: BTreeMap<&'static str, String>,
}

impl InForce {
    /// Of the text that stands, or will stand, in `file`.
    ///
    /// # Errors
    /// Where the text is refused, and why.
    pub fn parse(text: &str, file: &Path) -> Result<Self, ConfigError> {
        let refuse = |key: &str, reason: String| ConfigError::new(file, key, reason, "");
        let raw: Raw = toml::from_str(text).map_err(|error| {
            let (line, why) = written(text, &error);
            refuse(&line, why)
        })?;
        let limits = raw.server.limits.check();
        let limits = limits.map_err(|(key, why, _)| refuse(&format!("server.limits.{key}"), why))?;
        let log_level = LogLevel::parse(&raw.server.log).map_err(|error| refuse("server.log", error.to_string()))?;
        let demand = raw.login.check().map_err(|(key, why, _)| refuse(key, why))?;
        let acme = raw
            .acme
            .map(|settings| settings.check(&raw.server.public_https))
            .transpose()
            .map_err(|error| refuse(&format!("acme.{}", error.key), error.why))?;
        let settings = settings(&limits, acme.as_ref(), &log_level, demand);
        Ok(Self { instance: raw.ca.instance, owners: owners(raw.owners, file)?, demand, settings })
    }
}

/// The owners as they are written, checked.
pub(super) fn owners(raw: Vec<RawOwner>, file: &Path) -> Result<Vec<OwnerRules>, ConfigError> {
    let refuse = |reason: String| ConfigError::new(file, "owner.name", reason, "name = \"web\"");
    let each = raw.into_iter().map(|owner| {
        let name = Owner::parse(&owner.name).map_err(|error| refuse(error.to_string()))?;
        let RawOwner { name: _, dns, ip, principals, email, uri, upn } = owner;
        Ok(OwnerRules { name, dns, ip, principals, email, uri, upn })
    });
    each.collect()
}

/// The settings that the log is told, by their names.
pub(super) fn settings(
    limits: &api::Limits,
    acme: Option<&acme::AcmeConfig>,
    log_level: &LogLevel,
    demand: Option<Demand>,
) -> BTreeMap<&'static str, String> {
    BTreeMap::from([
        ("limits", limits_text(limits, acme)),
        ("log level", log_level.as_str().to_owned()),
        ("login", login::text(demand)),
    ])
}

fn limits_text(limits: &api::Limits, acme: Option<&acme::AcmeConfig>) -> String {
    let api::Limits { connections, connections_per_address, requests, requests_per_address, .. } = limits;
    let mut text = format!(
        "connections = {connections}\nconnections_per_address = {connections_per_address}\nrequests = {requests}\n\
         requests_per_address = {requests_per_address}\n"
    );
    if let Some(acme) = acme {
        // A struct of numbers is TOML.
        text.push_str(&format!("[acme]\n{}", toml::to_string(&acme.limits.now()).unwrap_or_default()));
    }
    text
}
