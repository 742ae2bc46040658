//! Delta CRLs: one sequence of numbers with the complete ones, exactly what was said since the base, and the base kept while it is named.

mod support;

use hsm::Message;
use policy::Timestamp;
use rusqlite::Connection;
use store::{Base, Covers, Database, Entry, HOLD, Issued, RELEASED, Revocation, StoreError};
use support::found::{append_again, append_bent, clean, finds};
use support::*;

type Listed = Vec<(Vec<u8>, Timestamp, u8)>;

async fn signed(house: &House, entry: Entry) -> Issued {
    house.ledger.conclude(house.signature(entry).await).await.unwrap()
}

async fn said(house: &House, operation: u64, reason: u8) {
    house.ledger.revoke(Revocation { reason, ..revocation(operation) }).await.unwrap();
}

/// Four certificates: the first two are told by a complete CRL with the number 10, one of them held; that one is released since, and
/// a third is revoked. What a delta has to list.
async fn begun(house: &House) -> Listed {
    let mut issued = Vec::new();
    for n in 1..=4 {
        issued.push(house.issue(n).await.operation);
    }
    said(house, issued[0], 4).await;
    said(house, issued[1], HOLD).await;
    signed(house, house.crl(10, "tls", None)).await;
    said(house, issued[1], RELEASED).await;
    said(house, issued[2], 1).await;
    let told = house.ledger.crl_bases("tls")[0].1.revocations() as usize;
    let rows = house.ledger.revocations_in("tls", told..usize::MAX).rows;
    rows.iter().map(|row| (row.serial.clone(), row.revoked_at, row.reason)).collect()
}

#[test]
fn a_delta_is_held_to_what_was_said_since_its_base() {
    type Lie = (&'static str, fn(&mut Listed));
    let lies: [Lie; 8] = [
        ("does not list 01010000000000000000000000000003", |listed| drop(listed.pop())),
        ("does not list 01010000000000000000000000000002", |listed| drop(listed.remove(0))),
        ("does not list 01010000000000000000000000000002", |listed| listed.clear()),
        // It is revoked, and its base says so.
        ("lists 01010000000000000000000000000001, which was not revoked", |l| l.push((serial(1), l[0].1, 4))),
        ("lists 01010000000000000000000000000004, which was not revoked", |l| l.push((serial(4), l[0].1, RELEASED))),
        ("lists 01010000000000000000000000000003, which was not revoked", |l| l.push(l[1].clone())),
        ("another date or reason", |listed| listed[0].2 = HOLD),
        ("another date or reason", |listed| listed[1].2 = RELEASED),
    ];
    for (says, lie) in lies {
        on_sqlite(|database| async move {
            let house = House::open(&database).await;
            let mut listed = begun(&house).await;
            assert_eq!(listed.iter().map(|(_, _, reason)| *reason).collect::<Vec<_>>(), [RELEASED, 1]);
            house.ledger.intend(house.delta(11, "tls", Some(&listed))).await.unwrap();
            clean(&database);
            lie(&mut listed);
            house.ledger.intend(house.delta(12, "tls", Some(&listed))).await.unwrap();
            finds(&database, "crl", says);
        });
    }
}

#[test]
fn the_bytes_of_a_crl_name_the_number_and_the_base_of_its_intent() {
    let lies: [(&str, u64, Option<u64>, bool); 5] = [
        ("names another base", 11, Some(9), true),
        ("names another base", 11, None, true),
        ("names another base", 11, Some(10), false),
        ("has another number than its intent's 11", 12, Some(10), true),
        ("has another number than its intent's 11", 10, None, false),
    ];
    for (says, number, base, is_delta) in lies {
        on_sqlite(|database| async move {
            let house = House::open(&database).await;
            let since = begun(&house).await;
            let (mut entry, listed) = match is_delta {
                true => (house.delta(11, "tls", None), since),
                false => {
                    let rows = house.ledger.revocations("tls").rows;
                    let stands = rows.iter().filter(|row| row.reason != RELEASED && !row.changes);
                    let listed = stands.map(|row| (row.serial.clone(), row.revoked_at, row.reason));
                    (house.crl(11, "tls", None), listed.collect())
                }
            };
            entry.message = Message::from(tbs_crl_numbered(&listed, number, base));
            house.ledger.intend(entry).await.unwrap();
            finds(&database, "crl", says);
        });
    }
}

#[test]
fn a_delta_whose_base_is_none_or_whose_number_goes_back_is_found_in_any_log() {
    let bends: [(&str, &str, &str); 4] = [
        ("names CRL 9 of leaf", "\"number\":10}", "\"number\":9}"),
        ("no complete one that is signed and kept", "\"base\":{\"op\":", "\"base\":{\"op\":1"),
        ("is no delta", "\"issuer\":\"tls/delta\"", "\"issuer\":\"tls\""),
        ("the CRL number 11 is not above 12", "", ""),
    ];
    for (says, from, to) in bends {
        on_sqlite(|database| async move {
            let house = House::open(&database).await;
            begun(&house).await;
            let number = if from.is_empty() { 11 } else { 13 };
            let (first, next) = (house.delta(number, "tls", None), house.delta(12, "tls", None));
            let delta = house.ledger.intend(first).await.unwrap().operation();
            if from.is_empty() {
                // It covers as much and no more, so that it is the number alone that is wrong.
                house.ledger.intend(next).await.unwrap();
            }
            house.ledger.close().await;
            clean(&database);
            if from.is_empty() {
                append_again(&database, delta, "intent", "intent_serial");
            } else {
                // A greater number, so that it is the base alone that is wrong.
                append_bent(&database, delta, ("intent", "intent_serial"), |leaf| {
                    let greater = leaf.replace("\"serial\":\"0101000000000000000000000000000d\"", GREATER);
                    let bent = greater.replace(from, to);
                    assert!(bent != greater && greater != leaf, "{leaf}");
                    bent
                });
            }
            let found = verified(database.clone(), None).findings;
            assert!(found.iter().any(|f| f.what == "crl" && f.to_string().contains(says)), "{says}: {found:?}");
        });
    }
}

const GREATER: &str = "\"serial\":\"0101000000000000000000000000000e\"";

/// Rows of the table of bytes, by the eyes of another program.
fn kept(database: &Database) -> i64 {
    let sql = Connection::open(path_of(database)).unwrap();
    sql.query_row("SELECT COUNT(*) FROM object", [], |row| row.get(0)).unwrap()
}

#[test]
fn a_base_is_kept_as_long_as_the_newest_delta_names_it_also_over_a_restart() {
    on_sqlite(|database| async move {
        let house = House::open(&database).await;
        begun(&house).await;
        let first = house.ledger.crl_bases("tls")[0].0;
        let delta = signed(&house, house.delta(11, "tls", None)).await;
        assert_eq!(house.ledger.newest_crl_operation("tls/delta"), Some(delta.operation));
        assert_eq!(
            house.ledger.newest_crl_operation("tls"),
            Some(first.operation()),
            "a delta is not the complete one"
        );
        let second = signed(&house, correct(&house, 12)).await;
        assert_eq!(kept(&database), 3, "the base, the delta, the newest");
        let house = house.reopened(&database).await;
        assert_eq!(numbers(&house), [10, 12]);
        let read = house.ledger.newest_crl("tls/delta").await.unwrap().unwrap();
        assert_eq!(read.operation, delta.operation);
        assert!(!read.x509_der().is_empty());
        clean(&database);
        // A delta that rests on the newest one lets go of the old base; a batch may hold several of these steps.
        let (base, _) = house.ledger.crl_bases("tls")[1];
        assert_eq!(base.operation(), second.operation);
        let known = house.ledger.revocations("tls").covers;
        let newest = Entry {
            message: Message::from(tbs_crl_numbered(&[], 13, Some(12))),
            covers: Some(known.since(base)),
            ..house.delta(13, "tls", None)
        };
        signed(&house, newest).await;
        assert_eq!((numbers(&house), kept(&database)), (vec![12], 2));
        let old = Entry { covers: Some(known.since(first)), ..house.delta(14, "tls", None) };
        let refused = house.ledger.intend(old).await;
        assert!(matches!(&refused, Err(StoreError::Conflict(why)) if why.contains("names CRL 10")), "{refused:?}");
        clean(&database);
    });
}

fn numbers(house: &House) -> Vec<u64> {
    house.ledger.crl_bases("tls").iter().map(|(base, _): &(Base, Covers)| base.number()).collect()
}

/// A complete CRL of everything that stands.
fn correct(house: &House, n: u64) -> Entry {
    let rows = house.ledger.revocations("tls").rows;
    let stands = rows.iter().filter(|row| row.reason != RELEASED && !row.changes);
    let listed: Listed = stands.map(|row| (row.serial.clone(), row.revoked_at, row.reason)).collect();
    house.crl(n, "tls", Some(&listed))
}

#[test]
fn two_nodes_make_deltas_and_complete_crls_of_one_sequence() {
    on_both(|database| async move {
        let one = House::open(&database).await;
        begun(&one).await;
        let two = one.beside(&database).await;
        let delta = signed(&one, one.delta(11, "tls", None)).await;
        let conflict = |refused: Result<hsm::Intent, StoreError>, says: &str| {
            assert!(matches!(&refused, Err(StoreError::Conflict(why)) if why.contains(says)), "{says}: {refused:?}");
        };
        // Of whichever kind, a number that is not above, and a cover that is less.
        conflict(two.ledger.intend(correct(&two, 11)).await, "not above 11");
        conflict(two.ledger.intend(two.delta(10, "tls", None)).await, "not above 11");
        two.ledger.follow().await.unwrap();
        assert_eq!(two.ledger.newest_crl_operation("tls/delta"), Some(delta.operation));
        assert_eq!(two.ledger.last_crl_number("tls"), 11);
        let early = correct(&two, 13);
        let issued = one.issue(5).await;
        said(&one, issued.operation, 1).await;
        signed(&one, one.delta(12, "tls", None)).await;
        conflict(two.ledger.intend(early).await, "would cover less");
        two.ledger.follow().await.unwrap();
        signed(&two, correct(&two, 13)).await;
        one.ledger.follow().await.unwrap();
        assert_eq!(numbers(&one), [10, 13]);
        is_clean(&verified(database.clone(), None));
    });
}
