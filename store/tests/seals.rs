//! What is sealed, under which generation of the sealing key, and how one generation follows another.

mod support;

use std::collections::BTreeMap;

use store::{Database, SEALED, Seals, StoreError};
use support::*;

/// More than a page of what is sealed anew at once.
const MANY: u32 = 70;

async fn seal(house: &House, id: &str, plain: &str) {
    house.ledger.seal(id, None, plain.as_bytes(), (actor(), None)).await.unwrap();
}

async fn opened(house: &House, id: &str) -> Result<String, StoreError> {
    let plain = house.ledger.open_sealed(id).await?.expect("there is one");
    Ok(String::from_utf8(plain.to_vec()).unwrap())
}

fn standing(house: &House) -> Vec<(u32, u64)> {
    house.ledger.standing().into_iter().collect()
}

#[test]
fn what_stands_under_an_old_generation_opens_and_is_sealed_anew_from_wherever_it_was_left() {
    on_both(|database| async move {
        let house = sealing_house(&database).await;
        for n in 0..MANY {
            seal(&house, &format!("s{n}"), &format!("plain {n}")).await;
        }
        in_force(&house, &[1, 2]).await;
        seal(&house, "new", "under two").await;
        assert_eq!(standing(&house), [(1, u64::from(MANY) + 1), (2, 1)]);
        let key = sealing_key(&house, 1).await;
        let refused = house.ledger.end_seal(1, &key, actor()).await;
        assert!(
            matches!(&refused, Err(StoreError::Conflict(why)) if why.contains("71 stand under seal/1")),
            "{refused:?}"
        );
        let first = house.ledger.rewrap(&actor()).await.unwrap();
        assert!(first.done > 0 && first.left > 0, "{first:?}");
        // The service ends in between, and goes on with what is left.
        let house = house.reopened(&database).await;
        assert_eq!(house.ledger.standing().get(&1), Some(&first.left));
        in_force(&house, &[1, 2]).await;
        assert_eq!(opened(&house, "s9").await.unwrap(), "plain 9");
        let second = house.ledger.rewrap(&actor()).await.unwrap();
        assert_eq!((second.done, second.left), (first.left, 0));
        assert_eq!(house.ledger.rewrap(&actor()).await.unwrap(), store::Rewrapped::default());
        // Nothing stands under it: it ends, and no node seals under it again.
        for _ in 0..2 {
            let farewell = house.ledger.end_seal(1, &key, actor()).await.unwrap();
            house.pool.destroy(farewell).await.unwrap();
            assert!(!house.pool.has_sealing(None, "seal-1").await.unwrap());
        }
        let late = house.beside(&database).await;
        let keys = BTreeMap::from([(1, sealing_key(&late, 1).await)]);
        late.ledger.take_seals(Seals { active: Some(1), keys, ..Seals::default() });
        let refused = late.ledger.seal("late", None, b"late", (actor(), None)).await;
        assert!(matches!(&refused, Err(StoreError::Conflict(why)) if why.contains("seal/1 has ended")), "{refused:?}");
        // The heads' own key moved along: the next start needs the new generation alone.
        let house = house.reopened(&database).await;
        in_force(&house, &[2]).await;
        for n in 0..MANY {
            assert_eq!(opened(&house, &format!("s{n}")).await.unwrap(), format!("plain {n}"));
        }
        house.checkpoint().await;
        is_clean(&verified(database, None));
    });
}

/// Two nodes seal anew: the slower one finds nothing left, which is no alteration, although it has not followed yet.
#[test]
fn a_node_that_comes_late_finds_nothing_left_to_seal_anew() {
    on_both(|database| async move {
        let house = sealing_house(&database).await;
        for n in 0..3 {
            seal(&house, &format!("s{n}"), "plain").await;
        }
        let late = house.beside(&database).await;
        in_force(&house, &[1, 2]).await;
        in_force(&late, &[1, 2]).await;
        assert_eq!(house.ledger.rewrap(&actor()).await.unwrap().left, 0);
        assert_eq!(standing(&late), [(1, 4)], "it does not know yet");
        assert_eq!(late.ledger.rewrap(&actor()).await.unwrap(), store::Rewrapped::default());
        assert_eq!(standing(&late), [(2, 4)]);
        // What somebody took away is told as before.
        in_force(&late, &[1, 2, 3]).await;
        write_beside(&database, "UPDATE present SET lookup = 'seal/9' WHERE kind = 'sealed'");
        let refused = late.ledger.rewrap(&actor()).await;
        assert!(matches!(&refused, Err(StoreError::Altered(why)) if why.contains("under seal/2")), "{refused:?}");
    });
}

#[test]
fn the_generation_in_force_does_not_end() {
    on_sqlite(|database| async move {
        let house = sealing_house(&database).await;
        let key = sealing_key(&house, 1).await;
        let refused = house.ledger.end_seal(1, &key, actor()).await;
        assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
    });
}

#[test]
fn a_sealed_row_that_a_thief_took_altered_moved_or_put_back_opens_nowhere() {
    let body_of =
        |other: &str| format!("(SELECT w.body FROM record w WHERE w.id = '{other}' ORDER BY leaf DESC LIMIT 1)");
    let attacks = [
        ("altered", "UPDATE record SET body = REPLACE(body, 'A', 'B') WHERE id = 'a'".to_owned()),
        ("exchanged", format!("UPDATE record SET body = {} WHERE id = 'a'", body_of("b"))),
        (
            "moved under another generation",
            "UPDATE record SET lookup = 'seal/2', body = REPLACE(body, 'seal/1', 'seal/2') WHERE id = 'a'; \
             UPDATE present SET lookup = 'seal/2' WHERE id = 'a'"
                .to_owned(),
        ),
        ("deleted", "DELETE FROM record WHERE id = 'a'; DELETE FROM present WHERE id = 'a'".to_owned()),
    ];
    for (what, sql) in attacks {
        on_both(|database| {
            let sql = sql.clone();
            async move {
                let house = sealing_house(&database).await;
                seal(&house, "a", "AAAA").await;
                seal(&house, "b", "BBBB").await;
                in_force(&house, &[1, 2]).await;
                write_beside(&database, &sql);
                let refused = opened(&house, "a").await;
                assert!(matches!(refused, Err(StoreError::Altered(_))), "{what}: {refused:?}");
                let alarms = house.ledger.integrity().alarms;
                assert!(alarms.iter().any(|alarm| alarm.place.contains("kind=sealed id=a")), "{what}: {alarms:?}");
                assert_eq!(opened(&house, "b").await.unwrap(), "BBBB", "{what}: the others go on");
                // It is not lost with the old generation: that does not end while the log says that something stands under it.
                while house.ledger.rewrap(&actor()).await.is_ok_and(|page| page.done > 0) {}
                assert!(house.ledger.standing().contains_key(&1), "{what}");
                let key = sealing_key(&house, 1).await;
                assert!(house.ledger.end_seal(1, &key, actor()).await.is_err(), "{what}");
                house.checkpoint().await;
                assert!(!verified(database, None).findings.is_empty(), "{what}");
            }
        });
    }
}

/// What the log's name, the record's name and the generation are bound by: with rows and leaves that are all honest, and bytes that
/// belong elsewhere.
#[test]
fn sealed_bytes_open_under_their_own_name_and_generation_alone() {
    on_sqlite(|database| async move {
        let house = sealing_house(&database).await;
        in_force(&house, &[1, 2]).await;
        seal(&house, "a", "AAAA").await;
        let there = house.ledger.record_get(SEALED, "a").await.unwrap().unwrap().into_inner();
        let moved = |id: &str, from: &str, to: &str| {
            let body = there.body.to_string().replace(from, to);
            let record = record(id, None);
            store::Record {
                kind: SEALED,
                lookup: Some(to.to_owned()),
                body: serde_json::from_str(&body).unwrap(),
                ..record
            }
        };
        house.ledger.record(vec![moved("renamed", "seal/2", "seal/2")]).await.unwrap();
        house.ledger.record(vec![moved("a", "seal/2", "seal/1")]).await.unwrap();
        for id in ["renamed", "a"] {
            let refused = opened(&house, id).await;
            assert!(matches!(&refused, Err(StoreError::Corrupt(why)) if why.contains("refused")), "{id}: {refused:?}");
        }
        // And what says two things of itself is written by nobody.
        let two = store::Record { lookup: Some("seal/1".into()), ..moved("b", "seal/2", "seal/2") };
        assert!(matches!(house.ledger.record(vec![two]).await, Err(StoreError::Invalid(_))));
    });
}

#[test]
fn a_start_finds_the_heads_key_in_its_record_where_somebody_took_it_from_beside_the_head() {
    for sql in ["UPDATE head SET sealed_key = NULL", "UPDATE head SET sealed_key = edge"] {
        on_both(|database| async move {
            let house = sealing_house(&database).await;
            seal(&house, "a", "AAAA").await;
            is_found_by_verify(&database, false).await;
            write_beside(&database, sql);
            is_found_by_verify(&database, true).await;
            let house = house.reopened(&database).await;
            in_force(&house, &[1]).await;
            assert_eq!(opened(&house, "a").await.unwrap(), "AAAA");
        });
    }
}

/// A text where bytes belong, which SQLite takes.
#[test]
fn a_start_passes_over_what_is_no_bytes_beside_the_head() {
    on_sqlite(|database| async move {
        let house = sealing_house(&database).await;
        seal(&house, "a", "AAAA").await;
        write_beside(&database, "UPDATE head SET sealed_key = 'text'");
        is_found_by_verify(&database, true).await;
        let house = house.reopened(&database).await;
        in_force(&house, &[1]).await;
        assert_eq!(opened(&house, "a").await.unwrap(), "AAAA");
    });
}

/// Whether `verify` says that what lies beside the head is not its record's.
async fn is_found_by_verify(database: &Database, is_found: bool) {
    let database = database.clone();
    let report =
        tokio::task::spawn_blocking(move || store::verify(database, None, &mut |_| {})).await.unwrap().unwrap();
    let found = report.findings.iter().any(|finding| finding.where_.contains("sealed_key"));
    assert_eq!(found, is_found, "{:?}", report.findings);
}

/// And beside the head, where somebody took it from its record: sealed anew there too.
#[test]
fn a_start_finds_the_heads_key_beside_the_head_after_it_was_sealed_anew() {
    on_both(|database| async move {
        let house = sealing_house(&database).await;
        let key = sealing_key(&house, 1).await;
        in_force(&house, &[1, 2]).await;
        assert_eq!(house.ledger.rewrap(&actor()).await.unwrap().left, 0);
        house.pool.destroy(house.ledger.end_seal(1, &key, actor()).await.unwrap()).await.unwrap();
        write_beside(&database, "DELETE FROM present WHERE kind = 'sealed' AND id = 'head-key'");
        house.reopened(&database).await;
    });
}

/// Two registers over one key would each lose what it sealed when the other has it end.
#[test]
fn a_new_register_takes_no_sealing_key_that_is_there_already() {
    on_sqlite(|database| async move {
        let house = House::open(&database).await;
        let folder = tempfile::tempdir().unwrap();
        let other = Database::Sqlite(folder.path().join("other.db"));
        let refused = house.open_beside(&other).await;
        assert!(matches!(&refused, Err(StoreError::Conflict(why)) if why.contains("`seal-1`")), "{refused:?}");
    });
}
