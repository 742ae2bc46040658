//! A backup: in one moment beside those who write, into either engine and out of it again, whole or not at all, and refused wherever a
//! byte of it is another.

mod support;

use std::io::Cursor;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};

use proptest::prelude::*;
use store::testing::TestPostgres;
use store::{
    About, BackedUp, Companion, Database, Kept, Place, StoreError, Unproved, back_up, look_through, restore,
    restore_looking, settings_unsigned,
};
use support::*;

fn about() -> About {
    About { program: "0.0.0".into(), taken: "2026-11-28T00:00:00Z".into(), origin: ORIGIN.into() }
}

fn files() -> Vec<Companion> {
    let file = |name: &str, bytes: &[u8]| Companion { name: name.into(), bytes: bytes.to_vec() };
    vec![file("chancery.toml", b"[server]\n"), file("policies/system.cedar", b"permit;\n")]
}

fn copied(database: &Database) -> (Vec<u8>, BackedUp) {
    let mut stream = Vec::new();
    let backed_up = back_up(database, &about(), &files(), &mut stream, &mut |_| ()).unwrap();
    (stream, backed_up)
}

fn put(stream: &[u8], database: &Database, place: &Place) -> Result<BackedUp, StoreError> {
    restore(database, &mut Cursor::new(stream), place, &mut |_| ())
}

/// A register with a row in most tables; its database's own threads have ended.
async fn filled(database: &Database) -> Closed {
    let house = House::open(database).await;
    for n in 1..=300 {
        house.issue(n).await;
    }
    house.ledger.revoke(revocation(4)).await.unwrap();
    house.ledger.record(vec![record("a", Some(0)), record("b", Some(0))]).await.unwrap();
    house.ledger.intend(house.entry(301)).await.unwrap();
    house.checkpoint().await;
    house.closed().await
}

/// Off the async threads, as the driver of PostgreSQL wants it.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

/// A stream of a small register, for those who spoil it.
static STREAM: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let (dir, runtime) = (tempfile::tempdir().unwrap(), tokio::runtime::Runtime::new().unwrap());
    let database = Database::Sqlite(dir.path().join("r.db"));
    runtime.block_on(async {
        let house = House::open(&database).await;
        house.issue(1).await;
        house.checkpoint().await;
        house.closed().await;
    });
    copied(&database).0
});

#[test]
fn a_register_comes_out_of_either_engine_and_goes_into_either_and_is_the_same() {
    on_both(|database| async move {
        let closed = filled(&database).await;
        blocking(move || {
            let (stream, there) = copied(&database);
            let (dir, server) = (tempfile::tempdir().unwrap(), TestPostgres::start());
            for target in [Database::Sqlite(dir.path().join("new.db")), server.database()] {
                let place = Place { origin: Some(ORIGIN.into()), known: Vec::new() };
                let back = put(&stream, &target, &place).unwrap();
                assert_eq!(back, there);
                is_clean(&verified(target.clone(), None));
                let (again, _) = copied(&target);
                let rows = |stream: &[u8]| stream.splitn(2, |b| *b == b'\n').nth(1).unwrap().to_vec();
                let cut = |stream: &[u8]| {
                    let rows = rows(stream);
                    let last = rows[..rows.len() - 1].iter().rposition(|b| *b == b'\n').unwrap();
                    rows[..last].to_vec()
                };
                assert!(cut(&again) == cut(&stream), "the rows of {target} are others");
                // A second one is not put over it.
                assert!(matches!(put(&stream, &target, &place), Err(StoreError::Conflict(_))));
            }
            drop(closed);
        })
        .await;
    });
}

#[test]
fn a_service_goes_on_from_what_was_restored() {
    on_both(|database| async move {
        let closed = filled(&database).await;
        let dir = tempfile::tempdir().unwrap();
        let target = Database::Sqlite(dir.path().join("new.db"));
        let to = target.clone();
        let size = blocking(move || put(&copied(&database).0, &to, &Place::default()).unwrap().manifest.size).await;
        let ledger = closed.open(&target, None).await.unwrap();
        assert_eq!(ledger.head().size, size);
        ledger.record(vec![record("c", Some(0))]).await.unwrap();
        assert_eq!(ledger.head().size, size + 1);
        ledger.close().await;
        blocking(move || is_clean(&verified(target, None))).await;
    });
}

#[test]
fn a_backup_beside_those_who_write_is_one_moment() {
    on_both(|database| async move {
        let house = Arc::new(House::open(&database).await);
        let (stop, writing) = (Arc::new(AtomicBool::new(false)), Arc::clone(&house));
        let until = Arc::clone(&stop);
        let writer = tokio::spawn(async move {
            let mut n = 0;
            while !until.load(Ordering::Relaxed) {
                n += 1;
                writing.issue(n).await;
            }
            n
        });
        let dir = tempfile::tempdir().unwrap();
        let mut before = 0;
        for round in 0..5 {
            // Somebody wrote since the last one.
            while house.ledger.head().size <= before {
                tokio::task::yield_now().await;
            }
            before = house.ledger.head().size;
            let (from, target) = (database.clone(), Database::Sqlite(dir.path().join(format!("{round}.db"))));
            let size = blocking(move || {
                let size = put(&copied(&from).0, &target, &Place::default()).unwrap().manifest.size;
                is_clean(&verified(target, None));
                size
            })
            .await;
            assert!(size >= before);
        }
        stop.store(true, Ordering::Relaxed);
        assert!(writer.await.unwrap() > 0);
        let Ok(house) = Arc::try_unwrap(house) else { panic!("somebody writes still") };
        house.closed().await;
    });
}

#[test]
fn a_place_that_knows_another_log_takes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let target = Database::Sqlite(dir.path().join("new.db"));
    let other = Place { origin: Some("other.example/log".into()), known: Vec::new() };
    let refused = put(&STREAM, &target, &other).unwrap_err();
    assert!(matches!(&refused, StoreError::Conflict(why) if why.contains("other.example/log")), "{refused}");
    // Of the same name, and with another root at a size that the backup has too.
    let state = dir.path().join("state");
    std::fs::create_dir(&state).unwrap();
    std::fs::write(state.join("head"), format!("2 {}\n", "11".repeat(32))).unwrap();
    let known = Kept::in_folder(&state).unwrap();
    let place = Place { origin: Some(ORIGIN.into()), known };
    let refused = put(&STREAM, &target, &place).unwrap_err();
    assert!(matches!(&refused, StoreError::Conflict(why) if why.contains("another log")), "{refused}");
    let Database::Sqlite(path) = &target else { panic!() };
    assert!(!path.exists(), "a refused restore leaves no file");
    assert!(put(&STREAM, &target, &Place { origin: Some(ORIGIN.into()), known: Vec::new() }).is_ok());
}

#[test]
fn the_files_beside_the_register_come_out_as_they_went_in() {
    let found = look_through(&mut Cursor::new(&*STREAM), &mut |_| ()).unwrap();
    assert_eq!(found.companions, files());
    // And beside the register that they came with.
    let dir = tempfile::tempdir().unwrap();
    let database = Database::Sqlite(dir.path().join("whole.db"));
    let whole = restore_looking(&database, &mut Cursor::new(&*STREAM), &Place::default(), &mut |_| ()).unwrap();
    assert_eq!((whole.companions, whole.settings), (found.companions, found.settings));
    for name in ["", "/etc/passwd", "../x", "a/../b", ".hidden", "a//b"] {
        let dir = tempfile::tempdir().unwrap();
        let database = Database::Sqlite(dir.path().join("r.db"));
        put(&STREAM, &database, &Place::default()).unwrap();
        let file = [Companion { name: name.into(), bytes: Vec::new() }];
        let refused = back_up(&database, &about(), &file, &mut Vec::new(), &mut |_| ()).unwrap_err();
        assert!(matches!(refused, StoreError::Invalid(_)), "{name:?}: {refused}");
    }
}

/// Of two of one name one would be looked at, and the other written.
#[test]
fn no_two_files_beside_a_register_have_one_name() {
    let dir = tempfile::tempdir().unwrap();
    let database = Database::Sqlite(dir.path().join("r.db"));
    put(&STREAM, &database, &Place::default()).unwrap();
    let mut twice = files();
    twice.push(Companion { name: "chancery.toml".into(), bytes: b"[other]\n".to_vec() });
    let mut stream = Vec::new();
    back_up(&database, &about(), &twice, &mut stream, &mut |_| ()).unwrap();
    let refused = look_through(&mut Cursor::new(stream), &mut |_| ()).unwrap_err();
    assert!(matches!(&refused, StoreError::Invalid(why) if why.contains("there before")), "{refused}");
}

#[test]
fn what_was_in_force_is_told_as_the_leaves_have_it() {
    on_sqlite(|database| async move {
        let house = House::open(&database).await;
        let setting = |part: &str, hash: &str, expect| {
            let body = serde_json::json!({ "part": part, "hash": hash });
            store::Record { kind: store::SETTING, id: format!("{part}@1"), body, ..record("x", expect) }
        };
        let first = vec![setting("policies", "aa", Some(0)), setting("owners", "bb", Some(0))];
        let versions = house.ledger.record(first).await.unwrap();
        house.ledger.record(vec![setting("policies", "cc", Some(versions[0]))]).await.unwrap();
        house.checkpoint().await;
        let _closed = house.closed().await;
        let told = |database: &Database| {
            let (stream, _) = copied(database);
            let found = look_through(&mut Cursor::new(stream), &mut |_| ()).unwrap();
            ["policies@1", "owners@1"].map(|id| found.settings[id]["hash"].as_str().map(str::to_owned))
        };
        assert_eq!(told(&database), [Some("cc".to_owned()), Some("bb".to_owned())]);
        // What somebody wrote beside the leaves says nothing.
        write_beside(&database, "UPDATE record SET body = replace(body, 'bb', 'dd') WHERE id = 'owners@1'");
        assert_eq!(told(&database), [Some("cc".to_owned()), None]);
    });
}

/// What came after the newest signed head, or why the key proves nothing.
fn proved_by(database: &Database, key: &str) -> Result<Vec<String>, Unproved> {
    let found = look_through(&mut Cursor::new(copied(database).0), &mut |_| ()).unwrap();
    found.proved_by(key).map(|later| later.into_iter().map(str::to_owned).collect())
}

fn in_force(part: &str) -> store::Record {
    let body = serde_json::json!({ "part": part, "hash": "aa" });
    store::Record { kind: store::SETTING, id: format!("{part}@1"), body, ..record("x", Some(0)) }
}

#[test]
fn a_register_is_proved_by_the_logs_key_as_far_as_its_newest_signed_head_reaches() {
    on_sqlite(|database| async move {
        let house = House::open(&database).await;
        let key = house.ledger.verifier_key(&house.log).unwrap();
        let other = house.ledger.verifier_key(&house.issuing).unwrap();
        house.ledger.record(vec![in_force("policies")]).await.unwrap();
        assert!(settings_unsigned(&database).unwrap());
        assert_eq!(proved_by(&database, &key), Err(Unproved::NoHead));
        house.checkpoint().await;
        assert!(!settings_unsigned(&database).unwrap());
        assert_eq!(proved_by(&database, &format!("{key}\n")), Ok(Vec::new()));
        house.ledger.record(vec![in_force("owners")]).await.unwrap();
        assert!(settings_unsigned(&database).unwrap());
        assert_eq!(proved_by(&database, &key), Ok(vec!["owners@1".to_owned()]));
        assert!(matches!(proved_by(&database, &other), Err(Unproved::NotSigned(_))));
        assert_eq!(proved_by(&database, "no key"), Err(Unproved::NoKey));
        let _closed = house.closed().await;
        // Whatever stands there for a head: the register is read, and not proved.
        write_beside(&database, "UPDATE checkpoint SET note = 'no head'");
        assert!(matches!(proved_by(&database, &key), Err(Unproved::NotSigned(_))));
    });
}

#[test]
fn a_signed_head_of_other_leaves_proves_nothing() {
    on_sqlite(|database| async move {
        let house = House::open(&database).await;
        let dir = tempfile::tempdir().unwrap();
        let fork = Database::Sqlite(dir.path().join("fork.db"));
        let size = put(&copied(&database).0, &fork, &Place::default()).unwrap().manifest.size;
        let beside = house.open_beside(&fork).await.unwrap();
        beside.record(vec![in_force("policies")]).await.unwrap();
        assert_eq!(beside.head().size, size + 1);
        beside.close().await;
        // As long, and of something else.
        house.ledger.record(vec![in_force("owners")]).await.unwrap();
        let note = house.checkpoint().await;
        assert_eq!(house.ledger.head().size, size + 1);
        write_beside(&fork, &format!("INSERT INTO checkpoint (size, note) VALUES ({}, '{note}')", size + 1));
        let key = house.ledger.verifier_key(&house.log).unwrap();
        assert_eq!(proved_by(&database, &key), Ok(Vec::new()));
        assert_eq!(proved_by(&fork, &key), Err(Unproved::OtherLeaves));
        let _closed = house.closed().await;
    });
}

#[test]
fn a_register_whose_leaves_are_not_its_heads_is_not_backed_up() {
    let dir = tempfile::tempdir().unwrap();
    for sql in [
        "DELETE FROM leaf WHERE idx = 1",
        "UPDATE leaf SET bytes = x'00' WHERE idx = 1",
        "UPDATE head SET size = size - 1",
    ] {
        let database = Database::Sqlite(dir.path().join(format!("{}.db", sql.len())));
        put(&STREAM, &database, &Place::default()).unwrap();
        write_beside(&database, sql);
        let refused = back_up(&database, &about(), &[], &mut Vec::new(), &mut |_| ()).unwrap_err();
        assert!(matches!(refused, StoreError::Corrupt(_)), "{sql}: {refused}");
    }
}

#[test]
fn a_restore_that_breaks_off_leaves_no_register() {
    on_both(|database| async move {
        blocking(move || {
            for part in [1, 2, 3] {
                let cut = &STREAM[..STREAM.len() * part / 4];
                assert!(put(cut, &database, &Place::default()).is_err());
                let opened = store::verify(database.clone(), None, &mut |_| ());
                assert!(opened.is_err(), "something stands there: {opened:?}");
            }
            put(&STREAM, &database, &Place::default()).unwrap();
            is_clean(&verified(database, None));
        })
        .await;
    });
}

fn is_taken(stream: &[u8]) -> bool {
    look_through(&mut Cursor::new(stream), &mut |_| ()).is_ok()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_stream_with_another_byte_is_refused(at in any::<prop::sample::Index>(), with in 1_u8..) {
        let mut stream = STREAM.clone();
        let at = at.index(stream.len());
        stream[at] ^= with;
        prop_assert!(!is_taken(&stream), "byte {at}");
    }

    #[test]
    fn a_stream_that_was_cut_is_refused(at in any::<prop::sample::Index>()) {
        prop_assert!(!is_taken(&STREAM[..at.index(STREAM.len())]));
    }

    #[test]
    fn a_stream_whose_lines_were_exchanged_or_repeated_is_refused(
        one in any::<prop::sample::Index>(),
        two in any::<prop::sample::Index>(),
        repeat in any::<bool>(),
    ) {
        let mut lines: Vec<&[u8]> = STREAM.split_inclusive(|b| *b == b'\n').collect();
        let (one, two) = (one.index(lines.len()), two.index(lines.len()));
        prop_assume!(repeat || lines[one] != lines[two]);
        if repeat { lines.insert(two, lines[one]) } else { lines.swap(one, two) }
        prop_assert!(!is_taken(&lines.concat()));
    }
}
