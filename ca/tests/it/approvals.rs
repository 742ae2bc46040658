//! Profiles whose certificates wait until others have approved them.

use std::collections::BTreeSet;

use ca::{Authority, CaError, CertifyRequest, Lifetime, Profiles, Prospect, WaitingState};
use policy::{Actor, Name, Proof, Role};

use crate::house::{House, admin, owner, server_request};

/// A person with one role.
fn person(name: &str, role: Role) -> Actor {
    Actor {
        id: format!("token:{name}"),
        roles: BTreeSet::from([role]),
        owners: BTreeSet::from([owner("web")]),
        scopes: None,
        proof: Proof::Token { id: name.to_owned() },
        second_factor: None,
    }
}

async fn approving(house: &House, approvals: u8) -> Authority {
    let text =
        Profiles::shipped()[0].1.replace("wildcards = true", &format!("wildcards = true\napprovals = {approvals}"));
    let texts: Vec<_> =
        std::iter::once(("tls-server", text.as_str())).chain(Profiles::shipped()[1..].to_vec()).collect();
    house.reopened(Profiles::load(&texts).unwrap()).await
}

fn says(outcome: Result<impl std::fmt::Debug, CaError>, words: &str) {
    let error = outcome.unwrap_err();
    assert!(matches!(&error, CaError::Conflict(why) if why.contains(words)), "{words}: {error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_profile_wants_approved_waits_for_so_many_others() {
    let house = House::new().await;
    let before = house.server(&["old.example.com"]).await;
    let authority = approving(&house, 2).await;
    let (ann, bob, eve) = (person("ann", Role::Issuer), person("bob", Role::Approver), person("eve", Role::Approver));
    let wish = || server_request(&["www.example.com"]);

    // No way around: nothing is issued, renewed, or promised to an ACME client under such a profile.
    says(authority.certify(&ann, wish()).await, "waits until 2 others have approved it");
    says(authority.renew(&admin(), &before.serial_hex(), None).await, "waits until 2 others");
    let prospect = Prospect {
        profile: "tls-server".to_owned(),
        owner: owner("web"),
        names: vec![Name::parse("www.example.com").unwrap()],
        lifetime: Lifetime::ByProfile,
    };
    says(authority.foresee(&admin(), prospect).await, "waits until 2 others");

    // What could not be issued is not asked of anybody.
    let refused = authority.ask(&ann, server_request(&["www.elsewhere.net"])).await.unwrap_err();
    assert!(matches!(refused, CaError::Refused(_)), "{refused}");
    let long = CertifyRequest { lifetime: Lifetime::Secs(10_000_000), ..wish() };
    assert!(matches!(authority.ask(&ann, long).await, Err(CaError::BadRequest { .. })));
    assert!(authority.ask(&ann, CertifyRequest { renew: true, ..wish() }).await.is_err());

    let size = house.ledger.head().size;
    let (id, waiting) = authority.ask(&ann, wish()).await.unwrap();
    assert_eq!((waiting.needs, waiting.by.as_str()), (2, "token:ann"));
    assert_eq!(house.ledger.head().size, size + 1, "a leaf, and nothing is signed");
    says(authority.collect(&ann, &id).await, "0 of 2");

    // Neither who asked, nor one who may not, nor one person twice.
    says(authority.approve(&person("ann", Role::Admin), &id).await, "another person");
    assert!(matches!(authority.approve(&person("dan", Role::Issuer), &id).await, Err(CaError::Refused(_))));
    assert!(matches!(authority.approve(&person("dan", Role::Issuer), "no-such").await, Err(CaError::Refused(_))));
    assert!(matches!(authority.approve(&bob, "no-such").await, Err(CaError::NotFound(_))));
    authority.approve(&bob, &id).await.unwrap();
    says(authority.approve(&bob, &id).await, "approved it already");
    says(authority.collect(&ann, &id).await, "1 of 2");
    let seen = authority.approve(&eve, &id).await.unwrap();
    assert_eq!(seen.state(house.world.now()), WaitingState::Approved);
    assert_eq!(house.ledger.head().size, size + 5, "each word, and each refusal of one who may not, is a leaf");
    // Approving gives nobody a right: who approved does not collect, and who lost the right to ask does not either.
    assert!(matches!(authority.collect(&bob, &id).await, Err(CaError::NotFound(_))));
    let outsider = Actor { roles: BTreeSet::from([Role::Auditor]), ..ann.clone() };
    assert!(matches!(authority.collect(&outsider, &id).await, Err(CaError::Refused(_))));

    let issued = authority.collect(&ann, &id).await.unwrap();
    assert_eq!(issued.actor.id, "token:ann");
    assert_eq!(issued.details["request"], id.as_str());
    assert_eq!(issued.details["approved"], serde_json::json!(["token:bob", "token:eve"]));
    says(authority.collect(&ann, &id).await, &issued.serial_hex());
    assert_eq!(authority.request(&eve, &id).await.unwrap().serial, Some(issued.serial_hex()));

    // Refused is refused.
    let (id, _) = authority.ask(&ann, wish()).await.unwrap();
    authority.approve(&bob, &id).await.unwrap();
    authority.refuse(&eve, &id, Some("not this one".to_owned())).await.unwrap();
    says(authority.approve(&person("kim", Role::Approver), &id).await, "refused already");
    says(authority.collect(&ann, &id).await, "refused");

    // Each sees what is theirs to see.
    let ids = async |who: &Actor| authority.requests(who, false, None).await.unwrap().items.len();
    assert_eq!((ids(&ann).await, ids(&bob).await, ids(&person("dan", Role::Issuer)).await), (2, 2, 0));
    assert!(matches!(authority.request(&person("dan", Role::Issuer), &id).await, Err(CaError::Refused(_))));

    // Under a changed profile it is another request.
    let (id, _) = authority.ask(&ann, wish()).await.unwrap();
    authority.approve(&bob, &id).await.unwrap();
    authority.approve(&eve, &id).await.unwrap();
    let looser = approving(&house, 1).await;
    says(looser.collect(&ann, &id).await, "has changed since");
    says(looser.approve(&person("kim", Role::Approver), &id).await, "has changed since");
    authority.collect(&ann, &id).await.unwrap();
    house.verified().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_nobody_approves_ends_and_one_person_has_twenty() {
    let house = House::at("2027-03-01T12:00:00Z").await;
    let authority = approving(&house, 1).await;
    let (ann, bob) = (person("ann", Role::Issuer), person("bob", Role::Approver));
    let mut last = String::new();
    for _ in 0..20 {
        last = authority.ask(&ann, server_request(&["www.example.com"])).await.unwrap().0;
    }
    says(authority.ask(&ann, server_request(&["www.example.com"])).await, "20 requests of yours wait");
    authority.ask(&person("dan", Role::Issuer), server_request(&["www.example.com"])).await.unwrap();
    authority.approve(&bob, &last).await.unwrap();
    authority.collect(&ann, &last).await.unwrap();
    let (last, _) = authority.ask(&ann, server_request(&["www.example.com"])).await.unwrap();
    authority.approve(&bob, &last).await.unwrap();
    house.world.advance(8 * 86_400);
    says(authority.approve(&person("kim", Role::Approver), &last).await, "expired");
    says(authority.collect(&ann, &last).await, "expired");
    authority.ask(&ann, server_request(&["www.example.com"])).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_of_the_same_moment_take_no_more_places_than_there_are() {
    let house = House::at("2027-03-01T12:00:00Z").await;
    let authority = approving(&house, 1).await;
    let ann = person("ann", Role::Issuer);
    for _ in 0..18 {
        authority.ask(&ann, server_request(&["www.example.com"])).await.unwrap();
    }
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (authority, ann, wish) = (authority.clone(), ann.clone(), server_request(&["www.example.com"]));
        asking.spawn(async move { authority.ask(&ann, wish).await.map(drop) });
    }
    let (taken, full): (Vec<_>, Vec<_>) = asking.join_all().await.into_iter().partition(Result::is_ok);
    assert_eq!((taken.len(), full.len()), (2, 6), "{full:?}");
    full.into_iter().for_each(|refused| says(refused, "20 requests of yours wait"));
    assert_eq!(authority.requests(&ann, true, None).await.unwrap().items.len(), 20);
}

/// A serial is no other person.
#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_certificate_leaves_no_more_requests_to_wait() {
    let house = House::at("2027-03-01T12:00:00Z").await;
    let authority = approving(&house, 1).await;
    let names = || BTreeSet::from([Name::parse("www.example.com").unwrap()]);
    let agent = |number: usize| {
        let proof = Proof::ClientCertificate { serial: format!("{number:032x}"), names: names() };
        Actor { id: format!("cert:{number:032x}"), proof, ..person("agent", Role::Agent) }
    };
    for number in 0..20 {
        authority.ask(&agent(number), server_request(&["www.example.com"])).await.unwrap();
    }
    says(authority.ask(&agent(20), server_request(&["www.example.com"])).await, "20 requests of yours wait");
}

/// Nor is it where several have to say yes: neither a renewed certificate, nor one for fewer of its names.
#[tokio::test(flavor = "multi_thread")]
async fn certificates_of_one_owner_are_one_who_approves() {
    let house = House::at("2027-03-01T12:00:00Z").await;
    let authority = approving(&house, 2).await;
    let shows = |serial: &str, role: Role, names: &[&str]| {
        let names = names.iter().map(|name| Name::parse(name).unwrap()).collect();
        let proof = Proof::ClientCertificate { serial: serial.to_owned(), names };
        Actor { id: format!("cert:{serial}"), proof, ..person("agent", role) }
    };
    let asked = shows("01", Role::Agent, &["www.example.com"]);
    let (id, _) = authority.ask(&asked, server_request(&["www.example.com"])).await.unwrap();
    says(authority.approve(&shows("02", Role::Approver, &["www.example.com"]), &id).await, "another person");
    says(authority.approve(&shows("03", Role::Approver, &[]), &id).await, "another person");
    authority.approve(&person("bob", Role::Approver), &id).await.unwrap();
    authority.approve(&person("eve", Role::Approver), &id).await.unwrap();
    // Who asked collects with the certificate that he has by then.
    authority.collect(&shows("04", Role::Agent, &["www.example.com"]), &id).await.unwrap();

    let (id, _) = authority.ask(&person("ann", Role::Issuer), server_request(&["www.example.com"])).await.unwrap();
    authority.approve(&shows("05", Role::Approver, &["a.example.com", "b.example.com"]), &id).await.unwrap();
    says(authority.approve(&shows("06", Role::Approver, &["a.example.com"]), &id).await, "approved it already");
}

/// What nobody approved in time stays in the register for ever: it hides nothing that waits, and takes nobody's place.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_waits_is_found_whatever_expired_before_it() {
    let house = House::at("2027-03-01T12:00:00Z").await;
    let authority = approving(&house, 1).await;
    let wish = || server_request(&["www.example.com"]);
    let bob = person("bob", Role::Approver);
    for name in ["ann", "ben", "cay", "dan", "eve", "fay"] {
        for _ in 0..20 {
            authority.ask(&person(name, Role::Issuer), wish()).await.unwrap();
        }
    }
    for week in 0..3 {
        house.world.advance(7 * 86_400 + 1);
        let (id, _) = authority.ask(&person("ann", Role::Issuer), wish()).await.unwrap();
        for days in [0, 3, 4] {
            house.world.advance(days * 86_400);
            let shown = authority.requests(&bob, true, None).await.unwrap().items;
            assert_eq!(
                shown.into_iter().map(|(id, _)| id).collect::<Vec<_>>(),
                std::slice::from_ref(&id),
                "{week}, {days} days more"
            );
        }
        let (other, _) = authority.ask(&person("ben", Role::Issuer), wish()).await.unwrap();
        authority.approve(&bob, &other).await.unwrap();
        assert_eq!(
            authority.requests(&bob, true, None).await.unwrap().items.len(),
            1,
            "what is approved waits for its asker"
        );
    }
    let page = authority.requests(&bob, false, None).await.unwrap();
    assert_eq!((page.items.len(), page.next.is_some()), (100, true), "who asks for all is shown all");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_somebody_altered_counts_as_none_and_hides_no_other() {
    let house = House::at("2027-03-01T12:00:00Z").await;
    let authority = approving(&house, 1).await;
    let (ann, bob, otto) = (person("ann", Role::Issuer), person("bob", Role::Approver), person("otto", Role::Auditor));
    let mut altered = String::new();
    for _ in 0..20 {
        altered = authority.ask(&ann, server_request(&["www.example.com"])).await.unwrap().0;
    }
    authority.approve(&bob, &altered).await.unwrap();
    house.alter(("issuance-request", &altered), "token:ann", "token:eve");
    for open in [true, false] {
        let page = authority.requests(&ann, open, None).await.unwrap();
        assert_eq!((page.items.len(), page.altered, page.next), (19, 0, None));
        assert!(page.items.iter().all(|(id, _)| *id != altered));
        assert_eq!(authority.requests(&bob, open, None).await.unwrap().items.len(), 19);
        // Whose it is nobody can say: that there is one is told to who reads the log.
        let page = authority.requests(&otto, open, None).await.unwrap();
        assert_eq!((page.items.len(), page.altered), (0, 1));
    }
    assert!(house.is_alarmed_of("issuance-request", &altered));
    // Nothing comes of it for anybody, and it takes nobody's place.
    let is_refused = |outcome: Result<(), CaError>| assert!(matches!(outcome, Err(CaError::Altered(_))), "{outcome:?}");
    is_refused(authority.collect(&ann, &altered).await.map(drop));
    is_refused(authority.collect(&person("eve", Role::Issuer), &altered).await.map(drop));
    is_refused(authority.approve(&person("kim", Role::Approver), &altered).await.map(drop));
    authority.ask(&ann, server_request(&["www.example.com"])).await.unwrap();
    says(authority.ask(&ann, server_request(&["www.example.com"])).await, "20 requests of yours wait");
    // Put right it is what it was.
    house.alter(("issuance-request", &altered), "token:eve", "token:ann");
    authority.collect(&ann, &altered).await.unwrap();
}
