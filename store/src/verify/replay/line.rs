//! What is replayed, a leaf at a time.

use crate::forms::leaf::Leaf;
use crate::log::Hash;
use crate::sql::Cell;

/// A leaf with its row, where the row is the one that the leaf stands for.
pub(in crate::verify) struct Line<'a> {
    pub index: u64,
    pub hash: &'a Hash,
    pub leaf: &'a Leaf,
    /// None: missing, altered, or a refusal's. It was found already.
    pub row: Option<&'a [Cell]>,
    /// The bytes of its object, where they are there and fit.
    pub object: Option<&'a [u8]>,
}

impl Line<'_> {
    pub(super) fn place(&self) -> String {
        format!("leaf idx={} column bytes", self.index)
    }
}
