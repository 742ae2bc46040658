//! The command line keeps what it is trusted with, and says what happened: tokens, keys, files, words.

use crate::house::{House, PATIENCE, SOFTHSM, command, fail, succeed, text, until};

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
    // After a restore there is no client.toml: the configuration says where its server is, and a token has to be named.
    std::fs::rename(house.ca("client.toml"), house.path("kept.toml")).expect("client.toml goes away");
    house.run(&["ssh", "ca"]);
    house.run(&["certs", "list", "--token-file", text(&token)]);
    let said = fail(house.command(&["certs", "list"]));
    for word in ["no token", "there is no client.toml beside", "--token-file", "token rescue"] {
        assert!(said.contains(word), "{word} is missing: {said}");
    }
    std::fs::rename(house.path("kept.toml"), house.ca("client.toml")).expect("client.toml comes back");
    // What is public needs no token, and the same origin in other letters is the same server.
    succeed(there(&["ssh", "ca", "--cacert", text(&roots)]));
    let same = format!("{}/", house.https("").replace("localhost", "LOCALHOST"));
    house.run(&["certs", "list", "--url", &same]);
}

/// What the environment sets is not what is missing.
#[test]
fn a_usage_names_what_the_command_needs_and_no_configuration() {
    let mut get = command(env!("CARGO_BIN_EXE_chancery"), &["secret", "get"]);
    get.env("CHANCERY_CONFIG", "/nowhere/chancery.toml").env("CHANCERY_CACERT", "/nowhere/roots.pem");
    let said = fail(get);
    assert!(said.contains("Usage: chancery secret get") && said.contains("<PATH>"), "{said}");
    assert!(!said.contains("--config") && !said.contains("--cacert"), "{said}");
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
    let king = house.path("king");
    fail(house.command(&["token", "create", "ci", "--role", "issuer", "--owner", "king", "--out", text(&king)]));
    assert!(!king.exists());
    succeed(create(text(&house.path("good"))));
    assert_ne!(house.json(&["token", "list"]), before);
}

/// A key and a request for `name`, by openssl; the request in DER where the file says so.
fn openssl_request(house: &House, key: &str, kind: &[&str], csr: &str, name: &str) {
    let (key, csr) = (house.path(key), house.path(csr));
    let subject = format!("/CN={name}");
    let form = if csr.extension().is_some_and(|e| e == "der") { "DER" } else { "PEM" };
    let mut openssl = command("openssl", &["req", "-new", "-nodes", "-keyout", text(&key), "-out", text(&csr)]);
    openssl.args(["-outform", form, "-subj", &subject]).args(kind);
    succeed(openssl);
}

#[test]
fn a_certificate_is_not_put_beside_another_key() {
    let house = House::started();
    let p256 = &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"][..];
    let dir = house.path("www");
    house.run(&["issue", "tls", "a.example.internal", "--out", text(&dir)]);
    let before = std::fs::read(dir.join("fullchain.pem")).expect("fullchain.pem");
    let issued = house.json(&["certs", "list"]);
    let serial = issued[0]["serial"].as_str().expect("a serial").to_owned();

    openssl_request(&house, "other.key", p256, "other.pem", "b.example.internal");
    let other = house.path("other.pem");
    for refused in [
        &["issue", "tls", "--csr", text(&other), "--out", text(&dir)][..],
        &["certs", "renew", &serial, "--csr", text(&other), "--out", text(&dir)],
    ] {
        let said = fail(house.command(refused));
        assert!(said.contains("key.pem") && said.contains("--out"), "{said}");
    }
    assert_eq!(std::fs::read(dir.join("fullchain.pem")).expect("fullchain.pem"), before, "the old pair is whole");
    assert_eq!(house.json(&["certs", "list"]), issued, "and nothing was issued");
    house.run(&["certs", "renew", &serial, "--out", text(&dir)]);

    // Beside its own key, or none; PEM or DER, for a first certificate and for a renewal.
    for (kind, name) in [(p256, "ec"), (&["-newkey", "rsa:2048"][..], "rsa")] {
        let (key, csr, out) = (format!("{name}/key.pem"), format!("{name}.der"), house.path(name));
        std::fs::create_dir(&out).expect("a folder");
        openssl_request(&house, &key, kind, &csr, "b.example.internal");
        house.run(&["issue", "tls", "--csr", text(&house.path(&csr)), "--out", text(&out)]);
        let serial = house.json(&["certs", "list", "--limit", "1"])[0]["serial"].as_str().expect("a serial").to_owned();
        house.run(&["certs", "renew", &serial, "--csr", text(&house.path(&csr)), "--out", text(&out)]);
        let said = fail(house.command(&["certs", "renew", &serial, "--out", text(&dir)]));
        assert!(said.contains("another key"), "{said}");
    }
    house.run(&["issue", "tls", "--csr", text(&other), "--out", text(&house.path("empty"))]);
    let said = fail(house.command(&["issue", "tls", "--csr", "/dev/zero", "--out", text(&house.path("zero"))]));
    assert!(said.contains("more than"), "{said}");
}

/// `chancery init` of a second authority in the house's SoftHSM2.
fn init(house: &House, arguments: &[&str]) -> std::process::Command {
    let (dir, pin) = (house.path("second"), house.path("pin"));
    let base = ["init", text(&dir), "--module", SOFTHSM, "--pin-file", text(&pin)];
    house.command(&[&base, arguments].concat())
}

#[test]
fn a_mistake_in_a_flag_of_init_leaves_nothing_behind() {
    let house = House::new();
    let empty = house.path("empty");
    std::fs::write(&empty, "\n").expect("an empty file");
    for (arguments, says) in [
        (&["--token-label", "typo"][..], "typo"),
        (&["--token-label", "test", "--server-name", "a b"], "--server-name"),
        (&["--token-label", "test", "--subject-base", "O=Example"], "--subject-base"),
        (&["--token-label", "test", "--organization", " "], "--organization"),
        (&["--token-label", "test", "--instance", "0"], "1..=32000"),
        (&["--token-label", "test", "--instance", "32001"], "1..=32000"),
        (&["--token-label", "test", "--https", "localhost"], "--https"),
        (&["--token-label", "test", "--database", "mysql:x"], "database.url"),
        (&["--token-label", "test", "--create-token", text(&empty)], "--create-token"),
        (&["--token-label", "test", "--create-token", "/no/such/pin"], "/no/such/pin"),
        // The token of the authority that is there.
        (&["--token-label", "test"], "keys of an authority whose register is not in"),
    ] {
        let said = fail(init(&house, arguments));
        assert!(said.contains(says), "{arguments:?}: {said}");
        assert!(!house.path("second").exists(), "{arguments:?} wrote something");
    }
    // A file where the folder is meant: no token is made for nothing.
    std::fs::write(house.path("second"), "notes").expect("a file");
    let so_pin = house.path("so-pin");
    let new = ["--token-label", "new", "--create-token", text(&so_pin)];
    assert!(fail(init(&house, &new)).contains("no folder"));
    std::fs::remove_file(house.path("second")).expect("the file goes away");
    assert!(fail(init(&house, &["--token-label", "new"])).contains("no token with label `new`"));
    // The corrected command goes on; a later one that says something else stops, and names both.
    let right = ["--token-label", "second", "--create-token", text(&so_pin)];
    succeed(init(&house, &right));
    let said = fail(init(&house, &[&right[..], &["--instance", "7"]].concat()));
    for word in ["ca.instance is 1", "--instance says 7", "chancery.toml"] {
        assert!(said.contains(word), "{word}: {said}");
    }
    // Killed between the administrator's token and the client's file: the same command writes what is missing.
    let (client, token) = (house.path("second/client.toml"), house.path("second/admin.token"));
    let before = std::fs::read_to_string(&client).expect("client.toml");
    let kept = std::fs::read_to_string(&token).expect("admin.token");
    std::fs::remove_file(&client).expect("client.toml goes away");
    succeed(init(&house, &right));
    assert_eq!(std::fs::read_to_string(&client).expect("client.toml is back"), before);
    assert_eq!(std::fs::read_to_string(&token).expect("admin.token"), kept);
}

#[test]
fn a_revocation_says_who_learns_of_it() {
    let house = House::started();
    let help = house.run(&["certs", "revoke", "--help"]);
    assert!(help.contains("privilege-withdrawn"), "{help}");
    for refused in ["remove-from-crl", "aa-compromise"] {
        assert!(!help.contains(refused), "{help}");
        assert_eq!(house.output(&["certs", "revoke", "0a", "--reason", refused]).status.code(), Some(2));
    }
    house.run(&["issue", "tls", "localhost", "--out", text(&house.path("tls"))]);
    let serial = |kind: &str| {
        house.json(&["certs", "list", "--kind", kind, "--limit", "1"])[0]["serial"]
            .as_str()
            .expect("a serial")
            .to_owned()
    };
    let said = house.run(&["certs", "revoke", &serial("certificate"), "--reason", "superseded"]);
    assert!(said.contains("a CRL that says so is published"), "{said}");

    let id = house.path("id");
    succeed(command("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", text(&id)]));
    house.run(&["ssh", "sign-user", text(&house.path("id.pub")), "--principal", "alice"]);
    let said = house.run(&["certs", "revoke", &serial("ssh-user")]);
    assert!(
        !said.contains("published") && said.contains("no CRL covers SSH") && said.contains("RevokedKeys"),
        "{said}"
    );
    // The number it names is the one that OpenSSH's revocation list takes.
    let number = said.split("the serial ").nth(1).and_then(|rest| rest.split(' ').next()).expect("a number");
    let (ca, list, certificate) = (house.path("user_ca.pub"), house.path("revoked"), house.path("id-cert.pub"));
    std::fs::write(&ca, house.run(&["ssh", "ca"])).expect("user_ca.pub");
    std::fs::write(house.path("serials"), format!("serial: {number}\n")).expect("serials");
    let listed = |list: &std::path::Path| command("ssh-keygen", &["-Q", "-f", text(list), text(&certificate)]);
    succeed(command("ssh-keygen", &["-q", "-k", "-f", text(&list), "-s", text(&ca), text(&house.path("serials"))]));
    assert!(fail(listed(&list)).contains("REVOKED"));
}

#[test]
fn many_are_shown_before_they_end_and_a_hold_is_lifted() {
    let house = House::started();
    house.run(&["issue", "tls", "localhost", "--out", text(&house.path("tls"))]);
    let one = || house.json(&["certs", "list", "--kind", "certificate", "--name", "localhost"])[0].clone();
    let serial = one()["serial"].as_str().expect("a serial").to_owned();
    let said = house.run(&["certs", "hold", &serial]);
    assert!(said.contains("on hold") && said.contains("a CRL that says so is published"), "{said}");
    assert_eq!((&one()["state"], &one()["reason"]), (&"held".into(), &"certificate-hold".into()));
    let said = house.run(&["certs", "release", &serial]);
    assert!(said.contains("released") && one()["state"] == "issued", "{said}");

    let all = ["certs", "revoke", "--host", "localhost", "--reason", "cessation-of-operation"];
    let preview = [&all[..], &["--preview"]].concat();
    let said = house.run(&preview);
    assert!(said.contains("Nothing is done") && said.contains(&serial) && one()["state"] == "issued", "{said}");
    assert!(house.json(&preview)["count"].as_u64().is_some_and(|count| count > 0));
    let unsaid = house.output(&all);
    assert_eq!((unsaid.status.code(), &one()["state"]), (Some(1), &"issued".into()), "{unsaid:?}");
    assert!(String::from_utf8_lossy(&unsaid.stdout).contains(&serial), "{unsaid:?}");
    let said = house.run(&[&all[..], &["--yes"]].concat());
    assert!(said.contains("revoked; ") && one()["state"] == "revoked", "{said}");
    for wrong in [&["certs", "revoke", "--preview"][..], &["certs", "revoke", &serial, "--owner", "web"]] {
        assert_eq!(house.output(wrong).status.code(), Some(2), "{wrong:?}");
    }
    let none = fail(house.command(&["certs", "confirm", "0123456789abcdef"]));
    assert!(none.contains("proposal"), "{none}");
    house.run(&["audit", "verify"]);
}

/// A script tells what it typed wrong from what went wrong, whoever finds it: the parser, or the command.
#[test]
fn wrong_words_end_with_one_code() {
    let house = House::new();
    let dir = house.path("x");
    let dir = text(&dir);
    let module = "/nowhere.so";
    let offline = ["--token-label", "x", "--http-base", "http://ca.example", "--module"];
    for wrong in [
        &["issue", "tls"][..],
        &["issue"],
        &["certs", "show", "../x"],
        &["certs", "list", "--limit", "0"],
        &["certs", "list", "--name", "a b"],
        &["ca", "create", "x"],
        &["ca", "create", "x", "--shards", "0"],
        &["ca", "retire", "tls"],
        &["ca", "rotate", "tls", "--on-host", "--key", "rot13"],
        &["ca", "import", "x", "--key-label", "x", "--from", "easy", "/tmp"],
        &["ca", "import", "x"],
        &["profile", "show", "nowhere", "--ready"],
        &[&["ceremony", "root", dir, "--organization", "x"][..], &offline, &[module]].concat(),
        &[&["ceremony", "root", dir, "--organization", " "][..], &offline, &[SOFTHSM]].concat(),
        &[&["ceremony", "root", dir, "--organization", "x"][..], &offline, &[SOFTHSM]].concat(),
        &["ceremony", "rotate", dir, "--key", "rot13"],
        &["init", dir, "--module", module, "--token-label", "x", "--organization", "x"],
        &["init", dir],
        &["login"],
        &["--url", "http://ca.example", "certs", "list"],
    ] {
        let ended = house.output(wrong);
        assert_eq!(ended.status.code(), Some(2), "{wrong:?}: {}", String::from_utf8_lossy(&ended.stderr));
    }
    // As JSON too, whoever finds it.
    let ended = house.output(&["--json", "issue", "tls"]);
    let said: serde_json::Value = serde_json::from_slice(&ended.stderr).expect("JSON");
    assert_eq!(said["exit"], 2, "{said}");
}

#[test]
fn lists_are_words_and_an_empty_one_says_why() {
    let house = House::started();
    let names: Vec<String> = (0..100).map(|i| format!("n{i:02}.example.internal")).collect();
    let out = house.path("many");
    let mut arguments = vec!["issue", "tls", "--out", text(&out)];
    arguments.extend(names.iter().map(String::as_str));
    house.run(&arguments);
    let listed = house.run(&["certs", "list"]);
    assert!(listed.contains("+98") && !listed.contains("n50.example"), "{listed}");
    assert!(house.run(&["certs", "list", "--help"]).contains("the newest on top"));
    let log = house.run(&["audit", "list"]);
    assert!(log.contains("token:admin") && log.contains("tls-server"), "{log}");
    assert!(!log.contains('{'), "no JSON in a table: {log}");
    let beyond = house.run(&["audit", "list", "--after", "99999999"]);
    assert!(beyond.contains("no entry after 99999999"), "{beyond}");
    for list in [["audit", "list", "--limit", "0"], ["certs", "list", "--limit", "0"]] {
        assert_eq!(house.output(&list).status.code(), Some(2), "{list:?}");
    }
}

#[test]
fn with_json_a_failure_is_one_object() {
    let house = House::new();
    let failed = |arguments: &[&str]| {
        let output = house.output(&[arguments, &["--json"]].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let object: serde_json::Value = serde_json::from_str(&said).unwrap_or_else(|e| panic!("{e}: {said}"));
        assert!(object["error"].as_str().is_some_and(|error| !error.is_empty()), "{object}");
        assert_eq!(object["exit"].as_i64(), output.status.code().map(i64::from), "{object}");
        object
    };
    // Nobody listens, wrong usage, and a command that says its steps otherwise.
    assert_eq!(failed(&["certs", "list"])["exit"], 4);
    assert_eq!(failed(&["certs", "list", "--limit", "0"])["exit"], 2);
    let ca = house.path("ca");
    let init = ["init", text(&ca), "--module", SOFTHSM, "--token-label", "typo"];
    assert!(failed(&init)["error"].as_str().is_some_and(|error| error.contains("hsm.token")));
    assert!(house.run(&["--help"]).contains("one JSON object on standard error"));
}

#[test]
fn secrets_are_their_owners_alone() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let house = House::started();
    let token = house.path("open.token");
    std::fs::write(&token, house.admin_token()).expect("a token");
    let mode = |mode| std::fs::set_permissions(&token, std::fs::Permissions::from_mode(mode)).expect("a mode");
    mode(0o644);
    let said = fail(house.command(&["certs", "list", "--token-file", text(&token)]));
    assert!(said.contains("chmod 600"), "{said}");
    mode(0o600);
    house.run(&["certs", "list", "--token-file", text(&token)]);
    house.run(&["ssh", "login", "--principal", "alice"]);
    assert_eq!(std::fs::metadata(house.path(".ssh")).expect(".ssh").mode() & 0o777, 0o700);
}

#[test]
fn an_export_has_what_there_was_and_says_how_many_entries_nobody_signed_for() {
    let mut house = House::started();
    let change = |house: &House, turn: usize| {
        let out = house.path(&format!("token-{turn}"));
        house.run(&["token", "create", "more", "--role", "auditor", "--out", text(&out)]);
        house.json(&["audit", "list", "--limit", "1"])[0]["i"].as_u64().expect("the last entry")
    };
    // Nobody is told to wait: the checkpoint over what there is comes within a second.
    for turn in 1..=3 {
        let last = change(&house, turn);
        let said = house.json(&["audit", "export", text(&house.path(&format!("export-{turn}")))]);
        assert!(said["entries"].as_u64() > Some(last), "{last}: {said}");
    }
    // Where the service ended before it signed, nothing will: what is signed for is exported, and the rest is counted.
    let mut turn = 10;
    let left_out = until(PATIENCE, || {
        turn += 1;
        let last = change(&house, turn);
        house.kill();
        let said = house.json(&["audit", "export", text(&house.path(&format!("export-{turn}")))]);
        house.start();
        let (entries, left_out) = (said["entries"].as_u64(), said["left_out"].as_u64());
        assert_eq!(entries.zip(left_out).map(|(entries, left_out)| entries + left_out > last), Some(true), "{said}");
        left_out > Some(0)
    });
    assert!(left_out, "{turn} ends right after a change, and each was covered");
}

/// Runs it; it must end with `code`, and says this and not that.
fn refused(mut command: std::process::Command, code: i32, says: &str, not: &str) {
    let output = command.output().expect("the binary runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{command:?}: {said}");
    assert!(said.contains(says) && (not.is_empty() || !said.contains(not)), "{command:?}: {said}");
}

#[test]
fn a_refusal_is_said_once_with_what_to_do_about_it() {
    let house = House::started();
    for token in ["chy_0123456789abcdef_0123456789abcdef0123456789abcdef0123456789a", "chy_"] {
        let mut list = house.command(&["certs", "list"]);
        list.env("CHANCERY_TOKEN", token);
        refused(list, 3, "try: pass another token", "because");
    }
    let auditor = house.path("auditor.token");
    house.run(&["token", "create", "eyes", "--role", "auditor", "--out", text(&auditor)]);
    let out = house.path("x");
    let issue = ["--token-file", text(&auditor), "issue", "tls", "www.example.internal", "--out", text(&out)];
    refused(house.command(&issue), 3, "try: an administrator gives it", "because");
    let typo = ["--config", "chancry/chancery.toml", "certs", "list"];
    refused(house.command(&typo), 1, "there is no client.toml beside chancry/chancery.toml", "");

    // What is no token is not sent to anybody: nobody listens there.
    for token in ["", "garbage\n"] {
        let path = house.path("none");
        std::fs::write(&path, token).expect("a file");
        let mut login =
            house.command(&["login", "--url", "https://localhost:1", "--cacert", text(&house.ca("roots.pem"))]);
        login.stdin(std::fs::File::open(&path).expect("a file"));
        refused(login, 1, "admin.token", "reach");
    }

    let out = house.path("y");
    let of = |flags: &[&str]| {
        house.command(&[&["issue", "tls", "www.example.internal", "--out", text(&out)], flags].concat())
    };
    refused(of(&["--owner", "defualt"]), 3, "owner defualt, which the configuration does not have", "");
    refused(of(&["--validity", "400d"]), 1, "a lifetime of 400 d; profile tls-server allows 1 min to 90 d", "");
    refused(house.command(&["issue", "tls", "--out", text(&out)]), 2, "there is no name to certify", "");
    let german = house.command(&["issue", "tls", "bücher.example.internal", "--out", text(&out)]);
    refused(german, 1, "xn--", "IA5String");
    let roots = house.ca("roots.pem");
    let said = fail(house.command(&["audit", "verify", "--no-token", "--key", text(&roots)]));
    assert!(said.len() < 400 && said.contains("verifier key"), "{said}");
    refused(
        house.command(&["ssh", "sign-user", text(&roots), "--principal", "alice"]),
        1,
        "not an OpenSSH public key",
        "4096",
    );
    let token = ["token", "create", "x", "--role", "issuer", "--owner", "nosuch", "--show"];
    refused(house.command(&token), 1, "no owner `nosuch`", "");
    refused(house.command(&["token", "create", "x", "--role", "king", "--show"]), 2, "code-signer", "system");
    for (flag, wrong, right) in [
        ("--state", "live", &["issued", "expired", "revoked", "intended", "failed"][..]),
        ("--renewer", "me", &["server", "agent", "acme", "nobody"]),
        ("--kind", "tls", &["certificate", "ca-certificate", "ssh", "ssh-user", "ssh-host", "code-signature", "crl"]),
    ] {
        refused(house.command(&["certs", "list", flag, wrong]), 2, right[0], "");
        for one in right {
            house.run(&["certs", "list", flag, one]);
        }
    }
    refused(house.command(&["certs", "list", "--ends-before", "2026-12"]), 2, "--ends-before", "expires_to");
}

#[test]
fn a_table_tells_rows_apart_and_names_what_each_is_of() {
    let house = House::started();
    succeed(command("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", text(&house.path("id"))]));
    house.run(&["ssh", "sign-user", text(&house.path("id.pub")), "--principal", "alice"]);
    for folder in ["one", "two"] {
        house.run(&["issue", "tls", "www.example.internal", "--out", text(&house.path(folder))]);
    }
    house.run(&["issue", "code", "--key", "release", "--out", text(&house.path("code"))]);
    std::fs::write(house.path("a.gz"), "x").expect("a file");
    house.run(&["sign", text(&house.path("a.gz")), "--key", "release", "--format", "raw"]);
    let all = house.run(&["certs", "list"]);
    assert!(all.contains("alice (ssh-user)") && all.lines().any(|row| row.ends_with(" release")), "{all}");
    let rows = |state: &str| all.lines().filter(|row| row.contains(state) && row.contains("www.example")).count();
    assert_eq!((rows(" replaced "), rows(" issued ")), (1, 1), "{all}");
    for (kind, name) in
        [("ca-certificate", "Chancery Root CA"), ("crl", "CRL "), ("code-signature", "a.gz sha256:2d711642b726b044")]
    {
        let list = house.run(&["certs", "list", "--kind", kind]);
        assert!(list.contains(name), "{kind}: {list}");
    }
    let signed = house.run(&["sign", text(&house.path("a.gz")), "--list"]);
    let row = signed.lines().nth(2).expect("a row");
    assert!(signed.starts_with("ENTRY") && row.contains("this") && row.contains("a.gz"), "{signed}");

    // An SSH certificate is there, and is neither PEM nor renewed.
    let ssh = house.json(&["certs", "list", "--kind", "ssh"])[0]["serial"].as_str().expect("a serial").to_owned();
    refused(house.command(&["certs", "show", &ssh, "--pem"]), 1, "an SSH certificate: there is no PEM of it", "");
    let out = house.path("renewed");
    refused(
        house.command(&["certs", "renew", &ssh, "--out", text(&out)]),
        1,
        "an SSH certificate, which is not renewed",
        "404",
    );

    // An entry of the log says what it is about.
    house.run(&["token", "create", "ci", "--role", "auditor", "--out", text(&house.path("ci"))]);
    let tokens = house.json(&["token", "list"]);
    let id = tokens.as_array().expect("tokens").iter().find(|token| token["name"] == "ci").expect("ci")["id"].clone();
    let log = house.run(&["audit", "list"]);
    for word in [id.as_str().expect("an id"), &ssh[..16]] {
        assert!(log.contains(word), "{word} is missing:\n{log}");
    }
    let mut narrow = house.command(&["audit", "list"]);
    narrow.env("COLUMNS", "80");
    let narrow = succeed(narrow);
    assert!(narrow.lines().all(|line| line.chars().count() <= 80), "{narrow}");
}
