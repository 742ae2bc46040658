//! The token goes away under way, and comes back; the register goes away.

use std::collections::BTreeSet;
use std::time::Duration;

use ca::CaError;
use hsm::Health;
use policy::{Action, Actor, Proof, Resource, ResourceKind};

use crate::house::{House, admin, server_request};

#[tokio::test(flavor = "multi_thread")]
async fn without_the_token_nothing_is_issued_reads_go_on_and_it_heals_by_itself() {
    let house = House::new().await;
    let issued = house.server(&["www.example.com"]).await;
    let home = house.token.directory();
    let away = home.with_extension("away");
    std::fs::rename(&home, &away).unwrap();

    let gone = async {
        loop {
            match house.authority.certify(&admin(), server_request(&["www.example.com"])).await {
                // The first ones may meet the loss under way.
                Err(CaError::Unavailable { .. })
                    if matches!(house.authority.health().token, Health::Healing { .. }) =>
                {
                    return;
                }
                Err(CaError::Unavailable { .. } | CaError::Unknown { .. } | CaError::Internal(_)) | Ok(_) => {}
                Err(other) => panic!("{other}"),
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), gone).await.expect("the loss is noticed");

    let size = house.ledger.head().size;
    for _ in 0..20 {
        let refused = house.authority.certify(&admin(), server_request(&["www.example.com"])).await;
        assert!(matches!(refused, Err(CaError::Unavailable { retry_after_secs: 1.., .. })), "{refused:?}");
    }
    assert_eq!(house.ledger.head().size, size, "an outage does not fill the log");
    assert!(house.ledger.credential(&issued.serial_hex()).await.unwrap().is_some(), "reads go on");
    house.authority.crl("tls").await.expect("the CRL is served");
    // A revocation is durable although its CRL has to wait.
    house.authority.revoke(&admin(), &issued.serial_hex(), ca::RevocationReason::KeyCompromise).await.unwrap();

    std::fs::rename(&away, &home).unwrap();
    let back = async {
        while house.authority.health().token != Health::Ready {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(6), back).await.expect("it heals within five seconds");
    house.server(&["www.example.com"]).await;
    house.authority.refresh_crls().await.unwrap();
    let crl = house.authority.crl("tls").await.unwrap();
    assert!(crl.windows(16).any(|w| w == issued.serial), "the CRL that was owed is made");
}

#[tokio::test(flavor = "multi_thread")]
async fn how_many_were_refused_is_not_lost_while_the_register_is_away() {
    let house = House::new().await;
    let nobody = Actor {
        id: "token:none".to_owned(),
        roles: BTreeSet::new(),
        owners: BTreeSet::new(),
        scopes: None,
        proof: Proof::Token { id: "none".to_owned() },
        second_factor: None,
    };
    // So many are entries of the log each, the one after them says that the rest is counted, and three are.
    for _ in 0..256 + 1 + 3 {
        let on = Resource::plain(ResourceKind::Authority);
        let refused = house.authority.authorize(&nobody, Action::ManageAuthority, on).await.err();
        assert!(matches!(refused, Some(CaError::Refused(_))), "{refused:?}");
    }
    let state = house.authority.refusals();
    assert_eq!((state.counted, state.untold), (3, 3));
    house.ledger.clone().close().await;
    house.authority.tell_refusals(true).await.unwrap_err();
    assert_eq!(house.authority.refusals().untold, 3, "they are told by the next that asks");
}
