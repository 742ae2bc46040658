//! The command line keeps what it is trusted with, and says what happened: tokens, keys, files, words.

use crate::house::{House, fail, succeed, text};

#[test]
fn a_remembered_token_is_sent_to_its_own_server_only() {
    let house = House::started();
    let (roots, token) = (house.ca("roots.pem"), house.ca("admin.token"));
    // The same server at another address is another origin: client.toml says localhost.
    let staging = house.https("").replace("localhost", "127.0.0.1");
    let there = |arguments: &[&str]| house.command(&[&["--url", &staging], arguments].concat());
    let said = fail(there(&["certs", "list", "--cacert", text(&roots)]));
    for word in ["no token", &staging, "client.toml", &house.https(""), "--token-file"] {
        assert!(said.contains(word), "{word} is missing: {said}");
    }
    let said = fail(there(&["certs", "list", "--token-file", text(&token)]));
    assert!(said.contains("--cacert") && said.contains("client.toml"), "its roots stay too: {said}");
    succeed(there(&["certs", "list", "--cacert", text(&roots), "--token-file", text(&token)]));
    // What is public needs no token, and the same origin in other letters is the same server.
    succeed(there(&["ssh", "ca", "--cacert", text(&roots)]));
    let same = format!("{}/", house.https("").replace("localhost", "LOCALHOST"));
    house.run(&["certs", "list", "--url", &same]);
}

#[test]
fn a_token_is_made_only_where_it_can_be_kept() {
    let house = House::started();
    let out = house.path("ci.token");
    std::fs::write(&out, "something else").expect("a file");
    let create = |out: &str| house.command(&["token", "create", "ci", "--role", "auditor", "--out", out]);
    let before = house.json(&["token", "list"]);
    assert!(fail(create(text(&out))).contains("exists already"));
    assert!(fail(create(text(&house.path("no/such/folder")))).contains("cannot write"));
    assert_eq!(house.json(&["token", "list"]), before, "no token was made");
    assert_eq!(std::fs::read_to_string(&out).expect("the file"), "something else");
    // A token that the server refuses leaves no empty file behind.
    fail(house.command(&["token", "create", "ci", "--role", "king", "--out", text(&house.path("king"))]));
    assert!(!house.path("king").exists());
    succeed(create(text(&house.path("good"))));
    assert_ne!(house.json(&["token", "list"]), before);
}
