//! A program that the server's configuration names exchanges what only it knows of; nobody names another, and no overlap is shorter than
//! the configuration allows.

use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use super::{put, rotation_of};
use crate::house::{House, PATIENCE, fail, text, until};

/// Its commands are taken as they stand.
const DOCUMENTED: &str = include_str!("../../../docs/SECRETS.md");

const ROUTER: &str = "prod/router";

/// Keeps the password of its one user in a file, as a device would.
const DEVICE: &str = r#"#!/usr/bin/python3
import json, os, sys
told = json.loads(sys.stdin.readline())
place = sys.argv[1]
if told["step"] == "set":
    open(place, "w").write(told["secret"])
elif told["step"] == "test" and open(place).read() != told["secret"]:
    print(json.dumps({"outcome": "refused"}))
    sys.exit()
print(json.dumps({"outcome": "done"}))
"#;

fn account(house: &House, path: &str) {
    let fields = json!({"username": "app", "password": "first"});
    put(house, &format!("secrets/{path}"), &json!({"kind": "service-account", "owner": "default", "fields": fields}));
}

#[test]
fn a_program_of_the_configuration_exchanges_a_password_and_nobody_names_another() {
    let mut house = House::new();
    let (program, device) = (house.path("device.py"), house.path("device"));
    std::fs::write(&program, DEVICE).expect("a program");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).expect("its mode");
    std::fs::write(&device, "first").expect("a device");
    let command = format!("[{:?}, {:?}]", text(&program), text(&device));
    house.append(&format!("\n[rotation.exec.device]\ncommand = {command}\nowners = [\"default\"]\n"));
    house.start();
    account(&house, ROUTER);
    let set = ["secret", "rotation", ROUTER, "--plan", "single", "--user", "app", "--driver", "exec", "--host"];
    let said = fail(house.command(&[&set[..], &["/bin/sh"]].concat()));
    assert!(said.contains("has no [rotation.exec./bin/sh]"), "{said}");
    let dry = house.json(&[&set[..], &["device", "--dry-run"]].concat());
    assert_eq!((&dry["logs_in"]["user"], &dry["steps"][0]["does"]), (&json!("app"), &json!("make")), "{dry}");
    assert!(fail(house.command(&["secret", "rotation", ROUTER])).contains("(404)"), "a dry run sets up nothing");
    house.run(&[&set[..], &["device"]].concat());
    // What is not said stays, and what has no effect is refused.
    house.run(&["secret", "rotation", ROUTER, "--every", "30d"]);
    let changed = rotation_of(&house, ROUTER);
    assert_eq!((&changed["period_secs"], &changed["host"]), (&json!(30 * 86_400), &json!("device")), "{changed}");
    house.run(&["secret", "rotation", ROUTER, "--window", "Sat,Sun 01:00-05:00"]);
    let changed = rotation_of(&house, ROUTER);
    assert_eq!(changed["period_secs"], 30 * 86_400, "{changed}");
    assert_eq!(changed["windows"], json!(["Sat,Sun 01:00-05:00"]), "{changed}");
    let said = fail(house.command(&["secret", "rotation", ROUTER, "--window", "Foo 25:00"]));
    assert!(said.contains("windows") || said.contains("window"), "{said}");
    let said = fail(house.command(&["secret", "rotation", "--every", "3d"]));
    assert!(said.contains("PATH") || said.contains("path"), "{said}");
    let said = fail(house.command(&["secret", "rotation", "prod/nothing", "--every", "3d"]));
    assert!(said.contains("(404)"), "{said}");
    // A dry run says what would be done right after the set-up.
    let dry = house.json(&["secret", "rotate", ROUTER, "--dry-run"]);
    assert_eq!(dry["steps"][0]["does"], "make", "{dry}");
    let listed = house.json(&["secret", "rotation"]);
    assert_eq!((&listed[0]["path"], &listed[0]["driver"]), (&json!(ROUTER), &json!("exec")));
    let said = fail(house.command(&["secret", "rotate", ROUTER, "--leaked"]));
    assert!(said.contains("--reason"), "{said}");
    house.run(&["secret", "rotate", ROUTER, "--leaked", "--reason", "it stood in a commit"]);
    assert_eq!(rotation_of(&house, ROUTER)["leaked"]["reason"], "it stood in a commit");
    let is_done = || {
        let rotation = rotation_of(&house, ROUTER);
        rotation["state"] == "resting" && rotation["current"]["version"] == 2
    };
    assert!(until(PATIENCE, is_done), "{}", rotation_of(&house, ROUTER));
    assert_eq!(rotation_of(&house, ROUTER)["trouble"], Value::Null);
    let has = std::fs::read_to_string(&device).expect("the device");
    assert_eq!(house.run(&["secret", "get", ROUTER, "--field", "password"]).trim(), has);
    assert_ne!(has, "first");
    // What is said of the secret says that it is exchanged.
    assert_eq!(house.json(&["secret", "show", ROUTER])["rotated"], true);
    // A shorter overlap than the configuration has is refused, with what to do.
    house.stop();
    house.configure("shortest_overlap_secs = 1\n", "");
    house.start();
    account(&house, "prod/other");
    let pair = ["secret", "rotation", "prod/other", "--plan", "pair", "--user", "app", "--user", "app2", "--overlap"];
    let place = ["--driver", "exec", "--host", "device"];
    let said = fail(house.command(&[&pair[..], &["59s"], &place[..]].concat()));
    assert!(said.contains("60 s at least") && said.contains("shortest_overlap_secs"), "{said}");
    // It is another's device: what the secret holds is not let in.
    let said = fail(house.command(&[&pair[..], &["60s"], &place[..]].concat()));
    assert!(said.contains("does not log in as app at exec device") && said.contains("--unchecked"), "{said}");
    let said = fail(house.command(&[&pair[..], &["60s", "--dry-run"], &place[..]].concat()));
    assert!(said.contains("does not log in"), "{said}");
    house.run(&[&pair[..], &["60s", "--unchecked"], &place[..]].concat());
}

#[test]
fn the_documented_rotation_is_taken_as_it_stands() {
    let house = House::started();
    let lines = || DOCUMENTED.lines().map(str::trim);
    let put = lines().find(|line| line.starts_with("chancery secret put prod/db ")).expect("a secret is written");
    let set = lines().find(|line| line.starts_with("chancery secret rotation prod/db --plan pair"));
    let fields = json!({"username": "rotator", "password": "first"});
    let admin = json!({"kind": "database-password", "owner": "default", "fields": fields});
    super::put(&house, "secrets/infra/postgres-admin", &admin);
    // The administrator's own token has no owner of its own.
    let set = set.expect("a rotation is set up");
    let words = |line: &'static str, more: &[&'static str]| -> Vec<&'static str> {
        line.split_whitespace().skip(1).chain(more.iter().copied()).collect()
    };
    house.run(&words(put, &["--owner", "default"]));
    // Nobody is there who would let him in.
    let said = fail(house.command(&words(set, &[])));
    assert!(said.contains("Nothing was set up") && said.contains("--unchecked"), "{said}");
    house.run(&words(set, &["--unchecked"]));
    let rotation = rotation_of(&house, "prod/db");
    assert_eq!((&rotation["overlap_secs"], &rotation["state"]), (&json!(3_600), &json!("resting")), "{rotation}");
    let dry = house.json(&["secret", "rotate", "prod/db", "--dry-run"]);
    assert_eq!(dry["steps"].as_array().map(Vec::len), Some(7), "{dry}");
    // Whose password is in use is one of the pair.
    let other = ["secret", "rotation", "prod/db", "--plan", "pair", "--user", "shop_x", "--user", "shop_y"];
    let said = fail(house.command(&other));
    assert!(said.contains("no user of the plan"), "{said}");
}
