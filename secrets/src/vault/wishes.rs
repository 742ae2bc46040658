//! What a caller asks the vault for.

use std::collections::BTreeMap;

use policy::{Owner, Timestamp};

use crate::error::SecretError;
use crate::kinds::{Fields, Kind, Patch};
use crate::nouns::{FieldName, Reference, SecretPath};

/// A new version.
#[derive(Debug, Default)]
pub struct Put {
    /// What becomes of the fields.
    pub change: Change,
    /// The newest version that the caller knows of; 0: there is no secret yet; none: whatever is there.
    pub expect: Option<u64>,
    /// From when it is used.
    pub not_before: Option<Timestamp>,
    /// Until when.
    pub expires: Option<Timestamp>,
    /// What its kind draws is drawn anew, whatever else changes.
    pub draw: bool,
    /// Fields that are references to fields of other secrets, from now on.
    pub references: BTreeMap<FieldName, Reference>,
    /// It becomes `pending` instead of `current`.
    pub pending: bool,
    /// What is said of the secret.
    pub naming: Naming,
}

/// What becomes of the fields of the version before.
#[derive(Debug)]
pub enum Change {
    /// These are set or removed, the others stay.
    Patch(Patch),
    /// These are all there are.
    Whole(Fields),
}

impl Default for Change {
    fn default() -> Change {
        Change::Patch(Patch::new())
    }
}

/// What is said of a secret; what is none stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Naming {
    /// Of what kind. It stays what it was made as.
    pub kind: Option<Kind>,
    /// What it is for, in a sentence.
    pub description: Option<String>,
    /// By what else it is found: these instead of those before.
    pub tags: Option<BTreeMap<String, String>>,
    /// So many versions without a label are kept.
    pub keep: Option<u16>,
    /// Whether nothing of it may be destroyed.
    pub purge_lock: Option<bool>,
    /// For so many seconds at most a reader may keep it in a sealed cache; 0: not at all.
    pub cache_secs: Option<u64>,
}

impl Naming {
    pub(super) fn check(&self) -> Result<(), SecretError> {
        if self.description.as_ref().is_some_and(|text| text.len() > DESCRIPTION_BYTES_MAX || !is_line(text)) {
            let why =
                format!("one line of {DESCRIPTION_BYTES_MAX} bytes at most, read in the order in which it is written");
            return Err(SecretError::invalid("description", why));
        }
        if self.keep.is_some_and(|keep| keep > KEEP_MAX) {
            return Err(SecretError::invalid("keep", format!("at most {KEEP_MAX} versions without a label are kept")));
        }
        if self.cache_secs.is_some_and(|secs| secs > CACHE_SECS_MAX) {
            let why = format!("a cache keeps it for {CACHE_SECS_MAX} seconds at most");
            return Err(SecretError::invalid("cache_secs", why));
        }
        let Some(tags) = &self.tags else { return Ok(()) };
        let is_name = |name: &str| {
            let is_known = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_.-".contains(c);
            !name.is_empty() && name.len() <= TAG_NAME_BYTES_MAX && name.chars().all(is_known)
        };
        let is_value = |value: &str| value.len() <= TAG_BYTES_MAX && is_line(value);
        match tags.len() <= TAGS_MAX && tags.iter().all(|(name, value)| is_name(name) && is_value(value)) {
            true => Ok(()),
            false => Err(SecretError::invalid(
                "tags",
                format!(
                    "at most {TAGS_MAX}, each a name of small letters, digits and _ . - ({TAG_NAME_BYTES_MAX} at most) and one line of \
                     {TAG_BYTES_MAX} bytes at most, read in the order in which it is written"
                ),
            )),
        }
    }
}

/// What people say in a line: it is read as it is written, by whoever sees it beside others.
fn is_line(text: &str) -> bool {
    !text.contains(|c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')) && !policy::turns(text)
}

/// Which secrets are listed.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// Of this owner.
    pub owner: Option<Owner>,
    /// At this path or below it.
    pub within: Option<SecretPath>,
    /// With words in their path or description that begin as each word of this does, whatever the case.
    pub text: Option<String>,
    /// With this tag, and, where it says so, this value of it.
    pub tag: Option<(String, Option<String>)>,
    /// Those that are deleted too.
    pub deleted: bool,
    /// Of those whose end is asked for: which end at this or later.
    pub ends_from: Option<Timestamp>,
    /// Whose current version ends before this.
    pub ends_before: Option<Timestamp>,
    /// Which nobody read since.
    pub unread_since: Option<Timestamp>,
    /// Of which a version waits as `pending` since before this, and no rotation is at work.
    pub pending_before: Option<Timestamp>,
    /// Where the last page ended.
    pub after: Option<String>,
    /// How many, at most.
    pub limit: usize,
}

/// What a secret keeps where nobody says.
pub(super) const KEEP: u16 = 10;
const KEEP_MAX: u16 = 100;
/// For so long a reader may keep a secret in a sealed cache, whatever anybody says: 30 days.
pub const CACHE_SECS_MAX: u64 = 30 * 86_400;
const DESCRIPTION_BYTES_MAX: usize = 500;
const TAGS_MAX: usize = 32;
const TAG_NAME_BYTES_MAX: usize = 64;
const TAG_BYTES_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_a_secret_has_bounds() {
        let tags = |tags: &[(&str, &str)]| Naming {
            tags: Some(tags.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect()),
            ..Naming::default()
        };
        assert!(tags(&[("team", "Web & Mail"), ("cost.center", "")]).check().is_ok());
        for bad in [&[("", "x")][..], &[("Team", "x")], &[("team", "a\nb")], &[("team", &"x".repeat(257))]] {
            assert!(tags(bad).check().is_err(), "{bad:?}");
        }
        let described = |text: &str| Naming { description: Some(text.to_owned()), ..Naming::default() }.check();
        assert!(described("the web shop's database").is_ok() && described(&"d".repeat(501)).is_err());
        assert!(described("two\nlines").is_err() && described("two\u{2028}lines").is_err());
        assert!(described("safe \u{202e}3nimda").is_err() && described("می\u{200c}خواهم").is_ok());
        assert!(tags(&[("team", "\u{2066}web\u{2069}")]).check().is_err());
        assert!(Naming { keep: Some(101), ..Naming::default() }.check().is_err());
        assert!(Naming { keep: Some(0), ..Naming::default() }.check().is_ok());
        let cached = |secs| Naming { cache_secs: Some(secs), ..Naming::default() }.check();
        assert!(cached(0).is_ok() && cached(CACHE_SECS_MAX).is_ok() && cached(CACHE_SECS_MAX + 1).is_err());
    }
}
