//! Whoever can write the database puts back what was revoked, in every row that tells of it: nothing is signed with it.

use ca::{Authority, CaError, CodeFormat, Profiles, RevocationReason};
use hsm::KeyKind;
use store::{Filter, Kind};

use crate::code::{key_request, sign_request};
use crate::house::{House, admin, parts, server_request};
use crate::revocation::listed;

/// Takes a revocation back by SQL, as consistently as can be.
fn unrevoke(house: &House, op: u64) {
    let sql = rusqlite::Connection::open(house.dir.path().join("chancery.db")).unwrap();
    sql.execute_batch(&format!(
        "DELETE FROM revocation WHERE op = {op}; UPDATE card SET pile = 0 WHERE op = {op}; \
         UPDATE place SET issued = issued + 1, revoked = revoked - 1 WHERE id = (SELECT place FROM card WHERE op = {op})"
    ))
    .unwrap();
}

async fn restarted(house: &House) -> Authority {
    let profiles = Profiles::load(Profiles::shipped()).unwrap();
    Authority::open(parts(&house.ledger, &house.pool, &house.world, profiles)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn code_is_not_signed_with_a_revoked_certificate_whatever_the_rows_say() {
    let house = House::new().await;
    let made = house.authority.create_code_key(&admin(), key_request("release", KeyKind::P256)).await.unwrap();
    house.authority.revoke(&admin(), &made.serial_hex(), RevocationReason::Superseded).await.unwrap();
    let sign = async || house.authority.sign_code(&admin(), sign_request("release", b"x", CodeFormat::Raw)).await;
    assert!(matches!(sign().await, Err(CaError::NotFound(_))));
    unrevoke(&house, made.operation);
    let refused = sign().await.unwrap_err();
    assert!(refused.to_string().contains(&format!("intent op={}", made.operation)), "{refused}");
    assert_eq!(house.ledger.integrity().alarms.len(), 1);
}

/// The CA certificate of the issuer, its operation and its serial.
async fn issuing(house: &House, label: &str) -> (u64, String) {
    let cas = Filter { kind: Some(Kind::CaCertificate), ..Filter::default() };
    let all = house.ledger.list(cas).await.unwrap().items;
    let ours = all.iter().find(|c| c.details["generation"] == format!("{label}/1")).unwrap();
    (ours.operation, ours.serial_hex())
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_issued_under_a_revoked_ca_running_and_restarted_and_the_others_go_on() {
    for reason in [RevocationReason::Superseded, RevocationReason::KeyCompromise] {
        let house = House::new().await;
        house.authority.create_code_key(&admin(), key_request("release", KeyKind::P256)).await.unwrap();
        let before = house.server(&["www.example.com"]).await;
        let (operation, serial) = issuing(&house, "tls").await;
        house.authority.revoke(&admin(), &serial, reason).await.unwrap();
        let refuses = async |authority: &Authority| {
            let refused = authority.certify(&admin(), server_request(&["www.example.com"])).await.unwrap_err();
            assert!(matches!(&refused, CaError::Conflict(why) if why.contains("CA `tls/1` is")), "{refused}");
            assert!(authority.renew(&admin(), &before.serial_hex(), None).await.is_err());
            let health = authority.health();
            assert!(health.stopped.len() == 1 && health.stopped[0].why.contains("CA `tls/1`"), "{health:?}");
            assert_eq!(health.held, None, "the others go on");
            authority.sign_code(&admin(), sign_request("release", b"x", CodeFormat::Raw)).await.unwrap();
        };
        refuses(&house.authority).await;
        refuses(&restarted(&house).await).await;
        unrevoke(&house, operation);
        refuses(&house.authority).await;
        let authority = restarted(&house).await;
        refuses(&authority).await;
        // What it revokes is told all the same.
        authority.revoke(&admin(), &before.serial_hex(), RevocationReason::Superseded).await.unwrap();
        assert!(listed(&authority.crl("tls").await.unwrap().der).contains(&before.serial_hex()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_code_is_signed_under_a_revoked_code_ca() {
    let house = House::new().await;
    house.authority.create_code_key(&admin(), key_request("release", KeyKind::P256)).await.unwrap();
    let (_, serial) = issuing(&house, "code").await;
    house.authority.revoke(&admin(), &serial, RevocationReason::Superseded).await.unwrap();
    let refused =
        house.authority.sign_code(&admin(), sign_request("release", b"x", CodeFormat::Raw)).await.unwrap_err();
    assert!(matches!(&refused, CaError::Conflict(why) if why.contains("CA `code/1` is revoked")), "{refused}");
    house.server(&["www.example.com"]).await;
}

/// What is written into one issuer's record stops that issuer on a node that starts, and nobody else. A running node goes on by what the
/// log says, which it has read; where it reads the row again it refuses it, with an alarm.
#[tokio::test(flavor = "multi_thread")]
async fn an_altered_issuer_stops_itself_alone() {
    let house = House::new().await;
    let sql = rusqlite::Connection::open(house.dir.path().join("chancery.db")).unwrap();
    let newest = "kind = 'issuer' AND id = 'code' AND leaf = (SELECT max(leaf) FROM record WHERE kind = 'issuer' AND id = 'code')";
    let write = |leaves: &str, was: &str| {
        let text =
            format!("UPDATE record SET body = replace(body, '\"leaves\":{was}', '\"leaves\":{leaves}') WHERE {newest}");
        assert_eq!(sql.execute(&text, []).unwrap(), 1);
    };
    let code = async |authority: &Authority, name: &str| {
        authority.create_code_key(&admin(), key_request(name, KeyKind::P256)).await
    };
    write("false", "true");
    house.authority.rotate_issuer(&admin(), ca::Rotate::of("ssh-user")).await.unwrap();
    let others_go_on = async |authority: &Authority| {
        authority.certify(&admin(), server_request(&["www.example.com"])).await.unwrap();
        authority.refresh_crls().await.unwrap();
        authority.checkpoint().await.unwrap();
    };
    others_go_on(&house.authority).await;
    code(&house.authority, "running").await.unwrap();
    assert!(house.authority.rotate_issuer(&admin(), ca::Rotate::of("code")).await.is_err());
    assert!(house.ledger.integrity().alarms.iter().any(|alarm| alarm.place.contains("id=code")));
    let again = restarted(&house).await;
    others_go_on(&again).await;
    code(&again, "started").await.unwrap_err();
    // Of a node that met it nothing is signed with it from then on, whatever else changes.
    again.rotate_issuer(&admin(), ca::Rotate::of("ssh-user")).await.unwrap();
    code(&again, "changed").await.unwrap_err();
    // A row that is beyond the log, and one that is gone, are the same.
    for thief in ["UPDATE record SET leaf = leaf + 1000000 WHERE ", "DELETE FROM record WHERE "] {
        sql.execute(&format!("{thief}{newest}"), []).unwrap();
        again.rotate_issuer(&admin(), ca::Rotate::of("ssh-user")).await.unwrap();
        others_go_on(&again).await;
        others_go_on(&house.authority).await;
        code(&again, "gone").await.unwrap_err();
        if thief.starts_with("UPDATE") {
            sql.execute(&format!("UPDATE record SET leaf = leaf - 1000000 WHERE {newest}"), []).unwrap();
        }
    }
    others_go_on(&restarted(&house).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_that_was_put_right_signs_again() {
    let house = House::new().await;
    let sql = rusqlite::Connection::open(house.dir.path().join("chancery.db")).unwrap();
    let write = |to: &str, was: &str| {
        let text = format!(
            "UPDATE record SET body = replace(body, '\"{was}\"', '\"{to}\"') WHERE kind = 'issuer' AND id = 'tls'"
        );
        assert!(sql.execute(&text, []).unwrap() > 0);
    };
    write("tls-9", "tls-1");
    let again = restarted(&house).await;
    again.certify(&admin(), server_request(&["www.example.com"])).await.unwrap_err();
    write("tls-1", "tls-9");
    again.look_for_keys().await.unwrap();
    again.certify(&admin(), server_request(&["www.example.com"])).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_altered_code_key_signs_nothing_and_takes_no_other_off_the_list() {
    let house = House::new().await;
    let make = async |label: &str| house.authority.create_code_key(&admin(), key_request(label, KeyKind::P256)).await;
    let sign = async |label: &str| {
        let request = sign_request(label, b"x", CodeFormat::Raw);
        house.authority.sign_code(&admin(), request).await.map(drop)
    };
    let listed = async || {
        let keys = house.authority.code_keys().await.unwrap();
        (keys.items.into_iter().map(|(label, ..)| label).collect::<Vec<_>>(), keys.altered)
    };
    make("one").await.unwrap();
    let two = make("two").await.unwrap();
    house.alter(("code-key", "one"), "code:one", "code:two");
    assert_eq!(listed().await, (vec!["two".to_owned()], 1));
    assert!(house.is_alarmed_of("code-key", "one"));
    assert!(matches!(sign("one").await, Err(CaError::Altered(_))));
    assert!(matches!(make("one").await, Err(CaError::Altered(_))));
    sign("two").await.unwrap();
    house.alter(("code-key", "one"), "code:two", "code:one");
    sign("one").await.unwrap();
    // The same of one whose certificate somebody put back.
    house.authority.revoke(&admin(), &two.serial_hex(), RevocationReason::Superseded).await.unwrap();
    unrevoke(&house, two.operation);
    assert_eq!(listed().await, (vec!["one".to_owned()], 1));
    assert!(sign("two").await.is_err());
}
