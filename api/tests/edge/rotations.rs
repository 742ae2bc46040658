//! A password of a real PostgreSQL, exchanged by a running server on a word over HTTP.

use std::time::Duration;

use drivers::{Driver, Fault, Host, Postgres};
use policy::{Role, Secret};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use store::testing::TestPostgres;

use crate::house::{Server, client, token, unique};

const ADMIN_SECRET: &str = "of the administrator";
/// Far beyond what any of this takes.
const TRIES: usize = 3_000;

/// A server that asks everybody but the tests' own user for a password.
fn target() -> TestPostgres {
    let target = TestPostgres::start();
    target.run(&format!("CREATE ROLE rotator LOGIN CREATEROLE PASSWORD '{ADMIN_SECRET}'"));
    for user in ["app-a", "app-b"] {
        target.run(&format!("CREATE ROLE \"{user}\" LOGIN PASSWORD 'first'"));
        target.run(&format!("GRANT \"{user}\" TO rotator WITH ADMIN OPTION"));
    }
    let rules = "'host all chancery 127.0.0.1/32 trust', 'host all all 127.0.0.1/32 scram-sha-256'";
    let file = target.ask("SHOW hba_file");
    target.run(&format!("COPY (SELECT unnest(ARRAY[{rules}])) TO '{file}'"));
    target.run("SELECT pg_reload_conf()");
    target
}

struct House {
    server: Server,
    client: Client,
    token: String,
    path: String,
    admin: String,
}

impl House {
    async fn with(target: &TestPostgres) -> House {
        let (server, token, client) = (Server::start().await, token(Role::Admin).await, client().build().unwrap());
        let (path, admin) = (format!("rotated/{}", unique()), format!("rotator/{}", unique()));
        let house = House { server, client, token, path, admin };
        let fields = json!({"engine": "postgresql", "host": "127.0.0.1", "port": target.port().to_string(),
            "database": "postgres", "username": "app-a", "password": "first"});
        let secret = json!({"kind": "database-connection", "owner": "web", "fields": fields});
        house.ask(Method::PUT, &format!("secrets/{}", house.path), Some(secret), 201).await;
        let fields = json!({"username": "rotator", "password": ADMIN_SECRET});
        let secret = json!({"kind": "database-password", "owner": "web", "fields": fields});
        house.ask(Method::PUT, &format!("secrets/{}", house.admin), Some(secret), 201).await;
        house
    }

    fn rotation(&self) -> String {
        format!("secret-rotations/{}", self.path)
    }

    fn settings(&self) -> Value {
        json!({"plan": "pair", "users": ["app-a", "app-b"], "admin": self.admin, "overlap_secs": 1})
    }

    async fn ask(&self, method: Method, path: &str, body: Option<Value>, status: u16) -> Value {
        let request = self.client.request(method, self.server.url(&format!("/api/v1/{path}"))).bearer_auth(&self.token);
        let request = body.iter().fold(request, |request, body| request.json(body));
        let answer = request.send().await.unwrap();
        let (was, text) = (answer.status(), answer.text().await.unwrap());
        assert_eq!(was, StatusCode::from_u16(status).unwrap(), "{path}: {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// Asks for a rotation, as soon as the credential is as old as the distance.
    async fn rotate(&self, is_dry: bool) -> Value {
        let body = json!({"path": self.path, "dry_run": is_dry});
        for _ in 0..TRIES {
            let url = self.server.url("/api/v1/secret-acts/rotate");
            let answer = self.client.post(url).bearer_auth(&self.token).json(&body).send().await.unwrap();
            let (was, text) = (answer.status(), answer.text().await.unwrap());
            match was {
                StatusCode::CONFLICT if text.contains("The distance between two rotations is not over") => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                was => {
                    assert_eq!(was, if is_dry { StatusCode::OK } else { StatusCode::ACCEPTED }, "{text}");
                    return serde_json::from_str(&text).unwrap();
                }
            }
        }
        panic!("the distance is never over")
    }

    /// What an application does: it reads what is current, and logs in.
    async fn login(&self, target: &TestPostgres) -> (String, String) {
        let read = self.ask(Method::GET, &format!("secret-values/{}", self.path), None, 200).await;
        let text = |name: &str| read["fields"][name].as_str().unwrap().to_owned();
        let (user, password) = (text("username"), text("password"));
        assert_eq!(logs_in(target, &user, &password).await, Ok(()), "{user}, version {}", read["version"]);
        (user, password)
    }
}

async fn logs_in(target: &TestPostgres, user: &str, password: &str) -> Result<(), Fault> {
    let driver = Postgres::new(Host::here("127.0.0.1", target.port()).unwrap(), "postgres");
    driver.test(drivers::Login { user, secret: &Secret::new(password.to_owned()) }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_exchanged_on_a_word_and_every_login_in_between_works() {
    let target = target();
    let house = House::with(&target).await;
    assert_eq!(logs_in(&target, "app-a", "wrong").await.map_err(|fault| matches!(fault, Fault::Refused(_))), Err(true));
    house.ask(Method::GET, &house.rotation(), None, 404).await;
    let set = house.ask(Method::PUT, &house.rotation(), Some(house.settings()), 200).await;
    assert_eq!(
        (set["state"].as_str(), set["driver"].as_str(), set["line"].as_str()),
        (Some("resting"), Some("postgresql"), Some("here"))
    );
    let (_, first) = house.login(&target).await;
    let dry = house.rotate(true).await;
    let does: Vec<&str> = dry["steps"].as_array().unwrap().iter().map(|step| step["does"].as_str().unwrap()).collect();
    assert_eq!(does, ["make", "set", "test", "promote", "test", "retire", "test"]);
    assert_eq!(
        house.ask(Method::GET, &house.rotation(), None, 200).await["state"],
        "resting",
        "a dry run changes nothing"
    );
    house.rotate(false).await;
    let mut logins = 0;
    let rested = loop {
        house.login(&target).await;
        logins += 1;
        let there = house.ask(Method::GET, &house.rotation(), None, 200).await;
        assert_eq!(there["trouble"], Value::Null, "{there}");
        if there["state"] == "resting" && there["current"]["version"] == 2 {
            break there;
        }
        assert!(logins < TRIES, "{there}");
    };
    assert_eq!((rested["current"]["user"].as_str(), &rested["previous"]), (Some("app-b"), &Value::Null));
    let (user, password) = house.login(&target).await;
    assert_eq!(user, "app-b");
    assert_ne!(password, first);
    assert!(matches!(logs_in(&target, "app-a", &first).await, Err(Fault::Refused(_))), "the old one still logs in");
    // By hand only once it ended.
    let by_hand = json!({"fields": {"host": "elsewhere.example"}});
    house.ask(Method::PUT, &format!("secrets/{}", house.path), Some(by_hand.clone()), 409).await;
    house.ask(Method::DELETE, &house.rotation(), None, 204).await;
    house.ask(Method::GET, &house.rotation(), None, 404).await;
    house.ask(Method::PUT, &format!("secrets/{}", house.path), Some(by_hand), 201).await;
    house.server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_log_in_is_not_set_up_but_by_a_word() {
    let mut target = target();
    let house = House::with(&target).await;
    let said = |more: Value| {
        let mut settings = house.settings();
        let all = more.as_object().unwrap().clone();
        settings.as_object_mut().unwrap().extend(all);
        Some(settings)
    };
    target.run("ALTER ROLE \"app-a\" PASSWORD 'of somebody else'");
    let refused = house.ask(Method::PUT, &house.rotation(), said(json!({})), 422).await;
    assert_eq!(refused["field"], "login", "{refused}");
    assert!(refused["detail"].as_str().unwrap().contains("does not log in as app-a"), "{refused}");
    house.ask(Method::GET, &house.rotation(), None, 404).await;
    target.run("ALTER ROLE \"app-a\" PASSWORD 'first'");
    let dry = house.ask(Method::PUT, &house.rotation(), said(json!({"dry_run": true})), 200).await;
    assert_eq!((&dry["logs_in"]["user"], &dry["steps"][0]["does"]), (&json!("app-a"), &json!("make")), "{dry}");
    house.ask(Method::GET, &house.rotation(), None, 404).await;
    target.stop();
    house.ask(Method::PUT, &house.rotation(), said(json!({})), 503).await;
    let dry = house.ask(Method::PUT, &house.rotation(), said(json!({"dry_run": true, "unchecked": true})), 200).await;
    assert_eq!(dry["logs_in"], Value::Null, "{dry}");
    house.ask(Method::PUT, &house.rotation(), said(json!({"unchecked": true})), 200).await;
    // An account's host is MariaDB's.
    house.ask(Method::PUT, &house.rotation(), said(json!({"account_host": "localhost"})), 422).await;
    target.resume();
    house.server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_is_away_is_asked_again_with_an_alarm_and_then_it_is_done() {
    let mut target = target();
    let house = House::with(&target).await;
    house.ask(Method::PUT, &house.rotation(), Some(house.settings()), 200).await;
    target.stop();
    house.rotate(false).await;
    let says = format!("rotation of {}, postgresql at 127.0.0.1", house.path);
    for tried in 0.. {
        let status = house.ask(Method::GET, "status", None, 200).await;
        let alarms = status["alarms"].as_array().unwrap();
        if alarms.iter().any(|alarm| alarm.as_str().unwrap().contains(&says)) {
            break;
        }
        assert!(tried < TRIES, "{status}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    target.resume();
    for tried in 0.. {
        let there = house.ask(Method::GET, &house.rotation(), None, 200).await;
        if there["current"]["version"] == 2 {
            break;
        }
        assert!(tried < TRIES, "{there}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(house.login(&target).await.0, "app-b");
    house.server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_read_the_administrators_credential_sets_up_nothing() {
    let target = target();
    let mut house = House::with(&target).await;
    house.token = token(Role::SecretWriter).await;
    house.ask(Method::PUT, &house.rotation(), Some(house.settings()), 403).await;
    // Nor who may read that one, and not the secret itself: its passwords would go where he says.
    let own = format!("lab/{}", unique());
    let fields = json!({"username": "rotator", "password": ADMIN_SECRET});
    let secret = json!({"kind": "database-password", "owner": "web", "fields": fields});
    house.ask(Method::PUT, &format!("secrets/{own}"), Some(secret), 201).await;
    house.ask(Method::GET, &format!("secret-values/{own}"), None, 200).await;
    let elsewhere = json!({"plan": "pair", "users": ["app-a", "app-b"], "admin": own, "overlap_secs": 1});
    house.ask(Method::PUT, &house.rotation(), Some(elsewhere), 403).await;
    house.token = token(Role::Admin).await;
    house.ask(Method::PUT, &house.rotation(), Some(house.settings()), 200).await;
    // Once it is set up, whoever may write the secret has it exchanged.
    house.token = token(Role::SecretWriter).await;
    house.rotate(false).await;
    house.server.stop().await.unwrap();
}
