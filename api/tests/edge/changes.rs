//! What changes of secrets is told to whoever waits, to nobody who may not know of it, and never skipped.

use std::time::Duration;

use api::Limits;
use policy::Role;
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::house::{Server, client, token, unique};

struct House {
    server: Server,
    client: Client,
    admin: String,
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

    async fn put(&self, path: &str, owner: &str) {
        let body = json!({"fields": {"value": "x"}, "owner": owner});
        let (status, told) = self.ask(&self.admin, Method::PUT, &format!("secrets/{path}"), Some(body)).await;
        assert!(status.is_success(), "{told}");
    }

    async fn act(&self, word: &str, body: Value) {
        let (status, told) = self.ask(&self.admin, Method::POST, &format!("secret-acts/{word}"), Some(body)).await;
        assert!(status.is_success(), "{word}: {told}");
    }

    async fn heard(&self, token: &str, query: &str) -> Value {
        let (status, told) = self.ask(token, Method::GET, &format!("secret-changes?{query}"), None).await;
        assert_eq!(status, StatusCode::OK, "{told}");
        told
    }
}

fn next(heard: &Value) -> String {
    heard["next"].as_str().unwrap().to_owned()
}

fn told<'a>(heard: &'a Value, what: &str) -> Vec<&'a str> {
    heard["items"].as_array().unwrap().iter().map(|item| item[what].as_str().unwrap()).collect()
}

#[tokio::test]
async fn each_act_is_told_once_in_its_order_by_every_server_and_after_each_start() {
    let house = House::new().await;
    let path = format!("changes/{}", unique());
    let start = next(&house.heard(&house.admin, "").await);
    house.put(&path, "web").await;
    house.put(&path, "web").await;
    house.act("label", json!({"path": path, "label": "stable", "version": "1"})).await;
    house.act("roll-back", json!({"path": path})).await;
    house.act("disable", json!({"path": path, "version": "2"})).await;
    house.act("enable", json!({"path": path, "version": "2"})).await;
    let described = json!({"description": "what it is for"});
    house.ask(&house.admin, Method::PATCH, &format!("secrets/{path}"), Some(described)).await;
    house.act("delete", json!({"path": path, "retention_days": 7})).await;
    house.act("restore", json!({"path": path})).await;
    let expected =
        ["written", "written", "labelled", "labelled", "disabled", "enabled", "described", "deleted", "restored"];
    let all = house.heard(&house.admin, &format!("since={start}&within={path}")).await;
    assert_eq!(told(&all, "event"), expected);
    let current: Vec<u64> =
        all["items"].as_array().unwrap().iter().filter_map(|item| item["current"].as_u64()).collect();
    assert_eq!(current, [1, 2, 2, 1, 1, 1, 1, 1, 1]);
    assert!(all.get("reset").is_none() && !all.to_string().contains("\"x\""), "{all}");

    // Page by page it is the same, none twice and none left out; of whichever server.
    let other = House::new().await;
    let (mut events, mut cursor) = (Vec::new(), start);
    for turn in 0..100 {
        let at = if turn % 2 == 0 { &house } else { &other };
        let page = at.heard(&at.admin, &format!("since={cursor}&within={path}&limit=2")).await;
        events.extend(told(&page, "event").into_iter().map(str::to_owned));
        cursor = next(&page);
        if page["more"] == json!(false) {
            break;
        }
    }
    assert_eq!(events, expected);
    house.server.stop().await.unwrap();
    other.put(&path, "web").await;
    let later = House::new().await;
    let page = later.heard(&later.admin, &format!("since={cursor}&within={path}")).await;
    assert_eq!(told(&page, "event"), ["written"], "a place is a place after a start too");
    other.server.stop().await.unwrap();
    later.server.stop().await.unwrap();
}

#[tokio::test]
async fn who_waits_is_told_when_it_happens_and_of_nothing_that_he_may_not_know() {
    let house = House::new().await;
    let (ours, theirs) = (format!("changes/{}/a", unique()), format!("changes/{}/b", unique()));
    let reader = token(Role::SecretReader).await;
    let start = next(&house.heard(&reader, "wait=20").await);
    house.put(&theirs, "db").await;
    assert_eq!(told(&house.heard(&house.admin, &format!("since={start}&within={theirs}")).await, "path"), [&theirs]);
    assert!(told(&house.heard(&reader, &format!("since={start}&within={theirs}")).await, "path").is_empty());
    // What may not be known wakes nobody to an answer, and what is elsewhere neither: this comes with what is his.
    let mut waiting = JoinSet::new();
    let request =
        house.client.get(house.server.url(&format!("/api/v1/secret-changes?since={start}&within=changes&wait=20")));
    let request = request.bearer_auth(&reader);
    waiting.spawn(async move { request.send().await.unwrap().json::<Value>().await.unwrap() });
    house.put(&theirs, "db").await;
    house.put(&ours, "web").await;
    let heard = waiting.join_next().await.unwrap().unwrap();
    assert!(told(&heard, "path").iter().all(|path| *path != theirs), "{heard}");
    assert!(told(&heard, "path").contains(&ours.as_str()), "{heard}");
    // A path is its levels, and not its letters.
    let letters = ours.strip_suffix("/a").unwrap().strip_suffix(|c: char| c.is_ascii_digit()).unwrap_or_default();
    if !letters.ends_with('/') {
        assert!(told(&house.heard(&reader, &format!("since={start}&within={letters}")).await, "path").is_empty());
    }
    let (status, _) = house.ask(&token(Role::Issuer).await, Method::GET, "secret-changes", None).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    house.server.stop().await.unwrap();
}

#[tokio::test]
async fn a_place_of_another_log_is_said_to_be_lost_and_what_is_none_is_refused() {
    let house = House::new().await;
    let here = next(&house.heard(&house.admin, "").await);
    let (leaves, tag) = here.split_once('-').unwrap();
    let other = format!("{leaves}-{}{}", if tag.starts_with('0') { "1" } else { "0" }, &tag[1..]);
    let beyond = format!("{}-{tag}", leaves.parse::<u64>().unwrap() + 1_000_000);
    let far = format!("{}-{tag}", u64::MAX);
    for lost in [&other, &beyond, &far] {
        let heard = house.heard(&house.admin, &format!("since={lost}&wait=20")).await;
        assert_eq!(heard["reset"], "other-log", "{lost}: {heard}");
        let goes_on = house.heard(&house.admin, &format!("since={}", next(&heard))).await;
        assert!(goes_on.get("reset").is_none(), "{goes_on}");
    }
    for wrong in ["x", "-", "1", "-1-a", "18446744073709551616-a"] {
        let (status, told) = house.ask(&house.admin, Method::GET, &format!("secret-changes?since={wrong}"), None).await;
        assert_eq!((status, &told["field"]), (StatusCode::BAD_REQUEST, &json!("since")), "{wrong}: {told}");
    }
    house.server.stop().await.unwrap();
}

#[tokio::test]
async fn one_caller_has_so_many_places_to_wait_and_a_stop_lets_all_of_them_go() {
    const OF_ONE: usize = 32;
    let limits = Limits { failures: u32::MAX, request: Duration::from_secs(3_600), ..Limits::default() };
    let house = House {
        server: Server::with(limits).await,
        client: client().build().unwrap(),
        admin: token(Role::Admin).await,
    };
    let nowhere = format!("changes/nobody/{}", unique());
    let start = next(&house.heard(&house.admin, "").await);
    let query = format!("since={start}&within={nowhere}&wait=20");
    let mut waiting = JoinSet::new();
    for _ in 0..=OF_ONE {
        let request = house.client.get(house.server.url(&format!("/api/v1/secret-changes?{query}")));
        let request = request.bearer_auth(&house.admin);
        waiting.spawn(async move {
            let answer = request.send().await.unwrap();
            (answer.status(), answer.headers().contains_key("retry-after"))
        });
    }
    // One of them is too many, whichever came last; it alone is answered before its time.
    assert_eq!(waiting.join_next().await.unwrap().unwrap(), (StatusCode::TOO_MANY_REQUESTS, true));
    house.heard(&house.admin, &format!("since={start}&within={nowhere}")).await;
    let other = token(Role::Admin).await;
    let request = house.client.get(house.server.url(&format!("/api/v1/secret-changes?{query}"))).bearer_auth(&other);
    waiting.spawn(async move { (request.send().await.unwrap().status(), false) });
    house.server.signal();
    while let Some(answer) = waiting.join_next().await {
        assert_eq!(answer.unwrap().0, StatusCode::OK, "whoever waits is answered at the end");
    }
    house.server.stop().await.unwrap();
}
