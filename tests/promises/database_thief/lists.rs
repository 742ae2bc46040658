//! Lists of secrets and of what belongs to them: a row that a thief touched is refused by itself, and takes no other away.

use serde_json::Value;

use super::{Robbed, on_both};
use crate::house::{PATIENCE, text, until};

fn put(robbed: &Robbed, path: &str) {
    let body = r#"{"fields": {"value": "x"}, "owner": "default"}"#;
    let url = robbed.house.https(&format!("/api/v1/secrets/{path}"));
    let made = robbed.house.curl_admin(&["-X", "PUT", "-H", "Content-Type: application/json", "-d", body, &url]);
    assert_eq!(made.status, 201, "{}", made.text());
}

/// A list as somebody sees it: the administrator, or who has this token.
fn list(robbed: &Robbed, what: &str, token: Option<&str>) -> Value {
    let (house, url) = (&robbed.house, robbed.house.https(&format!("/api/v1/{what}")));
    let answer = match token {
        Some(token) => house.curl(&["-H", &format!("Authorization: Bearer {token}"), &url]),
        None => house.curl_admin(&[&url]),
    };
    assert_eq!(answer.status, 200, "{what}: {}", answer.text());
    answer.json()
}

fn paths(list: &Value) -> Vec<&str> {
    list["items"].as_array().expect("items").iter().map(|item| item["path"].as_str().expect("a path")).collect()
}

#[test]
fn one_row_that_a_thief_touched_takes_no_list_away() {
    on_both(|robbed| {
        for path in ["t/one", "t/three", "t/two"] {
            put(&robbed, path);
        }
        let file = robbed.house.path("reader.token");
        let reader =
            ["token", "create", "reader", "--role", "secret-reader", "--owner", "default", "--out", text(&file)];
        robbed.house.run(&reader);
        let reader = std::fs::read_to_string(&file).expect("a token");
        let reader = Some(reader.trim());
        robbed.steal("UPDATE record SET owner = 'nobody' WHERE kind = 'secret' AND id = 't/three'");
        let is_told = |what: &str| {
            let all = list(&robbed, what, None);
            let mut told = paths(&all);
            told.sort_unstable();
            told == ["t/one", "t/two"] && all["altered"] == 1
        };
        for what in ["secrets?within=t", "secrets?search=t&within=t", "report/secrets"] {
            assert!(is_told(what), "{what}: {}", list(&robbed, what, None));
        }
        // What was made in this second was read in it.
        assert!(until(PATIENCE, || is_told("secrets?unread_secs=0&within=t")));
        // Whose it is nobody can say: who may list those of one owner hears nothing of it.
        let his = list(&robbed, "secrets?within=t", reader);
        assert_eq!((paths(&his), his.get("altered")), (vec!["t/one", "t/two"], None), "{his}");
        // Read by its name it is refused, and the alarm says which.
        let named = robbed.house.curl_admin(&[&robbed.house.https("/api/v1/secrets/t/three")]);
        assert_eq!(named.status, 500, "{}", named.text());
        assert!(robbed.alarms().contains("id=t/three"), "{}", robbed.alarms());
        let said = robbed.house.output(&["secret", "list", "t"]);
        assert!(said.status.success(), "{said:?}");
        let beside = String::from_utf8_lossy(&said.stderr).into_owned();
        assert!(beside.contains("1 not shown, altered in the register"), "{beside}");
    });
}
