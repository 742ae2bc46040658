//! Many at once: shown before, proposed by one and ended by another, exactly those.

use ca::{Act, CaError, CertifyRequest, Ending, Lifetime, RevocationReason, Selection};
use policy::{Actor, Role};
use store::{Filter, Kind, State};

use super::{listed, verified};
use crate::house::{House, actor, admin, owner, server_request};

fn of_owner(owner: &str) -> Selection {
    Selection { owner: Some(owner.to_owned()), ..Selection::default() }
}

/// A person with a token of their own.
fn another(name: &str) -> Actor {
    actor(name, Role::Admin)
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_are_meant_are_shown_and_end_in_one_act_with_one_crl() {
    let house = House::new().await;
    for name in ["a", "b", "b", "c"] {
        house.server(&[&format!("{name}.example.com")]).await;
    }
    let ending = Ending::from(RevocationReason::CessationOfOperation);
    let (crls, leaves) =
        (house.authority.crl("tls").await.unwrap().number, house.ledger.counts().await.unwrap().leaves);
    let host = Selection { host: Some("B.example.com".into()), ..Selection::default() };
    let meant = house.authority.preview(&admin(), &host, ending).await.unwrap();
    assert_eq!((meant.count, meant.sample.len()), (2, 2));
    assert_eq!(house.ledger.counts().await.unwrap().leaves, leaves, "a look writes nothing");
    for (none, why) in [
        (Selection::default(), "nothing said"),
        (Selection { key_hash: Some("ab".into()), ..Selection::default() }, "no hash"),
        (Selection { name: Some("dns:a".into()), host: Some("b".into()), ..Selection::default() }, "two names"),
        (Selection { issuer: Some("tsl".into()), ..Selection::default() }, "no such issuer"),
        (Selection { issuer: Some("tls/7".into()), ..Selection::default() }, "no such generation"),
        (of_owner("wbe"), "no such owner"),
        (Selection { profile: Some("tls-sevrer".into()), ..Selection::default() }, "no such profile"),
    ] {
        let refused = house.authority.preview(&admin(), &none, ending).await;
        assert!(matches!(refused, Err(CaError::BadRequest { .. })), "{why}");
    }
    let of_all = [
        Selection { profile: Some("tls-server".into()), ..Selection::default() },
        Selection { issuer: Some("tls/1".into()), ..Selection::default() },
        Selection {
            issuer: Some("tls".into()),
            person: Some(store::ActorStamp::from(&admin()).id),
            ..Selection::default()
        },
    ];
    for of in of_all {
        assert_eq!(house.authority.preview(&admin(), &of, ending).await.unwrap().count, 4, "{of:?}");
    }
    let nobody_s = Selection { person: Some("token:nobody".into()), ..of_owner("web") };
    assert_eq!(house.authority.preview(&admin(), &nobody_s, ending).await.unwrap().count, 0);
    let refused = house.authority.revoke_many(&actor("otto", Role::Auditor), of_owner("web"), ending).await;
    assert!(matches!(refused, Err(CaError::Refused(_))), "{refused:?}");

    let act = house.authority.revoke_many(&admin(), host.clone(), ending).await.unwrap();
    assert!(matches!(act, Act::Done { revoked: 2, .. }), "{act:?}");
    assert!(matches!(house.authority.revoke_many(&admin(), host, ending).await, Ok(Act::Done { revoked: 0, .. })));
    // What is on hold ends for good with the others, or it would come back.
    let hold = Ending::from(RevocationReason::CertificateHold);
    let one = Selection { name: Some("dns:a.example.com".into()), ..Selection::default() };
    assert!(matches!(house.authority.revoke_many(&admin(), one, hold).await, Ok(Act::Done { revoked: 1, .. })));
    assert_eq!(house.authority.preview(&admin(), &of_owner("web"), hold).await.unwrap().count, 1);
    let act = house.authority.revoke_many(&admin(), of_owner("web"), ending).await.unwrap();
    assert!(matches!(act, Act::Done { revoked: 2, .. }), "{act:?}");
    house.authority.refresh_crls().await.unwrap();
    let crl = house.authority.crl("tls").await.unwrap();
    assert_eq!(listed(&crl.der).len(), 4);
    assert!(crl.number > crls);
    let filter = Filter { kind: Some(Kind::Crl), issuer: Some("tls/1".into()), ..Filter::default() };
    assert_eq!(house.ledger.list(filter).await.unwrap().items.len(), 4, "the first, and one for each act");
    let cas = Filter { kind: Some(Kind::CaCertificate), state: Some(State::Revoked), ..Filter::default() };
    assert!(house.ledger.list(cas).await.unwrap().items.is_empty(), "a CA is never among many");
    verified(&house).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_are_proposed_by_one_and_ended_by_another_and_exactly_those() {
    let house = House::at("2027-03-01T12:00:00Z").await;
    let request = server_request(&["www.example.com"]);
    for _ in 0..102 {
        house.authority.certify(&admin(), request.clone()).await.unwrap();
    }
    let ending = Ending::from(RevocationReason::Superseded);
    let propose = async || match house.authority.revoke_many(&admin(), of_owner("web"), ending).await.unwrap() {
        Act::Proposed { id, meant, .. } => (id, meant),
        Act::Done { .. } | Act::Before { .. } => panic!("one person alone ended many"),
    };
    let revoked = async || house.ledger.counts().await.unwrap().revoked;
    let (id, meant) = propose().await;
    assert_eq!((meant.count, revoked().await), (102, 0));
    let conflict = async |who: &Actor, id: &str, why: &str| {
        let answer = house.authority.confirm(who, id).await;
        assert!(matches!(&answer, Err(CaError::Conflict(says)) if says.contains(why)), "{answer:?}");
        assert!(revoked().await <= 1);
    };
    // Who may end what it is about sees it, with some of it, and so does who reads the log; nobody else learns of it.
    let listed = async |who: &Actor| house.authority.proposals(who, true, None).await.unwrap().items;
    let web = Actor { owners: [owner("web")].into(), ..actor("wanda", Role::Issuer) };
    let db = Actor { owners: [owner("db")].into(), ..actor("dora", Role::Issuer) };
    for who in [&another("berta"), &actor("otto", Role::Auditor), &web] {
        let seen = listed(who).await;
        assert_eq!((seen.len(), seen[0].0.as_str(), seen[0].1.sample.len()), (1, id.as_str(), 10));
        assert_eq!(seen[0].1.sample, meant.sample);
        assert!(house.authority.proposal(who, &id).await.unwrap().waits(house.world.now()));
    }
    assert_eq!(listed(&db).await, []);
    assert!(matches!(house.authority.proposal(&db, &id).await, Err(CaError::Refused(_))));
    conflict(&admin(), &id, "another person").await;
    let otto = house.authority.confirm(&actor("otto", Role::Auditor), &id).await;
    assert!(matches!(otto, Err(CaError::Refused(_))), "who may not end one ends none");
    assert!(matches!(house.authority.confirm(&another("berta"), "none").await, Err(CaError::NotFound(_))));
    // A list that keeps one back makes it another set.
    let first = house.ledger.list(Filter { name: Some("dns:www.example.com".into()), ..Filter::default() }).await;
    let one = first.unwrap().items.remove(0);
    let sql = rusqlite::Connection::open(house.dir.path().join("chancery.db")).unwrap();
    let card = |pile: i64| {
        sql.execute(&format!("UPDATE card SET pile = {pile} WHERE op = {}", one.operation), []).unwrap();
    };
    card(1);
    conflict(&another("berta"), &id, "another set").await;
    card(0);
    house.world.advance(3_601);
    conflict(&another("berta"), &id, "expired").await;
    let (id, _) = propose().await;
    let after = house.authority.certify(&admin(), request).await.unwrap();
    let shown = house.authority.proposal(&admin(), &id).await.unwrap();
    assert_eq!((shown.count, shown.confirmed), (102, None));
    let done = house.authority.confirm(&another("berta"), &id).await.unwrap();
    assert!(matches!(done, Act::Done { revoked: 102, .. }), "{done:?}");
    assert_eq!(house.ledger.credential(&after.serial_hex()).await.unwrap().unwrap().state, State::Issued);
    assert_eq!(revoked().await, 102);
    let berta = store::ActorStamp::from(&another("berta")).id;
    assert_eq!(house.authority.proposal(&admin(), &id).await.unwrap().confirmed, Some(berta));
    assert_eq!(listed(&admin()).await, [], "it waits no more, and the one before has expired");
    assert_eq!(house.authority.proposals(&admin(), false, None).await.unwrap().items.len(), 2);
    // While it is carried out it is found by whoever looks for what waits, and after that by nobody.
    let mut versions = sql.prepare("SELECT lookup FROM record WHERE kind = ?1 AND id = ?2 ORDER BY leaf").unwrap();
    let lookups = versions.query_map(["revocation-proposal", &id], |row| row.get::<_, Option<String>>(0)).unwrap();
    let lookups: Vec<Option<String>> = lookups.map(Result::unwrap).collect();
    assert!(lookups.len() == 3 && lookups[0].as_deref().is_some_and(|key| key.starts_with("waits/")), "{lookups:?}");
    assert_eq!(lookups[1..], [Some("broken-off".to_owned()), None]);
    drop(versions);
    // Once: again by the same person there is nothing left, and later it is too late; by a third it is taken.
    let again = house.authority.confirm(&another("berta"), &id).await.unwrap();
    assert!(matches!(again, Act::Before { count: 102, at, .. } if at == house.world.now()), "{again:?}");
    let third = house.authority.confirm(&another("carl"), &id).await;
    assert!(matches!(&third, Err(CaError::Conflict(says)) if says.contains("confirmed already")), "{third:?}");
    house.world.advance(7_201);
    let late = house.authority.confirm(&another("berta"), &id).await;
    assert!(
        matches!(&late, Err(CaError::Conflict(says)) if says.contains("confirmed already, by berta at ")),
        "{late:?}"
    );
    verified(&house).await;
}

/// Of many certificates one ends every second, and people go on revoking single ones: what was proposed is carried out all the same.
#[tokio::test(flavor = "multi_thread")]
async fn what_ends_while_a_proposal_waits_does_not_undo_it() {
    for reason in [RevocationReason::Superseded, RevocationReason::CertificateHold] {
        let house = House::at("2027-03-01T12:00:00Z").await;
        let request = server_request(&["www.example.com"]);
        let short = CertifyRequest { lifetime: Lifetime::Secs(600), ..request.clone() };
        house.authority.certify(&admin(), short).await.unwrap();
        let single = house.authority.certify(&admin(), request.clone()).await.unwrap();
        let held = house.authority.certify(&admin(), request.clone()).await.unwrap();
        for _ in 0..100 {
            house.authority.certify(&admin(), request.clone()).await.unwrap();
        }
        let act = house.authority.revoke_many(&admin(), of_owner("web"), reason.into()).await.unwrap();
        let Act::Proposed { id, meant, .. } = act else { panic!("one person alone ended many") };
        assert_eq!(meant.count, 103);
        house.authority.revoke(&admin(), &single.serial_hex(), RevocationReason::PrivilegeWithdrawn).await.unwrap();
        house.authority.revoke(&admin(), &held.serial_hex(), RevocationReason::CertificateHold).await.unwrap();
        house.authority.certify(&admin(), request).await.unwrap();
        house.world.advance(700);
        let ended = if reason == RevocationReason::CertificateHold { 100 } else { 101 };
        let done = house.authority.confirm(&another("berta"), &id).await.unwrap();
        assert!(matches!(done, Act::Done { revoked, .. } if revoked == ended), "{reason:?}: {done:?}");
        assert_eq!(house.ledger.counts().await.unwrap().revoked, 102);
        verified(&house).await;
    }
}

/// What nobody confirmed in time stays in the register for ever, and hides nothing that waits.
#[tokio::test(flavor = "multi_thread")]
async fn a_proposal_that_waits_is_found_whatever_expired_before_it() {
    let house = House::at("2027-03-01T12:00:00Z").await;
    for _ in 0..101 {
        house.authority.certify(&admin(), server_request(&["www.example.com"])).await.unwrap();
    }
    let ending = Ending::from(RevocationReason::Superseded);
    let propose = async || match house.authority.revoke_many(&admin(), of_owner("web"), ending).await.unwrap() {
        Act::Proposed { id, .. } => id,
        Act::Done { .. } | Act::Before { .. } => panic!("one person alone ended many"),
    };
    for _ in 0..110 {
        propose().await;
    }
    // Each has its hour: as long as one may be confirmed it is on the list.
    for _ in 0..4 {
        house.world.advance(3_601);
        let id = propose().await;
        for secs in [0, 1_800, 1_800] {
            house.world.advance(secs);
            let shown = house.authority.proposals(&admin(), true, None).await.unwrap().items;
            assert_eq!(
                shown.into_iter().map(|(id, _)| id).collect::<Vec<_>>(),
                std::slice::from_ref(&id),
                "after {secs} s more"
            );
        }
    }
    house.world.advance(7_300);
    let none = house.authority.proposals(&admin(), true, None).await.unwrap();
    assert!(none.items.is_empty() && none.next.is_none(), "{none:?}");
    let page = house.authority.proposals(&admin(), false, None).await.unwrap();
    assert_eq!((page.items.len(), page.next.is_some()), (100, true), "who asks for all is shown all");
    // One that somebody altered takes no other off the list, and counts as none.
    let altered = page.items[7].0.clone();
    house.alter(("revocation-proposal", &altered), "superseded", "unspecified");
    let less = house.authority.proposals(&admin(), false, None).await.unwrap();
    assert_eq!((less.items.len(), less.altered), (99, 1));
    assert_eq!(less.next, page.next, "it goes on where it did");
    assert!(less.items.iter().all(|(id, _)| *id != altered) && house.is_alarmed_of("revocation-proposal", &altered));
    assert!(matches!(house.authority.proposal(&admin(), &altered).await, Err(CaError::Altered(_))));
    assert!(matches!(house.authority.confirm(&another("berta"), &altered).await, Err(CaError::Altered(_))));
}

/// Two persons have decided, and the service ended in the middle: that is found by whoever looks for what waits, whenever it is, and
/// whoever may goes on with it.
#[tokio::test(flavor = "multi_thread")]
async fn what_broke_off_after_it_was_confirmed_waits_for_somebody_who_goes_on() {
    let house = House::at("2027-03-01T12:00:00Z").await;
    for _ in 0..102 {
        house.authority.certify(&admin(), server_request(&["www.example.com"])).await.unwrap();
    }
    let ending = Ending::from(RevocationReason::Superseded);
    let Act::Proposed { id, .. } = house.authority.revoke_many(&admin(), of_owner("web"), ending).await.unwrap() else {
        panic!("one person alone ended many")
    };
    // As a kill leaves it: confirmed, and one of them revoked.
    let there = house.ledger.record_get("revocation-proposal", &id).await.unwrap().unwrap();
    let mut body = there.body.clone();
    body["confirmed"] = "berta".into();
    let confirmed = store::Record {
        kind: "revocation-proposal",
        id: id.clone(),
        owner: None,
        lookup: Some("broken-off".to_owned()),
        expires: there.expires,
        body,
        actor: store::ActorStamp::from(&another("berta")),
        expect: Some(there.version),
    };
    house.ledger.record(vec![confirmed]).await.unwrap();
    let one = house.ledger.list(Filter { name: Some("dns:www.example.com".into()), ..Filter::default() }).await;
    let one = one.unwrap().items.remove(0).serial_hex();
    house.authority.revoke(&admin(), &one, RevocationReason::Superseded).await.unwrap();

    house.world.advance(2 * 86_400);
    let waiting = async || house.authority.proposals(&another("carl"), true, None).await.unwrap().items;
    let shown = waiting().await;
    assert_eq!(shown.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>(), [id.as_str()]);
    assert!(shown[0].1.is_broken_off());
    let own = house.authority.confirm(&admin(), &id).await;
    assert!(matches!(&own, Err(CaError::Conflict(says)) if says.contains("another person")), "{own:?}");
    let done = house.authority.confirm(&another("carl"), &id).await.unwrap();
    assert!(matches!(done, Act::Done { revoked: 101, .. }), "{done:?}");
    assert_eq!(house.ledger.counts().await.unwrap().revoked, 102);
    assert_eq!(waiting().await, []);
    let proposal = house.authority.proposal(&admin(), &id).await.unwrap();
    assert!(proposal.done && proposal.confirmed.as_deref() == Some("berta"));
    verified(&house).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_released_since_is_not_put_on_hold_by_a_confirmation_that_is_repeated() {
    let house = House::at("2027-03-01T12:00:00Z").await;
    let mut last = None;
    for _ in 0..102 {
        last = Some(house.authority.certify(&admin(), server_request(&["www.example.com"])).await.unwrap());
    }
    let serial = last.unwrap().serial_hex();
    let ending = Ending::from(RevocationReason::CertificateHold);
    let Act::Proposed { id, .. } = house.authority.revoke_many(&admin(), of_owner("web"), ending).await.unwrap() else {
        panic!("one person alone ended many")
    };
    house.authority.confirm(&another("berta"), &id).await.unwrap();
    house.authority.release(&admin(), &serial).await.unwrap();
    let again = house.authority.confirm(&another("berta"), &id).await.unwrap();
    assert!(matches!(again, Act::Before { count: 102, .. }), "{again:?}");
    assert_eq!(house.ledger.credential(&serial).await.unwrap().unwrap().state, State::Issued);
}
