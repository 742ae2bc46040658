//! Keys that may be destroyed, and all others.

mod support;

use hsm::KeyKind;
use store::StoreError;
use support::*;

#[test]
fn the_right_to_destroy_a_key_is_given_for_a_responders_alone_and_after_its_leaf() {
    on_both(|database| async move {
        let house = House::open(&database).await;
        let passing = house.pool.generate("tls-1-ocsp-1", KeyKind::P256).await.unwrap();
        let refused = |found: Result<hsm::Farewell, StoreError>| matches!(found, Err(StoreError::Conflict(_)));
        assert!(refused(house.ledger.dismiss_key(&passing, actor()).await), "nobody recorded what it is for");
        house.ledger.record_key(&passing, "ocsp", actor()).await.unwrap();
        house.ledger.record_key(&house.issuing, "x509", actor()).await.unwrap();
        house.ledger.record_key(&house.log, "log", actor()).await.unwrap();
        for key in [&house.issuing, &house.log] {
            assert!(refused(house.ledger.dismiss_key(key, actor()).await), "{}", key.label());
        }
        // It is none that a CA may have.
        let taken = house.ledger.record_key(&passing, "x509", actor()).await;
        assert!(matches!(taken, Err(StoreError::Conflict(_))), "{taken:?}");
        let before = house.ledger.head().size;
        // Before it was destroyed the service ended: it comes again.
        for _ in 0..2 {
            let farewell = house.ledger.dismiss_key(&passing, actor()).await.unwrap();
            assert_eq!(house.ledger.head().size, before + 1, "a leaf, once");
            house.pool.destroy(farewell).await.unwrap();
            let found = house.pool.find("tls-1-ocsp-1").await;
            assert!(matches!(found, Err(hsm::HsmError::NotFound { .. })), "{found:?}");
        }
        house.pool.find("issuing").await.unwrap();
        let again = house.pool.generate("tls-1-ocsp-1", KeyKind::P256).await.unwrap();
        assert_ne!(again.fingerprint(), passing.fingerprint(), "its label is free");
        house.checkpoint().await;
        is_clean(&verified(database, None));
    });
}
