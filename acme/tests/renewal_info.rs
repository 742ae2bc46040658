//! Renewal information (RFC 9773), as a well-behaved client (instant-acme) and a stranger see it.

mod common;

use std::collections::BTreeSet;

use ca::{NewDrill, Part, RevocationReason};
use common::{Ca, certificates, csr, dns_name, soon};
use http::{Request, StatusCode};
use instant_acme::{
    Account, CertificateIdentifier, ChallengeType, Error, Identifier, NewOrder, OrderStatus, RevocationRequest,
};
use policy::{Actor, Proof, Role, Timestamp};
use rustls::pki_types::CertificateDer;
use tower::ServiceExt;

fn named(chain: &str) -> CertificateIdentifier<'static> {
    let der = CertificateDer::from(certificates(chain).remove(0));
    CertificateIdentifier::try_from(&der).unwrap().into_owned()
}

fn admin() -> Actor {
    Actor {
        id: "admin".to_owned(),
        roles: BTreeSet::from([Role::Admin]),
        owners: BTreeSet::new(),
        scopes: None,
        proof: Proof::Token { id: "0123456789abcdef".to_owned() },
        second_factor: None,
    }
}

/// What a stranger is answered: status, `Retry-After`, body.
async fn asked(ca: &Ca, named: &str) -> (StatusCode, Option<u64>, serde_json::Value) {
    let request = Request::get(format!("/acme/renewal-info/{named}")).body(axum::body::Body::empty()).unwrap();
    let response = ca.app.clone().oneshot(request).await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let retry = headers.get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
    let body = axum::body::to_bytes(response.into_body(), 1 << 16).await.unwrap();
    (status, retry, serde_json::from_slice(&body).unwrap_or_default())
}

fn window(body: &serde_json::Value) -> (Timestamp, Timestamp) {
    let at = |which: &str| Timestamp::parse_rfc3339(body["suggestedWindow"][which].as_str().unwrap()).unwrap();
    (at("start"), at("end"))
}

async fn renewed(ca: &Ca, account: &Account, names: &[Identifier], of: CertificateIdentifier<'_>) -> String {
    let mut order = account.new_order(&NewOrder::new(names).replaces(of)).await.unwrap();
    ca.answer(&mut order, ChallengeType::Http01).await;
    assert_eq!(order.poll_ready(&soon()).await.unwrap(), OrderStatus::Ready);
    order.finalize_csr(&csr(names).0).await.unwrap();
    order.poll_certificate(&soon()).await.unwrap()
}

fn is(error: &Error, kind: &str) -> bool {
    matches!(error, Error::Api(problem) if problem.r#type.as_deref() == Some(&format!("urn:ietf:params:acme:error:{kind}")))
}

#[tokio::test]
async fn a_certificates_window_lies_in_the_last_third_of_its_life_and_the_client_follows_it() {
    let ca = Ca::start().await;
    ca.host(&["web.example"]);
    let account = ca.account().await;
    let names = [dns_name("web.example")];
    let (chain, _) = ca.obtain(&account, &names, ChallengeType::Http01).await;
    let id = named(&chain);
    // As the client reads it: the directory has the resource, the window has two ends.
    let (info, _) = account.renewal_info(&id).await.unwrap();
    assert!(info.suggested_window.start < info.suggested_window.end);

    let (status, retry, body) = asked(&ca, &id.to_string()).await;
    assert_eq!((status, retry), (StatusCode::OK, Some(21_600)), "{body}");
    let (from, until) = window(&body);
    let serial = serial_of(&chain);
    let stored = ca.authority.ledger().credential(&serial).await.unwrap().unwrap();
    let life = stored.validity.unwrap();
    assert!(from >= life.not_before().plus_secs(life.secs() * 6 / 10) && until < life.not_after());
    assert_eq!(body.get("explanationURL"), None);
}

#[tokio::test]
async fn what_names_no_certificate_of_ours_is_told_nothing() {
    let ca = Ca::start().await;
    ca.host(&["web.example"]);
    let account = ca.account().await;
    let (chain, _) = ca.obtain(&account, &[dns_name("web.example")], ChallengeType::Http01).await;
    let right = named(&chain).to_string();
    let (aki, serial) = right.split_once('.').unwrap();
    for (wrong, status) in [
        ("x", StatusCode::BAD_REQUEST),
        ("aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE", StatusCode::NOT_FOUND),
        // The right serial under another CA: before and after it is known.
        (&format!("aYhba4dGQEHhs3uEe6CuLN4ByNQ.{serial}"), StatusCode::NOT_FOUND),
        (&format!("{aki}.{serial}="), StatusCode::BAD_REQUEST),
    ] {
        assert_eq!(asked(&ca, wrong).await.0, status, "{wrong}");
    }
    assert_eq!(asked(&ca, &right).await.0, StatusCode::OK);
    assert_eq!(asked(&ca, &format!("aYhba4dGQEHhs3uEe6CuLN4ByNQ.{serial}")).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn what_is_revoked_or_of_a_revoked_ca_is_to_be_renewed_at_once() {
    let ca = Ca::start().await;
    ca.host(&["a.example", "b.example"]);
    let account = ca.account().await;
    let (first, _) = ca.obtain(&account, &[dns_name("a.example")], ChallengeType::Http01).await;
    let (second, _) = ca.obtain(&account, &[dns_name("b.example")], ChallengeType::Http01).await;
    let der = CertificateDer::from(certificates(&first).remove(0));
    // Asked about before, so that what is answered after is not what was kept.
    assert!(window(&asked(&ca, &named(&first).to_string()).await.2).0 > ca.world.now());
    account.revoke(&RevocationRequest { certificate: &der, reason: None }).await.unwrap();
    let (_, retry, body) = asked(&ca, &named(&first).to_string()).await;
    assert!(window(&body).1 < ca.world.now() && retry == Some(600), "{body}");
    assert!(window(&asked(&ca, &named(&second).to_string()).await.2).0 > ca.world.now());

    let generation = "tls/1".parse().unwrap();
    ca.authority.revoke_issuer(&admin(), &generation, RevocationReason::KeyCompromise).await.unwrap();
    assert!(window(&asked(&ca, &named(&second).to_string()).await.2).1 < ca.world.now());
}

#[tokio::test]
async fn a_drill_has_clients_come_within_its_window_and_tells_them_where_to_read_of_it() {
    let ca = Ca::start().await;
    ca.host(&["web.example"]);
    let account = ca.account().await;
    let names = [dns_name("web.example")];
    let (chain, _) = ca.obtain(&account, &names, ChallengeType::Http01).await;
    let id = named(&chain);
    let url = "https://status.example/tls-1";
    let new = |dry| {
        let part = Part { issuer: "tls/1".to_owned(), profile: None, owner: None };
        let new = NewDrill { part, window_secs: 60, reason: "a drill".to_owned(), url: Some(url.to_owned()) };
        let ca = &ca;
        async move { ca.authority.begin_drill(&admin(), new, dry).await.unwrap() }
    };
    assert_eq!(new(true).await.all.held, 1);
    assert!(window(&asked(&ca, &id.to_string()).await.2).0 > ca.world.now().plus_secs(60), "a rehearsal marks nothing");
    let begun = new(false).await;
    assert_eq!((begun.all.held, begun.all.left, begun.all.replaced), (1, 1, 0));
    let (_, retry, body) = asked(&ca, &id.to_string()).await;
    assert_eq!((body["explanationURL"].as_str(), retry), (Some(url), Some(600)));
    assert!(window(&body).0 < ca.world.now().plus_secs(61), "{body}");

    let successor = renewed(&ca, &account, &names, id.clone()).await;
    let now = ca.authority.drill(&begun.drill.id).await.unwrap();
    assert_eq!((now.all.held, now.all.left, now.all.replaced), (1, 0, 1));
    assert_eq!(now.owners["acme"], now.all);
    // What was made since is none that it marks.
    assert!(window(&asked(&ca, &named(&successor).to_string()).await.2).0 > ca.world.now().plus_secs(3_600));
    ca.authority.end_drill(&admin(), &begun.drill.id).await.unwrap();
    assert!(window(&asked(&ca, &id.to_string()).await.2).0 > ca.world.now().plus_secs(60), "it marks no longer");
}

#[tokio::test]
async fn a_certificate_is_replaced_once_and_its_successor_says_so_in_the_register() {
    let ca = Ca::start().await;
    ca.host(&["one.example", "two.example"]);
    let account = ca.account().await;
    let (chain, _) = ca.obtain(&account, &[dns_name("one.example")], ChallengeType::Http01).await;
    let id = named(&chain);
    // Under other names: the names alone would not say it.
    let names = [dns_name("one.example"), dns_name("two.example")];
    let open = account.new_order(&NewOrder::new(&names).replaces(id.clone())).await.unwrap();
    let second = account.new_order(&NewOrder::new(&names).replaces(id.clone())).await.err().unwrap();
    assert!(is(&second, "alreadyReplaced"), "of two orders one wins: {second}");
    let mut order = open;
    ca.answer(&mut order, ChallengeType::Http01).await;
    assert_eq!(order.poll_ready(&soon()).await.unwrap(), OrderStatus::Ready);
    order.finalize_csr(&csr(&names).0).await.unwrap();
    let successor = order.poll_certificate(&soon()).await.unwrap();
    let stored = ca.authority.ledger().credential(&serial_of(&successor)).await.unwrap().unwrap();
    assert_eq!(stored.details["renews"], serial_of(&chain));
    let kin = ca.authority.ledger().kin(vec![stored.operation]).await.unwrap();
    assert_eq!(kin[&stored.operation].predecessor.as_deref(), Some(serial_of(&chain).as_str()));
    let third = account.new_order(&NewOrder::new(&names).replaces(id)).await.err().unwrap();
    assert!(is(&third, "alreadyReplaced"), "{third}");
}

#[tokio::test]
async fn an_order_that_failed_leaves_its_certificate_to_be_replaced_by_another() {
    let ca = Ca::start().await;
    ca.host(&["one.example"]);
    let account = ca.account().await;
    let names = [dns_name("one.example")];
    let (chain, _) = ca.obtain(&account, &names, ChallengeType::Http01).await;
    // `nowhere.example` is nobody: the order becomes invalid.
    let both = [dns_name("one.example"), dns_name("nowhere.example")];
    let mut order = account.new_order(&NewOrder::new(&both).replaces(named(&chain))).await.unwrap();
    ca.answer(&mut order, ChallengeType::Http01).await;
    assert!(order.poll_ready(&soon()).await.is_err());
    assert_eq!(order.state().status, OrderStatus::Invalid);
    renewed(&ca, &account, &names, named(&chain)).await;
}

#[tokio::test]
async fn only_who_holds_or_has_proven_it_says_that_a_certificate_is_replaced() {
    let ca = Ca::start().await;
    ca.host(&["one.example", "two.example"]);
    let (ada, eve) = (ca.account().await, ca.account().await);
    let (chain, _) = ca.obtain(&ada, &[dns_name("one.example")], ChallengeType::Http01).await;
    let one = [dns_name("one.example")];
    let stolen = NewOrder::new(&one).replaces(named(&chain));
    let refused = eve.new_order(&stolen).await.err().unwrap();
    assert!(is(&refused, "unauthorized"), "{refused}");
    let other = ada.new_order(&NewOrder::new(&[dns_name("two.example")]).replaces(named(&chain))).await.err().unwrap();
    assert!(is(&other, "malformed"), "no name in common: {other}");
    // The same name, proven by the other account: it may.
    ca.obtain(&eve, &[dns_name("one.example")], ChallengeType::Http01).await;
    renewed(&ca, &eve, &[dns_name("one.example")], named(&chain)).await;
}

fn serial_of(chain: &str) -> String {
    let der = certificates(chain).remove(0);
    let (_, leaf) = x509_parser::parse_x509_certificate(&der).unwrap();
    leaf.raw_serial().iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}
