//! The projections: what they answer, after lives of every kind and in whatever order things became known.

mod support;

use std::collections::BTreeMap;

use hsm::Message;
use policy::{Owner, Timestamp, Validity};
use store::{DueFilter, Entry, Filter, Order, Record, RecordFilter, State};
use support::*;

const DAY: i64 = 86_400;

/// One of many that stand in different places and end at different times.
fn scattered(house: &House, n: u64) -> Entry {
    let now = house.world.now();
    Entry {
        owner: Some(Owner::parse(&format!("owner{}", n % 23)).unwrap()),
        profile: format!("profile{}", n % 2),
        validity: Some(Validity::starting(now, DAY * (1 + (n as i64 * 37) % 50))),
        ..house.entry(n)
    }
}

async fn serials(house: &House, mut filter: Filter) -> Vec<u64> {
    let mut found = Vec::new();
    loop {
        let page = house.ledger.list(filter.clone()).await.unwrap();
        found.extend(page.items.iter().map(|item| u64::from_be_bytes(item.serial[8..].try_into().unwrap())));
        filter.after_cursor = page.next;
        if filter.after_cursor.is_none() {
            return found;
        }
    }
}

#[test]
fn a_list_over_many_places_is_in_order_and_whole_whatever_the_page() {
    on_both(|database| async move {
        let house = House::open(&database).await;
        let mut ends = BTreeMap::new();
        for n in 1..=120 {
            let entry = scattered(&house, n);
            ends.insert((entry.validity.unwrap().not_after(), n), n);
            let intent = house.ledger.intend(entry).await.unwrap();
            if !n.is_multiple_of(40) {
                house.ledger.conclude_unsigned(intent, vec![1]).await.unwrap();
            }
        }
        let newest: Vec<u64> = (1..=120).rev().filter(|n: &u64| !n.is_multiple_of(40)).collect();
        let by_expiry: Vec<u64> = ends.into_values().filter(|n: &u64| !n.is_multiple_of(40)).collect();
        for limit in [1, 2, 7, 50, 1000] {
            let issued = Filter { state: Some(State::Issued), limit, ..Filter::default() };
            assert_eq!(serials(&house, issued.clone()).await, newest, "by {limit}");
            let ordered = Filter { order: Order::Expiry, ..issued.clone() };
            assert_eq!(serials(&house, ordered).await, by_expiry, "by {limit}");
            let of_one = Filter { owner: Some("owner5".into()), ..issued };
            let theirs: Vec<u64> = newest.iter().copied().filter(|n| n % 23 == 5).collect();
            assert_eq!(serials(&house, of_one).await, theirs, "by {limit}");
        }
        let open = Filter { state: Some(State::Intended), order: Order::Expiry, ..Filter::default() };
        assert_eq!(serials(&house, open).await.len(), 3);
    });
}

#[test]
fn a_name_and_a_key_that_many_share_are_listed_in_both_orders() {
    on_both(|database| async move {
        let house = House::open(&database).await;
        for n in 1..=30 {
            let entry = Entry { names: vec!["dns:shared.example".into()], key_hash: [9; 32], ..scattered(&house, n) };
            let intent = house.ledger.intend(entry).await.unwrap();
            house.ledger.conclude_unsigned(intent, vec![1]).await.unwrap();
        }
        let named = Filter { name: Some("dns:shared.example".into()), limit: 4, ..Filter::default() };
        let keyed = Filter { key_hash: Some([9; 32]), limit: 4, ..Filter::default() };
        for filter in [named, keyed] {
            assert_eq!(serials(&house, filter.clone()).await, (1..=30).rev().collect::<Vec<_>>());
            let mut all = serials(&house, Filter { order: Order::Expiry, ..filter.clone() }).await;
            all.sort_unstable();
            assert_eq!(all, (1..=30).collect::<Vec<_>>());
            let owned = Filter { owner: Some("owner3".into()), profile: Some("profile1".into()), ..filter };
            assert_eq!(serials(&house, owned).await, [3]);
        }
    });
}

fn all_due() -> DueFilter {
    let (until, ends_after) = (Timestamp::from_unix(i64::MAX / 4), Timestamp::from_unix(0));
    DueFilter { until, ends_after, after: None, limit: 0 }
}

async fn due(house: &House) -> Vec<u64> {
    let due = house.ledger.due(all_due()).await.unwrap();
    let mut ops: Vec<u64> = due.iter().map(|due| due.credential.operation).collect();
    ops.sort_unstable();
    ops
}

#[test]
fn what_is_due_is_due_until_it_is_renewed_or_revoked() {
    on_both(|database| async move {
        let house = House::open(&database).await;
        let intend = async |n: u64, details: serde_json::Value| {
            let renews = match details.get("renews").and_then(|serial| serial.as_str()) {
                Some(serial) => house.ledger.credential(serial).await.unwrap().unwrap().renewal(),
                None => None,
            };
            house.ledger.intend(Entry { details, renews, ..house.entry(n) }).await.unwrap()
        };
        let sign = async |intent| {
            let signature = house.pool.sign(intent).await.unwrap();
            house.ledger.conclude(signature).await.unwrap().operation
        };
        let renews = |n: u64| serde_json::json!({ "renew": true, "renews": hex::encode(serial(n)) });
        let plain = || serde_json::json!({ "renew": true });

        let first = intend(1, plain()).await;
        assert!(due(&house).await.is_empty(), "nobody has it yet");
        let first = sign(first).await;
        sign(intend(2, serde_json::json!({ "renew": false })).await).await;
        assert_eq!(due(&house).await, [first]);
        let successor = intend(3, renews(1)).await;
        assert_eq!(due(&house).await, [first], "its successor is not signed yet");
        let successor = sign(successor).await;
        assert_eq!(due(&house).await, [successor]);
        house.ledger.revoke(revocation(successor)).await.unwrap();
        assert!(due(&house).await.is_empty());

        // Revoked while it is under way: signed after all, it is nobody's to renew, but it is a successor.
        let older = sign(intend(4, plain()).await).await;
        let late = intend(5, renews(4)).await;
        house.ledger.revoke(revocation(late.operation())).await.unwrap();
        assert_eq!(due(&house).await, [older]);
        sign(late).await;
        assert!(due(&house).await.is_empty());

        // Concluded after what succeeds it: it is due in its own right.
        let slow = intend(6, plain()).await;
        let quick = sign(intend(7, renews(6)).await).await;
        let slow = sign(slow).await;
        assert_eq!(due(&house).await, [slow, quick]);

        let all = house.ledger.due(all_due()).await.unwrap();
        let at = |n: usize| all[n].at;
        assert_eq!(at(0), all[0].credential.validity.unwrap().renew_at(&all[0].credential.serial));
        assert!(at(0) < at(1));
        let cut = |filter: DueFilter| house.ledger.due(filter);
        assert_eq!(cut(DueFilter { until: at(0), ..all_due() }).await.unwrap().len(), 1);
        assert_eq!(cut(DueFilter { limit: 1, ..all_due() }).await.unwrap().len(), 1);
        let after = Some((at(0), all[0].credential.operation));
        assert_eq!(cut(DueFilter { after, ..all_due() }).await.unwrap()[0].at, at(1));
        let ends_after = Timestamp::from_unix(i64::MAX / 4);
        assert!(cut(DueFilter { ends_after, ..all_due() }).await.unwrap().is_empty());
        is_clean(&verified(database, None));
    });
}

#[test]
fn counters_follow_every_life() {
    on_both(|database| async move {
        let house = House::open(&database).await;
        let mut entry = house.entry(1);
        (entry.key, entry.message) = (house.log.clone(), Message::Sha256([4; 32]));
        let intent = house.ledger.intend(entry).await.unwrap();
        let failed_op = intent.operation();
        match house.pool.sign(intent).await {
            Err(hsm::SignError::Refused(not_signed)) => house.ledger.fail(not_signed).await.unwrap(),
            other => panic!("{other:?}"),
        }
        let issued = house.issue(2).await;
        house.issue(3).await;
        let open = house.ledger.intend(house.entry(4)).await.unwrap();
        let signature = house.signature(house.crl(5, "tls", None)).await;
        house.ledger.conclude(signature).await.unwrap();
        let states = async || {
            let counts = house.ledger.counts().await.unwrap();
            [counts.intended, counts.issued, counts.failed, counts.revoked]
        };
        let live = async |owner: Option<&str>| {
            let hours = house.ledger.expiring(owner, Timestamp::from_unix(0)).await.unwrap();
            (hours.iter().map(|hour| hour.live).sum::<u64>(), hours.iter().map(|hour| hour.renewed).sum::<u64>())
        };
        assert_eq!((states().await, live(None).await), ([1, 3, 1, 0], (3, 3)));
        assert_eq!((live(Some("web")).await, live(Some("other")).await), ((3, 3), (0, 0)));
        house.ledger.revoke(revocation(issued.operation)).await.unwrap();
        house.ledger.revoke(revocation(open.operation())).await.unwrap();
        house.ledger.revoke(revocation(failed_op)).await.unwrap();
        assert_eq!((states().await, live(None).await), ([0, 2, 0, 3], (1, 1)));
        // Signed after it was revoked: it stays revoked.
        let signature = house.pool.sign(open).await.unwrap();
        house.ledger.conclude(signature).await.unwrap();
        assert_eq!((states().await, live(None).await), ([0, 2, 0, 3], (1, 1)));
        let count = |filter: Filter| house.ledger.count(filter);
        assert_eq!(count(Filter { certificates: true, ..Filter::default() }).await.unwrap(), 4);
        assert_eq!(count(Filter { owner: Some("web".into()), ..Filter::default() }).await.unwrap(), 4);
        assert_eq!(count(Filter { state: Some(State::Revoked), ..Filter::default() }).await.unwrap(), 3);
        assert!(house.ledger.unconcluded(Timestamp::from_unix(i64::MAX / 4), 100).await.unwrap().is_empty());
        is_clean(&verified(database, None));
    });
}

#[test]
fn a_record_is_found_by_what_its_present_version_says() {
    on_both(|database| async move {
        let house = House::open(&database).await;
        let of = |id: &str, owner: &str, lookup: &str| Record {
            owner: Some(owner.into()),
            lookup: Some(lookup.into()),
            ..record(id, None)
        };
        house.ledger.record(vec![of("a", "x", "1"), of("b", "x", "1"), of("c", "y", "1")]).await.unwrap();
        house.ledger.record(vec![of("a", "x", "1")]).await.unwrap();
        house.ledger.record(vec![of("b", "y", "2")]).await.unwrap();
        let ids = async |owner: Option<&str>, lookup: Option<&str>, after: Option<&str>| {
            let filter = RecordFilter {
                owner: owner.map(str::to_owned),
                lookup: lookup.map(str::to_owned),
                after: after.map(str::to_owned),
                limit: 0,
            };
            let found = house.ledger.record_list("thing", filter).await.unwrap();
            found.iter().map(|record| record.id.clone()).collect::<Vec<_>>()
        };
        assert_eq!(ids(None, None, None).await, ["a", "b", "c"]);
        assert_eq!(ids(None, None, Some("a")).await, ["b", "c"]);
        assert_eq!(ids(Some("x"), None, None).await, ["a"]);
        assert_eq!(ids(Some("y"), None, Some("b")).await, ["c"]);
        assert_eq!(ids(None, Some("1"), None).await, ["a", "c"]);
        assert_eq!(ids(Some("y"), Some("1"), None).await, ["c"]);
        assert_eq!(ids(Some("x"), Some("2"), None).await, [""; 0]);
        is_clean(&verified(database, None));
    });
}
