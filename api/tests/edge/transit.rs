//! Transit over HTTP: one entry of the log a batch, each item for itself, and nothing told to who has no right.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use policy::Role;
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

use crate::house::{Server, client, token, unique};

struct House {
    server: Server,
    client: Client,
    admin: String,
}

fn b64(text: &str) -> String {
    STANDARD.encode(text)
}

impl House {
    async fn new() -> House {
        House { server: Server::start().await, client: client().build().unwrap(), admin: token(Role::Admin).await }
    }

    async fn ask(&self, token: &str, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        let request = self.client.request(method, self.server.url(&format!("/api/v1/{path}"))).bearer_auth(token);
        let request = body.iter().fold(request, |request, body| request.json(body));
        let answer = request.send().await.unwrap();
        (answer.status(), serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or_default())
    }

    async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        self.ask(&self.admin, Method::POST, &format!("transit/{path}"), Some(body)).await
    }

    async fn create(&self, kind: &str, mode: &str, owner: &str) -> String {
        let name = format!("k{}", unique());
        let wish = json!({"name": name, "kind": kind, "mode": mode, "owner": owner});
        let (status, key) = self.post("keys", wish).await;
        assert_eq!((status, key["newest"].as_u64()), (StatusCode::CREATED, Some(1)), "{key}");
        name
    }

    /// The entries of the log in which this key was used.
    async fn used(&self, name: &str) -> Vec<Value> {
        let id = format!("transit:{name}@");
        let is_it = |leaf: &&Value| leaf["opened"][0]["id"].as_str().is_some_and(|there| there.starts_with(&id));
        let (mut found, mut query) = (Vec::new(), String::new());
        loop {
            let (_, page) = self.ask(&self.admin, Method::GET, &format!("audit?limit=1000{query}"), None).await;
            found.extend(page["items"].as_array().unwrap().iter().filter(is_it).cloned());
            match page["next"].as_u64() {
                Some(next) => query = format!("&after={next}"),
                None => return found,
            }
        }
    }
}

fn statuses(answer: &Value) -> Vec<u64> {
    answer["items"].as_array().unwrap().iter().map(|item| item["status"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn a_batch_is_one_entry_and_each_item_of_it_comes_to_something_or_says_why_not() {
    let house = House::new().await;
    let key = house.create("aes256-gcm", "derived", "web").await;
    let item = |text: &str, context: &str| json!({"plaintext": b64(text), "context": b64(context)});
    let items = json!([item("one", "a"), {"plaintext": b64("none")}, item("two", "b")]);
    let (status, sealed) = house.post(&format!("{key}/encrypt"), json!({ "items": items })).await;
    assert_eq!((status, statuses(&sealed)), (StatusCode::OK, vec![200, 400, 200]));
    assert!(sealed["items"][1]["error"].as_str().unwrap().contains("context"), "{sealed}");
    let log = house.used(&key).await;
    assert_eq!((log.len(), log[0]["i"].as_u64()), (1, sealed["leaf"].as_u64()));
    assert_eq!(log[0]["used"], json!({"act": "encrypt", "items": 3, "versions": [1]}));
    let text = |at: usize| sealed["items"][at]["ciphertext"].as_str().unwrap().to_owned();
    let opened = |text: String, context: &str| json!({"ciphertext": text, "context": b64(context)});
    let altered = text(0).replace("chy:v1", "chy:v2");
    let items = json!([opened(text(0), "a"), opened(text(2), "a"), opened(altered, "a"), opened("x".into(), "a")]);
    let (_, plain) = house.post(&format!("{key}/decrypt"), json!({ "items": items })).await;
    assert_eq!(statuses(&plain), [200, 422, 422, 400], "{plain}");
    assert_eq!(plain["items"][0]["plaintext"], b64("one"));
    assert!(plain["items"][1].get("plaintext").is_none());
    // Rotated, sealed anew, and what is below the least version retired.
    let (_, rotated) = house.post(&format!("keys/{key}/rotate"), json!({})).await;
    assert_eq!(rotated["newest"], 2);
    let (_, anew) = house.post(&format!("{key}/rewrap"), json!({"items": [opened(text(0), "a")]})).await;
    assert!(anew["items"][0]["ciphertext"].as_str().unwrap().starts_with("chy:v2:"), "{anew}");
    assert!(anew["items"][0].get("plaintext").is_none());
    let set = json!({"min_decrypt": 2});
    let (status, _) = house.ask(&house.admin, Method::PATCH, &format!("transit/keys/{key}"), Some(set)).await;
    assert_eq!(status, StatusCode::OK);
    let (_, gone) = house.post(&format!("{key}/decrypt"), json!({"items": [opened(text(0), "a")]})).await;
    assert_eq!(statuses(&gone), [410]);
    house.server.stop().await.unwrap();
}

#[tokio::test]
async fn signatures_hmacs_data_keys_and_random_bytes() {
    let house = House::new().await;
    for kind in ["ed25519", "ecdsa-p256", "hmac-sha256"] {
        let key = house.create(kind, "plain", "web").await;
        let (_, made) = house.post(&format!("{key}/sign"), json!({"items": [{"message": b64("m")}]})).await;
        let signature = made["items"][0]["signature"].as_str().unwrap_or_default().to_owned();
        let item = |message: &str| json!({"message": b64(message), "signature": signature});
        let (_, checked) = house.post(&format!("{key}/verify"), json!({"items": [item("m"), item("n")]})).await;
        assert_eq!((&checked["items"][0]["valid"], &checked["items"][1]["valid"]), (&json!(true), &json!(false)));
        let (_, shown) = house.ask(&house.admin, Method::GET, &format!("transit/keys/{key}"), None).await;
        assert_eq!(shown["versions"][0]["public_key"].is_string(), kind != "hmac-sha256");
        let (status, wrong) = house.post(&format!("{key}/encrypt"), json!({"items": [{"plaintext": ""}]})).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}");
    }
    let key = house.create("chacha20-poly1305", "plain", "web").await;
    let (_, wrapped) = house.post(&format!("{key}/data-key"), json!({})).await;
    assert!(wrapped["ciphertext"].is_string() && wrapped.get("plaintext").is_none());
    let (_, shown) = house.post(&format!("{key}/data-key"), json!({"bytes": 64, "plaintext": true})).await;
    let (_, opened) =
        house.post(&format!("{key}/decrypt"), json!({"items": [{"ciphertext": shown["ciphertext"]}]})).await;
    assert_eq!(opened["items"][0]["plaintext"], shown["plaintext"]);
    assert_eq!(STANDARD.decode(shown["plaintext"].as_str().unwrap()).unwrap().len(), 64);
    assert_eq!(house.used(&key).await.len(), 3, "two keys and an opening");
    let random = |bytes: usize| house.post("random", json!({ "bytes": bytes }));
    let (one, other) = (random(32).await, random(32).await);
    assert!(one.0 == StatusCode::OK && one.1["base64"] != other.1["base64"]);
    assert_eq!((random(0).await.0, random(65_537).await.0), (StatusCode::BAD_REQUEST, StatusCode::BAD_REQUEST));
    house.server.stop().await.unwrap();
}

#[tokio::test]
async fn who_has_no_right_is_told_the_same_of_a_key_that_is_there_and_of_none() {
    let house = House::new().await;
    let (there, nothing) = (house.create("aes256-gcm", "plain", "db").await, format!("k{}", unique()));
    let item = json!({"items": [{"plaintext": b64("x")}]});
    for role in [Role::TransitUser, Role::TransitEncrypter, Role::TransitManager, Role::SecretReader] {
        let token = token(role).await;
        for (method, act, body) in [
            (Method::GET, "keys/KEY", None),
            (Method::POST, "KEY/encrypt", Some(item.clone())),
            (Method::POST, "KEY/decrypt", Some(json!({"items": [{"ciphertext": "chy:v1:"}]}))),
            (Method::POST, "keys/KEY/rotate", Some(json!({}))),
            (Method::DELETE, "keys/KEY", None),
        ] {
            let mut told = Vec::new();
            for name in [&there, &nothing] {
                let path = format!("transit/{}", act.replace("KEY", name));
                let (status, answer) = house.ask(&token, method.clone(), &path, body.clone()).await;
                told.push((status, answer.to_string().replace(name.as_str(), "KEY")));
            }
            assert_eq!(told[0], told[1], "{role}: {method} {act}");
            assert_eq!(told[0].0, StatusCode::FORBIDDEN);
        }
    }
    assert!(house.used(&there).await.is_empty(), "and nothing was opened for them");
    house.server.stop().await.unwrap();
}

#[tokio::test]
async fn an_encrypter_opens_nothing_and_a_manager_computes_nothing() {
    let house = House::new().await;
    let key = house.create("aes256-gcm", "plain", "web").await;
    let (encrypter, manager) = (token(Role::TransitEncrypter).await, token(Role::TransitManager).await);
    let sealing = |token: String| {
        let (house, path) = (&house, format!("transit/{key}/encrypt"));
        let body = json!({"items": [{"plaintext": b64("x")}]});
        async move { house.ask(&token, Method::POST, &path, Some(body)).await }
    };
    let (status, sealed) = sealing(encrypter.clone()).await;
    assert_eq!((status, sealing(manager.clone()).await.0), (StatusCode::OK, StatusCode::FORBIDDEN));
    let body = json!({"items": [{"ciphertext": sealed["items"][0]["ciphertext"]}]});
    let open = house.ask(&encrypter, Method::POST, &format!("transit/{key}/decrypt"), Some(body)).await;
    assert_eq!(open.0, StatusCode::FORBIDDEN);
    let rotate = |token: String| {
        let (house, path) = (&house, format!("transit/keys/{key}/rotate"));
        async move { house.ask(&token, Method::POST, &path, None).await.0 }
    };
    assert_eq!((rotate(encrypter).await, rotate(manager.clone()).await), (StatusCode::FORBIDDEN, StatusCode::OK));
    // Destroying is the administrator's, and takes a word before.
    let path = format!("transit/keys/{key}");
    assert_eq!(house.ask(&manager, Method::DELETE, &path, None).await.0, StatusCode::FORBIDDEN);
    assert_eq!(house.ask(&house.admin, Method::DELETE, &path, None).await.0, StatusCode::CONFLICT);
    let word = Some(json!({"deletable": true}));
    assert_eq!(house.ask(&manager, Method::PATCH, &path, word).await.0, StatusCode::OK);
    assert_eq!(house.ask(&house.admin, Method::DELETE, &path, None).await.0, StatusCode::NO_CONTENT);
    assert_eq!(house.ask(&house.admin, Method::GET, &path, None).await.0, StatusCode::NOT_FOUND);
    house.server.stop().await.unwrap();
}

#[tokio::test]
async fn what_is_wrong_with_a_batch_is_told_without_repeating_it_and_leaves_no_entry() {
    let house = House::new().await;
    let key = house.create("aes256-gcm", "plain", "web").await;
    let path = format!("{key}/encrypt");
    // The form of the body is that of all of it, and is told by its place.
    for (body, field, says) in [
        (json!({ "items": [] }), "items", "one item at least"),
        (
            json!({"items": [{"plaintext": ""}, {"plaintext": "canary-?"}]}),
            "items[1].plaintext",
            "base64 with its padding",
        ),
        (json!({"items": [{"plaintext": 17}]}), "items[0].plaintext", "base64 with its padding"),
    ] {
        let (status, problem) = house.post(&path, body).await;
        assert_eq!((status, problem["field"].as_str()), (StatusCode::BAD_REQUEST, Some(field)), "{problem}");
        assert!(problem["detail"].as_str().unwrap_or_default().contains(says), "{problem}");
    }
    for (body, told) in [
        (json!({ "items": [] }), StatusCode::BAD_REQUEST),
        (json!({"items": [{"plaintext": "canary-?"}]}), StatusCode::BAD_REQUEST),
        (json!({"items": [{"plaintext": "", "associated_data": "canary-?"}]}), StatusCode::BAD_REQUEST),
        (json!({"items": vec![json!({"plaintext": ""}); 1_001]}), StatusCode::BAD_REQUEST),
        (json!({"items": [{"plaintext": "A".repeat(2 << 20)}]}), StatusCode::PAYLOAD_TOO_LARGE),
    ] {
        let (status, problem) = house.post(&path, body).await;
        assert!(status == told && !problem.to_string().contains("canary-"), "{status} {problem}");
    }
    assert!(house.used(&key).await.is_empty());
    for (wish, told) in [
        (json!({"name": "keys", "kind": "ed25519", "owner": "web"}), StatusCode::BAD_REQUEST),
        (json!({"name": "a", "kind": "rsa", "owner": "web"}), StatusCode::BAD_REQUEST),
        (json!({"name": "a", "kind": "ed25519", "mode": "derived", "owner": "web"}), StatusCode::UNPROCESSABLE_ENTITY),
        (json!({"name": "a", "kind": "ed25519", "owner": "nobody"}), StatusCode::BAD_REQUEST),
        (json!({"name": key, "kind": "ed25519", "owner": "web"}), StatusCode::CONFLICT),
    ] {
        let (status, problem) = house.post("keys", wish.clone()).await;
        assert_eq!(status, told, "{wish}: {problem}");
    }
    house.server.stop().await.unwrap();
}
