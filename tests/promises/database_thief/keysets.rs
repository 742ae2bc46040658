//! Transit keys: a keyset that was exchanged, altered, put back or deleted beside the service computes nothing.

use super::{Robbed, on_both};
use crate::house::text;

/// What becomes of the use of a key: its status and what is said.
fn opens(robbed: &Robbed, key: &str, sealed: &str) -> (u16, String) {
    let body = format!(r#"{{"items": [{{"ciphertext": "{sealed}"}}]}}"#);
    let url = robbed.house.https(&format!("/api/v1/transit/{key}/decrypt"));
    let answer = robbed.house.curl_admin(&["-X", "POST", "-H", "Content-Type: application/json", "-d", &body, &url]);
    (answer.status, answer.text())
}

fn sealed(robbed: &Robbed, key: &str) -> String {
    let plain = robbed.house.path("plain");
    std::fs::write(&plain, "x").expect("a file");
    robbed.house.run(&["transit", "encrypt", key, text(&plain)]).trim().to_owned()
}

#[test]
fn a_keyset_that_a_thief_touched_computes_nothing() {
    on_both(|mut robbed| {
        let keys = ["altered", "exchanged", "put-back", "deleted", "terms", "untouched"];
        let texts = keys.map(|key| {
            robbed.house.run(&["transit", "key", "create", key, "--owner", "default"]);
            sealed(&robbed, key)
        });
        robbed.house.run(&["transit", "key", "set", "terms", "--rotate", "9d"]);
        // Nothing is in memory, and what lay there before the last rotation is what a thief kept.
        robbed.house.stop();
        robbed.house.start();
        let of = |key: &str| format!("(SELECT leaf FROM present WHERE kind = 'sealed' AND id = 'transit:{key}@1.1')");
        robbed.steal(&format!("CREATE TABLE kept AS SELECT leaf, bytes FROM beside WHERE leaf = {};", of("put-back")));
        robbed.house.run(&["transit", "key", "rotate", "put-back"]);
        robbed.house.stop();
        robbed.house.start();
        robbed.steal(&format!(
            "UPDATE beside SET bytes = {} WHERE leaf = {}; \
             UPDATE beside SET bytes = (SELECT b.bytes FROM beside b WHERE b.leaf = {}) WHERE leaf = {}; \
             UPDATE beside SET bytes = (SELECT bytes FROM kept) WHERE leaf = (SELECT leaf FROM present WHERE kind = 'sealed' \
               AND id = 'transit:put-back@1.2'); \
             DELETE FROM beside WHERE leaf = {}; \
             UPDATE record SET body = replace(body, '\"rotate_days\":9', '\"rotate_days\":0') WHERE kind = 'transit-key' AND id = 'terms';",
            robbed.bytes(&"00".repeat(64)),
            of("altered"),
            of("untouched"),
            of("exchanged"),
            of("deleted"),
        ));
        for restarted in [false, true] {
            if restarted {
                robbed.house.stop();
                robbed.house.start();
            }
            for (key, text) in keys.iter().zip(&texts) {
                let (status, told) = opens(&robbed, key, text);
                match *key {
                    "untouched" => assert!(status == 200 && told.contains("plaintext"), "{status} {told}"),
                    _ => assert!(status == 500 && !told.contains("plaintext"), "{key}: {status} {told}"),
                }
            }
            let alarms = robbed.alarms();
            for says in ["the bytes beside it were deleted", "are not those that its record has the digest of"] {
                assert!(alarms.contains(says), "{says} {restarted}: {alarms}");
            }
        }
    });
}
