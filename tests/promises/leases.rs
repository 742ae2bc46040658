//! Users that live for a while, by the built binary at a real PostgreSQL: they come, are renewed, and go, and nobody stays behind.

use serde_json::{Value, json};

use crate::house::{House, PATIENCE, command, status, until};
use crate::postgres::Postgres;

const ROLE: &str = "prod/db/readers";
const ADMIN: &str = "infra/postgres";

/// With a table that readers read, and somebody who makes roles and no more.
fn target() -> Postgres {
    let target = Postgres::start();
    target.run("CREATE TABLE goods AS SELECT 1 AS id; CREATE ROLE readers; GRANT SELECT ON goods TO readers");
    target.run("CREATE ROLE rotator LOGIN CREATEROLE PASSWORD 'first'; GRANT readers TO rotator WITH ADMIN OPTION");
    target.ask_for_passwords("chancery");
    target
}

fn set_up(house: &House, target: &Postgres, longest: &str) {
    let body = json!({"kind": "database-password", "owner": "default",
        "fields": {"username": "rotator", "password": "first"}})
    .to_string();
    let url = house.https(&format!("/api/v1/secrets/{ADMIN}"));
    let put = house.curl_admin(&["-X", "PUT", "-H", "Content-Type: application/json", "-d", &body, &url]);
    assert_eq!(put.status, 201, "{}", put.text());
    let port = target.port().to_string();
    let role = ["secret", "lease", "role", ROLE, "--driver", "postgresql", "--host", "127.0.0.1", "--port", &port];
    let more = ["--admin", ADMIN, "--like", "readers", "--owner", "default", "--for", longest, "--longest", longest];
    house.run(&[&role[..], &more[..]].concat());
}

fn get(house: &House) -> Value {
    house.json(&["secret", "lease", "get", ROLE])
}

fn reads(target: &Postgres, user: &Value) -> bool {
    let text = |name: &str| user[name].as_str().expect("a text");
    let port = target.port().to_string();
    let sql = "SELECT * FROM goods";
    let mut psql =
        command("psql", &["-h", "127.0.0.1", "-p", &port, "-U", text("user"), "-w", "-d", "postgres", "-c", sql]);
    psql.env("PGPASSWORD", text("password"));
    status(&mut psql)
}

/// The users that are there, whoever the register knows.
fn users(target: &Postgres) -> String {
    target.ask("SELECT coalesce(string_agg(rolname, ' '), '') FROM pg_roles WHERE rolname LIKE 'chy%'")
}

fn state(house: &House, lease: &Value) -> Value {
    let id = lease["id"].as_str().expect("an id");
    house.curl_admin(&[&house.https(&format!("/api/v1/secret-leases/{id}"))]).json()["state"].clone()
}

fn is_clean(house: &mut House) {
    house.stop();
    let report = house.json(&["audit", "verify"]);
    assert_eq!(report["findings_total"], 0, "{report}");
}

#[test]
fn a_user_comes_is_renewed_and_goes_and_his_password_is_shown_once() {
    let target = target();
    let mut house = House::started();
    set_up(&house, &target, "1h");
    let user = get(&house);
    assert!(reads(&target, &user), "{user}");
    // To whom he was shown is in the log, by the entry that the answer names, before that.
    let leaf = house.json(&["audit", "show", &user["leaf"].to_string()]);
    assert!(leaf.to_string().contains(user["id"].as_str().expect("an id")), "{leaf}");
    let canary = user["password"].as_str().expect("a password");
    let list = house.json(&["secret", "lease", "list"]);
    assert_eq!((list[0]["id"].clone(), list.as_array().map(Vec::len)), (user["id"].clone(), Some(1)));
    assert!(!list.to_string().contains(canary) && !house.server_log().contains(canary));
    // An hour is the longest: it is the same a moment later, and no longer.
    let id = user["id"].as_str().expect("an id");
    let renewed = house.output(&["secret", "lease", "renew", id, "--for", "30m"]);
    let said = String::from_utf8_lossy(&renewed.stderr).into_owned();
    assert!(!renewed.status.success() && said.contains("ask for another"), "{said}");
    house.run(&["secret", "lease", "revoke", id]);
    assert!(until(PATIENCE, || state(&house, &user) == "ended"), "{}", state(&house, &user));
    assert!(!reads(&target, &user) && users(&target).is_empty(), "{}", users(&target));
    // What was his password is in the register no more.
    assert_eq!(house.json(&["secret", "lease", "list"]).as_array().map(Vec::len), Some(0));
    // One flag changes what it says, and nothing else.
    house.run(&["secret", "lease", "role", ROLE, "--longest", "30m"]);
    let role = house.json(&["secret", "lease", "role", ROLE]);
    assert_eq!((&role["secs_max"], &role["secs"], &role["like"]), (&json!(1_800), &json!(1_800), &json!("readers")));
    // An ended role makes nobody.
    house.run(&["secret", "lease", "role", ROLE, "--end"]);
    assert!(!house.output(&["secret", "lease", "get", ROLE]).status.success());
    is_clean(&mut house);
}

#[test]
fn a_lease_ends_by_itself_and_goes_on_ending_while_the_target_is_away() {
    let target = target();
    let mut house = House::started();
    set_up(&house, &target, "10s");
    let user = get(&house);
    assert!(reads(&target, &user));
    // He is told of as long as he cannot be ended, and then he is.
    target.run("ALTER ROLE rotator NOLOGIN");
    let told = || {
        let said = house.output(&["status"]).stdout;
        String::from_utf8_lossy(&said).contains(user["user"].as_str().expect("a user"))
    };
    assert!(until(2 * PATIENCE, told), "nobody is told: {}", state(&house, &user));
    assert_eq!(state(&house, &user), "ending");
    target.run("ALTER ROLE rotator LOGIN");
    assert!(until(2 * PATIENCE, || state(&house, &user) == "ended"), "{}", state(&house, &user));
    assert!(until(PATIENCE, || users(&target).is_empty()), "{}", users(&target));
    is_clean(&mut house);
}

#[test]
fn nobody_was_made_at_a_target_that_is_away_and_nobody_is_told_of_him() {
    let mut house = House::started();
    let body = json!({"kind": "database-password", "owner": "default",
        "fields": {"username": "rotator", "password": "first"}})
    .to_string();
    let url = house.https(&format!("/api/v1/secrets/{ADMIN}"));
    let put = house.curl_admin(&["-X", "PUT", "-H", "Content-Type: application/json", "-d", &body, &url]);
    assert_eq!(put.status, 201, "{}", put.text());
    let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
    let port = closed.to_string();
    let role = ["secret", "lease", "role", ROLE, "--driver", "redis", "--host", "127.0.0.1", "--port", &port];
    house.run(&[&role[..], &["--admin", ADMIN, "--like", "readers", "--owner", "default"]].concat());
    let got = house.output(&["secret", "lease", "get", ROLE]);
    let said = String::from_utf8_lossy(&got.stderr).into_owned();
    assert_eq!(got.status.code(), Some(4), "{said}");
    assert!(said.contains("did not answer") && !said.contains("refused"), "{said}");
    assert_eq!(house.json(&["secret", "lease", "list"]).as_array().map(Vec::len), Some(0));
    is_clean(&mut house);
}

/// A server that is killed while the target makes him: he is made, nobody was shown him, and the next server ends him.
#[test]
fn a_server_killed_between_made_and_written_down_leaves_nobody_behind() {
    let target = target();
    let mut house = House::started();
    set_up(&house, &target, "1h");
    let mut holds = crate::rotation::Session::of(&target);
    holds.says("BEGIN; LOCK TABLE pg_authid IN EXCLUSIVE MODE");
    let mut asks = house.command(&["secret", "lease", "get", ROLE]);
    asks.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    let mut asks = asks.spawn().expect("the command");
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'CREATE ROLE%' AND wait_event_type = 'Lock'";
    assert!(until(PATIENCE, || target.ask(waits) == "1"), "nobody is being made");
    house.kill();
    let _ = asks.wait();
    holds.says("COMMIT");
    assert!(until(PATIENCE, || !users(&target).is_empty()), "the statement went on: {}", users(&target));
    house.start();
    assert!(until(PATIENCE, || users(&target).is_empty()), "{} stays behind", users(&target));
    // The target may be at one more of its statements: he is looked for once more after that, and there until then.
    let listed = house.json(&["secret", "lease", "list"]);
    let states: Vec<&str> =
        listed.as_array().into_iter().flatten().filter_map(|lease| lease["state"].as_str()).collect();
    assert_eq!(states, ["ending"], "{listed}");
    is_clean(&mut house);
}
