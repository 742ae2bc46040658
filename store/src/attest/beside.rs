//! Sealed values: a record and the bytes beside it.

use super::attested::Attested;
use super::look::{Taken, altered, settled};
use super::records::record;
use crate::nouns::beside::{Digest, SealedValue};
use crate::nouns::error::StoreError;
use crate::nouns::sealed::SEALED;
use crate::queries;
use crate::sql::Sql;
use crate::truth::{Node, record_key};

/// The present version of a sealed record with the bytes beside it; none where there is no such record, or nothing lies beside it.
pub(crate) fn sealed_value(
    node: &Node,
    sql: &mut dyn Sql,
    id: &str,
) -> Result<Option<Attested<SealedValue>>, StoreError> {
    settled(node, sql, |node, sql| {
        let Some(Attested(record)) = record(node, sql, SEALED, id)? else { return Ok(Taken::So(None)) };
        let Some(digest) = Digest::of_body(&record.body)? else { return Ok(Taken::So(None)) };
        let Some(leaf) = record.version.checked_sub(1) else { return Ok(Taken::So(None)) };
        let there = queries::beside(sql, leaf)?;
        let Some(says) = digest.says(there.as_deref()) else {
            return Ok(Taken::So(Some(Attested(SealedValue::new(record, there.unwrap_or_default())))));
        };
        // Another version may have come between the two looks, and the bytes gone with it.
        let size = node.head().size;
        node.follow(sql, false)?;
        let (after, known) = node.record(&record_key(SEALED, id));
        match known.is_some_and(|known| known.leaf == leaf) {
            true => Ok(altered(format!("beside leaf={leaf}"), says)),
            false => Ok(Taken::Newer(size.min(after.saturating_sub(1)))),
        }
    })
}
