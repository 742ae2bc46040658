//! Profiles of SSH certificates, as a file writes them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::issuers::name::check_name;
use crate::profiles::bounds::{Bounds, DAY_SECS};
use crate::profiles::profile::SshRules;

/// The order of these fields is the order of the canonical form.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSsh {
    pub(super) issuer: String,
    default_validity: String,
    min_validity: String,
    max_validity: String,
    keys: Vec<String>,
    extensions: Vec<String>,
    critical_options: BTreeMap<String, String>,
}

impl RawSsh {
    /// Lists sorted, each element once.
    pub(super) fn canonical(mut self) -> RawSsh {
        for list in [&mut self.keys, &mut self.extensions] {
            list.sort();
            list.dedup();
        }
        self
    }

    pub(super) fn bounds(&self) -> Bounds<'_> {
        Bounds {
            default: &self.default_validity,
            min: &self.min_validity,
            max: &self.max_validity,
            keys: &self.keys,
            most: SSH_MOST_SECS,
        }
    }

    pub(super) fn user_rules(self) -> Result<SshRules, String> {
        self.rules(USER_EXTENSIONS, USER_OPTIONS)
    }

    pub(super) fn host_rules(self) -> Result<SshRules, String> {
        self.rules(&[], &[])
    }

    fn rules(self, extensions: &[&str], options: &[&str]) -> Result<SshRules, String> {
        check_name(&self.issuer).map_err(|why| format!("issuer: {why}"))?;
        for name in &self.extensions {
            known(name, extensions, "extensions")?;
        }
        for (name, value) in &self.critical_options {
            known(name, options, "critical_options")?;
            if value.is_empty() || value.len() > OPTION_MAX || value.chars().any(char::is_control) {
                return Err(format!("critical_options.{name}: 1 to {OPTION_MAX} printable characters"));
            }
        }
        Ok(SshRules { extensions: self.extensions, critical_options: self.critical_options.into_iter().collect() })
    }
}

fn known(name: &str, all: &[&str], key: &str) -> Result<(), String> {
    match all.contains(&name) {
        true => Ok(()),
        false if all.is_empty() => Err(format!("{key}: OpenSSH defines none for this kind; remove `{name}`")),
        false => Err(format!("{key}: `{name}` is not known; say one of {}", all.join(", "))),
    }
}

/// SSH has no CRL of its own by default, so certificates must end by themselves.
const SSH_MOST_SECS: i64 = 365 * DAY_SECS;
/// A command line; `source-address` lists are shorter.
const OPTION_MAX: usize = 1024;

/// OpenSSH PROTOCOL.certkeys, "Extensions" of user certificates; `no-touch-required` belongs to keys not accepted here.
const USER_EXTENSIONS: &[&str] =
    &["permit-X11-forwarding", "permit-agent-forwarding", "permit-port-forwarding", "permit-pty", "permit-user-rc"];
/// OpenSSH PROTOCOL.certkeys, "Critical options".
const USER_OPTIONS: &[&str] = &["force-command", "source-address"];
