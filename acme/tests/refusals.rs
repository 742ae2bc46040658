//! What the server refuses, and how: each refusal is a problem document of the right type, with a fresh nonce and the index link.

mod common;

use common::raw::{Raw, Reply, b64};
use common::{Ca, csr, dns_name};
use http::{Method, StatusCode};
use serde_json::{Value, json};

fn order_for(names: &[&str]) -> Value {
    json!({"identifiers": names.iter().map(|name| json!({"type": "dns", "value": name})).collect::<Vec<_>>()})
}

#[track_caller]
fn refused(reply: &Reply, status: u16, problem: &str) {
    assert_eq!((reply.status.as_u16(), reply.problem().as_str()), (status, problem), "{}", reply.json());
}

#[tokio::test]
async fn every_answer_carries_the_index_and_no_store_and_a_fresh_nonce_where_it_is_of_use() {
    let ca = Ca::start().await;
    let raw = Raw::registered(&ca).await;
    let mut seen = std::collections::BTreeSet::new();
    let without = [
        raw.request(Method::GET, "/directory", None, vec![]).await,
        raw.request(Method::HEAD, "/directory", None, vec![]).await,
        raw.request(Method::GET, "/nothing", None, vec![]).await,
        raw.request(Method::DELETE, "/new-order", None, vec![]).await,
    ];
    let with = [
        raw.request(Method::HEAD, "/new-nonce", None, vec![]).await,
        raw.request(Method::GET, "/new-nonce", None, vec![]).await,
        raw.request(Method::POST, "/nothing", None, vec![]).await,
        raw.read("/directory").await,
        raw.request(Method::POST, "/new-order", None, vec![]).await,
        raw.request(Method::POST, "/new-order", Some("application/jose+json"), b"junk".to_vec()).await,
        raw.post("/new-order", &order_for(&["a.example"])).await,
        raw.post("/new-order", &order_for(&["a_b.example"])).await,
    ];
    let statuses = |replies: &[Reply]| replies.iter().map(|reply| reply.status.as_u16()).collect::<Vec<_>>();
    assert_eq!(statuses(&without), [200, 200, 404, 405]);
    assert_eq!(statuses(&with), [200, 204, 404, 200, 415, 400, 201, 400]);
    for reply in &with {
        assert!(seen.insert(reply.header("replay-nonce")), "never the same twice");
        assert_eq!(reply.header("replay-nonce").len(), 32);
    }
    for reply in &without {
        assert_eq!(reply.header("replay-nonce"), "", "nobody asked for one");
    }
    for reply in with.iter().chain(&without) {
        assert_eq!(reply.header("link"), format!("<{}>;rel=\"index\"", ca.directory()));
        assert_eq!(reply.header("cache-control"), "no-store");
    }
}

#[tokio::test]
async fn the_directory_names_what_there_is_and_nothing_more() {
    let ca = Ca::start().await;
    let raw = Raw::new(&ca);
    let directory = raw.request(Method::GET, "/directory", None, vec![]).await.json();
    let mut members: Vec<&String> = directory.as_object().unwrap().keys().collect();
    members.sort();
    assert_eq!(members, ["keyChange", "meta", "newAccount", "newNonce", "newOrder", "renewalInfo", "revokeCert"]);
    assert_eq!(directory["newOrder"], format!("{}/acme/new-order", ca.external_url));
    let meta: Vec<&String> = directory["meta"].as_object().unwrap().keys().collect();
    assert_eq!(meta, ["profiles"]);
    assert!(directory["meta"]["profiles"]["tls-server"].is_string());
}

#[tokio::test]
async fn a_nonce_is_good_for_one_request() {
    let ca = Ca::start().await;
    let raw = Raw::registered(&ca).await;
    let message = raw.sign(&raw.header("/new-order").await, order_for(&["a.example"]).to_string().as_bytes());
    assert_eq!(raw.send("/new-order", &message).await.status, StatusCode::CREATED);
    for _ in 0..3 {
        refused(&raw.send("/new-order", &message).await, 400, "badNonce");
    }
    for nonce in [json!(null), json!(""), json!("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"), json!("x".repeat(5000))] {
        let mut header = raw.header("/new-order").await;
        header["nonce"] = nonce;
        let reply = raw.send("/new-order", &raw.sign(&header, b"{}")).await;
        refused(&reply, 400, "badNonce");
    }
    let mut header = raw.header("/new-order").await;
    header.as_object_mut().unwrap().remove("nonce");
    refused(&raw.send("/new-order", &raw.sign(&header, b"{}")).await, 400, "badNonce");
}

#[tokio::test]
async fn of_many_replays_at_once_one_is_accepted() {
    let ca = Ca::start().await;
    let raw = std::sync::Arc::new(Raw::registered(&ca).await);
    let message = raw.sign(&raw.header("/new-order").await, order_for(&["a.example"]).to_string().as_bytes());
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let (raw, message) = (raw.clone(), message.clone());
        tasks.spawn(async move { raw.send("/new-order", &message).await.status });
    }
    let statuses = tasks.join_all().await;
    assert_eq!(statuses.iter().filter(|status| **status == StatusCode::CREATED).count(), 1);
}

#[tokio::test]
async fn a_bad_signature_spends_no_nonce() {
    let ca = Ca::start().await;
    let raw = Raw::registered(&ca).await;
    let header = raw.header("/new-order").await;
    let payload = order_for(&["a.example"]).to_string();
    let mut forged = raw.sign(&header, payload.as_bytes());
    forged["payload"] = json!(b64(order_for(&["b.example"]).to_string()));
    refused(&raw.send("/new-order", &forged).await, 400, "malformed");
    assert_eq!(raw.send("/new-order", &raw.sign(&header, payload.as_bytes())).await.status, StatusCode::CREATED);
    refused(&raw.send("/new-order", &forged).await, 400, "badNonce");
}

#[tokio::test]
async fn a_message_for_another_url_is_refused() {
    let ca = Ca::start().await;
    let raw = Raw::registered(&ca).await;
    let foreign = format!("https://evil.example/acme{}", "/new-order");
    for url in [
        raw.url("/new-account"),
        raw.url("/new-order/"),
        raw.url("/new-order?x=1"),
        raw.url("/new-order#x"),
        raw.url("/new-order").replace("http:", "https:"),
        raw.url("/new-order").to_uppercase(),
        raw.url("/new-order").replace("/acme", ""),
        foreign,
        "/new-order".to_owned(),
    ] {
        let mut header = raw.header("/new-order").await;
        header["url"] = json!(url);
        let reply = raw.send("/new-order", &raw.sign(&header, order_for(&["a.example"]).to_string().as_bytes())).await;
        refused(&reply, 403, "unauthorized");
    }
    // Signed for one order, sent to another.
    let first = raw.post("/new-order", &order_for(&["a.example"])).await.header("location");
    let second = raw.post("/new-order", &order_for(&["b.example"])).await.header("location");
    let message = raw.sign(&raw.header(&first).await, b"");
    refused(&raw.send(&second, &message).await, 403, "unauthorized");
}

#[tokio::test]
async fn urls_come_from_the_configuration_whatever_host_says() {
    let ca = Ca::start().await;
    let raw = Raw::new(&ca);
    let path = "http://evil.example/acme/directory";
    let directory = raw.request(Method::GET, path, None, vec![]).await.json();
    assert!(directory["newOrder"].as_str().unwrap().starts_with(&ca.external_url));
}

#[tokio::test]
async fn only_the_exact_content_type_is_read() {
    let ca = Ca::start().await;
    let raw = Raw::registered(&ca).await;
    for content_type in [
        None,
        Some("application/json"),
        Some("application/jose"),
        Some("application/jose+json; charset=utf-8"),
        Some("Application/Jose+JSON"),
        Some("application/jose+json, application/json"),
        Some("application/x-www-form-urlencoded"),
    ] {
        let message = raw.sign(&raw.header("/new-order").await, order_for(&["a.example"]).to_string().as_bytes());
        let reply = raw.request(Method::POST, "/new-order", content_type, message.to_string().into_bytes()).await;
        refused(&reply, 415, "malformed");
    }
}

#[tokio::test]
async fn a_body_is_read_up_to_128_kib() {
    let ca = Ca::start().await;
    let raw = Raw::registered(&ca).await;
    let huge = vec![b'a'; 128 * 1024 + 1];
    refused(&raw.request(Method::POST, "/new-order", Some("application/jose+json"), huge).await, 413, "malformed");
    let reply = raw.post("/new-order", &json!({"identifiers": [], "filler": "x".repeat(60 * 1024)})).await;
    refused(&reply, 400, "malformed");
    assert!(reply.json()["detail"].as_str().unwrap().contains("identifiers"), "it was read");
}

#[tokio::test]
async fn weak_unsigned_and_confused_messages_are_refused() {
    let ca = Ca::start().await;
    let raw = Raw::registered(&ca).await;
    for alg in ["none", "HS256", "RS512", "ES512"] {
        let mut header = raw.header("/new-order").await;
        header["alg"] = json!(alg);
        let reply = raw.send("/new-order", &raw.sign(&header, b"{}")).await;
        refused(&reply, 400, "badSignatureAlgorithm");
        assert_eq!(reply.json()["algorithms"], json!(["ES256", "ES384", "EdDSA", "RS256"]));
    }
    let mut header = raw.header("/new-order").await;
    header["alg"] = json!("EdDSA");
    refused(&raw.send("/new-order", &raw.sign(&header, b"{}")).await, 400, "malformed");
    let mut header = raw.header("/new-order").await;
    header["jwk"] = raw.jwk();
    refused(&raw.send("/new-order", &raw.sign(&header, b"{}")).await, 400, "malformed");
    let newcomer = Raw::new(&ca);
    let mut header = newcomer.header("/new-account").await;
    let n = b64([&[0x80u8][..], &[1; 127]].concat());
    header["jwk"] = json!({"kty": "RSA", "n": n, "e": "AQAB"});
    header["alg"] = json!("RS256");
    refused(&newcomer.send("/new-account", &newcomer.sign(&header, b"{}")).await, 400, "badPublicKey");
}

#[tokio::test]
async fn each_resource_wants_its_kind_of_key() {
    let ca = Ca::start().await;
    let (raw, mut newcomer) = (Raw::registered(&ca).await, Raw::new(&ca));
    refused(&raw.post("/new-account", &json!({})).await, 400, "malformed");
    refused(&newcomer.post("/new-order", &order_for(&["a.example"])).await, 400, "malformed");
    let kid = raw.kid.clone().unwrap();
    for (kid, status, problem) in [
        (kid.clone(), 400, "malformed"),
        (format!("{kid}0"), 400, "accountDoesNotExist"),
        (format!("{}/acme/account/{}", ca.external_url, "0".repeat(32)), 400, "accountDoesNotExist"),
        (kid.replace("/account/", "/order/"), 400, "accountDoesNotExist"),
        ("https://evil.example/acme/account/1".to_owned(), 400, "accountDoesNotExist"),
        (kid.replace(&ca.external_url, ""), 400, "accountDoesNotExist"),
    ] {
        // Somebody else's kid over one's own signature.
        newcomer.kid = Some(kid);
        refused(&newcomer.post("/new-order", &order_for(&["a.example"])).await, status, problem);
    }
}

#[tokio::test]
async fn nothing_of_another_account_is_shown_or_changed() {
    let ca = Ca::start().await;
    let (owner, other) = (Raw::registered(&ca).await, Raw::registered(&ca).await);
    let (order_url, order) = owner.ready_order(&ca, &["a.example"]).await;
    let authz_url = order["authorizations"][0].as_str().unwrap();
    let authz = owner.read(authz_url).await.json();
    let challenge_url = authz["challenges"][0]["url"].as_str().unwrap();
    let finalize_url = order["finalize"].as_str().unwrap();
    let (csr, _) = csr(&[dns_name("a.example")]);
    let finalize = json!({"csr": b64(csr)});
    let kid = owner.kid.clone().unwrap();
    for url in [&order_url, authz_url, challenge_url, &kid, &format!("{kid}/orders")] {
        refused(&other.read(url).await, 403, "unauthorized");
    }
    refused(&other.post(challenge_url, &json!({})).await, 403, "unauthorized");
    refused(&other.post(authz_url, &json!({"status": "deactivated"})).await, 403, "unauthorized");
    refused(&other.post(&kid, &json!({"status": "deactivated"})).await, 403, "unauthorized");
    refused(&other.post(finalize_url, &finalize).await, 403, "unauthorized");
    let issued = owner.post(finalize_url, &finalize).await.json();
    let certificate_url = issued["certificate"].as_str().unwrap();
    refused(&other.read(certificate_url).await, 403, "unauthorized");
    let chain = owner.read(certificate_url).await;
    assert_eq!(chain.header("content-type"), "application/pem-certificate-chain");
    ca.judge(std::str::from_utf8(&chain.body).unwrap(), "a.example");
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let ca = Ca::start().await;
    let raw = Raw::registered(&ca).await;
    for path in ["/order/0", "/authz/0", "/chall/0/http-01", "/cert/00", "/cert/zz", "/order/0/finalize"] {
        let reply =
            if path.ends_with("finalize") { raw.post(path, &json!({"csr": ""})).await } else { raw.read(path).await };
        refused(&reply, 404, "malformed");
    }
    let placed = raw.post("/new-order", &order_for(&["*.a.example"])).await.json();
    let authz = placed["authorizations"][0].as_str().unwrap().to_owned();
    for kind in ["http-01", "tls-alpn-01", "0", "dns-02"] {
        let path = authz.replace("/authz/", "/chall/") + "/" + kind;
        refused(&raw.post(&path, &json!({})).await, 404, "malformed");
    }
}

#[tokio::test]
async fn resources_are_read_by_post_as_get_alone() {
    let ca = Ca::start().await;
    let raw = Raw::registered(&ca).await;
    let order = raw.post("/new-order", &order_for(&["a.example"])).await.header("location");
    refused(&raw.request(Method::GET, &order, None, vec![]).await, 405, "malformed");
    refused(&raw.post(&order, &json!({})).await, 400, "malformed");
    refused(&raw.post("/cert/00", &json!({})).await, 400, "malformed");
}

#[tokio::test]
async fn the_directory_and_a_nonce_are_also_read_by_post_as_get() {
    let ca = Ca::start().await;
    let raw = Raw::registered(&ca).await;
    let directory = raw.read("/directory").await;
    assert_eq!(directory.status, StatusCode::OK);
    assert_eq!(directory.json(), raw.request(Method::GET, "/directory", None, vec![]).await.json());
    let nonce = raw.read("/new-nonce").await;
    assert_eq!((nonce.status, nonce.header("replay-nonce").len()), (StatusCode::NO_CONTENT, 32));
    for path in ["/directory", "/new-nonce"] {
        refused(&raw.post(path, &json!({})).await, 400, "malformed");
        refused(&raw.request(Method::POST, path, None, vec![]).await, 415, "malformed");
        refused(&raw.request(Method::PUT, path, None, vec![]).await, 405, "malformed");
    }
}

#[tokio::test]
async fn a_path_or_query_that_cannot_be_read_is_a_problem_too() {
    let ca = Ca::start().await;
    let raw = Raw::registered(&ca).await;
    for path in ["/order/%ff", "/authz/%ff", "/cert/%ff", "/account/%ff", "/chall/%ff/http-01", "/order/%ff/finalize"] {
        refused(&raw.read(path).await, 404, "malformed");
    }
    let orders = format!("{}/orders", raw.kid.clone().unwrap());
    refused(&raw.read(&format!("{orders}?cursor=1&cursor=2")).await, 400, "malformed");
    assert_eq!(raw.read(&format!("{orders}?cursor=1")).await.status, StatusCode::OK);
}

#[tokio::test]
async fn what_should_be_an_object_is_one() {
    let ca = Ca::start().await;
    let raw = Raw::registered(&ca).await;
    let payload = order_for(&["a.example"]).to_string();
    let signed = raw.sign(&raw.header("/new-order").await, payload.as_bytes());
    let as_array = json!([signed["protected"], signed["payload"], signed["signature"]]);
    refused(&raw.send("/new-order", &as_array).await, 400, "malformed");
    let header = raw.header("/new-order").await;
    let header = json!([header["alg"], header["url"], header["nonce"], null, header["kid"], null, null]);
    refused(&raw.send("/new-order", &raw.sign(&header, payload.as_bytes())).await, 400, "malformed");
    let identifier = json!({"type": "dns", "value": "a.example"});
    for payload in [json!([[identifier], null, null, null]), json!({"identifiers": [["dns", "a.example"]]})] {
        refused(&raw.post("/new-order", &payload).await, 400, "malformed");
    }
    refused(&raw.post(&raw.kid.clone().unwrap(), &json!([null, "deactivated"])).await, 400, "malformed");
    assert_eq!(raw.post("/new-order", &order_for(&["a.example"])).await.status, StatusCode::CREATED);
}
