//! Certificates that another program signed: rows with leaves of their own kind, there with their end from the first moment on, proved and
//! guarded like any other, and never among what was signed here.

mod support;

use store::{DueFilter, Entry, Filter, IMPORTED, Import, ImportedEnd, Kind, State, StoreError};
use support::*;

fn ended(house: &House, reason: u8) -> Option<ImportedEnd> {
    let at = house.world.now();
    Some(ImportedEnd { reason, at, invalid: None, shard: None })
}

#[test]
fn what_comes_is_there_with_its_end_and_proved_by_its_leaf() {
    on_both(|database| async move {
        let house = House::open(&database).await;
        let mut all = Vec::new();
        for (n, reason) in [(1, None), (2, Some(4)), (3, Some(6)), (4, None)] {
            let end = reason.and_then(|reason| ended(&house, reason));
            all.push(house.foreign(n, end).await);
        }
        let before = house.ledger.counts().await.unwrap();
        let first = house.ledger.import(all.clone()).await.unwrap();
        let counts = house.ledger.counts().await.unwrap();
        assert_eq!((counts.issued - before.issued, counts.revoked - before.revoked), (2, 2));
        assert_eq!((counts.intended, counts.leaves - before.leaves), (before.intended, 6));
        let found = house.ledger.credential("a001").await.unwrap().unwrap();
        assert_eq!((found.operation, found.state, found.profile.as_str()), (first, State::Issued, IMPORTED));
        let hsm::Message::Whole(bytes) = &all[0].entry.message else { panic!("whole") };
        assert_eq!(found.x509_der().as_deref(), Some(&bytes[..]), "byte for byte");
        let leaf = house.ledger.leaves(first..first + 1).await.unwrap().remove(0).1;
        for said in ["\"event\":\"import\"", "\"outcome\":\"imported\"", "\"serial\":\"a001\"", "\"source\":\"0909"] {
            assert!(leaf.contains(said), "{said}: {leaf}");
        }
        assert!(!leaf.contains("\"algorithm\"") && !leaf.contains("\"profile\""), "nothing was signed: {leaf}");
        assert_eq!(house.ledger.credential("a002").await.unwrap().unwrap().state, State::Revoked);

        // It is listed, revoked and released like any other.
        let listed =
            house.ledger.list(Filter { profile: Some(IMPORTED.to_owned()), ..Filter::default() }).await.unwrap();
        assert_eq!(listed.items.len(), 4);
        house.ledger.revoke(revocation(found.operation)).await.unwrap();
        let held = house.ledger.credential("a003").await.unwrap().unwrap().operation;
        house.ledger.revoke(store::Revocation { reason: store::RELEASED, ..revocation(held) }).await.unwrap();
        assert_eq!(house.ledger.credential("a003").await.unwrap().unwrap().state, State::Issued);
        let far = house.world.now().plus_secs(1_000 * 86_400);
        let all = DueFilter { until: far, ends_after: policy::Timestamp::from_unix(0), after: None, limit: 0 };
        let due = house.ledger.due(all).await.unwrap();
        assert!(due.iter().all(|due| due.credential.imported.is_none()), "the server renews none of them");

        house.checkpoint().await;
        let report = verified(database.clone(), None);
        is_clean(&report);
        assert_eq!(report.imported, 4);
        // Four that the key signed here, and none of those that came.
        assert_eq!(report.certificates, 4);
    });
}

/// The first of a CA that come stand where nobody stood before.
#[test]
fn of_those_of_one_name_that_come_together_the_newest_is_live() {
    on_both(|database| async move {
        let house = House::open(&database).await;
        let mut all = Vec::new();
        for n in 1..=4 {
            let import = house.foreign(n, (n == 4).then(|| ended(&house, 4)).flatten()).await;
            let names = vec!["dns:www.old.example".to_owned()];
            all.push(Import { entry: Entry { names, ..import.entry }, ..import });
        }
        let before = house.ledger.counts().await.unwrap();
        house.ledger.import(all).await.unwrap();
        let counts = house.ledger.counts().await.unwrap();
        let of = |counts: &store::Counts| (counts.issued, counts.replaced, counts.revoked);
        let (there, now) = (of(&before), of(&counts));
        assert_eq!((now.0 - there.0, now.1 - there.1, now.2 - there.2), (1, 2, 1));
        house.checkpoint().await;
        is_clean(&verified(database.clone(), None));
    });
}

#[test]
fn a_serial_comes_once_and_all_or_none() {
    on_sqlite(|database| async move {
        let house = House::open(&database).await;
        let (one, two) = (house.foreign(1, None).await, house.foreign(2, ended(&house, 1)).await);
        house.ledger.import(vec![one.clone()]).await.unwrap();
        let before = house.ledger.counts().await.unwrap().leaves;
        let again = house.ledger.import(vec![two.clone(), one]).await;
        assert!(matches!(again, Err(StoreError::Duplicate(_))), "{again:?}");
        assert_eq!(house.ledger.counts().await.unwrap().leaves, before);
        assert!(house.ledger.credential("a002").await.unwrap().is_none());
        // What is no certificate, or says that it was made by a profile of ours, does not come this way, nor an import by the other.
        let odd = |entry: Entry| Import { entry, ..two.clone() };
        for entry in [
            Entry { kind: Kind::SshUser, ..two.entry.clone() },
            Entry { profile: "tls-server".to_owned(), ..two.entry.clone() },
            Entry { serial: Vec::new(), ..two.entry.clone() },
            Entry { validity: None, ..two.entry.clone() },
        ] {
            assert!(matches!(house.ledger.import(vec![odd(entry)]).await, Err(StoreError::Invalid(_))));
        }
        assert!(matches!(house.ledger.intend(two.entry.clone()).await, Err(StoreError::Invalid(_))));
        assert!(matches!(house.ledger.import(Vec::new()).await, Err(StoreError::Invalid(_))));
        let released = Import { end: ended(&house, 8), ..two.clone() };
        assert!(matches!(house.ledger.import(vec![released]).await, Err(StoreError::Invalid(_))));
        house.ledger.import(vec![two]).await.unwrap();
        is_clean(&verified(database.clone(), None));
    });
}

#[test]
fn an_imported_row_that_somebody_alters_is_found_and_not_believed() {
    on_sqlite(|database| async move {
        for (sql, place) in [
            ("UPDATE intent SET form = 'whole' WHERE form = 'imported'", "form"),
            ("UPDATE intent SET not_after = not_after + 1 WHERE form = 'imported'", "not_after"),
            ("UPDATE intent SET owner = 'mallory' WHERE form = 'imported'", "owner"),
            ("UPDATE intent SET message = x'3003020101' WHERE form = 'imported'", "message"),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let database = match &database {
                store::Database::Sqlite(_) => store::Database::Sqlite(dir.path().join("one.db")),
                other => other.clone(),
            };
            let house = House::open(&database).await;
            house.ledger.import(vec![house.foreign(1, None).await]).await.unwrap();
            house.checkpoint().await;
            write_beside(&database, sql);
            assert!(matches!(house.ledger.credential("a001").await, Err(StoreError::Altered(_))), "{sql}");
            let report = verified(database.clone(), None);
            assert!(report.findings.iter().any(|finding| finding.where_.contains(place)), "{sql}: {}", shown(&report));
        }
    });
}

#[test]
fn a_certificate_that_the_key_did_not_sign_is_a_finding() {
    on_sqlite(|database| async move {
        let house = House::open(&database).await;
        let mut forged = house.foreign(1, None).await;
        let hsm::Message::Whole(bytes) = &forged.entry.message else { panic!("whole") };
        let mut bytes = bytes.to_vec();
        bytes[6] ^= 1;
        forged.entry.message = hsm::Message::from(bytes);
        house.ledger.import(vec![forged]).await.unwrap();
        house.checkpoint().await;
        let report = verified(database.clone(), None);
        assert!(report.findings.iter().any(|finding| finding.what == "signature"), "{}", shown(&report));
    });
}
