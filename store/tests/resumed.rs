//! What an operator's word to go on gives up, and what it does not: nothing that was told of the revoked is taken back.

mod support;

use store::{Database, StoreError};
use support::{House, lost, on_sqlite, put_back, record, revocation, serial, verified, write_beside};

/// A copy of the register as it is now.
fn copied(database: &Database, to: &std::path::Path) {
    write_beside(database, &format!("VACUUM INTO '{}'", to.display()));
}

#[test]
fn revocations_of_a_register_that_was_put_back_are_written_again() {
    on_sqlite(|database| async move {
        let dir = tempfile::tempdir().unwrap();
        let (state, yesterday) = (dir.path().join("state"), dir.path().join("yesterday.db"));
        let house = House::open_in(&database, &state).await;
        let there = house.issue(1).await;
        house.ledger.record(vec![record("token", Some(0)), record("other", Some(0))]).await.unwrap();
        copied(&database, &yesterday);
        let gone = house.issue(2).await;
        house.ledger.revoke(revocation(there.operation)).await.unwrap();
        house.ledger.revoke(revocation(gone.operation)).await.unwrap();
        house.ledger.record(vec![record("token", Some(house.ledger.record_version("thing", "token")))]).await.unwrap();
        let told = house.ledger.revocations("tls").rows;
        let closed = house.closed().await;
        put_back(&database, &yesterday);

        let (house, resumed) = closed.resume(&database, &state, "the disk died; restored").await.unwrap();
        assert_eq!(resumed.revoked_again, 2);
        assert_eq!(resumed.older, vec![("thing".to_owned(), "token".to_owned())]);
        let now = house.ledger.revocations("tls").rows;
        for row in &told {
            let same = |other: &&store::RevokedRow| other.serial == row.serial;
            let again = now.iter().find(same).expect("it is revoked again");
            assert_eq!(
                (again.revoked_at, again.reason, again.not_after, again.kind),
                (row.revoked_at, row.reason, row.not_after, row.kind)
            );
        }
        assert!(house.ledger.is_compromised(&[1; 32]) && house.ledger.is_compromised(&[2; 32]));
        assert!(house.ledger.is_revoked(there.operation), "what the register holds is revoked itself");
        // A serial that is revoked already, lost or not, is not revoked twice: a CRL has an entry once.
        for n in [1, 2] {
            assert!(matches!(house.ledger.revoke_lost(lost(n)).await, Err(StoreError::Conflict(_))), "{n}");
        }
        let report = verified(database.clone(), None);
        assert_eq!(report.findings, vec![]);
        // It is so after a restart, from the image and from the log alone.
        let house = house.reopened(&database).await;
        assert_eq!(house.ledger.revocations("tls").rows.len(), 2);
    });
}

#[test]
fn what_a_kill_cut_off_is_known_from_the_image_that_a_revocation_makes() {
    on_sqlite(|database| async move {
        let dir = tempfile::tempdir().unwrap();
        let (state, yesterday) = (dir.path().join("state"), dir.path().join("yesterday.db"));
        let house = House::open_in(&database, &state).await;
        let there = house.issue(1).await;
        copied(&database, &yesterday);
        house.ledger.revoke(revocation(there.operation)).await.unwrap();
        house.checkpoint().await;
        // As after a kill: what the end would write down is not there.
        let kept = dir.path().join("kept");
        std::fs::create_dir(&kept).unwrap();
        for file in std::fs::read_dir(&state).unwrap().map(Result::unwrap) {
            std::fs::copy(file.path(), kept.join(file.file_name())).unwrap();
        }
        let closed = house.closed().await;
        put_back(&database, &yesterday);
        let (house, resumed) = closed.resume(&database, &kept, "the host died; restored").await.unwrap();
        assert_eq!(resumed.revoked_again, 1);
        assert!(house.ledger.is_revoked(there.operation));
    });
}

#[test]
fn what_the_register_lost_is_revoked_by_its_serial() {
    support::on_both(|database| async move {
        let house = House::open(&database).await;
        house.issue(1).await;
        house.ledger.revoke_lost(lost(7)).await.unwrap();
        let revoked = house.ledger.revocations("tls");
        assert_eq!((revoked.rows.len(), &revoked.rows[0].serial), (1, &serial(7)));
        assert!(house.ledger.is_compromised(&[7; 32]));
        let intent = house.ledger.intend(house.crl(9, "tls", None)).await.unwrap();
        let signature = house.pool.sign(intent).await.unwrap();
        house.ledger.conclude(signature).await.unwrap();
        assert_eq!(verified(database.clone(), None).findings, vec![]);
    });
}

#[test]
fn nobody_goes_on_beside_a_service_that_runs() {
    on_sqlite(|database| async move {
        let state = tempfile::tempdir().unwrap();
        let house = House::open_in(&database, state.path()).await;
        house.issue(1).await;
        let beside = house.token_alone();
        let refused = beside.resume(&database, state.path(), "in a hurry").await.map(drop);
        assert!(matches!(&refused, Err(StoreError::Conflict(why)) if why.contains("stop it first")), "{refused:?}");
        house.issue(2).await;
        house.closed().await.resume(&database, state.path(), "it ended").await.unwrap();
    });
}
