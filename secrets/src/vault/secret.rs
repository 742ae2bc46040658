//! A secret as it is shown: everything but its values.

use std::collections::BTreeMap;

use policy::{Owner, Timestamp};
use store::{Judged, RecordPlace, StoredRecord};

use super::body::{Body, SECRET, VersionBody};
use crate::error::SecretError;
use crate::kinds::Kind;
use crate::nouns::{FieldName, Label, SecretPath, Which};

/// What there is to say of a secret, attested by the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Secret {
    pub(super) path: SecretPath,
    pub(super) owner: Owner,
    /// The version of its record, and its place.
    pub(super) record: u64,
    pub(super) place: RecordPlace,
    pub(super) body: Body,
    pub(super) changed: (Timestamp, String),
}

/// A version of a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Its number, which never comes again.
    pub number: u64,
    /// Which labels stand at it.
    pub labels: Vec<String>,
    /// When it was written.
    pub at: Timestamp,
    /// Who wrote it.
    pub by: String,
    /// SHA-256 of its sealed bytes, in hexadecimal: what tells it from every other, and nothing of what it holds.
    pub sha256: String,
    /// Bytes of its fields together.
    pub bytes: u64,
    /// The names of its fields.
    pub fields: Vec<String>,
    /// Fields that are references, and to what.
    pub references: BTreeMap<String, String>,
    /// From when it is used.
    pub not_before: Option<Timestamp>,
    /// Until when.
    pub expires: Option<Timestamp>,
    /// Whether it is used.
    pub standing: Standing,
}

/// Whether a version is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is.
    Enabled,
    /// Somebody took it out of use, and can take it back.
    Disabled,
    /// Its time has not come.
    Early,
    /// Its time has passed.
    Expired,
    /// It is gone.
    Destroyed,
}

impl Standing {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Standing::Enabled => "enabled",
            Standing::Disabled => "disabled",
            Standing::Early => "early",
            Standing::Expired => "expired",
            Standing::Destroyed => "destroyed",
        }
    }
}

impl Secret {
    pub(super) fn of(record: StoredRecord) -> Result<Secret, SecretError> {
        let corrupt =
            |why: String| SecretError::Store(store::StoreError::Corrupt(format!("secret {}: {why}", record.id)));
        let body: Body = serde_json::from_value(record.body).map_err(|e| corrupt(e.to_string()))?;
        let path: SecretPath = record.id.parse().map_err(|e| corrupt(format!("{e}")))?;
        let owner = record.owner.as_deref().ok_or("no owner".to_owned());
        let owner = owner.and_then(|owner| Owner::parse(owner).map_err(|e| e.to_string())).map_err(corrupt)?;
        let place = RecordPlace::of(SECRET, path.as_str());
        Ok(Secret { path, owner, record: record.version, place, body, changed: (record.at, record.actor.id) })
    }

    /// Where it stands.
    pub fn path(&self) -> &SecretPath {
        &self.path
    }

    /// Whose it is.
    pub fn owner(&self) -> &Owner {
        &self.owner
    }

    /// Of what kind.
    pub fn kind(&self) -> Kind {
        self.body.kind
    }

    /// What it is for, in a sentence.
    pub fn description(&self) -> &str {
        &self.body.description
    }

    /// By what else it is found.
    pub fn tags(&self) -> &BTreeMap<String, String> {
        &self.body.tags
    }

    /// At which version each label stands.
    pub fn labels(&self) -> &BTreeMap<String, u64> {
        &self.body.labels
    }

    /// So many versions without a label are kept.
    pub fn keep(&self) -> u16 {
        self.body.keep
    }

    /// Whether nothing of it may be destroyed.
    pub fn is_purge_locked(&self) -> bool {
        self.body.purge_lock
    }

    /// For so many seconds at most a reader may keep it in a cache; none: nobody said so of this one.
    pub fn cache_secs(&self) -> Option<u64> {
        self.body.cache_secs
    }

    /// Whether a rotation exchanges it: then it is written by that alone.
    pub fn is_rotated(&self) -> bool {
        self.body.rotated
    }

    /// Its path and which life of that, `path@life`, by which the register counts its readings.
    pub fn life(&self) -> String {
        format!("{}@{}", self.path, self.body.life)
    }

    /// When it was made; of an older one, when it was changed last.
    pub fn made(&self) -> Timestamp {
        self.body.made.unwrap_or(self.changed.0)
    }

    /// When its current version ends.
    pub fn ends(&self) -> Option<Timestamp> {
        self.current().and_then(|version| version.expires)
    }

    /// When its current version was written.
    pub fn turned(&self) -> Option<Timestamp> {
        self.current().map(|version| version.at)
    }

    fn current(&self) -> Option<&VersionBody> {
        self.body.version(*self.body.labels.get(Label::CURRENT)?)
    }

    /// Its newest version's number.
    pub fn newest(&self) -> u64 {
        self.body.newest
    }

    /// Since when it is out of use, and from when on it may be destroyed.
    pub fn deleted(&self) -> Option<(Timestamp, Timestamp)> {
        self.body.deleted.map(|deleted| (deleted.at, deleted.until))
    }

    /// Whether everything of it was destroyed: its path is free.
    pub fn is_gone(&self) -> bool {
        self.body.gone
    }

    /// When anything of it was changed last, and by whom.
    pub fn changed(&self) -> (Timestamp, &str) {
        (self.changed.0, &self.changed.1)
    }

    /// What it is that changes with it: an ETag.
    pub fn revision(&self) -> u64 {
        self.record
    }

    /// Its versions, the newest first.
    pub fn versions(&self, now: Timestamp) -> Vec<Version> {
        self.body.versions.iter().rev().map(|version| self.shown(version, now)).collect()
    }

    /// SHA-256 of the sealed bytes of the version that is meant, in hexadecimal; none where it may not be read now.
    ///
    /// # Errors
    /// [`SecretError::NotFound`]: there is no such version. [`SecretError::OutOfUse`].
    pub fn sha256_of(&self, which: &Which, now: Timestamp) -> Result<&str, SecretError> {
        self.usable(which, now).map(|version| version.sha256.as_str())
    }

    /// Bytes of the fields of the version that is meant, together.
    ///
    /// # Errors
    /// [`SecretError::NotFound`]: there is no such version.
    pub fn bytes_of(&self, which: &Which) -> Result<u64, SecretError> {
        self.find(which).map(|version| version.bytes)
    }

    /// Whether the version that is meant has a field of its own by this name.
    ///
    /// # Errors
    /// [`SecretError::NotFound`]: there is no such version.
    pub fn has_field(&self, which: &Which, field: &FieldName) -> Result<bool, SecretError> {
        self.find(which).map(|version| version.fields.iter().any(|name| name == field.as_str()))
    }

    /// Of an SSH key the public line of a version, without a comment.
    pub(crate) fn public_line(&self, number: u64) -> Option<&str> {
        self.body.version(number)?.public_line.as_deref()
    }

    /// The record that says all this, in its version.
    pub(super) fn judged(&self) -> Judged {
        Judged { place: self.place, version: self.record }
    }

    /// What it takes in memory, about.
    pub(super) fn bytes(&self) -> usize {
        let tags: usize = self.body.tags.iter().map(|(name, value)| name.len() + value.len() + ENTRY_BYTES).sum();
        let fields = self.body.versions.iter().flat_map(|version| &version.fields);
        let fields: usize = fields.map(|field| field.len() + ENTRY_BYTES).sum();
        let entries = 1 + self.body.versions.len() + self.body.labels.len();
        self.body.description.len() + tags + fields + entries * VERSION_BYTES
    }

    /// Which version is meant.
    pub(super) fn find(&self, which: &Which) -> Result<&VersionBody, SecretError> {
        let number = match which {
            Which::Version(number) => number.get(),
            Which::Label(label) => *self.body.labels.get(label.as_str()).ok_or_else(|| {
                let there: Vec<&str> = self.body.labels.keys().map(String::as_str).collect();
                SecretError::NotFound(format!(
                    "the secret {} has no label {label}; it has {}",
                    self.path,
                    listed(&there)
                ))
            })?,
        };
        self.body.version(number).ok_or_else(|| {
            let why = if number <= self.body.newest { "it was pruned" } else { "there is no such version yet" };
            SecretError::NotFound(format!("the secret {} has no version {number}: {why}", self.path))
        })
    }

    /// A version that may be read now.
    pub(super) fn usable(&self, which: &Which, now: Timestamp) -> Result<&VersionBody, SecretError> {
        self.present()?;
        let version = self.find(which)?;
        let (path, number) = (&self.path, version.number);
        match standing(version, now) {
            Standing::Enabled => Ok(version),
            Standing::Disabled => Err(SecretError::OutOfUse(format!(
                "version {number} of {path} is disabled: enable it, or read another"
            ))),
            Standing::Early => {
                let from = version.not_before.map_or(String::new(), |at| at.to_string());
                Err(SecretError::OutOfUse(format!("version {number} of {path} is not to be used before {from}")))
            }
            Standing::Expired => {
                let end = version.expires.map_or(String::new(), |at| at.to_string());
                Err(SecretError::OutOfUse(format!("version {number} of {path} expired at {end}: write a new one")))
            }
            Standing::Destroyed => Err(SecretError::OutOfUse(format!("version {number} of {path} was destroyed"))),
        }
    }

    /// Refuses what is deleted or gone.
    pub(super) fn present(&self) -> Result<(), SecretError> {
        if self.body.gone {
            return Err(SecretError::NotFound(format!(
                "there is no secret at {}: what was there was destroyed",
                self.path
            )));
        }
        match self.body.deleted {
            Some(deleted) => Err(SecretError::OutOfUse(format!(
                "the secret {0} is deleted since {1}; it can be restored (chancery secret restore {0}), until somebody destroys it",
                self.path, deleted.at
            ))),
            None => Ok(()),
        }
    }

    /// Refuses to change by hand what a rotation exchanges: the target would have another password than the register says.
    pub(super) fn free(&self) -> Result<(), SecretError> {
        match self.body.rotated {
            false => Ok(()),
            true => Err(SecretError::Conflict(format!(
                "a rotation exchanges {}: ask it for another credential, or end it first",
                self.path
            ))),
        }
    }

    /// Whether a version is used.
    pub(super) fn standing_of(&self, version: &VersionBody, now: Timestamp) -> Standing {
        standing(version, now)
    }

    fn shown(&self, version: &VersionBody, now: Timestamp) -> Version {
        Version {
            number: version.number,
            labels: self.body.labels_of(version.number).map(str::to_owned).collect(),
            at: version.at,
            by: version.by.clone(),
            sha256: version.sha256.clone(),
            bytes: version.bytes,
            fields: version.fields.clone(),
            references: version.references.clone(),
            not_before: version.not_before,
            expires: version.expires,
            standing: standing(version, now),
        }
    }
}

fn standing(version: &VersionBody, now: Timestamp) -> Standing {
    match version {
        VersionBody { destroyed: true, .. } => Standing::Destroyed,
        VersionBody { disabled: true, .. } => Standing::Disabled,
        VersionBody { not_before: Some(begins), .. } if now < *begins => Standing::Early,
        VersionBody { expires: Some(ends), .. } if now > *ends => Standing::Expired,
        VersionBody { .. } => Standing::Enabled,
    }
}

/// What a name in a map takes beside its letters, about.
const ENTRY_BYTES: usize = 64;
/// What a version takes beside its fields, about.
const VERSION_BYTES: usize = 256;

fn listed(words: &[&str]) -> String {
    if words.is_empty() { "none".to_owned() } else { words.join(", ") }
}
