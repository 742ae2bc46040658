//! Where each file of secrets stands, for people and monitoring: one JSON file each, as for certificates, and no value in it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use policy::Timestamp;
use serde::{Deserialize, Serialize};

use crate::deploy::status_path;
use crate::disk::read_json;
use crate::error::AgentError;
use crate::plan::Plan;

/// How a file of secrets stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SecretState {
    /// Never tried yet.
    Pending,
    /// What stands there is what the server has.
    Ok,
    /// The server is away; what it gave before stands there, and may be used until `good_until`.
    Cached,
    /// The last attempt failed; a file that was there is there.
    Failed,
    /// Its values are not to be used any more: the server refuses them, or was away for too long. `in_place` says whether the plan keeps it.
    Ended,
}

/// Why a file is not as it should be, for whoever branches on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lack {
    /// The server refuses: a right is missing, or a secret.
    Refused,
    /// The server is away: later.
    Away,
    /// This host: a folder, a check, a command; or a field that a secret does not have.
    Here,
}

/// Where one file of secrets stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretStatus {
    /// Its name in the plan.
    pub name: String,
    /// How it stands.
    pub state: SecretState,
    /// Where the file is.
    pub file: PathBuf,
    /// Whether it is there.
    pub in_place: bool,
    /// Which version each reference stands for in it.
    pub versions: BTreeMap<String, u64>,
    /// When its values were asked for.
    pub read: Option<Timestamp>,
    /// Until when they may be used while nobody answers.
    pub good_until: Option<Timestamp>,
    /// When the server answered last.
    pub last_answer: Option<Timestamp>,
    /// When the agent looks next.
    pub next_look: Option<Timestamp>,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// What that was.
    pub lack: Option<Lack>,
    /// Attempts failed in a row.
    pub failures: u32,
    /// How often the file was written.
    pub changes: u64,
}

impl SecretStatus {
    /// The status of a file that was never tried.
    pub(crate) fn pending(name: &str, file: PathBuf) -> Self {
        Self {
            name: name.to_owned(),
            state: SecretState::Pending,
            file,
            in_place: false,
            versions: BTreeMap::new(),
            read: None,
            good_until: None,
            last_answer: None,
            next_look: None,
            last_error: None,
            lack: None,
            failures: 0,
            changes: 0,
        }
    }

    /// Whether a service can begin with it.
    pub fn is_ready(&self) -> bool {
        let is_usable = matches!(self.state, SecretState::Ok | SecretState::Cached | SecretState::Failed);
        self.in_place && is_usable
    }
}

/// The status of every file of secrets and of public keys of the plan, as last written by an agent; needs no running agent. Whether a file is there is looked
/// at now.
pub fn secret_status(plan: &Plan) -> Result<Vec<SecretStatus>, AgentError> {
    let secrets = plan.secrets.iter().map(|secret| (&secret.name, &secret.file.path));
    let keys = plan.keys.iter().map(|keys| (&keys.name, &keys.file.path));
    secrets
        .chain(keys)
        .map(|(name, file)| {
            let file = file.clone();
            let found: Option<SecretStatus> = read_json(&status_path(&plan.state_dir, name))?;
            let is_there = file.symlink_metadata().is_ok_and(|found| found.is_file());
            let status = found.unwrap_or_else(|| SecretStatus::pending(name, file.clone()));
            Ok(SecretStatus { in_place: status.in_place && is_there && status.file == file, file, ..status })
        })
        .collect()
}
