//! What the renewal needs of the rooms below, in five calls; the authority answers them, and in tests a register made of rows.

use std::future::Future;

use ca::{Authority, CaError};
use policy::{Actor, Timestamp};
use store::{Filter, Kind, Order, StoreError};

use crate::Summary;

/// A page of the register, and where the next begins.
pub(crate) struct Page {
    pub(crate) items: Vec<Summary>,
    pub(crate) next: Option<String>,
}

/// The desk at which renewals are asked for.
pub(crate) trait Desk: Clone + Send + Sync + 'static {
    /// The time.
    fn now(&self) -> Timestamp;

    /// How many leaves the log has: while it stands still, nothing was issued.
    fn log_size(&self) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Certificates that expire after `expiry`, the newest first.
    fn newest(
        &self,
        expiry: Timestamp,
        cursor: Option<String>,
    ) -> impl Future<Output = Result<Page, StoreError>> + Send;

    /// One certificate as it stands now.
    fn find(&self, serial_hex: &str) -> impl Future<Output = Result<Option<Summary>, StoreError>> + Send;

    /// Certificates that might have taken its place.
    fn candidates(&self, of: &Summary) -> impl Future<Output = Result<Vec<Summary>, StoreError>> + Send;

    /// Renews it, for the same key.
    fn renew(&self, serial_hex: &str) -> impl Future<Output = Result<Summary, CaError>> + Send;
}

impl Desk for Authority {
    fn now(&self) -> Timestamp {
        self.world().now()
    }

    async fn log_size(&self) -> Result<u64, StoreError> {
        Ok(self.ledger().head().size)
    }

    async fn newest(&self, expiry: Timestamp, cursor: Option<String>) -> Result<Page, StoreError> {
        // Mostly the news are few; where they are many, they are read in long pages.
        let limit = if cursor.is_none() { FIRST_PAGE_ROWS } else { PAGE_ROWS };
        let filter = Filter { not_after_after: Some(expiry), after_cursor: cursor, limit, ..certificates() };
        let page = self.ledger().list(filter).await?;
        Ok(Page { items: page.items.iter().filter_map(Summary::of).collect(), next: page.next })
    }

    async fn find(&self, serial_hex: &str) -> Result<Option<Summary>, StoreError> {
        Ok(self.ledger().credential(serial_hex).await?.and_then(|found| Summary::of(&found)))
    }

    async fn candidates(&self, of: &Summary) -> Result<Vec<Summary>, StoreError> {
        let same_key = Filter { key_hash: Some(of.key_hash), limit: PAGE_ROWS, ..certificates() };
        let mut rows = self.ledger().list(same_key).await?.items;
        if let Some(name) = of.names.first() {
            let same_name = Filter {
                name: Some(name.clone()),
                owner: of.owner.as_ref().map(ToString::to_string),
                limit: PAGE_ROWS,
                ..certificates()
            };
            rows.extend(self.ledger().list(same_name).await?.items);
        }
        Ok(rows.iter().filter_map(Summary::of).collect())
    }

    async fn renew(&self, serial_hex: &str) -> Result<Summary, CaError> {
        let issued = Authority::renew(self, &Actor::system("renewal"), serial_hex, None).await?;
        Summary::of(&issued).ok_or_else(|| CaError::Internal(format!("the successor of {serial_hex} has no validity")))
    }
}

fn certificates() -> Filter {
    Filter { kind: Some(Kind::Certificate), order: Order::Newest, ..Filter::default() }
}

/// Rows a page: few enough to be read in some milliseconds. A successor is among the newest of its name, so one page has it.
const PAGE_ROWS: usize = 500;
const FIRST_PAGE_ROWS: usize = 32;
