//! Batches: many signatures of one act under one intent, whose root and number cover all of them.

mod support;

use hsm::{Batch, Message, merkle_root, verify};
use store::{Database, Entry, Filter, Found, InBatch, Kind, Sought, State, StoreError};
use support::*;

fn messages(n: u8) -> Vec<Vec<u8>> {
    (0..n).map(|n| vec![n; 40]).collect()
}

fn batch(house: &House, messages: Vec<Vec<u8>>) -> Entry {
    let message = Message::Batch(Batch::new(messages).unwrap());
    Entry {
        kind: Kind::OcspBatch,
        message,
        serial: Vec::new(),
        names: Vec::new(),
        owner: None,
        details: serde_json::json!({}),
        ..house.entry(9)
    }
}

#[test]
fn a_batch_is_one_intent_with_the_root_and_one_conclusion_with_the_number() {
    on_sqlite(|database| async move {
        let house = House::open(&database).await;
        let all = messages(5);
        let issued = house.ledger.conclude(house.signature(batch(&house, all.clone())).await).await.unwrap();
        assert_eq!(issued.batch().len(), 5);
        for (message, signature) in all.iter().zip(issued.batch()) {
            let message = Message::from(message.clone());
            verify(issued.algorithm, house.issuing.spki_der(), &message, signature).unwrap();
        }
        let root = merkle_root(all.iter().map(Vec::as_slice));
        assert_eq!((issued.tbs.as_slice(), issued.prehashed), (&root[..], true));
        assert_eq!(issued.signature(), merkle_root(issued.batch().iter().map(Vec::as_slice)));
        assert!(issued.x509_der().is_empty());
        let leaves = house.ledger.leaves(issued.operation..issued.operation + 2).await.unwrap();
        let said = format!("\"digest\":\"{}\",\"messages\":5,\"serial\":\"\"", hex::encode(root));
        assert!(leaves[0].1.contains(&said), "{}", leaves[0].1);
        assert!(leaves[1].1.contains("\"outcome\":\"issued\",\"signed\":5,"), "{}", leaves[1].1);
        // What is read back has no signatures: they are with whoever concluded it.
        let read = house.ledger.credential_by_operation(issued.operation).await.unwrap().unwrap();
        assert_eq!((read.kind, read.state), (Kind::OcspBatch, State::Issued));
        assert!(read.into_inner().signed().unwrap().batch().is_empty());
        // It is no certificate, and no list of those has it.
        let certificates = Filter { certificates: true, ..Filter::default() };
        assert!(house.ledger.list(certificates).await.unwrap().items.is_empty());
        is_clean(&verified(database.clone(), None));
    });
}

#[test]
fn nothing_else_is_a_batch_and_a_batch_is_nothing_else() {
    on_sqlite(|database| async move {
        let house = House::open(&database).await;
        let good = batch(&house, messages(2));
        for (says, entry) in [
            ("signed as a batch", Entry { message: Message::from(vec![1]), ..good.clone() }),
            ("signed as a batch", Entry { message: Message::Sha256([1; 32]), ..good.clone() }),
            ("signed by itself", Entry { kind: Kind::Certificate, ..good.clone() }),
            ("signed whole", Entry { kind: Kind::Crl, covers: house.crl(1, "tls", None).covers, ..good.clone() }),
            ("16384 bytes", batch(&house, vec![vec![0; 16_385]])),
        ] {
            match house.ledger.intend(entry).await {
                Err(StoreError::Invalid(why)) => assert!(why.contains(says), "{why}"),
                other => panic!("{says}: {other:?}"),
            }
        }
        assert!(house.ledger.intend(good).await.is_ok());
    });
}

const DAY: i64 = 86_400;

async fn signed(house: &House, messages: Vec<Vec<u8>>) -> u64 {
    house.ledger.conclude(house.signature(batch(house, messages)).await).await.unwrap().operation
}

fn sought(house: &House, message: &[u8], begins: policy::Timestamp) -> Sought {
    Sought { message: message.to_vec(), begins, key_hash: house.issuing.fingerprint() }
}

fn leads(message: &[u8], there: &InBatch) -> Option<String> {
    let hash = store::leaf_hash(message);
    store::root_by_path(&hash, there.position, there.messages, &there.path).map(hex::encode)
}

#[test]
fn a_message_is_led_to_the_root_in_its_batchs_leaf_by_a_service_and_from_bytes_alone() {
    on_both(|database| async move {
        let house = House::open(&database).await;
        let begins = house.entry(9).validity.unwrap().not_before();
        let (first, second) = (messages(5), (100..228_u8).map(|n| vec![n; 30]).collect::<Vec<_>>());
        for (of, all) in [(signed(&house, first.clone()).await, first), (signed(&house, second.clone()).await, second)]
        {
            house.checkpoint().await;
            let dir = tempfile::tempdir().unwrap();
            house.ledger.export(dir.path()).await.unwrap();
            let leaf = house.ledger.leaves(of..of + 1).await.unwrap().remove(0).1;
            for (at, message) in all.iter().enumerate() {
                let Found::In(there) = house.ledger.batch_with(sought(&house, message, begins)).await.unwrap() else {
                    panic!("message {at} of {of} is nowhere");
                };
                assert_eq!((there.operation, there.position, there.messages), (of, at as u64, all.len() as u64));
                let root = leads(message, &there).expect("a root");
                assert!(leaf.contains(&format!("\"digest\":\"{root}\",\"messages\":{},", all.len())), "{leaf}");
                if at % 40 == 0 {
                    for source in [store::Source::from(database.clone()), store::Source::Folder(dir.path().to_owned())]
                    {
                        let asked = sought(&house, message, begins);
                        let traced = std::thread::spawn(move || store::trace(source, &asked)).join().unwrap();
                        let traced = traced.unwrap().expect("it is there");
                        assert_eq!((&traced.batch, traced.leaf.leaf.as_slice()), (&there, leaf.as_bytes()));
                        let key = house.ledger.verifier_key(&house.log).unwrap();
                        let head = store::signed_head(&key, &traced.leaf.checkpoint).unwrap();
                        let hash = store::leaf_hash(&traced.leaf.leaf);
                        assert_eq!(store::root_by_path(&hash, of, head.size, &traced.leaf.path), Some(head.root));
                    }
                }
            }
            is_clean(&verified(store::Source::Folder(dir.path().to_owned()), None));
        }
        // Another byte, another second, another key: none of this log's.
        for asked in [
            sought(&house, &[9; 40], begins),
            sought(&house, &messages(1)[0], begins.plus_secs(1)),
            Sought { key_hash: house.log.fingerprint(), ..sought(&house, &messages(1)[0], begins) },
        ] {
            assert_eq!(house.ledger.batch_with(asked.clone()).await.unwrap(), Found::Nowhere);
            let database = database.clone();
            assert_eq!(std::thread::spawn(move || store::trace(database, &asked)).join().unwrap().unwrap(), None);
        }
        is_clean(&verified(database.clone(), None));
        assert_eq!(house.ledger.integrity(), store::Integrity::default());
    });
}

#[test]
fn hashes_that_were_altered_or_taken_away_are_found_and_no_answer_rests_on_them() {
    for (statement, says) in [
        ("DELETE FROM batch", "are missing"),
        ("UPDATE batch SET hashes = zeroblob(160)", "not those of the root"),
        ("UPDATE batch SET hashes = substr(hashes, 1, 128)", "not those of the root"),
        ("UPDATE batch SET hashes = substr(hashes, 1, 100)", "no hashes"),
        ("UPDATE batch SET op = op + 1", "are missing"),
        ("INSERT INTO batch (op, hashes) SELECT op + 1, hashes FROM batch", "no batch has these hashes"),
        ("INSERT INTO batch (op, hashes) SELECT op + 900, hashes FROM batch", "outside the log"),
    ] {
        on_sqlite(|database| async move {
            let house = House::open(&database).await;
            let all = messages(5);
            let of = signed(&house, all.clone()).await;
            house.checkpoint().await;
            write_beside(&database, statement);
            let report = verified(database.clone(), None);
            assert!(
                report.findings.iter().any(|f| f.what == "batch" && f.says.contains(says)),
                "{statement}: {}",
                shown(&report)
            );
            let begins = house.entry(9).validity.unwrap().not_before();
            let asked = sought(&house, &all[0], begins);
            let (by_service, offline) = (house.ledger.batch_with(asked.clone()).await, {
                let database = database.clone();
                std::thread::spawn(move || store::trace(database, &asked)).join().unwrap()
            });
            if statement.starts_with("INSERT") {
                assert!(matches!(&by_service, Ok(Found::In(there)) if there.operation == of), "{by_service:?}");
                assert!(offline.unwrap().is_some());
            } else {
                for refused in [by_service.map(|_| ()), offline.map(|_| ())] {
                    assert!(
                        matches!(&refused, Err(StoreError::Altered(why)) if why.contains(says)),
                        "{statement}: {refused:?}"
                    );
                }
            }
            // The service finds it by itself too.
            let mut found = 0;
            for _ in 0..4 {
                found = house.ledger.audit_step().await.unwrap().findings;
            }
            assert!(found > 0, "{statement}");
        });
    }
}

/// How many there are, by the eyes of another program.
fn kept(database: &Database) -> i64 {
    let connection = rusqlite::Connection::open(path_of(database)).unwrap();
    connection.query_row("SELECT COUNT(*) FROM batch", [], |row| row.get(0)).unwrap()
}

#[test]
fn hashes_stay_for_400_days_and_go_after_401() {
    on_sqlite(|database| async move {
        let house = House::open(&database).await;
        let all = messages(3);
        let begins = house.entry(9).validity.unwrap().not_before();
        let old = signed(&house, all.clone()).await;
        let found = |asked| house.ledger.batch_with(asked);
        house.world.advance(400 * DAY);
        signed(&house, vec![vec![50; 3]]).await;
        assert_eq!(kept(&database), 2);
        is_clean(&verified(database.clone(), None));
        assert!(matches!(found(sought(&house, &all[1], begins)).await.unwrap(), Found::In(_)));
        // On the day between, no answer and no finding where they are missing; before it they have to be there.
        write_beside(&database, &format!("DELETE FROM batch WHERE op = {old}"));
        assert!(verified(database.clone(), None).findings_total > 0);
        house.world.advance(1);
        house.ledger.refuse(refusal()).await.unwrap();
        is_clean(&verified(database.clone(), None));
        assert_eq!(found(sought(&house, &all[1], begins)).await.unwrap(), Found::Gone(old));
        house.world.advance(401 * DAY);
        signed(&house, vec![vec![51; 3]]).await;
        assert_eq!(kept(&database), 1, "what is older than 401 days goes with the next batch");
        house.checkpoint().await;
        is_clean(&verified(database.clone(), None));
        let dir = tempfile::tempdir().unwrap();
        house.ledger.export(dir.path()).await.unwrap();
        is_clean(&verified(store::Source::Folder(dir.path().to_owned()), None));
    });
}
