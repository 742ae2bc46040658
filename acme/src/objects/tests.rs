use policy::{Timestamp, World};

use super::*;
use crate::limits::{
    AUTHZ_REUSE_SECS_MIN, AUTHZ_VALID_SECS, IDENTIFIERS_MAX, ISSUE_PATIENCE, ORDER_SECS, PROCESSING_LEASE_SECS,
    VALIDATION_LEASE_SECS,
};
use crate::wire::{ErrorKind, Problem};

const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

fn world() -> World {
    World::fixed(NOW, 7)
}

fn identifier(name: &str) -> Identifier {
    match policy::Name::parse(name).unwrap() {
        policy::Name::Dns(name) => Identifier::Dns(name),
        policy::Name::Ip(ip) => Identifier::Ip(ip),
        other => panic!("{other}"),
    }
}

fn pending(name: &str) -> Authz {
    Authz::pending(&world(), "account", "order", identifier(name), NOW.plus_secs(ORDER_SECS))
}

fn proven(name: &str) -> Authz {
    let kind = pending(name).challenges[0].kind;
    pending(name).begin(kind, NOW).unwrap().unwrap().conclude(kind, Ok(()), NOW).unwrap()
}

fn failed(name: &str) -> Authz {
    let kind = pending(name).challenges[0].kind;
    let problem = Problem::new(ErrorKind::Connection, "no connection");
    pending(name).begin(kind, NOW).unwrap().unwrap().conclude(kind, Err(problem), NOW).unwrap()
}

fn order(authzs: &[Authz]) -> Order {
    Order::place("order".into(), "account", "tls-server", None, authzs, NOW)
}

fn finalized() -> Finalized {
    Finalized { csr: "c".into(), key: "k".into(), at: NOW }
}

#[test]
fn newer_names_sort_first_and_are_never_the_same() {
    let world = world();
    let first = fresh_id(&world);
    let twin = fresh_id(&world);
    world.advance(1);
    let later = fresh_id(&world);
    assert!(later < first && later < twin && first != twin);
    assert_eq!(first.len(), 32);
    assert!(first.bytes().all(|b| b.is_ascii_hexdigit()));
}

#[test]
fn an_order_is_pending_until_its_last_authorization_is_valid() {
    let (a, b) = ("a.example", "b.example");
    for (authzs, status) in [
        (vec![pending(a), pending(b)], OrderStatus::Pending),
        (vec![proven(a), pending(b)], OrderStatus::Pending),
        (vec![proven(a), proven(b)], OrderStatus::Ready),
        (vec![proven(a), failed(b)], OrderStatus::Invalid),
        (vec![failed(a), pending(b)], OrderStatus::Invalid),
    ] {
        assert_eq!(order(&authzs).status, status);
        let placed = order(&[pending(a), pending(b)]);
        assert_eq!(placed.settled(&authzs, NOW).unwrap_or(placed).status, status);
    }
}

#[test]
fn a_lost_authorization_undoes_readiness_and_says_which_and_why() {
    let ready = order(&[proven("a.example"), proven("b.example")]);
    let lost = ready.settled(&[proven("a.example"), failed("b.example")], NOW).unwrap();
    assert_eq!(lost.status, OrderStatus::Invalid);
    let error = lost.error.unwrap();
    assert_eq!(error.kind, ErrorKind::Connection);
    assert_eq!(error.subproblems[0].identifier.as_ref().unwrap().value, "b.example");
    let deactivated = proven("b.example").deactivate(NOW).unwrap();
    let lost = ready.settled(&[proven("a.example"), deactivated], NOW).unwrap();
    assert_eq!(lost.error.unwrap().kind, ErrorKind::Unauthorized);
}

#[test]
fn what_is_proven_for_one_name_counts_for_no_other() {
    let placed = order(&[pending("a.example"), pending("b.example")]);
    for wrong in [
        vec![proven("a.example"), proven("a.example")],
        vec![proven("b.example"), proven("a.example")],
        vec![proven("a.example"), proven("*.b.example")],
        vec![proven("a.example")],
        vec![proven("a.example"), proven("b.example"), proven("c.example")],
        vec![],
        vec![proven("a.example"), Authz { account: "other".into(), ..proven("b.example") }],
    ] {
        assert_eq!(placed.settled(&wrong, NOW), None);
    }
}

#[test]
fn an_open_order_ends_with_its_time_and_one_being_issued_does_not() {
    let placed = order(&[pending("a.example")]);
    let after = placed.expires.plus_secs(1);
    assert_eq!(placed.status_at(placed.expires), OrderStatus::Pending, "expires is the last good second");
    assert_eq!(placed.status_at(after), OrderStatus::Invalid);
    let ready = order(&[proven("a.example")]);
    assert_eq!(ready.status_at(after), OrderStatus::Invalid);
    assert!(ready.begin(finalized(), after).is_err());
    let processing = ready.begin(finalized(), NOW).unwrap();
    assert_eq!(processing.status_at(after), OrderStatus::Processing);
}

#[test]
fn an_order_never_outlives_the_proofs_it_leans_on() {
    let reused = Authz { expires: NOW.plus_secs(AUTHZ_REUSE_SECS_MIN), ..proven("a.example") };
    assert_eq!(order(&[reused]).expires, NOW.plus_secs(AUTHZ_REUSE_SECS_MIN));
    const { assert!(AUTHZ_VALID_SECS >= ORDER_SECS) };
}

#[test]
fn only_a_ready_order_is_finalized_and_only_once() {
    let ready = order(&[proven("a.example")]);
    let processing = ready.begin(finalized(), NOW).unwrap();
    let valid = processing.conclude(Ok("00".into())).unwrap();
    let invalid = processing.conclude(Err(Problem::malformed("no"))).unwrap();
    for order in [order(&[pending("a.example")]), processing.clone(), valid.clone(), invalid.clone()] {
        assert_eq!(order.begin(finalized(), NOW).unwrap_err().kind, ErrorKind::OrderNotReady, "{:?}", order.status);
    }
    for order in [ready, valid, invalid] {
        assert!(order.conclude(Ok("01".into())).is_err(), "{:?}", order.status);
    }
}

#[test]
fn an_order_under_way_for_too_long_is_nobodys() {
    let processing = order(&[proven("a.example")]).begin(finalized(), NOW).unwrap();
    assert!(!processing.is_abandoned(NOW.plus_secs(PROCESSING_LEASE_SECS)));
    assert!(processing.is_abandoned(NOW.plus_secs(PROCESSING_LEASE_SECS + 1)));
    assert!(processing.is_abandoned(NOW.plus_secs(-86_400)), "a clock that was ahead began it");
    assert!(!order(&[proven("a.example")]).is_abandoned(NOW.plus_secs(100_000)));
    let patience = i64::try_from(ISSUE_PATIENCE.as_secs()).unwrap();
    assert!(PROCESSING_LEASE_SECS > 2 * patience, "whoever still works on it holds the lease");
}

#[test]
fn a_challenge_begins_once_and_not_beside_another() {
    let begun = pending("a.example").begin(ChallengeKind::Http01, NOW).unwrap().unwrap();
    assert_eq!(begun.challenge(ChallengeKind::Http01).unwrap().status, ChallengeStatus::Processing);
    assert_eq!(begun.begin(ChallengeKind::Http01, NOW), Ok(None), "asked again");
    assert!(begun.begin(ChallengeKind::Dns01, NOW).is_err());
    for decided in [proven("a.example"), failed("a.example"), pending("a.example").deactivate(NOW).unwrap()] {
        assert_eq!(decided.begin(ChallengeKind::Dns01, NOW), Ok(None));
    }
    let late = NOW.plus_secs(ORDER_SECS + 1);
    assert_eq!(pending("a.example").begin(ChallengeKind::Http01, late), Ok(None), "past its time");
    assert!(pending("*.a.example").begin(ChallengeKind::Http01, NOW).is_err(), "a wildcard has no http-01");
}

#[test]
fn an_authorization_follows_its_challenge() {
    let won = proven("a.example");
    assert_eq!(won.status, AuthzStatus::Valid);
    assert_eq!(won.expires, NOW.plus_secs(AUTHZ_VALID_SECS));
    assert_eq!(won.challenge(ChallengeKind::Dns01).unwrap().status, ChallengeStatus::Pending);
    let lost = failed("a.example");
    assert_eq!(lost.status, AuthzStatus::Invalid);
    assert!(lost.challenge(ChallengeKind::Http01).unwrap().error.is_some());
}

#[test]
fn an_outcome_that_comes_too_late_changes_nothing() {
    assert!(pending("a.example").conclude(ChallengeKind::Http01, Ok(()), NOW).is_err(), "never begun");
    let begun = pending("a.example").begin(ChallengeKind::Http01, NOW).unwrap().unwrap();
    let given_up = begun.deactivate(NOW).unwrap();
    assert!(given_up.conclude(ChallengeKind::Http01, Ok(()), NOW).is_err());
    assert!(proven("a.example").conclude(ChallengeKind::Http01, Err(Problem::malformed("no")), NOW).is_err());
    assert!(begun.conclude(ChallengeKind::Dns01, Ok(()), NOW).is_err(), "another challenge");
}

#[test]
fn a_proof_is_used_again_by_its_account_for_its_name_while_it_lives() {
    let proof = proven("a.example");
    let a = identifier("a.example");
    let last = NOW.plus_secs(AUTHZ_VALID_SECS - AUTHZ_REUSE_SECS_MIN);
    assert!(proof.is_reusable(&a, "account", NOW) && proof.is_reusable(&a, "account", last));
    assert!(!proof.is_reusable(&a, "account", last.plus_secs(1)), "too short a rest");
    assert!(!proof.is_reusable(&a, "other", NOW));
    assert!(!proof.is_reusable(&identifier("*.a.example"), "account", NOW));
    assert!(!proven("*.a.example").is_reusable(&a, "account", NOW), "a wildcard does not prove its base");
    for other in [pending("a.example"), failed("a.example"), proof.deactivate(NOW).unwrap()] {
        assert!(!other.is_reusable(&a, "account", NOW));
    }
}

#[test]
fn time_alone_ends_an_authorization() {
    let valid = proven("a.example");
    assert_eq!(valid.status_at(valid.expires), AuthzStatus::Valid);
    assert_eq!(valid.status_at(valid.expires.plus_secs(1)), AuthzStatus::Expired);
    let waiting = pending("a.example");
    assert_eq!(waiting.status_at(waiting.expires.plus_secs(1)), AuthzStatus::Invalid);
}

#[test]
fn a_forgotten_check_is_found_after_its_lease() {
    let begun = pending("a.example").begin(ChallengeKind::Http01, NOW).unwrap().unwrap();
    assert_eq!(begun.abandoned(NOW.plus_secs(VALIDATION_LEASE_SECS)), None);
    let late = NOW.plus_secs(VALIDATION_LEASE_SECS + 1);
    assert_eq!(begun.abandoned(late), Some(ChallengeKind::Http01));
    assert_eq!(begun.begun_again(ChallengeKind::Http01, late).abandoned(late), None);
    assert_eq!(proven("a.example").abandoned(late), None);
}

#[test]
fn objects_survive_the_register_in_its_64_kib() {
    let long =
        |i: usize| format!("{}{i:03}.{}.{}.{}.example", "a".repeat(60), "b".repeat(63), "c".repeat(63), "d".repeat(40));
    let mut authzs: Vec<Authz> = (0..IDENTIFIERS_MAX).map(|i| failed(&long(i))).collect();
    for authz in &mut authzs {
        let long = "\u{1f512}".repeat(2000);
        authz.challenges[0].error = Some(Problem::new(ErrorKind::Dns, long));
    }
    let lost = order(&authzs);
    let text = serde_json::to_string(&lost).unwrap();
    assert!(text.len() < 64 * 1024, "{}", text.len());
    assert_eq!(serde_json::from_str::<Order>(&text).unwrap(), lost);
    let text = serde_json::to_string(&authzs[0]).unwrap();
    assert_eq!(serde_json::from_str::<Authz>(&text).unwrap(), authzs[0]);
}

#[test]
fn tokens_have_256_random_bits_and_differ() {
    let authz = pending("a.example");
    let [http, dns] = &authz.challenges[..] else { panic!("two challenges") };
    assert_eq!(http.token.len(), 43);
    assert_ne!(http.token, dns.token);
}
