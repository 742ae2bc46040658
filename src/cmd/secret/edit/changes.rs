//! What was changed, and by whom: a field that nobody touched is never written.

use std::collections::{BTreeMap, BTreeSet};

use secrets::FieldName;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::base::{Base, Shown};
use crate::failure::{Exit, Failure};

/// What is written.
pub(super) struct Changes {
    set: BTreeMap<String, Zeroizing<String>>,
    /// Fields that go.
    pub removed: Vec<String>,
}

impl Changes {
    /// Of what was shown, what is another now. `only`: the one field that was shown.
    pub(super) fn between(base: &Base, only: Option<&FieldName>, fields: &Shown) -> Result<Changes, Failure> {
        if let Some((name, why)) = fields.keys().find_map(|name| base.hidden.get_key_value(name)) {
            let says = format!("the field {name} is {why}, and stays as it is");
            return Err(
                Failure::new(Exit::Failed, says).help("take it out of the text; `chancery secret put` replaces it")
            );
        }
        let set = fields.iter().filter(|(name, value)| base.shown.get(*name) != Some(value));
        let set = set.map(|(name, value)| (name.clone(), value.clone())).collect();
        let removed = match only {
            Some(_) => Vec::new(),
            None => base.shown.keys().filter(|name| !fields.contains_key(*name)).cloned().collect(),
        };
        Ok(Changes { set, removed })
    }

    /// Whether there are none.
    pub(super) fn is_none(&self) -> bool {
        self.set.is_empty() && self.removed.is_empty()
    }

    /// The fields that are written.
    pub(super) fn fields(&self) -> Map<String, Value> {
        self.set.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect()
    }
}

/// Somebody wrote meanwhile: his fields where mine were left alone, mine where I changed them; and the names of those that we both did.
/// `only`: the one field that was shown.
pub(super) fn merged(opened: &Base, now: &Base, only: Option<&FieldName>, mine: &Shown) -> (Shown, Vec<String>) {
    let is_shown = |name: &&String| only.is_none_or(|only| only.as_str() == name.as_str());
    let names: BTreeSet<&String> =
        opened.shown.keys().chain(now.shown.keys()).chain(mine.keys()).filter(is_shown).collect();
    let (mut fields, mut both) = (Shown::new(), Vec::new());
    for name in names {
        let (before, his, own) = (opened.shown.get(name), now.shown.get(name), mine.get(name));
        if own != before && his != before && own != his {
            both.push(name.clone());
        }
        if let Some(value) = if own == before { his } else { own } {
            fields.insert(name.clone(), value.clone());
        }
    }
    (fields, both)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(fields: &[(&str, &str)]) -> Shown {
        fields.iter().map(|(name, value)| ((*name).to_owned(), Zeroizing::new((*value).to_owned()))).collect()
    }

    fn base(fields: &[(&str, &str)]) -> Base {
        let hidden = BTreeMap::from([("key".to_owned(), "no text")]);
        Base { newest: 1, version: 1, by: String::new(), shown: shown(fields), hidden }
    }

    #[test]
    fn a_field_that_nobody_touched_is_never_written() {
        let opened = base(&[("a", "1"), ("b", "2")]);
        let changes = |fields: &[(&str, &str)]| {
            let changes = Changes::between(&opened, None, &shown(fields)).unwrap();
            (changes.set.keys().cloned().collect::<Vec<_>>().join(","), changes.removed.join(","))
        };
        assert_eq!(changes(&[("a", "1"), ("b", "2")]), (String::new(), String::new()));
        assert_eq!(changes(&[("a", "1"), ("c", "3")]), ("c".to_owned(), "b".to_owned()));
        assert!(
            Changes::between(&opened, None, &shown(&[("key", "x")])).is_err(),
            "what is not shown is not written over"
        );
        let field: FieldName = "a".parse().unwrap();
        let one = Changes::between(&opened, Some(&field), &shown(&[("a", "9")])).unwrap();
        assert!(one.removed.is_empty() && one.set.len() == 1, "the siblings of one field stay");
    }

    #[test]
    fn of_two_who_write_neither_loses_what_the_other_left_alone() {
        let (opened, now) =
            (base(&[("a", "1"), ("b", "2"), ("c", "3")]), base(&[("a", "his"), ("b", "his"), ("d", "new")]));
        let mine = shown(&[("a", "1"), ("b", "mine"), ("c", "3"), ("e", "mine")]);
        let (fields, both) = merged(&opened, &now, None, &mine);
        assert_eq!(fields, shown(&[("a", "his"), ("b", "mine"), ("d", "new"), ("e", "mine")]));
        assert_eq!(both, ["b"]);
        let field: FieldName = "b".parse().unwrap();
        let (fields, both) = merged(&opened, &now, Some(&field), &shown(&[("b", "2")]));
        assert_eq!((fields, both.len()), (shown(&[("b", "his")]), 0));
    }
}
