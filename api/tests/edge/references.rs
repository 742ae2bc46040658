//! Secrets that refer to others over HTTP: what a small request may cost, who may write a reference, and how much one answer holds.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use policy::Role;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::house::{token, unique};
use crate::inventory::House;

/// Secrets of which each has as many references as it may, all to one field of the next: 16^4 ways through them.
async fn fan(house: &House, root: &str) -> String {
    let fields: Vec<String> = (0..16).map(|n| format!("f{n}")).collect();
    house.put(&format!("{root}/4"), json!({"fields": {"f0": "leaf"}, "owner": "web"})).await;
    for level in (0..4).rev() {
        let to = format!("chy://{root}/{}#f0", level + 1);
        let references: serde_json::Map<String, Value> =
            fields.iter().map(|name| (name.clone(), to.clone().into())).collect();
        let body = json!({"fields": {"own": "x"}, "references": references, "owner": "web"});
        house.put(&format!("{root}/{level}"), body).await;
    }
    format!("{root}/0")
}

#[tokio::test]
async fn each_secret_is_followed_once_however_many_ways_lead_to_it() {
    let house = House::new().await;
    let root = format!("fan/{}", unique());
    let first = fan(&house, &root).await;
    let reader = token(Role::SecretReader).await;
    let (status, told) = house.ask(&reader, Method::GET, &format!("secret-values/{first}"), None).await;
    assert!(status == StatusCode::OK && told["fields"]["f15"] == "leaf", "{told}");
    let before = house.entries(&root, "access").await;
    let many: Vec<String> = (0..64).map(|_| format!("chy://{first}#f0")).collect();
    let (_, told) = house.ask(&reader, Method::POST, "secret-values", Some(json!({ "references": many }))).await;
    let items = told["items"].as_array().expect("items");
    assert!(items.len() == 64 && items.iter().all(|item| item["secret"]["fields"]["f0"] == "leaf"), "{told}");
    assert_eq!(house.entries(&root, "access").await, before + 1, "five secrets, each named once");
    // A step more is one too many, whichever way it is met first.
    let over = format!("{root}/over");
    let references = json!({"a": format!("chy://{root}/1#f0"), "b": format!("chy://{first}#f0")});
    house.put(&over, json!({"fields": {"own": "x"}, "references": references, "owner": "web"})).await;
    let (status, told) = house.ask(&reader, Method::GET, &format!("secret-values/{over}"), None).await;
    assert!(status == StatusCode::CONFLICT && told.to_string().contains("one too many"), "{told}");
    house.server.stop().await.unwrap();
}

#[tokio::test]
async fn one_answer_has_a_bound_and_what_is_refused_is_refused_once() {
    let house = House::new().await;
    let root = format!("large/{}", unique());
    let path = format!("{root}/one");
    house.put(&path, json!({"base64": {"value": STANDARD.encode([1; 1_000_000])}, "owner": "web"})).await;
    let reader = token(Role::SecretReader).await;
    let (_, alone) = house.ask(&reader, Method::GET, &format!("secret-values/{path}"), None).await;
    assert!(alone["fields"]["value"]["base64"].as_str().is_some_and(|text| text.len() < 1_400_000), "no six for one");
    let same = vec![format!("chy://{path}#value"); 64];
    let (_, told) = house.ask(&reader, Method::POST, "secret-values", Some(json!({ "references": same }))).await;
    let statuses: Vec<u64> =
        told["items"].as_array().unwrap().iter().filter_map(|one| one["status"].as_u64()).collect();
    assert_eq!(statuses, [vec![200; 4], vec![413; 60]].concat());
    // Before anything is opened, where it is known before.
    for number in 2..=6 {
        house
            .put(&format!("{root}/{number}"), json!({"fields": {"value": "x".repeat(1_000_000)}, "owner": "web"}))
            .await;
    }
    let all: Vec<String> = (2..=6).map(|number| format!("chy://{root}/{number}#value")).collect();
    let (_, told) = house.ask(&reader, Method::POST, "secret-values", Some(json!({ "references": all }))).await;
    assert!(told["items"][4]["status"] == 413 && told["items"][3]["status"] == 200, "{}", told["items"][4]);
    assert_eq!(house.entries(&format!("{root}/6@1."), "access").await, 0, "what is not shown is not opened");
    // A field that lacks is told apart from a secret that does.
    let lacks = [format!("chy://{root}/2#nosuch"), format!("chy://{root}/nothing#value")];
    let (_, told) = house.ask(&reader, Method::POST, "secret-values", Some(json!({ "references": lacks }))).await;
    let no_field = "urn:chancery:problem:no-field";
    assert!(told["items"][0]["type"] == no_field && told["items"][0]["status"] == 404, "{told}");
    assert!(told["items"][1]["type"].is_string() && told["items"][1]["type"] != no_field, "{told}");
    let nowhere = vec![format!("chy://{root}/nothing"); 64];
    let stranger = token(Role::Issuer).await;
    let (_, who) = house.ask(&stranger, Method::GET, "whoami", None).await;
    let who = who["id"].as_str().expect("an id");
    let before = house.entries(who, "refuse").await;
    let (_, told) = house.ask(&stranger, Method::POST, "secret-values", Some(json!({ "references": nowhere }))).await;
    assert_eq!(told["items"][63]["status"], 403, "{told}");
    assert_eq!(house.entries(who, "refuse").await, before + 1);
    house.server.stop().await.unwrap();
}

#[tokio::test]
async fn a_writer_refers_to_what_he_may_read_and_lets_nothing_go_that_others_keep() {
    let house = House::new().await;
    let root = format!("rights/{}", unique());
    let (ours, theirs) = (format!("{root}/ours"), format!("{root}/theirs"));
    house.put(&theirs, json!({"fields": {"password": "x"}, "owner": "db"})).await;
    house.put(&ours, json!({"fields": {"host": "here"}, "owner": "web"})).await;
    let writer = token(Role::SecretWriter).await;
    let write = async |body: Value| house.ask(&writer, Method::PUT, &format!("secrets/{ours}"), Some(body)).await;
    let refers =
        json!({"fields": {"host": "evil.example"}, "references": {"password": format!("chy://{theirs}#password")}});
    let (status, told) = write(refers).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "{told}");
    // A lock, and how many are kept, are taken away by whoever may destroy.
    let patch =
        async |token: &str, body: Value| house.ask(token, Method::PATCH, &format!("secrets/{ours}"), Some(body)).await;
    assert_eq!(patch(&writer, json!({"purge_lock": true, "keep": 50})).await.0, StatusCode::OK);
    for body in [json!({"purge_lock": false}), json!({"keep": 49})] {
        let (status, told) = patch(&writer, body).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{told}");
    }
    let (status, _) = write(json!({"fields": {"host": "x"}, "keep": 0, "whole": true})).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert_eq!(patch(&house.admin, json!({"purge_lock": false, "keep": 3})).await.0, StatusCode::OK);
    house.server.stop().await.unwrap();
}
