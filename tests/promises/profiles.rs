//! Whose names are whose, and what a certificate of a kind may be: told by the server that decides, tried before it is in force.

use serde_json::Value;

use crate::house::{House, PATIENCE, command, fail, succeed, text, until};

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
    let nobodys = fail(house.command(&["owner", "explain", "spiffe://example.internal/db/api"]));
    assert!(nobodys.contains("no owner") && nobodys.contains("[[owner]]"), "{nobodys}");
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
    let said = fail(house.command(&["profile", "show", "no-such"]));
    assert!(said.contains("chancery profile list") && said.contains("SIGHUP"), "{said}");
    assert!(fail(house.command(&["ca", "show", "no-such"])).contains("chancery ca list"));

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
    assert!(rows.split_whitespace().collect::<Vec<_>>().join(" ").contains("lifetime: 30 d -> 10 d"), "{rows}");
    assert!(sum.contains("would differ, 0 of them be refused"), "{sum}");
}

#[test]
fn what_a_profile_wants_approved_is_collected_by_whoever_asked() {
    let mut house = House::new();
    let profile = house.ca("profiles/tls-server.toml");
    let text_of = std::fs::read_to_string(&profile).expect("the profile");
    // The server's own certificate is of a profile of its own name.
    std::fs::write(house.ca("profiles/tls-approved.toml"), format!("approvals = 1\n{text_of}")).expect("a profile");
    house.start();
    let token = |name: &str, role: &str| {
        let file = house.path(&format!("{name}.token"));
        house.run(&["token", "create", name, "--role", role, "--owner", "default", "--out", text(&file)]);
        file
    };
    let (ann, bob) = (token("ann", "issuer"), token("bob", "approver"));
    let as_who = |who: &std::path::Path, arguments: &[&str]| {
        house.command(&[&["--json"], arguments, &["--token-file", text(who)]].concat())
    };
    let out = house.path("www");
    let issue = ["issue", "tls", "www.example.internal", "--profile", "tls-approved", "--out", text(&out)];
    let asked: Value = serde_json::from_str(&succeed(as_who(&ann, &issue))).expect("JSON");
    let id = asked["id"].as_str().expect("a name");
    assert_eq!((&asked["state"], &asked["needs"]), (&"waiting".into(), &1.into()));
    assert!(out.join("key.pem").exists() && !out.join("cert.pem").exists());
    let collect = ["request", "collect", id, "--out", text(&out)];
    let said = fail(as_who(&ann, &collect));
    assert!(said.contains("0 of 1"), "{said}");
    fail(as_who(&ann, &["request", "approve", id]));
    let listed: Value = serde_json::from_str(&succeed(as_who(&bob, &["request", "list"]))).expect("JSON");
    assert_eq!((&listed[0]["id"], &listed[0]["names"][0]), (&id.into(), &"dns:www.example.internal".into()));
    succeed(as_who(&bob, &["request", "approve", id]));
    succeed(as_who(&ann, &collect));
    let roots = house.ca("roots.pem");
    let verify = ["verify", "-CAfile", text(&roots), "-untrusted"];
    let (chain, certificate) = (out.join("chain.pem"), out.join("cert.pem"));
    succeed(command("openssl", &[&verify[..], &[text(&chain), text(&certificate)]].concat()));
    let key = succeed(command("openssl", &["pkey", "-pubout", "-in", text(&out.join("key.pem"))]));
    assert_eq!(key, succeed(command("openssl", &["x509", "-noout", "-pubkey", "-in", text(&certificate)])));

    // And who says no says it for good.
    let other = house.path("other");
    let issue = ["issue", "tls", "other.example.internal", "--profile", "tls-approved", "--out", text(&other)];
    let asked: Value = serde_json::from_str(&succeed(as_who(&ann, &issue))).expect("JSON");
    let id = asked["id"].as_str().expect("a name");
    succeed(as_who(&bob, &["request", "refuse", id, "--reason", "not in this house"]));
    assert!(succeed(house.command(&["request", "show", id, "--token-file", text(&ann)])).contains("not in this house"));
    fail(as_who(&ann, &["request", "collect", id, "--out", text(&other)]));
}

#[test]
fn whoever_holds_a_key_revokes_its_certificate_without_a_right_to_anything() {
    let house = House::started();
    let out = house.path("www");
    let issued = house.json(&["issue", "tls", "www.example.internal", "--out", text(&out)]);
    let serial = issued["serial"].as_str().expect("a serial");
    let (certificate, key) = (out.join("cert.pem"), out.join("key.pem"));
    let nobody = |arguments: &[&str]| {
        let mut chancery = command(env!("CARGO_BIN_EXE_chancery"), arguments);
        let (url, roots) = (house.https(""), house.ca("roots.pem"));
        chancery.env_clear().env("HOME", house.path("nobody")).args(["--url", &url, "--cacert", text(&roots)]);
        chancery
    };
    let revoke = ["certs", "revoke", "--certificate", text(&certificate)];
    // Without a proof it takes a right.
    fail(nobody(&revoke));
    let other = house.path("other");
    house.run(&["issue", "tls", "other.example.internal", "--out", text(&other)]);
    let said = fail(nobody(&[&revoke[..], &["--key", text(&other.join("key.pem"))]].concat()));
    assert!(said.contains("another key"), "{said}");
    let done = succeed(nobody(&[&revoke[..], &["--key", text(&key)]].concat()));
    assert!(done.contains(serial) && done.contains("key-compromise"), "{done}");
    let shown = house.json(&["certs", "show", serial]);
    assert_eq!((&shown["state"], &shown["reason"]), (&"revoked".into(), &"key-compromise".into()));
    // The log says by what it was done.
    let log = house.run(&["audit", "list", "--json"]);
    assert!(log.contains("system:key-proof"), "{log}");

    // With nothing but openssl and curl.
    let other_certificate = other.join("cert.pem");
    let der = command("openssl", &["x509", "-in", text(&other_certificate), "-noout", "-fingerprint", "-sha256"]);
    let print = succeed(der).split_once('=').expect("a fingerprint").1.trim().replace(':', "").to_lowercase();
    let (subject, proof) = (format!("/O=revoke key-compromise/CN={print}"), house.path("proof.pem"));
    let make = ["req", "-new", "-key", text(&other.join("key.pem")), "-subj", &subject, "-out", text(&proof)]
        .map(str::to_owned);
    succeed(command("openssl", &make.iter().map(String::as_str).collect::<Vec<_>>()));
    let read = |path: &std::path::Path| std::fs::read_to_string(path).expect("a file");
    let body = serde_json::json!({ "certificate": read(&other_certificate), "proof": read(&proof) }).to_string();
    let url = house.https("/api/v1/certificates/revoke-by-key");
    let ask = |body: &str| house.curl(&["-H", "Content-Type: application/json", "--data", body, &url]);
    assert_eq!(ask(&body).status, 200);
    // Proofs that prove nothing are counted, and an address has so many.
    let wrong = serde_json::json!({ "certificate": read(&certificate), "proof": read(&proof) }).to_string();
    let statuses: Vec<u16> = (0..25).map(|_| ask(&wrong).status).collect();
    assert_eq!((statuses.first(), statuses.last()), (Some(&422), Some(&429)), "{statuses:?}");
}

#[test]
fn a_profile_whose_issuer_is_missing_is_said_at_each_place_where_somebody_looks() {
    let mut house = House::new();
    let server = std::fs::read_to_string(house.ca("profiles/tls-server.toml")).expect("the profile");
    let vpn = house.ca("profiles/vpn.toml");
    std::fs::write(&vpn, server.replace("issuer = \"tls\"", "issuer = \"vqn\"")).expect("a profile");
    // Nobody is there to ask: what can be said is, and that the rest is not known.
    let checked = house.output(&["profile", "check", text(&vpn)]);
    assert!(checked.status.success());
    let said = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert!(said.contains("no server was asked"), "{said}");
    house.start();
    let log = house.server_log();
    let warned = |log: &str| log.matches("profile `vpn` can issue nothing: there is no issuer `vqn`").count();
    assert_eq!(warned(&log), 1, "{log}");
    let checked = house.output(&["profile", "check", text(&vpn)]);
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(checked.status.code() == Some(1) && said.contains("vqn"), "{said}");
    let unfit = || {
        let listed = house.json(&["profile", "list"]);
        let all = listed.as_array().expect("a list").iter();
        all.filter(|profile| profile.get("unfit").is_some()).map(|profile| profile["name"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(unfit(), ["vpn"]);
    let alarms = || house.curl_admin(&[&house.https("/api/v1/status")]).json()["alarms"].to_string();
    assert!(alarms().contains("profile `vpn` can issue nothing"), "{}", alarms());
    let figure = |is: u8| {
        let figures = house.curl_admin(&[&house.https("/metrics")]).text();
        figures.contains(&format!("chancery_profile_fit{{profile=\"vpn\"}} {is}\n"))
    };
    assert!(figure(0));
    // The issuer is made: nothing else is needed.
    let create = ["ca", "create", "vqn", "--above", "root", "--subject", "/O=Example/CN=Example VQN CA"];
    house.run(&create);
    assert!(unfit().is_empty() && figure(1) && !alarms().contains("vpn"), "{}", alarms());
    // Read again with a mistake: it is in force, and said so.
    std::fs::write(&vpn, server.replace("issuer = \"tls\"", "issuer = \"vnp\"")).expect("a profile");
    house.signal("HUP");
    assert!(until(PATIENCE, || house.server_log().contains("there is no issuer `vnp`")));
    assert_eq!(unfit(), ["vpn"]);
}
