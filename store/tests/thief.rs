//! Whoever can write the database, and nothing else, can stop the service and nothing else (docs/decisions/006).
//!
//! Each attack is SQL beside a running node. What a node then answers is either the truth or a refusal with an alarm, and
//! after a restart the same.

mod support;

use hsm::Message;
use policy::{Instance, Serial};
use store::{Covers, Database, Entry, Filter, Kind, Record, RecordFilter, State, StoreError, TextKind};
use support::{
    House, actor, log_config, on_both, on_sqlite, put_back, record, revocation, shown, tbs_crl_of, text_hash, verified,
    write_beside,
};

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

/// What a thief does to the certificate of operation OP; OTHER is another one.
const CREDENTIAL_ATTACKS: [(&str, &str); 6] = [
    ("its owner altered", "UPDATE intent SET owner = 'bank' WHERE op = OP"),
    ("its details altered", "UPDATE intent SET details = '{\"renew\":false}' WHERE op = OP"),
    (
        "its names exchanged",
        "UPDATE intent SET names = (SELECT o.names FROM intent o WHERE o.op = OTHER) WHERE op = OP",
    ),
    ("its conclusion deleted", "DELETE FROM conclusion WHERE op = OP"),
    ("its conclusion altered", "UPDATE conclusion SET outcome = 'failed', signature = NULL WHERE op = OP"),
    ("its leaf altered", "UPDATE leaf SET bytes = (SELECT o.bytes FROM leaf o WHERE o.idx = OTHER) WHERE idx = OP"),
];

#[test]
fn a_certificate_that_a_thief_touched_decides_nothing_running_and_restarted() {
    for (what, sql) in CREDENTIAL_ATTACKS {
        on_both(|database| async move {
            let house = House::open(&database).await;
            let (ours, other) = (house.issue(1).await, house.issue(2).await);
            // Beyond a full tile, so that the proof goes through one.
            for n in 0..300 {
                house.ledger.record(vec![record(&format!("r{n}"), Some(0))]).await.unwrap();
            }
            let sql = sql.replace("OTHER", &other.operation.to_string()).replace("OP", &ours.operation.to_string());
            write_beside(&database, &sql);
            altered(house.ledger.credential(&ours.serial_hex()).await, &format!("op={}", ours.operation));
            assert!(house.ledger.credential(&other.serial_hex()).await.unwrap().is_some(), "{what}");
            // A leaf that is none of ours is more than a row: the whole log is not believed after a restart.
            if !what.contains("leaf") {
                let house = house.reopened(&database).await;
                altered(house.ledger.credential(&ours.serial_hex()).await, &format!("op={}", ours.operation));
            }
        });
    }
}

/// Bytes as the thief's SQL writes them.
fn bytes(database: &Database, bytes: &[u8]) -> String {
    match database {
        Database::Sqlite(_) => format!("x'{}'", hex::encode(bytes)),
        Database::Postgres(_) => format!("'\\x{}'::bytea", hex::encode(bytes)),
    }
}

/// Where the register has one certificate under the serial of another, and each row by its number is what it was.
fn view(database: &Database, serial: &[u8], shows: u64) -> String {
    let columns = |serial: &str| {
        format!(
            "op, kind, at, actor, proof, proof_id, action, rule, policy_hash, profile, profile_hash, key_label, key_hash, \
             algorithm, form, message, {serial} AS serial, issuer, owner, subject, names, subject_key_hash, not_before, \
             not_after, details"
        )
    };
    format!(
        "ALTER TABLE intent RENAME TO kept; CREATE VIEW intent AS SELECT {} FROM kept UNION ALL \
         SELECT {} FROM kept WHERE op = {shows}",
        columns("serial"),
        columns(&bytes(database, serial))
    )
}

#[test]
fn a_serial_leads_to_no_other_certificate_through_a_view() {
    on_both(|database| async move {
        let house = House::open(&database).await;
        let (ended, other) = (house.issue(1).await, house.issue(2).await);
        house.ledger.revoke(revocation(ended.operation)).await.unwrap();
        write_beside(&database, &view(&database, &ended.serial, other.operation));
        let place = format!("intent op={}", other.operation);
        altered(house.ledger.credential(&ended.serial_hex()).await, &place);
        alarmed(&house, &place);
        // Asked for by what it is, it is itself.
        let itself = house.ledger.credential(&other.serial_hex()).await.unwrap().unwrap();
        assert_eq!(itself.operation, other.operation);
    });
}

/// The serials of two certificates exchanged and put back, again and again: between two questions of one look too.
#[test]
fn a_serial_leads_to_no_other_certificate_while_the_rows_flip() {
    on_both(|database| async move {
        let house = House::open(&database).await;
        let (ended, other) = (house.issue(1).await, house.issue(2).await);
        house.ledger.revoke(revocation(ended.operation)).await.unwrap();
        let set = |op: u64, serial: &[u8]| {
            format!("UPDATE intent SET serial = {} WHERE op = {op};", bytes(&database, serial))
        };
        let flip = |a: &[u8], b: &[u8]| {
            format!(
                "BEGIN; {} {} {} COMMIT;",
                set(ended.operation, &[9]),
                set(other.operation, a),
                set(ended.operation, b)
            )
        };
        let (there, back) = (flip(&ended.serial, &other.serial), {
            let (a, b) = (set(other.operation, &[9]), set(ended.operation, &ended.serial));
            format!("BEGIN; {a} {b} {} COMMIT;", set(other.operation, &other.serial))
        });
        let thief = {
            let database = database.clone();
            std::thread::spawn(move || match &database {
                Database::Sqlite(path) => {
                    let sql = rusqlite::Connection::open(path).unwrap();
                    sql.busy_timeout(std::time::Duration::from_secs(30)).unwrap();
                    for _ in 0..FLIPS {
                        sql.execute_batch(&there).and_then(|()| sql.execute_batch(&back)).unwrap();
                    }
                }
                Database::Postgres(url) => {
                    let mut sql = postgres::Client::connect(url, postgres::NoTls).unwrap();
                    for _ in 0..FLIPS {
                        sql.batch_execute(&there).and_then(|()| sql.batch_execute(&back)).unwrap();
                    }
                }
            })
        };
        let (mut right, mut refused) = (0, 0);
        while !thief.is_finished() || right == 0 {
            match house.ledger.credential(&ended.serial_hex()).await {
                Ok(found) => {
                    let found = found.expect("its leaf is there, so it is not unknown");
                    assert_eq!((found.operation, found.state), (ended.operation, State::Revoked));
                    right += 1;
                }
                Err(StoreError::Altered(_)) => refused += 1,
                Err(other) => panic!("{other}"),
            }
        }
        thief.join().unwrap();
        assert!(refused > 0, "no look met the thief, of {right}");
    });
}

const FLIPS: usize = 400;

/// Takes a revocation back in every row that tells of it.
fn unrevoke(database: &Database, op: u64) {
    write_beside(
        database,
        &format!(
            "DELETE FROM revocation WHERE op = {op}; UPDATE card SET pile = 0 WHERE op = {op}; \
             UPDATE place SET issued = issued + 1, revoked = revoked - 1 WHERE id = (SELECT place FROM card WHERE op = {op})"
        ),
    );
}

/// What signs code, and what issues, is found by such a list: the newest issued one of a key.
#[test]
fn what_was_revoked_is_not_found_as_issued_whatever_the_rows_say() {
    for kind in [Kind::Certificate, Kind::CaCertificate] {
        on_both(|database| async move {
            let house = House::open(&database).await;
            let signature = house.signature(Entry { kind, ..house.entry(1) }).await;
            let issued = house.ledger.conclude(signature).await.unwrap();
            let newest = || Filter {
                kind: Some(kind),
                state: Some(State::Issued),
                issuer: Some("tls".into()),
                key_hash: Some(issued.key_hash),
                ..Filter::default()
            };
            assert!(house.ledger.newest(newest()).await.unwrap().is_some());
            house.ledger.revoke(revocation(issued.operation)).await.unwrap();
            assert_eq!(house.ledger.newest(newest()).await.unwrap(), None);
            unrevoke(&database, issued.operation);
            let place = format!("intent op={}", issued.operation);
            altered(house.ledger.newest(newest()).await, &place);
            alarmed(&house, &place);
            let house = house.reopened(&database).await;
            altered(house.ledger.newest(newest()).await, &place);
            assert!(house.ledger.is_revoked(issued.operation));
            let there = house.ledger.credential_by_operation(issued.operation).await.unwrap().unwrap().into_inner();
            assert!(there.clone().live().is_err() && there.signed().is_ok(), "the two questions differ");
        });
    }
}

/// What another node or task does between the list and the look is no alteration.
#[test]
fn what_ends_while_it_is_listed_raises_no_alarm() {
    on_both(|database| async move {
        let house = House::open(&database).await;
        let other = house.beside(&database).await;
        let mut ended = Vec::new();
        for n in 0..40 {
            ended.push(house.issue(n).await.operation);
        }
        let ending = tokio::spawn(async move {
            for op in ended {
                other.ledger.revoke(revocation(op)).await.unwrap();
            }
        });
        while !ending.is_finished() {
            for state in [State::Issued, State::Revoked] {
                let found = house.ledger.matching(Filter { state: Some(state), ..Filter::default() }).await;
                assert!(found.unwrap().iter().all(|found| found.state == state));
            }
        }
        ending.await.unwrap();
        assert_eq!(house.ledger.integrity(), store::Integrity::default());
    });
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

/// The successor taken out of every row, and what it renewed put back onto the list of what is due.
#[test]
fn what_was_renewed_stays_renewed_whatever_the_rows_say_running_and_restarted() {
    on_both(|database| async move {
        let state = tempfile::tempdir().unwrap();
        let house = House::open_in(&database, state.path()).await;
        let old = house.issue(1).await;
        let attested = house.ledger.credential_by_operation(old.operation).await.unwrap().unwrap();
        assert_eq!(house.ledger.renewed(&attested), None);
        let details = serde_json::json!({ "renew": true, "renews": old.serial_hex() });
        let successor = Entry { details, renews: attested.renewal(), ..house.entry(2) };
        let new = house.ledger.conclude(house.signature(successor).await).await.unwrap().operation;
        write_beside(
            &database,
            &format!(
                "INSERT INTO renewal (op, due, not_after) SELECT op, not_before, not_after FROM intent WHERE op = {}; \
                 DELETE FROM card WHERE op = {new}; DELETE FROM name WHERE slot / 128 = {new}; \
                 DELETE FROM conclusion WHERE op = {new}; DELETE FROM intent WHERE op = {new};",
                old.operation
            ),
        );
        assert_eq!(house.ledger.renewed(&attested), Some(new));
        let closed = house.closed().await;
        // From the image of the fold, and from the leaves.
        for state in [Some(state.path()), None] {
            let ledger = closed.open(&database, state).await.unwrap();
            let attested = ledger.credential_by_operation(old.operation).await.unwrap().unwrap();
            assert_eq!(ledger.renewed(&attested), Some(new));
            ledger.close().await;
        }
    });
}

/// A serial of ours says when it was made: the leaves of that time are looked through before there is said to be none.
#[test]
fn a_deleted_certificate_is_missed_by_its_serial() {
    for sql in ["DELETE FROM intent WHERE op = OP", "UPDATE intent SET serial = NULL WHERE op = OP"] {
        on_both(|database| async move {
            let house = House::open(&database).await;
            let node = Instance::new(1).unwrap();
            let issue = async |n: u64| {
                let serial = Serial::generate(&house.world, node).as_bytes().to_vec();
                let signature = house.signature(Entry { serial, ..house.entry(n) }).await;
                house.ledger.conclude(signature).await.unwrap()
            };
            // Many of one second, on both sides and over more than a tile.
            for n in 0..30 {
                house.ledger.record(vec![record(&format!("before{n}"), Some(0))]).await.unwrap();
            }
            house.world.advance(100);
            for n in 0..150 {
                issue(n).await;
            }
            let gone = issue(200).await;
            house.world.advance(100);
            let other = issue(201).await;
            write_beside(&database, &sql.replace("OP", &gone.operation.to_string()));
            let place = format!("intent op={}", gone.operation);
            altered(house.ledger.credential(&gone.serial_hex()).await, &place);
            alarmed(&house, &place);
            assert!(house.ledger.credential(&other.serial_hex()).await.unwrap().is_some());
            // One that never was is none, and no alarm.
            let before = house.ledger.integrity().alarms_total;
            for never in [Serial::generate(&house.world, node).as_bytes().to_vec(), vec![7; 16], vec![1], vec![1; 20]] {
                assert_eq!(house.ledger.credential(&hex::encode(never)).await.unwrap(), None);
            }
            assert_eq!(house.ledger.integrity().alarms_total, before);
            // Nor does it help to take the leaf too.
            write_beside(&database, &format!("DELETE FROM leaf WHERE idx = {}", gone.operation));
            altered(house.ledger.credential(&gone.serial_hex()).await, &gone.operation.to_string());
        });
    }
}

/// What a thief does to the bytes of the newest CRL, whose rows are those from SLOT on; OLD are those of the one before, of
/// which the thief kept a copy.
const OBJECT_ATTACKS: [(&str, &str, bool); 6] = [
    (
        "altered",
        "UPDATE object SET bytes = (SELECT w.bytes FROM object w WHERE w.slot = SLOT + 1) WHERE slot = SLOT",
        true,
    ),
    ("put back", "UPDATE object SET bytes = (SELECT k.bytes FROM kept k) WHERE slot = SLOT", true),
    ("deleted", "DELETE FROM object", true),
    ("its end cut off", "DELETE FROM object WHERE slot = SLOT + 1", true),
    (
        "its chunks exchanged",
        "UPDATE object SET slot = SLOT + 9 WHERE slot = SLOT; UPDATE object SET slot = SLOT WHERE slot = SLOT + 1; \
         UPDATE object SET slot = SLOT + 1 WHERE slot = SLOT + 9",
        true,
    ),
    ("the old one back beside it", "INSERT INTO object (slot, bytes) SELECT OLD, k.bytes FROM kept k", false),
];

#[test]
fn the_bytes_of_a_crl_that_a_thief_touched_are_not_published_and_found() {
    for (what, sql, is_touched) in OBJECT_ATTACKS {
        on_both(|database| async move {
            let house = House::open(&database).await;
            let crl = |n| Entry {
                message: Message::from(tbs_crl_of(&[], (3 << 19) + n as usize)),
                ..house.crl(n, "tls", None)
            };
            let old = house.ledger.conclude(house.signature(crl(10)).await).await.unwrap().operation * 512;
            write_beside(&database, &format!("CREATE TABLE kept AS SELECT bytes FROM object WHERE slot = {old}"));
            house.ledger.conclude(house.signature(house.crl(11, "tls", None)).await).await.unwrap();
            let newest = house.ledger.conclude(house.signature(crl(12)).await).await.unwrap().operation;
            let sql = sql.replace("SLOT", &(newest * 512).to_string()).replace("OLD", &old.to_string());
            write_beside(&database, &sql);
            let place = format!("object slot={} op={newest}", newest * 512);
            let found = if is_touched { place.clone() } else { format!("object slot={old} op={}", old / 512) };
            for _ in 0..2 {
                house.ledger.audit_step().await.unwrap();
            }
            alarmed(&house, &found);
            let house = house.reopened(&database).await;
            match (is_touched, house.ledger.newest_crl("tls").await) {
                (true, read) => {
                    altered(read, &place);
                    alarmed(&house, &place);
                }
                (false, read) => assert_eq!(read.unwrap().unwrap().operation, newest, "{what}"),
            }
            let report = verified(database.clone(), None);
            assert!(
                report.findings.iter().any(|f| f.what == "object" && f.where_ == found),
                "{what}: {}",
                shown(&report)
            );
        });
    }
}

#[test]
fn a_revocation_that_a_thief_deletes_stays_one() {
    on_both(|database| async move {
        let house = House::open(&database).await;
        let issued = house.issue(1).await;
        house.ledger.revoke(revocation(issued.operation)).await.unwrap();
        write_beside(&database, "DELETE FROM revocation");
        let another = house.beside(&database).await;
        for house in [&house, &another] {
            let there = house.ledger.credential(&issued.serial_hex()).await.unwrap().unwrap();
            assert_eq!((there.state, there.reason), (State::Revoked, Some(1)));
            assert_eq!(house.ledger.revocations("tls").rows.len(), 1);
            assert!(house.ledger.is_compromised(&issued.key_hash));
        }
        let again = house.ledger.revoke(revocation(issued.operation)).await;
        assert!(matches!(again, Err(StoreError::Conflict(_))), "{again:?}");
    });
}

#[test]
fn a_revocation_out_of_nothing_revokes_nothing() {
    on_both(|database| async move {
        let house = House::open(&database).await;
        let issued = house.issue(1).await;
        write_beside(
            &database,
            &format!(
                "INSERT INTO revocation (leaf, op, at, revoked_at, reason, actor, proof, proof_id, action, rule, \
                 policy_hash) SELECT 0, {}, 0, 0, 1, 'x', 'system', '', 'x', 'x', policy_hash FROM intent",
                issued.operation
            ),
        );
        let there = house.ledger.credential(&issued.serial_hex()).await.unwrap().unwrap();
        assert_eq!(there.state, State::Issued);
    });
}

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
                let notes = pool.notes(support::ORIGIN).await.unwrap();
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
        assert_eq!(pool.notes(support::ORIGIN).await.unwrap().len(), 2);
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
fn no_node_begins_a_crl_that_covers_less_than_the_newest() {
    on_both(|database| async move {
        let one = House::open(&database).await;
        let issued = one.issue(1).await;
        let two = one.beside(&database).await;
        let earlier: Covers = two.ledger.revocations("tls").covers;
        one.ledger.revoke(revocation(issued.operation)).await.unwrap();
        let crl = |house: &House, n: u64, covers: Covers| {
            let mut entry = house.entry(n);
            entry.kind = store::Kind::Crl;
            entry.covers = Some(covers);
            entry
        };
        let covers = one.ledger.revocations("tls").covers;
        one.ledger.intend(crl(&one, 10, covers)).await.unwrap();
        let refused = two.ledger.intend(crl(&two, 11, earlier)).await;
        assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
        let covers = two.ledger.revocations("tls").covers;
        two.ledger.intend(crl(&two, 12, covers)).await.unwrap();
    });
}

#[test]
fn what_another_node_revokes_is_known_after_one_look() {
    on_both(|database| async move {
        let one = House::open(&database).await;
        let two = one.beside(&database).await;
        two_versions(&one).await;
        // Newer than what the other node knows: it follows by itself.
        assert!(two.ledger.record_get("thing", "a").await.unwrap().is_some());
        let issued = one.issue(1).await;
        assert!(two.ledger.credential(&issued.serial_hex()).await.unwrap().is_some());
        one.ledger.revoke(revocation(issued.operation)).await.unwrap();
        two.ledger.follow().await.unwrap();
        assert_eq!(two.ledger.credential(&issued.serial_hex()).await.unwrap().unwrap().state, State::Revoked);
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
