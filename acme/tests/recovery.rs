//! Crashes, hang-ups and races: one finalization, one certificate; what was interrupted is picked up from the register.

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::raw::{Raw, b64};
use common::{Ca, csr, dns_name};
use http::StatusCode;
use policy::{Actor, Timestamp, World};
use serde_json::{Value, json};
use store::{ActorStamp, Filter, Kind, Record};

/// Times the leases are over by, whatever they are exactly.
const LONG: i64 = 1000;

async fn fixed() -> Ca {
    Ca::start_with(World::fixed(Timestamp::from_unix(1_800_000_000), 7), |_| {}).await
}

async fn certificates(ca: &Ca) -> usize {
    let filter = Filter { kind: Some(Kind::Certificate), ..Filter::default() };
    ca.authority.ledger().list(filter).await.unwrap().items.len()
}

fn id(url: &str) -> &str {
    url.rsplit('/').next().unwrap()
}

/// Rewrites a record as a crash would have left it.
async fn rewind(ca: &Ca, kind: &'static str, id: &str, change: impl FnOnce(&mut Value)) {
    let ledger = ca.authority.ledger();
    let stored = ledger.record_get(kind, id).await.unwrap().unwrap();
    let mut body = stored.body.clone();
    change(&mut body);
    let record = Record {
        kind,
        id: id.to_owned(),
        owner: stored.owner.clone(),
        lookup: stored.lookup.clone(),
        expires: stored.expires,
        body,
        actor: ActorStamp::from(&Actor::system("test")),
        expect: Some(stored.version),
    };
    ledger.record(vec![record]).await.unwrap();
}

#[tokio::test]
async fn many_finalizations_at_once_issue_one_certificate() {
    let ca = Ca::start().await;
    let raw = Arc::new(Raw::registered(&ca).await);
    let (_, order) = raw.ready_order(&ca, &["a.example"]).await;
    let url = order["finalize"].as_str().unwrap().to_owned();
    let finalize = json!({"csr": b64(csr(&[dns_name("a.example")]).0)});
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let (raw, url, finalize) = (raw.clone(), url.clone(), finalize.clone());
        tasks.spawn(async move { raw.post(&url, &finalize).await.status });
    }
    assert!(tasks.join_all().await.iter().all(|status| *status == StatusCode::OK));
    ca.state.drain(Duration::from_secs(30)).await;
    assert_eq!(certificates(&ca).await, 1);
}

#[tokio::test]
async fn different_csrs_at_once_issue_one_certificate() {
    let ca = Ca::start().await;
    let raw = Arc::new(Raw::registered(&ca).await);
    let (_, order) = raw.ready_order(&ca, &["a.example"]).await;
    let url = order["finalize"].as_str().unwrap().to_owned();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (raw, url) = (raw.clone(), url.clone());
        let finalize = json!({"csr": b64(csr(&[dns_name("a.example")]).0)});
        tasks.spawn(async move { raw.post(&url, &finalize).await.status });
    }
    let mut answered = tasks.join_all().await;
    answered.sort();
    assert_eq!(answered, [vec![StatusCode::OK], vec![StatusCode::FORBIDDEN; 7]].concat());
    ca.state.drain(Duration::from_secs(30)).await;
    assert_eq!(certificates(&ca).await, 1);
}

#[tokio::test]
async fn a_client_that_hangs_up_while_finalizing_finds_its_certificate() {
    let ca = Ca::start().await;
    let raw = Raw::registered(&ca).await;
    let (order_url, order) = raw.ready_order(&ca, &["a.example"]).await;
    let url = order["finalize"].as_str().unwrap();
    let finalize = json!({"csr": b64(csr(&[dns_name("a.example")]).0)});
    // Hang up as soon as the order has left "ready", whatever has become of it by then.
    let hung_up = async {
        while raw.read(&order_url).await.json()["status"] == "ready" {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        biased;
        () = hung_up => {}
        _ = raw.post(url, &finalize) => {}
    }
    ca.state.drain(Duration::from_secs(30)).await;
    let done = raw.read(&order_url).await.json();
    assert_eq!(done["status"], "valid");
    assert_eq!(certificates(&ca).await, 1);
}

#[tokio::test]
async fn a_crash_before_the_intent_makes_the_order_invalid_once_its_lease_is_over() {
    let ca = fixed().await;
    let raw = Raw::registered(&ca).await;
    let (order_url, _) = raw.ready_order(&ca, &["a.example"]).await;
    let at = ca.world.now().rfc3339();
    rewind(&ca, "acme-order", id(&order_url), |order| {
        order["status"] = json!("processing");
        order["finalized"] = json!({"csr": "00".repeat(32), "key": "00".repeat(32), "at": at});
    })
    .await;
    let waiting = raw.read(&order_url).await;
    assert_eq!(waiting.json()["status"], "processing");
    assert!(waiting.header("retry-after").parse::<u32>().unwrap() > 0);
    ca.world.advance(LONG);
    let ended = raw.read(&order_url).await.json();
    assert_eq!(ended["status"], "invalid");
    assert!(ended["error"]["detail"].as_str().unwrap().contains("no certificate of this order was found"), "{ended}");
    assert_eq!(certificates(&ca).await, 0);
}

#[tokio::test]
async fn a_crash_after_the_conclusion_finds_the_certificate_again() {
    let ca = fixed().await;
    let raw = Raw::registered(&ca).await;
    let (order_url, order) = raw.ready_order(&ca, &["a.example"]).await;
    let finalize = json!({"csr": b64(csr(&[dns_name("a.example")]).0)});
    let done = raw.post(order["finalize"].as_str().unwrap(), &finalize).await.json();
    assert_eq!(done["status"], "valid");
    rewind(&ca, "acme-order", id(&order_url), |order| {
        order["status"] = json!("processing");
        order.as_object_mut().unwrap().remove("serial");
    })
    .await;
    assert_eq!(raw.read(&order_url).await.json()["status"], "processing");
    ca.world.advance(LONG);
    let found = raw.read(&order_url).await.json();
    assert_eq!((&found["status"], &found["certificate"]), (&json!("valid"), &done["certificate"]));
    assert_eq!(certificates(&ca).await, 1, "nothing was issued again");
}

#[tokio::test]
async fn a_certificate_for_another_account_name_or_time_is_not_taken_for_the_orders() {
    let ca = fixed().await;
    let raw = Raw::registered(&ca).await;
    let (_, order) = raw.ready_order(&ca, &["a.example"]).await;
    let (csr_a, _) = csr(&[dns_name("a.example")]);
    raw.post(order["finalize"].as_str().unwrap(), &json!({"csr": b64(csr_a)})).await;
    let (finished, body) = (order["finalize"].as_str().unwrap().rsplit('/').nth(1).unwrap().to_owned(), order);
    let key =
        ca.authority.ledger().record_get("acme-order", &finished).await.unwrap().unwrap().body["finalized"]["key"]
            .clone();
    assert_eq!(body["identifiers"], json!([{"type": "dns", "value": "a.example"}]));
    // The same key again: for another name, and for the same name but later than the certificate.
    for (name, later) in [("b.example", 0), ("a.example", 10)] {
        let (url, _) = raw.ready_order(&ca, &[name]).await;
        let at = ca.world.now().plus_secs(later).rfc3339();
        rewind(&ca, "acme-order", id(&url), |order| {
            order["status"] = json!("processing");
            order["finalized"] = json!({"csr": "00".repeat(32), "key": key, "at": at});
        })
        .await;
        ca.world.advance(LONG);
        assert_eq!(raw.read(&url).await.json()["status"], "invalid", "{name}");
    }
}

#[tokio::test]
async fn a_check_that_a_crash_forgot_is_made_again() {
    let ca = fixed().await;
    ca.host(&["a.example"]);
    let raw = Raw::registered(&ca).await;
    let order = raw.post("/new-order", &json!({"identifiers": [{"type": "dns", "value": "a.example"}]})).await.json();
    let authz_url = order["authorizations"][0].as_str().unwrap();
    let authz = raw.read(authz_url).await.json();
    let token = authz["challenges"][0]["token"].as_str().unwrap();
    ca.web.put(token, &format!("{token}.{}", raw.thumbprint()));
    let began = ca.world.now().rfc3339();
    rewind(&ca, "acme-authz", id(authz_url), |authz| {
        authz["challenges"][0]["status"] = json!("processing");
        authz["challenges"][0]["began"] = json!(began);
    })
    .await;
    let waiting = raw.read(authz_url).await;
    assert_eq!(waiting.json()["challenges"][0]["status"], "processing");
    assert!(waiting.header("retry-after").parse::<u32>().unwrap() > 0);
    ca.world.advance(LONG);
    raw.read(authz_url).await;
    ca.state.drain(Duration::from_secs(30)).await;
    assert_eq!(raw.read(authz_url).await.json()["status"], "valid");
}

#[tokio::test]
async fn open_orders_and_proofs_end_with_their_time() {
    let ca = fixed().await;
    let raw = Raw::registered(&ca).await;
    let (ready, order) = raw.ready_order(&ca, &["a.example"]).await;
    let authz = order["authorizations"][0].as_str().unwrap().to_owned();
    assert_eq!(raw.read(&authz).await.json()["status"], "valid");
    ca.world.advance(8 * 3600 + 1);
    assert_eq!(raw.read(&ready).await.json()["status"], "invalid");
    assert_eq!(raw.read(&authz).await.json()["status"], "expired");
    let finalize = json!({"csr": b64(csr(&[dns_name("a.example")]).0)});
    assert_eq!(raw.post(order["finalize"].as_str().unwrap(), &finalize).await.problem(), "orderNotReady");
    let next = raw.post("/new-order", &json!({"identifiers": [{"type": "dns", "value": "a.example"}]})).await.json();
    assert_eq!(next["status"], "pending", "an expired proof proves nothing");
}

#[tokio::test]
async fn a_token_that_is_away_delays_a_certificate_and_loses_none() {
    let ca = Ca::start().await;
    let raw = Raw::registered(&ca).await;
    let (order_url, order) = raw.ready_order(&ca, &["a.example"]).await;
    let url = order["finalize"].as_str().unwrap();
    let finalize = json!({"csr": b64(csr(&[dns_name("a.example")]).0)});
    // Outside of SoftHSM's folder: inside, it would be the same token under another name.
    let (here, away) = (ca.token.directory(), ca.token.softhsm_conf().with_file_name("away"));
    std::fs::rename(&here, &away).unwrap();
    let first = raw.post(url, &finalize).await;
    match first.status {
        // Known to be away: nothing changed, come back.
        StatusCode::SERVICE_UNAVAILABLE => {
            assert_eq!(first.problem(), "serverInternal");
            assert!(first.header("retry-after").parse::<u32>().unwrap() > 0);
            assert_eq!(raw.read(&order_url).await.json()["status"], "ready");
        }
        // Found out on the way: the server goes on trying.
        StatusCode::OK => assert_eq!(first.json()["status"], "processing"),
        other => panic!("{other} {}", first.json()),
    }
    std::fs::rename(&away, &here).unwrap();
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    let done = loop {
        let order = raw.read(&order_url).await.json();
        match order["status"].as_str().unwrap() {
            "valid" => break order,
            "ready" => drop(raw.post(url, &finalize).await),
            "processing" => {}
            other => panic!("{other}: {order}"),
        }
        assert!(std::time::Instant::now() < deadline, "the token came back, the certificate did not");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert!(done["certificate"].is_string());
    let filter = Filter { kind: Some(Kind::Certificate), state: Some(store::State::Issued), ..Filter::default() };
    assert_eq!(ca.authority.ledger().list(filter).await.unwrap().items.len(), 1);
}
