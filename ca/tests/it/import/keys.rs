//! The key of a CA that comes: one is one issuer's, and nothing is taken from one that is another.

use ca::{Arrival, Authority, Brought, Homes};
use hsm::testing::TestToken;

use super::{Old, done, good, lands, pem, sha256};
use crate::house::{House, accepts, admin, open_ledger, owner, parts};
use crate::issuers::{self, below};
use crate::tokens::Two;

/// A CA elsewhere named its key as it liked. Its certificate is renewed and signed for here, and what it signed before goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_ca_that_came_keeps_its_keys_name_in_every_certificate_of_it() {
    let house = House::new().await;
    let authority = &house.authority;
    let old = Old::named("Old CA", &[1, 2, 3, 4, 5, 6, 7, 8]);
    let leaf = house.file("leaf.pem", pem("CERTIFICATE", &old.signs(&[1], "a.example.com")));
    old.moves_into(&house, "old-ca");
    let Arrival { name, label, chain_pem, leaves, token, was_outside, root, .. } = old.arrival("old", "old-ca", None);
    let brought = Brought { name, label, token, was_outside, chain_pem, root, leaves, shards: None, deltas: None };
    let name = authority.bring_issuer(&admin(), brought).await.unwrap();
    // A CA below it, as it bounds no path.
    let sub = authority.create_issuer(&admin(), below("sub", "old")).await.unwrap();
    let sub = house.file("sub.pem", first(&authority.export_issuer(&admin(), &sub).await.unwrap()));

    authority.renew_issuer(&admin(), &name).await.unwrap();
    let renewed = house.file("renewed.pem", first(&authority.export_issuer(&admin(), &name).await.unwrap()));
    let says = accepts("openssl", &[&"x509", &"-in", &renewed, &"-noout", &"-ext", &"subjectKeyIdentifier"]);
    assert!(says.contains("01:02:03:04:05:06:07:08"), "{says}");
    for certificate in [&renewed, &leaf, &sub] {
        accepts("openssl", &[&"verify", &"-x509_strict", &"-CAfile", &renewed, certificate]);
    }
    // And by whoever trusts our own root alone.
    authority.cross_sign_issuer(&admin(), &name, &issuers::name("root/1")).await.unwrap();
    let all = house.file("all.pem", authority.export_issuer(&admin(), &name).await.unwrap());
    let own = house.file("own.pem", authority.export_issuer(&admin(), &issuers::name("root/1")).await.unwrap());
    let crossed = std::fs::read_to_string(&all).unwrap();
    let crossed = crossed.split_inclusive("-----END CERTIFICATE-----\n").filter(|pem| {
        let file = house.file("one.pem", pem);
        let issuer = accepts("openssl", &[&"x509", &"-in", &file, &"-noout", &"-issuer"]);
        !issuer.contains("Old CA")
    });
    let crossed = house.file("crossed.pem", crossed.collect::<String>());
    accepts("openssl", &[&"verify", &"-x509_strict", &"-CAfile", &own, &"-untrusted", &crossed, &leaf]);
    // Who signs for it elsewhere is asked for that name.
    let request = house.file("old.csr", authority.request_issuer(&admin(), &name).await.unwrap().pem);
    let asks = accepts("openssl", &[&"req", &"-in", &request, &"-noout", &"-text"]);
    assert!(asks.contains("01:02:03:04:05:06:07:08"), "{asks}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_key_is_one_issuers_whatever_its_label_and_what_arrives_is_not_activated() {
    let house = House::new().await;
    let old = Old::new("Old CA");
    let authority = &house.authority;
    for label in ["old-ca", "again"] {
        old.moves_into(&house, label);
    }
    let name = authority.import_begin(&admin(), old.arrival("old", "old-ca", None), false).await.unwrap().name;
    let why = authority.activate_issuer(&admin(), &name, ca::Activation::Now).await.unwrap_err().to_string();
    assert!(why.contains("finish that first") && why.contains("chancery ca retire old/1"), "{why}");
    let der = old.signs(&[7], "www.example.com");
    let own = (vec![good(&der)], Some(owner("web")), &[7; 32]);
    assert_eq!(authority.import_some(&admin(), &name, own, false).await.unwrap().new, 1);
    done(authority, &name).await;
    let brought = || ca::Brought {
        name: "again".to_owned(),
        label: "again".to_owned(),
        token: None,
        was_outside: true,
        chain_pem: pem("CERTIFICATE", &old.certificate).into_bytes(),
        root: None,
        leaves: true,
        shards: None,
        deltas: None,
    };
    // Under another name it would tell of no revocation, and one that has ended would begin again.
    for has_ended in [false, true] {
        if has_ended {
            authority.revoke_issuer(&admin(), &name, ca::RevocationReason::Superseded).await.unwrap();
        }
        let rehearsed = authority.import_begin(&admin(), old.arrival("again", "again", None), true).await;
        let begun = authority.import_begin(&admin(), old.arrival("again", "again", None), false).await;
        let taken = authority.bring_issuer(&admin(), brought()).await;
        let refused = [rehearsed.unwrap_err(), begun.unwrap_err(), taken.unwrap_err()];
        for why in refused.map(|why| why.to_string()) {
            assert!(why.contains("the key `again` is that of old/1"), "{why}");
        }
    }
    // Nobody knows by which rules it was signed.
    let why = authority.renew(&admin(), "07", None).await.unwrap_err().to_string();
    assert!(why.contains("signed elsewhere") && why.contains("under a profile"), "{why}");
    house.verified().await;
}

/// What an importing tool granted beside signing is taken from a key once it is known to be the one that is meant, and from no other.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_taken_from_a_key_that_is_another_or_that_is_not_taken() {
    let two = Two::with(|_| TestToken::new("stranger")).await;
    let (old, other) = (Old::new("Old CA"), Old::new("Other CA"));
    old.moves_into(&two.house, "old-ca");
    other.moves_to(&two.spare, &two.house, "old-ca");
    two.house.token.loosen("old-ca");
    two.spare.loosen("old-ca");
    let as_it_is = async |token: &str| two.pool.token(token).unwrap().find("old-ca").await.unwrap_err().to_string();
    let before = (as_it_is("main").await, as_it_is("spare").await);
    assert!(before.0.contains("CKA_DECRYPT is true") && before.1.contains("CKA_DECRYPT is true"), "{before:?}");
    // A chain of another CA, by either way in.
    let arrival = other.arrival("old", "old-ca", None);
    two.authority.import_begin(&admin(), arrival, false).await.unwrap_err();
    let brought = ca::Brought {
        name: "old".to_owned(),
        label: "old-ca".to_owned(),
        token: None,
        was_outside: true,
        chain_pem: pem("CERTIFICATE", &other.certificate).into_bytes(),
        root: Some(sha256(&other.certificate)),
        leaves: true,
        shards: None,
        deltas: None,
    };
    two.authority.bring_issuer(&admin(), brought).await.unwrap_err();
    assert_eq!(as_it_is("main").await, before.0);
    // And another key in another token.
    let name = two.authority.import_begin(&admin(), old.arrival("old", "old-ca", None), false).await.unwrap().name;
    assert!(!as_it_is("main").await.contains("CKA_DECRYPT"), "it is the one that is meant");
    done(&two.authority, &name).await;
    let homes = Homes::Add { token: "spare".to_owned(), was_outside: true };
    let refused = two.authority.set_homes(&admin(), &name, homes).await.unwrap_err().to_string();
    assert!(refused.contains("is another key than that of old/1"), "{refused}");
    assert_eq!(as_it_is("spare").await, before.1);
}

/// The token is there all the while, so that nobody looks for the key again.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_somebody_changed_in_its_token_is_an_alarm_until_it_is_put_right() {
    let house = House::new().await;
    let old = Old::new("Old CA");
    old.moves_into(&house, "old-ca");
    let name = house.authority.import_begin(&admin(), old.arrival("old", "old-ca", None), false).await.unwrap().name;
    lands(&house.authority, &name, vec![good(&old.signs(&[7], "www.example.com"))]).await;
    done(&house.authority, &name).await;
    // Another pool, no session of which has signed with it.
    let (pool, mint) = hsm::open(house.token.config()).unwrap();
    let ledger = open_ledger(house.dir.path(), (&pool, mint), &house.world).await;
    let profiles = ca::Profiles::load(ca::Profiles::shipped()).unwrap();
    let authority = Authority::open(parts(&ledger, &pool, &house.world, profiles)).await.unwrap();
    assert!(authority.health().due.is_empty(), "{:?}", authority.health().due);
    house.token.loosen("old-ca");
    authority.revoke(&admin(), "07", ca::RevocationReason::Superseded).await.unwrap();
    for _ in 0..2 {
        let _ = authority.refresh_crls().await;
        let due = authority.health().due;
        let [alarm] = &due[..] else { panic!("{due:?}") };
        assert!(alarm.contains("CKA_DECRYPT is true") && alarm.contains("chancery ca tokens old/1 --add"), "{alarm}");
    }
    let homes = Homes::Add { token: pool.first().name().to_owned(), was_outside: true };
    authority.set_homes(&admin(), &name, homes).await.unwrap();
    assert!(authority.health().due.is_empty(), "{:?}", authority.health().due);
    authority.refresh_crls().await.unwrap();
}

fn first(pem: &str) -> String {
    pem.split_inclusive("-----END CERTIFICATE-----\n").next().unwrap().to_owned()
}
