//! Secrets over HTTP: what is told to whom, what is logged, and what is refused.

use policy::Role;
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

use crate::house::{Server, client, token, token_of_none, unique};

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

    async fn put(&self, path: &str, body: Value) -> (StatusCode, Value) {
        self.ask(&self.admin, Method::PUT, &format!("secrets/{path}"), Some(body)).await
    }

    /// An entry of the log.
    async fn leaf(&self, index: u64) -> Value {
        self.ask(&self.admin, Method::GET, &format!("audit/{index}"), None).await.1["leaf"].take()
    }

    /// How many entries of the log show this secret.
    async fn shown(&self, path: &str) -> usize {
        let id = format!("{path}@1.");
        let is_it = |of: &Value| of["id"].as_str().is_some_and(|there| there.starts_with(&id));
        let shows = |leaf: &&Value| leaf["opened"].as_array().is_some_and(|all| all.iter().any(is_it));
        let (mut found, mut query) = (0, String::new());
        loop {
            let (_, page) = self.ask(&self.admin, Method::GET, &format!("audit?limit=1000{query}"), None).await;
            found += page["items"].as_array().unwrap().iter().filter(shows).count();
            match page["next"].as_u64() {
                Some(next) => query = format!("&after={next}"),
                None => return found,
            }
        }
    }
}

#[tokio::test]
async fn who_has_no_right_is_told_the_same_of_what_is_there_and_of_what_is_not() {
    let house = House::new().await;
    let (there, nothing) = (format!("quiet/{}", unique()), format!("quiet/{}", unique()));
    house.put(&there, json!({"fields": {"value": "x"}, "owner": "db"})).await;
    for role in [Role::SecretReader, Role::SecretWriter, Role::Issuer] {
        let token = token(role).await;
        for (method, place, body) in [
            (Method::GET, "secrets", None),
            (Method::GET, "secret-values", None),
            (Method::PATCH, "secrets", Some(json!({"description": "x"}))),
        ] {
            let mut told = Vec::new();
            for path in [&there, &nothing] {
                let (status, answer) =
                    house.ask(&token, method.clone(), &format!("{place}/{path}"), body.clone()).await;
                told.push((status, answer.to_string().replace(path.as_str(), "PATH")));
            }
            assert_eq!(told[0], told[1], "{role}: {method} {place}");
            assert_eq!(told[0].0, StatusCode::FORBIDDEN);
        }
    }
    house.server.stop().await.unwrap();
}

#[tokio::test]
async fn who_has_it_is_told_so_and_shown_nothing_and_there_is_no_entry() {
    let house = House::new().await;
    let path = format!("etag/{}", unique());
    house.put(&path, json!({"fields": {"value": "x"}, "owner": "web"})).await;
    let url = house.server.url(&format!("/api/v1/secret-values/{path}"));
    let get = |etag: Option<String>| {
        let request = house.client.get(&url).bearer_auth(&house.admin);
        etag.into_iter().fold(request, |request, etag| request.header("if-none-match", etag)).send()
    };
    let first = get(None).await.unwrap();
    let etag = first.headers()["etag"].to_str().unwrap().to_owned();
    assert_eq!((first.headers()["cache-control"].to_str().unwrap(), house.shown(&path).await), ("no-store", 1));
    // A proxy that compresses makes it weak.
    for known in [format!("\"other\", {etag}"), format!("W/{etag}"), "*".to_owned()] {
        let again = get(Some(known)).await.unwrap();
        let told = (again.status(), again.headers()["etag"].to_str().unwrap());
        assert_eq!(told, (StatusCode::NOT_MODIFIED, etag.as_str()));
        assert!(again.bytes().await.unwrap().is_empty());
    }
    assert_eq!(house.shown(&path).await, 1);
    // Of a field that is not there nobody has the newest.
    let field =
        house.client.get(format!("{url}?field=nosuch")).bearer_auth(&house.admin).header("if-none-match", &etag);
    assert_eq!(field.send().await.unwrap().status(), StatusCode::NOT_FOUND);
    let shown = house.shown(&path).await;
    // The next put opens what is there, for the fields that stay: an entry too.
    house.put(&path, json!({"fields": {"value": "y"}})).await;
    let changed = get(Some(etag.clone())).await.unwrap();
    assert_eq!((changed.status(), house.shown(&path).await), (StatusCode::OK, shown + 2));
    assert_ne!(changed.headers()["etag"].to_str().unwrap(), etag);
    house.server.stop().await.unwrap();
}

#[tokio::test]
async fn bytes_that_are_no_text_many_at_once_and_what_is_out_of_use() {
    let house = House::new().await;
    let path = format!("many/{}", unique());
    let (status, _) =
        house.put(&path, json!({"base64": {"der": "MAD/"}, "fields": {"name": "x"}, "owner": "web"})).await;
    assert_eq!(status, StatusCode::CREATED);
    let (_, read) = house.ask(&house.admin, Method::GET, &format!("secret-values/{path}"), None).await;
    assert_eq!(read["fields"], json!({"der": {"base64": "MAD/"}, "name": "x"}));
    let references = [format!("chy://{path}#name@1"), format!("chy://{path}#none"), format!("chy://{path}/nothing")];
    let before = house.shown(&path).await;
    let (_, many) =
        house.ask(&house.admin, Method::POST, "secret-values", Some(json!({"references": references}))).await;
    let statuses: Vec<_> =
        many["items"].as_array().unwrap().iter().map(|item| item["status"].as_u64().unwrap()).collect();
    assert_eq!((statuses, house.shown(&path).await), (vec![200, 404, 404], before + 1));
    assert_eq!(many["items"][0]["secret"]["fields"], json!({"name": "x"}));
    for wrong in [json!({"fields": {"name": "y"}, "expect": 7}), json!({"fields": {"name": "y"}, "expect": 0})] {
        assert_eq!(house.put(&path, wrong).await.0, StatusCode::CONFLICT);
    }
    for wrong in [
        json!({"base64": {"der": "?"}}),
        json!({"fields": {"a b": "y"}}),
        json!({"fields": {"n": "y"}, "base64": {"n": "eQ=="}}),
    ] {
        assert_eq!(house.put(&path, wrong.clone()).await.0, StatusCode::BAD_REQUEST, "{wrong}");
    }
    let act = |word: &str, body: Value| {
        let (house, place) = (&house, format!("secret-acts/{word}"));
        async move { house.ask(&house.admin, Method::POST, &place, Some(body)).await.0 }
    };
    assert_eq!(act("disable", json!({"path": path, "version": "current"})).await, StatusCode::OK);
    let (gone, _) = house.ask(&house.admin, Method::GET, &format!("secret-values/{path}"), None).await;
    assert_eq!(gone, StatusCode::GONE);
    assert_eq!(act("nothing", json!({"path": path})).await, StatusCode::NOT_FOUND);
    house.server.stop().await.unwrap();
}

#[tokio::test]
async fn what_is_new_and_nobodys_names_the_owners_that_the_caller_may_name() {
    let house = House::new().await;
    let path = format!("nobodys/{}", unique());
    let put = json!({"fields": {"value": "x"}});
    let admin = token_of_none(Role::Admin).await;
    let (status, said) = house.ask(&admin, Method::PUT, &format!("secrets/{path}"), Some(put.clone())).await;
    let detail = said["detail"].as_str().unwrap_or_default();
    assert_eq!(status, StatusCode::BAD_REQUEST, "{said}");
    for word in ["--owner NAME", "db", "web"] {
        assert!(detail.contains(word), "{word}: {said}");
    }
    let key = json!({"name": format!("k{}", unique()), "kind": "aes256-gcm"});
    let (_, said) = house.ask(&admin, Method::POST, "transit/keys", Some(key)).await;
    assert!(
        said["detail"].as_str().is_some_and(|detail| detail.contains("one of ") && detail.contains("web")),
        "{said}"
    );
    // Who belongs to one need not say it.
    let writer = token(Role::SecretWriter).await;
    let (status, said) = house.ask(&writer, Method::PUT, &format!("secrets/{path}"), Some(put)).await;
    assert_eq!((status, &said["owner"]), (StatusCode::CREATED, &json!("web")), "{said}");
    house.server.stop().await.unwrap();
}

#[tokio::test]
async fn what_is_kept_and_what_is_read_from_a_cache_is_in_the_log() {
    let house = House::new().await;
    let path = format!("kept/{}", unique());
    let put = json!({"fields": {"value": "x"}, "owner": "web"});
    assert_eq!(house.put(&path, put).await.0, StatusCode::CREATED);
    let read = |keep_secs: u64| {
        let (house, body) = (&house, json!({"references": [format!("chy://{path}")], "keep_secs": keep_secs}));
        async move {
            house.ask(&house.admin, Method::POST, "secret-values", Some(body)).await.1["items"][0]["secret"].take()
        }
    };
    assert_eq!(read(0).await["lease"], Value::Null, "nobody asked for one");
    // An hour, unless somebody says otherwise; and never more than was asked for.
    assert_eq!(read(u64::MAX).await["lease"]["secs"], json!(3_600));
    let kept = read(60).await;
    assert_eq!(kept["lease"]["secs"], json!(60));
    let leaf = |value: &Value| value["leaf"].as_u64().unwrap();
    assert_eq!(house.leaf(leaf(&kept)).await["until"], kept["lease"]["until"], "the log says until when");
    // The secret's own word.
    for (said, secs) in [(30, json!(30)), (0, Value::Null)] {
        let said = json!({ "cache_secs": said });
        assert_eq!(
            house.ask(&house.admin, Method::PATCH, &format!("secrets/{path}"), Some(said)).await.0,
            StatusCode::OK
        );
        assert_eq!(read(60).await["lease"]["secs"], secs);
    }
    let now = policy::World::real().now();
    let (since, until) = (now.rfc3339(), now.plus_secs(300).rfc3339());
    let (since, until) = (since.as_str(), until.as_str());
    let tell = |reference: String, since: &str, until: &str| {
        let read = json!({"reference": reference, "since": since, "until": until});
        let (house, body) = (&house, json!({ "reads": [read] }));
        async move { house.ask(&house.admin, Method::POST, "secret-cache-reads", Some(body)).await }
    };
    let (status, told) = tell(format!("chy://{path}@1"), since, until).await;
    assert_eq!((status, &told["items"][0]["status"]), (StatusCode::OK, &json!(200)), "{told}");
    let said = house.leaf(leaf(&told["items"][0])).await;
    assert_eq!((&said["outcome"], &said["since"], &said["until"]), (&json!("leased"), &json!(since), &json!(until)));
    assert_eq!(tell(format!("chy://{path}@current"), since, until).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(tell(format!("chy://{path}@2"), since, until).await.1["items"][0]["status"], json!(404));
    assert_eq!(tell(format!("chy://{path}@1"), until, since).await.1["items"][0]["status"], json!(422));
    // Nobody's word that cannot be true is in the log.
    for (since, until) in [("0001-01-01T00:00:00Z", until), (since, "9999-12-31T23:59:59Z")] {
        let (_, told) = tell(format!("chy://{path}@1"), since, until).await;
        assert_eq!((&told["items"][0]["status"], told["items"][0].get("leaf")), (&json!(422), None), "{told}");
    }
    house.server.stop().await.unwrap();
}

#[tokio::test]
async fn a_name_that_is_said_twice_is_refused_wherever_names_are_a_map() {
    let house = House::new().await;
    let path = format!("twice/{}", unique());
    for twice in [
        r#""fields": {"v": "canary", "v": "canary"}"#,
        r#""base64": {"v": "eA==", "v": "eQ=="}"#,
        r#""references": {"v": "chy://a#b", "v": "chy://a#c"}"#,
        r#""fields": {"v": "x"}, "tags": {"team": "a", "team": "b"}"#,
    ] {
        let body = format!(r#"{{"owner": "web", {twice}}}"#);
        let request = house.client.put(house.server.url(&format!("/api/v1/secrets/{path}"))).bearer_auth(&house.admin);
        let answer = request.header("Content-Type", "application/json").body(body).send().await.unwrap();
        let (status, told) = (answer.status(), answer.text().await.unwrap());
        assert_eq!(status, StatusCode::BAD_REQUEST, "{twice}: {told}");
        assert!(told.contains("said twice") && !told.contains("canary"), "{twice}: {told}");
    }
    let (status, _) = house.ask(&house.admin, Method::GET, &format!("secrets/{path}"), None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    house.server.stop().await.unwrap();
}
