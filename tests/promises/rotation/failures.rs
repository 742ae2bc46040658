//! A target that refuses or holds up one step: killed there or not, what is current logs in, and the trouble says what to do.

use serde_json::Value;

use super::session::Session;
use super::{asks, current, is_in, logs_in, rotation, says, set_up, target};
use crate::house::{House, PATIENCE, until};

/// A step that the target holds up: the state in which the rotation stays, what is done before, and what lets it go on.
const HELD: [(&str, &str, &str); 3] = [
    // A login that is let in and has no place: the server says that it is full, and nothing of the password.
    ("set", "ALTER ROLE NEXT CONNECTION LIMIT 0", "ALTER ROLE NEXT CONNECTION LIMIT -1"),
    // A lock on what is to be changed.
    ("made", "BEGIN; ALTER ROLE NEXT CONNECTION LIMIT -1;", "ROLLBACK;"),
    ("checked", "BEGIN; ALTER ROLE CURRENT CONNECTION LIMIT -1;", "ROLLBACK;"),
];

#[test]
fn a_server_killed_at_a_step_that_the_target_holds_up_goes_on_from_there() {
    let target = target();
    let mut house = House::started();
    set_up(&house, &target, 1);
    for ((state, hold, release), version) in HELD.into_iter().zip(2..) {
        let (old_user, old) = current(&house, &target);
        let next = if old_user == "app_a" { "app_b" } else { "app_a" };
        let names = |sql: &str| sql.replace("NEXT", next).replace("CURRENT", &old_user);
        let mut session = Session::of(&target);
        session.says(&names(hold));
        asks(&house);
        // It stays there, having asked once at least.
        let is_held = || is_in(&house, state) && rotation(&house)["times_away"] != 0;
        assert!(until(PATIENCE, is_held), "{state}: {}", rotation(&house));
        current(&house, &target);
        house.kill();
        house.start();
        current(&house, &target);
        assert!(is_in(&house, state), "{state}: {}", rotation(&house));
        session.says(&names(release));
        let rests = || is_in(&house, "resting") && rotation(&house)["current"]["version"] == version;
        assert!(until(PATIENCE, rests), "{state}: {}", rotation(&house));
        assert_eq!(rotation(&house)["trouble"], Value::Null, "{state}");
        let (user, _) = current(&house, &target);
        assert_eq!(user, next, "{state}");
        assert!(!logs_in(&target, &old_user, &old), "{state}: the old credential still logs in");
    }
    house.stop();
    let report = house.json(&["audit", "verify"]);
    assert_eq!(report["findings_total"], 0, "{report}");
}

#[test]
fn what_the_target_refuses_leaves_what_is_current_and_goes_on_once_it_is_put_right() {
    let target = target();
    let house = House::started();
    set_up(&house, &target, 1);
    // Each of them: what is wrong at the target, what the trouble says, and what puts it right.
    let wrongs = [
        (
            "ALTER ROLE rotator NOCREATEROLE; REVOKE app_a, app_b FROM rotator",
            "refuses to set",
            "ALTER ROLE rotator CREATEROLE; GRANT app_a, app_b TO rotator WITH ADMIN OPTION",
        ),
        ("ALTER ROLE NEXT NOLOGIN", "does not log in", "ALTER ROLE NEXT LOGIN"),
    ];
    for (wrong, says_why, right) in wrongs {
        let before = current(&house, &target);
        let next = if before.0 == "app_a" { "app_b" } else { "app_a" };
        target.run(&wrong.replace("NEXT", next));
        asks(&house);
        assert!(until(PATIENCE, || rotation(&house)["halted"] == true), "{wrong}: {}", rotation(&house));
        let why = rotation(&house)["trouble"]["why"].to_string();
        assert!(why.contains(says_why), "{wrong}: {why}");
        assert_eq!(current(&house, &target), before, "{wrong}");
        let told = || String::from_utf8_lossy(&house.output(&["status"]).stdout).contains("rotation of prod/db");
        assert!(until(PATIENCE, told), "{wrong}: nobody is told");
        // Put right and resumed, what was asked for is done.
        target.run(&right.replace("NEXT", next));
        assert_eq!(says(&house, "rotate-resume"), 202, "{}", rotation(&house));
        let is_done = || is_in(&house, "resting") && rotation(&house)["current"]["user"] == next;
        assert!(until(PATIENCE, is_done), "{wrong}: {}", rotation(&house));
        assert_eq!(rotation(&house)["trouble"], Value::Null, "{wrong}");
        assert!(until(PATIENCE, || !told()), "{wrong}: it is told of still");
        assert_eq!(current(&house, &target).0, next, "{wrong}");
        assert!(!logs_in(&target, &before.0, &before.1), "{wrong}: the old credential still logs in");
    }
}
