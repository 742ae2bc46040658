//! A register's file that loses its name under a node: told of before anybody writes, and nothing is acknowledged.

mod support;

use std::time::Duration;

use store::{Database, StoreError};
use support::*;

/// A look comes each second.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_register_that_lost_its_name_is_told_of_before_anybody_writes() {
    let dir = tempfile::tempdir().unwrap();
    let (path, aside) = (dir.path().join("register.db"), dir.path().join("aside.db"));
    let house = House::open(&Database::Sqlite(path.clone())).await;
    house.issue(1).await;
    std::fs::rename(&path, &aside).unwrap();
    let ledger = &house.ledger;
    let told = async {
        while !ledger.condition().away.is_some_and(|why| why.contains("deleted or moved")) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, told).await.expect("it is told of although nobody writes");
    assert!(matches!(ledger.would_write().await, Err(StoreError::Unavailable(_))));
    assert!(matches!(ledger.intend(house.entry(2)).await, Err(StoreError::Unavailable(_))));
    std::fs::rename(&aside, &path).unwrap();
    let back = async {
        while ledger.condition().away.is_some() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, back).await.expect("the same file is taken back");
    house.issue(3).await;
}
