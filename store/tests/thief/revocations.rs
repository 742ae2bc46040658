//! Revocations and CRLs: none is taken back, none comes out of nothing, and none is left out of the next list.

use hsm::Message;
use store::{Covers, Entry, State, StoreError};

use crate::support::{House, on_both, revocation, shown, tbs_crl_of, verified, write_beside};

use super::{alarmed, altered, two_versions};

/// What a thief does to the bytes of the newest CRL, whose rows are those from SLOT on; OLD are those of the one before, of
/// which the thief kept a copy.
const OBJECT_ATTACKS: [(&str, &str, bool); 6] = [
    (
        "altered",
        "UPDATE object SET bytes = (SELECT w.bytes FROM object w WHERE w.slot = SLOT + 1) WHERE slot = SLOT",
        true,
    ),
    ("put back", "UPDATE object SET bytes = (SELECT k.bytes FROM kept k) WHERE slot = SLOT", true),
    ("deleted", "DELETE FROM object", true),
    ("its end cut off", "DELETE FROM object WHERE slot = SLOT + 1", true),
    (
        "its chunks exchanged",
        "UPDATE object SET slot = SLOT + 9 WHERE slot = SLOT; UPDATE object SET slot = SLOT WHERE slot = SLOT + 1; \
         UPDATE object SET slot = SLOT + 1 WHERE slot = SLOT + 9",
        true,
    ),
    ("the old one back beside it", "INSERT INTO object (slot, bytes) SELECT OLD, k.bytes FROM kept k", false),
];

#[test]
fn the_bytes_of_a_crl_that_a_thief_touched_are_not_published_and_found() {
    for (what, sql, is_touched) in OBJECT_ATTACKS {
        on_both(|database| async move {
            let house = House::open(&database).await;
            let crl = |n| Entry {
                message: Message::from(tbs_crl_of(&[], (3 << 19) + n as usize)),
                ..house.crl(n, "tls", None)
            };
            let old = house.ledger.conclude(house.signature(crl(10)).await).await.unwrap().operation * 512;
            write_beside(&database, &format!("CREATE TABLE kept AS SELECT bytes FROM object WHERE slot = {old}"));
            house.ledger.conclude(house.signature(house.crl(11, "tls", None)).await).await.unwrap();
            let newest = house.ledger.conclude(house.signature(crl(12)).await).await.unwrap().operation;
            let sql = sql.replace("SLOT", &(newest * 512).to_string()).replace("OLD", &old.to_string());
            write_beside(&database, &sql);
            let place = format!("object slot={} op={newest}", newest * 512);
            let found = if is_touched { place.clone() } else { format!("object slot={old} op={}", old / 512) };
            for _ in 0..2 {
                house.ledger.audit_step().await.unwrap();
            }
            alarmed(&house, &found);
            let house = house.reopened(&database).await;
            match (is_touched, house.ledger.newest_crl("tls").await) {
                (true, read) => {
                    altered(read, &place);
                    alarmed(&house, &place);
                }
                (false, read) => assert_eq!(read.unwrap().unwrap().operation, newest, "{what}"),
            }
            let report = verified(database.clone(), None);
            assert!(
                report.findings.iter().any(|f| f.what == "object" && f.where_ == found),
                "{what}: {}",
                shown(&report)
            );
        });
    }
}

#[test]
fn a_revocation_that_a_thief_deletes_stays_one() {
    on_both(|database| async move {
        let house = House::open(&database).await;
        let issued = house.issue(1).await;
        house.ledger.revoke(revocation(issued.operation)).await.unwrap();
        write_beside(&database, "DELETE FROM revocation");
        let another = house.beside(&database).await;
        for house in [&house, &another] {
            let there = house.ledger.credential(&issued.serial_hex()).await.unwrap().unwrap();
            assert_eq!((there.state, there.reason), (State::Revoked, Some(1)));
            assert_eq!(house.ledger.revocations("tls").rows.len(), 1);
            assert!(house.ledger.is_compromised(&issued.key_hash));
        }
        let again = house.ledger.revoke(revocation(issued.operation)).await;
        assert!(matches!(again, Err(StoreError::Conflict(_))), "{again:?}");
    });
}

#[test]
fn a_revocation_out_of_nothing_revokes_nothing() {
    on_both(|database| async move {
        let house = House::open(&database).await;
        let issued = house.issue(1).await;
        write_beside(
            &database,
            &format!(
                "INSERT INTO revocation (leaf, op, at, revoked_at, reason, actor, proof, proof_id, action, rule, \
                 policy_hash) SELECT 0, {}, 0, 0, 1, 'x', 'system', '', 'x', 'x', policy_hash FROM intent",
                issued.operation
            ),
        );
        let there = house.ledger.credential(&issued.serial_hex()).await.unwrap().unwrap();
        assert_eq!(there.state, State::Issued);
    });
}

#[test]
fn no_node_begins_a_crl_that_covers_less_than_the_newest() {
    on_both(|database| async move {
        let one = House::open(&database).await;
        let issued = one.issue(1).await;
        let two = one.beside(&database).await;
        let earlier: Covers = two.ledger.revocations("tls").covers;
        one.ledger.revoke(revocation(issued.operation)).await.unwrap();
        let crl = |house: &House, n: u64, covers: Covers| {
            let mut entry = house.entry(n);
            entry.kind = store::Kind::Crl;
            entry.covers = Some(covers);
            entry
        };
        let covers = one.ledger.revocations("tls").covers;
        one.ledger.intend(crl(&one, 10, covers)).await.unwrap();
        let refused = two.ledger.intend(crl(&two, 11, earlier)).await;
        assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
        let covers = two.ledger.revocations("tls").covers;
        two.ledger.intend(crl(&two, 12, covers)).await.unwrap();
    });
}

#[test]
fn what_another_node_revokes_is_known_after_one_look() {
    on_both(|database| async move {
        let one = House::open(&database).await;
        let two = one.beside(&database).await;
        two_versions(&one).await;
        // Newer than what the other node knows: it follows by itself.
        assert!(two.ledger.record_get("thing", "a").await.unwrap().is_some());
        let issued = one.issue(1).await;
        assert!(two.ledger.credential(&issued.serial_hex()).await.unwrap().is_some());
        one.ledger.revoke(revocation(issued.operation)).await.unwrap();
        two.ledger.follow().await.unwrap();
        assert_eq!(two.ledger.credential(&issued.serial_hex()).await.unwrap().unwrap().state, State::Revoked);
    });
}
