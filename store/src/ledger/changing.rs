//! What changes, for whoever waits for it: in the order of the log, and without a question to the database while nothing does.

use std::sync::Arc;

use super::base::Ledger;
use crate::attest;
use crate::nouns::error::StoreError;
use crate::nouns::record::RecordChanges;
use crate::reader::Lane;

impl Ledger {
    /// A page of the versions of records of one kind whose leaves came from `from` on, each proved by the tree in memory, with the one that
    /// it replaced; at most 1000. A page may be empty and say where the next begins: so many leaves are looked at, and no more.
    ///
    /// The log's order is that of the commits, on whichever node: what is not here yet comes later, and never before.
    pub async fn record_changes(
        &self,
        kind: &'static str,
        from: u64,
        limit: usize,
    ) -> Result<RecordChanges, StoreError> {
        let node = Arc::clone(&self.register().node);
        let limit = limit.clamp(1, CHANGES_MAX);
        self.register().ask(Lane::Request, move |sql| attest::changes(&node, sql, kind, from, limit)).await
    }

    /// The hash of the last of the log's first so many leaves, by which a place in this log is told from one in another; none where the
    /// log is shorter, after a look at what other nodes appended.
    pub async fn mark(&self, leaves: u64) -> Result<Option<[u8; 32]>, StoreError> {
        if leaves > self.head().size && !self.register().follow_for(leaves).await? {
            return Ok(None);
        }
        let node = Arc::clone(&self.register().node);
        self.register().ask(Lane::Request, move |sql| attest::mark(&node, sql, leaves)).await
    }

    /// Waits until this node knows of a secret's record beyond the log's first so many leaves, which came since the node began. From
    /// memory: whoever waits asks the database nothing. Without an end of its own; may be dropped at any moment.
    pub async fn secret_beyond(&self, leaves: u64) {
        let mut newest = self.register().node.secrets();
        if newest.wait_for(|newest| *newest > leaves).await.is_err() {
            // The node is gone, and so is whoever asks.
            std::future::pending::<()>().await;
        }
    }
}

/// Versions of one page.
const CHANGES_MAX: usize = 1_000;
