//! What an auditor finds: any flipped bit, in any column of any row, in a database and in an exported folder; a deleted
//! tail; leaves that changed places.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use postgres::NoTls;
use store::testing::TestPostgres;
use store::{Database, Pins};
use support::attack::{TABLES, flip_everything};
use support::*;

/// A register with every kind of row, its newest checkpoint at its head, and how many leaves it has.
async fn filled(database: &Database, refusals: u64) -> (String, u64) {
    let house = House::open(database).await;
    for n in 1..=3 {
        house.issue(n).await;
    }
    house.checkpoint().await;
    // Ed25519 signs no SHA-256: a failure.
    let mut entry = house.entry(4);
    (entry.key, entry.message) = (house.log.clone(), hsm::Message::Sha256([4; 32]));
    let intent = house.ledger.intend(entry).await.unwrap();
    match house.pool.sign(intent).await {
        Err(hsm::SignError::Refused(not_signed)) => house.ledger.fail(not_signed).await.unwrap(),
        other => panic!("{other:?}"),
    }
    // One without names, owner, serial or validity, and never concluded.
    let mut bare = house.entry(5);
    (bare.owner, bare.validity) = (None, None);
    bare.serial.clear();
    bare.names.clear();
    house.ledger.intend(bare).await.unwrap();
    house.ledger.revoke(revocation(2)).await.unwrap();
    house.ledger.record(vec![token_record(house.world.now().plus_secs(60), None)]).await.unwrap();
    let mut login = store::Entry { actor: token_actor(), profile: "tls-client".into(), ..house.entry(6) };
    login.names.clear();
    let login = house.ledger.conclude(house.signature(login).await).await.unwrap();
    let (id, proof) = (format!("cert:{}", login.serial_hex()), "client-certificate".to_owned());
    let actor = store::ActorStamp { id, proof, proof_id: login.serial_hex() };
    house.ledger.intend(store::Entry { actor, ..house.crl(7, "tls", None) }).await.unwrap();
    let messages = hsm::Batch::new((0..5).map(|n| vec![n; 40]).collect()).unwrap();
    let mut batch = house.entry(8);
    (batch.kind, batch.message) = (store::Kind::OcspBatch, hsm::Message::Batch(messages));
    (batch.owner, batch.serial, batch.names) = (None, Vec::new(), Vec::new());
    house.ledger.conclude(house.signature(batch).await).await.unwrap();
    let first = house.ledger.record(vec![record("a", Some(0)), record("b", None)]).await.unwrap();
    house.ledger.record(vec![record("a", Some(first[0]))]).await.unwrap();
    for _ in 0..refusals {
        house.ledger.refuse(refusal()).await.unwrap();
    }
    let note = house.checkpoint().await;
    let size = house.ledger.head().size;
    house.ledger.close().await;
    house.pool.shutdown();
    (note, size)
}

#[test]
fn any_flipped_bit_is_found_and_its_row_named_on_sqlite() {
    let dir = tempfile::tempdir().unwrap();
    let database = Database::Sqlite(dir.path().join("register.db"));
    let (note, size) = run(filled(&database, 500));
    assert!(size > 512, "two full tiles");
    let mut attack = rusqlite::Connection::open(path_of(&database)).unwrap();
    // The attack does not wait for its disk; each look opens the register anew.
    attack.pragma_update(None, "synchronous", "OFF").unwrap();
    attack.busy_timeout(Duration::from_secs(5)).unwrap();
    let flips = flip_everything(&mut attack, &|| verified(database.clone(), Some(&note)), 4);
    assert!(flips > 500, "{flips}");
}

#[test]
fn any_flipped_bit_is_found_and_its_row_named_on_postgresql() {
    let postgres = TestPostgres::start();
    let database = postgres.database();
    let Database::Postgres(url) = &database else { panic!() };
    let (note, _) = run(filled(&database, 260));
    let mut attack = postgres::Client::connect(url, NoTls).unwrap();
    attack.batch_execute("SET synchronous_commit = off").unwrap();
    let flips = flip_everything(&mut attack, &|| verified(database.clone(), Some(&note)), 64);
    assert!(flips > 200, "{flips}");
}

/// A folder's files, deepest first.
fn files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

async fn exported(database: &Database, dir: &Path) {
    let export = |database: Database, dir: PathBuf| std::thread::spawn(move || store::export_database(&database, &dir));
    export(database.clone(), dir.to_owned()).join().unwrap().unwrap();
    let again = export(database.clone(), dir.to_owned()).join().unwrap();
    assert!(matches!(again, Err(store::StoreError::Invalid(_))), "a folder in use is left alone");
}

#[test]
fn any_flipped_bit_of_an_exported_folder_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let database = Database::Sqlite(dir.path().join("register.db"));
    let folder = dir.path().join("export");
    let (note, size) = run(filled(&database, 300));
    run(exported(&database, &folder));
    let look = || verified(store::Source::Folder(folder.clone()), Some(&note));
    let whole = look();
    is_clean(&whole);
    assert_eq!((whole.leaves, whole.certificates, whole.checkpoints), (size, 4, 2));
    assert_eq!(whole.unconcluded.len(), 2);
    let mut paths = Vec::new();
    files(&folder, &mut paths);
    let mut flips = 0;
    for path in paths {
        let bytes = fs::read(&path).unwrap();
        if bytes.is_empty() {
            // Of a table without rows: one that nobody wrote.
            fs::write(&path, "x").unwrap();
            assert!(look().findings_total > 0, "{}", path.display());
            fs::write(&path, &bytes).unwrap();
            continue;
        }
        // Some hundred places in each file, its first and its last byte among them.
        let places = (0..bytes.len()).step_by((bytes.len() / 60).max(1)).chain([bytes.len() - 1]);
        for at in places {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << (at % 8);
            fs::write(&path, &changed).unwrap();
            let report = look();
            assert!(report.findings_total > 0, "{} byte {at}", path.display());
            flips += 1;
        }
        fs::write(&path, &bytes).unwrap();
    }
    is_clean(&look());
    assert!(flips > 500, "{flips}");
}

#[test]
fn a_deleted_tail_is_found_with_a_saved_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let database = Database::Sqlite(dir.path().join("register.db"));
    let (note, size) = run(filled(&database, 0));
    let attack = rusqlite::Connection::open(path_of(&database)).unwrap();
    let last = size as i64 - 1;
    // First as a clumsy hand would do it ...
    attack.execute("DELETE FROM leaf WHERE idx = ?1", [last]).unwrap();
    let report = verified(database.clone(), None);
    assert!(shown(&report).contains(&format!("leaf idx={last}")), "{}", shown(&report));
    // ... then as one who knows the whole schema, and leaves a register that is sound in itself.
    attack.execute("DELETE FROM record WHERE leaf = ?1", [last]).unwrap();
    let before = "(SELECT MAX(leaf) FROM record WHERE record.kind = present.kind AND record.id = present.id)";
    attack.execute(&format!("UPDATE present SET leaf = {before}"), []).unwrap();
    attack.execute("DELETE FROM checkpoint WHERE size > ?1", [last]).unwrap();
    let tree = edge_of(&attack);
    attack.execute("UPDATE head SET size = ?1, edge = ?2", rusqlite::params![last, tree]).unwrap();
    is_clean(&verified(database.clone(), None));
    let report = verified(database.clone(), Some(&note));
    assert_eq!(report.findings_total, 1, "{}", shown(&report));
    assert!(shown(&report).contains("its tail was deleted"));
}

#[test]
fn leaves_that_changed_places_are_found_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let database = Database::Sqlite(dir.path().join("register.db"));
    run(filled(&database, 0));
    let attack = rusqlite::Connection::open(path_of(&database)).unwrap();
    attack
        .execute_batch(
            "UPDATE leaf SET idx = 9999 WHERE idx = 3; UPDATE leaf SET idx = 3 WHERE idx = 5; \
        UPDATE leaf SET idx = 5 WHERE idx = 9999;",
        )
        .unwrap();
    let report = verified(database, None);
    let text = shown(&report);
    assert!(text.contains("leaf idx=3 column bytes: is leaf 5 by its own words"), "{text}");
    assert!(text.contains("leaf idx=5 column bytes: is leaf 3 by its own words"), "{text}");
}

#[test]
fn rows_without_a_leaf_are_found() {
    let dir = tempfile::tempdir().unwrap();
    let database = Database::Sqlite(dir.path().join("register.db"));
    let (_, size) = run(filled(&database, 0));
    let attack = rusqlite::Connection::open(path_of(&database)).unwrap();
    for (table, key, at) in [
        ("conclusion", "leaf", 0),
        ("revocation", "leaf", 3),
        ("record", "leaf", size as i64 + 5),
        ("intent", "op", -1),
        ("intent", "op", 3),
        ("name", "slot", 1),
        ("name", "slot", -7),
    ] {
        let columns = TABLES.iter().find(|(name, _)| *name == table).map(|_| {
            let mut statement = attack.prepare(&format!("SELECT name FROM pragma_table_info('{table}')")).unwrap();
            statement.query_map([], |row| row.get::<_, String>(0)).unwrap().collect::<Result<Vec<_>, _>>().unwrap()
        });
        let others: Vec<String> = columns.unwrap().into_iter().filter(|c| c != key).collect();
        // A copy of a real row; what must be unique is made so.
        let copied: Vec<String> = others
            .iter()
            .map(|c| match c.as_str() {
                "op" => "777".into(),
                "serial" => "x'aa'".into(),
                other => other.into(),
            })
            .collect();
        let sql = format!(
            "INSERT INTO {table} ({key}, {}) SELECT {at}, {} FROM {table} LIMIT 1",
            others.join(", "),
            copied.join(", ")
        );
        attack.execute(&sql, []).unwrap();
        let report = verified(database.clone(), None);
        let named = format!("{table} {key}={at}");
        assert!(report.findings.iter().any(|f| f.where_.starts_with(&named)), "{named}\n{}", shown(&report));
        attack.execute(&format!("DELETE FROM {table} WHERE {key} = {at}"), []).unwrap();
    }
    is_clean(&verified(database, None));
}

#[test]
fn a_signature_that_the_key_did_not_make_is_found() {
    on_sqlite(|database| async move {
        let house = House::open(&database).await;
        let intent = house.ledger.intend(house.entry(1)).await.unwrap();
        let operation = intent.operation();
        house.ledger.conclude_unsigned(intent, vec![0x30, 0x06, 2, 1, 1, 2, 1, 1]).await.unwrap();
        let report = verified(database, None);
        assert_eq!(report.findings_total, 1, "{}", shown(&report));
        assert_eq!(report.findings[0].where_, format!("conclusion of op={operation} column signature"));
    });
}

#[test]
fn a_key_that_was_never_recorded_is_found() {
    on_sqlite(|database| async move {
        let house = House::open(&database).await;
        let unknown = house.pool.generate("unknown", hsm::KeyKind::P256).await.unwrap();
        let signature = house.signature(entry(&unknown, 1)).await;
        house.ledger.conclude(signature).await.unwrap();
        let report = verified(database, None);
        assert!(shown(&report).contains("is not recorded"), "{}", shown(&report));
    });
}

#[test]
fn a_log_under_another_key_than_the_pinned_one_is_found() {
    on_sqlite(|database| async move {
        let house = House::open(&database).await;
        let other = house.pool.generate("other", hsm::KeyKind::Ed25519).await.unwrap();
        house.issue(1).await;
        let note = house.checkpoint().await;
        let look = |key: &hsm::Key| {
            let pins = Pins {
                checkpoint: Some(note.clone()),
                verifier_key: Some(house.ledger.verifier_key(key).unwrap()),
                kept: vec![],
            };
            store::verify_pinned(database.clone(), &pins, &mut |_| {}).unwrap()
        };
        let pinned = look(&house.log);
        is_clean(&pinned);
        assert_eq!((pinned.identity, pinned.origin.as_str()), (store::Identity::Pinned, ORIGIN));
        assert_eq!(pinned.key, house.ledger.verifier_key(&house.log).unwrap());
        let report = look(&other);
        // The stored one and the saved one.
        assert_eq!(report.findings_total, 2, "{}", shown(&report));
        assert!(shown(&report).contains("under the pinned verifier key"));
        assert_eq!(report.key, house.ledger.verifier_key(&other).unwrap(), "the one that was asked for");
        // Without one, the register's own word for itself is said to be that.
        let alone = verified(database.clone(), Some(&note));
        is_clean(&alone);
        assert_eq!(
            (alone.identity, alone.origin.as_str(), &alone.key),
            (store::Identity::Unchecked, ORIGIN, &pinned.key)
        );
        // The key of another log, though it is the same key.
        let renamed = pinned.key.replacen(ORIGIN, "other.example/log", 1);
        let renamed = Pins { verifier_key: Some(renamed), ..Pins::default() };
        let report = store::verify_pinned(database.clone(), &renamed, &mut |_| {});
        assert!(report.is_err() || report.is_ok_and(|report| report.findings_total > 0));
    });
}

/// What nothing signed vouches for is counted: a tail that was rewritten has lost its checkpoints.
#[test]
fn leaves_after_the_newest_checkpoint_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let database = Database::Sqlite(dir.path().join("register.db"));
    run(filled(&database, 0));
    let before = verified(database.clone(), None);
    assert_eq!(before.unsigned, 0);
    let attack = rusqlite::Connection::open(path_of(&database)).unwrap();
    attack.execute("DELETE FROM checkpoint WHERE size = (SELECT MAX(size) FROM checkpoint)", []).unwrap();
    let newest: Option<i64> = attack.query_row("SELECT MAX(size) FROM checkpoint", [], |row| row.get(0)).unwrap();
    assert_eq!(verified(database.clone(), None).unsigned, before.leaves - newest.unwrap_or(0) as u64);
    attack.execute("DELETE FROM checkpoint", []).unwrap();
    assert_eq!(verified(database, None).unsigned, before.leaves);
}

#[test]
fn a_saved_checkpoint_of_another_log_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let [one, two] = ["one.db", "two.db"].map(|name| Database::Sqlite(dir.path().join(name)));
    run(filled(&one, 0));
    let (note, _) = run(filled(&two, 0));
    let report = verified(one, Some(&note));
    assert!(shown(&report).contains("are not those it speaks of"), "{}", shown(&report));
    let malformed = store::verify(two, Some("not a checkpoint"), &mut |_| {});
    assert!(matches!(malformed, Err(store::StoreError::Invalid(_))));
}
