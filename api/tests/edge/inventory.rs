//! Secrets in the inventory over HTTP: who read them last, what ends, codes without seeds, published keys, the access review, the pages.

use std::collections::BTreeSet;

use policy::{Action, Role};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

use crate::house::{Server, client, token, token_of, unique};

pub(crate) struct House {
    pub(crate) server: Server,
    client: Client,
    pub(crate) admin: String,
}

impl House {
    pub(crate) async fn new() -> House {
        House { server: Server::start().await, client: client().build().unwrap(), admin: token(Role::Admin).await }
    }

    pub(crate) async fn ask(
        &self,
        token: &str,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> (StatusCode, Value) {
        let request = self.client.request(method, self.server.url(&format!("/api/v1/{path}"))).bearer_auth(token);
        let request = body.iter().fold(request, |request, body| request.json(body));
        let answer = request.send().await.unwrap();
        (answer.status(), serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or_default())
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Value {
        let (status, told) = self.ask(&self.admin, Method::PUT, &format!("secrets/{path}"), Some(body)).await;
        assert_eq!(status, StatusCode::CREATED, "{told}");
        told
    }

    async fn paths(&self, query: &str) -> Vec<String> {
        let (status, page) = self.ask(&self.admin, Method::GET, &format!("secrets?{query}"), None).await;
        assert_eq!(status, StatusCode::OK, "{page}");
        let path = |item: &Value| item["path"].as_str().unwrap().to_owned();
        page["items"].as_array().unwrap().iter().map(path).collect()
    }

    /// How many entries of the log speak of this, of which events.
    pub(crate) async fn entries(&self, of: &str, event: &str) -> usize {
        let is_it = |leaf: &&Value| leaf["event"] == event && leaf.to_string().contains(of);
        let (mut found, mut query) = (0, String::new());
        loop {
            let (_, page) = self.ask(&self.admin, Method::GET, &format!("audit?limit=1000{query}"), None).await;
            found += page["items"].as_array().unwrap().iter().filter(is_it).count();
            match page["next"].as_u64() {
                Some(next) => query = format!("&after={next}"),
                None => return found,
            }
        }
    }
}

fn later(hours: i64) -> String {
    policy::World::real().now().plus_secs(hours * 3_600).rfc3339()
}

#[tokio::test]
async fn who_read_last_stands_beside_a_secret_and_what_ends_is_found_first() {
    let house = House::new().await;
    let root = format!("ends/{}", unique());
    let (soon, late, never) = (format!("{root}/soon"), format!("{root}/late"), format!("{root}/never"));
    house.put(&late, json!({"fields": {"value": "x"}, "owner": "web", "expires": later(5)})).await;
    house.put(&soon, json!({"fields": {"value": "x"}, "owner": "web", "expires": later(2)})).await;
    let made = house.put(&never, json!({"fields": {"value": "x"}, "owner": "web"})).await;
    assert_eq!(made.get("last_read"), None, "{made}");
    assert!(made["made"].is_string() && made["written"].is_string(), "{made}");
    let found = |hours: u64| format!("within={root}&expiring_secs={}", hours * 3_600);
    assert_eq!(house.paths(&found(1)).await, [""; 0]);
    assert_eq!(house.paths(&found(3)).await, std::slice::from_ref(&soon));
    assert_eq!(house.paths(&found(9)).await, [soon.clone(), late.clone()]);
    assert_eq!(house.paths(&format!("within={root}")).await, [late.clone(), never.clone(), soon.clone()]);
    // A page, and the next one.
    let (_, page) = house.ask(&house.admin, Method::GET, &format!("secrets?{}&limit=1", found(9)), None).await;
    assert!(!page["next"].as_str().expect("more").contains('/'), "where it goes on names nothing: {page}");
    let next = page["next"].as_str().expect("more").replace('@', "%40").replace(':', "%3A");
    assert_eq!(house.paths(&format!("{}&cursor={next}", found(9))).await, std::slice::from_ref(&late));
    let (status, _) =
        house.ask(&house.admin, Method::GET, &format!("secrets?{}&cursor=nonsense", found(9)), None).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    // Nobody read it; then somebody did.
    let show = format!("secrets/{soon}");
    let (_, shown) = house.ask(&house.admin, Method::GET, &show, None).await;
    assert_eq!(shown["last_read"], Value::Null, "{shown}");
    let reader = token(Role::SecretReader).await;
    let (_, read) = house.ask(&reader, Method::GET, &format!("secret-values/{soon}"), None).await;
    let (_, who) = house.ask(&reader, Method::GET, "whoami", None).await;
    let (_, shown) = house.ask(&house.admin, Method::GET, &show, None).await;
    assert_eq!((&shown["last_read"]["by"], &shown["last_read"]["leaf"]), (&who["id"], &read["leaf"]), "{shown}");
    // A put that opens the siblings is no reading.
    house.put(&soon, json!({"fields": {"other": "y"}, "expires": later(2)})).await;
    let (_, again) = house.ask(&house.admin, Method::GET, &show, None).await;
    assert_eq!(again["last_read"], shown["last_read"]);
    for query in ["stuck=true", "overdue=true", "unowned=true", "unread_secs=7776000"] {
        assert_eq!(house.paths(&format!("within={root}&{query}")).await, [""; 0], "{query}");
    }
    let (_, status) = house.ask(&house.admin, Method::GET, "status", None).await;
    assert!(status["secrets"]["all"].as_u64().unwrap() >= 3, "{status}");
    house.server.stop().await.unwrap();
}

#[tokio::test]
async fn a_code_is_had_without_the_seed_and_each_is_in_the_log() {
    let house = House::new().await;
    let path = format!("totp/{}", unique());
    house.put(&path, json!({"kind": "totp-seed", "draw": true, "owner": "web"})).await;
    let scopes = BTreeSet::from([Action::ReadSecretCode]);
    let (narrow, _) = token_of(&[Role::SecretReader], Some(scopes), 3_600).await;
    let (status, _) = house.ask(&narrow, Method::GET, &format!("secret-values/{path}"), None).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "who has codes does not have the seed");
    let (status, code) = house.ask(&narrow, Method::GET, &format!("secret-codes/{path}"), None).await;
    assert_eq!(status, StatusCode::OK, "{code}");
    // The seed gives the same.
    let (_, seed) = house.ask(&house.admin, Method::GET, &format!("secret-values/{path}"), None).await;
    let mut patch = secrets::Patch::new();
    for (name, value) in seed["fields"].as_object().unwrap() {
        patch = patch.set(name.parse().unwrap(), value.as_str().unwrap().as_bytes().to_vec());
    }
    let mut fields = secrets::Fields::new();
    fields.merge(patch).unwrap();
    let until = policy::Timestamp::parse_rfc3339(code["until"].as_str().unwrap()).unwrap().unix();
    let expected = secrets::Totp::of_fields(&fields).unwrap().code(u64::try_from(until - 1).unwrap());
    assert_eq!(code["code"], expected.as_str());
    let (_, leaf) = house.ask(&house.admin, Method::GET, &format!("audit/{}", code["leaf"]), None).await;
    assert!(leaf.to_string().contains("read-secret-code"), "{leaf}");
    // What is no seed gives none, and is not opened for that.
    let other = format!("totp/{}", unique());
    house.put(&other, json!({"fields": {"value": "x"}, "owner": "web"})).await;
    let (status, told) = house.ask(&narrow, Method::GET, &format!("secret-codes/{other}"), None).await;
    let opened = house.entries(&format!("{other}@"), "access").await;
    assert_eq!((status, opened), (StatusCode::UNPROCESSABLE_ENTITY, 0), "{told}");
    house.server.stop().await.unwrap();
}

#[tokio::test]
async fn public_keys_are_published_where_that_is_said_and_overlap_and_nobody_opens_anything_for_them() {
    let house = House::new().await;
    let path = format!("jwt/{}", unique());
    let url = house.server.url(&format!("/.well-known/jwks/{path}"));
    let ask = || async {
        let answer = house.client.get(&url).send().await.unwrap();
        (answer.status(), serde_json::from_str::<Value>(&answer.text().await.unwrap()).unwrap_or_default())
    };
    house.put(&path, json!({"kind": "jwt-signing-key", "draw": true, "owner": "web"})).await;
    assert_eq!(ask().await.0, StatusCode::NOT_FOUND, "nobody said that it is published");
    let said = json!({"tags": {"published": "true"}});
    house.ask(&house.admin, Method::PATCH, &format!("secrets/{path}"), Some(said)).await;
    let (status, first) = ask().await;
    assert_eq!((status, first["keys"].as_array().map(Vec::len)), (StatusCode::OK, Some(1)), "{first}");
    assert_eq!(house.entries(&path, "access").await, 0, "a stranger's question opens nothing and writes no entry");
    let key = &first["keys"][0];
    assert!(key["kid"].is_string() && key.get("d").is_none() && key.get("p").is_none(), "{key}");
    // The next one stands there before it signs, and the one before goes on.
    house.put(&path, json!({"draw": true, "pending": true})).await;
    let (_, both) = ask().await;
    assert_eq!((both["keys"].as_array().map(Vec::len), &both["keys"][0]), (Some(2), key), "{both}");
    let act = json!({"path": path, "version": "pending"});
    house.ask(&house.admin, Method::POST, "secret-acts/roll-back", Some(act)).await;
    let (_, turned) = ask().await;
    assert_eq!((&turned["keys"][0], &turned["keys"][1]), (&both["keys"][1], key), "{turned}");
    let act = json!({"path": path, "version": "previous"});
    house.ask(&house.admin, Method::POST, "secret-acts/disable", Some(act)).await;
    assert_eq!(ask().await.1["keys"].as_array().map(Vec::len), Some(1), "what is out of use is published no more");
    house.server.stop().await.unwrap();
}

#[tokio::test]
async fn an_access_review_says_who_may_and_who_did_and_is_for_auditors() {
    let house = House::new().await;
    let path = format!("review/{}", unique());
    house.put(&path, json!({"fields": {"value": "x"}, "owner": "web"})).await;
    let reader = token(Role::SecretReader).await;
    let (_, who) = house.ask(&reader, Method::GET, "whoami", None).await;
    let (_, read) = house.ask(&reader, Method::GET, &format!("secret-values/{path}"), None).await;
    let auditor = token(Role::Auditor).await;
    let mut query = "report/secrets?since_secs=3600&limit=50".to_owned();
    let review = loop {
        let (status, page) = house.ask(&auditor, Method::GET, &query, None).await;
        assert_eq!(status, StatusCode::OK, "{page}");
        if let Some(found) = page["items"].as_array().unwrap().iter().find(|item| item["path"] == path.as_str()) {
            break found.clone();
        }
        query = format!("report/secrets?since_secs=3600&limit=50&cursor={}", page["next"].as_str().expect("more"));
    };
    assert_eq!((&review["readers"][0]["by"], &review["readers"][0]["leaf"]), (&who["id"], &read["leaf"]), "{review}");
    let may: Vec<&str> = review["may_read"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let (_, narrow) = house.ask(&auditor, Method::GET, "whoami", None).await;
    assert!(may.contains(&who["id"].as_str().unwrap()) && !may.contains(&narrow["id"].as_str().unwrap()), "{may:?}");
    assert_eq!(review["owned"], true);
    let (_, tokens) = house.ask(&auditor, Method::GET, "report/tokens?limit=100", None).await;
    let text = tokens.to_string();
    assert!(text.contains("made_by") && !text.contains("sha256"), "{text}");
    for role in [Role::SecretReader, Role::Operator, Role::Issuer] {
        let token = token(role).await;
        for place in ["report/secrets", "report/tokens"] {
            assert_eq!(house.ask(&token, Method::GET, place, None).await.0, StatusCode::FORBIDDEN, "{role} {place}");
        }
    }
    house.server.stop().await.unwrap();
}

#[tokio::test]
async fn a_reference_is_read_with_the_readers_own_right_in_one_entry_and_never_in_a_circle() {
    let house = House::new().await;
    let root = format!("links/{}", unique());
    let (base, link, far) = (format!("{root}/base"), format!("{root}/link"), format!("{root}/far"));
    let refer = |to: &str, field: &str| json!({ "password": format!("chy://{to}#{field}") });
    house.put(&base, json!({"fields": {"key": "first"}, "owner": "web"})).await;
    house.put(&link, json!({"fields": {"user": "app"}, "references": refer(&base, "key"), "owner": "web"})).await;
    house.put(&far, json!({"fields": {"user": "far"}, "references": refer(&link, "password"), "owner": "web"})).await;
    let reader = token(Role::SecretReader).await;
    let read = |path: String| {
        let (house, reader) = (&house, &reader);
        async move { house.ask(reader, Method::GET, &format!("secret-values/{path}"), None).await }
    };
    let before = house.entries(&root, "access").await;
    let (_, told) = read(far.clone()).await;
    assert_eq!(told["fields"], json!({"user": "far", "password": "first"}), "{told}");
    assert_eq!(house.entries(&root, "access").await, before + 1, "one entry for all three");
    let (_, leaf) = house.ask(&house.admin, Method::GET, &format!("audit/{}", told["leaf"]), None).await;
    let text = leaf.to_string();
    assert!([&base, &link, &far].iter().all(|path| text.contains(&format!("{path}@1."))), "{text}");
    // What it refers to changes, and so does what is read, whatever one has; a sibling's put keeps the reference.
    house.put(&base, json!({"fields": {"key": "second"}})).await;
    house.put(&link, json!({"fields": {"user": "other"}})).await;
    assert_eq!(read(link.clone()).await.1["fields"], json!({"user": "other", "password": "second"}));
    let many = json!({"references": [format!("chy://{far}#password"), format!("chy://{link}#user")]});
    let (_, many) = house.ask(&reader, Method::POST, "secret-values", Some(many)).await;
    assert_eq!(many["items"][0]["secret"]["fields"]["password"], "second", "{many}");
    let (_, shown) = house.ask(&house.admin, Method::GET, &format!("secrets/{link}"), None).await;
    assert_eq!(shown["versions"][0]["references"], refer(&base, "key"), "{shown}");
    // A circle, and a chain that is too long, are refused, and nothing is opened.
    house.put(&base, json!({"fields": {"own": "x"}, "references": {"key": format!("chy://{far}#password")}})).await;
    let before = house.entries(&root, "access").await;
    let (status, told) = read(far.clone()).await;
    assert!(status == StatusCode::CONFLICT && told["detail"].as_str().unwrap().contains("refers to itself"), "{told}");
    assert_eq!(house.entries(&root, "access").await, before, "nobody was shown anything");
    house.put(&base, json!({"fields": {"key": "third"}})).await;
    assert_eq!(read(far.clone()).await.1["fields"]["password"], "third", "a value takes the reference's place");
    let mut last = far.clone();
    for step in 0..3 {
        let next = format!("{root}/step{step}");
        house.put(&next, json!({"fields": {"n": "1"}, "references": refer(&last, "password"), "owner": "web"})).await;
        last = next;
    }
    let (status, told) = read(last).await;
    assert!(status == StatusCode::CONFLICT && told["detail"].as_str().unwrap().contains("one too many"), "{told}");
    // Whose secret one may not read one does not read by a reference either.
    let others = format!("{root}/others");
    house.put(&others, json!({"fields": {"key": "x"}, "owner": "db"})).await;
    house.put(&link, json!({"fields": {"user": "app"}, "references": refer(&others, "key")})).await;
    let before = house.entries(&root, "access").await;
    assert_eq!(read(link.clone()).await.0, StatusCode::FORBIDDEN);
    assert_eq!(house.entries(&root, "access").await, before, "no access");
    for (wrong, expected) in [
        (json!({"password": "no reference"}), StatusCode::BAD_REQUEST),
        (json!({"user": format!("chy://{base}#key")}), StatusCode::UNPROCESSABLE_ENTITY),
    ] {
        let body = json!({"fields": {"user": "x"}, "references": wrong});
        let (status, _) = house.ask(&house.admin, Method::PUT, &format!("secrets/{link}"), Some(body)).await;
        assert_eq!(status, expected);
    }
    house.server.stop().await.unwrap();
}
