//! OAuth tokens are refreshed before they end; a refresh token is shown once, and what came back is kept or said to be lost.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::house::{House, PATIENCE, until};

/// How the server behaves.
#[derive(Clone, Copy, PartialEq)]
enum Mood {
    /// As RFC 6749 says; each refresh token is taken once (RFC 9700 section 4.14.2).
    Well,
    /// It takes what it is shown, and does not answer.
    Silent,
    /// 503.
    Busy,
}

struct State {
    mood: Mood,
    /// The refresh token that is taken next.
    refresh: String,
    /// How often each was shown.
    shown: HashMap<String, u32>,
    /// By the client's own credentials.
    own: u32,
    issued: u32,
    expires_in: u64,
    /// Connections that are not answered.
    held: Vec<TcpStream>,
}

/// A small authorization server: one client, one family of refresh tokens.
#[derive(Clone)]
struct Idp {
    port: u16,
    state: Arc<Mutex<State>>,
}

const CLIENT: &str = "shop:1";
const SECRET: &str = "s3cret%&+word";

impl Idp {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let state = State {
            mood: Mood::Well,
            refresh: "r0".to_owned(),
            shown: HashMap::new(),
            own: 0,
            issued: 0,
            expires_in: 3_600,
            held: Vec::new(),
        };
        let idp = Self { port, state: Arc::new(Mutex::new(state)) };
        let there = idp.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                there.serve(stream);
            }
        });
        idp
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/token", self.port)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shown(&self, token: &str) -> u32 {
        self.state().shown.get(token).copied().unwrap_or(0)
    }

    fn serve(&self, stream: TcpStream) {
        let (head, form) = read(&stream);
        let mut state = self.state();
        let proof = STANDARD.encode("shop%3A1:s3cret%25%26%2Bword");
        let is_client = head.iter().any(|line| line.eq_ignore_ascii_case(&format!("authorization: Basic {proof}")));
        let is_own = form.get("grant_type").is_some_and(|way| way == "client_credentials");
        let shown = form.get("refresh_token").cloned().unwrap_or_default();
        if is_own {
            state.own += 1;
        } else {
            *state.shown.entry(shown.clone()).or_default() += 1;
        }
        let is_right =
            is_own || form.get("grant_type").is_some_and(|way| way == "refresh_token") && shown == state.refresh;
        let (status, body) = match state.mood {
            Mood::Silent => {
                state.refresh = "nobody-has-it".to_owned();
                state.held.push(stream);
                return;
            }
            Mood::Busy => ("503 Service Unavailable", json!({})),
            Mood::Well if !is_client => ("401 Unauthorized", json!({"error": "invalid_client"})),
            Mood::Well if !is_right => ("400 Bad Request", json!({"error": "invalid_grant"})),
            Mood::Well => {
                state.issued += 1;
                let number = state.issued;
                let mut body = json!({"access_token": format!("a{number}"), "token_type": "Bearer", "expires_in": state.expires_in});
                if !is_own {
                    state.refresh = format!("r{number}");
                    body["refresh_token"] = json!(state.refresh);
                }
                ("200 OK", body)
            }
        };
        drop(state);
        let body = body.to_string();
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        let _ = (&stream).write_all((head + &body).as_bytes());
    }
}

fn read(stream: &TcpStream) -> (Vec<String>, HashMap<String, String>) {
    let mut reader = BufReader::new(stream);
    let (mut head, mut line) = (Vec::new(), String::new());
    while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
        head.push(line.trim_end().to_owned());
        line.clear();
    }
    let length = head.iter().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    let _ = reader.read_exact(&mut body);
    let form = String::from_utf8_lossy(&body).into_owned();
    let pairs = form.split('&').filter_map(|pair| pair.split_once('='));
    (head, pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

/// A house with a client and a token, whose end nobody knows.
fn house() -> House {
    let house = House::started();
    put(&house, "prod/idp", &json!({"kind": "oauth-client", "fields": {"client_id": CLIENT, "client_secret": SECRET}}));
    put(&house, "prod/api", &json!({"kind": "oauth-token", "fields": {"access_token": "a0", "refresh_token": "r0"}}));
    house
}

fn put(house: &House, path: &str, body: &Value) {
    let mut body = body.clone();
    body["owner"] = json!("default");
    let url = house.https(&format!("/api/v1/secrets/{path}"));
    let body = body.to_string();
    let answer = house.curl_admin(&["-X", "PUT", "-H", "Content-Type: application/json", "--data-binary", &body, &url]);
    assert!(answer.status < 300, "{}", answer.text());
}

fn field(house: &House, name: &str) -> String {
    house.run(&["secret", "get", "prod/api", "--field", name])
}

fn set_up(house: &House, idp: &Idp, way: &str) {
    house.run(&[
        "secret",
        "refresh",
        "prod/api",
        "--endpoint",
        &idp.url(),
        "--client",
        "prod/idp",
        "--way",
        way,
        "--ahead",
        "1s",
    ]);
}

fn shown(house: &House) -> Value {
    house.json(&["secret", "refresh", "prod/api"])
}

fn status(house: &House) -> String {
    String::from_utf8_lossy(&house.output(&["status"]).stdout).into_owned()
}

#[test]
fn a_token_is_refreshed_again_and_again_and_each_refresh_token_is_shown_once() {
    let (house, idp) = (house(), Idp::start());
    // Two seconds each: at half of that there is another.
    idp.state().expires_in = 2;
    set_up(&house, &idp, "refresh-token");
    assert!(until(PATIENCE, || idp.state().issued >= 4), "{}", shown(&house));
    idp.state().expires_in = 3_600;
    let last = || format!("a{}", idp.state().issued);
    assert!(
        until(PATIENCE, || field(&house, "access_token") == last() && shown(&house)["next"].is_string()),
        "{}",
        shown(&house)
    );
    assert!(until(PATIENCE, || field(&house, "refresh_token") == idp.state().refresh));
    let all = idp.state().shown.clone();
    assert!(all.len() >= 4 && all.values().all(|times| *times == 1), "{all:?}");
    assert_eq!(field(&house, "token_type"), "Bearer");
    assert!(field(&house, "expires_at").parse::<u64>().is_ok_and(|at| at > 1_800_000_000 - 100_000_000));
    // What it did is in the log: what was opened, and each version.
    let leaves = house.json(&["audit", "list", "--limit", "1000"]);
    let of_task = leaves.as_array().expect("leaves").iter().filter(|leaf| leaf["actor"]["id"] == "system:rotation");
    assert!(of_task.filter(|leaf| leaf["event"] == "access").count() >= 4);
    // On demand, and no more once it ended.
    let before = idp.state().issued;
    house.run(&["secret", "refresh", "prod/api", "--now"]);
    assert!(until(PATIENCE, || idp.state().issued == before + 1));
    assert!(until(PATIENCE, || field(&house, "access_token") == last()));
    // Whoever looks at the token is told when it came, and when the next does.
    let known = house.json(&["secret", "show", "prod/api"]);
    assert!(known["refresh"]["last"].is_string() && known["refresh"]["next"].is_string(), "{known}");
    assert!(shown(&house)["refreshed"].is_string(), "{}", shown(&house));
    let table = house.run(&["secret", "versions", "prod/api"]);
    assert!(
        table.contains("refreshed") && table.contains("; next ") && table.contains("audit list --of prod/api"),
        "{table}"
    );
    house.run(&["secret", "refresh", "prod/api", "--end"]);
    assert_eq!(house.json(&["secret", "show", "prod/api"])["refresh"], Value::Null);
    assert!(crate::house::fail(house.command(&["secret", "refresh", "prod/api"])).contains("o refresh of prod/api"));
}

#[test]
fn a_refresh_token_that_was_shown_before_a_kill_is_not_shown_again_by_itself() {
    let (mut house, idp) = (house(), Idp::start());
    idp.state().mood = Mood::Silent;
    set_up(&house, &idp, "refresh-token");
    assert!(until(PATIENCE, || idp.shown("r0") == 1), "it is asked");
    house.kill();
    idp.state().mood = Mood::Well;
    house.start();
    assert!(until(PATIENCE, || shown(&house)["halted"] == "unanswered"), "{}", shown(&house));
    assert!(until(PATIENCE, || status(&house).contains("may be used up")), "{}", status(&house));
    assert_eq!((idp.shown("r0"), field(&house, "access_token")), (1, "a0".to_owned()));
    // Somebody takes the chance, and is refused; then there is a new one.
    house.run(&["secret", "refresh", "prod/api", "--now"]);
    assert!(until(PATIENCE, || shown(&house)["halted"] == "refused"), "{}", shown(&house));
    assert!(shown(&house)["said"].as_str().is_some_and(|said| said.contains("invalid_grant")), "{}", shown(&house));
    assert!(until(PATIENCE, || status(&house).contains("refreshed no more")), "{}", status(&house));
    idp.state().refresh = "by-hand".to_owned();
    put(&house, "prod/api", &json!({"fields": {"refresh_token": "by-hand"}}));
    assert!(until(PATIENCE, || field(&house, "access_token") == "a1"), "{}", shown(&house));
    assert!(shown(&house)["halted"].is_null(), "{}", shown(&house));
    assert!(until(PATIENCE, || !status(&house).contains("prod/api")), "{}", status(&house));
}

#[test]
fn a_refresh_that_halted_goes_on_with_the_refresh_token_that_somebody_writes() {
    let (mut house, idp) = (house(), Idp::start());
    idp.state().mood = Mood::Silent;
    set_up(&house, &idp, "refresh-token");
    assert!(until(PATIENCE, || idp.shown("r0") == 1), "it is asked");
    house.kill();
    idp.state().mood = Mood::Well;
    idp.state().refresh = "by-hand".to_owned();
    house.start();
    assert!(until(PATIENCE, || shown(&house)["halted"] == "unanswered"), "{}", shown(&house));
    // Another field is no refresh token, and one that is not current is not shown.
    put(&house, "prod/api", &json!({"fields": {"scopes": "read"}}));
    put(&house, "prod/api", &json!({"fields": {"refresh_token": "later"}, "pending": true}));
    assert_eq!(shown(&house)["halted"], "unanswered", "{}", shown(&house));
    put(&house, "prod/api", &json!({"fields": {"refresh_token": "by-hand"}}));
    assert!(until(PATIENCE, || field(&house, "access_token") == "a1"), "{}", shown(&house));
    assert_eq!((idp.shown("r0"), idp.shown("later"), idp.shown("by-hand")), (1, 0, 1));
    assert!(shown(&house)["halted"].is_null(), "{}", shown(&house));
    assert!(until(PATIENCE, || !status(&house).contains("may be used up")), "{}", status(&house));
}

#[test]
fn what_was_not_taken_is_asked_again_and_a_clients_own_credentials_after_a_kill_too() {
    let (mut house, idp) = (house(), Idp::start());
    idp.state().mood = Mood::Busy;
    set_up(&house, &idp, "refresh-token");
    assert!(until(PATIENCE, || shown(&house)["tries"].as_u64().is_some_and(|tries| tries >= 2)), "{}", shown(&house));
    assert!(shown(&house)["halted"].is_null(), "{}", shown(&house));
    idp.state().mood = Mood::Well;
    assert!(until(PATIENCE, || field(&house, "access_token") == "a1"), "{}", shown(&house));
    idp.state().mood = Mood::Silent;
    set_up(&house, &idp, "client-credentials");
    house.run(&["secret", "refresh", "prod/api", "--now"]);
    assert!(until(PATIENCE, || idp.state().own == 1), "it is asked");
    house.kill();
    idp.state().mood = Mood::Well;
    house.start();
    assert!(until(PATIENCE, || field(&house, "access_token") == "a2"), "{}", shown(&house));
    assert_eq!(field(&house, "refresh_token"), "r1", "what the server does not give stays");
    // To nobody else go secrets than by TLS, and to no endpoint that somebody chooses who may not read them.
    let token = house.path("writer.token");
    let text = crate::house::text;
    house.run(&["token", "create", "w", "--role", "secret-writer", "--owner", "default", "--out", text(&token)]);
    let set = |url: &str| {
        let mut set =
            house.command(&["secret", "refresh", "prod/api", "--endpoint", url, "--client", "prod/idp", "--way"]);
        set.arg("client-credentials");
        set
    };
    assert!(crate::house::fail(set("http://idp.example/token")).contains("https"));
    let mut writer = set(&idp.url());
    writer.arg("--token-file").arg(&token);
    assert!(crate::house::fail(writer).contains("403"));
}
