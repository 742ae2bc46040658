//! A program that the server's configuration names exchanges what only it knows of; nobody names another, and no overlap is shorter than
//! the configuration allows.

use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use super::{put, rotation_of};
use crate::house::{House, PATIENCE, fail, text, until};

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
    house.append(&format!("\n[rotation.exec.device]\ncommand = {command}\n"));
    house.start();
    account(&house, ROUTER);
    let set = ["secret", "rotation", ROUTER, "--plan", "single", "--user", "app", "--driver", "exec", "--host"];
    let said = fail(house.command(&[&set[..], &["/bin/sh"]].concat()));
    assert!(said.contains("has no [rotation.exec./bin/sh]"), "{said}");
    house.run(&[&set[..], &["device"]].concat());
    let listed = house.json(&["secret", "rotation"]);
    assert_eq!((&listed[0]["path"], &listed[0]["driver"]), (&json!(ROUTER), &json!("exec")));
    house.run(&["secret", "rotate", ROUTER]);
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
    house.run(&[&pair[..], &["60s"], &place[..]].concat());
}
