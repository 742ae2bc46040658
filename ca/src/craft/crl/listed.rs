//! Entries of a CRL as bytes.

/// Entries, encoded end to end.
#[derive(Clone, Default)]
pub(super) struct Listed {
    pub(super) entries: Vec<u8>,
    pub(super) count: usize,
}
