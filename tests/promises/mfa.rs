//! Administrators prove a second factor: what their token alone does not do, what a code does, and what is left where the device is lost.
//!
//! The codes are made by python's standard library, which knows nothing of ours.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::house::{House, PATIENCE, PYTHON, command, fail, status, succeed, text, until};
use crate::postgres::Postgres;

/// A house as `init` leaves it where nobody says that it is a demo.
fn house(more: &[&str]) -> House {
    let mut house = House::with(more);
    house.start();
    house
}

/// The code of a seed, so many seconds from now.
fn code(secret: &str, after: u32) -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/totp.py");
    succeed(command(PYTHON, &[script, secret, &after.to_string()])).trim().to_owned()
}

/// A command with a line on standard input, and no terminal.
fn told(mut command: Command, line: &str) -> Output {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    child.stdin.take().expect("its input").write_all(format!("{line}\n").as_bytes()).expect("a line");
    child.wait_with_output().expect("it ends")
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn logs_in(house: &House, code: &str) -> Output {
    told(house.command(&["login", "--mfa"]), code)
}

/// Enrols the caller of these arguments; the seed, and the codes on paper.
fn enrolled(house: &House, caller: &[&str]) -> (String, Vec<String>) {
    let seed = succeed(house.command(&[caller, &["mfa", "enrol", "--json"]].concat()));
    let seed: Value = serde_json::from_str(&seed).expect("JSON");
    let secret = seed["secret"].as_str().expect("a seed").to_owned();
    assert!(
        seed["uri"].as_str().is_some_and(|uri| uri.starts_with("otpauth://totp/Chancery%20") && uri.contains(&secret)),
        "{seed}"
    );
    let paper = house.path(&format!("paper-{}", secret.get(..8).expect("a seed")));
    let confirm = house.command(&[caller, &["mfa", "confirm", "--out", text(&paper)]].concat());
    let confirmed = told(confirm, &code(&secret, 0));
    assert!(confirmed.status.success(), "{}", said(&confirmed));
    assert_eq!(std::fs::metadata(&paper).expect("paper").permissions().mode() & 0o777, 0o600);
    let codes: Vec<String> = std::fs::read_to_string(&paper).expect("paper").lines().map(str::to_owned).collect();
    assert_eq!(codes.len(), 10);
    assert!(!said(&confirmed).contains(&codes[0]), "what goes to a file is not printed");
    (secret, codes)
}

/// The id in a token's text.
fn id(token: &str) -> String {
    token.get(4..20).expect("an id").to_owned()
}

/// What of the log has this word in it.
fn leaves(house: &House, word: &str) -> Vec<Value> {
    let page = house.curl_admin(&[&house.https("/api/v1/audit?limit=200")]).json();
    let items = page["items"].as_array().expect("leaves");
    items.iter().filter(|leaf| leaf.to_string().contains(word)).cloned().collect()
}

#[test]
fn an_administrators_token_alone_changes_and_shows_nothing() {
    proved_before_anything_is_done(house(&[]));
}

#[test]
fn an_administrators_token_alone_changes_and_shows_nothing_on_postgresql() {
    let postgres = Postgres::start();
    proved_before_anything_is_done(house(&["--database", &postgres.url()]));
}

fn proved_before_anything_is_done(mut house: House) {
    // Refused, with what to do, a type that scripts know, the challenge of RFC 9470, and a leaf.
    let refused = house.output(&["token", "list"]);
    assert_eq!(refused.status.code(), Some(3), "{}", said(&refused));
    assert!(
        said(&refused).contains("chancery login --mfa") && said(&refused).contains("chancery mfa enrol"),
        "{}",
        said(&refused)
    );
    let answer = house.curl_admin(&[&house.https("/api/v1/tokens")]);
    assert_eq!((answer.status, answer.json()["type"].as_str()), (401, Some("urn:chancery:problem:second-factor")));
    let challenge = answer.header("www-authenticate").expect("a challenge");
    assert!(challenge.contains("insufficient_user_authentication"), "{challenge}");
    let refusals = leaves(&house, "\"rule\":\"second-factor\"");
    assert!(refusals.iter().all(|leaf| leaf["event"] == "refuse" && leaf["actor"]["proof"] == "token"), "{refusals:?}");
    assert_eq!(refusals.len(), 2);
    // The everyday certificate, the brake, and whoever looks wait for nobody; that one factor is all there is, is told.
    house.run(&["issue", "tls", "localhost", "--out", text(&house.path("tls"))]);
    let alarms = house.curl_admin(&[&house.https("/api/v1/status")]).json()["alarms"].to_string();
    assert!(alarms.contains("Administrators without a second factor: admin ("), "{alarms}");
    let metrics = house.curl_admin(&[&house.https("/metrics")]).text();
    assert!(metrics.contains("admin_tokens_without_second_factor 1"), "{metrics}");

    // A wrong first code makes nothing; the right one does, and is a login. Who begins again has another seed.
    house.json(&["mfa", "enrol"]);
    let wrong = told(house.command(&["mfa", "confirm"]), "nothing of the kind");
    assert_eq!(wrong.status.code(), Some(3), "{}", said(&wrong));
    assert_eq!(house.json(&["mfa", "status"])["state"], "pending");
    let (secret, paper) = enrolled(&house, &[]);
    let standing = house.json(&["mfa", "status"]);
    assert_eq!((&standing["state"], &standing["codes_left"]), (&"active".into(), &10.into()));
    assert!(house.run(&["token", "list"]).contains("admin"));
    let reader = house.path("reader.token");
    house.run(&["token", "create", "app", "--role", "secret-reader", "--owner", "default", "--out", text(&reader)]);
    let made = leaves(&house, "\"kind\":\"api-token\"");
    let made = made.iter().find(|leaf| leaf["actor"]["id"] == "token:admin").expect("the token's leaf");
    assert_eq!(made["actor"]["proof"], "token+totp", "{made}");
    assert!(!house.curl_admin(&[&house.https("/api/v1/status")]).text().contains("without a second factor"));

    // A machine does as before: its role is its bound.
    let mut put = house.command(&["secret", "put", "prod/a", "--owner", "default"]);
    put.env("HOME", house.path(""));
    assert!(told(put, "opened by few").status.success());
    let read = ["--token-file", text(&reader), "secret", "get", "prod/a", "--field", "value"];
    assert_eq!(house.run(&read).trim(), "opened by few");

    // Whoever copies the token's file has one factor; the login beside another token is worth nothing.
    let thief = house.path("thief");
    std::fs::create_dir(&thief).expect("a home");
    let stolen = fail({
        let mut get = house.command(&["secret", "get", "prod/a", "--field", "value"]);
        get.env("HOME", &thief);
        get
    });
    assert!(stolen.contains("second factor") && !stolen.contains("opened by few"), "{stolen}");
    let kept = house.path(".config/chancery/logins").join(id(&house.admin_token()));
    assert_eq!(std::fs::metadata(&kept).expect("a login").permissions().mode() & 0o777, 0o600);
    let login = std::fs::read_to_string(&kept).expect("a login");
    let other = house.path("other.token");
    house.run(&["token", "create", "other", "--role", "admin", "--out", text(&other)]);
    let with = |token: &str, login: &str| {
        let (bearer, login) =
            (format!("Authorization: Bearer {}", token.trim()), format!("Chancery-Second-Factor: {login}"));
        house.curl(&["-H", &bearer, "-H", &login, &house.https("/api/v1/tokens")]).status
    };
    let other = std::fs::read_to_string(&other).expect("a token");
    assert_eq!((with(&house.admin_token(), &login), with(&other, &login), with(&other, "x")), (200, 401, 401));

    // A code counts once, of three that come at once too, and through a kill; one from paper once as well.
    let next = code(&secret, 30);
    let (url, body) = (house.https("/api/v1/second-factor/prove"), format!("{{\"code\":\"{next}\"}}"));
    let at_once = std::thread::scope(|scope| {
        let post = || house.curl_admin(&["-H", "content-type: application/json", "-d", &body, &url]).status;
        let tried: Vec<_> = (0..3).map(|_| scope.spawn(post)).collect();
        tried.into_iter().filter_map(|tried| tried.join().ok()).filter(|status| *status == 200).count()
    });
    assert_eq!(at_once, 1);
    house.kill();
    house.start();
    let again = logs_in(&house, &next);
    assert_eq!(again.status.code(), Some(3), "{}", said(&again));
    assert!(said(&again).contains("it was used"), "{}", said(&again));
    assert!(logs_in(&house, &paper[0]).status.success());
    assert_eq!(logs_in(&house, &paper[0]).status.code(), Some(3));
    assert_eq!(house.json(&["mfa", "status"])["codes_left"], 9);

    // Guesses wait, through a kill too, and the paper counts meanwhile.
    let tried = (0..10).map(|_| logs_in(&house, "000000 0")).find(|tried| tried.status.code() == Some(4));
    let tried = tried.expect("a wait within ten");
    assert!(said(&tried).contains("Too many wrong codes"), "{}", said(&tried));
    house.kill();
    house.start();
    assert_eq!(logs_in(&house, &code(&secret, 30)).status.code(), Some(4), "a restart forgives nothing");
    assert!(logs_in(&house, &paper[1].to_uppercase()).status.success());
    assert!(house.json(&["report", "--since", "1d"])["proofs"].to_string().contains("token+recovery-code"));

    // Nothing of it lies where it can be read.
    house.stop();
    let raw =
        succeed(command(PYTHON, &["-c", "import base64,sys;print(base64.b32decode(sys.argv[1]).hex())", &secret]));
    let raw: Vec<u8> = (0..20).map(|at| u8::from_str_radix(&raw[2 * at..2 * at + 2], 16).expect("hex")).collect();
    let login_secret = login.trim().get(21..).expect("a secret").to_owned();
    let canaries =
        [secret.as_bytes(), &raw, paper[2].as_bytes(), paper[2].replace('-', "").as_bytes(), login_secret.as_bytes()]
            .map(<[u8]>::to_vec);
    for file in ["ca/chancery.db", "ca/chancery.db-wal", "server.log"] {
        let Ok(bytes) = std::fs::read(house.path(file)) else { continue };
        for canary in &canaries {
            assert!(!bytes.windows(canary.len()).any(|window| window == canary.as_slice()), "{file} has a canary");
        }
    }
    succeed(house.command(&["audit", "verify", "--key", text(&house.ca("log.vkey"))]));
}

#[test]
fn a_lost_device_is_reset_by_another_and_the_last_ones_on_the_host() {
    let house = house(&[]);
    let (_, paper) = enrolled(&house, &[]);
    let second = house.path("second.token");
    house.run(&["token", "create", "second", "--role", "admin", "--out", text(&second)]);
    let by_second = ["--token-file", text(&second)];
    let second_id = id(&std::fs::read_to_string(&second).expect("a token"));
    let first_id = id(&house.admin_token());

    // Nobody enrols over what counts, resets without a second factor of his own, or resets his own.
    let told_so = fail(house.command(&["mfa", "enrol"]));
    assert!(told_so.contains("chancery mfa remove") && told_so.contains("chancery mfa reset"), "{told_so}");
    let reset = ["mfa", "reset", &first_id, "--reason", "the telephone was lost"];
    let one_factor = house.output(&[&by_second[..], &reset].concat());
    assert_eq!(one_factor.status.code(), Some(3), "{}", said(&one_factor));
    enrolled(&house, &by_second);
    let own = fail(house.command(&[&by_second[..], &["mfa", "reset", &second_id, "--reason", "why not"]].concat()));
    assert!(own.contains("Nobody resets his own"), "{own}");

    // The other one does, with a reason that the log keeps; what the first proved is over at once, and its paper too.
    assert!(house.run(&["token", "list"]).contains("second"));
    succeed(house.command(&[&by_second[..], &reset].concat()));
    assert_eq!(house.output(&["token", "list"]).status.code(), Some(3));
    assert_eq!(logs_in(&house, &paper[0]).status.code(), Some(1), "there is none to prove");
    let listed = succeed(house.command(&[&by_second[..], &["mfa", "list", "--json"]].concat()));
    let listed: Value = serde_json::from_str(&listed).expect("JSON");
    let of = |id: &str| {
        listed.as_array().into_iter().flatten().find(|one| one["id"] == *id).expect("a token")["state"].clone()
    };
    assert_eq!((of(&first_id), of(&second_id)), ("none".into(), "active".into()));

    // The last one lost everything: on the host, with the PIN, aloud.
    let rescue = ["mfa", "rescue", &second_id, "--reason", "fell into the lake"];
    let rescued = house.output(&rescue);
    assert!(rescued.status.success() && said(&rescued).contains("an alarm tells of it"), "{}", said(&rescued));
    assert!(said(&house.output(&rescue)).contains("has no second factor"), "once");
    // The service follows what was written beside it.
    let list = [&by_second[..], &["token", "list"]].concat();
    assert!(until(PATIENCE, || house.output(&list).status.code() == Some(3)), "what it proved goes on");
    let alarms = house.curl_admin(&[&house.https("/api/v1/status")]).json()["alarms"].to_string();
    assert!(alarms.contains("chancery mfa rescue") && alarms.contains("fell into the lake"), "{alarms}");
    enrolled(&house, &by_second);
    assert!(succeed(house.command(&[&by_second[..], &["token", "list"]].concat())).contains("second"));
    // Its own, with a code of it, by whom it is.
    succeed(house.command(&[&by_second[..], &["mfa", "remove"]].concat()));
    assert_eq!(house.output(&[&by_second[..], &["token", "list"]].concat()).status.code(), Some(3));
    let verified = house.run(&["audit", "verify"]);
    assert!(verified.contains("fell into the lake"), "{verified}");
}

#[test]
fn at_a_terminal_a_command_asks_for_the_code_and_goes_on() {
    let house = house(&[]);
    let (secret, _) = enrolled(&house, &[]);
    std::fs::remove_dir_all(house.path(".config/chancery/logins")).expect("no login");
    assert_eq!(house.output(&["token", "list"]).status.code(), Some(3), "nobody to ask");
    let binary = env!("CARGO_BIN_EXE_chancery");
    let environment = house.command(&[]);
    let mut script = Command::new("script");
    script.args(["-qec", &format!("{binary} token list"), "/dev/null"]);
    for (name, value) in environment.get_envs() {
        match value {
            Some(value) => script.env(name, value),
            None => script.env_remove(name),
        };
    }
    let mut script = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("script, of bsdutils");
    let (mut keyboard, mut screen) = (script.stdin.take().expect("keys"), script.stdout.take().expect("a screen"));
    let mut shown = Vec::new();
    while !String::from_utf8_lossy(&shown).contains("Code of your second factor") {
        let mut byte = [0; 1];
        assert_eq!(screen.read(&mut byte).expect("a screen"), 1, "{}", String::from_utf8_lossy(&shown));
        shown.push(byte[0]);
    }
    let typed = code(&secret, 30);
    keyboard.write_all(format!("{typed}\n").as_bytes()).expect("keys");
    screen.read_to_end(&mut shown).expect("the rest");
    let shown = String::from_utf8_lossy(&shown).into_owned();
    assert!(script.wait().expect("it ends").success(), "{shown}");
    assert!(shown.contains("admin") && !shown.contains(&typed), "the list, and nothing of the code: {shown}");
    assert!(status(&mut house.command(&["token", "list"])), "the login is kept");
}

#[test]
fn a_browser_proves_it_for_its_session() {
    let house = house(&[]);
    let (secret, _) = enrolled(&house, &[]);
    house.run(&["issue", "code", "--key", "demo", "--out", text(&house.path("code"))]);
    let form = format!("token={}", house.admin_token());
    let signed_in = house.curl(&["-d", &form, &house.https("/login")]);
    let cookie = signed_in.header("set-cookie").expect("a session");
    let cookie = format!("Cookie: {}", cookie.split(';').next().expect("a pair"));
    let page = house.curl(&["-H", &cookie, &house.https("/second-factor")]);
    assert_eq!(page.status, 200);
    assert!(page.text().contains("one-time-code"));
    let post = |code: &str, more: &[&str]| {
        let data = format!("code={code}");
        house.curl(&[&["-H", &cookie, "-d", &data, &house.https("/second-factor")][..], more].concat())
    };
    let foreign = post(&code(&secret, 30), &["-H", "sec-fetch-site: cross-site"]);
    assert_eq!(foreign.status, 403, "a form of another site");
    let wrong = post("x", &[]);
    assert!(wrong.status == 401 && wrong.text().contains("does not count"), "{}", wrong.text());
    assert_eq!(post(&code(&secret, 30), &[]).status, 303);
    assert_eq!(house.curl(&[&house.https("/second-factor")]).header("location").as_deref(), Some("/login"));
}
