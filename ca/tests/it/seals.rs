//! The sealing key: its generations, what stands under them, and where they are at home.

use ca::{Activation, CaError, GenerationName, GenerationState, RevocationReason, Rotate};
use store::{ActorStamp, Database};

use crate::house::{House, admin};

fn name(generation: &str) -> GenerationName {
    generation.parse().unwrap()
}

fn stamp() -> ActorStamp {
    ActorStamp::from(&admin())
}

/// Each generation with its state and what stands under it.
fn seals(house: &House) -> Vec<(String, GenerationState, u64)> {
    let issuer = house.authority.issuers().into_iter().find(|issuer| issuer.name == "seal").unwrap();
    issuer.generations.into_iter().map(|g| (g.name.to_string(), g.state, g.sealed.unwrap())).collect()
}

async fn secret(house: &House, id: &str) -> String {
    let plain = house.ledger.open_sealed(id).await.unwrap().unwrap();
    String::from_utf8(plain.to_vec()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sealing_key_is_succeeded_what_it_sealed_is_sealed_anew_and_only_then_is_it_destroyed() {
    let house = House::new().await;
    let authority = &house.authority;
    // The key of the register's heads.
    assert_eq!(seals(&house), [("seal/1".to_owned(), GenerationState::Active, 1)]);
    house.ledger.seal("a", None, b"alpha", (stamp(), Some(0))).await.unwrap();
    let rehearsal = authority.rehearse_rotation(&admin(), &Rotate::of("seal")).await.unwrap();
    let told = format!("{rehearsal:?}");
    assert!(told.contains("2 sealed records") && told.contains("destroys its key"), "{told}");
    assert_eq!(authority.rotate_issuer(&admin(), Rotate::of("seal")).await.unwrap(), name("seal/2"));
    house.ledger.seal("b", None, b"beta", (stamp(), Some(0))).await.unwrap();
    let expected =
        [("seal/1".to_owned(), GenerationState::Retiring, 2), ("seal/2".to_owned(), GenerationState::Active, 1)];
    assert_eq!(seals(&house), expected);
    assert_eq!((secret(&house, "a").await, secret(&house, "b").await), ("alpha".to_owned(), "beta".to_owned()));
    // Not before, whatever is said.
    for force in [false, true] {
        let refused = authority.retire_issuer(&admin(), &name("seal/1"), force).await;
        assert!(matches!(&refused, Err(CaError::Conflict(why)) if why.contains("2 stand under seal/1")), "{refused:?}");
        let refused = authority.retire_issuer(&admin(), &name("seal/2"), force).await;
        assert!(
            matches!(&refused, Err(CaError::Conflict(why)) if why.contains("is the one that seals")),
            "{refused:?}"
        );
    }
    let refused = authority.revoke_issuer(&admin(), &name("seal/1"), RevocationReason::KeyCompromise).await;
    assert!(matches!(refused, Err(CaError::BadRequest { .. })), "{refused:?}");
    assert_eq!(authority.tend_seals().await.unwrap(), 0);
    assert!(house.pool.has_sealing(None, "seal-1").await.unwrap());
    authority.retire_issuer(&admin(), &name("seal/1"), false).await.unwrap();
    assert!(!house.pool.has_sealing(None, "seal-1").await.unwrap());
    let expected =
        [("seal/1".to_owned(), GenerationState::Ended, 0), ("seal/2".to_owned(), GenerationState::Active, 3)];
    assert_eq!(seals(&house), expected);
    assert_eq!((secret(&house, "a").await, secret(&house, "b").await), ("alpha".to_owned(), "beta".to_owned()));
    authority.checkpoint().await.unwrap();
    let database = Database::Sqlite(house.dir.path().join("chancery.db"));
    let report =
        tokio::task::spawn_blocking(move || store::verify(database, None, &mut |_| {})).await.unwrap().unwrap();
    assert!(report.findings.iter().all(|finding| finding.what == "actor"), "{:?}", report.findings);
}

/// The leaf and the record are there, and the service ended before the token was told.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_outlived_its_generation_is_destroyed_by_the_running_service() {
    let house = House::new().await;
    let authority = &house.authority;
    authority.rotate_issuer(&admin(), Rotate::of("seal")).await.unwrap();
    authority.tend_seals().await.unwrap();
    // The retirement broke off after its leaf: the same command goes on.
    let key = hsm::SealingKey::known("seal-1", &[], house.pool.touchstone(None, "seal-1").await.unwrap());
    house.ledger.end_seal(1, &key, stamp()).await.unwrap();
    assert!(house.pool.has_sealing(None, "seal-1").await.unwrap());
    let activate = authority.activate_issuer(&admin(), &name("seal/1"), Activation::Now).await;
    assert!(matches!(&activate, Err(CaError::Conflict(why)) if why.contains("has ended")), "{activate:?}");
    authority.retire_issuer(&admin(), &name("seal/1"), false).await.unwrap();
    assert!(!house.pool.has_sealing(None, "seal-1").await.unwrap());
    // And so does the service, without one.
    authority.rotate_issuer(&admin(), Rotate::of("seal")).await.unwrap();
    authority.tend_seals().await.unwrap();
    let key = hsm::SealingKey::known("seal-2", &[], house.pool.touchstone(None, "seal-2").await.unwrap());
    house.ledger.end_seal(2, &key, stamp()).await.unwrap();
    authority.tend_seals().await.unwrap();
    assert!(!house.pool.has_sealing(None, "seal-2").await.unwrap());
    assert_eq!(seals(&house)[1], ("seal/2".to_owned(), GenerationState::Ended, 0));
    // What another made under that label since is not touched.
    house.pool.generate_sealing(None, "seal-1").await.unwrap();
    authority.tend_seals().await.unwrap();
    assert!(house.pool.has_sealing(None, "seal-1").await.unwrap());
}

/// A node that has not heard yet of the generation that another put into force seals nothing back, and says of nobody that he altered it.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_comes_late_takes_the_generation_that_another_put_into_force() {
    let dir = tempfile::TempDir::new().unwrap();
    let database = Database::Sqlite(dir.path().join("chancery.db"));
    let house = House::over(&database, dir, policy::World::real(), ca::CreateConfig::new("Example")).await;
    let (late, ledger) = house.beside(&database).await;
    for number in 2..4 {
        house.authority.rotate_issuer(&admin(), Rotate::of("seal")).await.unwrap();
        assert_eq!(house.authority.tend_seals().await.unwrap(), 0);
        ledger.follow().await.unwrap();
        assert_eq!(late.tend_seals().await.unwrap(), 0);
        let standing = house.ledger.standing();
        assert_eq!(standing.get(&number), Some(&1), "{standing:?}");
    }
}
