//! Which credentials are older than their rotations allow.

use policy::{Owner, Timestamp};
use store::{ListedRecord, RecordFilter};

use super::base::Rotations;
use super::record::{ROTATION, Turning};
use crate::due;
use crate::error::SecretError;
use crate::page::{Page, taken};

/// A rotation whose credential is older than its period, and by how many seconds.
pub type Overdue = (Turning, u64);

impl Rotations {
    /// A page of rotations whose current credential is older at `now` than their period and these seconds besides, in the order of what is
    /// due next; and where the next page begins. A page is short where few of those that were looked at are.
    ///
    /// # Errors
    /// [`SecretError::Store`].
    pub async fn overdue(
        &self,
        (owner, now, grace_secs): (Option<&Owner>, Timestamp, u64),
        mut after: Option<String>,
        limit: usize,
    ) -> Result<Page<Overdue>, SecretError> {
        let now = u64::try_from(now.unix()).unwrap_or_default();
        let (mut found, mut looked) = (Page::new(), 0);
        while looked < LOOKED_MAX {
            let owner = owner.map(ToString::to_string);
            let filter = RecordFilter { owner, ..due::all(after.clone(), PAGE_MAX) };
            let page = self.vault.ledger().record_page(ROTATION, filter).await?;
            let is_last = page.len() < PAGE_MAX;
            looked += page.len();
            for ListedRecord { lookup, record, .. } in page {
                if found.items.len() == limit {
                    return Ok(found.until(after));
                }
                after = lookup;
                let Some(turning) = found.believed(taken(record, Turning::of)) else { continue };
                let late = turning.rotation().overdue_secs(now).filter(|late| *late > grace_secs);
                found.items.extend(late.map(|late| (turning, late)));
            }
            if is_last {
                return Ok(found);
            }
        }
        Ok(found.until(after))
    }
}

const PAGE_MAX: usize = 1_000;
/// So many are looked at for one page: one that finds few of many says where it goes on.
const LOOKED_MAX: usize = 4_000;
