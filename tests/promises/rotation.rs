//! Passwords of PostgreSQL exchanged by the built binary: whoever reads what is current logs in, wherever the server is killed and
//! whatever the target refuses.

mod failures;
mod hundred;
mod program;
mod session;

pub use session::Session;

use std::time::Duration;

use serde_json::{Value, json};

use crate::house::{House, PATIENCE, command, status, until};
use crate::postgres::Postgres;

const SECRET: &str = "prod/db";
const ADMIN: &str = "infra/postgres";

/// When the server is killed.
#[derive(Clone, Copy, Debug)]
enum Killed {
    /// Once it asked a target that does not answer.
    Asking,
    /// While both credentials log in.
    Overlapping,
    /// So long after it was asked for.
    After(u64),
}

#[test]
fn a_server_killed_while_it_rotates_leaves_a_credential_that_logs_in() {
    let target = target();
    let mut house = House::started();
    set_up(&house, &target, 1);
    let kills = [Killed::Asking, Killed::Overlapping, Killed::After(0), Killed::After(60), Killed::After(150)];
    for (kill, version) in kills.into_iter().zip(2..) {
        let (old_user, old) = current(&house, &target);
        if matches!(kill, Killed::Asking) {
            target.freeze();
        }
        asks(&house);
        match kill {
            Killed::Asking => assert!(until(PATIENCE, || rotation(&house)["state"] == "made"), "{}", rotation(&house)),
            Killed::Overlapping => {
                assert!(until(PATIENCE, || rotation(&house)["state"] == "overlap"), "{}", rotation(&house));
            }
            Killed::After(millis) => std::thread::sleep(Duration::from_millis(millis)),
        }
        house.kill();
        target.thaw();
        house.start();
        // Applications go on meanwhile.
        current(&house, &target);
        let rests = || rotation(&house)["state"] == "resting" && rotation(&house)["current"]["version"] == version;
        assert!(until(PATIENCE, rests), "{kill:?}: {}", rotation(&house));
        assert_eq!(rotation(&house)["trouble"], Value::Null, "{kill:?}");
        let (user, password) = current(&house, &target);
        assert_ne!((&user, &password), (&old_user, &old), "{kill:?}");
        assert!(!logs_in(&target, &old_user, &old), "{kill:?}: the old credential still logs in");
    }
    house.stop();
    let report = house.json(&["audit", "verify"]);
    assert_eq!(report["findings_total"], 0, "{report}");
}

/// A server that asks for passwords, with a pair of users and who sets theirs.
fn target() -> Postgres {
    let target = Postgres::start();
    for user in ["rotator", "app_a", "app_b"] {
        target.run(&format!("CREATE ROLE {user} LOGIN PASSWORD 'first'"));
    }
    target.run("ALTER ROLE rotator CREATEROLE; GRANT app_a, app_b TO rotator WITH ADMIN OPTION");
    target.ask_for_passwords("chancery");
    target
}

fn set_up(house: &House, target: &Postgres, overlap_secs: u64) {
    let fields = json!({"engine": "postgresql", "host": "127.0.0.1", "port": target.port().to_string(),
        "database": "postgres", "username": "app_a", "password": "first"});
    put(
        house,
        &format!("secrets/{SECRET}"),
        &json!({"kind": "database-connection", "owner": "default", "fields": fields}),
    );
    let fields = json!({"username": "rotator", "password": "first"});
    put(
        house,
        &format!("secrets/{ADMIN}"),
        &json!({"kind": "database-password", "owner": "default", "fields": fields}),
    );
    let settings = json!({"plan": "pair", "users": ["app_a", "app_b"], "admin": ADMIN, "overlap_secs": overlap_secs});
    put(house, &format!("secret-rotations/{SECRET}"), &settings);
}

fn put(house: &House, path: &str, body: &Value) {
    let url = house.https(&format!("/api/v1/{path}"));
    let body = body.to_string();
    let answer = house.curl_admin(&["-X", "PUT", "-H", "Content-Type: application/json", "-d", &body, &url]);
    assert!(matches!(answer.status, 200 | 201), "{path}: {}", answer.text());
}

/// Asks for a rotation, as soon as the one before is far enough.
fn asks(house: &House) {
    assert!(until(PATIENCE, || says(house, "rotate") == 202), "{}", rotation(house));
}

/// Says a word to the rotation; answers how that was taken.
fn says(house: &House, word: &str) -> u16 {
    let url = house.https(&format!("/api/v1/secret-acts/{word}"));
    let body = json!({ "path": SECRET }).to_string();
    house.curl_admin(&["-H", "Content-Type: application/json", "-d", &body, &url]).status
}

fn is_in(house: &House, state: &str) -> bool {
    rotation(house)["state"] == state
}

fn rotation(house: &House) -> Value {
    rotation_of(house, SECRET)
}

fn rotation_of(house: &House, path: &str) -> Value {
    house.curl_admin(&[&house.https(&format!("/api/v1/secret-rotations/{path}"))]).json()
}

/// What an application does: it reads what is current, and logs in.
fn current(house: &House, target: &Postgres) -> (String, String) {
    let read = house.curl_admin(&[&house.https(&format!("/api/v1/secret-values/{SECRET}"))]).json();
    let text = |name: &str| read["fields"][name].as_str().expect("a field").to_owned();
    let (user, password) = (text("username"), text("password"));
    assert!(logs_in(target, &user, &password), "{user} is not let in with version {}", read["version"]);
    (user, password)
}

fn logs_in(target: &Postgres, user: &str, password: &str) -> bool {
    let port = target.port().to_string();
    let mut psql =
        command("psql", &["-h", "127.0.0.1", "-p", &port, "-U", user, "-w", "-d", "postgres", "-c", "SELECT 1"]);
    psql.env("PGPASSWORD", password);
    status(&mut psql)
}
