//! Whoever can write the database, and nothing else, can stop the service and nothing else (docs/decisions/006).
//!
//! Each attack is SQL beside a running node. What a node then answers is either the truth or a refusal with an alarm, and
//! after a restart the same.

#[path = "../support/mod.rs"]
mod support;

mod certificates;
mod history;
mod records;
mod revocations;

use store::StoreError;

use support::{House, record};

fn altered<T: std::fmt::Debug>(outcome: Result<T, StoreError>, place: &str) {
    match outcome {
        Err(StoreError::Altered(says)) => assert!(says.contains(place), "{says}"),
        other => panic!("{place}: {other:?}"),
    }
}

fn alarmed(house: &House, place: &str) {
    let integrity = house.ledger.integrity();
    assert!(integrity.alarms.iter().any(|alarm| alarm.place.contains(place)), "{place}: {integrity:?}");
}

/// A record in two versions and another beside it.
async fn two_versions(house: &House) {
    house.ledger.record(vec![record("a", Some(0)), record("b", Some(0))]).await.unwrap();
    house.issue(900).await;
    let version = house.ledger.record_get("thing", "a").await.unwrap().unwrap().version;
    house.ledger.record(vec![record("a", Some(version))]).await.unwrap();
    house.issue(901).await;
}
