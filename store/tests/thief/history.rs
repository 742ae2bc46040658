//! The log as a whole: cut, forged, put back or another token's, it is not gone on from.

use store::{Database, StoreError};

use crate::support::{House, log_config, on_both, on_sqlite, put_back, record, revocation, write_beside};

use super::two_versions;

/// Cuts the log by leaves and says so in the head, as consistently as SQL allows.
fn cut(database: &Database, by: u64) {
    write_beside(
        database,
        &format!("DELETE FROM leaf WHERE idx >= (SELECT size - {by} FROM head); UPDATE head SET size = size - {by};"),
    );
}

#[test]
fn a_cut_log_stops_the_running_node_and_its_next_start() {
    on_both(|database| async move {
        let state = tempfile::tempdir().unwrap();
        let house = House::open_in(&database, state.path()).await;
        house.issue(1).await;
        cut(&database, 2);
        let refused = house.ledger.follow().await;
        assert!(matches!(refused, Err(StoreError::Held(_))), "{refused:?}");
        let refused = house.ledger.record(vec![record("a", None)]).await;
        assert!(matches!(refused, Err(StoreError::Held(_))), "{refused:?}");
        assert!(house.ledger.integrity().held.is_some());
        assert!(house.ledger.intend_checkpoint(&house.log).await.is_err(), "no head of it is signed");
        let refused = house.open_again(&database, state.path()).await;
        assert!(matches!(refused, Err(StoreError::Held(_))), "{refused:?}");
    });
}

/// What is taken of the last leaves under a head that says nothing of it: of the unfinished tile, and of the one before.
const LAST: [&str; 5] = [
    "DELETE FROM leaf WHERE idx >= (SELECT size - 2 FROM head)",
    "UPDATE leaf SET (hash, bytes) = (SELECT o.hash, o.bytes FROM leaf o WHERE o.idx = 2) WHERE idx = (SELECT size - 1 FROM head)",
    "DELETE FROM leaf WHERE idx = 300",
    "UPDATE leaf SET bytes = CAST(replace(bytes, 'r300', 'r301') AS BLOB) WHERE idx = 300",
    "UPDATE leaf SET bytes = CAST(replace(bytes, 'r513', 'r514') AS BLOB) WHERE idx = 513",
];

#[test]
fn a_start_misses_the_last_leaves_although_the_head_and_the_image_speak_of_them() {
    for taken in LAST {
        on_sqlite(|database| async move {
            let state = tempfile::tempdir().unwrap();
            let house = House::open_in(&database, state.path()).await;
            for n in house.ledger.head().size..515 {
                house.ledger.record(vec![record(&format!("r{n}"), Some(0))]).await.unwrap();
            }
            let closed = house.closed().await;
            closed.open(&database, Some(state.path())).await.unwrap().close().await;
            write_beside(&database, taken);
            let refused = closed.open(&database, Some(state.path())).await;
            assert!(matches!(refused, Err(StoreError::Held(_))), "{taken}: {refused:?}");
            let refused = closed.resume(&database, state.path(), "it was cut").await.map(drop);
            assert!(matches!(refused, Err(StoreError::Held(_))), "{taken}: {refused:?}");
        });
    }
}

#[test]
fn leaves_that_no_node_sealed_are_not_followed() {
    on_both(|database| async move {
        let state = tempfile::tempdir().unwrap();
        let house = House::open_in(&database, state.path()).await;
        two_versions(&house).await;
        // A whole and well-formed leaf and row, in the log's place; only the seal is not to be had.
        let forged = house.ledger.leaves(0..1).await.unwrap().remove(0).1;
        let size = house.ledger.head().size;
        let forged = forged.replacen("\"i\":0,\"op\":0", &format!("\"i\":{size},\"op\":{size}"), 1);
        write_beside(
            &database,
            &format!(
                "INSERT INTO leaf (idx, hash, bytes) SELECT {size}, hash, CAST('{forged}' AS {}) FROM leaf WHERE idx = 0; \
                 UPDATE head SET size = size + 1;",
                if matches!(database, Database::Sqlite(_)) { "BLOB" } else { "BYTEA" },
            ),
        );
        assert!(matches!(house.ledger.follow().await, Err(StoreError::Held(_))));
        assert!(matches!(house.open_again(&database, state.path()).await, Err(StoreError::Held(_))));
    });
}

#[test]
fn a_register_put_back_to_yesterday_is_not_started() {
    on_sqlite(|database| async move {
        let (state, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let house = House::open_in(&database, state.path()).await;
        house.issue(1).await;
        let yesterday = dir.path().join("yesterday.db");
        let copy = format!("VACUUM INTO '{}'", yesterday.display());
        write_beside(&database, &copy);
        house.issue(2).await;
        let house = house.closed().await;
        put_back(&database, &yesterday);
        let refused = house.open(&database, Some(state.path())).await;
        assert!(matches!(refused, Err(StoreError::Held(_))), "{refused:?}");
        // A node that never saw it cannot know: its own folder is what it knows by.
        house.open(&database, None).await.unwrap();
    });
}

/// Whoever deletes the node's folder too meets the token.
#[test]
fn a_register_put_back_beside_a_deleted_folder_is_not_started() {
    on_sqlite(|database| async move {
        let (state, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let folder = state.path().join("state");
        let house = House::open_in(&database, &folder).await;
        house.issue(1).await;
        house.checkpoint().await;
        let yesterday = dir.path().join("yesterday.db");
        write_beside(&database, &format!("VACUUM INTO '{}'", yesterday.display()));
        house.issue(2).await;
        let signed: u64 = house.checkpoint().await.lines().nth(1).unwrap().parse().unwrap();
        let closed = house.closed().await;
        put_back(&database, &yesterday);
        std::fs::remove_dir_all(&folder).unwrap();
        let refused = closed.open(&database, Some(&folder)).await;
        assert!(matches!(&refused, Err(StoreError::Held(why)) if why.contains(&signed.to_string())), "{refused:?}");
        // An operator leads out of it, and what the lost history may have signed is not signed again.
        let (house, resumed) = closed.resume(&database, &folder, "the host died; restored").await.unwrap();
        assert_eq!(resumed.known.unwrap().size, signed);
        assert!(house.ledger.intend_checkpoint(&house.log).await.unwrap().is_none());
        // From then on the token speaks of it no more.
        house.open_again(&database, &folder).await.unwrap().close().await;
        for n in 10..20 {
            house.issue(n).await;
        }
        house.checkpoint().await;
        // The next start is an ordinary one, without the folder too.
        let closed = house.closed().await;
        std::fs::remove_dir_all(&folder).unwrap();
        closed.open(&database, Some(&folder)).await.unwrap();
    });
}

#[test]
fn the_token_is_told_every_few_seconds_and_at_the_end_and_the_node_that_is_further_has_the_last_word() {
    on_both(|database| async move {
        let (one_state, two_state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let one = House::open_in(&database, one_state.path()).await;
        let in_token = |house: &House| {
            let pool = house.pool.clone();
            async move {
                let notes = pool.notes(crate::support::ORIGIN).await.unwrap();
                let size =
                    |note: &Vec<u8>| String::from_utf8_lossy(note).lines().nth(1).unwrap().parse::<u64>().unwrap();
                notes.iter().map(size).max()
            }
        };
        let sizes = async |house: &House, n: u64| {
            house.issue(n).await;
            house.checkpoint().await.lines().nth(1).unwrap().parse::<u64>().unwrap()
        };
        let first = sizes(&one, 1).await;
        assert_eq!(in_token(&one).await, None);
        // The look after it brings it there; the clock of this test stands still, so no other follows.
        let second = sizes(&one, 2).await;
        assert_eq!(in_token(&one).await, Some(first));
        sizes(&one, 3).await;
        assert_eq!(in_token(&one).await, Some(first));
        let two = one.beside_in(&database, two_state.path()).await;
        let third = sizes(&two, 4).await;
        assert!(third > second);
        let (pool, ledger) = (two.pool.clone(), two.ledger.clone());
        ledger.close().await;
        assert_eq!(in_token(&two).await, Some(third));
        // The one that ends later knows less.
        one.ledger.close().await;
        assert_eq!(pool.notes(crate::support::ORIGIN).await.unwrap().len(), 2);
        assert_eq!(in_token(&two).await, Some(third));
    });
}

#[test]
fn a_start_goes_on_from_the_image_of_the_fold_and_from_nothing_alike() {
    on_both(|database| async move {
        let state = tempfile::tempdir().unwrap();
        let house = House::open_in(&database, state.path()).await;
        two_versions(&house).await;
        let issued = house.issue(1).await;
        house.ledger.revoke(revocation(issued.operation)).await.unwrap();
        let before = house.ledger.revocations("tls");
        let house = house.closed().await;
        assert!(state.path().join("fold").exists());
        for state in [Some(state.path()), None] {
            let ledger = house.open(&database, state).await.unwrap();
            assert_eq!(ledger.revocations("tls").covers, before.covers);
            assert!(ledger.record_get("thing", "a").await.unwrap().is_some());
            ledger.close().await;
        }
        // Damaged, it costs time and nothing else.
        let image = state.path().join("fold");
        let mut bytes = std::fs::read(&image).unwrap();
        bytes[20] ^= 1;
        std::fs::write(&image, bytes).unwrap();
        house.open(&database, Some(state.path())).await.unwrap();
    });
}

#[test]
fn a_register_sealed_by_another_token_is_not_opened() {
    on_both(|database| async move {
        let house = House::open(&database).await;
        house.ledger.record(vec![record("a", Some(0))]).await.unwrap();
        house.ledger.close().await;
        let token = hsm::testing::TestToken::new("another");
        let (pool, mint) = hsm::open(token.config()).unwrap();
        let refused = store::Ledger::found(database.clone(), (&pool, mint), log_config(), policy::World::real()).await;
        assert!(refused.is_err());
    });
}

#[test]
fn an_operator_goes_on_from_a_restored_register_and_no_size_is_signed_twice() {
    on_sqlite(|database| async move {
        let (state, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let house = House::open_in(&database, state.path()).await;
        house.issue(1).await;
        let yesterday = dir.path().join("yesterday.db");
        write_beside(&database, &format!("VACUUM INTO '{}'", yesterday.display()));
        house.issue(2).await;
        house.issue(3).await;
        let signed: u64 = house.checkpoint().await.lines().nth(1).unwrap().parse().unwrap();
        let closed = house.closed().await;
        put_back(&database, &yesterday);
        assert!(matches!(closed.open(&database, Some(state.path())).await, Err(StoreError::Held(_))));
        assert!(closed.resume(&database, state.path(), " ").await.is_err(), "a reason is given");
        let (house, resumed) = closed.resume(&database, state.path(), "the disk died; restored").await.unwrap();
        assert_eq!(resumed.known.unwrap().size, signed);
        assert!(resumed.head.size < signed);
        let leaf = house.ledger.leaves(resumed.head.size..resumed.head.size + 1).await.unwrap().remove(0).1;
        assert!(leaf.contains("\"kind\":\"resumption\""), "{leaf}");
        // Sizes that the lost history may have signed are passed over in silence.
        assert!(house.ledger.intend_checkpoint(&house.log).await.unwrap().is_none());
        for n in 10..20 {
            house.issue(n).await;
        }
        let again: u64 = house.checkpoint().await.lines().nth(1).unwrap().parse().unwrap();
        assert!(again > signed);
        // The next start is an ordinary one.
        let house = house.closed().await;
        house.open(&database, Some(state.path())).await.unwrap();
    });
}
