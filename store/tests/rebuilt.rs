//! What an operator does about projections that somebody altered: they are derived anew, and nothing else is touched.

mod support;

use store::{Database, StoreError};
use support::*;

/// A register with a row in every projection: ops 2, 4, 6 issued, 2 revoked, 10 open.
async fn filled(database: &Database, state: &std::path::Path) -> House {
    let house = House::open_in(database, state).await;
    for n in 1..=3 {
        house.issue(n).await;
    }
    house.ledger.revoke(revocation(2)).await.unwrap();
    let first = house.ledger.record(vec![record("a", Some(0))]).await.unwrap()[0];
    assert_eq!(house.ledger.intend(house.entry(4)).await.unwrap().operation(), 10);
    house.ledger.record(vec![record("a", Some(first)), record("b", Some(0))]).await.unwrap();
    house
}

/// What somebody does, in which table, and how many rows of it are wrong then.
const DAMAGE: [(&str, &str, u64); 25] = [
    ("UPDATE card SET not_after = not_after + 9 WHERE op = 4", "card", 1),
    ("UPDATE card SET place = 5, pile = 2", "card", 4),
    ("UPDATE card SET pile = 3 WHERE op = 4", "card", 1),
    ("UPDATE card SET family = 3, look = 7 WHERE op = 4", "card", 1),
    ("UPDATE open SET family = 7", "open", 1),
    ("DELETE FROM card", "card", 4),
    ("INSERT INTO card (op, place, pile) VALUES (1, 1, 0), (-3, 1, 0), (9000, 1, 0)", "card", 3),
    ("UPDATE open SET due = 7", "open", 1),
    ("DELETE FROM open", "open", 1),
    ("INSERT INTO open (op, place) VALUES (4, 1)", "open", 1),
    ("UPDATE renewal SET due = due + 9", "renewal", 2),
    ("DELETE FROM renewal WHERE op = 4", "renewal", 1),
    ("INSERT INTO renewal (op, due, not_after) VALUES (2, 1, 1)", "renewal", 1),
    ("UPDATE place SET issued = issued + 5", "place", 1),
    ("UPDATE place SET owner = 'bank'", "place", 1),
    ("DELETE FROM place", "place", 1),
    (
        "INSERT INTO place (id, kind, profile, issuer, renewer, intended, issued, failed, revoked, replaced) \
         VALUES (1, 'crl', 'p', 'tls', 0, 0, 9, 0, 0, 0)",
        "place",
        1,
    ),
    ("UPDATE expiring SET live = live + 5000", "expiring", 12),
    ("DELETE FROM expiring WHERE owner = ''", "expiring", 6),
    (
        "INSERT INTO expiring (owner, class, hour, live, renewed, looked, look) VALUES ('bank', 0, 1, 2, 3, 0, 0)",
        "expiring",
        1,
    ),
    ("UPDATE present SET leaf = 9 WHERE kind = 'thing' AND id = 'a'", "present", 1),
    ("UPDATE present SET owner = 'bank' WHERE kind = 'thing' AND id = 'b'", "present", 1),
    ("UPDATE present SET leaf = leaf + 1 WHERE kind = 'thing' AND id = 'a'", "present", 1),
    ("DELETE FROM present WHERE kind = 'thing'", "present", 2),
    ("INSERT INTO present (kind, id, leaf) VALUES ('thing', 'none', 9)", "present", 1),
];

#[test]
fn whatever_is_wrong_in_a_projection_is_derived_anew() {
    on_both(|database| async move {
        let dir = tempfile::tempdir().unwrap();
        let house = filled(&database, dir.path()).await;
        let head = house.ledger.head();
        let closed = house.closed().await;
        for (sql, table, rows) in DAMAGE {
            write_beside(&database, sql);
            assert!(verified(database.clone(), None).findings_total > 0, "{sql}");
            let rebuilt = closed.rebuild(&database, dir.path()).await.unwrap();
            assert_eq!(rebuilt.wrong, [(table, rows)].into(), "{sql}");
            is_clean(&verified(database.clone(), None));
        }
        // What the writer keeps goes on from there, and no leaf was written.
        let ledger = closed.open(&database, Some(dir.path())).await.unwrap();
        assert_eq!(ledger.head(), head);
        ledger.revoke(revocation(4)).await.unwrap();
        ledger.close().await;
        is_clean(&verified(database, None));
    });
}

#[test]
fn where_nothing_is_wrong_nothing_is_written() {
    on_sqlite(|database| async move {
        let dir = tempfile::tempdir().unwrap();
        let house = filled(&database, dir.path()).await;
        let head = house.ledger.head();
        let closed = house.closed().await;
        for table in ["card", "open", "renewal", "place", "expiring", "present", "leaf", "record", "head"] {
            for event in ["INSERT", "UPDATE", "DELETE"] {
                let refuse = format!(
                    "CREATE TRIGGER no_{event}_{table} BEFORE {event} ON {table} BEGIN SELECT RAISE(ABORT, 'written'); END"
                );
                write_beside(&database, &refuse);
            }
        }
        let rebuilt = closed.rebuild(&database, dir.path()).await.unwrap();
        assert_eq!(rebuilt, store::Rebuilt { leaves: head.size, wrong: [].into() });
    });
}

#[test]
fn beside_the_service_and_on_a_register_that_is_held_nothing_is_rebuilt() {
    on_sqlite(|database| async move {
        let dir = tempfile::tempdir().unwrap();
        let house = filled(&database, dir.path()).await;
        write_beside(&database, "DELETE FROM card");
        let beside = house.token_alone().rebuild(&database, dir.path()).await;
        assert!(matches!(&beside, Err(StoreError::Conflict(why)) if why.contains("stop it")), "{beside:?}");
        write_beside(&database, "UPDATE head SET seal = edge");
        let closed = house.closed().await;
        let held = closed.rebuild(&database, dir.path()).await;
        assert!(matches!(held, Err(StoreError::Held(_))), "{held:?}");
        let cards: i64 = rusqlite::Connection::open(path_of(&database))
            .unwrap()
            .query_row("SELECT COUNT(*) FROM card", [], |row| row.get(0))
            .unwrap();
        assert_eq!(cards, 0);
    });
}
