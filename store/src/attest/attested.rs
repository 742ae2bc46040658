//! The word for it.

use std::ops::Deref;

use crate::forms::projection;
use crate::nouns::credential::Credential;
use crate::nouns::entry::Renews;

/// Something of the register that was held against the log: the present version, as a node of ours wrote it.
///
/// Nothing outside this room can make one:
///
/// ```compile_fail
/// fn forge(record: store::StoredRecord) -> store::Attested<store::StoredRecord> {
///     store::Attested(record)
/// }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Attested<T>(pub(super) T);

impl<T> Attested<T> {
    /// What was attested.
    pub fn into_inner(self) -> T {
        self.0
    }
    /// A part of it, which is attested as the whole is.
    pub fn map<U>(self, part: impl FnOnce(T) -> U) -> Attested<U> {
        Attested(part(self.0))
    }
}

/// Compared as what was attested.
impl<T: PartialEq> PartialEq<T> for Attested<T> {
    fn eq(&self, other: &T) -> bool {
        self.0 == *other
    }
}

impl<T> Deref for Attested<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

impl Attested<Credential> {
    /// What a successor of it says that it renews; none where it does not end.
    pub fn renewal(&self) -> Option<Renews> {
        let validity = self.0.validity?;
        Some(Renews::new(self.0.operation, validity.not_after()))
    }

    /// The family that it is of, for the details (`family`) of one that replaces it under other names.
    pub fn family(&self) -> Option<String> {
        projection::family(&self.0)
    }
}
