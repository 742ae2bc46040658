//! The projections: what they answer, after lives of every kind and in whatever order things became known.

mod support;

use std::collections::BTreeMap;

use futures_util::future::join_all;
use hsm::Message;
use policy::{Owner, Timestamp, Validity};
use store::{Class, DueFilter, Entry, Filter, Order, Record, RecordFilter, State};
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
        let open = Filter { state: Some(State::Intended), ..Filter::default() };
        assert_eq!(serials(&house, open).await, [120, 80, 40]);
    });
}

#[test]
fn a_name_and_a_key_that_many_share_are_listed_the_newest_first() {
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
            let ordered = Filter { order: Order::Expiry, ..filter.clone() };
            assert!(house.ledger.list(ordered).await.is_err(), "all of them would be read for the first");
            let owned = Filter { owner: Some("owner3".into()), profile: Some("profile1".into()), ..filter };
            assert_eq!(serials(&house, owned).await, [3]);
        }
    });
}

#[test]
fn what_stands_before_ten_thousand_of_its_name_is_found() {
    on_both(|database| async move {
        let house = House::open(&database).await;
        let entry = Entry { names: vec!["dns:often.example".into()], ..house.entry(1) };
        let intent = house.ledger.intend(entry).await.unwrap();
        let operation = intent.operation();
        house.ledger.conclude_unsigned(intent, vec![1]).await.unwrap();
        house.ledger.revoke(revocation(operation)).await.unwrap();
        // Its successors, as far as a list by name looks at them.
        write_beside(
            &database,
            "WITH RECURSIVE n(op) AS (SELECT 1000 UNION ALL SELECT op + 1 FROM n WHERE op < 12000) \
             INSERT INTO name (slot, name) SELECT op * 128, 'dns:often.example' FROM n; \
             WITH RECURSIVE n(op) AS (SELECT 1000 UNION ALL SELECT op + 1 FROM n WHERE op < 12000) \
             INSERT INTO card (op, place, pile) SELECT n.op, c.place, 3 FROM n, card c WHERE c.pile = 2",
        );
        let often = Filter { name: Some("dns:often.example".into()), limit: 10, ..Filter::default() };
        let revoked = Filter { state: Some(State::Revoked), ..often };
        let first = house.ledger.list(revoked.clone()).await.unwrap();
        assert!(first.items.is_empty() && first.next.is_some(), "there are more to look through");
        assert_eq!(serials(&house, revoked).await, [1]);
    });
}

#[test]
fn what_holds_is_found_at_once_however_many_newer_ones_have_ended() {
    on_both(|database| async move {
        let house = House::open(&database).await;
        for n in 1..=5 {
            house.issue(n).await;
        }
        let now = house.world.now();
        // So many that a page by their operations ends before it comes to one that holds.
        let ended = |from: u64, to: u64| {
            format!(
                "WITH RECURSIVE n(op) AS (SELECT {from} UNION ALL SELECT op + 1 FROM n WHERE op < {to}) \
                 INSERT INTO card (op, place, pile, not_after) \
                 SELECT n.op, c.place, 0, {} FROM n, card c WHERE c.op = (SELECT MIN(op) FROM card)",
                now.unix() - 1
            )
        };
        write_beside(&database, &ended(1_000, 13_000));
        let holding = Filter { state: Some(State::Issued), not_after_after: Some(now), limit: 3, ..Filter::default() };
        let first = house.ledger.list(holding.clone()).await.unwrap();
        let shown: Vec<_> = first.items.iter().map(|credential| credential.serial.clone()).collect();
        assert_eq!(shown, [5, 4, 3].map(serial), "the newest first, past all that ended");
        let next = house.ledger.list(Filter { after_cursor: first.next, ..holding.clone() }).await.unwrap();
        let shown: Vec<_> = next.items.iter().map(|credential| credential.serial.clone()).collect();
        assert_eq!((shown, next.next), ([2, 1].map(serial).to_vec(), None));
        // One that was made since comes before them, and is not asked for by its end.
        write_beside(&database, "DELETE FROM card WHERE op >= 1000");
        house.issue(6).await;
        write_beside(&database, &ended(1_000, 13_000));
        assert_eq!(serials(&house, holding).await, [6, 5, 4, 3, 2, 1]);
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
            let hours = house.ledger.outlook(owner, Class::Certificates, house.world.now()).await.unwrap().hours;
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

/// A certificate of a family, with a life of so many days from so many days ago on.
fn relative(house: &House, n: u64, since: i64, life: i64) -> Entry {
    let from = house.world.now().plus_secs(-since * DAY);
    let (names, details) = (vec!["dns:b.example".into(), "dns:a.example".into()], serde_json::json!({}));
    let validity = Some(Validity::starting(from, life * DAY));
    Entry { names, details, validity, ..house.entry(n) }
}

#[test]
fn of_a_family_the_newest_that_holds_is_live_and_has_replaced_the_others() {
    on_both(|database| async move {
        let house = House::open(&database).await;
        let now = house.world.now();
        let issue = async |entry: Entry| {
            let intent = house.ledger.intend(entry).await.unwrap();
            let operation = intent.operation();
            let signature = house.pool.sign(intent).await.unwrap();
            house.ledger.conclude(signature).await.unwrap();
            operation
        };
        // Issued, replaced, hours with something that ends, ended, waiting for somebody.
        let shows = async || {
            let counts = house.ledger.counts().await.unwrap();
            let outlook = house.ledger.outlook(Some("web"), Class::Certificates, now).await.unwrap();
            let live: u64 = outlook.hours.iter().map(|hour| hour.live).sum();
            (counts.issued, counts.replaced, live, outlook.expired, outlook.acting)
        };
        let kin = async |op: u64| house.ledger.kin(vec![op]).await.unwrap().remove(&op).unwrap();
        let expired = issue(relative(&house, 1, 91, 90)).await;
        assert_eq!(shows().await, (1, 0, 0, 1, 0));
        // Other names, another owner, another profile: none of the family.
        issue(Entry { names: vec!["dns:a.example".into()], ..relative(&house, 2, 0, 90) }).await;
        issue(Entry { owner: Some(Owner::parse("db").unwrap()), ..relative(&house, 3, 0, 90) }).await;
        issue(Entry { profile: "other".into(), ..relative(&house, 4, 0, 90) }).await;
        assert_eq!(shows().await, (4, 0, 2, 1, 0));
        // What nobody can have yet replaces nothing.
        let mut reversed = relative(&house, 5, 61, 90);
        reversed.names.reverse();
        let intent = house.ledger.intend(reversed).await.unwrap();
        let acting = intent.operation();
        assert_eq!(shows().await, (4, 0, 3, 1, 1));
        assert_eq!(kin(expired).await, store::Kin::default());
        let signature = house.pool.sign(intent).await.unwrap();
        house.ledger.conclude(signature).await.unwrap();
        assert_eq!(shows().await, (4, 1, 3, 0, 1));
        assert_eq!(kin(expired).await.successor, Some(hex::encode(serial(5))));
        let newest = issue(relative(&house, 6, 0, 90)).await;
        assert_eq!(shows().await, (4, 2, 3, 0, 0));
        let of = kin(acting).await;
        assert_eq!((of.predecessor, of.successor), (Some(hex::encode(serial(1))), Some(hex::encode(serial(6)))));
        assert!(of.replaced && !kin(newest).await.replaced);
        // Where the newest is revoked, the one before it is what there is.
        house.ledger.revoke(revocation(newest)).await.unwrap();
        assert_eq!(shows().await, (4, 1, 3, 0, 1));
        assert_eq!((kin(acting).await.successor, kin(acting).await.replaced), (None, false));
        house.ledger.revoke(revocation(acting)).await.unwrap();
        assert_eq!(shows().await, (4, 0, 2, 1, 0));
        // Of two that are under way at once the later is the newer, whichever is signed first.
        let first = house.ledger.intend(relative(&house, 7, 0, 90)).await.unwrap();
        let second = house.ledger.intend(relative(&house, 8, 0, 90)).await.unwrap();
        let (first_op, second_op) = (first.operation(), second.operation());
        for intent in [second, first] {
            let signature = house.pool.sign(intent).await.unwrap();
            house.ledger.conclude(signature).await.unwrap();
        }
        assert!(kin(first_op).await.replaced && !kin(second_op).await.replaced);
        let replaced = Filter { replaced: Some(true), ..Filter::default() };
        assert_eq!(serials(&house, replaced.clone()).await, [7, 1]);
        assert_eq!(house.ledger.count(Filter { state: Some(State::Issued), ..replaced }).await.unwrap(), 2);
        let standing = Filter { state: Some(State::Issued), replaced: Some(false), ..Filter::default() };
        assert_eq!(serials(&house, standing.clone()).await, [8, 4, 3, 2]);
        // One that says so replaces what has other names; and what replaces that one is of the same family.
        let old = house.ledger.credential(&hex::encode(serial(2))).await.unwrap().unwrap();
        let told = serde_json::json!({ "family": old.family().unwrap() });
        issue(Entry { details: told, names: vec!["dns:b.example".into()], ..relative(&house, 9, 0, 90) }).await;
        let next = house.ledger.credential(&hex::encode(serial(9))).await.unwrap().unwrap();
        assert_eq!((next.family(), serials(&house, standing).await), (old.family(), vec![9, 8, 4, 3]));
        assert_eq!(kin(old.operation).await.successor, Some(hex::encode(serial(9))));
        is_clean(&verified(database, None));
    });
}

#[test]
fn an_outlook_is_true_to_the_second_and_knows_who_renews() {
    on_both(|database| async move {
        let house = House::open(&database).await;
        let now = house.world.now();
        let by = |proof: &str, details: serde_json::Value, n: u64, since: i64| {
            let mut entry = Entry { details, ..relative(&house, n, since, 90) };
            entry.actor.proof = proof.into();
            entry.names = vec![format!("dns:host{n}.example")];
            entry
        };
        let plain = || serde_json::json!({});
        // Two thirds of ninety days are sixty; whoever is renewed is believed for some twelve more.
        let entries = [
            by("token", plain(), 1, 59),
            by("token", plain(), 2, 61),
            by("token", serde_json::json!({ "renew": true }), 3, 61),
            by("token", serde_json::json!({ "agent": true }), 4, 75),
            by("acme-key", plain(), 5, 75),
            by("acme-key", plain(), 6, 1),
            by("token", plain(), 7, 90),
        ];
        let ssh = Entry { kind: store::Kind::SshUser, ..by("token", plain(), 8, 89) };
        for entry in entries.into_iter().chain([ssh]) {
            let intent = house.ledger.intend(entry).await.unwrap();
            house.ledger.conclude_unsigned(intent, vec![1]).await.unwrap();
        }
        let outlook = house.ledger.outlook(None, Class::Certificates, now).await.unwrap();
        let sum = |of: fn(&store::ExpiringHour) -> u64| outlook.hours.iter().map(of).sum::<u64>();
        assert_eq!((sum(|hour| hour.live), sum(|hour| hour.renewed)), (6, 4));
        assert_eq!((outlook.expired, outlook.acting), (1, 3));
        let acts: Vec<store::Renewer> = outlook.acts.iter().map(|(_, renewer)| *renewer).collect();
        assert_eq!(acts, [store::Renewer::Agent, store::Renewer::Acme, store::Renewer::Nobody]);
        let ssh = house.ledger.outlook(None, Class::Ssh, now).await.unwrap();
        assert_eq!((ssh.hours.len(), ssh.expired, ssh.acting), (1, 0, 0));
        // The last second of a validity belongs to it, and the next does not.
        let ends = outlook.acts[2].0;
        let at = async |now| {
            let outlook = house.ledger.outlook(None, Class::Certificates, now).await.unwrap();
            (outlook.hours.iter().map(|hour| hour.live).sum::<u64>(), outlook.expired)
        };
        assert_eq!((at(ends).await, at(ends.plus_secs(1)).await), ((4, 3), (2, 5)));
        let waiting = Filter {
            state: Some(State::Issued),
            look_before: Some(now),
            not_after_after: Some(now),
            order: Order::Expiry,
            limit: 1,
            ..Filter::default()
        };
        let mut found = serials(&house, waiting.clone()).await;
        found.sort_unstable();
        assert_eq!(found, [2, 4, 5]);
        let acme = Filter { renewer: Some(store::Renewer::Acme), ..waiting };
        assert_eq!(serials(&house, acme).await, [5]);
        let expired = Filter { not_after_before: Some(now), order: Order::Latest, ..Filter::default() };
        assert_eq!(serials(&house, expired).await, [7]);
        let latest = Filter { order: Order::Latest, ssh: Some(false), limit: 2, ..Filter::default() };
        assert_eq!(serials(&house, latest).await.first(), Some(&6));
        assert_eq!(serials(&house, Filter { ssh: Some(true), ..Filter::default() }).await, [8]);
        let report = verified(database, None);
        let derived = ["card", "open", "place", "expiring", "renewal"];
        assert!(report.findings.iter().all(|found| !derived.contains(&found.what)), "{:?}", report.findings);
    });
}

#[test]
fn a_part_of_a_name_and_the_beginning_of_a_serial_find_what_has_them() {
    on_both(|database| async move {
        let house = House::open(&database).await;
        for n in 1..=30 {
            let names = vec![format!("dns:Host{n}.Prod.example"), "dns:under_score.example".into()];
            let intent = house.ledger.intend(Entry { names, ..scattered(&house, n) }).await.unwrap();
            house.ledger.conclude_unsigned(intent, vec![1]).await.unwrap();
        }
        let text = |text: &str| Filter { text: Some(text.into()), limit: 4, ..Filter::default() };
        assert_eq!(serials(&house, text("ST7.pr")).await, [7]);
        assert_eq!(serials(&house, text("host1")).await, [19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 1]);
        assert_eq!(serials(&house, text("r_s")).await.len(), 30);
        for nothing in ["under%score", "under!_", "nobody"] {
            assert_eq!(serials(&house, text(nothing)).await, [0; 0], "{nothing}");
        }
        let owned = Filter { owner: Some("owner3".into()), ..text("prod") };
        assert_eq!(serials(&house, owned).await, [26, 3]);
        let whole = hex::encode(serial(9));
        let beginning = |digits: &str| Filter { serial: Some(digits.into()), ..Filter::default() };
        assert_eq!(serials(&house, beginning(&whole)).await, [9]);
        assert_eq!(serials(&house, beginning(&whole[..31])).await, [15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1]);
        assert!(house.ledger.list(beginning("0x")).await.is_err());
        let by_two = Filter { limit: 2, ..beginning(&whole[..30]) };
        let all = (1..=30).rev().collect::<Vec<u64>>();
        assert_eq!(serials(&house, by_two).await, all);
        let both = Filter { serial: Some(whole[..31].to_uppercase()), ..text("HOST1") };
        assert_eq!(serials(&house, both).await, [15, 14, 13, 12, 11, 10, 1]);
        for wrong in [text("a"), beginning("0")] {
            assert!(house.ledger.list(Filter { order: Order::Expiry, ..wrong.clone() }).await.is_err());
            assert!(house.ledger.list(Filter { after_cursor: Some("x".into()), ..wrong }).await.is_err());
        }
    });
}

#[test]
fn what_stands_behind_a_thousand_others_is_found_by_the_beginning_of_its_serial_and_by_a_part_of_its_name() {
    on_both(|database| async move {
        let house = House::open(&database).await;
        let entry = |n: u64, owner: &str, name: String| Entry {
            owner: Some(Owner::parse(owner).unwrap()),
            names: vec![name, "dns:of.all.example".into(), "dns:z.example".into()],
            ..house.entry(n)
        };
        house.ledger.intend(entry(1, "early", "dns:first.example".into())).await.unwrap();
        let others = (2..=2_100).map(|n| house.ledger.intend(entry(n, "late", format!("dns:n{n}.example"))));
        for intent in join_all(others).await {
            intent.unwrap();
        }
        let beginning = Filter { serial: Some(hex::encode(&serial(1)[..8])), ..Filter::default() };
        let early = Some("early".to_owned());
        assert_eq!(serials(&house, Filter { owner: early.clone(), ..beginning.clone() }).await, [1]);
        let first = Filter { text: Some("first".into()), ..beginning.clone() };
        assert_eq!(serials(&house, first).await, [1]);
        let text = |text: &str| Filter { text: Some(text.into()), ..Filter::default() };
        assert_eq!(serials(&house, Filter { owner: early, ..text("ALL.example") }).await, [1]);
        // A walk that ends among the names of one leaves none of them out, and none comes twice.
        for (part, found) in [("all.", 2_100), ("dns:n", 2_099), ("z.ex", 2_100)] {
            assert_eq!(serials(&house, Filter { limit: 1_000, ..text(part) }).await.len(), found, "{part}");
        }
        let all = serials(&house, Filter { limit: 1_000, ..beginning }).await;
        assert_eq!((all.len(), all.first(), all.last()), (2_100, Some(&2_100), Some(&1)));
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
                ..RecordFilter::default()
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
