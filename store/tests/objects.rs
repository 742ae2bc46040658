//! CRLs are as large as they must be: their bytes lie beside the intents while they are the newest; then digest and signature stay.

mod support;

use bytes::Bytes;
use hsm::{KeyKind, Message};
use store::{Database, Entry, Issued, StoreError};
use support::*;

/// Above what was once a column's bound.
const LARGE: usize = 17 << 20;

fn large(house: &House, n: u64, bytes: usize) -> Entry {
    let known = house.ledger.revocations("tls");
    let listed: Vec<_> = known.rows.iter().map(|row| (row.serial.clone(), row.revoked_at, row.reason)).collect();
    Entry { message: Message::from(tbs_crl_of(&listed, bytes)), ..house.crl(n, "tls", None) }
}

async fn signed(house: &House, entry: Entry) -> Issued {
    house.ledger.conclude(house.signature(entry).await).await.unwrap()
}

fn tbs(entry: &Entry) -> Bytes {
    match &entry.message {
        Message::Whole(bytes) => Bytes::copy_from_slice(bytes),
        Message::Sha256(_) | Message::Batch(_) => panic!("a CRL is signed whole"),
    }
}

/// Rows of the table, by the eyes of another program.
async fn chunks(database: &Database) -> i64 {
    let database = database.clone();
    let count = "SELECT COUNT(*) FROM object";
    let look = std::thread::spawn(move || match &database {
        Database::Sqlite(path) => {
            rusqlite::Connection::open(path).unwrap().query_row(count, [], |row| row.get(0)).unwrap()
        }
        Database::Postgres(url) => {
            postgres::Client::connect(url, postgres::NoTls).unwrap().query_one(count, &[]).unwrap().get(0)
        }
    });
    look.join().unwrap()
}

#[test]
fn a_large_crl_is_kept_while_it_is_the_newest_and_then_its_digest_and_signature() {
    on_both(|database| async move {
        let house = House::open(&database).await;
        let revoked = house.issue(1).await;
        house.ledger.revoke(revocation(revoked.operation)).await.unwrap();
        let entry = large(&house, 10, LARGE);
        let bytes = tbs(&entry);
        let first = signed(&house, entry).await;
        assert_eq!((first.tbs.len(), first.prehashed, first.x509_der()), (32, true, Vec::new()));
        assert_eq!(chunks(&database).await, 18);
        let house = house.reopened(&database).await;
        let newest = house.ledger.newest_crl("tls").await.unwrap().unwrap();
        assert_eq!(newest.operation, first.operation);
        let der = newest.x509_der();
        assert!(der.starts_with(&[0x30, 0x84]) && der.windows(bytes.len()).any(|part| part == bytes));
        is_clean(&verified(database.clone(), None));

        let second = signed(&house, large(&house, 11, 100)).await;
        assert_eq!(chunks(&database).await, 1);
        assert_eq!(house.ledger.newest_crl("tls").await.unwrap().unwrap().operation, second.operation);
        let old = house.ledger.credential_by_operation(first.operation).await.unwrap().unwrap();
        assert_eq!((&old.tbs, old.signature.as_deref()), (&first.tbs, Some(first.signature())));
        hsm::verify_digest(old.algorithm, house.issuing.spki_der(), &old.tbs, first.signature()).unwrap();
        let report = verified(database.clone(), None);
        is_clean(&report);
        assert_eq!(report.certificates, 3, "of the CRL whose bytes are gone too");
        assert_eq!(house.ledger.integrity(), store::Integrity::default());
    });
}

#[test]
fn a_crl_that_was_never_signed_leaves_nothing_or_all_of_it() {
    on_both(|database| async move {
        let house = House::open(&database).await;
        let first = signed(&house, large(&house, 10, 3 << 20)).await;
        // Refused by the register, whichever node asks: numbers only grow.
        for taken_or_less in [10, 9] {
            let refused = house.ledger.intend(large(&house, taken_or_less, 5 << 20)).await;
            assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
        }
        assert_eq!(chunks(&database).await, 4);
        // The process ends between intent and signature: it may have been signed, so it is kept whole.
        house.ledger.intend(large(&house, 11, 1 << 20)).await.unwrap();
        let house = house.reopened(&database).await;
        assert_eq!(chunks(&database).await, 6);
        assert_eq!(house.ledger.newest_crl("tls").await.unwrap().unwrap().operation, first.operation);
        is_clean(&verified(database.clone(), None));
        // Surely not signed: it goes at once. A pool refuses what was intended for another.
        let intent = house.ledger.intend(large(&house, 12, 2 << 20)).await.unwrap();
        assert_eq!(chunks(&database).await, 9);
        let token = hsm::testing::TestToken::new("another");
        let (pool, _mint) = hsm::open(token.config()).unwrap();
        let Err(hsm::SignError::Refused(not_signed)) = pool.sign(intent).await else { panic!("signed") };
        house.ledger.fail(not_signed).await.unwrap();
        assert_eq!(chunks(&database).await, 6);
        // A digest alone is no CRL.
        let digest = Entry { message: Message::Sha256([4; 32]), ..large(&house, 12, 0) };
        assert!(matches!(house.ledger.intend(digest).await, Err(StoreError::Invalid(_))));
        // The next one takes the place of all.
        signed(&house, large(&house, 13, 0)).await;
        assert_eq!(chunks(&database).await, 1);
        is_clean(&verified(database.clone(), None));
    });
}

#[test]
fn an_old_crl_is_verified_by_its_digest_whichever_key_signed_it() {
    for kind in [KeyKind::P256, KeyKind::P384, KeyKind::P521, KeyKind::Rsa2048, KeyKind::Rsa2048Pss] {
        on_sqlite(|database| async move {
            let house = House::open(&database).await;
            let key = house.pool.generate("another", kind).await.unwrap();
            house.ledger.record_key(&key, "tls", actor()).await.unwrap();
            let old = signed(&house, Entry { key: key.clone(), ..large(&house, 10, 100) }).await;
            signed(&house, Entry { key, ..large(&house, 11, 200) }).await;
            let report = verified(database.clone(), None);
            is_clean(&report);
            assert_eq!(report.certificates, 2, "{kind:?}");
            house.ledger.close().await;
            // Another signature of the same form: the newer one's.
            let attack = rusqlite::Connection::open(path_of(&database)).unwrap();
            let sql =
                "UPDATE conclusion SET signature = (SELECT c.signature FROM conclusion c ORDER BY c.leaf DESC LIMIT 1)";
            attack.execute(&format!("{sql} WHERE op = ?1"), [old.operation as i64]).unwrap();
            let report = verified(database.clone(), None);
            let place = format!("conclusion of op={} column signature", old.operation);
            assert!(report.findings.iter().any(|f| f.what == "signature" && f.where_ == place), "{}", shown(&report));
        });
    }
}

/// Ed25519 signs no digest: what it signed can be checked while the bytes are there, and is not counted afterwards.
#[test]
fn an_old_crl_under_ed25519_is_not_counted_as_checked() {
    on_sqlite(|database| async move {
        let house = House::open_with(&database, KeyKind::Ed25519).await;
        for (n, checked) in [(10, 1), (11, 1)] {
            signed(&house, Entry { key: house.log.clone(), ..large(&house, n, 100) }).await;
            let report = verified(database.clone(), None);
            is_clean(&report);
            assert_eq!(report.certificates, checked);
        }
    });
}

/// Reads beside writes are never taken for alterations.
#[test]
fn a_crl_that_is_replaced_under_its_readers_raises_no_alarm() {
    on_both(|database| async move {
        let house = House::open(&database).await;
        signed(&house, large(&house, 1, 1 << 20)).await;
        let other = house.beside(&database).await;
        let reader = {
            let ledger = house.ledger.clone();
            tokio::spawn(async move {
                let mut newest = 0;
                while newest < u64::MAX {
                    match ledger.newest_crl("tls").await {
                        Ok(Some(crl)) if crl.serial == serial(40) => return newest,
                        Ok(Some(crl)) => {
                            assert!(crl.operation >= newest);
                            newest = crl.operation;
                        }
                        Err(StoreError::Busy { .. }) => {}
                        other => panic!("{other:?}"),
                    }
                    ledger.audit_step().await.unwrap();
                }
                newest
            })
        };
        for n in 2..=40 {
            let node = if n % 2 == 0 { &other } else { &house };
            node.ledger.follow().await.unwrap();
            signed(node, large(node, n, 1 << 20)).await;
        }
        reader.await.unwrap();
        for house in [&house, &other] {
            assert_eq!(house.ledger.integrity(), store::Integrity::default());
        }
        is_clean(&verified(database.clone(), None));
    });
}

#[test]
fn an_export_waits_for_the_checkpoint_above_the_newest_crl() {
    on_both(|database| async move {
        let house = House::open(&database).await;
        signed(&house, large(&house, 1, 2 << 20)).await;
        house.checkpoint().await;
        signed(&house, large(&house, 2, 2 << 20)).await;
        let dir = tempfile::tempdir().unwrap();
        let (folder, source) = (dir.path().join("export"), database.clone());
        let export = std::thread::spawn({
            let folder = folder.clone();
            move || store::export_database(&source, &folder)
        });
        house.checkpoint().await;
        export.join().unwrap().unwrap();
        let report = verified(store::Source::Folder(folder.clone()), None);
        is_clean(&report);
        assert_eq!(report.certificates, 2);
        let object = std::fs::read_dir(folder.join("object")).unwrap().next().unwrap().unwrap().path();
        std::fs::remove_file(object).unwrap();
        let report = verified(store::Source::Folder(folder), None);
        assert!(shown(&report).contains("the bytes of this CRL are missing"), "{}", shown(&report));
    });
}
