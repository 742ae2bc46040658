//! The register without its ledger.

use std::sync::Arc;

use hsm::testing::TestToken;
use hsm::{Key, KeyKind, Message};
use policy::{Timestamp, World};

use super::*;
use crate::nouns::database::Database;
use crate::nouns::entry::{ActorStamp, Entry, GrantStamp, Kind};
use crate::nouns::error::StoreError;
use crate::rows::{ConclusionRow, IntentRow, Op, Outcome};

fn entry(key: &Key) -> Entry {
    let actor = ActorStamp { id: "a".into(), proof: "system".into(), proof_id: String::new() };
    Entry {
        kind: Kind::Certificate,
        actor,
        grant: GrantStamp { action: "x".into(), rule: "y".into(), policy_hash: [0; 32] },
        profile: "p".into(),
        profile_hash: [0; 32],
        key: key.clone(),
        message: Message::from(b"message".to_vec()),
        serial: vec![1],
        issuer: "tls".into(),
        owner: None,
        subject: String::new(),
        names: Vec::new(),
        key_hash: [0; 32],
        validity: None,
        covers: None,
        renews: None,
        details: serde_json::Value::Null,
    }
}

#[test]
fn an_operation_is_concluded_once_and_by_its_own_key() {
    let (dir, token) = (tempfile::tempdir().unwrap(), TestToken::new("ledger"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (pool, _mint) = hsm::open(token.config()).unwrap();
        let key = pool.generate("k", KeyKind::P256).await.unwrap();
        let database = Database::Sqlite(dir.path().join("r.db"));
        let world = World::fixed(Timestamp::from_unix(1), 1);
        let log = LogConfig { origin: "o".into(), state: None, instance: None };
        let (register, _) = Register::open(database, &pool, log, world, Opening::Found).await.unwrap();
        let row = Arc::new(IntentRow::new(entry(&key), register.now()).unwrap());
        let op = register.intend(row).await.unwrap();
        let signed = |byte| Outcome::Issued(vec![byte]);
        let foreign = register.conclude(op, Some(([9; 32], None)), signed(1)).await;
        assert!(matches!(foreign, Err(StoreError::Invalid(_))), "{foreign:?}");
        // In memory the intent was taken; the register still has it.
        register.conclude(op, Some((key.fingerprint(), None)), signed(1)).await.unwrap();
        let again = register.conclude(op, Some((key.fingerprint(), None)), signed(2)).await;
        assert!(matches!(again, Err(StoreError::Conflict(_))), "{again:?}");
        // Past the reader's look, the register's own index refuses.
        let row = ConclusionRow::new((op, "certificate", &[1]), signed(2), None, register.now());
        let forced = register.writer.write(Op::Conclude(Arc::new(row))).await;
        assert!(matches!(forced, Err(StoreError::Conflict(_))), "{forced:?}");
        let unknown = register.conclude(op + 1, None, Outcome::Failed("no".into())).await;
        assert!(matches!(unknown, Err(StoreError::NotFound(_))), "{unknown:?}");
        register.stop();
    });
}
