//! What changed, in the order of the log: of each version of a secret's record what it did to the one before.
//!
//! It is told from the two records and stands in neither, so that what was written before there was a word for it is told as well.

use policy::{Owner, Timestamp};

use super::base::Vault;
use super::body::{Body, SECRET, VersionBody};
use super::secret::Secret;
use crate::error::SecretError;
use crate::nouns::{Label, SecretPath};

/// What happened to a secret. Where one act did several of these, the first of them that fits is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happened {
    /// All of it, or versions of it, were destroyed.
    Destroyed,
    /// It was taken out of use.
    Deleted,
    /// It was taken back into use.
    Restored,
    /// It has a new version, or is new.
    Written,
    /// A version was taken out of use.
    Disabled,
    /// A version was taken back into use.
    Enabled,
    /// A label stands elsewhere: a rollback, a rotation that promotes, a label of one's own.
    Labelled,
    /// Something else is said of it: what it is for, its tags, what is kept.
    Described,
}

impl Happened {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Happened::Destroyed => "destroyed",
            Happened::Deleted => "deleted",
            Happened::Restored => "restored",
            Happened::Written => "written",
            Happened::Disabled => "disabled",
            Happened::Enabled => "enabled",
            Happened::Labelled => "labelled",
            Happened::Described => "described",
        }
    }
}

/// One change of one secret: none of its values, and no more than a list shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// Where it stands.
    pub path: SecretPath,
    /// Whose it is.
    pub owner: Owner,
    /// The version of its record: one more than the leaf that says so.
    pub record: u64,
    /// What happened.
    pub happened: Happened,
    /// The version that is current now; none where none is.
    pub current: Option<u64>,
    /// When, by the log.
    pub at: Timestamp,
}

impl Vault {
    /// A page of what changed from the log's leaf `from` on, and from where the next is asked for. A page may be empty and others follow. A
    /// change whose row somebody altered is left out, with an alarm: whoever must not miss one looks from time to time at what there is.
    ///
    /// # Errors
    /// [`SecretError::Store`].
    pub async fn changes(&self, from: u64, limit: usize) -> Result<(Vec<Changed>, u64), SecretError> {
        let page = self.ledger.record_changes(SECRET, from, limit).await?;
        let mut changes = Vec::with_capacity(page.items.len());
        for change in page.items {
            // What nobody can read is told of nothing, and keeps no other back.
            let before = change.before.and_then(|before| Secret::of(before).ok());
            let Ok(Secret { path, owner, record, body, changed, place: _ }) = Secret::of(change.now) else { continue };
            changes.push(Changed {
                path,
                owner,
                record,
                happened: happened(before.as_ref().map(|before| &before.body), &body),
                current: body.labels.get(Label::CURRENT).copied(),
                at: changed.0,
            });
        }
        Ok((changes, page.through))
    }

    /// How many leaves of the log this node knows.
    pub fn leaves(&self) -> u64 {
        self.ledger.head().size
    }

    /// Waits until this node knows of a change from the log's leaf `from` on; of what came while it runs. Asks no database.
    pub async fn changed_from(&self, from: u64) {
        self.ledger.secret_beyond(from).await;
    }
}

/// What a record did to the one that it replaced.
fn happened(before: Option<&Body>, now: &Body) -> Happened {
    if now.gone {
        return Happened::Destroyed;
    }
    let Some(before) = before.filter(|before| !before.gone) else { return Happened::Written };
    let has = |body: &Body, is: fn(&VersionBody) -> bool| -> Vec<u64> {
        body.versions.iter().filter(|version| is(version)).map(|version| version.number).collect()
    };
    let is_more = |is: fn(&VersionBody) -> bool| {
        let there = has(before, is);
        has(now, is).iter().any(|number| !there.contains(number))
    };
    let is_less = |is: fn(&VersionBody) -> bool| {
        let (there, here) = (has(before, is), has(now, is));
        there.iter().any(|number| now.version(*number).is_some() && !here.contains(number))
    };
    match (before.deleted.is_some(), now.deleted.is_some()) {
        (false, true) => Happened::Deleted,
        (true, false) => Happened::Restored,
        _ if now.newest > before.newest => Happened::Written,
        _ if is_more(|version| version.destroyed) => Happened::Destroyed,
        _ if is_more(|version| version.disabled) => Happened::Disabled,
        _ if is_less(|version| version.disabled) => Happened::Enabled,
        _ if now.labels != before.labels => Happened::Labelled,
        _ => Happened::Described,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn body(change: impl Fn(&mut serde_json::Value)) -> Body {
        let version = |number: u64| json!({"number": number, "at": "2026-11-28T10:00:00Z", "by": "x", "sha256": "", "bytes": 1, "fields": ["value"]});
        let mut text = json!({"life": 1, "newest": 2, "kind": "generic", "labels": {"current": 2, "previous": 1}, "keep": 10,
            "versions": [version(1), version(2)]});
        change(&mut text);
        serde_json::from_value(text).expect("a record")
    }

    #[test]
    fn what_happened_is_told_from_the_two_records() {
        let before = body(|_| {});
        let told = |change: fn(&mut serde_json::Value)| happened(Some(&before), &body(change));
        let deleted = |text: &mut serde_json::Value| {
            text["deleted"] = json!({"at": "2026-11-28T10:00:00Z", "until": "2026-12-28T10:00:00Z"});
        };
        assert_eq!(happened(None, &before), Happened::Written);
        assert_eq!(happened(Some(&body(|text| text["gone"] = json!(true))), &before), Happened::Written, "a new life");
        assert_eq!(told(|text| text["newest"] = json!(3)), Happened::Written, "pending too");
        assert_eq!(told(|text| text["gone"] = json!(true)), Happened::Destroyed);
        assert_eq!(told(|text| text["versions"][0]["destroyed"] = json!(true)), Happened::Destroyed);
        assert_eq!(told(deleted), Happened::Deleted);
        assert_eq!(happened(Some(&body(deleted)), &before), Happened::Restored);
        assert_eq!(told(|text| text["versions"][0]["disabled"] = json!(true)), Happened::Disabled);
        let disabled = body(|text| text["versions"][0]["disabled"] = json!(true));
        assert_eq!(happened(Some(&disabled), &before), Happened::Enabled);
        assert_eq!(told(|text| text["labels"] = json!({"current": 1, "previous": 2})), Happened::Labelled);
        assert_eq!(told(|text| text["description"] = json!("x")), Happened::Described);
    }
}
