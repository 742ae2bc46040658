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
