//! Secrets by when they end, were read and wait; and who reads them. For eyes, lists and counts: nothing is decided by it.

use std::collections::HashMap;

use super::base::Ledger;
use crate::nouns::error::StoreError;
use crate::nouns::ward::{Reading, Ward, WardFilter};
use crate::queries;
use crate::reader::Lane;

impl Ledger {
    /// A page of secrets, by what the filter says.
    pub async fn wards(&self, filter: WardFilter) -> Result<Vec<Ward>, StoreError> {
        self.register().ask(Lane::Report, move |sql| queries::wards(sql, &filter)).await
    }

    /// How many a filter means, up to [`WARDS_COUNTED_MAX`](crate::WARDS_COUNTED_MAX); cursor and limit play no part.
    pub async fn count_wards(&self, filter: WardFilter) -> Result<u64, StoreError> {
        self.register().ask(Lane::Report, move |sql| queries::count_wards(sql, &filter)).await
    }

    /// Those of these ids, `path@life`, that are there.
    pub async fn wards_of(&self, ids: Vec<String>) -> Result<HashMap<String, Ward>, StoreError> {
        self.register().ask(Lane::Report, move |sql| queries::wards_of(sql, &ids)).await
    }

    /// Who read a secret, whoever did last first: at most a thousand of them.
    pub async fn readers(&self, id: &str, limit: usize) -> Result<Vec<Reading>, StoreError> {
        let id = id.to_owned();
        self.register().ask(Lane::Report, move |sql| queries::readers(sql, &id, limit)).await
    }

    /// A page of who read what, by secret and reader, after a pair of them.
    pub async fn readings(&self, after: (String, String), limit: usize) -> Result<Vec<Reading>, StoreError> {
        self.register().ask(Lane::Report, move |sql| queries::readings(sql, (&after.0, &after.1), limit)).await
    }
}
