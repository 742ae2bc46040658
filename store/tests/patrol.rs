//! The service's own audit: what a thief does to rows that nobody asks for is found all the same.

mod support;

use store::{AuditState, Database, Entry};
use support::*;

/// One whole round through the log.
async fn round(house: &House) -> AuditState {
    let before = house.ledger.audited().all_since;
    house.world.advance(1);
    // The round under way ends, and a whole one after it.
    let mut ends = 0;
    let mut last = before;
    for _ in 0..1_000 {
        let state = house.ledger.audit_step().await.unwrap();
        if state.all_since != last {
            (last, ends) = (state.all_since, ends + 1);
            house.world.advance(1);
        }
        if ends == 2 {
            return state;
        }
    }
    panic!("no round ends: {:?}", house.ledger.audited());
}

async fn filled(database: &Database) -> House {
    let house = House::open(database).await;
    for n in 1..=3 {
        house.issue(n).await;
    }
    house.ledger.revoke(revocation(2)).await.unwrap();
    house.ledger.record(vec![record("a", Some(0))]).await.unwrap();
    house.ledger.intend(house.crl(9, "tls", None)).await.unwrap();
    for n in 0..3 {
        let some = (n * 200..(n + 1) * 200).map(|n| record(&format!("r{n}"), Some(0)));
        house.ledger.record(some.collect()).await.unwrap();
    }
    house
}

/// What a thief does, and the place that is named.
const THEFTS: [(&str, &str); 15] = [
    ("UPDATE record SET body = '{}' WHERE id = 'r1'", "record leaf="),
    ("DELETE FROM record WHERE id = 'r1'", "record leaf="),
    ("UPDATE intent SET owner = 'bank' WHERE op = 2", "intent op=2"),
    ("DELETE FROM intent WHERE op = 2", "intent op=2"),
    ("DELETE FROM conclusion WHERE op = 2", "conclusion leaf=3"),
    ("UPDATE revocation SET reason = 4", "revocation leaf=8"),
    ("DELETE FROM revocation", "revocation leaf=8"),
    ("UPDATE name SET name = 'dns:bank.example' WHERE slot = 256", "name slot=256"),
    ("UPDATE leaf SET bytes = hash WHERE idx = 300", "leaf idx=300"),
    ("UPDATE leaf SET hash = bytes WHERE idx = 608", "leaf idx=608"),
    (
        "UPDATE leaf SET (hash, bytes) = (SELECT o.hash, o.bytes FROM leaf o WHERE o.idx = 301) WHERE idx = 300",
        "leaf idx=300 column bytes",
    ),
    ("DELETE FROM leaf WHERE idx = 4", "leaf idx=4"),
    ("UPDATE tile SET root = hashes WHERE n = 1", "tile level=0 n=1"),
    ("DELETE FROM tile WHERE n = 0", "tile level=0 n=0"),
    (
        "INSERT INTO conclusion (leaf, op, at, outcome) VALUES (9000, 9000, 0, 'issued')",
        "conclusion leaf=9000 column leaf",
    ),
];

#[test]
fn what_a_thief_does_to_old_rows_is_found_within_a_round() {
    on_both(|database| async move {
        let house = filled(&database).await;
        let clean = round(&house).await;
        assert_eq!((clean.findings, house.ledger.integrity().alarms_total), (0, 0));
        assert!(clean.all_since.is_some() && clean.newest == house.ledger.head().size);
        house.ledger.close().await;
    });
    for (sql, place) in THEFTS {
        on_sqlite(|database| async move {
            let house = filled(&database).await;
            round(&house).await;
            write_beside(&database, sql);
            let state = round(&house).await;
            let integrity = house.ledger.integrity();
            assert!(state.findings > 0, "{sql}");
            assert!(integrity.alarms.iter().any(|alarm| alarm.place.starts_with(place)), "{sql}: {integrity:?}");
            house.ledger.close().await;
        });
    }
}

/// What a thief does to what lists and the renewal ask are answered from, the places that are named, and how it is taken back.
const FORGERIES: [(&str, &[&str], &str); 9] = [
    (
        "UPDATE card SET not_after = not_after + 9 WHERE op = 4",
        &["card op=4 column not_after"],
        "UPDATE card SET not_after = not_after - 9 WHERE op = 4",
    ),
    ("UPDATE card SET pile = 0 WHERE op = 2", &["card op=2 column pile"], "UPDATE card SET pile = 2 WHERE op = 2"),
    (
        "UPDATE card SET place = place + 1 WHERE op = 6",
        &["card op=6 column place"],
        "UPDATE card SET place = place - 1 WHERE op = 6",
    ),
    (
        "UPDATE card SET op = 1 WHERE op = 4",
        &["card op=4", "card op=1 column op"],
        "UPDATE card SET op = 4 WHERE op = 1",
    ),
    (
        "UPDATE open SET place = place + 1 WHERE op = 10",
        &["open op=10 column place"],
        "UPDATE open SET place = place - 1 WHERE op = 10",
    ),
    (
        "UPDATE open SET op = 5000 WHERE op = 10",
        &["open op=10", "open op=5000 column op"],
        "UPDATE open SET op = 10 WHERE op = 5000",
    ),
    (
        "UPDATE renewal SET due = due + 9 WHERE op = 6",
        &["renewal op=6 column due"],
        "UPDATE renewal SET due = due - 9 WHERE op = 6",
    ),
    // The one that was renewed is due no more, and the one that renews it is.
    (
        "UPDATE renewal SET op = 2 WHERE op = 6",
        &["renewal op=6", "renewal op=2 column op"],
        "UPDATE renewal SET op = 6 WHERE op = 2",
    ),
    (
        "UPDATE renewal SET op = 4 WHERE op = 6",
        &["renewal op=6", "renewal op=4 column op"],
        "UPDATE renewal SET op = 6 WHERE op = 4",
    ),
];

/// Issues one that says it renews another.
async fn renewed(house: &House, old: u64, n: u64) -> u64 {
    let old = house.ledger.credential(&hex::encode(serial(old))).await.unwrap().unwrap();
    let details = serde_json::json!({ "renew": true, "renews": old.serial_hex() });
    let signature = house.signature(Entry { details, renews: old.renewal(), ..house.entry(n) }).await;
    house.ledger.conclude(signature).await.unwrap().operation
}

#[test]
fn what_a_thief_does_to_derived_rows_is_found_within_a_round() {
    on_both(|database| async move {
        let house = House::open(&database).await;
        let ops = [house.issue(1).await.operation, house.issue(2).await.operation, renewed(&house, 2, 3).await];
        assert_eq!(ops, [2, 4, 6]);
        house.ledger.revoke(revocation(2)).await.unwrap();
        house.ledger.record(vec![record("a", Some(0))]).await.unwrap();
        assert_eq!(house.ledger.intend(house.entry(4)).await.unwrap().operation(), 10);
        let mut before = round(&house).await.findings;
        assert_eq!(before, 0);
        for (sql, places, back) in FORGERIES {
            write_beside(&database, sql);
            let state = round(&house).await;
            assert!(state.findings > before, "{sql}");
            let integrity = house.ledger.integrity();
            for place in places {
                assert!(integrity.alarms.iter().any(|alarm| alarm.place == *place), "{sql}: {place}: {integrity:?}");
            }
            write_beside(&database, back);
            round(&house).await;
            before = house.ledger.audited().findings;
        }
        assert_eq!(round(&house).await.findings, before, "all is as it was");
        is_clean(&verified(database, None));
    });
}

/// What was renewed long ago the fold knows no more: nobody is accused of it.
#[test]
fn what_the_fold_forgot_is_no_finding() {
    on_both(|database| async move {
        let house = House::open(&database).await;
        house.issue(1).await;
        renewed(&house, 1, 2).await;
        house.world.advance(40 * 86_400);
        house.issue(3).await;
        renewed(&house, 3, 4).await;
        let house = house.reopened(&database).await;
        assert_eq!(round(&house).await.findings, 0, "{:?}", house.ledger.integrity());
        is_clean(&verified(database, None));
    });
}

/// Signed before what it renews was: that one is due in its own right.
#[test]
fn what_was_concluded_after_its_successor_is_no_finding() {
    on_both(|database| async move {
        let house = House::open(&database).await;
        let slow = house.ledger.intend(house.entry(1)).await.unwrap();
        renewed(&house, 1, 2).await;
        house.ledger.conclude_unsigned(slow, vec![7; 72]).await.unwrap();
        assert_eq!(round(&house).await.findings, 0, "{:?}", house.ledger.integrity());
    });
}

#[test]
fn a_new_row_is_looked_at_by_the_next_step() {
    on_both(|database| async move {
        let house = filled(&database).await;
        let start = house.ledger.audit_step().await.unwrap();
        let size = house.ledger.head().size;
        assert_eq!((start.newest, start.round_at), (size, size % 256));
        let version = house.ledger.record(vec![record("new", Some(0))]).await.unwrap()[0];
        write_beside(&database, "UPDATE record SET owner = 'bank' WHERE id = 'new'");
        let state = house.ledger.audit_step().await.unwrap();
        assert_eq!((state.newest, state.findings), (version, 1));
        assert!(house.ledger.integrity().alarms[0].place.starts_with(&format!("record leaf={}", version - 1)));
    });
}

#[test]
fn a_start_looks_at_the_last_rows_first() {
    on_sqlite(|database| async move {
        let house = filled(&database).await;
        write_beside(&database, "UPDATE record SET owner = 'bank' WHERE id = 'r599'");
        let house = house.reopened(&database).await;
        let state = house.ledger.audit_step().await.unwrap();
        assert_eq!((state.findings, state.round_at), (1, house.ledger.head().size % 256));
        // Then down to the first, and the next round begins at the end again.
        write_beside(&database, "UPDATE record SET owner = 'bank' WHERE id = 'a'");
        house.ledger.audit_step().await.unwrap();
        let state = house.ledger.audit_step().await.unwrap();
        assert_eq!((state.findings, state.round_at, state.all_since), (2, house.ledger.head().size, None));
        let state = house.ledger.audit_step().await.unwrap();
        assert_eq!((state.findings, state.round_at), (3, house.ledger.head().size % 256));
        assert_eq!(state.all_since, Some(house.world.now()));
    });
}

/// Nothing that honest nodes do beside it looks like a theft.
#[test]
fn a_busy_register_raises_no_alarm() {
    on_both(|database| async move {
        let house = House::open(&database).await;
        let other = house.beside(&database).await;
        let writer = {
            let ledger = other.ledger.clone();
            tokio::spawn(async move {
                for n in 0..700 {
                    ledger.record(vec![record(&format!("r{n}"), Some(0))]).await.unwrap();
                }
            })
        };
        let renewing = tokio::spawn(async move {
            other.issue(1).await;
            for n in 1..150 {
                renewed(&other, n, n + 1).await;
            }
        });
        let mut steps = 0;
        while !writer.is_finished() || !renewing.is_finished() {
            house.ledger.audit_step().await.unwrap();
            steps += 1;
        }
        writer.await.unwrap();
        renewing.await.unwrap();
        house.ledger.audit_step().await.unwrap();
        let state = house.ledger.audited();
        assert_eq!((state.findings, state.newest), (0, house.ledger.head().size));
        assert!(steps > 3 && house.ledger.integrity() == store::Integrity::default());
    });
}
