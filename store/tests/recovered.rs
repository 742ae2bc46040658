//! A register whose token is lost, opened over another with the key of its heads.

mod support;

use std::path::Path;

use hsm::Pool;
use hsm::testing::TestToken;
use store::{Database, Ledger, LogConfig, SEALED, Seals, StoreError};
use support::*;

/// A register with a folder, of which the key of the heads is brought away.
async fn left(database: &Database, state: &Path) -> (policy::World, Vec<u8>) {
    let house = House::open_in(database, state).await;
    let touchstone = house.pool.touchstone(None, "seal-1").await.unwrap();
    let keys = [(1, hsm::SealingKey::known("seal-1".to_owned(), &[], touchstone))].into();
    house.ledger.take_seals(Seals { active: Some(1), keys, ..Seals::default() });
    house.ledger.record_head_key(actor()).await.unwrap();
    house.ledger.seal("other", None, b"stands under what is lost", (actor(), None)).await.unwrap();
    house.checkpoint().await;
    let key = house.ledger.open_sealed("head-key").await.unwrap().unwrap().to_vec();
    let world = house.world.clone();
    drop(house.closed().await);
    (world, key)
}

fn config(state: &Path) -> LogConfig {
    LogConfig { origin: ORIGIN.to_owned(), state: Some(state.to_owned()), instance: None }
}

async fn recover(
    database: &Database,
    (token, state): (&TestToken, &Path),
    world: &policy::World,
    brought: (&[u8], u32),
) -> (Pool, Result<Ledger, StoreError>) {
    let (pool, mint) = hsm::open(token.config()).unwrap();
    let (database, brought) = (database.clone(), (brought.0, brought.1, &actor()));
    let opened = Ledger::recover(database, (&pool, mint), config(state), world.clone(), brought).await;
    (pool, opened)
}

#[test]
fn the_key_of_the_heads_opens_a_register_under_another_token_and_from_then_on_that_token_does() {
    on_both(|database| async move {
        let state = tempfile::tempdir().unwrap();
        let (world, key) = left(&database, state.path()).await;
        let token = TestToken::new("next");
        let at = (&token, state.path());
        let (pool, wrong) = recover(&database, at, &world, (&[1; 32], 2)).await;
        assert!(matches!(&wrong, Err(StoreError::Held(_))), "{wrong:?}");
        pool.shutdown();
        // What broke off left a key in the token: nobody knows whose, so another generation is named.
        let (pool, taken) = recover(&database, at, &world, (&key, 2)).await;
        assert!(matches!(&taken, Err(StoreError::Conflict(why)) if why.contains("seal-2")), "{taken:?}");
        pool.shutdown();
        let (pool, opened) = recover(&database, at, &world, (&key, 3)).await;
        let ledger = opened.unwrap();
        let size = ledger.head().size;
        assert_eq!(ledger.standing().into_iter().collect::<Vec<_>>(), [(1, 1), (3, 1)]);
        assert_eq!(ledger.open_sealed("head-key").await.unwrap().unwrap().to_vec(), key);
        let lost = ledger.open_sealed("other").await;
        assert!(matches!(&lost, Err(StoreError::Token(why)) if why.contains("seal/1")), "{lost:?}");
        ledger.close().await;
        pool.shutdown();
        // Given again, it goes on from there and writes nothing.
        let (pool, opened) = recover(&database, at, &world, (&key, 3)).await;
        let ledger = opened.unwrap();
        assert_eq!(ledger.head().size, size);
        ledger.close().await;
        pool.shutdown();
        // And without the key, as every start is.
        let (pool, mint) = hsm::open(token.config()).unwrap();
        let ledger = Ledger::open(database.clone(), (&pool, mint), config(state.path()), world).await.unwrap();
        let head = ledger.record_get(SEALED, "head-key").await.unwrap().unwrap();
        assert_eq!(head.lookup.as_deref(), Some("seal/3"));
        ledger.close().await;
        pool.shutdown();
        is_clean(&verified(database, None));
    });
}
