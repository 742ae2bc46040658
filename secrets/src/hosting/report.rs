//! What a host says that it has, as the register keeps it: one record for each host of a secret. It has an age: while the host's agent runs
//! it is written down anew, so that one which is not is known for what it is.

use policy::{Grant, Owner, Timestamp};
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
    /// Since when it says that, in seconds since 1970.
    pub since: u64,
    /// When it was last written down that it does, in seconds since 1970: after [`REPORT_AGAIN_SECS`] it is once more.
    pub at: u64,
    /// The version of its record; of one that is not written yet, of the one that it takes the place of.
    pub(super) version: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    host: String,
    fingerprints: Vec<String>,
    since: u64,
    at: u64,
}

impl HostReport {
    /// None: it was forgotten.
    pub(super) fn of(record: StoredRecord) -> Result<Option<HostReport>, SecretError> {
        let version = record.version;
        if record.lookup.is_none() {
            return Ok(None);
        }
        let Body { host, fingerprints, since, at } = serde_json::from_value(record.body)
            .map_err(|error| StoreError::Corrupt(format!("{REPORT} {}: {error}", record.id)))?;
        Ok(Some(HostReport { host, fingerprints, since, at, version }))
    }

    /// Whether what its host says again is written down again, at `now`, in seconds since 1970: after [`REPORT_AGAIN_SECS`], and where a
    /// clock that was ahead wrote it down.
    pub(super) fn is_due(&self, now: u64) -> bool {
        let moment = |secs: u64| Timestamp::from_unix(i64::try_from(secs).unwrap_or(i64::MAX));
        moment(now).is_due(moment(self.at), i64::try_from(REPORT_AGAIN_SECS).unwrap_or(i64::MAX))
    }

    /// Whether its host was silent for so long that nobody counts on it: for more than [`REPORT_SILENT_SECS`]. `now` in seconds since 1970.
    pub fn is_silent(&self, now: u64) -> bool {
        now.saturating_sub(self.at) > REPORT_SILENT_SECS
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

    /// What is written down of it, in the place of the version that it has.
    pub(super) fn record(&self, (path, owner): (&SecretPath, &Owner), grant: &Grant) -> Result<Record, SecretError> {
        let HostReport { host, fingerprints, since, at, version } = self.clone();
        let id = HostReport::id(path, &host);
        let body = serde_json::to_value(Body { host, fingerprints, since, at });
        Ok(Record {
            kind: REPORT,
            id,
            owner: Some(owner.as_str().to_owned()),
            lookup: Some(path.as_str().to_owned()),
            expires: None,
            body: body.map_err(|error| SecretError::invalid("report", error.to_string()))?,
            actor: ActorStamp::from(grant.actor()),
            expect: Some(version),
        })
    }

    /// That its host is forgotten: without a second key no list has it, and what it said stays in the log.
    pub(super) fn forgotten(&self, of: (&SecretPath, &Owner), grant: &Grant) -> Result<Record, SecretError> {
        Ok(Record { lookup: None, ..self.record(of, grant)? })
    }
}

/// Three are in force at most; a host that was away may have some of those before.
pub const FINGERPRINTS_MAX: usize = 16;
/// So many hosts report one secret's keys.
pub const REPORTS_MAX: usize = 256;
/// What a host says again is written down again after so long, in seconds: a week. Its agent says it each hour, so that a report which is
/// older by more than that hour is of a host that is silent; and a host is an entry of the log a week, not 168.
pub const REPORT_AGAIN_SECS: u64 = 7 * 86_400;
/// A host whose report is older, in seconds, makes room for another: 30 days. It missed three of those weeks, and any outage of the server
/// is over by then.
pub const REPORT_SILENT_SECS: u64 = 30 * 86_400;
/// SHA-256 in base64 without padding.
const DIGEST_CHARS: usize = 43;
const HOST_BYTES_MAX: usize = 253;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_host_said_by_a_clock_that_was_ahead_is_written_down_again() {
        let now = 1_800_000_000;
        for (at, is_due) in [
            (now - REPORT_AGAIN_SECS, true),
            (now - REPORT_AGAIN_SECS + 1, false),
            (now, false),
            (now + 300, false),
            (now + 3 * 86_400, true),
        ] {
            let host = "web.example.internal".to_owned();
            let report = HostReport { host, fingerprints: Vec::new(), since: at, at, version: 1 };
            assert_eq!(report.is_due(now), is_due, "{at}");
        }
    }
}
