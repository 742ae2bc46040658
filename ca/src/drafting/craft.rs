//! What each kind of credential knows how to do, as far as the page needs it.

use std::sync::Arc;

use policy::Grant;
use store::Entry;

use crate::issuers::{Issuing, Standing};
use crate::lint::Findings;

/// One kind of credential: what the bytes of its drafts are held against. The names are not here: they are the grant's.
pub(crate) trait Craft {
    /// Reads the entry's message back, with parsers that did not make it, and adds what it finds wrong.
    fn lint(&self, grant: &Grant, entry: &Entry, f: &mut Findings);

    /// The CA under whose certificate it is signed; `None` for a root, and for keys that sign without one.
    fn issuer(&self) -> Option<&Arc<Issuing>>;

    /// Of the generation whose key signs; `None` where no issuer signs.
    fn standing(&self) -> Option<&Standing> {
        self.issuer().map(|issuer| &issuer.standing)
    }

    /// Whether it tells of revocations, or is made for what does: it goes on under a generation that an operator ended.
    fn tells(&self) -> bool {
        false
    }

    /// How long the issuer's certificate must hold yet.
    fn needed_secs(&self) -> i64 {
        1
    }
}
