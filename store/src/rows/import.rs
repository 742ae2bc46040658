//! What another program had signed.

use policy::Timestamp;

use super::intent::IntentRow;
use super::revocation::RevocationRow;
use crate::nouns::entry::Import;
use crate::nouns::error::StoreError;

/// A certificate that is taken in, and its end where it was revoked: two leaves of one transaction.
#[derive(Debug)]
pub(crate) struct ImportRow {
    pub intent: IntentRow,
    pub end: Option<RevocationRow>,
}

impl ImportRow {
    pub fn new(import: Import, at: Timestamp) -> Result<ImportRow, StoreError> {
        let end = import.end.map(|end| RevocationRow::imported(&import, end, at)).transpose()?;
        Ok(ImportRow { intent: IntentRow::imported(import.entry, import.source, at)?, end })
    }
}
