//! Secrets by when they end, were read and wait; and who reads them. For eyes, lists and counts: nothing is decided by it.

use std::collections::HashMap;

use policy::Timestamp;

use super::base::Ledger;
use crate::nouns::error::StoreError;
use crate::nouns::ward::{Reading, Ward, WardFilter};
use crate::queries;
use crate::reader::Lane;
use crate::sql::Sql;

impl Ledger {
    /// A page of secrets, by what the filter says.
    pub async fn wards(&self, filter: WardFilter) -> Result<Vec<Ward>, StoreError> {
        self.register().ask(Lane::Report, move |sql| queries::wards(sql, &filter)).await
    }

    /// How many a filter means, up to [`WARDS_COUNTED_MAX`](crate::WARDS_COUNTED_MAX); cursor and limit play no part.
    pub async fn count_wards(&self, filter: WardFilter) -> Result<u64, StoreError> {
        self.register().ask(Lane::Report, move |sql| queries::count_wards(sql, &filter)).await
    }

    /// Those whose ids, `path@life`, lie between two, by id: at most a thousand.
    pub async fn wards_between(&self, between: (String, String), limit: usize) -> Result<Vec<Ward>, StoreError> {
        let ask = move |sql: &mut dyn Sql| queries::wards_between(sql, (&between.0, &between.1), limit);
        self.register().ask(Lane::Report, ask).await
    }

    /// When current versions end, from one moment on and before another, the first first: so many at most, of an owner or of all.
    pub async fn ward_ends(
        &self,
        owner: Option<String>,
        between: (Timestamp, Timestamp),
        most: usize,
    ) -> Result<Vec<Timestamp>, StoreError> {
        let ask = move |sql: &mut dyn Sql| queries::ward_ends(sql, owner.as_deref(), between, most);
        self.register().ask(Lane::Report, ask).await
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
