use super::*;
use crate::test_common::dns::{Answer, Dns};

const KEY_AUTHORIZATION: &str = "token.thumbprint";

async fn check_name(dns: &Dns, name: &str) -> Result<(), Problem> {
    let resolver = Resolver::new(&[dns.address], None).unwrap();
    check(&resolver, &DnsName::parse(name).unwrap(), KEY_AUTHORIZATION).await
}

#[tokio::test]
async fn one_matching_record_among_several_is_enough() {
    let dns = Dns::start().await;
    let good = expected_txt(KEY_AUTHORIZATION);
    dns.txt("_acme-challenge.one.example", &[&good]);
    dns.txt("_acme-challenge.many.example", &["other", &good, "third"]);
    assert_eq!(check_name(&dns, "one.example").await, Ok(()));
    assert_eq!(check_name(&dns, "many.example").await, Ok(()));
    assert_eq!(check_name(&dns, "*.one.example").await, Ok(()), "a wildcard is proven at its base");
}

#[tokio::test]
async fn a_cname_to_another_zone_is_followed() {
    let dns = Dns::start().await;
    dns.cname("_acme-challenge.web.example", "web.validation.example");
    dns.txt("web.validation.example", &[&expected_txt(KEY_AUTHORIZATION)]);
    assert_eq!(check_name(&dns, "web.example").await, Ok(()));
}

#[tokio::test]
async fn each_failure_has_its_type() {
    let dns = Dns::start().await;
    let good = expected_txt(KEY_AUTHORIZATION);
    dns.txt("_acme-challenge.wrong.example", &[&expected_txt("token.other")]);
    dns.txt("_acme-challenge.raw.example", &[KEY_AUTHORIZATION]);
    dns.txt("_acme-challenge.spaced.example", &[&format!(" {good}"), &format!("{good} ")]);
    dns.txt("_acme-challenge.case.example", &[&good.to_lowercase()]);
    dns.a("_acme-challenge.address.example", std::net::Ipv4Addr::LOCALHOST);
    dns.txt("nothing.example", &[&good]);
    dns.set("_acme-challenge.broken.example", Answer::Broken);
    dns.cname("_acme-challenge.loop.example", "_acme-challenge.loop.example");
    for (name, kind) in [
        ("wrong.example", ErrorKind::IncorrectResponse),
        ("raw.example", ErrorKind::IncorrectResponse),
        ("spaced.example", ErrorKind::IncorrectResponse),
        ("case.example", ErrorKind::IncorrectResponse),
        ("address.example", ErrorKind::Dns),
        ("nothing.example", ErrorKind::Dns),
        ("broken.example", ErrorKind::Dns),
        ("loop.example", ErrorKind::Dns),
    ] {
        assert_eq!(check_name(&dns, name).await.unwrap_err().kind, kind, "{name}");
    }
}

#[tokio::test]
async fn an_answer_is_never_remembered() {
    let dns = Dns::start().await;
    let resolver = Resolver::new(&[dns.address], None).unwrap();
    let name = DnsName::parse("late.example").unwrap();
    assert!(check(&resolver, &name, KEY_AUTHORIZATION).await.is_err());
    dns.txt("_acme-challenge.late.example", &["wrong"]);
    assert!(check(&resolver, &name, KEY_AUTHORIZATION).await.is_err());
    dns.txt("_acme-challenge.late.example", &[&expected_txt(KEY_AUTHORIZATION)]);
    assert_eq!(check(&resolver, &name, KEY_AUTHORIZATION).await, Ok(()));
    dns.remove("_acme-challenge.late.example");
    assert!(check(&resolver, &name, KEY_AUTHORIZATION).await.is_err());
}
