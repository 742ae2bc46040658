//! A seeded register is one that a service goes on from, and `verify` finds nothing in it.

mod support;

use std::sync::Arc;

use hsm::testing::outside_key;
use hsm::{Key, KeyKind, Message};
use rcgen::PublicKeyData;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use store::testing::{Made, Seed, Seeder};
use store::{Database, StoreError};
use support::{House, actor, entry, grant, is_clean, log_config, on_both, on_sqlite, record, serial, verified};

const SEEDS: u64 = 300;
const REVOKED_EACH: u64 = 10;

struct Pen {
    pair: EcdsaKeyPair,
    key: Key,
}

impl Pen {
    fn new() -> Pen {
        let made = rcgen::KeyPair::generate().unwrap();
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, made.serialized_der(), &SystemRandom::new())
                .unwrap();
        assert_eq!(pair.public_key().as_ref(), made.der_bytes());
        Pen { pair, key: outside_key("seed", KeyKind::P256, made.subject_public_key_info()) }
    }

    fn seed(&self, house: &House, n: u64) -> Seed {
        let entry = entry(&self.key, n);
        let Message::Whole(bytes) = entry.message.clone() else { panic!("whole") };
        let signature = self.pair.sign(&SystemRandom::new(), &bytes).unwrap().as_ref().to_vec();
        let revoked = n.is_multiple_of(REVOKED_EACH).then(|| (4, grant()));
        Seed::new(entry, signature, revoked, house.world.now()).unwrap()
    }
}

/// Off the async threads, as the driver of PostgreSQL wants it.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

async fn seeder(house: &House, database: &Database) -> Result<Seeder, StoreError> {
    Seeder::open(database.clone(), &house.pool, log_config(), house.world.clone()).await
}

#[test]
fn a_service_goes_on_from_a_seeded_register_and_verify_finds_nothing() {
    on_both(|database| async move {
        let house = House::open(&database).await;
        let pen = Arc::new(Pen::new());
        let mut seeder = seeder(&house, &database).await.unwrap();
        let seeds: Vec<Seed> = (1..=SEEDS).map(|n| pen.seed(&house, n)).collect();
        let key = pen.key.clone();
        let (made, head) = blocking(move || {
            let mut made = seeder.record_key(&key, actor()).unwrap();
            made += seeder.write_certificates(seeds).unwrap();
            // Two versions of a record in one transaction, as an order has.
            made += seeder.write_records(vec![vec![record("a", Some(0))], vec![record("a", None)]]).unwrap();
            (made, seeder.close().unwrap())
        })
        .await;
        let revoked = SEEDS / REVOKED_EACH;
        assert_eq!(made, Made { leaves: 3 + 2 * SEEDS + revoked, rows: 3 + 4 * SEEDS + revoked });

        let house = house.reopened(&database).await;
        assert_eq!(house.ledger.head(), head);
        let last = house.ledger.credential(&hex::encode(serial(SEEDS))).await.unwrap().unwrap();
        assert_eq!((last.state, last.names.len()), (store::State::Revoked, 2));
        assert_eq!(house.ledger.revocations("tls").rows.len() as u64, revoked);
        assert!(house.ledger.record_get("thing", "a").await.unwrap().is_some());
        assert!(house.ledger.unconcluded(house.world.now().plus_secs(1), 100).await.unwrap().is_empty());
        house.issue(9_000).await;
        house.checkpoint().await;
        let report = blocking(move || verified(database, None)).await;
        is_clean(&report);
        assert_eq!(report.certificates, SEEDS + 1);
    });
}

#[test]
fn a_register_with_certificates_of_its_own_is_no_bench() {
    on_sqlite(|database| async move {
        let house = House::open(&database).await;
        assert!(seeder(&house, &database).await.unwrap().is_a_bench().unwrap());
        house.issue(1).await;
        assert!(!seeder(&house, &database).await.unwrap().is_a_bench().unwrap());
    });
}
