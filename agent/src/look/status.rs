//! Where each certificate stands, for people and monitoring: one JSON file each, replaced by one rename, and read
//! without any lock.

use std::path::PathBuf;

use policy::Timestamp;
use serde::{Deserialize, Serialize};

use crate::credential::Leaf;
use crate::deploy::status_path;
use crate::disk::read_json;
use crate::error::AgentError;
use crate::plan::Plan;

/// How a certificate stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Never tried yet.
    Pending,
    /// The certificate in service is the one that should be.
    Ok,
    /// The last attempt failed; the files that were there are there, or there was nothing to go back to.
    Failed,
    /// The last attempt failed after the files had changed; the old ones are back.
    RolledBack,
}

/// Where one certificate stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The certificate's name in the plan.
    pub name: String,
    /// How it stands.
    pub state: State,
    /// Serial of the certificate on disk, hex.
    pub serial: Option<String>,
    /// SHA-256 of the certificate on disk, hex.
    pub fingerprint: Option<String>,
    /// Its first valid second.
    pub not_before: Option<Timestamp>,
    /// Its last valid second.
    pub not_after: Option<Timestamp>,
    /// When the agent will act next: renew, or try again.
    pub next_renewal: Option<Timestamp>,
    /// When it last acted.
    pub last_attempt: Option<Timestamp>,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// Attempts failed in a row.
    pub failures: u32,
    /// How often a certificate was replaced by a newer one; the first enrolment does not count.
    pub renewals: u64,
    /// The files the certificate is in, key first.
    pub files: Vec<PathBuf>,
}

impl Status {
    /// The status of a certificate that was never tried.
    pub(crate) fn pending(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            state: State::Pending,
            serial: None,
            fingerprint: None,
            not_before: None,
            not_after: None,
            next_renewal: None,
            last_attempt: None,
            last_error: None,
            failures: 0,
            renewals: 0,
            files: Vec::new(),
        }
    }

    /// Takes over the facts of the certificate on disk, `None` where there is no usable one.
    pub(crate) fn describe(&mut self, leaf: Option<&Leaf>) {
        self.serial = leaf.map(|l| l.serial.clone());
        self.fingerprint = leaf.map(Leaf::fingerprint_hex);
        self.not_before = leaf.map(|l| l.not_before);
        self.not_after = leaf.map(|l| l.not_after);
    }
}

/// The status of every certificate of the plan, as last written by an agent; needs no running agent.
pub fn status(plan: &Plan) -> Result<Vec<Status>, AgentError> {
    plan.certificates
        .iter()
        .map(|certificate| {
            let path = status_path(&plan.state_dir, &certificate.name);
            let mut status = read_json(&path)?.unwrap_or_else(|| Status::pending(&certificate.name));
            status.files = certificate.files.paths().map(Into::into).collect();
            Ok(status)
        })
        .collect()
}
