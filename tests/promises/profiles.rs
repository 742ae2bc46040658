//! Whose names are whose, and what a certificate of a kind may be: told by the server that decides, tried before it is in force.

use serde_json::Value;

use crate::house::{House, command, fail, succeed, text};

#[test]
fn who_has_a_name_is_told_by_the_rules_in_force() {
    let mut house = House::new();
    house.append(
        "[[owner]]\nname = \"web\"\ndns = [\"*.web.example.internal\"]\nuri = [\"spiffe://example.internal/web/*\"]\n\
         upn = [\"*@example.internal\"]\nprincipals = [\"deploy\"]\n",
    );
    house.start();
    let owners = |answer: Value| {
        let names = answer.as_array().expect("a list").iter().map(|owner| owner["name"].clone());
        names.map(|name| name.as_str().expect("a name").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(owners(house.json(&["owner", "list"])), ["default", "web"]);
    assert_eq!(house.json(&["owner", "show", "web"])["uri"][0], "spiffe://example.internal/web/*");
    let said = fail(house.command(&["owner", "show", "nobody"]));
    assert!(said.contains("no owner nobody"), "{said}");

    let explained = |name: &str| house.run(&["owner", "explain", name]);
    let told = explained("www.web.example.internal");
    assert!(told.contains("*.example.internal") && told.contains("*.web.example.internal"), "{told}");
    let told = explained("spiffe://example.internal/web/api");
    assert!(told.contains("web") && told.contains("spiffe://example.internal/web/*"), "{told}");
    assert!(explained("spiffe://example.internal/db/api").contains("[[owner]]"));
    assert!(explained("upn:alice@example.internal").contains("*@example.internal"));
    let account = explained("deploy");
    assert!(account.contains("principals"), "{account}");

    // Whoever may not read an owner's certificates learns nothing of its names.
    let token = house.path("db.token");
    house.run(&["token", "create", "db", "--role", "issuer", "--owner", "default", "--out", text(&token)]);
    let listed = succeed(house.command(&["--json", "owner", "list", "--token-file", text(&token)]));
    assert_eq!(owners(serde_json::from_str(&listed).expect("JSON")), ["default"]);
    fail(house.command(&["owner", "show", "web", "--token-file", text(&token)]));
    let told = succeed(house.command(&["owner", "explain", "www.web.example.internal", "--token-file", text(&token)]));
    assert!(!told.contains("*.web.example.internal"), "{told}");

    // A SPIFFE ID is issued to its owner, by its rule, and to nobody else.
    let id = "spiffe://example.internal/web/api";
    let issue = |owner: &str, out: &str| house.command(&["issue", "client", id, "--owner", owner, "--out", out]);
    let out = house.path("api");
    succeed(issue("web", text(&out)));
    let shown =
        succeed(command("openssl", &["x509", "-noout", "-ext", "subjectAltName", "-in", text(&out.join("cert.pem"))]));
    assert!(shown.contains("URI:spiffe://example.internal/web/api"), "{shown}");
    let said = fail(issue("default", text(&house.path("other"))));
    assert!(said.contains("outside the name rules"), "{said}");
}
