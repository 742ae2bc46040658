//! A service that behaves: it reads its configuration again instead of ending, a log that takes nothing costs nothing but lines, it
//! says what it would do, and it writes to no file that is gone.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::process::{Child, Output, Stdio};

use serde_json::Value;

use crate::house::{House, PATIENCE, SOFTHSM, command, fail, status, succeed, text, until};
use crate::postgres::Postgres;

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn issue(house: &House, name: &str) -> Output {
    let host = format!("{name}.example.internal");
    house.output(&["issue", "tls", &host, "--out", text(&house.path(name))])
}

/// Sends SIGHUP and waits until the server's log says a word once more.
fn reload(house: &House, word: &str) {
    let before = house.server_log().matches(word).count();
    house.signal("HUP");
    let read = until(PATIENCE, || house.server_log().matches(word).count() > before);
    assert!(read, "{word}: {}", house.server_log());
}

/// The newest leaf of a part that changed, with what changed, as `audit show` tells it.
fn change(house: &House, part: &str) -> Value {
    let log = house.server_log();
    let line = log.lines().rev().find(|line| line.contains("in force") && line.contains(&format!("part=\"{part}\"")));
    let entry = line.and_then(|line| line.split("entry=").nth(1)).unwrap_or_else(|| panic!("{part}: {log}"));
    let entry: String = entry.chars().take_while(char::is_ascii_digit).collect();
    house.json(&["audit", "show", &entry])["change"].clone()
}

#[test]
fn a_hangup_reads_the_configuration_again_and_ends_nothing() {
    let house = House::started();
    assert_eq!(issue(&house, "before").status.code(), Some(0));
    let refused = house.output(&["issue", "tls", "www.new.test", "--owner", "new", "--out", text(&house.path("no"))]);
    assert_eq!(refused.status.code(), Some(3), "{}", said(&refused));

    // Owners, a policy, a profile, the limits and the log level in one go.
    let more = "names = [\"localhost\", \"127.0.0.1\"]\nlog = \"debug\"";
    house.configure("names = [\"localhost\", \"127.0.0.1\"]", more);
    house.append("\n[server.limits]\nconnections = 700\n[[owner]]\nname = \"new\"\ndns = [\"*.new.test\"]\n");
    let operator = house.ca("policies/operator.cedar");
    let policy = fs::read_to_string(&operator).expect("a policy");
    fs::write(&operator, policy.replace("Action::\"renew-certificate\",\n", "")).expect("written");
    let profile = house.ca("profiles/tls-client.toml");
    let text_of_it = fs::read_to_string(&profile).expect("a profile");
    let shorter: String = text_of_it
        .lines()
        .map(|line| {
            if line.starts_with("default_validity") {
                "default_validity = \"1d\"\n".to_owned()
            } else {
                format!("{line}\n")
            }
        })
        .collect();
    fs::write(&profile, &shorter).expect("written");
    reload(&house, "the configuration was read again");
    house.run(&["issue", "tls", "www.new.test", "--owner", "new", "--out", text(&house.path("new"))]);

    let owners = change(&house, "owners");
    assert!(owners["changed"].to_string().contains("*.new.test"), "{owners}");
    assert!(owners["hash"].as_str().is_some_and(|hash| hash.len() == 64) && owners["before"] != owners["hash"]);
    assert!(change(&house, "limits")["changed"].to_string().contains("+ connections = 700"));
    assert!(change(&house, "log level")["changed"].to_string().contains("+ debug"));
    assert!(change(&house, "policies")["changed"].to_string().contains("renew-certificate"));
    if shorter != text_of_it {
        assert!(change(&house, "profile tls-client")["changed"].to_string().contains('+'));
    }
    assert!(house.server_log().contains("DEBUG"), "the level is in force");

    // A mistake, wherever it is, keeps all of what was in force.
    let good = fs::read_to_string(house.ca("chancery.toml")).expect("chancery.toml");
    let size = |house: &House| house.curl_admin(&[&house.https("/api/v1/audit?limit=1")]).json()["size"].as_u64();
    let leaves = size(&house);
    for (file, wrong) in [
        (house.ca("chancery.toml"), good.replace("[[owner]]", "[[owners]]")),
        (house.ca("chancery.toml"), good.replace("log = \"debug\"", "log = \"x=loud\"")),
        (operator.clone(), "permit (".to_owned()),
        (profile.clone(), "nonsense = 1".to_owned()),
    ] {
        let right = fs::read_to_string(&file).expect("read");
        fs::write(&file, wrong).expect("written");
        reload(&house, "what was in force stays");
        let alarms = house.curl_admin(&[&house.https("/api/v1/status")]).json()["alarms"].to_string();
        assert!(alarms.contains("what was in force stays"), "{alarms}");
        fs::write(&file, right).expect("written");
        assert_eq!(size(&house), leaves, "nothing became a leaf: {}", file.display());
    }
    reload(&house, "the configuration was read again");
    let status = house.curl_admin(&[&house.https("/api/v1/status")]).json();
    assert_eq!(status["alarms"].as_array().map(Vec::len), Some(0), "{status}");
    let again = house.path("again");
    house.run(&["issue", "tls", "again.new.test", "--owner", "new", "--out", text(&again)]);

    // What a running server cannot change is named.
    house.configure("http01_port = 5002", "http01_port = 5003");
    reload(&house, "wait for a restart");
    assert!(house.server_log().lines().any(|line| line.contains("wait for a restart") && line.contains("[acme]")));
    let report = house.json(&["audit", "verify"]);
    assert_eq!(report["findings_total"], 0, "{report}");
}

/// A PIN in the wrong place is the likeliest mistake, and alarms are read by many.
#[test]
fn a_mistake_in_the_configuration_is_told_in_one_line_without_what_stands_there() {
    let house = House::started();
    for (was, wrong, told) in [
        ("pin_file = ", "pin = \"CANARY\"\npin_file = ", "unknown field `pin`"),
        ("url = \"sqlite:chancery.db\"", "url = \"postgres://me:CANARY@localhost/x", "invalid basic string"),
        ("instance = 1", "instance = \"CANARY\"", "invalid type, expected u16"),
    ] {
        let right = fs::read_to_string(house.ca("chancery.toml")).expect("chancery.toml");
        house.configure(was, wrong);
        reload(&house, "what was in force stays");
        let log = house.server_log();
        let line = log.lines().last().unwrap_or_default();
        assert!(line.contains("what was in force stays") && line.contains("line ") && line.contains(told), "{log}");
        let alarms = house.curl_admin(&[&house.https("/api/v1/status")]).json()["alarms"].to_string();
        assert!(alarms.contains(told) && !alarms.contains("CANARY") && !log.contains("CANARY"), "{alarms}{log}");
        fs::write(house.ca("chancery.toml"), right).expect("written");
    }
}

#[test]
fn rules_that_everybody_may_write_are_not_taken() {
    let house = House::started();
    let mode = |path: &std::path::Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("its mode");
    };
    for (path, open, closed) in [
        (house.ca("chancery.toml"), 0o606, 0o600),
        (house.ca("policies"), 0o777, 0o700),
        (house.ca("policies/admin.cedar"), 0o646, 0o600),
        (house.ca("profiles"), 0o1777, 0o700),
    ] {
        mode(&path, open);
        reload(&house, "may be written by everybody");
        assert!(house.server_log().contains("chmod o-w"));
        mode(&path, closed);
    }
    reload(&house, "the configuration was read again");

    // What is mounted to be read alone is closed, whatever its mode is.
    let policies = house.ca("policies");
    mode(&policies, 0o777);
    let rescue = |name: &str| {
        let mut command = house.command(&["token", "rescue", "--reason", "a test", "--out"]);
        command.arg(house.path(name));
        command
    };
    assert!(fail(rescue("open")).contains("may be written by everybody"));
    if status(&mut command("sh", &["-c", "test $(id -u) = 0"])) {
        let command_line = rescue("closed");
        let words = std::iter::once(command_line.get_program()).chain(command_line.get_args());
        let words: Vec<String> = words.map(|word| format!("'{}'", word.to_string_lossy())).collect();
        let at = policies.display();
        let script = format!("set -e; mount --bind {at} {at}; mount -o remount,bind,ro {at}; exec {}", words.join(" "));
        let mut unshared = command("unshare", &["-m", "bash", "-c", &script]);
        for (name, value) in command_line.get_envs() {
            match value {
                Some(value) => unshared.env(name, value),
                None => unshared.env_remove(name),
            };
        }
        succeed(unshared);
    }
    mode(&policies, 0o700);
}

#[test]
fn limits_of_acme_are_in_force_after_a_hangup() {
    let house = House::started();
    house.append("\n[acme.limits]\naccounts_per_address_per_hour = 1\n");
    reload(&house, "the configuration was read again");
    let account = |key: &str| house.acme_post(key, "-", "newAccount", Some("{}"))["status"].clone();
    assert_eq!((account("one.pem"), account("two.pem")), (201.into(), 429.into()));
}

#[test]
fn what_changed_between_two_starts_is_in_the_log_too() {
    let mut house = House::started();
    house.stop();
    house.configure("dns = [\"localhost\"", "dns = [\"between.test\", \"localhost\"");
    house.start();
    let owners = change(&house, "owners");
    assert!(owners["changed"].to_string().contains("between.test"), "{owners}");
    house.stop();
    let before = house.server_log().matches("in force").count();
    house.start();
    assert_eq!(house.server_log().matches("in force").count(), before, "nothing changed, nothing is said");
}

#[test]
fn a_log_that_takes_nothing_costs_nothing_but_lines() {
    let mut house = House::new();
    house.launch_with(&[], Stdio::from(fs::OpenOptions::new().write(true).open("/dev/full").expect("/dev/full")));
    house.await_ready();
    assert_eq!(issue(&house, "full").status.code(), Some(0));
    assert_eq!(house.curl_admin(&[&house.https("/api/v1/status")]).status, 200);
    house.stop();
    // A pipe whose reader is gone.
    let mut reader = command("true", &[]).stdin(Stdio::piped()).spawn().expect("a reader");
    let pipe = reader.stdin.take().expect("a pipe");
    reader.wait().expect("it ends");
    house.launch_with(&[], Stdio::from(pipe));
    house.await_ready();
    assert_eq!(issue(&house, "closed").status.code(), Some(0));
    house.stop();
    // And one whose reader does not read.
    let mut reader = command("sleep", &["600"]).stdin(Stdio::piped()).spawn().expect("a reader");
    let pipe = reader.stdin.take().expect("a pipe");
    house.launch_with(&[("CHANCERY_LOG", "trace")], Stdio::from(pipe));
    house.await_ready();
    for number in 0..40 {
        assert_eq!(house.curl_admin(&[&house.https("/api/v1/status")]).status, 200, "{number}");
    }
    assert_eq!(issue(&house, "stuck").status.code(), Some(0));
    house.stop();
    let _ = reader.kill();
    let _ = reader.wait();
    // A command whose standard error takes nothing ends with its own exit code.
    let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("/dev/full");
    let refused = house.command(&["certs", "list"]).stderr(full).status().expect("it runs");
    assert_eq!(refused.code(), Some(4), "the server is not there");
}

/// A folder that is a file system of its own, with so much room.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    fn mount(at: &std::path::Path, size: &str) -> Option<SmallDisk> {
        fs::create_dir_all(at).expect("a folder");
        let options = format!("size={size},mode=0700");
        let mounted = command("mount", &["-t", "tmpfs", "-o", &options, "tmpfs", text(at)]).output().expect("mount");
        mounted.status.success().then(|| SmallDisk(at.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = command("umount", &["-l", text(&self.0)]).output();
    }
}

#[test]
fn ready_means_that_it_would_issue_now() {
    let mut house = House::new();
    house.start();
    let why = |house: &House, part: &str| {
        let answer = house.curl(&[&house.http("/readyz")]);
        (answer.status, answer.json()["why"][part].as_str().map(str::to_owned))
    };
    assert_eq!(why(&house, "hsm"), (200, None));
    // Nobody asks for anything: it finds out by itself that the tokens' folder is gone.
    fs::rename(house.path("tokens"), house.path("tokens.away")).expect("the token goes away");
    let noticed = until(PATIENCE, || why(&house, "hsm").0 == 503);
    assert!(noticed && why(&house, "hsm").1.is_some(), "{:?}", why(&house, "hsm"));
    fs::rename(house.path("tokens.away"), house.path("tokens")).expect("the token comes back");
    assert!(until(PATIENCE, || why(&house, "hsm").0 == 200), "{}", house.server_log());
    house.stop();

    // Nor does anybody have to meet a full disk first.
    let Some(_disk) = SmallDisk::mount(&house.path("disk"), "8m") else {
        eprintln!("not shown here: no file system may be mounted");
        return;
    };
    // What was not yet taken over from the write-ahead log goes along.
    let copied = r#"cp "$0" "$1"; if [ -e "$0-wal" ]; then cp "$0-wal" "$1"; fi"#;
    succeed(command("sh", &["-c", copied, text(&house.ca("chancery.db")), text(&house.path("disk"))]));
    house.configure("sqlite:chancery.db", &format!("sqlite:{}", house.path("disk/chancery.db").display()));
    house.start();
    let filler = house.path("disk/filler");
    let _ = command("dd", &["if=/dev/zero", &format!("of={}", filler.display()), "bs=4096"]).output();
    let full = (503, Some("full".to_owned()));
    assert!(until(PATIENCE, || why(&house, "register") == full), "{}", house.server_log());
    // And stays so, though the smallest write may still find its page.
    for _ in 0..60 {
        assert_eq!(why(&house, "register").0, 503, "{}", house.server_log());
    }
    let status = house.curl_admin(&[&house.https("/api/v1/status")]).json();
    assert!(status["alarms"].to_string().contains("full"), "{status}");
    fs::remove_file(filler).expect("room again");
    assert!(until(PATIENCE, || why(&house, "register").0 == 200), "{}", house.server_log());
    assert_eq!(issue(&house, "room").status.code(), Some(0));
    house.stop();
}

#[test]
fn one_ca_that_ended_leaves_the_others_ready() {
    let house = House::started();
    let der = house.path("code.cer");
    fs::write(&der, house.curl(&[&house.http("/aia/code/1.cer")]).body).expect("written");
    let told = succeed(command("openssl", &["x509", "-inform", "DER", "-noout", "-serial", "-in", text(&der)]));
    let serial = told.trim().trim_start_matches("serial=").to_lowercase();
    house.run(&["certs", "revoke", &serial, "--ca", "--reason", "cessation-of-operation"]);
    let ready = house.curl(&[&house.http("/readyz")]);
    assert_eq!(ready.status, 200, "{}", ready.text());
    assert_eq!(ready.json()["stopped"], serde_json::json!({"code": "revoked"}));
    assert_eq!(issue(&house, "still").status.code(), Some(0));
    let alarms = house.curl_admin(&[&house.https("/api/v1/status")]).json()["alarms"].to_string();
    assert!(alarms.contains("CA `code/1` is revoked"), "{alarms}");
}

#[test]
fn nothing_is_written_to_a_register_that_lost_its_name_and_a_start_makes_none() {
    let mut house = House::started();
    assert_eq!(issue(&house, "kept").status.code(), Some(0));
    let (database, aside) = (house.ca("chancery.db"), house.path("aside.db"));
    fs::rename(&database, &aside).expect("moved away");
    // Told before anybody wants to write, and nothing is acknowledged.
    let alarmed = until(PATIENCE, || {
        let status = house.curl_admin(&[&house.https("/api/v1/status")]);
        status.status == 200 && status.json()["alarms"].to_string().contains("deleted or moved")
    });
    assert!(alarmed, "{}", house.server_log());
    assert_eq!(house.curl(&[&house.http("/readyz")]).status, 503);
    let refused = issue(&house, "lost");
    assert_eq!(refused.status.code(), Some(4), "{}", said(&refused));
    // However often it is met, it is said once and then seldom.
    for number in 0..20 {
        assert_eq!(issue(&house, &format!("lost{number}")).status.code(), Some(4));
    }
    let log = house.server_log();
    let told = log.lines().filter(|line| line.contains("WARN") || line.contains("ERROR")).count();
    assert!(told < 10, "{told} lines: {log}");
    // Another file under the name is not it either.
    fs::write(&database, b"").expect("another file");
    assert_eq!(issue(&house, "lost").status.code(), Some(4));
    fs::remove_file(&database).expect("gone");
    // The same file is taken back.
    fs::rename(&aside, &database).expect("put back");
    assert!(until(PATIENCE, || issue(&house, "again").status.code() == Some(0)), "{}", house.server_log());
    house.stop();
    for file in ["chancery.db", "chancery.db-wal", "chancery.db-shm"] {
        let _ = fs::remove_file(house.ca(file));
    }
    for arguments in
        [&["serve"][..], &["audit", "verify"], &["audit", "resume", "--reason", "gone"], &["audit", "rebuild"]]
    {
        let refused = fail(house.command(arguments));
        assert!(refused.contains("there is no register at") && refused.contains("put a backup back"), "{refused}");
        assert!(!database.exists(), "{arguments:?} made one");
    }
}

#[test]
fn what_is_in_use_is_said_with_what_to_do() {
    let house = House::started();
    // The same folder again.
    let twice = fail(house.command(&["serve"]));
    assert!(twice.contains("instance 1 is in use") && twice.contains("[ca] instance"), "{twice}");
    // Another number, the same port.
    house.configure("instance = 1", "instance = 2");
    let twice = fail(house.command(&["serve"]));
    assert!(twice.contains("another program has port") && twice.contains("ss -ltnp"), "{twice}");
    house.configure("instance = 2", "instance = 1");

    // A module that needs an environment says so, and in words.
    for arguments in [&["doctor"][..], &["serve"]] {
        let mut without = house.command(arguments);
        without.env("SOFTHSM2_CONF", house.path("nowhere.conf"));
        let told = fail(without);
        assert!(told.contains("SOFTHSM2_CONF is ") && told.contains("nowhere.conf"), "{told}");
        assert!(!told.contains("PKCS11 error") && !told.contains("horrible"), "{told}");
    }
    let mut init = house.command(&["init", text(&house.path("new")), "--module", SOFTHSM, "--token-label", "test"]);
    init.args(["--pin-file", text(&house.path("pin"))]).env("SOFTHSM2_CONF", house.path("nowhere.conf"));
    let told = fail(init);
    assert!(told.contains("SOFTHSM2_CONF is ") && !house.path("new").exists(), "{told}");
    house.configure("libsofthsm2.so", "libsofthsm3.so");
    let told = fail(house.command(&["doctor"]));
    assert!(told.contains("[hsm] module in") && told.contains("libsofthsm3.so"), "{told}");
}

#[test]
fn a_second_server_with_a_taken_number_is_told_so_on_postgresql() {
    let postgres = Postgres::start();
    let (url, none) = (postgres.url(), "/nowhere");
    let refusing = House::new();
    let place = url.rfind('/').map_or(url.as_str(), |end| &url[..end]);
    refusing.configure("sqlite:chancery.db", &format!("{place}{none}"));
    let told = fail(refusing.command(&["serve"]));
    assert!(told.contains("CREATE DATABASE"), "{told}");
    // An empty database is no register, and a start makes none of it.
    refusing.configure(&format!("{place}{none}"), &url);
    let told = fail(refusing.command(&["serve"]));
    assert!(told.contains("there is no register in it") && told.contains("chancery init"), "{told}");
    let mut house = House::with(&["--demo", "--database", &postgres.url()]);
    house.start();
    house.configure("origin = ", "state = \"other\"\norigin = ");
    let told = fail(house.command(&["serve"]));
    assert!(told.contains("instance 1 is in use") && told.contains("pg_terminate_backend"), "{told}");
    // A number that its server let go of is free at once.
    house.kill();
    house.configure("state = \"other\"\n", "");
    house.start();
    assert_eq!(issue(&house, "free").status.code(), Some(0));
}

#[test]
fn what_init_and_export_write_is_for_their_owner_alone() {
    let house = House::started();
    house.run(&["audit", "export", text(&house.path("export"))]);
    let mut folders = vec![house.path("ca"), house.path("export")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let mode = fs::metadata(&path).expect("there").permissions().mode() & 0o777;
            assert_eq!(mode & 0o077, 0, "{} has mode {mode:o}", path.display());
            if path.is_dir() {
                folders.push(path);
            }
        }
        assert_eq!(fs::metadata(&folder).expect("there").mode() & 0o077, 0, "{}", folder.display());
    }
}

#[test]
fn a_password_does_not_stand_in_a_url() {
    let house = House::new();
    house.configure("sqlite:chancery.db", "postgres://me:hunter2@localhost/x");
    let told = fail(house.command(&["serve"]));
    assert!(told.contains("password_file") && !told.contains("hunter2"), "{told}");
}

#[test]
fn a_databases_password_is_read_from_its_file_at_each_connection() {
    let postgres = Postgres::start();
    let url = postgres.with_password("scribe", "first-w0rd");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("password");
    let says = |word: &str| {
        fs::write(&file, format!("{word}\n")).expect("written");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("mode");
    };
    says("first-w0rd");
    let mut house = House::with(&["--demo", "--database", &url, "--database-password-file", text(&file)]);
    house.start();
    assert_eq!(issue(&house, "one").status.code(), Some(0));
    // Changed on both sides while the server runs: whoever connects next reads the new one.
    postgres.run("ALTER ROLE scribe PASSWORD 'second-w0rd'");
    says("second-w0rd");
    postgres.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'scribe'");
    assert!(until(PATIENCE, || issue(&house, "two").status.code() == Some(0)), "{}", house.server_log());
    house.stop();
    says("not-the-w0rd");
    let told = fail(house.command(&["serve"]));
    assert!(told.contains("password") && told.contains(text(&file)), "{told}");
    // Without the file the server is told nothing, and says that it wants a word.
    let setting = fs::read_to_string(house.ca("chancery.toml")).expect("chancery.toml");
    let line = setting.lines().find(|line| line.starts_with("password_file")).expect("the setting").to_owned();
    house.configure(&line, "");
    let wanting = fail(house.command(&["serve"]));
    assert!(wanting.contains("password missing") && wanting.contains("`password_file` under [database]"), "{wanting}");
    for told in [told, house.server_log(), fs::read_to_string(house.ca("chancery.toml")).expect("chancery.toml")] {
        assert!(!told.contains("-w0rd"), "{told}");
    }
}

#[test]
fn the_process_is_closed_to_others_of_its_user() {
    // A copy that anyone may run, reading a configuration that never comes, with core dumps as large as they may be.
    let folder = tempfile::tempdir().expect("a folder");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("mode");
    let binary = folder.path().join("chancery");
    fs::copy(env!("CARGO_BIN_EXE_chancery"), &binary).expect("a copy");
    let script = "ulimit -S -c $(ulimit -H -c); exec \"$0\" --config \"$1\" doctor";
    let config = folder.path().join("config");
    succeed(command("mkfifo", &["-m", "666", text(&config)]));
    let mut waiting = command("sh", &["-c", script, text(&binary), text(&config)]);
    let is_root = fs::metadata("/proc/self").expect("proc").uid() == 0;
    if is_root {
        waiting.uid(NOBODY).gid(NOBODY);
    }
    let mut waiting = Agent(waiting.stdin(Stdio::null()).spawn().expect("it starts"));
    let proc = |file: &str| format!("/proc/{}/{file}", waiting.0.id());
    let core = || {
        let limits = fs::read_to_string(proc("limits")).unwrap_or_default();
        let line = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap_or_default().to_owned();
        line.split_whitespace().skip(4).take(2).map(str::to_owned).collect::<Vec<_>>()
    };
    assert!(until(PATIENCE, || core() == ["0", "0"]), "{:?}", core());
    // proc(5): what a process that is not dumpable has there belongs to root.
    assert!(until(PATIENCE, || fs::metadata(proc("environ")).is_ok_and(|file| file.uid() == 0)));
    assert!(waiting.0.try_wait().expect("wait").is_none(), "and it runs");
}

/// A service begins with 1,024 files where nobody says more, and its two listeners have room for twice as many connections: who
/// fills them takes no file from the token and the register.
#[test]
fn connections_leave_files_to_the_rest() {
    const FILES: usize = 400;
    let house = House::started();
    house.append("\n[server.limits]\nconnections = 1000\nconnections_per_address = 1000\n");
    let pid = house.pid().to_string();
    let files = FILES.to_string();
    succeed(command("prlimit", &["--pid", &pid, &format!("--nofile={files}:{files}")]));
    reload(&house, "takes fewer connections than configured");
    let port = |url: &str| url.rsplit(':').next().and_then(|port| port.parse().ok()).unwrap_or_else(|| panic!("{url}"));
    let listeners: [u16; 2] = [port(&house.http("")), port(&house.https(""))];
    let mut held = Vec::new();
    for _ in 0..FILES {
        held.extend(listeners.iter().filter_map(|port| std::net::TcpStream::connect(("127.0.0.1", *port)).ok()));
    }
    let open = || fs::read_dir(format!("/proc/{pid}/fd")).expect("a process").count();
    // Those that were taken in are kept, and the rest is closed; nobody waits in the kernel's queue for ever.
    let full = until(PATIENCE, || (FILES / 2..FILES - 100).contains(&open()));
    assert!(full, "{} of {FILES} files: {}", open(), house.server_log());
    assert!(!house.server_log().contains("Too many open files"), "{}", house.server_log());
    drop(held);
    assert!(until(PATIENCE, || issue(&house, "after").status.code() == Some(0)), "{}", house.server_log());
    assert!(!house.server_log().contains("healing begins"), "{}", house.server_log());
}

/// Debian's user of nothing.
const NOBODY: u32 = 65_534;

#[test]
fn a_scrape_is_what_promtool_reads_and_openmetrics_is_for_who_asks() {
    let house = House::started();
    let tls = issue(&house, "scraped");
    assert_eq!(tls.status.code(), Some(0));
    let classic = house.curl_admin(&[&house.https("/metrics")]);
    assert!(
        classic.header("content-type").is_some_and(|t| t.starts_with("text/plain; version=0.0.4")),
        "{}",
        classic.headers
    );
    let lines = classic.text();
    for line in [
        "# TYPE chancery_http_requests_total counter",
        "chancery_build_info{version=",
        "chancery_ready{part=\"hsm\"} 1",
        "chancery_ready{part=\"https\"} 1",
        "chancery_crl_next_update_timestamp_seconds{issuer=\"tls/1\"}",
        "chancery_revocations_uncovered{issuer=\"tls/1\"} 0",
        "chancery_ca_not_after_timestamp_seconds{issuer=\"root/1\"}",
        "chancery_checkpoint_timestamp_seconds",
        "chancery_api_token_first_end_timestamp_seconds",
        "chancery_signature_duration_seconds_bucket{token=\"main\",le=\"+Inf\"}",
        "chancery_signatures_waiting{token=\"main\"} 0",
        "chancery_renewals_total{outcome=\"failed\"} 0",
        "process_resident_memory_bytes",
        "process_start_time_seconds",
        "chancery_credentials_expiring{within=\"all\"}",
    ] {
        assert!(lines.contains(line), "{line} is missing in\n{lines}");
    }
    assert!(!lines.contains("# EOF") && !lines.contains("# UNIT"));
    let file = house.path("metrics.txt");
    fs::write(&file, &classic.body).expect("written");
    // tests/run.sh puts it there.
    let mut promtool = command(concat!(env!("CARGO_MANIFEST_DIR"), "/target/clients/promtool"), &["check", "metrics"]);
    promtool.stdin(fs::File::open(&file).expect("read"));
    let judged = promtool.output().expect("promtool runs");
    assert!(judged.status.success() && judged.stderr.is_empty(), "{}", said(&judged));
    let open = house.curl_admin(&["-H", "Accept: application/openmetrics-text", &house.https("/metrics")]);
    assert!(open.header("content-type").is_some_and(|t| t.starts_with("application/openmetrics-text")));
    assert!(open.text().ends_with("# EOF\n"));
    let status = house.curl_admin(&[&house.https("/api/v1/status")]).json();
    assert_eq!(status["alarms"].as_array().map(Vec::len), Some(0), "{status}");
}

#[test]
fn an_agent_reads_its_plan_again() {
    let house = House::started();
    let (web, state, plan) = (house.path("web"), house.path("agent"), house.path("plan.toml"));
    fs::create_dir_all(&web).expect("a folder");
    let certificate = |name: &str| {
        format!(
            "[[certificate]]\nname = \"{name}\"\nnames = [\"{name}.localhost\"]\n\
             files = {{ cert = \"{w}/{name}.pem\", key = \"{w}/{name}.key\", fullchain = \"{w}/{name}.chain\" }}\n\
             [certificate.source]\nkind = \"chancery\"\nurl = \"{url}\"\nca_file = \"{roots}\"\ntoken_file = \"{token}\"\n\
             owner = \"default\"\nprofile = \"tls-server\"\n",
            w = web.display(),
            url = house.https(""),
            roots = house.ca("roots.pem").display(),
            token = house.ca("admin.token").display(),
        )
    };
    let head = format!("state_dir = \"{}\"\n", state.display());
    fs::write(&plan, format!("{head}{}", certificate("one"))).expect("written");
    let log = fs::File::create(house.path("agent.log")).expect("a log");
    let mut agent = house.command(&["agent", "--plan", text(&plan)]);
    let mut agent = Agent(agent.stdin(Stdio::null()).stderr(log).spawn().expect("the agent starts"));
    let told = || fs::read_to_string(house.path("agent.log")).unwrap_or_default();
    assert!(until(PATIENCE, || web.join("one.pem").exists()), "{}", told());
    // A mistake keeps the plan that is there.
    fs::write(&plan, "nonsense = 1").expect("written");
    agent.signal("HUP");
    assert!(until(PATIENCE, || told().contains("the plan before it stays")), "{}", told());
    fs::write(&plan, format!("{head}{}{}", certificate("one"), certificate("two"))).expect("written");
    agent.signal("HUP");
    assert!(until(PATIENCE, || web.join("two.pem").exists()), "{}", told());
    assert!(agent.0.try_wait().expect("wait").is_none(), "it goes on");
}

/// An agent that ends with the test, by its process id.
struct Agent(Child);

impl Agent {
    fn signal(&self, name: &str) {
        succeed(command("kill", &[&format!("-{name}"), &self.0.id().to_string()]));
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
