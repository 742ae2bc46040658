//! A secret's record: what the log has the digest of.

use std::collections::BTreeMap;

use policy::Timestamp;
use serde::{Deserialize, Serialize};

use crate::kinds::Kind;
use crate::nouns::Label;

/// The kind of a secret's record; its id is the path.
pub(super) const SECRET: &str = "secret";

/// What a record says of a secret: everything but its values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Body {
    /// Which life of its path: a new one begins where everything of the one before was destroyed.
    pub life: u64,
    /// When this life of it began; none of what was made before there was a word for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made: Option<Timestamp>,
    /// The newest version's number; 0 before the first.
    pub newest: u64,
    #[serde(with = "word")]
    pub kind: Kind,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// At which version each label stands.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, u64>,
    /// Those of which something is known yet, the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub versions: Vec<VersionBody>,
    /// So many versions without a label are kept.
    pub keep: u16,
    /// Nothing of it is destroyed while this stands.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub purge_lock: bool,
    /// For so many seconds at most a reader keeps it in a cache; none: as long as the service lets him.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_secs: Option<u64>,
    /// A rotation exchanges it: its labels move by that alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rotated: bool,
    /// It is out of use, and is destroyed after a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted: Option<Deleted>,
    /// All of it was destroyed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gone: bool,
}

/// One version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct VersionBody {
    pub number: u64,
    pub at: Timestamp,
    pub by: String,
    /// SHA-256 of its sealed bytes: what tells it from every other, and tells nothing of what it holds.
    pub sha256: String,
    /// Bytes of its fields in their one form.
    pub bytes: u64,
    pub fields: Vec<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub disabled: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub destroyed: bool,
    /// It was written to be `pending`, and was neither `current` nor set at a target: the first to be pruned.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unused: bool,
    /// Fields that are references to fields of other secrets.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub references: BTreeMap<String, String>,
    /// Of a signing key: its public half, which may be published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwk: Option<String>,
    /// Of an SSH key: its public line, which hosts are given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_line: Option<String>,
}

/// That a secret is out of use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Deleted {
    pub at: Timestamp,
    /// From then on it may be destroyed.
    pub until: Timestamp,
}

impl Body {
    pub fn version(&self, number: u64) -> Option<&VersionBody> {
        self.versions.iter().find(|version| version.number == number)
    }

    pub fn version_mut(&mut self, number: u64) -> Option<&mut VersionBody> {
        self.versions.iter_mut().find(|version| version.number == number)
    }

    /// The labels that stand at a version.
    pub fn labels_of(&self, number: u64) -> impl Iterator<Item = &str> {
        self.labels.iter().filter(move |(_, at)| **at == number).map(|(label, _)| label.as_str())
    }

    /// Makes a version the current one; the one that was is the previous.
    pub fn promote(&mut self, number: u64) {
        if self.labels.get(Label::PENDING) == Some(&number) {
            self.labels.remove(Label::PENDING);
        }
        if let Some(before) = self.labels.insert(Label::CURRENT.to_owned(), number) {
            self.labels.insert(Label::PREVIOUS.to_owned(), before);
        }
        self.came_into_use(number);
    }

    /// A version is `current`, or may be what a target takes: from now on it is history like others.
    pub fn came_into_use(&mut self, number: u64) {
        if let Some(version) = self.version_mut(number) {
            version.unused = false;
        }
    }

    /// The versions that are pruned: the oldest without a label beyond those that are kept; and, where the record would grow too long
    /// for the register, more of them. Those that were never in use go first: a target that is away, or a rotation that is set up again
    /// and again, pushes out nothing that was. None while nothing may be destroyed.
    pub fn prune(&mut self) -> Vec<u64> {
        let mut pruned = Vec::new();
        loop {
            let is_free = |version: &&VersionBody| self.labels_of(version.number).next().is_none();
            let unlabelled: Vec<&VersionBody> = self.versions.iter().filter(is_free).collect();
            let too_many = unlabelled.len() > usize::from(self.keep) || self.is_too_long();
            let first = unlabelled.iter().find(|version| version.unused).or(unlabelled.first());
            let first =
                first.filter(|_| too_many && !self.purge_lock).map(|version| (version.number, version.destroyed));
            let Some((number, is_destroyed)) = first else { return pruned };
            self.versions.retain(|version| version.number != number);
            if !is_destroyed {
                pruned.push(number);
            }
        }
    }

    /// Whether it leaves no room for what is written to it next.
    pub fn is_too_long(&self) -> bool {
        serde_json::to_string(self).map_or(true, |text| text.len() > BODY_BYTES_MAX)
    }
}

/// The name of a version's value in the register.
pub(crate) fn value_id(path: &str, life: u64, number: u64) -> String {
    format!("{path}@{life}.{number}")
}

/// Path, life and number, of the name of a version's value.
pub(super) fn version_of(value_id: &str) -> Option<(&str, u64, u64)> {
    let (path, version) = value_id.rsplit_once('@')?;
    let (life, number) = version.split_once('.')?;
    let (life, number) = (life.parse().ok()?, number.parse().ok()?);
    (self::value_id(path, life, number) == value_id).then_some((path, life, number))
}

/// A record has 64 KiB; the rest is for what ends with a secret.
const BODY_BYTES_MAX: usize = 60 * 1024;

mod word {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::kinds::Kind;

    pub fn serialize<S: Serializer>(kind: &Kind, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(kind)
    }
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Kind, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(count: u64, keep: u16) -> Body {
        let version = |number| VersionBody {
            number,
            at: Timestamp::from_unix(1),
            by: "token:x".into(),
            sha256: "00".repeat(32),
            bytes: 7,
            fields: vec!["value".into()],
            disabled: false,
            not_before: None,
            expires: None,
            destroyed: false,
            unused: false,
            references: BTreeMap::new(),
            jwk: None,
            public_line: None,
        };
        Body {
            life: 1,
            made: None,
            newest: count,
            kind: Kind::Generic,
            description: String::new(),
            tags: BTreeMap::new(),
            labels: BTreeMap::from([("current".to_owned(), count), ("blue".to_owned(), 1)]),
            versions: (1..=count).map(version).collect(),
            keep,
            purge_lock: false,
            cache_secs: None,
            rotated: false,
            deleted: None,
            gone: false,
        }
    }

    #[test]
    fn what_has_a_label_is_never_pruned_and_the_oldest_goes_first() {
        let mut five = body(5, 2);
        assert_eq!(five.prune(), [2], "1 and 5 have labels; 3 and 4 are kept");
        assert_eq!(five.versions.iter().map(|version| version.number).collect::<Vec<_>>(), [1, 3, 4, 5]);
        assert_eq!(five.prune(), [0_u64; 0]);
        let mut none = body(3, 0);
        assert_eq!(none.prune(), [2]);
        assert!(none.version(1).is_some() && none.version(3).is_some());
    }

    #[test]
    fn what_was_never_in_use_pushes_out_nothing_that_was() {
        let mut ten = body(10, 4);
        for number in [5, 7, 8, 9] {
            ten.version_mut(number).expect("it is there").unused = true;
        }
        // 1 and 10 have labels. 8 came into use after all, and was exchanged.
        ten.came_into_use(8);
        assert_eq!(ten.prune(), [5, 7, 9, 2], "those that were never in use first, the oldest of each first");
        assert_eq!(ten.versions.iter().map(|version| version.number).collect::<Vec<_>>(), [1, 3, 4, 6, 8, 10]);
        let mut promoted = body(3, 0);
        promoted.version_mut(2).expect("it is there").unused = true;
        promoted.labels.insert("pending".to_owned(), 2);
        promoted.promote(2);
        assert!(promoted.version(2).is_some_and(|version| !version.unused));
        let labels = [("blue", 1), ("current", 2), ("previous", 3)].map(|(label, number)| (label.to_owned(), number));
        assert_eq!(promoted.labels, BTreeMap::from(labels));
    }

    #[test]
    fn the_name_of_a_value_says_of_which_version_it_is() {
        assert_eq!(version_of(&value_id("a@b/c@1.2", 3, 45)), Some(("a@b/c@1.2", 3, 45)));
        for other in ["head-key", "a@1", "a@1.", "a@01.2", "a@1.2.3", "a@+1.2", "@"] {
            assert_eq!(version_of(other), None, "{other}");
        }
    }

    #[test]
    fn a_record_never_grows_beyond_what_the_register_takes() {
        let mut long = body(100, 100);
        for version in &mut long.versions {
            version.fields = vec!["f".repeat(64); 64];
        }
        assert!(long.is_too_long());
        let pruned = long.prune();
        assert!(!long.is_too_long() && !pruned.is_empty() && pruned.len() < 98);
        assert!(long.version(1).is_some() && long.version(100).is_some());
        let text = serde_json::to_string(&long).unwrap();
        assert_eq!(serde_json::from_str::<Body>(&text).unwrap(), long);
    }
}
