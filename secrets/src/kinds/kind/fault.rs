//! What is wrong with a field.

use std::fmt;

use crate::nouns::FieldName;

/// A field that cannot be as it is. It has none of the field's value in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldFault {
    /// Which.
    pub field: FieldName,
    /// What is wrong with it.
    pub wrong: &'static str,
    /// What to do.
    pub to_do: String,
}

impl fmt::Display for FieldFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.field, self.wrong, self.to_do)
    }
}

impl std::error::Error for FieldFault {}

impl FieldFault {
    /// Of a field that a kind has, whose name is one.
    pub(super) fn of(field: &'static str, wrong: &'static str, to_do: impl Into<String>) -> Self {
        Self { field: field.parse().unwrap_or_default(), wrong, to_do: to_do.into() }
    }
}
