//! Values beside sealed records: opened once their access is in the log, taken along when their key is sealed anew, and gone when they are
//! to be gone.

mod support;

use store::{
    ACCESSED_MAX, AccessEntry, Accessed, BESIDE_BYTES_MAX, GrantStamp, Judged, NewValue, RecordPlace, Recorded, SEALED,
    SealedValue, Showing, StoreError,
};
use support::*;

const KEY: [u8; 32] = [7; 32];

async fn keep(house: &House, id: &str, envelope: &[u8]) -> Result<Vec<u64>, StoreError> {
    let value = NewValue {
        id: id.to_owned(),
        owner: Some("web".into()),
        key: &KEY,
        wrapped: None,
        envelope: envelope.to_vec(),
        instead_of: vec![],
    };
    house.ledger.keep_value(value, vec![record(id, Some(0))], actor()).await
}

async fn value(house: &House, id: &str) -> Result<Option<SealedValue>, StoreError> {
    Ok(house.ledger.value(id).await?.map(store::Attested::into_inner))
}

fn access(opened: Vec<Accessed>) -> AccessEntry {
    let grant = GrantStamp { action: "read-secret".into(), rule: "role:reader".into(), policy_hash: [3; 32] };
    AccessEntry {
        actor: actor(),
        grant,
        showing: Showing::Opened,
        since: None,
        until: None,
        opened,
        judged: Vec::new(),
        used: None,
    }
}

async fn recorded(house: &House, values: &[&SealedValue]) -> Result<Recorded, StoreError> {
    let of = |value: &&SealedValue| Accessed { id: value.id().to_owned(), version: value.version() };
    house.ledger.access(access(values.iter().map(of).collect())).await
}

#[test]
fn a_value_is_opened_once_its_access_is_in_the_log() {
    on_both(|database| async move {
        let house = sealing_house(&database).await;
        keep(&house, "a@1", b"sealed a").await.unwrap();
        keep(&house, "b@1", b"sealed b").await.unwrap();
        let (a, b) = (value(&house, "a@1").await.unwrap().unwrap(), value(&house, "b@1").await.unwrap().unwrap());
        assert_eq!((a.envelope.as_slice(), a.owner()), (&b"sealed a"[..], Some("web")));
        let refused = house.ledger.open_sealed("a@1").await;
        assert!(matches!(&refused, Err(StoreError::Invalid(why)) if why.contains("recorded")), "{refused:?}");
        let before = house.ledger.head().size;
        let access = recorded(&house, &[&a]).await.unwrap();
        assert_eq!((access.leaf(), house.ledger.head().size), (before, before + 1), "one leaf, and it is there");
        assert_eq!(house.ledger.unseal(&a, &access).await.unwrap().as_slice(), KEY);
        let refused = house.ledger.unseal(&b, &access).await;
        assert!(matches!(&refused, Err(StoreError::Invalid(why)) if why.contains("b@1")), "{refused:?}");
        let both = recorded(&house, &[&a, &b]).await.unwrap();
        assert_eq!(both.leaf(), before + 1, "one leaf for all of an answer");
        assert_eq!(house.ledger.unseal(&b, &both).await.unwrap().as_slice(), KEY);
        // A value is written once.
        assert!(matches!(keep(&house, "a@1", b"other").await, Err(StoreError::Conflict(_))));
        house.checkpoint().await;
        is_clean(&verified(database, None));
    });
}

#[test]
fn an_access_is_refused_where_it_was_judged_by_what_is_so_no_more() {
    on_both(|database| async move {
        let house = sealing_house(&database).await;
        keep(&house, "a@1", b"sealed a").await.unwrap();
        let a = value(&house, "a@1").await.unwrap().unwrap();
        let opened = vec![Accessed { id: a.id().to_owned(), version: a.version() }];
        let there = record("a@1", None);
        let version = house.ledger.record_version(there.kind, &there.id);
        let by = |version| AccessEntry {
            judged: vec![Judged { place: RecordPlace::of(there.kind, &there.id), version }],
            ..access(opened.clone())
        };
        house.ledger.access(by(version)).await.unwrap();
        assert!(house.ledger.is_present(&a));
        // Somebody says something else of it; what is sealed stays.
        house.ledger.record(vec![there.clone()]).await.unwrap();
        let size = house.ledger.head().size;
        for past in [version, 0] {
            let refused = house.ledger.access(by(past)).await;
            assert!(matches!(&refused, Err(StoreError::Conflict(_))), "{refused:?}");
        }
        let many = AccessEntry { judged: vec![by(1).judged.remove(0); ACCESSED_MAX + 1], ..access(opened.clone()) };
        assert!(matches!(house.ledger.access(many).await, Err(StoreError::Invalid(_))));
        assert_eq!(house.ledger.head().size, size, "and no leaf says that it was shown");
        house.ledger.access(by(house.ledger.record_version(there.kind, &there.id))).await.unwrap();
        in_force(&house, &[1, 2]).await;
        house.ledger.rewrap(&actor()).await.unwrap();
        assert!(!house.ledger.is_present(&a), "its key was sealed anew");
    });
}

#[test]
fn what_lies_beside_a_record_goes_along_when_its_key_is_sealed_anew_and_goes_when_it_is_destroyed() {
    on_both(|database| async move {
        let house = sealing_house(&database).await;
        keep(&house, "a@1", b"sealed a").await.unwrap();
        keep(&house, "b@1", b"sealed b").await.unwrap();
        let old = value(&house, "a@1").await.unwrap().unwrap();
        in_force(&house, &[1, 2]).await;
        assert_eq!(house.ledger.rewrap(&actor()).await.unwrap().left, 0);
        let new = value(&house, "a@1").await.unwrap().unwrap();
        assert!(new.version() > old.version() && new.envelope == old.envelope);
        // What is shown is what is present.
        assert!(matches!(recorded(&house, &[&old]).await, Err(StoreError::Conflict(_))));
        let access = recorded(&house, &[&new]).await.unwrap();
        assert_eq!(house.ledger.unseal(&new, &access).await.unwrap().as_slice(), KEY);
        let gone = vec![("a@1".to_owned(), Some("web".to_owned()))];
        house.ledger.destroy_values(gone, Vec::new(), &actor()).await.unwrap();
        assert_eq!(value(&house, "a@1").await.unwrap(), None);
        // And one that goes with another's coming.
        keep(&house, "c@1", b"sealed c").await.unwrap();
        let instead_of = vec!["c@1".to_owned()];
        let envelope = b"sealed d".to_vec();
        let next = NewValue { id: "c@2".into(), owner: None, key: &KEY, wrapped: None, envelope, instead_of };
        house.ledger.keep_value(next, vec![], actor()).await.unwrap();
        assert_eq!(value(&house, "c@1").await.unwrap(), None);
        house.ledger.destroy_values(vec![("c@2".into(), None)], vec![], &actor()).await.unwrap();
        assert_eq!(house.ledger.open_sealed("a@1").await.unwrap(), None);
        assert_eq!(house.ledger.standing().get(&2), Some(&2), "b and the key of the heads");
        assert!(matches!(keep(&house, "a@1", b"again").await, Err(StoreError::Conflict(_))), "nor comes again");
        let house = house.reopened(&database).await;
        in_force(&house, &[2]).await;
        assert_eq!(value(&house, "a@1").await.unwrap(), None);
        assert_eq!(value(&house, "b@1").await.unwrap().unwrap().envelope, b"sealed b");
        house.checkpoint().await;
        is_clean(&verified(database, None));
    });
}

#[test]
fn bytes_that_a_thief_altered_exchanged_put_or_took_are_refused_with_an_alarm_and_found() {
    let of = |id: &str| format!("(SELECT leaf FROM present WHERE kind = 'sealed' AND id = '{id}')");
    let other = format!("SELECT bytes FROM beside WHERE leaf = {}", of("b@1"));
    let attacks = [
        (
            "altered",
            format!("UPDATE beside SET bytes = (SELECT hash FROM leaf WHERE idx = 0) WHERE leaf = {}", of("a@1")),
        ),
        ("exchanged", format!("UPDATE beside SET bytes = ({other}) WHERE leaf = {}", of("a@1"))),
        ("taken", format!("DELETE FROM beside WHERE leaf = {}", of("a@1"))),
    ];
    for (what, sql) in attacks {
        on_both(|database| {
            let sql = sql.clone();
            async move {
                let house = sealing_house(&database).await;
                keep(&house, "a@1", b"sealed a").await.unwrap();
                keep(&house, "b@1", b"sealed b").await.unwrap();
                write_beside(&database, &sql);
                let refused = value(&house, "a@1").await;
                assert!(matches!(refused, Err(StoreError::Altered(_))), "{what}: {refused:?}");
                let alarms = house.ledger.integrity().alarms;
                assert!(alarms.iter().any(|alarm| alarm.place.contains("beside leaf=")), "{what}: {alarms:?}");
                assert_eq!(value(&house, "b@1").await.unwrap().unwrap().envelope, b"sealed b", "{what}");
                house.checkpoint().await;
                let report = verified(database, None);
                assert!(
                    report.findings.iter().any(|found| found.where_.contains("beside leaf=")),
                    "{what}: {report:?}"
                );
            }
        });
    }
}

/// What somebody puts beside a record that has none, or keeps of one that was destroyed, is found.
#[test]
fn bytes_that_belong_to_no_present_version_are_found() {
    on_both(|database| async move {
        let house = sealing_house(&database).await;
        keep(&house, "a@1", b"sealed a").await.unwrap();
        let leaf = value(&house, "a@1").await.unwrap().unwrap().version() - 1;
        house.ledger.destroy_values(vec![("a@1".into(), None)], Vec::new(), &actor()).await.unwrap();
        house.checkpoint().await;
        is_clean(&verified(database.clone(), None));
        write_beside(
            &database,
            &format!("INSERT INTO beside (leaf, bytes) SELECT {leaf}, hash FROM leaf WHERE idx = 0"),
        );
        assert_eq!(value(&house, "a@1").await.unwrap(), None);
        let mut found = false;
        for _ in 0..4 {
            house.ledger.audit_step().await.unwrap();
            found = house.ledger.integrity().alarms.iter().any(|alarm| alarm.place == format!("beside leaf={leaf}"));
            if found {
                break;
            }
        }
        assert!(found, "the service's own audit finds it");
        let report = verified(database, None);
        assert!(
            report.findings.iter().any(|found| found.where_.contains(&format!("beside leaf={leaf}"))),
            "{report:?}"
        );
    });
}

#[test]
fn an_access_names_what_there_is_and_no_more_than_fits() {
    on_sqlite(|database| async move {
        let house = sealing_house(&database).await;
        keep(&house, "a@1", b"sealed a").await.unwrap();
        let there = value(&house, "a@1").await.unwrap().unwrap();
        let of = |id: &str, version| Accessed { id: id.to_owned(), version };
        for wrong in [of("a@2", 1), of("a@2", 0), of("a@1", there.version() + 1), of("a@1", 0)] {
            let refused = house.ledger.access(access(vec![of("a@1", there.version()), wrong])).await;
            assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
        }
        for many in [0, store::ACCESSED_MAX + 1] {
            let refused = house.ledger.access(access(vec![of("a@1", there.version()); many])).await;
            assert!(matches!(refused, Err(StoreError::Invalid(_))), "{many}: {refused:?}");
        }
        // The longest names of the most that fit into one leaf.
        let id = |n: usize| format!("{n:02}{}", "p".repeat(540));
        let mut all = Vec::new();
        for n in 0..store::ACCESSED_MAX {
            let version = *keep(&house, &id(n), b"x").await.unwrap().last().unwrap();
            all.push(of(&id(n), version));
        }
        house.ledger.access(access(all)).await.unwrap();
    });
}

#[test]
fn the_largest_value_fits_and_one_byte_more_is_refused() {
    on_both(|database| async move {
        let house = sealing_house(&database).await;
        let largest = vec![9; BESIDE_BYTES_MAX];
        keep(&house, "a@1", &largest).await.unwrap();
        assert_eq!(value(&house, "a@1").await.unwrap().unwrap().envelope, largest);
        let refused = keep(&house, "b@1", &[largest, vec![9]].concat()).await;
        assert!(matches!(refused, Err(StoreError::Invalid(_))), "{refused:?}");
        // What a record says of bytes that are not there is written by nobody.
        let lie = store::Record {
            kind: SEALED,
            body: serde_json::json!({ "gone": true, "beside": { "sha256": "00".repeat(32), "bytes": 1 } }),
            ..record("c@1", Some(0))
        };
        assert!(matches!(house.ledger.record(vec![lie]).await, Err(StoreError::Invalid(_))));
    });
}
