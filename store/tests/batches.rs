//! Batches: many signatures of one act under one intent, whose root and number cover all of them.

mod support;

use hsm::{Batch, Message, merkle_root, verify};
use store::{Entry, Filter, Kind, State, StoreError};
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
