//! Going on from a head that this node did not know, and writing its revocations again.

use hsm::{Mint, Pool};
use policy::World;
use tokio::task::JoinSet;

use super::base::{Ledger, joined};
use crate::clock::word::RESUMPTION;
use crate::forms::texts::NO_POLICY;
use crate::log::Head;
use crate::nouns::database::Database;
use crate::nouns::entry::{self, ActorStamp, GrantStamp, LostRevocation, Revocation};
use crate::nouns::error::StoreError;
use crate::nouns::record::Record;
use crate::register::{LogConfig, Opening, RESUMED_RECORDS_MAX, Register, Resumed};
use crate::truth::{Anchor, Before, Revoked, Word};

/// What an operator at the machine does when a node goes on: no policy is asked.
const AGAIN: &str = "revoke-certificate";

const OPERATOR: &str = "operator";

/// Revocations that are written side by side.
const REVOKED_AT_ONCE: usize = 256;

impl Ledger {
    /// Opens a register that this node had stopped at, and goes on from what it holds: an operator's decision, whose reason
    /// becomes a leaf. The register's head must be one that a node with this token sealed; sizes that the history before may
    /// have signed are never signed again. Every node that stopped is told by itself.
    pub async fn resume(
        database: Database,
        (pool, mint): (&Pool, Mint),
        log: LogConfig,
        world: World,
        (actor, reason): (ActorStamp, &str),
    ) -> Result<(Ledger, Resumed), StoreError> {
        if reason.trim().is_empty() || log.state.is_none() {
            return Err(StoreError::Invalid(
                "going on takes a reason, and the folder that says where this node was".into(),
            ));
        }
        if let Some(c) = policy::hidden(reason) {
            let code = c.escape_unicode();
            return Err(StoreError::Invalid(format!("the reason: printable characters alone, and there is a {code}")));
        }
        let (register, resumed) = Register::open(database, pool, log, world, Opening::Resume).await?;
        let ledger = Ledger::of((pool, mint), register);
        match ledger.go_on(resumed, actor, reason).await {
            Ok(resumed) => Ok((ledger, resumed)),
            Err(error) => {
                ledger.close().await;
                Err(error)
            }
        }
    }

    /// Writes why, then again what the register lost of the revoked, and then lets the folder and the token go on: whatever breaks off
    /// before, the same command goes on with it.
    async fn go_on(
        &self,
        resumed: Option<(Before, Anchor)>,
        actor: ActorStamp,
        reason: &str,
    ) -> Result<Resumed, StoreError> {
        let (before, anchor) = resumed.ok_or_else(|| StoreError::Invalid("this node keeps no folder".into()))?;
        if before.head.size == 0 {
            let says =
                "the register is empty: put back one that a node of ours left, or begin anew with `chancery init`";
            return Err(StoreError::Invalid(says.into()));
        }
        let head = |head: Head| serde_json::json!({ "size": head.size, "root": hex::encode(head.root) });
        let record = Record {
            kind: RESUMPTION,
            id: format!("{}-{}", before.head.size, hex::encode(&before.head.root[..8])),
            owner: None,
            lookup: None,
            expires: None,
            body: serde_json::json!({ "reason": reason, "at": head(before.head), "known": before.known.map(head) }),
            actor: actor.clone(),
            expect: None,
        };
        // It takes nothing from anybody, and an operator is there: no clock holds it back.
        self.withdraw(vec![record]).await?;
        let Before { head, known, lost } = before;
        let revoked_again = lost.revoked.len() as u64;
        self.revoke_again(lost.revoked, head.size, &actor).await?;
        let older = self.register().named(lost.records, RESUMED_RECORDS_MAX).await?;
        self.register().go_on(anchor).await?;
        Ok(Resumed { head, known, revoked_again, older })
    }

    /// Writes revocations of another history again, as they were: what was told of the revoked is never taken back. A credential that
    /// the register holds is revoked, one that it lost is by its serial.
    async fn revoke_again(
        &self,
        lost: Vec<(String, Revoked)>,
        size: u64,
        actor: &ActorStamp,
    ) -> Result<(), StoreError> {
        let mut under_way = JoinSet::new();
        for (issuer, revoked) in lost {
            if under_way.len() >= REVOKED_AT_ONCE {
                joined(under_way.join_next().await)?;
            }
            let (ledger, actor) = (self.clone(), actor.clone());
            under_way.spawn(async move { ledger.revoke_one_again(issuer, revoked, size, actor).await });
        }
        while let Some(done) = under_way.join_next().await {
            joined(Some(done))?;
        }
        Ok(())
    }

    async fn revoke_one_again(
        &self,
        issuer: String,
        revoked: Revoked,
        size: u64,
        actor: ActorStamp,
    ) -> Result<(), StoreError> {
        let grant = GrantStamp { action: AGAIN.into(), rule: OPERATOR.into(), policy_hash: NO_POLICY };
        let (operation, shard, Word { reason, since: at, invalid, .. }) =
            (revoked.operation, revoked.shard, revoked.first);
        if operation < size
            && let Some(there) = self.credential_by_operation(operation).await?
            && (there.serial.as_slice(), there.issuer.as_str()) == (revoked.serial.as_slice(), issuer.as_str())
        {
            return self.revoke(Revocation { operation, reason, at, invalid, shard, actor, grant }).await.map(drop);
        }
        let Revoked { kind, serial, key_hash, not_after, .. } = revoked;
        let of = entry::Lost { kind, serial, issuer, key_hash, not_after };
        self.revoke_lost(LostRevocation { of, reason, at, invalid, shard, actor, grant }).await.map(drop)
    }
}
