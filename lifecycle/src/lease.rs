//! Which node renews: of several on one register the one that holds the lease, so that none renews what another is renewing.
//!
//! The lease is one record, written with the version it replaces, so that of two nodes that take it at once one is told no. It
//! ends by itself; a node that was stopped gives it back. Written only while something is due, and at most twice in its length:
//! the log does not grow for nothing. A node that starts again takes up its own. One that was taken by a clock which was ahead is over
//! once an operator's word put the time right: nobody waits until then.

use policy::Timestamp;
use store::StoreError;

use crate::desk::{Desk, Held};

/// This node's view of it.
#[derive(Debug, Default)]
pub(crate) struct Lease {
    until: Option<Timestamp>,
}

impl Lease {
    /// Takes or lengthens the lease, where this node may. What it answers holds for half a lease at least.
    pub(crate) async fn hold<D: Desk>(&mut self, desk: &D) -> Result<Option<Timestamp>, StoreError> {
        let now = desk.now();
        let is_ours = |until: &Timestamp| until.since(now) > LEASE_SECS / 2 && now.is_held(*until, LEASE_SECS);
        if let Some(until) = self.until.filter(is_ours) {
            return Ok(Some(until));
        }
        self.until = None;
        let there = desk.lease().await?;
        let is_held = |until: Timestamp| now.is_held(until.plus_secs(SKEW_SECS), LEASE_SECS + SKEW_SECS);
        let is_taken = |held: &Held| held.node != desk.node() && is_held(held.until);
        if there.as_ref().is_some_and(is_taken) {
            return Ok(None);
        }
        let until = now.plus_secs(LEASE_SECS);
        let taken = desk.take_lease(there.map_or(0, |held| held.version), until).await?;
        self.until = taken.then_some(until);
        Ok(self.until)
    }

    /// Gives it back, so that another node need not wait for its end.
    pub(crate) async fn give_back<D: Desk>(&mut self, desk: &D) -> Result<(), StoreError> {
        if self.until.take().is_none() {
            return Ok(());
        }
        match desk.lease().await? {
            Some(held) if held.node == desk.node() => {
                // Whoever was faster has it, and that is as well.
                desk.take_lease(held.version, desk.now().plus_secs(-SKEW_SECS)).await.map(drop)
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// Half of it is longer than any renewal takes: the longest deadline of the token, and the register's.
pub(crate) const LEASE_SECS: i64 = 300;
/// Two nodes' clocks agree within this.
pub(crate) const SKEW_SECS: i64 = 30;
