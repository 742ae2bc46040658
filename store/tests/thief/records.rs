//! Records and texts: each is what was recorded, or is refused, and one that is refused keeps no other back.

use store::{Record, RecordFilter, StoreError, TextKind};

use crate::support::{House, actor, on_both, record, shown, text_hash, verified, write_beside};

use super::{alarmed, altered, two_versions};

/// What a thief does to record `a`; each leaves something that looks whole to SQL.
const RECORD_ATTACKS: [(&str, &str); 7] = [
    ("altered", "UPDATE record SET body = '{\"id\":\"evil\"}' WHERE id = 'a'"),
    (
        "exchanged",
        "UPDATE record SET body = (SELECT w.body FROM record w WHERE w.id = 'b'), \
         owner = (SELECT w.owner FROM record w WHERE w.id = 'b') WHERE id = 'a'",
    ),
    (
        "put back",
        "DELETE FROM record WHERE id = 'a' AND replaces > 0; \
         UPDATE present SET leaf = (SELECT MAX(leaf) FROM record WHERE id = 'a') WHERE id = 'a'",
    ),
    ("taken off the list", "DELETE FROM present WHERE id = 'a'"),
    ("the list exchanged", "UPDATE present SET leaf = (SELECT o.leaf FROM present o WHERE o.id = 'b') WHERE id = 'a'"),
    ("deleted", "DELETE FROM record WHERE id = 'a'"),
    (
        "forged",
        "INSERT INTO record (leaf, replaces, kind, id, at, owner, lookup, expires, body, actor, proof, proof_id) \
         SELECT MAX(leaf) + 1, MAX(leaf) + 1, 'thing', 'a', 0, 'web', NULL, NULL, '{\"id\":\"evil\"}', 'x', 'system', '' \
         FROM record; UPDATE present SET leaf = (SELECT MAX(leaf) FROM record WHERE id = 'a') WHERE id = 'a'",
    ),
];

#[test]
fn a_record_that_a_thief_touched_decides_nothing_running_and_restarted() {
    for (what, sql) in RECORD_ATTACKS {
        on_both(|database| async move {
            let house = House::open(&database).await;
            two_versions(&house).await;
            write_beside(&database, sql);
            // Another version by somebody else does not hide it.
            house.ledger.record(vec![record("c", Some(0))]).await.unwrap();
            altered(house.ledger.record_get("thing", "a").await, "kind=thing id=a");
            alarmed(&house, "kind=thing id=a");
            assert!(house.ledger.record_get("thing", "b").await.unwrap().is_some(), "{what}: the others go on");
            let house = house.reopened(&database).await;
            altered(house.ledger.record_get("thing", "a").await, "kind=thing id=a");
            alarmed(&house, "kind=thing id=a");
        });
    }
}

#[test]
fn a_record_out_of_nothing_is_refused() {
    on_both(|database| async move {
        let house = House::open(&database).await;
        two_versions(&house).await;
        write_beside(
            &database,
            "INSERT INTO record (leaf, replaces, kind, id, at, owner, lookup, expires, body, actor, proof, proof_id) \
             VALUES (4, 0, 'thing', 'new', 0, 'web', NULL, NULL, '{}', 'x', 'system', ''); \
             INSERT INTO present (kind, id, leaf, owner, lookup) VALUES ('thing', 'new', 4, 'web', NULL)",
        );
        altered(house.ledger.record_get("thing", "new").await, "id=new");
        let house = house.reopened(&database).await;
        altered(house.ledger.record_get("thing", "new").await, "id=new");
    });
}

/// The texts behind hashes are rows like others: what an auditor reads is what was recorded, or a refusal.
#[test]
fn a_text_that_a_thief_touched_is_not_read() {
    for sql in [
        "UPDATE record SET body = REPLACE(body, '30d', '900d') WHERE id = 'HASH'",
        "UPDATE record SET body = (SELECT o.body FROM record o WHERE o.kind = 'policy-text') WHERE id = 'HASH'",
        "DELETE FROM record WHERE id = 'HASH'",
        "DELETE FROM record WHERE id = 'HASH'; DELETE FROM present WHERE id = 'HASH'",
        "DELETE FROM record WHERE id = 'HASH.1'",
    ] {
        on_both(|database| async move {
            let house = House::open(&database).await;
            let text = "max_validity = 30d\n".repeat(1_000);
            let hash = text_hash(&text);
            house.ledger.record_text(TextKind::Profile, &text, &actor()).await.unwrap();
            house.ledger.record_text(TextKind::Policy, "permit(principal, action, resource);", &actor()).await.unwrap();
            write_beside(&database, &sql.replace("HASH", &hex::encode(hash)));
            let place = format!("kind=profile-text id={}", hex::encode(hash));
            altered(house.ledger.text(TextKind::Profile, &hash).await, &place);
            alarmed(&house, &place);
            // It is not recorded a second time over the trace.
            house.ledger.record_text(TextKind::Profile, &text, &actor()).await.unwrap();
            let house = house.reopened(&database).await;
            altered(house.ledger.text(TextKind::Profile, &hash).await, &place);
            let report = verified(database.clone(), None);
            assert!(report.findings.iter().any(|f| f.what == "record"), "{sql}:\n{}", shown(&report));
        });
    }
}

#[test]
fn a_record_on_a_list_under_another_key_is_refused() {
    for sql in
        ["UPDATE present SET lookup = 'lookup-a' WHERE id = 'b'", "UPDATE present SET owner = 'bank' WHERE id = 'b'"]
    {
        on_both(|database| async move {
            let house = House::open(&database).await;
            two_versions(&house).await;
            write_beside(&database, sql);
            let by = |owner: Option<&str>, lookup: Option<&str>| {
                let (owner, lookup) = (owner.map(str::to_owned), lookup.map(str::to_owned));
                house.ledger.record_list("thing", RecordFilter { owner, lookup, ..RecordFilter::default() })
            };
            let found = if sql.contains("bank") { by(Some("bank"), None) } else { by(None, Some("lookup-a")) };
            altered(found.await, "kind=thing id=b");
            alarmed(&house, "kind=thing id=b");
        });
    }
}

#[test]
fn one_altered_record_keeps_no_other_back() {
    for (name, sql) in RECORD_ATTACKS {
        on_both(|database| async move {
            let house = House::open(&database).await;
            two_versions(&house).await;
            write_beside(&database, sql);
            // What is on no list is not noticed by it; whoever names it is told.
            let page = house.ledger.record_page("thing", RecordFilter::default()).await.unwrap();
            let is_listed = !matches!(name, "taken off the list" | "deleted");
            let ids: Vec<&str> = page.iter().map(|listed| listed.id.as_str()).collect();
            assert_eq!(ids, if is_listed { vec!["a", "b"] } else { vec!["b"] }, "{name}");
            for listed in page {
                match listed.id.as_str() {
                    "b" => assert_eq!(listed.record.unwrap().id, "b", "{name}"),
                    _ => assert!(matches!(listed.record, Err(StoreError::Altered(_))), "{name}: {listed:?}"),
                }
            }
            let mut named = house.ledger.records_of("thing", vec!["a".into(), "b".into()]).await.unwrap();
            assert!(named.remove("b").unwrap().is_ok(), "{name}");
            assert!(matches!(named.remove("a"), Some(Err(StoreError::Altered(_)))), "{name}");
            assert!(house.ledger.integrity().alarms_total > 0, "{name}");
        });
    }
}

#[test]
fn one_altered_version_keeps_no_other_change_back() {
    on_both(|database| async move {
        let house = House::open(&database).await;
        two_versions(&house).await;
        let before = house.ledger.record_changes("thing", 0, 10).await.unwrap();
        // The first version of `a`, which the second one replaced.
        let first = before.items[0].now.version - 1;
        write_beside(&database, &format!("UPDATE record SET body = '{{}}' WHERE leaf = {first}"));
        let after = house.ledger.record_changes("thing", 0, 10).await.unwrap();
        let told: Vec<&str> = after.items.iter().map(|change| change.now.id.as_str()).collect();
        assert_eq!((told, after.through), (vec!["b", "a"], before.through));
        assert_eq!(after.items[1].before, None, "what was altered is believed of nothing");
        alarmed(&house, &format!("leaf={first}"));
    });
}

/// Reads beside writes are never taken for alterations.
#[test]
fn a_record_that_changes_under_its_readers_raises_no_alarm() {
    on_both(|database| async move {
        let house = House::open(&database).await;
        house.ledger.record(vec![record("a", Some(0))]).await.unwrap();
        let writer = {
            let ledger = house.ledger.clone();
            tokio::spawn(async move {
                for _ in 0..300 {
                    let any = Record { expect: None, ..record("a", None) };
                    ledger.record(vec![any]).await.unwrap();
                }
            })
        };
        let mut looks = 0;
        while !writer.is_finished() {
            assert!(house.ledger.record_get("thing", "a").await.unwrap().is_some());
            assert_eq!(house.ledger.record_list("thing", store::RecordFilter::default()).await.unwrap().len(), 1);
            looks += 1;
        }
        writer.await.unwrap();
        assert!(looks > 10);
        assert_eq!(house.ledger.integrity(), store::Integrity::default());
    });
}
