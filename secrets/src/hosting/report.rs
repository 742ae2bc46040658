//! What a host says that it has, as the register keeps it: one record for each host of a secret.

use policy::{Grant, Owner};
use serde::{Deserialize, Serialize};
use store::{ActorStamp, Record, StoreError, StoredRecord};

use crate::error::SecretError;
use crate::nouns::SecretPath;

/// The kind of the record; its id is the secret's path and the host, its second key the path.
pub(super) const REPORT: &str = "ssh-host-report";

/// What a host has of a secret's keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostReport {
    /// The host, by the name in its agent's certificate.
    pub host: String,
    /// Fingerprints of the keys that stand there, `SHA256:...`, in their order.
    pub fingerprints: Vec<String>,
    /// When that was said, in seconds since 1970.
    pub at: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    host: String,
    fingerprints: Vec<String>,
    at: u64,
}

impl HostReport {
    pub(super) fn of(record: StoredRecord) -> Result<(HostReport, u64), SecretError> {
        let version = record.version;
        let body: Body = serde_json::from_value(record.body)
            .map_err(|error| StoreError::Corrupt(format!("{REPORT} {}: {error}", record.id)))?;
        Ok((HostReport { host: body.host, fingerprints: body.fingerprints, at: body.at }, version))
    }

    /// Whether it has the form of one.
    ///
    /// # Errors
    /// [`SecretError::Invalid`].
    pub(super) fn check(&self) -> Result<(), SecretError> {
        let is_one = |text: &String| {
            let digest = text.strip_prefix("SHA256:").unwrap_or_default();
            digest.len() == DIGEST_CHARS && digest.chars().all(|c| c.is_ascii_alphanumeric() || c == '+' || c == '/')
        };
        if self.fingerprints.len() > FINGERPRINTS_MAX || !self.fingerprints.iter().all(is_one) {
            let why = format!("at most {FINGERPRINTS_MAX} fingerprints as `ssh-keygen -l` writes them");
            return Err(SecretError::invalid("fingerprints", why));
        }
        let is_host = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
        match (1..=HOST_BYTES_MAX).contains(&self.host.len()) && self.host.chars().all(is_host) {
            true => Ok(()),
            false => Err(SecretError::invalid("host", "a host's name")),
        }
    }

    pub(super) fn id(path: &SecretPath, host: &str) -> String {
        format!("{path} {host}")
    }

    pub(super) fn record(
        &self,
        (path, owner): (&SecretPath, &Owner),
        grant: &Grant,
        expect: u64,
    ) -> Result<Record, SecretError> {
        let HostReport { host, fingerprints, at } = self.clone();
        let body = serde_json::to_value(Body { host, fingerprints, at });
        Ok(Record {
            kind: REPORT,
            id: HostReport::id(path, &self.host),
            owner: Some(owner.as_str().to_owned()),
            lookup: Some(path.as_str().to_owned()),
            expires: None,
            body: body.map_err(|error| SecretError::invalid("report", error.to_string()))?,
            actor: ActorStamp::from(grant.actor()),
            expect: Some(expect),
        })
    }
}

/// Three are in force at most; a host that was away may have some of those before.
pub const FINGERPRINTS_MAX: usize = 16;
/// So many hosts report one secret's keys.
pub const REPORTS_MAX: usize = 256;
/// SHA-256 in base64 without padding.
const DIGEST_CHARS: usize = 43;
const HOST_BYTES_MAX: usize = 253;
