//! What each kind of credential knows how to do, as far as the page needs it.

use std::sync::Arc;

use policy::Grant;
use store::Entry;

use crate::issuers::Issuing;
use crate::lint::Findings;

/// One kind of credential: what the bytes of its drafts are held against. The names are not here: they are the grant's.
pub(crate) trait Craft {
    /// Reads the entry's message back, with parsers that did not make it, and adds what it finds wrong.
    fn lint(&self, grant: &Grant, entry: &Entry, f: &mut Findings);

    /// The CA under whose certificate it is signed; `None` for a root, and for keys that sign without one.
    fn issuer(&self) -> Option<&Arc<Issuing>>;

    /// How long the issuer's certificate must hold yet.
    fn needed_secs(&self) -> i64 {
        1
    }
}
