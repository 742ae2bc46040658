//! Secrets by their words and tags. For eyes: a word proposes where to look, and what is read there is attested.

use std::sync::Arc;

use super::base::Ledger;
use crate::attest::{self, RecordsOf};
use crate::nouns::error::StoreError;
use crate::nouns::keyword::{KeywordFilter, KeywordPage, KeywordRange};
use crate::queries;
use crate::reader::Lane;
use crate::sql::Sql;

impl Ledger {
    /// A page of where words stand, by word, owner and path. One secret may have several of those that are sought.
    pub async fn keywords(&self, filter: KeywordFilter) -> Result<KeywordPage, StoreError> {
        self.register().ask(Lane::Report, move |sql| queries::keywords(sql, &filter)).await
    }

    /// How many there are of these words, up to `most`.
    pub async fn count_keywords(&self, range: KeywordRange, most: u64) -> Result<u64, StoreError> {
        self.register().ask(Lane::Report, move |sql| queries::count_keywords(sql, &range, most)).await
    }

    /// How many records of a kind have an id between two, up to `most`.
    pub async fn count_records(&self, kind: &str, between: (String, String), most: u64) -> Result<u64, StoreError> {
        let kind = kind.to_owned();
        let ask = move |sql: &mut dyn Sql| queries::count_records(sql, &kind, (&between.0, &between.1), most);
        self.register().ask(Lane::Report, ask).await
    }

    /// The present versions of these records, by id, each attested or refused for itself; those that there are not are not in it.
    pub async fn records_of(&self, kind: &str, ids: Vec<String>) -> Result<RecordsOf, StoreError> {
        let (kind, node) = (kind.to_owned(), Arc::clone(&self.register().node));
        self.register().ask(Lane::Request, move |sql| attest::records_of(&node, sql, &kind, &ids)).await
    }
}
