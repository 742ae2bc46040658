//! A well-behaved client (instant-acme) gets certificates, and not for names it cannot prove.

mod common;

use common::{Ca, certificates, csr, csr_of, dns_name, soon};
use instant_acme::{AuthorizationStatus, ChallengeType, Identifier, NewOrder, OrderStatus, RevocationRequest};

type Result = std::result::Result<(), Box<dyn std::error::Error>>;

#[tokio::test]
async fn http_01_proves_a_host_and_the_chain_leads_to_the_root() -> Result {
    let ca = Ca::start().await;
    ca.host(&["web.example", "www.web.example"]);
    let account = ca.account().await;
    let names = [dns_name("web.example"), dns_name("www.web.example")];
    let (chain, _) = ca.obtain(&account, &names, ChallengeType::Http01).await;
    assert_eq!(certificates(&chain).len(), 2, "leaf and issuing CA, no root");
    ca.judge(&chain, "web.example");
    ca.judge(&chain, "www.web.example");
    Ok(())
}

#[tokio::test]
async fn dns_01_proves_a_wildcard_beside_its_base() -> Result {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let names = [dns_name("zone.example"), dns_name("*.zone.example")];
    let mut order = account.new_order(&NewOrder::new(&names)).await?;
    // Both authorizations look for their record at the same name: both values stand there at once.
    let mut values = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(authz) = authorizations.next().await {
        let mut authz = authz?;
        values.push(authz.challenge(ChallengeType::Dns01).unwrap().key_authorization().dns_value());
    }
    ca.dns.txt("_acme-challenge.zone.example", &values.iter().map(String::as_str).collect::<Vec<_>>());
    let mut authorizations = order.authorizations();
    while let Some(authz) = authorizations.next().await {
        authz?.challenge(ChallengeType::Dns01).unwrap().set_ready().await?;
    }
    assert_eq!(order.poll_ready(&soon()).await?, OrderStatus::Ready);
    order.finalize_csr(&csr(&names).0).await?;
    let chain = order.poll_certificate(&soon()).await?;
    ca.judge(&chain, "zone.example");
    ca.judge(&chain, "any.zone.example");
    Ok(())
}

#[tokio::test]
async fn an_address_is_proven_by_http_01() -> Result {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let names = [Identifier::Ip("127.0.0.1".parse()?)];
    let (chain, _) = ca.obtain(&account, &names, ChallengeType::Http01).await;
    ca.judge(&chain, "127.0.0.1");
    Ok(())
}

/// Let's Encrypt 2022-01: tls-alpn-01 took what the standard does not have. What is not offered takes nothing.
#[tokio::test]
async fn no_challenge_but_http_01_and_dns_01_is_offered() -> Result {
    let ca = Ca::start().await;
    let account = ca.account().await;
    for name in [dns_name("web.example"), Identifier::Ip("127.0.0.1".parse()?)] {
        let mut order = account.new_order(&NewOrder::new(std::slice::from_ref(&name))).await?;
        let mut authorizations = order.authorizations();
        let authz = authorizations.next().await.unwrap()?;
        let known = |kind: &ChallengeType| matches!(kind, ChallengeType::Http01 | ChallengeType::Dns01);
        assert!(authz.challenges.iter().all(|challenge| known(&challenge.r#type)), "{:?}", authz.challenges);
        assert!(!authz.challenges.is_empty());
    }
    Ok(())
}

#[tokio::test]
async fn a_wildcard_is_offered_dns_01_alone() -> Result {
    let ca = Ca::start().await;
    let account = ca.account().await;
    let mut order = account.new_order(&NewOrder::new(&[dns_name("*.zone.example")])).await?;
    let mut authorizations = order.authorizations();
    let authz = authorizations.next().await.unwrap()?;
    let kinds: Vec<_> = authz.challenges.iter().map(|challenge| challenge.r#type.clone()).collect();
    assert_eq!(kinds, [ChallengeType::Dns01]);
    Ok(())
}

#[tokio::test]
async fn a_wrong_answer_makes_order_and_authorization_invalid_with_the_reason() -> Result {
    let ca = Ca::start().await;
    ca.host(&["wrong.example", "empty.example"]);
    ca.dns.txt("_acme-challenge.txt.example", &["not-the-digest"]);
    let account = ca.account().await;
    for (name, kind, expected) in [
        ("wrong.example", ChallengeType::Http01, "incorrectResponse"),
        ("empty.example", ChallengeType::Http01, "unauthorized"),
        ("nowhere.example", ChallengeType::Http01, "dns"),
        ("txt.example", ChallengeType::Dns01, "incorrectResponse"),
        ("no-txt.example", ChallengeType::Dns01, "dns"),
    ] {
        let mut order = account.new_order(&NewOrder::new(&[dns_name(name)])).await?;
        {
            let mut authorizations = order.authorizations();
            let mut authz = authorizations.next().await.unwrap()?;
            let mut challenge = authz.challenge(kind).unwrap();
            if name == "wrong.example" {
                ca.web.put(&challenge.token, "another.key-authorization");
            }
            challenge.set_ready().await?;
        }
        let refused = order.poll_ready(&soon()).await;
        let Err(instant_acme::Error::Api(problem)) = refused else { panic!("{name}: {refused:?}") };
        assert_eq!(problem.r#type.as_deref(), Some(&*format!("urn:ietf:params:acme:error:{expected}")), "{name}");
        assert_eq!(order.state().status, OrderStatus::Invalid);
        let mut authorizations = order.authorizations();
        let authz = authorizations.next().await.unwrap()?;
        assert_eq!(authz.status, AuthorizationStatus::Invalid);
        let mut refused = account.new_order(&NewOrder::new(&[dns_name(name)])).await?;
        assert_eq!(refused.state().status, OrderStatus::Pending, "a failed proof is not remembered");
        assert!(refused.finalize_csr(&csr(&[dns_name(name)]).0).await.is_err());
    }
    Ok(())
}

#[tokio::test]
async fn a_proof_is_used_again_by_the_same_account_only() -> Result {
    let ca = Ca::start().await;
    ca.host(&["web.example"]);
    let names = [dns_name("web.example")];
    let (first, second) = (ca.account().await, ca.account().await);
    ca.obtain(&first, &names, ChallengeType::Http01).await;
    let mut again = first.new_order(&NewOrder::new(&names)).await?;
    assert_eq!(again.state().status, OrderStatus::Ready);
    again.finalize_csr(&csr(&names).0).await?;
    again.poll_certificate(&soon()).await?;
    let mut other = second.new_order(&NewOrder::new(&names)).await?;
    assert_eq!(other.state().status, OrderStatus::Pending);
    Ok(())
}

#[tokio::test]
async fn a_deactivated_proof_is_not_used_again() -> Result {
    let ca = Ca::start().await;
    ca.host(&["web.example"]);
    let names = [dns_name("web.example")];
    let account = ca.account().await;
    ca.obtain(&account, &names, ChallengeType::Http01).await;
    let mut ready = account.new_order(&NewOrder::new(&names)).await?;
    {
        let mut authorizations = ready.authorizations();
        let mut authz = authorizations.next().await.unwrap()?;
        authz.deactivate().await?;
    }
    assert_eq!(ready.refresh().await?.status, OrderStatus::Invalid);
    assert!(ready.finalize_csr(&csr(&names).0).await.is_err());
    let mut next = account.new_order(&NewOrder::new(&names)).await?;
    assert_eq!(next.state().status, OrderStatus::Pending);
    Ok(())
}

#[tokio::test]
async fn a_csr_for_other_names_is_refused_and_the_order_stays_ready() -> Result {
    let ca = Ca::start().await;
    ca.host(&["a.example", "b.example"]);
    let names = [dns_name("a.example"), dns_name("b.example")];
    let account = ca.account().await;
    let mut order = account.new_order(&NewOrder::new(&names)).await?;
    ca.answer(&mut order, ChallengeType::Http01).await;
    order.poll_ready(&soon()).await?;
    let three = [dns_name("a.example"), dns_name("b.example"), dns_name("c.example")];
    for wrong in [&names[..1], &three[..], &[dns_name("c.example")], &[dns_name("*.a.example"), dns_name("b.example")]]
    {
        let refused = order.finalize_csr(&csr(wrong).0).await.unwrap_err().to_string();
        assert!(refused.contains("badCSR"), "{refused}");
    }
    assert!(order.finalize_csr(b"no csr").await.unwrap_err().to_string().contains("badCSR"));
    assert_eq!(order.refresh().await?.status, OrderStatus::Ready);
    order.finalize_csr(&csr(&names).0).await?;
    order.poll_certificate(&soon()).await?;
    Ok(())
}

#[tokio::test]
async fn a_certificate_is_revoked_by_its_account_once() -> Result {
    let ca = Ca::start().await;
    ca.host(&["web.example"]);
    let (account, stranger) = (ca.account().await, ca.account().await);
    let (chain, _) = ca.obtain(&account, &[dns_name("web.example")], ChallengeType::Http01).await;
    let leaf = certificates(&chain)[0].clone();
    let certificate = leaf.as_slice().into();
    let request = RevocationRequest { certificate: &certificate, reason: None };
    assert!(stranger.revoke(&request).await.unwrap_err().to_string().contains("unauthorized"));
    account.revoke(&request).await?;
    assert!(account.revoke(&request).await.unwrap_err().to_string().contains("alreadyRevoked"));
    let revoked = ca.authority.ledger().revocations("tls/1").rows;
    assert_eq!(revoked.len(), 1);
    Ok(())
}

#[tokio::test]
async fn whoever_proves_all_names_of_a_certificate_may_revoke_it() -> Result {
    let ca = Ca::start().await;
    ca.host(&["web.example"]);
    let (old, new) = (ca.account().await, ca.account().await);
    let names = [dns_name("web.example")];
    let (chain, _) = ca.obtain(&old, &names, ChallengeType::Http01).await;
    let leaf = certificates(&chain)[0].clone();
    let certificate = leaf.as_slice().into();
    let request = RevocationRequest { certificate: &certificate, reason: None };
    assert!(new.revoke(&request).await.is_err());
    ca.obtain(&new, &names, ChallengeType::Http01).await;
    new.revoke(&request).await?;
    Ok(())
}

#[tokio::test]
async fn an_account_moves_to_another_key_and_goes_on() -> Result {
    let ca = Ca::start().await;
    ca.host(&["web.example"]);
    let mut account = ca.account().await;
    let before = account.id().to_owned();
    let _new_credentials = account.update_key().await?;
    assert_eq!(account.id(), before);
    account.update_contacts(&["mailto:new@example.internal"]).await?;
    ca.obtain(&account, &[dns_name("web.example")], ChallengeType::Http01).await;
    account.deactivate().await?;
    Ok(())
}

#[tokio::test]
async fn the_account_key_cannot_be_the_certificates_key() -> Result {
    let ca = Ca::start().await;
    let names = [dns_name("web.example")];
    let pair = rcgen::KeyPair::generate()?;
    let mut raw = common::raw::Raw::with_pkcs8(&ca, &pair.serialize_der());
    raw.kid = Some(raw.post("/new-account", &serde_json::json!({})).await.header("location"));
    let (_, order) = raw.ready_order(&ca, &["web.example"]).await;
    let finalize = order["finalize"].as_str().unwrap();
    let refused = raw.post(finalize, &serde_json::json!({"csr": common::raw::b64(csr_of(&names, &pair))})).await;
    assert_eq!(refused.problem(), "badCSR");
    assert!(refused.json()["detail"].as_str().unwrap().contains("account's key"));
    Ok(())
}

#[tokio::test]
async fn caa_records_are_obeyed_where_the_ca_has_a_name_in_them() -> Result {
    let ca =
        Ca::start_with(policy::World::real(), |settings| settings.caa_identities = vec!["ca.example".to_owned()]).await;
    let account = ca.account().await;
    ca.dns.caa("ours.example", "ca.example");
    ca.dns.caa("theirs.example", "other.example");
    // Validated by dns-01, so that the name itself can hold the CAA record.
    ca.obtain(&account, &[dns_name("www.ours.example")], ChallengeType::Dns01).await;
    ca.obtain(&account, &[dns_name("free.example")], ChallengeType::Dns01).await;
    let names = [dns_name("www.ours.example"), dns_name("www.theirs.example")];
    let mut order = account.new_order(&NewOrder::new(&names)).await?;
    ca.answer(&mut order, ChallengeType::Dns01).await;
    order.poll_ready(&soon()).await?;
    let refused = order.finalize_csr(&csr(&names).0).await;
    assert_eq!(order.refresh().await?.status, OrderStatus::Invalid, "{refused:?}");
    let error = order.state().error.clone().unwrap();
    assert_eq!(error.r#type.as_deref(), Some("urn:ietf:params:acme:error:caa"));
    assert_eq!(error.subproblems.len(), 1);
    Ok(())
}
