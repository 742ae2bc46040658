//! Certificates: found by their number, serial and state as the log has them, whatever the rows say.

use policy::{Instance, Serial};
use store::{Database, Entry, Filter, Kind, State, StoreError};

use crate::support::{House, on_both, record, revocation, write_beside};

use super::{alarmed, altered};

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
