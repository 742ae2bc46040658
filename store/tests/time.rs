//! Time: a clock that was wrong once stops nobody for longer than an operator's word takes, and no wrong time is written meanwhile.

mod support;

use policy::{Timestamp, World};
use store::{Database, Held, State, StoreError, Witness};
use support::*;

const HOURS: i64 = 3_600;

fn by(outcome: Result<impl std::fmt::Debug, StoreError>) -> Witness {
    match outcome {
        Err(StoreError::Clock(Held { by, .. })) => by,
        other => panic!("{other:?}"),
    }
}

async fn times(house: &House) -> Vec<Timestamp> {
    let time = |(_, leaf): (u64, String)| {
        let leaf: serde_json::Value = serde_json::from_str(&leaf).unwrap();
        Timestamp::parse_rfc3339(leaf["time"].as_str().unwrap()).unwrap()
    };
    house.ledger.leaves(0..1_000).await.unwrap().into_iter().map(time).collect()
}

/// Two nodes, each with a clock of its own.
async fn neighbours(database: &Database) -> (House, House) {
    let one = House::open(database).await;
    let other = one.beside_by(database, World::fixed(one.world.now(), 8)).await;
    (one, other)
}

/// A node that came up with its clock two hours ahead issues once; then its clock is right. The other was right all the time.
async fn once_ahead(database: &Database) -> (House, House, store::Issued, hsm::Signature) {
    let (ahead, right) = neighbours(database).await;
    let under_way = right.signature(right.entry(1)).await;
    ahead.world.jump(2 * HOURS);
    let ahead = ahead.reopened(database).await;
    let issued = ahead.issue(2).await;
    ahead.world.jump(-2 * HOURS);
    (ahead, right, issued, under_way)
}

#[test]
fn after_one_node_was_two_hours_ahead_every_node_goes_on_by_one_word() {
    on_both(|database| async move {
        let (ahead, right, issued, under_way) = once_ahead(&database).await;
        for node in [&ahead, &right] {
            assert_eq!(by(node.ledger.intend(node.entry(3)).await), Witness::Log);
            assert_eq!(by(node.ledger.record(vec![record("a", Some(0))]).await), Witness::Log);
            assert_eq!(by(node.ledger.time().await), Witness::Log);
        }
        // What was signed is concluded, what is to be revoked is revoked, what was refused is told, and a restart forgets nothing.
        let operation = issued.operation;
        right.ledger.conclude(under_way).await.unwrap();
        right.ledger.revoke(revocation(operation)).await.unwrap();
        right.ledger.refuse(refusal()).await.unwrap();
        right.ledger.withdraw(vec![record("token", Some(0))]).await.unwrap();
        let right = right.reopened(&database).await;
        assert_eq!(
            right.ledger.time_held().map(|held| held.by),
            Some(Witness::Log),
            "known before anything is written"
        );
        assert_eq!(by(right.ledger.intend(right.entry(3)).await), Witness::Log);
        let newest = *times(&right).await.last().unwrap();
        assert_eq!(newest, right.world.now().plus_secs(2 * HOURS), "the greater of now and newest");

        right.world.advance(20);
        ahead.world.advance(20);
        let (from, to) = right.ledger.set_time(actor(), "node a was two hours ahead").await.unwrap();
        assert_eq!((from, to), (newest, right.world.now()));
        for (n, node) in [(4, &ahead), (5, &right)] {
            assert_eq!(node.ledger.time().await.unwrap(), node.world.now(), "{n}");
            assert!(node.ledger.time_held().is_none());
            node.issue(n).await;
        }
        assert_eq!(*times(&right).await.last().unwrap(), to);
        let report = verified(database, Some(&right.checkpoint().await));
        is_clean(&report);
        assert_eq!(report.times_set, 1);
    });
}

#[test]
fn a_word_holds_the_node_back_whose_clock_is_still_ahead() {
    on_both(|database| async move {
        let (ahead, right, ..) = once_ahead(&database).await;
        ahead.world.jump(2 * HOURS);
        right.ledger.set_time(actor(), "node a is two hours ahead").await.unwrap();
        assert_eq!(by(ahead.ledger.intend(ahead.entry(3)).await), Witness::Run);
        ahead.world.jump(-2 * HOURS);
        ahead.issue(4).await;
        right.issue(5).await;
        is_clean(&verified(database, None));
    });
}

#[test]
fn a_clock_that_jumps_ahead_under_a_running_node_writes_no_time_of_its_own() {
    on_both(|database| async move {
        let house = House::open(&database).await;
        let issued = house.issue(1).await;
        let under_way = house.signature(house.entry(2)).await;
        house.world.advance(60);
        let right = house.world.now();
        house.world.jump(87_600 * HOURS);
        assert_eq!(by(house.ledger.intend(house.entry(3)).await), Witness::Run);
        assert_eq!((house.ledger.cautious_time(), house.ledger.believed_time()), (right, right));
        let concluded = house.ledger.conclude(under_way).await.unwrap();
        house.ledger.revoke(revocation(issued.operation)).await.unwrap();
        assert_eq!(*times(&house).await.last().unwrap(), right);
        let there = house.ledger.credential(&concluded.serial_hex()).await.unwrap().unwrap();
        assert_eq!(there, concluded.into_credential(), "the caller is told the time that was written");
        house.world.jump(-87_600 * HOURS);
        house.issue(4).await;
        is_clean(&verified(database, None));
    });
}

#[test]
fn a_clock_that_is_set_back_brings_nothing_back_that_ended() {
    on_both(|database| async move {
        let house = House::open(&database).await;
        house.world.advance(60);
        house.ledger.refuse(refusal()).await.unwrap();
        let right = house.world.now();
        assert_eq!(house.ledger.believed_time(), right);
        house.world.jump(-HOURS);
        assert_eq!(by(house.ledger.time().await), Witness::Log);
        assert_eq!(house.ledger.cautious_time(), right.plus_secs(-HOURS), "what is published is never later");
        assert_eq!(house.ledger.believed_time(), right);
        // Time goes by all the same; after a restart nobody knows how much, and the log's newest time is the least.
        house.world.advance(200);
        assert_eq!(house.ledger.believed_time(), right.plus_secs(200));
        let house = house.reopened(&database).await;
        assert_eq!(house.ledger.believed_time(), right);
        house.world.jump(HOURS);
        assert_eq!(house.ledger.believed_time(), right.plus_secs(200));
        is_clean(&verified(database, None));
    });
}

#[test]
fn neighbours_whose_clocks_differ_a_little_write_times_in_order() {
    on_both(|database| async move {
        let (a, b) = neighbours(&database).await;
        a.world.advance(200);
        for n in 0..4 {
            let signature = a.signature(a.entry(2 * n)).await;
            let issued = b.issue(2 * n + 1).await;
            let there = b.ledger.credential(&issued.serial_hex()).await.unwrap().unwrap();
            assert_eq!(there, issued.into_credential());
            a.ledger.conclude(signature).await.unwrap();
            b.ledger.refuse(refusal()).await.unwrap();
            let written = record(&format!("r{n}"), Some(0));
            let (kind, id) = (written.kind, written.id.clone());
            b.ledger.record(vec![written]).await.unwrap();
            b.ledger.revoke(revocation(there.operation)).await.unwrap();
            // What was given another time is, to the fold of either node, what stands in its row.
            for node in [&a, &b] {
                assert!(node.ledger.record_get(kind, &id).await.unwrap().is_some());
                let there = node.ledger.credential(&there.serial_hex()).await.unwrap().unwrap();
                assert_eq!(there.state, State::Revoked);
            }
            b.world.advance(1);
        }
        let times = times(&a).await;
        assert!(times.is_sorted(), "{times:?}");
        is_clean(&verified(database, None));
    });
}

#[test]
fn a_witness_that_contradicts_the_clock_stops_what_begins_and_the_word_too() {
    on_both(|database| async move {
        let house = House::open(&database).await;
        let peer = Witness::Other("the peer time.example".into());
        house.ledger.hear_time("the peer time.example", house.world.now().plus_secs(-2 * HOURS));
        assert_eq!(by(house.ledger.intend(house.entry(1)).await), peer);
        assert_eq!(by(house.ledger.set_time(actor(), "mistaken").await), peer);
        house.world.jump(-2 * HOURS);
        assert_eq!(by(house.ledger.intend(house.entry(1)).await), Witness::Log, "the log began ahead");
        house.ledger.set_time(actor(), "set right by the peer").await.unwrap();
        house.issue(1).await;
        is_clean(&verified(database, None));
    });
}

#[test]
fn the_database_shows_a_clock_where_it_has_one() {
    on_both(|database| async move {
        let house = House::open(&database).await;
        let shows = house.ledger.database_time().await.unwrap();
        match database {
            Database::Sqlite(_) => assert_eq!(shows, None),
            // It is this machine's.
            Database::Postgres(_) => {
                let now = World::real().now();
                assert!(shows.is_some_and(|shows| now.since(shows).abs() < 300), "{shows:?}");
            }
        }
    });
}

#[test]
fn a_word_is_written_by_its_own_call_alone() {
    on_sqlite(|database| async move {
        let house = House::open(&database).await;
        let word = store::Record { kind: "clock", ..record("log", Some(0)) };
        assert!(matches!(house.ledger.record(vec![word]).await, Err(StoreError::Invalid(_))));
    });
}

#[test]
fn a_time_that_goes_back_is_found() {
    on_sqlite(|database| async move {
        let house = House::open(&database).await;
        house.world.advance(60);
        house.ledger.refuse(refusal()).await.unwrap();
        is_clean(&verified(database.clone(), None));
        let sql = rusqlite::Connection::open(path_of(&database)).unwrap();
        let shown = |change: &str, back: &str| {
            sql.execute(change, []).unwrap();
            let found = shown(&verified(database.clone(), None));
            sql.execute(back, []).unwrap();
            found
        };
        let found = shown("UPDATE head SET time = time - 1", "UPDATE head SET time = time + 1");
        assert!(found.contains("[head] head id=1 column time: is not what the leaves derive"), "{found}");
        // A refusal has no row: but for the tree, nothing else would tell.
        let swap = |from: &str, to: &str| {
            format!(
                "UPDATE leaf SET bytes = CAST(replace(CAST(bytes AS TEXT), '{from}', '{to}') AS BLOB) WHERE idx = 2"
            )
        };
        let (then, before) = (house.world.now().to_string(), house.world.now().plus_secs(-61).to_string());
        let found = shown(&swap(&then, &before), &swap(&before, &then));
        assert!(found.contains(&format!("[time] leaf idx=2 column bytes: its time {before} lies before")), "{found}");
        is_clean(&verified(database.clone(), None));
    });
}
