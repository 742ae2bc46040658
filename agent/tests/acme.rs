//! The agent against an ACME server: http-01 by its own responder and by a webroot.

mod support;

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicU8, Ordering};

use chancery_agent::State;
use support::acme::{Acme, Look};
use support::ca::Ca;
use support::{Host, assert_ok, world};
use tokio::net::TcpListener;

/// An address that nobody listens on, and nobody else will: a host of loopback of its own, since a port of the one that all share
/// may be another's by the time it is used.
async fn free_address() -> SocketAddr {
    static GIVEN: AtomicU8 = AtomicU8::new(2);
    let host = Ipv4Addr::new(127, 0, 77, GIVEN.fetch_add(1, Ordering::Relaxed));
    TcpListener::bind((host, 0)).await.unwrap().local_addr().unwrap()
}

fn plan(acme: &Acme, http01: &str, more: &str) -> String {
    let certificate = |name: &str| {
        format!(
            r#"
[[certificate]]
name = "{name}"
names = ["{name}.example.com", "{name}2.example.com"]
source = {{ kind = "acme", directory = "{}", ca_file = "roots.pem", contact = ["mailto:ops@example.com"], {more} http01 = {{ {http01} }} }}
files = {{ key = "tls/{name}.key", fullchain = "tls/{name}.pem" }}
"#,
            acme.directory()
        )
    };
    format!("{}{}", certificate("www"), certificate("shop"))
}

struct Stage {
    acme: Acme,
    host: Host,
    plan: String,
}

impl Stage {
    async fn listening() -> Self {
        let (world, address) = (world(), free_address().await);
        let acme = Acme::start(&world, Look::At(address)).await;
        let host = Host::new(&world, &acme.ca.roots_pem);
        let plan = plan(&acme, &format!("listen = \"{address}\""), "");
        Self { acme, host, plan }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_come_by_http01_and_share_account_and_responder() {
    let stage = Stage::listening().await;
    stage.host.once(&stage.plan).await.iter().for_each(assert_ok);
    assert_eq!(stage.acme.accounts(), 1);
    assert_eq!(stage.acme.posts("/order"), 2);

    stage.host.world.advance(63 * 86_400);
    let renewed = stage.host.once(&stage.plan).await;
    renewed.iter().for_each(assert_ok);
    assert!(renewed.iter().all(|s| s.renewals == 1));
    assert_eq!(stage.acme.accounts(), 1, "the stored account is used again");

    let folder = stage.host.path("state/acme");
    let stored: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    assert_eq!(stored.len(), 1);
    assert_eq!(fs::metadata(&stored[0]).unwrap().mode() & 0o777, 0o600);
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_come_by_a_webroot_that_is_left_clean() {
    let world = world();
    let webroot = tempfile::tempdir().unwrap();
    let acme = Acme::start(&world, Look::Below(webroot.path().to_owned())).await;
    let host = Host::new(&world, &acme.ca.roots_pem);
    let plan = plan(&acme, &format!("webroot = {:?}", webroot.path()), "profile = \"classic\",");
    host.once(&plan).await.iter().for_each(assert_ok);
    let left = fs::read_dir(webroot.path().join(".well-known/acme-challenge")).unwrap();
    assert_eq!(left.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_that_the_server_does_not_offer_is_refused_before_ordering() {
    let world = world();
    let acme = Acme::start(&world, Look::At(free_address().await)).await;
    let host = Host::new(&world, &acme.ca.roots_pem);
    let plan = plan(&acme, "listen = \"127.0.0.1:1\"", "profile = \"shortlived\",");
    let why = host.once(&plan).await[0].last_error.clone().unwrap();
    assert!(why.contains("no profile \"shortlived\""), "{why}");
    assert_eq!(acme.posts("/order"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_bad_nonces_than_the_library_survives_are_survived() {
    let stage = Stage::listening().await;
    stage.acme.refuse_nonces(8);
    stage.host.once(&stage.plan).await.iter().for_each(assert_ok);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_not_proven_says_why_and_touches_nothing() {
    let world = world();
    // The server looks where nobody answers.
    let acme = Acme::start(&world, Look::At(free_address().await)).await;
    let host = Host::new(&world, &acme.ca.roots_pem);
    let address = free_address().await;
    let statuses = host.once(&plan(&acme, &format!("listen = \"{address}\""), "")).await;
    for status in statuses {
        assert_eq!(status.state, State::Failed);
        let why = status.last_error.unwrap();
        assert!(why.contains("the answer was not the right one") && why.contains("example.com"), "{why}");
    }
    assert_eq!(fs::read_dir(host.path("tls")).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_acme_is_told_as_what_it_is() {
    let page = "<html>Bad Gateway</html>";
    let given_up = r#"{"type": "urn:ietf:params:acme:error:unauthorized", "status": 401, "detail": "deactivated"}"#;
    for (path, status, location, body, says) in [
        ("/order", 502, "", page, "502 Bad Gateway"),
        ("/directory", 500, "", "", "500 Internal Server Error"),
        ("/directory", 308, "https://ca.example.com/acme/directory", "", "https://ca.example.com/acme/directory"),
        ("/directory", 200, "", page, "the address of an ACME directory"),
        ("/order", 401, "", given_up, "state/acme/"),
    ] {
        let stage = Stage::listening().await;
        stage.acme.answer(path, status, location, body);
        for failed in stage.host.once(&stage.plan).await {
            let why = failed.last_error.unwrap();
            assert!(why.contains(says) && !why.contains(" column "), "{path} {status}: {why}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_limit_is_obeyed() {
    let stage = Stage::listening().await;
    stage.acme.be_busy("/order", "4000");
    let statuses = stage.host.once(&stage.plan).await;
    let limited: Vec<_> = statuses.iter().filter(|s| s.state == State::Failed).collect();
    assert_eq!(limited.len(), 1);
    assert_eq!(limited[0].next_renewal.unwrap().since(stage.host.world.now()), 4_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_forgot_the_account_gets_a_new_one_at_the_next_attempt() {
    let stage = Stage::listening().await;
    stage.host.once(&stage.plan).await.iter().for_each(assert_ok);
    stage.acme.forget_accounts();
    stage.host.world.advance(63 * 86_400);
    let failed = stage.host.once(&stage.plan).await;
    assert!(failed.iter().any(|s| s.state == State::Failed));
    stage.host.once(&stage.plan).await.iter().for_each(assert_ok);
    assert_eq!(stage.acme.accounts(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_that_does_not_hold_is_not_installed() {
    let stage = Stage::listening().await;
    stage.acme.mix_chains(&Ca::new(&stage.host.world));
    for status in stage.host.once(&stage.plan).await {
        assert_eq!(status.state, State::Failed);
        let why = status.last_error.unwrap_or_default();
        assert!(why.contains("its chain is broken"), "{why}");
    }
    assert_eq!(fs::read_dir(stage.host.path("tls")).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_account_key_is_never_said() {
    let stage = Stage::listening().await;
    let statuses = stage.host.once(&stage.plan).await;
    let folder = stage.host.path("state/acme");
    let stored = fs::read_dir(folder).unwrap().next().unwrap().unwrap().path();
    let account: serde_json::Value = serde_json::from_str(&fs::read_to_string(stored).unwrap()).unwrap();
    let key = account["key_pkcs8"].as_str().unwrap();
    assert!(!format!("{statuses:?}").contains(key));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_wants_a_certificate_renewed_is_followed_and_told_which_one_is_replaced() {
    let stage = Stage::listening().await;
    let now = || stage.host.world.now();
    stage.acme.want_renewed(now().plus_secs(3_600), now().plus_secs(7_200), 600);
    stage.host.once(&stage.plan).await.iter().for_each(assert_ok);
    assert!(stage.host.once(&stage.plan).await.iter().all(|status| status.renewals == 0), "its window is to come");
    // The window of a mass event is over.
    stage.acme.want_renewed(now().plus_secs(-3_600), now().plus_secs(-1), 600);
    let renewed = stage.host.once(&stage.plan).await;
    renewed.iter().for_each(assert_ok);
    assert!(renewed.iter().all(|status| status.renewals == 1), "{renewed:?}");
    let (replaced, _) = stage.acme.replaced();
    assert_eq!(replaced.len(), 2, "{replaced:?}");
    assert!(replaced.iter().all(|id| id.split('.').count() == 2), "{replaced:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_calls_replaced_already_is_renewed_without_a_word_of_it() {
    let stage = Stage::listening().await;
    stage.acme.want_renewed(stage.host.world.now().plus_secs(-3_600), stage.host.world.now().plus_secs(-1), 600);
    stage.acme.refuse_replacements();
    stage.host.once(&stage.plan).await.iter().for_each(assert_ok);
    let renewed = stage.host.once(&stage.plan).await;
    renewed.iter().for_each(assert_ok);
    assert!(renewed.iter().all(|status| status.renewals == 1), "{renewed:?}");
    assert_eq!(stage.acme.replaced().0.len(), 2);
}
