//! Hands that break nothing: what a command writes over nothing, what it makes is had by somebody, what it says can be acted on.

mod lists;
mod newcomer;
mod results;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::house::{House, PATIENCE, PYTHON, command, fail, succeed, text, until};

/// What the register has: certificates, signatures, tokens. Nothing may be made that nobody holds.
fn made(house: &House) -> (usize, usize, usize) {
    let count = |arguments: &[&str]| house.json(arguments).as_array().map_or(0, Vec::len);
    let active = house.json(&["token", "list"]);
    let active = active.as_array().into_iter().flatten().filter(|token| token["state"] == "active").count();
    (count(&["certs", "list"]), count(&["certs", "list", "--kind", "code-signature"]), active)
}

/// A shell's command line, with the house's binary as `$C`, in the house's folder.
fn shell(house: &House, script: &str) -> Command {
    let mut shell = house.command(&[]);
    let binary = shell.get_program().to_owned();
    let variables: Vec<_> = shell.get_envs().map(|(k, v)| (k.to_owned(), v.map(ToOwned::to_owned))).collect();
    shell = Command::new("bash");
    for (name, value) in variables {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell.env("C", binary).current_dir(house.path("")).args(["-o", "pipefail", "-c", script]);
    shell
}

fn ssh_key(house: &House, name: &str) {
    succeed(command("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-C", name, "-f", text(&house.path(name))]));
}

/// The serial of the newest certificate for a name.
fn serial(house: &House, name: &str) -> String {
    house.json(&["certs", "list", "--name", name, "--limit", "1"])[0]["serial"].as_str().expect("a serial").to_owned()
}

#[test]
fn an_empty_variable_is_none() {
    let house = House::started();
    let mut list = house.command(&["certs", "list"]);
    for name in
        ["CHANCERY_URL", "CHANCERY_TOKEN", "CHANCERY_TOKEN_FILE", "CHANCERY_CACERT", "CHANCERY_LOG", "XDG_CONFIG_HOME"]
    {
        list.env(name, "");
    }
    succeed(list);
    let mut nowhere = house.command(&["certs", "list"]);
    nowhere.env("CHANCERY_CONFIG", "");
    assert!(fail(nowhere).contains("no server is named"));
    let mut login = house.command(&["ssh", "login", "--principal", "alice"]);
    login.env("SSH_AUTH_SOCK", "");
    succeed(login);
}

#[test]
fn exit_codes_say_whether_waiting_helps_and_try_says_what_does() {
    let house = House::started();
    let (roots, token) = (house.ca("roots.pem"), house.ca("admin.token"));
    fs::write(house.path("none.pem"), "no certificate").expect("a file");
    let torn = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
    fs::write(house.path("torn.pem"), torn).expect("a file");
    // Another authority's roots.
    succeed(command(
        "openssl",
        &[
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-keyout",
            "/dev/null",
            "-subj",
            "/CN=other",
            "-out",
            text(&house.path("other.pem")),
        ],
    ));
    let (https, plain) = (house.https(""), house.http("").replace("http:", "https:"));
    // The same listener by another name.
    let elsewhere = https.replace("localhost", "[::ffff:127.0.0.1]");
    let nobody = format!("https://localhost:{}", load::free_port());
    let ended = |url: &str, roots: &Path| {
        let output =
            house.output(&["--url", url, "--cacert", text(roots), "--token-file", text(&token), "certs", "list"]);
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    for (url, roots, code, says) in [
        (&https, house.path("none.pem"), 1, "roots.pem"),
        (&https, house.path("torn.pem"), 1, "roots.pem"),
        (&https, house.path("other.pem"), 1, "--cacert"),
        (&https, house.path("missing.pem"), 1, "missing.pem"),
        (&plain, roots.clone(), 1, "https port"),
        (&elsewhere, roots.clone(), 1, "names"),
        (&"https://no-such-host.invalid".to_owned(), roots.clone(), 1, "host's name"),
        (&house.http(""), roots.clone(), 2, "https address"),
        (&nobody, roots.clone(), 4, "chancery serve"),
        (&https, roots.clone(), 0, ""),
    ] {
        let (found, said) = ended(url, &roots);
        assert_eq!(found, Some(code), "{url} {}: {said}", roots.display());
        assert!(said.contains(says), "{url} {} lacks {says:?}: {said}", roots.display());
        let mut lines = said.lines().filter_map(|line| line.trim().split_once(": "));
        let tried = lines.clone().find(|(key, _)| *key == "try").map(|(_, tried)| tried.to_owned());
        let repeats = lines.any(|(key, line)| key != "try" && Some(line) == tried.as_deref());
        assert!(!repeats && !said.contains(" column "), "{said}");
    }
    // A token that no header can have, from a file and from the environment; what an editor adds to one.
    let known = fs::read_to_string(&token).expect("a token");
    for (content, code) in [
        (format!("{}\n# of web1\n", known.trim()), 1),
        (format!("{}\0", known.trim()), 1),
        ("\n".to_owned(), 1),
        (format!("\u{feff}{}\r\n", known.trim()), 0),
    ] {
        let (given, parts) = (house.path("given.token"), ["--url", &https, "--cacert", text(&roots), "certs", "list"]);
        fs::write(&given, &content).expect("a file");
        fs::set_permissions(&given, fs::Permissions::from_mode(0o600)).expect("a mode");
        let by_file = house.output(&[&["--token-file", text(&given)], &parts[..]].concat());
        let mut by_name = house.command(&parts);
        let by_name = by_name.env("CHANCERY_TOKEN", content.replace('\0', "\u{e9}")).output().expect("a command");
        for (output, of) in [(by_file, "given.token"), (by_name, "CHANCERY_TOKEN")] {
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(code), "{content:?}: {said}");
            assert!(code == 0 || said.contains(&format!("{of} holds no token")), "{said}");
        }
    }
    for wrong in [
        &["token", "create", "x", "--role", "king", "--show"][..],
        &["issue", "tls", "a b", "--out", "x"],
        &["issue", "tls", "www.example.internal", "--owner", "A B", "--out", "x"],
    ] {
        let said = fail(house.command(wrong));
        assert!(!said.contains(" column "), "{said}");
    }
    let refused = {
        let narrow = house.path("narrow.token");
        house.run(&["token", "create", "narrow", "--role", "auditor", "--out", text(&narrow)]);
        house.output(&[
            "--token-file",
            text(&narrow),
            "issue",
            "tls",
            "www.example.internal",
            "--out",
            text(&house.path("n")),
        ])
    };
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(3), "{said}");
    assert!(!said.contains("because: ") && said.contains("try: an administrator gives it"), "{said}");
}

#[test]
fn a_ca_and_the_last_administrator_end_only_where_it_is_said_twice() {
    let house = House::started();
    let tokens = house.json(&["token", "list"]);
    let id = tokens[0]["id"].as_str().expect("an id").to_owned();
    let said = fail(house.command(&["token", "revoke", &id]));
    assert!(said.contains("--yes-lock-me-out") && said.contains("last"), "{said}");
    // A token that cannot make others is none of those.
    let (scoped, second) = (house.path("scoped"), house.path("second"));
    house.run(&["token", "create", "scoped", "--role", "admin", "--scope", "read-certificate", "--out", text(&scoped)]);
    fail(house.command(&["token", "revoke", &id]));
    house.run(&["token", "create", "second", "--role", "admin", "--out", text(&second)]);
    house.run(&["token", "revoke", &id]);
    let with = |arguments: &[&str]| house.command(&[&["--token-file", text(&second)], arguments].concat());
    let tokens: Value = serde_json::from_str(&succeed(with(&["token", "list", "--json"]))).expect("JSON");
    let of = |name: &str| {
        let token = tokens.as_array().into_iter().flatten().find(|token| token["name"] == name).expect("the token");
        token["id"].as_str().expect("an id").to_owned()
    };

    // A CA's certificate, by its serial and by itself, on the command line and over the API.
    let issuers: Value =
        serde_json::from_str(&succeed(with(&["certs", "list", "--kind", "ca-certificate", "--json"]))).expect("JSON");
    let code =
        issuers.as_array().into_iter().flatten().find(|ca| ca["subject"].as_str().is_some_and(|s| s.contains("Code")));
    let code = code.and_then(|ca| ca["serial"].as_str()).expect("the code-signing CA").to_owned();
    let pem = house.path("ca.pem");
    fs::write(&pem, succeed(with(&["certs", "show", &code, "--pem"]))).expect("ca.pem");
    for revoke in [&["certs", "revoke", &code][..], &["certs", "revoke", "--certificate", text(&pem)]] {
        let said = fail(with(revoke));
        assert!(said.contains("--ca") && said.contains("everything that it issued"), "{said}");
    }
    let bearer = format!("Authorization: Bearer {}", fs::read_to_string(&second).expect("a token").trim());
    let url = house.https(&format!("/api/v1/certificates/{code}/revoke"));
    let post = |body: &str| house.curl(&["-H", &bearer, "-H", "Content-Type: application/json", "-d", body, &url]);
    let answer = post("{}");
    assert_eq!((answer.status, answer.json()["field"].as_str()), (409, Some("ca")), "{}", answer.text());
    succeed(with(&["certs", "revoke", &code, "--ca", "--reason", "superseded"]));

    // And the last administrator: then nobody is let in, and the way back is loud.
    let said = fail(with(&["token", "revoke", &of("second")]));
    assert!(said.contains("--yes-lock-me-out"), "{said}");
    succeed(with(&["token", "revoke", &of("second"), "--yes-lock-me-out"]));
    assert_eq!(with(&["certs", "list"]).output().expect("the binary runs").status.code(), Some(3));
    let back = house.path("back");
    fail(house.command(&["token", "rescue", "--reason", " ", "--out", text(&back)]));
    let told = fail(house.command(&["token", "rescue", "--reason", "nowhere to write", "--out", "/dev/full"]));
    assert!(told.contains("was revoked, since nobody has it"), "{told}");
    let mut rescue = house.command(&["token", "rescue", "--reason", "the last one left", "--out", text(&back)]);
    let rescued = rescue.output().expect("the binary runs");
    let said = String::from_utf8_lossy(&rescued.stderr).into_owned();
    assert!(rescued.status.success() && said.contains("alarm"), "{said}");
    assert_eq!(fs::metadata(&back).expect("the token").mode() & 0o777, 0o600);
    let with = |arguments: &[&str]| house.command(&[&["--token-file", text(&back)], arguments].concat());
    succeed(with(&["token", "create", "admin", "--role", "admin", "--out", text(&house.path("new"))]));
    let log = {
        let mut list = with(&["audit", "list", "--limit", "20"]);
        list.env("COLUMNS", "200");
        succeed(list)
    };
    assert!(log.contains("rescue") && log.contains("the last one left"), "the log keeps why:\n{log}");
    let bearer = format!("Authorization: Bearer {}", fs::read_to_string(&back).expect("a token").trim());
    let status = house.curl(&["-H", &bearer, &house.https("/api/v1/status")]);
    assert!(status.text().contains("token rescue") && status.text().contains("the last one left"), "{}", status.text());
    let verified = house.run(&["audit", "verify"]);
    assert!(verified.contains("the last one left"), "{verified}");
    // Whoever alters the word of one way back keeps no other from being told.
    let program =
        "import sqlite3,sys\nc = sqlite3.connect(sys.argv[1], timeout=30)\nc.executescript(sys.argv[2])\nc.close()";
    let sql = "UPDATE record SET body = replace(body, 'nowhere to write', 'nowhere to look') WHERE kind = 'rescue'";
    succeed(command(PYTHON, &["-c", program, text(&house.ca("chancery.db")), sql]));
    let told = || {
        let status = house.curl(&["-H", &bearer, &house.https("/api/v1/status")]);
        status.text().contains("the last one left")
            && status.text().contains("The register was altered: record kind=rescue")
    };
    assert!(until(PATIENCE, told), "{}", house.server_log());
}

#[test]
fn shells_and_man_know_the_commands() {
    let house = House::new();
    for (name, check) in [
        ("bash", "bash -n s && grep -q 'certs' s"),
        ("zsh", "grep -q '#compdef chancery' s"),
        ("fish", "grep -q 'complete -c chancery' s"),
    ] {
        succeed(shell(&house, &format!("$C completion {name} > s && {check}")));
    }
    let completed = "source <($C completion bash); COMP_WORDS=(chancery cer); COMP_CWORD=1; \
                     _chancery chancery cer chancery; echo \"${COMPREPLY[@]}\"";
    assert!(succeed(shell(&house, completed)).contains("certs"));
    let man = house.path("man");
    house.run(&["man", "--out", text(&man)]);
    for page in ["chancery.1", "chancery-issue-tls.1", "chancery-token-rescue.1"] {
        assert!(fs::read_to_string(man.join(page)).is_ok_and(|page| page.contains(".SH")), "{page}");
    }
    fail(house.command(&["man", "--out", text(&man)]));
    house.run(&["man", "--out", text(&man), "--force"]);
}

#[test]
fn the_second_person_finds_what_is_proposed_and_sees_it_before_a_yes() {
    let house = House::started();
    let (csr, key) = (house.path("many.csr"), house.path("many.key"));
    let mut openssl =
        command("openssl", &["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]);
    let subject = ["-subj", "/CN=many.example.internal", "-addext", "subjectAltName=DNS:many.example.internal"];
    openssl.args(subject).args(["-keyout", text(&key), "-out", text(&csr)]);
    succeed(openssl);
    let (body, header) = (house.path("body"), "content-type: application/json");
    let wish =
        serde_json::json!({"profile": "tls-server", "owner": "default", "csr": fs::read_to_string(&csr).unwrap()});
    fs::write(&body, wish.to_string()).expect("a body");
    let data = format!("@{}", text(&body));
    for _ in 0..101 {
        let made = house.curl_admin(&["-H", header, "-d", &data, &house.https("/api/v1/certificates")]);
        assert_eq!(made.status, 201, "{}", made.text());
    }
    assert!(house.run(&["certs", "proposals"]).contains("no proposal waits"));
    let propose = ["certs", "revoke", "--name", "many.example.internal", "--reason", "superseded", "--yes"];
    let proposed = house.json(&propose);
    assert_eq!(proposed["state"], "proposed", "{proposed}");
    let id = proposed["id"].as_str().expect("an id");
    let token = |role: &str| {
        let out = house.path(&format!("{role}.token"));
        house.run(&["token", "create", role, "--role", role, "--out", text(&out)]);
        out
    };
    let (operator, auditor) = (token("operator"), token("auditor"));
    let confirm = format!("chancery certs confirm {id}");
    for who in [&operator, &auditor] {
        let told = house.run(&["certs", "proposals", "--token-file", text(who)]);
        for word in [id, "101", "superseded", "many.example.internal", &confirm] {
            assert!(told.contains(word), "{word}: {told}");
        }
    }
    let status = house.output(&["--json", "status", "--token-file", text(&operator)]);
    assert_eq!(status.status.code(), Some(5));
    let said: Value = serde_json::from_slice(&status.stdout).expect("JSON");
    assert!(said["needs_a_hand"].to_string().contains(&confirm), "{said}");
    // Somebody of another owner learns of nothing.
    let other = house.path("other.token");
    house.run(&["token", "create", "other", "--role", "agent", "--owner", "default", "--out", text(&other)]);
    let told = house.run(&["certs", "proposals", "--token-file", text(&other)]);
    assert!(told.contains("no proposal waits"), "{told}");
    let told = house.run(&["certs", "confirm", id, "--token-file", text(&operator)]);
    assert!(told.contains("101 revoked"), "{told}");
    // The second time it is said what it was, and when.
    let again = house.run(&["certs", "confirm", id, "--token-file", text(&operator)]);
    assert!(again.contains("101 were revoked when it was confirmed, at 20"), "{again}");
    assert!(house.run(&["certs", "proposals"]).contains("no proposal waits"));
    assert_eq!(house.json(&["certs", "proposals", "--all"])[0]["state"], "confirmed");
}

#[test]
fn one_command_says_whether_all_is_well() {
    let mut house = House::started();
    let told = house.run(&["status"]);
    for word in ["all well  yes", "tls/1", "active", "root/1", "entries", "localhost"] {
        assert!(told.contains(word), "{word}: {told}");
    }
    let said = house.json(&["status"]);
    assert_eq!((&said["well"], &said["ready"]["hsm"]), (&true.into(), &true.into()));
    assert_eq!(said["needs_a_hand"].as_array().map(Vec::len), Some(0));
    // CRLs are no certificates: there are as many as a list of them has.
    let listed = house.json(&["certs", "list", "--state", "issued", "--replaced", "false", "--limit", "1000"]);
    let listed = listed
        .as_array()
        .expect("a list")
        .iter()
        .filter(|one| !matches!(one["kind"].as_str(), Some("crl" | "ocsp-batch")));
    let counted = format!("certificates  {} in force, 0 ended, 0 revoked or on hold", listed.count());
    assert!(told.contains(&counted), "{counted}: {told}");
    // Whoever is not told how it is, is not told that all is well.
    let narrow = house.path("narrow.token");
    house.run(&["token", "create", "ci", "--role", "issuer", "--owner", "default", "--out", text(&narrow)]);
    let asked = house.output(&["--token-file", text(&narrow), "status"]);
    assert_eq!(asked.status.code(), Some(3), "{asked:?}");
    assert!(asked.stdout.is_empty(), "{asked:?}");
    // A CA is over: what to do is said, with an exit code for a script.
    house.run(&["ca", "revoke", "code/1", "--reason", "cessation-of-operation", "--yes"]);
    let after = house.output(&["status"]);
    let told = String::from_utf8_lossy(&after.stdout).into_owned();
    assert_eq!(after.status.code(), Some(5), "{told}");
    assert!(told.contains("all well  no") && told.contains("chancery ca rotate code"), "{told}");
    house.stop();
    assert_eq!(house.output(&["status"]).status.code(), Some(4));
}
