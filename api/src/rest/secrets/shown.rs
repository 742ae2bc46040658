//! What is shown of a secret.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use policy::Timestamp;
use secrets::{CacheLease, FieldName, Fields, Halt, LastRead, Opened, Refresh, Secret, Version};
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use super::rotation_shown::moment;

/// A secret without its values.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SecretInfo {
    /// Where it stands.
    path: String,
    /// Whose it is.
    owner: String,
    /// Of what kind.
    kind: String,
    /// What it is for.
    description: String,
    /// By what else it is found.
    tags: BTreeMap<String, String>,
    /// At which version each label stands.
    labels: BTreeMap<String, u64>,
    /// The newest version's number.
    newest: u64,
    /// So many versions without a label are kept.
    keep: u16,
    /// Whether nothing of it may be destroyed.
    purge_lock: bool,
    /// For so many seconds at most a reader may keep it in a sealed cache; absent: as long as the service lets anybody.
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_secs: Option<u64>,
    /// Since when it is out of use.
    #[schema(value_type = Option<String>, format = DateTime)]
    deleted: Option<Timestamp>,
    /// From when on it may be destroyed, once deleted.
    #[schema(value_type = Option<String>, format = DateTime)]
    destroyed_after: Option<Timestamp>,
    /// Whether a rotation exchanges it.
    rotated: bool,
    /// When that does something next; absent in lists, and where somebody has to ask.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    rotation_next: Option<Timestamp>,
    /// How its token is got anew, where it is one that is; absent in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh: Option<RefreshedInfo>,
    /// When anything of it was changed last.
    #[schema(value_type = String, format = DateTime)]
    changed: Timestamp,
    /// By whom.
    changed_by: String,
    /// The names of the current version's fields.
    fields: Vec<String>,
    /// Until when the current version is used.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires: Option<Timestamp>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    made: Timestamp,
    /// When its current version was written.
    #[schema(value_type = Option<String>, format = DateTime)]
    written: Option<Timestamp>,
    /// Who read it last; null where nobody did. Absent in the answer to a change.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<ReadInfo>)]
    last_read: Option<Option<ReadInfo>>,
    /// Whether the caller may read its values; absent in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    readable: Option<bool>,
    /// Its versions, the newest first; absent in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    versions: Option<Vec<VersionInfo>>,
}

/// When a token was got anew, and when it is next.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RefreshedInfo {
    /// When the last one came; absent where none did yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    last: Option<Timestamp>,
    /// When the next is asked for; absent where somebody has to look first.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    next: Option<Timestamp>,
    /// `refused`, or `unanswered`: nothing is asked until somebody has looked.
    #[serde(skip_serializing_if = "Option::is_none")]
    halted: Option<&'static str>,
}

/// That somebody read a secret: of the newest hour in which he did, the first time.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReadInfo {
    /// When.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// Who.
    by: String,
    /// The entry of the log that says so.
    leaf: u64,
}

/// A version without its values.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VersionInfo {
    number: u64,
    labels: Vec<String>,
    /// `enabled`, `disabled`, `early`, `expired`, `destroyed`.
    state: &'static str,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    by: String,
    fields: Vec<String>,
    /// Fields that are references to fields of other secrets, and to what.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    references: BTreeMap<String, String>,
    bytes: u64,
    /// SHA-256 of its sealed bytes: what tells it from every other, and nothing of what it holds.
    sha256: String,
    #[schema(value_type = Option<String>, format = DateTime)]
    not_before: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    expires: Option<Timestamp>,
}

/// The values of one version, as they were opened: the answer's own bytes are the one copy of them.
#[derive(Serialize, ToSchema)]
pub(crate) struct SecretValues<'a> {
    /// Where it stands.
    path: &'a str,
    /// The version's number.
    version: u64,
    /// Whose it is.
    owner: &'a str,
    /// Of what kind.
    kind: &'static str,
    /// Each field: its text; where it is none, an object with its bytes as `base64`.
    #[schema(value_type = BTreeMap<String, Value>)]
    fields: Values<'a>,
    /// Until when it is used.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires: Option<Timestamp>,
    /// The entry of the log that says so.
    leaf: u64,
    /// Until when the reader may keep it, where he asked; absent: he may not.
    #[serde(skip_serializing_if = "Option::is_none")]
    lease: Option<LeaseInfo>,
    /// What is to be known beside the values: that the certificate which a bundle names is revoked, has ended or has a successor.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    said: &'a [String],
}

/// Fields of a version: all, or the one that is wanted.
struct Values<'a> {
    fields: &'a Fields,
    wanted: Option<&'a str>,
}

/// Until when a value may be kept.
#[derive(Serialize, ToSchema)]
pub(crate) struct LeaseInfo {
    /// So many seconds from this answer on, by a clock that nobody sets.
    secs: u64,
    /// That moment, as the service has it.
    #[schema(value_type = String, format = DateTime)]
    until: Timestamp,
}

/// A value.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum Value<'a> {
    /// Text.
    Text(&'a str),
    /// Bytes that are no text.
    Bytes {
        /// In base64.
        base64: String,
    },
}

impl SecretInfo {
    pub(super) fn brief(secret: &Secret, now: Timestamp) -> Self {
        let versions = secret.versions(now);
        let current = secret.labels().get(secrets::Label::CURRENT);
        let current = versions.into_iter().find(|version| Some(&version.number) == current);
        let (fields, expires) = current.map(|version| (version.fields, version.expires)).unwrap_or_default();
        let (deleted, destroyed_after) = secret.deleted().unzip();
        let (changed, changed_by) = secret.changed();
        Self {
            path: secret.path().to_string(),
            owner: secret.owner().to_string(),
            kind: secret.kind().to_string(),
            description: secret.description().to_owned(),
            tags: secret.tags().clone(),
            labels: secret.labels().clone(),
            newest: secret.newest(),
            keep: secret.keep(),
            purge_lock: secret.is_purge_locked(),
            cache_secs: secret.cache_secs(),
            deleted,
            destroyed_after,
            rotated: secret.is_rotated(),
            rotation_next: None,
            refresh: None,
            changed,
            changed_by: changed_by.to_owned(),
            fields,
            expires,
            made: secret.made(),
            written: secret.turned(),
            last_read: None,
            readable: None,
            versions: None,
        }
    }

    /// With when its rotation does something next.
    pub(super) fn rotated(self, rotation_next: Option<Timestamp>) -> Self {
        Self { rotation_next, ..self }
    }

    /// With how its token is got anew.
    pub(super) fn refreshed(self, refresh: Option<&Refresh>) -> Self {
        let refresh = refresh.map(|refresh| RefreshedInfo {
            last: refresh.refreshed().map(moment),
            next: refresh.due().map(moment),
            halted: refresh.halted().map(Halt::as_str),
        });
        Self { refresh, ..self }
    }

    /// The same with who read it last.
    pub(super) fn read(self, read: Option<&LastRead>) -> Self {
        let read = read.map(|read| ReadInfo { at: read.at, by: read.by.clone(), leaf: read.leaf });
        Self { last_read: Some(read), ..self }
    }

    /// The same, with whether the caller may read its values.
    pub(super) fn for_reader(self, may_read: bool) -> Self {
        Self { readable: Some(may_read), ..self }
    }

    pub(super) fn whole(secret: &Secret, now: Timestamp) -> Self {
        let versions = secret.versions(now).into_iter().map(VersionInfo::of).collect();
        Self { versions: Some(versions), ..Self::brief(secret, now) }
    }
}

impl VersionInfo {
    fn of(version: Version) -> Self {
        let Version { number, labels, at, by, sha256, bytes, fields, references, not_before, expires, standing } =
            version;
        let state = standing.as_str();
        Self { number, labels, state, at, by, fields, references, bytes, sha256, not_before, expires }
    }
}

impl<'a> SecretValues<'a> {
    /// All fields, or the one that is wanted; and what is to be known beside it.
    pub(super) fn of(opened: &'a Opened, wanted: Option<&'a str>, said: &'a [String]) -> Self {
        Self {
            path: opened.secret.path().as_str(),
            version: opened.number,
            owner: opened.secret.owner().as_str(),
            kind: opened.secret.kind().as_str(),
            fields: Values { fields: &opened.fields, wanted },
            expires: opened.expires,
            leaf: opened.leaf,
            lease: opened.lease.map(|CacheLease { secs, until }| LeaseInfo { secs, until }),
            said,
        }
    }
}

impl Serialize for Values<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let is_wanted = |name: &FieldName| self.wanted.is_none_or(|wanted| wanted == name.as_str());
        let wanted = self.fields.iter().filter(|(name, _)| is_wanted(name));
        serializer.collect_map(wanted.map(|(name, value)| (name.as_str(), Value::of(value))))
    }
}

/// A control character other than those between words and lines.
fn is_odd(character: char) -> bool {
    character.is_control() && !matches!(character, '\n' | '\r' | '\t')
}

impl<'a> Value<'a> {
    fn of(bytes: &'a [u8]) -> Self {
        match std::str::from_utf8(bytes) {
            // A control character is six in JSON, and no text that anybody typed.
            Ok(text) if !text.chars().any(is_odd) => Self::Text(text),
            Ok(_) | Err(_) => Self::Bytes { base64: STANDARD.encode(bytes) },
        }
    }
}
