//! What others append, and the service's own audit.

use std::ops::Range;
use std::sync::Arc;

use super::base::Register;
use crate::nouns::error::StoreError;
use crate::reader::Lane;
use crate::verify::{self, AuditState, NEW_TILES};

impl Register {
    /// Follows what other nodes appended, and notices a log that was cut or exchanged although nobody writes. Done every second
    /// for the checkpoints: a node that writes nothing hears of an operator's word here.
    pub(crate) async fn follow(&self) -> Result<(), StoreError> {
        let node = Arc::clone(&self.node);
        self.ask(Lane::Request, move |sql| Ok(node.follow(sql, false)?)).await?;
        self.clock.learn(&self.node);
        Ok(())
    }

    /// Follows for a reader who asks for a log of so many leaves. Whether it is worth a second look.
    pub(crate) async fn follow_for(&self, leaves: u64) -> Result<bool, StoreError> {
        self.follower.look(leaves, self.node.head().size, self.follow()).await
    }

    /// One step of the service's own audit: what came since the last, up to a bound, and a tile of what is old.
    pub(crate) async fn audit_step(&self) -> Result<AuditState, StoreError> {
        self.follow().await?;
        for _ in 0..NEW_TILES {
            let Some(range) = self.patrol.next_new(self.node.head().size) else { break };
            let findings = self.look(range.clone()).await?;
            self.patrol.seen_new(range.end, findings);
        }
        if let Some(range) = self.patrol.next_old(self.node.head().size, self.now()) {
            let findings = self.look(range.clone()).await?;
            self.patrol.seen_old(range, findings);
        }
        Ok(self.patrol.state())
    }

    async fn look(&self, range: Range<u64>) -> Result<u64, StoreError> {
        let node = Arc::clone(&self.node);
        let findings = self.ask(Lane::Report, move |sql| verify::look(&node, sql, range.clone())).await?;
        Ok(findings.len() as u64)
    }

    /// How far the service's own audit is.
    pub(crate) fn audited(&self) -> AuditState {
        self.patrol.state()
    }
}
