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

#[test]
fn a_profile_is_checked_shown_and_tried_out_before_anything_is_issued() {
    let house = House::started();
    let ready = house.json(&["profile", "list", "--ready"]);
    let names: Vec<_> = ready.as_array().expect("a list").iter().map(|p| p["name"].as_str().expect("a name")).collect();
    assert!(
        names.contains(&"mtls-peer") && names.contains(&"kubernetes") && names.contains(&"tls-server"),
        "{names:?}"
    );
    assert_eq!(house.json(&["profile", "list"]).as_array().expect("a list").len(), 5, "in force are the shipped ones");

    // On the spot: right ones, and a mistake with its key.
    house.run(&["profile", "check", text(&house.ca("profiles"))]);
    let folder = house.path("changed");
    std::fs::create_dir(&folder).expect("a folder");
    let peer = house.run(&["profile", "show", "mtls-peer", "--ready"]);
    std::fs::write(folder.join("mtls-peer.toml"), peer.replace("names_max = 10", "names_max = 1000")).expect("a file");
    let checked = house.output(&["profile", "check", text(&folder)]);
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(!checked.status.success() && said.contains("names_max: 1 to 100"), "{said}");

    // In force: every key, those that the file leaves out among them.
    let shown = house.json(&["profile", "show", "tls-server"]);
    assert_eq!((&shown["says"]["names_max"], &shown["says"]["subject"]), (&100.into(), &"first-name".into()));
    fail(house.command(&["profile", "show", "no-such"]));

    // Tried out: what would be issued, and nothing is.
    let (key, csr) = (house.path("www.key"), house.path("www.csr"));
    let subject = ["-subj", "/CN=www.example.internal", "-addext", "subjectAltName=DNS:www.example.internal"];
    let mut openssl =
        command("openssl", &["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]);
    openssl.args(subject).args(["-keyout", text(&key), "-out", text(&csr)]);
    succeed(openssl);
    let entries = || house.json(&["audit", "list"]).as_array().expect("a list").len();
    let before = (entries(), house.json(&["certs", "list"]));
    let told = house.run(&["profile", "test", "tls-server", text(&csr)]);
    for word in ["CN=www.example.internal", "server-auth", "digital-signature", "not_after", "dns:www.example.internal"]
    {
        assert!(told.contains(word), "{word}: {told}");
    }
    let refused = house.output(&["profile", "test", "tls-server", text(&csr), "www.elsewhere", "--validity", "1d"]);
    let said = String::from_utf8_lossy(&refused.stdout).into_owned();
    assert_eq!(refused.status.code(), Some(3), "{said}");
    assert!(said.contains("names"), "{said}");
    assert_eq!((entries(), house.json(&["certs", "list"])), before, "neither a certificate nor an entry");
}

#[test]
fn a_changed_profile_is_replayed_before_it_is_in_force() {
    let house = House::started();
    for (name, validity) in [("a", None), ("b", Some("7d"))] {
        let (host, out) = (format!("{name}.example.internal"), house.path(name));
        let mut arguments = vec!["issue", "tls", &host, "--out", text(&out)];
        arguments.extend(validity.iter().flat_map(|life| ["--validity", life]));
        house.run(&arguments);
    }
    let changed = house.path("tls-server.toml");
    let now = std::fs::read_to_string(house.ca("profiles/tls-server.toml")).expect("the profile in force");
    std::fs::write(&changed, &now).expect("a file");
    let replay = || house.json(&["profile", "replay", "--since", "90d", text(&changed)]);
    // The server's own certificate is one of its profile too.
    assert_eq!(replay().as_array().expect("a list").len(), 0, "the same profile");
    std::fs::write(&changed, now.replace("default_validity = \"30d\"", "default_validity = \"10d\"")).expect("a file");
    let found = replay();
    let of = |name: &str| {
        let items = found.as_array().expect("a list").iter();
        items.filter(|item| item["names"][0] == format!("dns:{name}.example.internal")).count()
    };
    assert_eq!((of("a"), of("b")), (1, 0), "who asked for a lifetime keeps it: {found}");
    let told = house.output(&["profile", "replay", text(&changed)]);
    let (rows, sum) = (String::from_utf8_lossy(&told.stdout), String::from_utf8_lossy(&told.stderr));
    assert!(
        rows.split_whitespace().collect::<Vec<_>>().join(" ").contains("lifetime: 2592000 s -> 864000 s"),
        "{rows}"
    );
    assert!(sum.contains("would differ, 0 of them be refused"), "{sum}");
}
