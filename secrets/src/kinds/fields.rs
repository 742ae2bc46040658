//! What a version holds: named fields, in one form of bytes.

use std::collections::BTreeMap;
use std::fmt;

use zeroize::Zeroizing;

use crate::envelope::VALUE_BYTES_MAX;
use crate::nouns::FieldName;

/// The fields of a version. The values are wiped, and no way of printing shows them.
///
/// At most [`Fields::COUNT_MAX`], and no longer in their form of bytes than an envelope takes ([`VALUE_BYTES_MAX`]): what was taken in can
/// be sealed.
#[derive(Default)]
pub struct Fields(BTreeMap<FieldName, Zeroizing<Vec<u8>>>);

/// A change of some fields, which leaves the others alone: a value that it sets, or none for one that it removes.
#[derive(Default)]
pub struct Patch(BTreeMap<FieldName, Option<Zeroizing<Vec<u8>>>>);

/// What does not become the fields of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FieldsError {
    /// More fields than a version has.
    #[error("a secret has at most {} fields: put the others into a secret of their own", Fields::COUNT_MAX)]
    TooMany,
    /// More bytes than a version has.
    #[error(
        "the fields of a secret have at most {VALUE_BYTES_MAX} bytes together, their names included: divide it, or keep the bulk elsewhere and its key here"
    )]
    TooLong,
    /// Bytes that [`Fields::encode`] did not write.
    #[error(
        "these bytes are no fields of a secret: they were written by another version of this program, or by nobody"
    )]
    Unreadable,
}

impl Fields {
    /// More are no secret but a table of them.
    pub const COUNT_MAX: usize = 64;

    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets one field.
    ///
    /// # Errors
    /// [`FieldsError`]: the fields are what they were.
    pub fn set(&mut self, name: FieldName, value: impl Into<Zeroizing<Vec<u8>>>) -> Result<(), FieldsError> {
        self.merge(Patch::new().set(name, value))
    }

    /// The bytes of one field.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        // A name that is none has no field.
        self.0.get(&name.parse::<FieldName>().ok()?).map(|value| value.as_slice())
    }

    /// One field as text; none where it is not UTF-8.
    pub fn text(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.get(name)?).ok()
    }

    /// The names, in the order of their bytes.
    pub fn names(&self) -> impl Iterator<Item = &FieldName> {
        self.0.keys()
    }

    /// Names and values, in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&FieldName, &[u8])> {
        self.0.iter().map(|(name, value)| (name, value.as_slice()))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Does what a change asks: sets what it sets, removes what it removes, and touches no sibling of them.
    ///
    /// # Errors
    /// [`FieldsError`] where there would be too much: then nothing of the change was done.
    pub fn merge(&mut self, patch: Patch) -> Result<(), FieldsError> {
        let Measure { count, bytes } = self.measured_with(&patch);
        if count > Self::COUNT_MAX {
            return Err(FieldsError::TooMany);
        }
        if bytes > VALUE_BYTES_MAX {
            return Err(FieldsError::TooLong);
        }
        for (name, value) in patch.0 {
            match value {
                Some(value) => self.0.insert(name, value),
                None => self.0.remove(&name),
            };
        }
        Ok(())
    }

    /// What the fields would be with a change.
    fn measured_with(&self, patch: &Patch) -> Measure {
        let kept = self.0.iter().filter(|(name, _)| !patch.0.contains_key(*name));
        let set = patch.0.iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
        kept.chain(set).fold(Measure { count: 0, bytes: HEAD_BYTES }, |sum, (name, value)| Measure {
            count: sum.count + 1,
            bytes: sum.bytes.saturating_add(ENTRY_BYTES + name.as_str().len()).saturating_add(value.len()),
        })
    }

    /// Their one form: what is sealed, and what a digest is of.
    ///
    /// The byte 1, how many there are (one byte), and for each in the order of the names' bytes: how long the name is (one byte), the
    /// name, how long the value is (four bytes, the greatest first), the value.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        // Room for all from the start: a buffer that grows leaves what was in it behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(self.measured_with(&Patch::new()).bytes));
        let short = |length: usize| u8::try_from(length).unwrap_or(u8::MAX);
        bytes.extend_from_slice(&[FORM, short(self.0.len())]);
        for (name, value) in &self.0 {
            bytes.push(short(name.as_str().len()));
            bytes.extend_from_slice(name.as_str().as_bytes());
            bytes.extend_from_slice(&u32::try_from(value.len()).unwrap_or(u32::MAX).to_be_bytes());
            bytes.extend_from_slice(value);
        }
        bytes
    }

    /// Reads what [`Fields::encode`] wrote, and nothing else: names that are none, that come twice or out of order, and bytes too few or
    /// too many are refused, so that no two forms are one set of fields.
    ///
    /// # Errors
    /// [`FieldsError::Unreadable`].
    pub fn decode(bytes: &[u8]) -> Result<Fields, FieldsError> {
        read(bytes).ok_or(FieldsError::Unreadable)
    }
}

fn read(bytes: &[u8]) -> Option<Fields> {
    let ([FORM, count], mut rest) = bytes.split_first_chunk::<HEAD_BYTES>()? else { return None };
    if bytes.len() > VALUE_BYTES_MAX || usize::from(*count) > Fields::COUNT_MAX {
        return None;
    }
    let mut fields = BTreeMap::new();
    for _ in 0..*count {
        let (&length, after) = rest.split_first()?;
        let (name, after) = after.split_at_checked(usize::from(length))?;
        let (length, after) = after.split_first_chunk::<4>()?;
        let (value, after) = after.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
        let name: FieldName = std::str::from_utf8(name).ok()?.parse().ok()?;
        if fields.last_key_value().is_some_and(|(last, _)| *last >= name) {
            return None;
        }
        fields.insert(name, Zeroizing::new(value.to_vec()));
        rest = after;
    }
    rest.is_empty().then_some(Fields(fields))
}

impl Patch {
    /// One that changes nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// That sets a field too.
    #[must_use]
    pub fn set(mut self, name: FieldName, value: impl Into<Zeroizing<Vec<u8>>>) -> Self {
        self.0.insert(name, Some(value.into()));
        self
    }

    /// That removes a field too. One that is not there is removed already.
    #[must_use]
    pub fn remove(mut self, name: FieldName) -> Self {
        self.0.insert(name, None);
        self
    }

    /// What it does with each: the value that it sets, or none where it removes.
    pub fn iter(&self) -> impl Iterator<Item = (&FieldName, Option<&[u8]>)> {
        self.0.iter().map(|(name, value)| (name, value.as_ref().map(|value| value.as_slice())))
    }

    /// Which fields it sets or removes.
    pub fn names(&self) -> impl Iterator<Item = &FieldName> {
        self.0.keys()
    }
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Fields").field(&self.names().collect::<Vec<_>>()).finish()
    }
}

impl fmt::Debug for Patch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Patch").field(&self.names().collect::<Vec<_>>()).finish()
    }
}

struct Measure {
    count: usize,
    bytes: usize,
}

/// The first byte of the form.
const FORM: u8 = 1;
const HEAD_BYTES: usize = 2;
/// What a field is longer than its name and value by.
const ENTRY_BYTES: usize = 5;

#[cfg(test)]
#[path = "fields_tests.rs"]
mod tests;
