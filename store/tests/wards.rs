//! What the register knows of secrets: when they end, who read them last; derived of records and accesses, and derived anew.

mod support;

use policy::Timestamp;
use serde_json::json;
use store::{
    AccessEntry, Accessed, ActorStamp, Database, GrantStamp, NewValue, Record, Showing, Ward, WardBy, WardFilter,
};
use support::*;

const HOUR: i64 = 3_600;
const DAY: i64 = 86_400;

fn secret(house: &House, path: &str, more: serde_json::Value, ends: Option<Timestamp>) -> Record {
    let now = house.world.now();
    let mut body = json!({ "life": 1, "made": now, "labels": { "current": 1 },
        "versions": [{ "number": 1, "at": now, "expires": ends }] });
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    let owner = Some(if path.starts_with("web") { "web" } else { "bank" }.to_owned());
    Record { kind: "secret", id: path.into(), owner, lookup: None, expires: None, body, actor: actor(), expect: None }
}

async fn put(house: &House, path: &str, ends: Option<Timestamp>) {
    let record = secret(house, path, json!({}), ends);
    let value = NewValue {
        id: format!("{path}@1.1"),
        owner: record.owner.clone(),
        key: &[7; 32],
        wrapped: None,
        envelope: b"sealed".to_vec(),
        instead_of: vec![],
    };
    house.ledger.keep_value(value, vec![record], actor()).await.unwrap();
}

/// Reads some together; answers the leaf.
async fn read(house: &House, by: &str, action: &str, paths: &[&str]) -> u64 {
    let mut opened = Vec::new();
    for path in paths {
        let value = house.ledger.value(&format!("{path}@1.1")).await.unwrap().unwrap().into_inner();
        opened.push(Accessed { id: value.id().to_owned(), version: value.version() });
    }
    let grant = GrantStamp { action: action.into(), rule: "role:reader".into(), policy_hash: [3; 32] };
    let actor = ActorStamp { id: by.to_owned(), ..actor() };
    house
        .ledger
        .access(AccessEntry {
            actor,
            grant,
            showing: Showing::Opened,
            since: None,
            until: None,
            opened,
            judged: vec![],
            used: None,
        })
        .await
        .unwrap()
        .leaf()
}

fn all(by: WardBy) -> WardFilter {
    WardFilter { owner: None, by, from: None, before: Timestamp::from_unix(i64::MAX), after: None, limit: 10 }
}

async fn paths(house: &House, filter: WardFilter) -> Vec<String> {
    house.ledger.wards(filter).await.unwrap().iter().map(|ward| ward.path().to_owned()).collect()
}

async fn ward(house: &House, path: &str) -> Option<Ward> {
    let id = format!("{path}@1");
    house.ledger.wards_of(vec![id.clone()]).await.unwrap().remove(&id)
}

#[test]
fn who_read_last_is_known_to_the_hour_and_opening_for_a_new_version_is_no_reading() {
    on_both(|database| async move {
        let house = sealing_house(&database).await;
        put(&house, "web/a", None).await;
        put(&house, "web/b", None).await;
        let made = ward(&house, "web/a").await.unwrap();
        assert_eq!((made.seen, &made.read), (house.world.now(), &None));
        house.world.advance(HOUR);
        read(&house, "token:ada", "write-secret", &["web/a"]).await;
        assert_eq!(ward(&house, "web/a").await.unwrap(), made);
        let first = read(&house, "token:ada", "read-secret", &["web/a", "web/b"]).await;
        let at = house.world.now();
        read(&house, "token:ada", "read-secret", &["web/a"]).await;
        let seen = ward(&house, "web/a").await.unwrap();
        assert_eq!((seen.seen, seen.read), (at, Some(("token:ada".to_owned(), first))), "the first of its hour");
        // Another reader of the same hour is the last.
        let second = read(&house, "token:bob", "read-secret", &["web/a"]).await;
        assert_eq!(ward(&house, "web/a").await.unwrap().read, Some(("token:bob".to_owned(), second)));
        house.world.advance(2 * HOUR);
        let third = read(&house, "token:ada", "read-secret", &["web/a"]).await;
        let readers = house.ledger.readers("web/a@1", 10).await.unwrap();
        let readers: Vec<_> = readers.iter().map(|reading| (reading.reader.as_str(), reading.leaf)).collect();
        assert_eq!(readers, [("token:ada", third), ("token:bob", second)]);
        let page = house.ledger.readings((String::new(), String::new()), 2).await.unwrap();
        assert_eq!(page.iter().map(|reading| reading.leaf).collect::<Vec<_>>(), [third, second]);
        let last = page.last().map(|last| (last.id.clone(), last.reader.clone())).unwrap();
        assert_eq!(house.ledger.readings(last, 2).await.unwrap()[0].id, "web/b@1");
        // Described anew, it was read when it was read.
        house.ledger.record(vec![secret(&house, "web/a", json!({ "description": "x" }), None)]).await.unwrap();
        assert_eq!(ward(&house, "web/a").await.unwrap().read, Some(("token:ada".to_owned(), third)));
        house.checkpoint().await;
        is_clean(&verified(database, None));
    });
}

#[test]
fn secrets_are_found_by_their_end_their_last_reading_and_what_waits() {
    on_both(|database| async move {
        let house = sealing_house(&database).await;
        let now = house.world.now();
        put(&house, "web/late", Some(now.plus_secs(40 * DAY))).await;
        put(&house, "web/soon", Some(now.plus_secs(4 * DAY))).await;
        put(&house, "own/soon", Some(now.plus_secs(5 * DAY))).await;
        put(&house, "own/never", None).await;
        let within = |days| WardFilter { before: now.plus_secs(days * DAY), ..all(WardBy::Ends) };
        assert_eq!(paths(&house, within(30)).await, ["web/soon", "own/soon"]);
        assert_eq!(paths(&house, all(WardBy::Ends)).await, ["web/soon", "own/soon", "web/late"]);
        let of_web = WardFilter { owner: Some("web".into()), ..within(30) };
        assert_eq!(paths(&house, of_web.clone()).await, ["web/soon"]);
        assert_eq!(house.ledger.count_wards(of_web).await.unwrap(), 1);
        assert_eq!(house.ledger.count_wards(all(WardBy::Ends)).await.unwrap(), 3);
        let from = WardFilter { from: Some(now.plus_secs(5 * DAY)), ..all(WardBy::Ends) };
        assert_eq!(house.ledger.count_wards(from.clone()).await.unwrap(), 2);
        assert_eq!(paths(&house, from).await, ["own/soon", "web/late"]);
        let first = house.ledger.wards(WardFilter { limit: 1, ..all(WardBy::Ends) }).await.unwrap().remove(0);
        let after = WardFilter { after: Some((first.ends.unwrap(), first.id)), ..all(WardBy::Ends) };
        assert_eq!(paths(&house, after).await, ["own/soon", "web/late"]);
        // What nobody read for ninety days.
        house.world.advance(91 * DAY);
        read(&house, "token:ada", "read-secret", &["own/never"]).await;
        let unread = WardFilter { before: house.world.now().plus_secs(-90 * DAY), ..all(WardBy::Seen) };
        assert_eq!(paths(&house, unread.clone()).await, ["own/soon", "web/late", "web/soon"]);
        assert_eq!(house.ledger.count_wards(unread).await.unwrap(), 3);
        // What waits, while no rotation is at work.
        let pending = json!({ "labels": { "current": 1, "pending": 1 } });
        house.ledger.record(vec![secret(&house, "web/late", pending.clone(), None)]).await.unwrap();
        assert_eq!(paths(&house, all(WardBy::Pending)).await, ["web/late"]);
        let mut rotated = pending;
        rotated["rotated"] = json!(true);
        house.ledger.record(vec![secret(&house, "web/late", rotated, None)]).await.unwrap();
        assert!(paths(&house, all(WardBy::Pending)).await.is_empty());
        // What is deleted is none of these; restored, it is what it was.
        let read = ward(&house, "own/never").await.unwrap();
        let deleted = json!({ "deleted": { "at": now, "until": now } });
        house.ledger.record(vec![secret(&house, "own/never", deleted, None)]).await.unwrap();
        assert_eq!(ward(&house, "own/never").await, None);
        house.ledger.record(vec![secret(&house, "own/never", json!({}), None)]).await.unwrap();
        assert_eq!(ward(&house, "own/never").await, Some(read));
        house.ledger.record(vec![secret(&house, "own/never", json!({ "gone": true }), None)]).await.unwrap();
        house.ledger.record(vec![secret(&house, "own/never", json!({ "life": 2 }), None)]).await.unwrap();
        let seen = paths(&house, all(WardBy::Seen)).await;
        assert_eq!(seen.iter().filter(|path| *path == "own/never").count(), 1);
        house.checkpoint().await;
        is_clean(&verified(database, None));
    });
}

/// What somebody does, in which table, and how many rows of it are wrong then.
const DAMAGE: [(&str, &[(&str, u64)]); 8] = [
    ("UPDATE ward SET ends = 9 WHERE id = 'web/a@1'", &[("ward", 1)]),
    ("UPDATE ward SET reader = 'nobody' WHERE id = 'web/a@1'", &[("ward", 1)]),
    ("DELETE FROM ward", &[("ward", 2)]),
    ("INSERT INTO ward (id, owner, seen) VALUES ('web/none@1', 'web', 1), ('web/a@2', 'web', 1)", &[("ward", 2)]),
    ("UPDATE reading SET at = at + 1 WHERE reader = 'token:ada'", &[("reading", 2)]),
    ("DELETE FROM reading WHERE reader = 'token:ada'", &[("reading", 1)]),
    ("INSERT INTO reading (id, reader, leaf, at) VALUES ('web/b@1', 'token:eve', 3, 7)", &[("reading", 1)]),
    (
        "UPDATE reading SET reader = 'token:eve' WHERE reader = 'token:bob'; UPDATE ward SET reader = 'token:eve' WHERE id = 'web/a@1'",
        &[("reading", 2), ("ward", 1)],
    ),
];

async fn filled(database: &Database, state: &std::path::Path) -> House {
    let house = House::open_in(database, state).await;
    in_force(&house, &[1]).await;
    house.ledger.record_head_key(actor()).await.unwrap();
    put(&house, "web/a", None).await;
    put(&house, "web/b", Some(house.world.now().plus_secs(DAY))).await;
    read(&house, "token:ada", "read-secret", &["web/a"]).await;
    house.world.advance(HOUR);
    read(&house, "token:bob", "read-secret", &["web/a"]).await;
    house
}

#[test]
fn what_somebody_altered_is_found_and_derived_anew() {
    on_both(|database| async move {
        let dir = tempfile::tempdir().unwrap();
        let house = filled(&database, dir.path()).await;
        let closed = house.closed().await;
        for (sql, wrong) in DAMAGE {
            write_beside(&database, sql);
            assert!(verified(database.clone(), None).findings_total > 0, "{sql}");
            let rebuilt = closed.rebuild(&database, dir.path()).await.unwrap();
            assert_eq!(rebuilt.wrong, wrong.iter().copied().collect(), "{sql}");
            is_clean(&verified(database.clone(), None));
        }
    });
}
