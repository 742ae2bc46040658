//! Fields that are references to fields of other secrets: what a version has of them, and what they stand in for.
//!
//! A reference is none of a value: it stands in the record, and not in what is sealed. So who reads knows before he opens anything which
//! other secrets he needs, and one entry of the log names all of them.

use std::collections::BTreeMap;

use super::secret::Secret;
use super::wishes::Change;
use crate::error::SecretError;
use crate::kinds::{Fields, Patch};
use crate::nouns::{FieldName, Reference, Which};

/// References of one version: the field, and what it is a reference to.
pub(super) type Links = BTreeMap<String, String>;

/// More are a program.
const LINKS_MAX: usize = 16;
/// What stands for a reference where fields are looked at together; no value is ever read for that.
const STAND_IN: &[u8] = b"reference";

/// Takes fields away that become references. What is given a value at the same time is refused.
pub(super) fn clear(
    fields: &mut Fields,
    change: &Change,
    given: &BTreeMap<FieldName, Reference>,
) -> Result<(), SecretError> {
    let has_value = |name: &FieldName| match change {
        Change::Whole(all) => all.get(name.as_str()).is_some(),
        Change::Patch(patch) => patch.iter().any(|(set, value)| set == name && value.is_some()),
    };
    if let Some(name) = given.keys().find(|name| has_value(name)) {
        return Err(both(name));
    }
    let patch = given.keys().fold(Patch::new(), |patch, name| patch.remove(name.clone()));
    fields.merge(patch).map_err(|error| SecretError::invalid("references", error.to_string()))
}

fn both(name: &FieldName) -> SecretError {
    SecretError::invalid("references", format!("the field {name} has a value and a reference: give one of them"))
}

/// The references of a new version: those of the one before whose fields are neither written nor taken away, and those that are given.
pub(super) fn links(
    before: Links,
    change: &Change,
    given: &BTreeMap<FieldName, Reference>,
    fields: &Fields,
) -> Result<Links, SecretError> {
    let mut links = match change {
        Change::Whole(_) => Links::new(),
        Change::Patch(patch) => {
            let is_changed = |name: &str| patch.names().any(|changed| changed.as_str() == name);
            before.into_iter().filter(|(name, _)| !is_changed(name)).collect()
        }
    };
    links.retain(|name, _| fields.get(name).is_none());
    for (name, reference) in given {
        if fields.get(name.as_str()).is_some() {
            return Err(both(name));
        }
        links.insert(name.as_str().to_owned(), reference.to_string());
    }
    if links.len() > LINKS_MAX {
        return Err(SecretError::invalid("references", format!("at most {LINKS_MAX} of one version")));
    }
    Ok(links)
}

/// The fields as they are to each other, with something in the place of each reference.
pub(super) fn with_stand_ins(fields: &Fields, links: &Links) -> Result<Fields, SecretError> {
    let wrong = |error: String| SecretError::invalid("references", error);
    let mut all = Fields::new();
    for (name, value) in fields.iter() {
        all.set(name.clone(), value.to_vec()).map_err(|error| wrong(error.to_string()))?;
    }
    for name in links.keys() {
        let name: FieldName = name.parse().map_err(|error: crate::nouns::NameError| wrong(error.to_string()))?;
        all.set(name, STAND_IN.to_vec()).map_err(|error| wrong(error.to_string()))?;
    }
    Ok(all)
}

impl Secret {
    /// Whether a version has no field that is a reference.
    ///
    /// # Errors
    /// [`SecretError::NotFound`]: there is no such version.
    pub fn is_alone(&self, which: &Which) -> Result<bool, SecretError> {
        Ok(self.find(which)?.references.is_empty())
    }

    /// Which fields of a version are references, and to what.
    ///
    /// # Errors
    /// [`SecretError::NotFound`]: there is no such version.
    pub fn references(&self, which: &Which) -> Result<BTreeMap<String, Reference>, SecretError> {
        let links = &self.find(which)?.references;
        let corrupt = |name: &str| {
            let why = format!("secret {}: the reference of its field {name} is none", self.path);
            SecretError::Store(store::StoreError::Corrupt(why))
        };
        let parsed = links.iter().map(|(name, text)| Ok((name.clone(), text.parse().map_err(|_| corrupt(name))?)));
        parsed.collect()
    }
}
