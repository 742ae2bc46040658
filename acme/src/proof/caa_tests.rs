use std::collections::HashMap;
use std::sync::Mutex;

use super::*;
use crate::objects::{Authz, Order};

const ACCOUNT: &str = "https://ca.example/acme/account/1";

fn record(tag: &str, value: &str) -> CaaRecord {
    CaaRecord { critical: false, tag: tag.into(), value: value.into() }
}

fn identifier(name: &str) -> Identifier {
    match policy::Name::parse(name).unwrap() {
        policy::Name::Dns(name) => Identifier::Dns(name),
        policy::Name::Ip(ip) => Identifier::Ip(ip),
        other => panic!("{other}"),
    }
}

/// Runs a check over a zone and says which names were asked for.
async fn run(zone: &[(&str, CaaRecord)], names: &[(&str, ChallengeKind)]) -> (Result<(), Problem>, Vec<String>) {
    let mut by_name: HashMap<String, Vec<CaaRecord>> = HashMap::new();
    for (name, record) in zone {
        by_name.entry((*name).to_owned()).or_default().push(record.clone());
    }
    let asked = Mutex::new(Vec::new());
    let identities = ["ca.example".to_owned()];
    let applicant = Applicant { identities: &identities, account_url: ACCOUNT };
    let names: Vec<_> = names.iter().map(|(name, method)| (identifier(name), *method)).collect();
    let result = check(&applicant, &names, Duration::from_secs(60), |name| {
        asked.lock().unwrap().push(name.clone());
        let answer = match name.as_str() {
            "broken.example" => Err(LookupError::Failed(name.clone(), "SERVFAIL".into())),
            _ => Ok(by_name.get(&name).cloned().unwrap_or_default()),
        };
        std::future::ready(answer)
    })
    .await;
    (result, asked.into_inner().unwrap())
}

#[tokio::test]
async fn caa_records_say_who_may_issue() {
    use ChallengeKind::{Dns01, Http01};
    let critical = CaaRecord { critical: true, ..record("tbs", "unknown") };
    for (what, records, name, method, allowed) in [
        ("no record", vec![], "a.example", Http01, true),
        ("us", vec![record("issue", "ca.example")], "a.example", Http01, true),
        ("us in capitals", vec![record("ISSUE", "CA.Example")], "a.example", Http01, true),
        ("somebody else", vec![record("issue", "other.example")], "a.example", Http01, false),
        (
            "somebody else and us",
            vec![record("issue", "other.example"), record("issue", "ca.example")],
            "a.example",
            Http01,
            true,
        ),
        ("nobody", vec![record("issue", ";")], "a.example", Http01, false),
        ("an empty value", vec![record("issue", "")], "a.example", Http01, false),
        ("only iodef", vec![record("iodef", "mailto:a@example")], "a.example", Http01, true),
        ("an unknown critical property", vec![record("issue", "ca.example"), critical], "a.example", Http01, false),
        ("issuewild does not bind others", vec![record("issuewild", "other.example")], "a.example", Http01, true),
        (
            "issuewild binds wildcards",
            vec![record("issue", "ca.example"), record("issuewild", ";")],
            "*.a.example",
            Dns01,
            false,
        ),
        (
            "issue binds wildcards without issuewild",
            vec![record("issue", "other.example")],
            "*.a.example",
            Dns01,
            false,
        ),
        ("our account", vec![record("issue", &format!("ca.example; accounturi={ACCOUNT}"))], "a.example", Http01, true),
        (
            "another account",
            vec![record("issue", "ca.example; accounturi=https://ca.example/acme/account/2")],
            "a.example",
            Http01,
            false,
        ),
        (
            "our method",
            vec![record("issue", "ca.example; validationmethods=dns-01,http-01")],
            "a.example",
            Http01,
            true,
        ),
        ("another method", vec![record("issue", "ca.example; validationmethods=dns-01")], "a.example", Http01, false),
        ("an unknown parameter", vec![record("issue", "ca.example; policy=ev")], "a.example", Http01, true),
        ("a malformed parameter", vec![record("issue", "ca.example; policy")], "a.example", Http01, false),
        (
            "bytes that are no text",
            vec![CaaRecord { value: vec![0xff], ..record("issue", "") }],
            "a.example",
            Http01,
            false,
        ),
    ] {
        let zone: Vec<_> = records.into_iter().map(|record| ("a.example", record)).collect();
        let (result, _) = run(&zone, &[(name, method)]).await;
        assert_eq!(result.is_ok(), allowed, "{what}");
        assert!(result.is_ok() || result.unwrap_err().kind == ErrorKind::Caa, "{what}");
    }
}

#[tokio::test]
async fn the_climb_stops_at_the_closest_ancestor_with_records() {
    let zone = [("b.example", record("issue", "ca.example")), ("example", record("issue", "other.example"))];
    let (result, asked) = run(&zone, &[("x.a.b.example", ChallengeKind::Http01)]).await;
    assert!(result.is_ok());
    assert_eq!(asked, ["x.a.b.example", "a.b.example", "b.example"]);
    let (result, asked) = run(&zone, &[("x.example", ChallengeKind::Http01)]).await;
    assert!(result.is_err());
    assert_eq!(asked, ["x.example", "example"]);
}

#[tokio::test]
async fn a_failed_lookup_is_no_permission() {
    let (result, _) = run(&[], &[("broken.example", ChallengeKind::Http01)]).await;
    assert_eq!(result.unwrap_err().kind, ErrorKind::Dns);
}

#[tokio::test]
async fn all_lookups_together_have_so_much_time() {
    let identities = ["ca.example".to_owned()];
    let applicant = Applicant { identities: &identities, account_url: ACCOUNT };
    let names = [(identifier("a.example"), ChallengeKind::Http01)];
    let never = |_| std::future::pending();
    let refused = check(&applicant, &names, Duration::from_millis(10), never).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Dns);
}

#[tokio::test]
async fn the_refusal_of_a_hundred_long_names_fits_into_the_register() {
    let label = "a".repeat(59);
    let names: Vec<String> = (100..200).map(|n| format!("{n}.{label}.{label}.{label}.{label}.example")).collect();
    let names: Vec<_> = names.iter().map(|name| (name.as_str(), ChallengeKind::Http01)).collect();
    let (result, _) = run(&[("example", record("issue", "other.example"))], &names).await;
    let refused = result.unwrap_err();
    assert_eq!(refused.subproblems.len(), SUBPROBLEMS_MAX);
    assert!(refused.detail.contains("100"), "{refused}");
    let now = policy::Timestamp::from_unix(1_800_000_000);
    let world = policy::World::fixed(now, 7);
    let authz = |(name, _): &(&str, _)| Authz::pending(&world, "account", "order", identifier(name), now);
    let authzs: Vec<Authz> = names.iter().map(authz).collect();
    let order = Order::place("order".into(), "account", "tls-server", None, &authzs, now);
    let ended = Order { error: Some(refused), ..order };
    assert!(serde_json::to_vec(&ended).unwrap().len() < 60 * 1024);
}

#[tokio::test]
async fn an_address_has_no_caa() {
    let (result, asked) = run(&[], &[("ip:10.0.0.1", ChallengeKind::Http01)]).await;
    assert!(result.is_ok() && asked.is_empty());
}

proptest::proptest! {
    #[test]
    fn every_name_is_asked_for_itself(labels in proptest::collection::btree_set("[a-z]{1,8}", 1..30)) {
        let names: Vec<String> = labels.iter().map(|label| format!("{label}.example")).collect();
        let asked_names: Vec<_> = names.iter().map(|name| (name.as_str(), ChallengeKind::Http01)).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let (result, asked) = runtime.block_on(run(&[], &asked_names));
        proptest::prop_assert!(result.is_ok());
        let asked: BTreeSet<&str> = asked.iter().map(String::as_str).filter(|name| name.contains('.')).collect();
        let certified: BTreeSet<&str> = names.iter().map(String::as_str).collect();
        proptest::prop_assert_eq!(asked, certified, "set(checked) == set(names)");
    }
}
