//! The ledger's claims, each on SQLite and on PostgreSQL.

mod support;

use futures_util::future::join_all;
use hsm::Message;
use store::{Filter, Kind, Order, RecordFilter, State, StoreError};
use support::*;

#[test]
fn what_was_intended_and_signed_is_there_with_its_signature() {
    on_both(|database| async move {
        let house = House::open(&database).await;
        let issued = house.issue(1).await;
        assert_eq!((issued.state, issued.operation), (State::Issued, 2));
        hsm::verify(issued.algorithm, house.issuing.spki_der(), &Message::from(issued.tbs.clone()), issued.signature())
            .unwrap();
        let der = issued.x509_der();
        assert!(der.windows(issued.tbs.len()).any(|w| w == issued.tbs) && der[0] == 0x30);
        let read = house.ledger.credential(&issued.serial_hex()).await.unwrap().unwrap();
        assert_eq!(read, issued.clone().into_credential());
        let again = house.reopened(&database).await;
        assert_eq!(again.ledger.credential_by_operation(2).await.unwrap().unwrap(), read);
        is_clean(&verified(database, None));
    });
}

#[test]
fn an_intent_survives_a_restart_and_can_still_be_revoked() {
    on_both(|database| async move {
        let house = House::open(&database).await;
        let entry = house.entry(1);
        let intent = house.ledger.intend(entry).await.unwrap();
        let operation = intent.operation();
        let house = house.reopened(&database).await;
        let later = house.world.now().plus_secs(1);
        let alarms = house.ledger.unconcluded(later, 100).await.unwrap();
        assert_eq!(alarms.iter().map(|c| (c.operation, c.state)).collect::<Vec<_>>(), [(operation, State::Intended)]);
        assert!(house.ledger.unconcluded(house.world.now(), 100).await.unwrap().is_empty());
        assert_eq!(verified(database.clone(), None).unconcluded, [operation]);
        house.ledger.revoke(revocation(operation)).await.unwrap();
        let revoked = house.ledger.credential_by_operation(operation).await.unwrap().unwrap();
        assert_eq!((revoked.state, revoked.reason, revoked.signature.clone()), (State::Revoked, Some(1), None));
        assert!(house.ledger.unconcluded(later, 100).await.unwrap().is_empty());
        is_clean(&verified(database, None));
    });
}

#[test]
fn an_alarm_stands_until_its_operation_is_settled() {
    on_both(|database| async move {
        let house = House::open(&database).await;
        let later = house.world.now().plus_secs(1);
        let mut expected = Vec::new();
        let mut rights = Vec::new();
        for n in 0..6 {
            house.issue(n).await;
            let intent = house.ledger.intend(house.entry(100 + n)).await.unwrap();
            expected.push(intent.operation());
            rights.push(intent);
            // Each look knows what the one before saw, and what came since.
            assert_eq!(alarms(&house, later).await, expected);
        }
        for intent in rights.drain(1..4) {
            let signature = house.pool.sign(intent).await.unwrap();
            expected.retain(|op| *op != signature.operation());
            house.ledger.conclude(signature).await.unwrap();
            assert_eq!(alarms(&house, later).await, expected);
        }
        let house = house.reopened(&database).await;
        assert_eq!(alarms(&house, later).await, expected);
    });
}

#[test]
fn what_is_not_shown_is_counted_and_not_read() {
    on_both(|database| async move {
        let house = House::open(&database).await;
        let mut open = Vec::new();
        for n in 0..5 {
            open.push(house.ledger.intend(house.entry(n)).await.unwrap().operation());
        }
        // Whoever reads one of the others meets a row that is none.
        write_beside(&database, &format!("UPDATE intent SET owner = 'bank' WHERE op > {}", open[1]));
        let later = house.world.now().plus_secs(1);
        let shown = house.ledger.unconcluded(later, 2).await.unwrap();
        assert_eq!(shown.iter().map(|credential| credential.operation).collect::<Vec<_>>(), open[..2]);
        assert_eq!((house.ledger.unconcluded_total(later), house.ledger.integrity().alarms_total), (5, 0));
        assert!(house.ledger.unconcluded(later, 3).await.is_err());
        assert_eq!(house.ledger.unconcluded_total(house.world.now()), 0);
    });
}

async fn alarms(house: &House, older_than: policy::Timestamp) -> Vec<u64> {
    house.ledger.unconcluded(older_than, 100).await.unwrap().iter().map(|credential| credential.operation).collect()
}

#[test]
fn a_failure_is_a_conclusion_too() {
    on_both(|database| async move {
        let house = House::open(&database).await;
        // Ed25519 does not sign a SHA-256 made by the caller: the token's room testifies that nothing was signed.
        let mut entry = house.entry(1);
        entry.key = house.log.clone();
        entry.message = Message::Sha256([3; 32]);
        let intent = house.ledger.intend(entry).await.unwrap();
        let operation = intent.operation();
        match house.pool.sign(intent).await {
            Err(hsm::SignError::Refused(not_signed)) => house.ledger.fail(not_signed).await.unwrap(),
            other => panic!("{other:?}"),
        }
        let failed = house.ledger.credential_by_operation(operation).await.unwrap().unwrap();
        assert_eq!((failed.state, failed.x509_der(), failed.prehashed), (State::Failed, None, true));
        assert!(failed.failure.is_some());
        is_clean(&verified(database, None));
    });
}

#[test]
fn a_serial_is_used_once_per_key_and_its_batch_does_not_suffer() {
    on_both(|database| async move {
        let house = House::open(&database).await;
        house.issue(5).await;
        let all = (1..=20).map(|n| house.ledger.intend(house.entry(n)));
        let outcomes = join_all(all).await;
        for (n, outcome) in (1..=20).zip(outcomes) {
            match outcome {
                Ok(_) => assert_ne!(n, 5),
                Err(StoreError::Duplicate(why)) => assert!(n == 5 && why.contains("serial"), "{n}: {why}"),
                Err(other) => panic!("{n}: {other}"),
            }
        }
        // The same serial under another key is another certificate.
        let mut entry = house.entry(5);
        entry.key = house.log.clone();
        house.ledger.intend(entry).await.unwrap();
        is_clean(&verified(database, None));
    });
}

#[test]
fn records_have_versions_and_a_writer_who_missed_one_is_told() {
    on_both(|database| async move {
        let house = House::open(&database).await;
        let ledger = &house.ledger;
        let first = ledger.record(vec![record("a", Some(0)), record("b", None)]).await.unwrap();
        assert!(matches!(ledger.record(vec![record("a", Some(0))]).await, Err(StoreError::Conflict(_))));
        let second = ledger.record(vec![record("a", Some(first[0]))]).await.unwrap();
        // All or none: the second of these conflicts, so the first is not there.
        let both = vec![record("c", Some(0)), record("a", Some(first[0]))];
        assert!(matches!(ledger.record(both).await, Err(StoreError::Conflict(_))));
        assert_eq!(ledger.record_get("thing", "c").await.unwrap(), None);
        let there = ledger.record_get("thing", "a").await.unwrap().unwrap();
        assert_eq!((there.version, there.body["expect"].as_u64()), (second[0], Some(first[0])));
        let of_lookup = |lookup: &str| RecordFilter { lookup: Some(lookup.into()), ..RecordFilter::default() };
        assert_eq!(ledger.record_list("thing", of_lookup("lookup-a")).await.unwrap(), [there]);
        // What a version said that was replaced finds nothing.
        let mut moved = record("b", None);
        moved.lookup = Some("elsewhere".into());
        ledger.record(vec![moved]).await.unwrap();
        assert!(ledger.record_list("thing", of_lookup("lookup-b")).await.unwrap().is_empty());
        let ids = |records: Vec<store::Attested<store::StoredRecord>>| {
            records.into_iter().map(|r| r.id.clone()).collect::<Vec<_>>()
        };
        let all = RecordFilter { limit: 1, ..RecordFilter::default() };
        assert_eq!(ids(ledger.record_list("thing", all.clone()).await.unwrap()), ["a"]);
        let between = |above: &str, below: &str| RecordFilter {
            between: Some((above.into(), below.into())),
            ..RecordFilter::default()
        };
        for (above, below, found) in [
            ("lookup-", "lookup-b", vec!["a"]),
            ("elsewhere", "lookup-a", vec![]),
            ("elsewhere", "lookup-z", vec!["a"]),
            ("e", "z", vec!["b", "a"]),
        ] {
            assert_eq!(
                ids(ledger.record_list("thing", between(above, below)).await.unwrap()),
                found,
                "{above} {below}"
            );
        }
        let rest = RecordFilter { after: Some("a".into()), ..all };
        assert_eq!(ids(ledger.record_list("thing", rest).await.unwrap()), ["b"]);
        is_clean(&verified(database, None));
    });
}

#[test]
fn of_many_writers_of_one_version_one_wins() {
    on_both(|database| async move {
        let house = House::open(&database).await;
        let version = house.ledger.record(vec![record("a", Some(0))]).await.unwrap()[0];
        let rivals = (0..40).map(|_| house.ledger.record(vec![record("a", Some(version))]));
        let outcomes = join_all(rivals).await;
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
        assert!(outcomes.iter().all(|o| matches!(o, Ok(_) | Err(StoreError::Conflict(_)))));
        is_clean(&verified(database, None));
    });
}

#[test]
fn a_credential_is_revoked_once() {
    on_both(|database| async move {
        let house = House::open(&database).await;
        let issued = house.issue(1).await;
        house.issue(2).await;
        house.ledger.revoke(revocation(issued.operation)).await.unwrap();
        let again = house.ledger.revoke(revocation(issued.operation)).await;
        assert!(matches!(again, Err(StoreError::Conflict(_))));
        assert!(matches!(house.ledger.revoke(revocation(999)).await, Err(StoreError::NotFound(_))));
        let mut unknown_reason = revocation(issued.operation);
        unknown_reason.reason = 7;
        assert!(matches!(house.ledger.revoke(unknown_reason).await, Err(StoreError::Invalid(_))));
        let revoked = house.ledger.revocations("tls").rows;
        assert_eq!(revoked.len(), 1);
        assert_eq!((revoked[0].serial.clone(), revoked[0].reason), (issued.serial.clone(), 1));
        assert!(house.ledger.revocations("code").rows.is_empty());
        is_clean(&verified(database, None));
    });
}

async fn newest(house: &House, issuer: &str) -> Option<store::Attested<store::Credential>> {
    let crls =
        Filter { kind: Some(Kind::Crl), issuer: Some(issuer.into()), state: Some(State::Issued), ..Filter::default() };
    house.ledger.newest(crls).await.unwrap()
}

#[test]
fn lists_filter_and_page_in_sql() {
    on_both(|database| async move {
        let house = House::open(&database).await;
        for n in 1..=12 {
            let mut entry = house.entry(n);
            if n % 3 == 0 {
                entry.owner = None;
                entry.profile = "tls-client".into();
            }
            if n == 12 {
                entry = store::Entry { profile: entry.profile, ..house.crl(n, "root", None) };
            }
            let signature = house.signature(entry).await;
            house.ledger.conclude(signature).await.unwrap();
        }
        house.ledger.intend(house.entry(13)).await.unwrap();
        let revoked = house.ledger.credential(&hex::encode(serial(4))).await.unwrap().unwrap();
        house.ledger.revoke(revocation(revoked.operation)).await.unwrap();
        let now = house.world.now();
        let all = Filter::default();
        let cases: Vec<(Filter, Vec<u64>)> = vec![
            (all.clone(), (1..=13).rev().collect()),
            (Filter { kind: Some(Kind::Crl), ..all.clone() }, vec![12]),
            (Filter { certificates: true, ..all.clone() }, (1..=13).rev().filter(|n| *n != 12).collect()),
            (Filter { owner: Some("web".into()), ..all.clone() }, vec![13, 11, 10, 8, 7, 5, 4, 2, 1]),
            (Filter { profile: Some("tls-client".into()), ..all.clone() }, vec![12, 9, 6, 3]),
            (Filter { issuer: Some("root".into()), ..all.clone() }, vec![12]),
            (Filter { name: Some("dns:www.host7.example".into()), ..all.clone() }, vec![7]),
            (Filter { name: Some("dns:host".into()), ..all.clone() }, vec![]),
            (Filter { key_hash: Some([8; 32]), ..all.clone() }, vec![8]),
            (Filter { state: Some(State::Intended), ..all.clone() }, vec![13]),
            (Filter { state: Some(State::Revoked), ..all.clone() }, vec![4]),
            (Filter { state: Some(State::Failed), ..all.clone() }, vec![]),
            (Filter { state: Some(State::Issued), name: Some("dns:host4.example".into()), ..all.clone() }, vec![]),
            (
                Filter { order: Order::Expiry, not_after_before: Some(now.plus_secs(86_400 * 4)), ..all.clone() },
                vec![1, 2, 3],
            ),
            (
                Filter { order: Order::Expiry, not_after_after: Some(now.plus_secs(86_400 * 11)), ..all.clone() },
                vec![11, 13],
            ),
        ];
        for (filter, expected) in cases {
            for limit in [0, 1, 2, 1000] {
                let found = walk(&house, Filter { limit, ..filter.clone() }).await;
                assert_eq!(found, expected, "{filter:?} by {limit}");
            }
            // Counters know what a place knows.
            let is_counted = filter.name.is_none() && filter.key_hash.is_none() && filter.order == Order::Newest;
            match house.ledger.count(filter).await {
                Ok(count) => assert_eq!((count, is_counted), (expected.len() as u64, true)),
                Err(error) => assert!(matches!(error, StoreError::Invalid(_)) && !is_counted, "{error:?}"),
            }
        }
        let far = Filter { not_after_after: Some(policy::Timestamp::MAX), ..all.clone() };
        assert!(house.ledger.list(far).await.unwrap().items.is_empty());
        // Page by page, each attested, they are the same.
        let (mut after_cursor, mut attested) = (None, Vec::new());
        loop {
            let asked = Filter { after_cursor, limit: 2, ..all.clone() };
            let page = house.ledger.matching_page(asked).await.unwrap();
            attested.extend(page.items.iter().map(|one| u64::from_be_bytes(one.serial[8..].try_into().unwrap())));
            after_cursor = page.next;
            if after_cursor.is_none() {
                break;
            }
        }
        assert_eq!(attested, walk(&house, all.clone()).await);
        let bad = Filter { after_cursor: Some("x".into()), ..all };
        assert!(matches!(house.ledger.list(bad).await, Err(StoreError::Invalid(_))));
        assert_eq!(newest(&house, "root").await.unwrap().serial, serial(12));
        assert_eq!(newest(&house, "tls").await, None);
        let counts = house.ledger.counts().await.unwrap();
        assert_eq!((counts.issued, counts.intended, counts.revoked, counts.failed), (11, 1, 1, 0));
        assert_eq!(house.ledger.credential("zz").await.unwrap(), None);
        is_clean(&verified(database, None));
    });
}

async fn walk(house: &House, mut filter: Filter) -> Vec<u64> {
    let mut found = Vec::new();
    loop {
        let page = house.ledger.list(filter.clone()).await.unwrap();
        for item in &page.items {
            found.push(u64::from_be_bytes(item.serial[8..].try_into().unwrap()));
        }
        filter.after_cursor = page.next;
        if filter.after_cursor.is_none() {
            return found;
        }
    }
}

#[test]
fn entries_beyond_their_bounds_are_refused_before_they_reach_the_queue() {
    on_sqlite(|database| async move {
        let house = House::open(&database).await;
        let size = house.ledger.head().size;
        let mut too_many = house.entry(1);
        too_many.names = vec!["dns:a.example".into(); policy::MAX_NAMES + 1];
        let mut too_long = house.entry(1);
        too_long.serial = vec![1; 33];
        let mut nul = house.entry(1);
        nul.subject = "CN=a\0b".into();
        let mut details = house.entry(1);
        details.details = serde_json::json!({ "x": "y".repeat(5_000) });
        for entry in [too_many, too_long, nul, details] {
            assert!(matches!(house.ledger.intend(entry).await, Err(StoreError::Invalid(_))));
        }
        assert!(matches!(house.ledger.record(vec![]).await, Err(StoreError::Invalid(_))));
        assert_eq!(house.ledger.head().size, size);
    });
}

#[test]
fn a_closed_ledger_says_so() {
    on_both(|database| async move {
        let house = House::open(&database).await;
        let other = house.ledger.clone();
        house.ledger.close().await;
        assert!(matches!(other.refuse(refusal()).await, Err(StoreError::Closed)));
        assert!(matches!(other.counts().await, Err(StoreError::Closed)));
    });
}

#[test]
fn the_register_is_for_its_owner_alone() {
    on_sqlite(|database| async move {
        let _house = House::open(&database).await;
        for suffix in ["", "-wal", "-shm"] {
            let path = format!("{}{suffix}", path_of(&database).display());
            assert!(store::testing::is_private(path.as_ref()), "{path}");
        }
    });
}

#[test]
fn two_nodes_share_one_log() {
    on_both(|database| async move {
        let one = House::open(&database).await;
        let two = one.beside(&database).await;
        let mut all = Vec::new();
        for n in 0..100 {
            let house = if n % 2 == 0 { &one } else { &two };
            all.push(house.issue(n));
        }
        let issued = join_all(all).await;
        assert_eq!(issued.len(), 100);
        let mut rivals = Vec::new();
        for house in [&one, &two] {
            rivals.push(house.ledger.record(vec![record("a", Some(0))]));
        }
        assert_eq!(join_all(rivals).await.iter().filter(|o| o.is_ok()).count(), 1);
        let note = one.checkpoint().await;
        assert_eq!(two.checkpoint().await, note);
        let report = verified(database, Some(&note));
        is_clean(&report);
        assert_eq!((report.certificates, report.checkpoints), (100, 1));
    });
}

#[test]
fn a_register_of_another_program_is_refused() {
    on_sqlite(|database| async move {
        let house = House::open(&database).await;
        let (pool, _) = (house.pool.clone(), house.ledger.clone().close().await);
        pool.shutdown();
        let sql = rusqlite::Connection::open(path_of(&database)).unwrap();
        sql.execute("UPDATE migration SET sha256 = zeroblob(32)", []).unwrap();
        let token = hsm::testing::TestToken::new("other");
        let (pool, mint) = hsm::open(token.config()).unwrap();
        let opened = store::Ledger::found(database, (&pool, mint), log_config(), policy::World::real()).await;
        assert!(matches!(opened, Err(StoreError::Database(why)) if why.contains("schema step 1")));
    });
}
