//! One committed file serves every environment, and a token of one gets nothing of another.

use std::fs;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::house::{House, text};

const NEEDS: &str = r#"
environments = ["dev", "prod"]
default = "dev"
[need.DB_PASSWORD]
reference = "chy://{env}/db#password"
place = "env"
kind = "database-password"
[need.DSN]
reference = "chy://{env}/sentry#dsn"
place = "env"
optional = true
"#;

/// A house with two owners, a secret of each, and a folder with what an application needs.
fn house() -> House {
    let mut house = House::new();
    house.append("\n[[owner]]\nname = \"dev\"\n[[owner]]\nname = \"prod\"\n");
    house.start();
    for owner in ["dev", "prod"] {
        put(&house, owner, &json!({}));
        let out = house.path(&format!("{owner}.token"));
        house.run(&["token", "create", owner, "--role", "secret-reader", "--owner", owner, "--out", text(&out)]);
    }
    fs::create_dir(house.path("app")).expect("a folder");
    fs::write(house.path("app/.chancery.toml"), NEEDS).expect("a file");
    house
}

fn put(house: &House, owner: &str, more: &Value) {
    let mut body = json!({"owner": owner, "kind": "database-password", "fields": {"username": "app", "password": format!("of {owner}, 81f3")}});
    for (name, value) in more.as_object().expect("an object") {
        body[name] = value.clone();
    }
    let (body, url) = (body.to_string(), house.https(&format!("/api/v1/secrets/{owner}/db")));
    let answer = house.curl_admin(&["-X", "PUT", "-H", "Content-Type: application/json", "--data-binary", &body, &url]);
    assert_eq!(answer.status, 201, "{}", answer.text());
}

/// The binary in the application's folder, with the token of an environment.
fn app(house: &House, token: &str, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command: Command = house.command(&[]);
    command
        .arg("--token-file")
        .arg(house.path(&format!("{token}.token")))
        .args(arguments)
        .current_dir(house.path("app"));
    let Output { status, stdout, stderr } = command.stdin(Stdio::null()).output().expect("the binary runs");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (status.code(), text(stdout), text(stderr))
}

fn accesses(house: &House) -> usize {
    let leaves = house.json(&["audit", "list", "--limit", "1000"]);
    // Who puts a field opens its siblings: that is the administrator's.
    let is_ours = |leaf: &&Value| leaf["event"] == "access" && leaf["actor"]["id"] != "token:admin";
    leaves.as_array().expect("leaves").iter().filter(is_ours).count()
}

fn states(json: &str) -> Vec<String> {
    let all: Value = serde_json::from_str(json).expect("JSON");
    all.as_array().expect("needs").iter().map(|need| need["state"].as_str().expect("a state").to_owned()).collect()
}

#[test]
fn what_an_application_needs_is_given_in_its_environment_and_in_no_other() {
    let house = house();
    let run = ["run", "--no-mask", "--", "sh", "-c", "echo $DB_PASSWORD ${DSN-without}"];
    let (code, out, said) = app(&house, "dev", &run);
    assert_eq!((code, out.as_str()), (Some(0), "of dev, 81f3 without\n"), "{said}");
    let in_prod = [&run[..1], &["--environment", "prod"], &run[1..]].concat();
    assert_eq!(app(&house, "prod", &in_prod).1, "of prod, 81f3 without\n");
    // A token of development gets nothing of production, whatever it asks for.
    for asked in [&in_prod[..], &["read", "chy://prod/db#password"], &["secret", "get", "prod/db"]] {
        let (code, out, said) = app(&house, "dev", asked);
        assert!(matches!(code, Some(3 | 125)) && !format!("{out}{said}").contains("81f3"), "{code:?} {out}{said}");
    }
    // A template, the same.
    fs::write(house.path("app/conf.tpl"), "{{ chy://{env}/db#password }} {env}").expect("a template");
    let inject = ["inject", "-i", "conf.tpl", "--environment"];
    assert_eq!(app(&house, "prod", &[&inject[..], &["prod"]].concat()).1, "of prod, 81f3 {env}");
    assert_eq!(app(&house, "dev", &[&inject[..], &["prod"]].concat()).0, Some(3));
    let (code, _, said) = app(&house, "dev", &[&inject[..], &["test"]].concat());
    assert!(code == Some(1) && said.contains("there is no environment `test`"), "{said}");
}

#[test]
fn a_check_says_what_is_not_met_and_reads_nothing() {
    let house = house();
    let before = accesses(&house);
    let check = |token: &str, more: &[&str]| {
        let (code, out, said) = app(&house, token, &[&["check", "--json"], more].concat());
        (code, states(&out), said)
    };
    let good = |state: &str| vec![state.to_owned(), "absent".to_owned()];
    assert_eq!((check("dev", &[]).0, check("dev", &[]).1), (Some(0), good("ok")));
    let (code, states, said) = check("dev", &["--environment", "prod"]);
    assert_eq!((code, states), (Some(5), good("missing")), "{said}");
    // Ends soon; out of use; another kind; no such field.
    put(&house, "dev", &json!({"expires": "2999-01-01T00:00:00Z"}));
    assert_eq!(check("dev", &[]).0, Some(0));
    assert_eq!(check("dev", &["--expires-within", "99999w"]).1, good("ends-soon"));
    house.run(&["secret", "disable", "dev/db", "current"]);
    assert_eq!((check("dev", &[]).0, check("dev", &[]).1), (Some(5), good("out-of-use")));
    house.run(&["secret", "enable", "dev/db", "current"]);
    let (_, table, _) = app(&house, "dev", &["check"]);
    assert!(table.contains("DB_PASSWORD") && table.contains("chy://dev/db#password"), "{table}");
    // A writer may know of it, and not read it.
    let out = house.path("writer.token");
    house.run(&["token", "create", "writer", "--role", "secret-writer", "--owner", "dev", "--out", text(&out)]);
    assert_eq!((check("writer", &[]).0, check("writer", &[]).1), (Some(5), good("not-readable")));
    let needs =
        |from: &str, to: &str| fs::write(house.path("app/.chancery.toml"), NEEDS.replace(from, to)).expect("a file");
    needs("#password", "#key");
    assert_eq!(check("dev", &[]).1, good("missing"));
    needs("\"database-password\"", "\"api-key\"");
    assert_eq!(check("dev", &[]).1, good("other-kind"));
    fs::remove_file(house.path("app/.chancery.toml")).expect("it goes");
    assert_eq!(app(&house, "dev", &["check"]).0, Some(2));
    assert_eq!(app(&house, "dev", &["run", "--", "true"]).0, Some(2));
    assert_eq!(accesses(&house), before, "nothing was read");
}
