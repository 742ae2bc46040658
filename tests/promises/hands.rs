//! Hands that break nothing: what a command writes over nothing, what it makes is had by somebody, what it says can be acted on.

use std::fs;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::house::{DEMO_PORTS, House, PATIENCE, command, fail, status, succeed, text, until};
use crate::pages::sign_in;

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

/// What may stand at a place, and whether a command writes there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum There {
    Nothing,
    File,
    Link,
    DanglingLink,
    Folder,
    PrivateKey,
    MissingFolder,
    Fifo,
}

const THERE: [There; 8] = [
    There::Nothing,
    There::File,
    There::Link,
    There::DanglingLink,
    There::Folder,
    There::PrivateKey,
    There::MissingFolder,
    There::Fifo,
];
const KEY: &str = "-----BEGIN PRIVATE KEY-----\nMC4=\n-----END PRIVATE KEY-----\n";

impl There {
    /// Puts it there; answers the path to write to.
    fn put(self, house: &House, name: &str) -> std::path::PathBuf {
        let path = house.path(name);
        match self {
            There::Nothing => {}
            There::File => fs::write(&path, "precious").expect("a file"),
            There::PrivateKey => fs::write(&path, KEY).expect("a key"),
            There::Link | There::DanglingLink => {
                let target = house.path(&format!("{name}.target"));
                if self == There::Link {
                    fs::write(&target, "precious").expect("a file");
                }
                symlink(&target, &path).expect("a link");
            }
            There::Folder => fs::create_dir(&path).expect("a folder"),
            There::MissingFolder => return house.path(&format!("{name}/no/such")),
            There::Fifo => succeed(command("mkfifo", &[text(&path)])).clear(),
        }
        path
    }

    /// Whether it is as it was, after a command that was to leave it alone.
    fn is_unharmed(self, path: &Path) -> bool {
        let kind = |path: &Path| fs::symlink_metadata(path).map(|found| found.file_type());
        let target = path.with_file_name(format!("{}.target", path.file_name().unwrap().to_string_lossy()));
        match self {
            There::Nothing | There::MissingFolder => !path.exists(),
            There::File => fs::read(path).is_ok_and(|bytes| bytes == b"precious"),
            There::PrivateKey => fs::read(path).is_ok_and(|bytes| bytes == KEY.as_bytes()),
            There::Link => path.is_symlink() && fs::read(target).is_ok_and(|bytes| bytes == b"precious"),
            There::DanglingLink => path.is_symlink() && !target.exists(),
            There::Folder => path.is_dir(),
            There::Fifo => kind(path).is_ok_and(|kind| kind.is_fifo()),
        }
    }
}

#[test]
fn each_command_writes_over_nothing_and_makes_nothing_that_nobody_holds() {
    let house = House::started();
    house.run(&["issue", "code", "--key", "release", "--out", text(&house.path("code"))]);
    fs::write(house.path("app"), "artefact").expect("app");
    ssh_key(&house, "id");
    let (app, public) = (house.path("app"), house.path("id.pub"));
    let commands: [(&str, Vec<&str>); 4] = [
        ("raw", vec!["sign", text(&app), "--key", "release", "--format", "raw", "--out"]),
        ("cms", vec!["sign", text(&app), "--key", "release", "--format", "cms", "--chain-out"]),
        ("ssh", vec!["ssh", "sign-user", text(&public), "--principal", "alice", "--out"]),
        ("token", vec!["token", "create", "ci", "--role", "auditor", "--out"]),
    ];
    for (name, arguments) in &commands {
        for there in THERE {
            let path = there.put(&house, &format!("{name}-{there:?}"));
            let before = made(&house);
            let whole = [&arguments[..], &[text(&path)]].concat();
            let _ = fs::remove_file(house.path("app.p7s"));
            if there == There::Fifo {
                // Written into, and still a FIFO; whoever reads has it.
                let mut reader = command("cat", &[text(&path)]);
                let reader = reader.stdout(Stdio::piped()).spawn().expect("cat");
                succeed(house.command(&whole));
                let read = reader.wait_with_output().expect("cat ends").stdout;
                assert!(!read.is_empty() && there.is_unharmed(&path), "{name} {there:?}");
                continue;
            }
            if there == There::Nothing {
                succeed(house.command(&whole));
                assert!(fs::symlink_metadata(&path).is_ok_and(|found| found.is_file()), "{name}");
                continue;
            }
            for force in [false, true] {
                if force && there == There::File {
                    continue;
                }
                let whole = [&whole[..], if force { &["--force"] } else { &[] }].concat();
                let said = fail(house.command(&whole));
                assert!(said.contains("try: "), "{name} {there:?}: {said}");
                assert!(there.is_unharmed(&path), "{name} {there:?} force {force}: {said}");
                assert_eq!(made(&house), before, "{name} {there:?} made something: {said}");
            }
            if there == There::File {
                fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("a mode");
                succeed(house.command(&[&whole[..], &["--force"]].concat()));
                let mode = fs::metadata(&path).expect("the file").mode() & 0o777;
                assert_ne!(fs::read(&path).expect("the file"), b"precious", "{name}");
                assert_eq!(mode, if *name == "token" { 0o600 } else { 0o640 }, "{name} keeps the mode");
            }
        }
    }
    let left = fs::read_dir(house.path("")).expect("the folder").flatten();
    let left: Vec<_> =
        left.map(|entry| entry.file_name()).filter(|name| name.as_bytes().starts_with(b".chancery")).collect();
    assert!(left.is_empty(), "drafts stay behind: {left:?}");
}

/// Ended while the server is asked: what is there is the key, which the answer may be for, and nothing without its end.
#[test]
fn an_interrupted_command_leaves_no_half_file() {
    let house = House::started();
    let server = std::net::TcpListener::bind("localhost:0").expect("a listener");
    let url = format!("https://{}", server.local_addr().expect("an address"));
    let out = house.path("interrupted");
    let mut issue = house.command(&["--url", &url, "--cacert", text(&house.ca("roots.pem"))]);
    issue.args(["--token-file", text(&house.ca("admin.token")), "issue", "tls", "www.example.internal", "--out"]);
    let mut issue = issue.arg(&out).stdin(Stdio::null()).spawn().expect("the command");
    let asked = server.accept().expect("a connection");
    // The key is kept before anybody is asked; who else knocks at a port of a moment does not count.
    assert!(until(PATIENCE, || out.join("key.pem").exists()), "a key");
    // As Ctrl-C does, which whoever runs tests in the background may have had ignored.
    assert!(status(Command::new("kill").arg("-TERM").arg(issue.id().to_string())), "kill");
    assert!(!issue.wait().expect("an end").success());
    drop(asked);
    let left: Vec<_> =
        fs::read_dir(&out).expect("the folder").map(|entry| entry.expect("an entry").file_name()).collect();
    assert_eq!(left, ["key.pem"]);
    // What is refused leaves no folder.
    let refused = house.path("refused");
    fail(house.command(&["issue", "tls", "www.elsewhere.test", "--out", text(&refused)]));
    assert!(!refused.exists());
}

#[test]
fn what_is_read_is_not_written_over_nor_two_results_into_one() {
    let house = House::started();
    house.run(&["issue", "code", "--key", "release", "--out", text(&house.path("code"))]);
    fs::write(house.path("g"), "artefact").expect("g");
    fs::hard_link(house.path("g"), house.path("hard")).expect("a hard link");
    ssh_key(&house, "id");
    let before = made(&house);
    for script in [
        "$C sign g --key release --format raw --out g --force",
        "$C sign g --key release --format raw --out ./g --force",
        "$C sign g --key release --format raw --out hard --force",
        "$C sign g --key release --format raw --chain-out g --force",
        "$C sign g --key release --format raw --out x --chain-out x",
        "$C sign g --key release --format raw --out - --chain-out /dev/stdout",
        "$C ssh sign-user id.pub --principal alice --out id --force",
        "$C ssh sign-user id.pub --principal alice --out id.pub --force",
        "$C ssh sign-user id --principal alice",
    ] {
        let said = fail(shell(&house, script));
        assert!(said.contains("try: "), "{script}: {said}");
    }
    assert_eq!(fs::read(house.path("g")).expect("g"), b"artefact");
    assert!(fs::read_to_string(house.path("id")).expect("id").contains("PRIVATE KEY"));
    assert!(fs::read_to_string(house.path("id.pub")).expect("id.pub").starts_with("ssh-ed25519 "));
    assert_eq!(made(&house), before);

    // A TLS pair is not given the certificate of a key in the token; its label stays free.
    let www = house.path("www");
    house.run(&["issue", "tls", "www.example.internal", "--out", text(&www)]);
    let pair = || ["key.pem", "cert.pem", "fullchain.pem"].map(|name| fs::read(www.join(name)).expect("a file"));
    let kept = pair();
    for force in [&[][..], &["--force"]] {
        let said = fail(house.command(&[&["issue", "code", "--key", "other", "--out", text(&www)], force].concat()));
        assert!(said.contains("key.pem") && said.contains("--out"), "{said}");
        fail(house.command(&[&["issue", "tls", "b.example.internal", "--out", text(&www)], force].concat()));
    }
    assert_eq!(pair(), kept);
    house.run(&["issue", "code", "--key", "other", "--out", text(&house.path("other"))]);
    // Nor does a renewal go over another's certificate, with a key beside it or without.
    let serial = house.json(&["certs", "show", &serial(&house, "www.example.internal")])["serial"].clone();
    let serial = serial.as_str().expect("a serial");
    let said = fail(house.command(&["certs", "renew", serial, "--out", text(&house.path("other"))]));
    assert!(said.contains("--force"), "{said}");
    house.run(&["certs", "renew", serial, "--out", text(&www)]);
    house.run(&["certs", "renew", serial, "--out", text(&www)]);
}

/// The serial of the newest certificate for a name.
fn serial(house: &House, name: &str) -> String {
    house.json(&["certs", "list", "--name", name, "--limit", "1"])[0]["serial"].as_str().expect("a serial").to_owned()
}

#[test]
fn devices_and_links_of_the_system_stay_what_they_are() {
    let house = House::started();
    house.run(&["issue", "code", "--key", "release", "--out", text(&house.path("code"))]);
    fs::write(house.path("app"), "artefact").expect("app");
    for out in ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"] {
        let signed =
            shell(&house, &format!("$C sign app --key release --format raw --out {out}")).output().expect("bash");
        assert!(signed.status.success(), "{out}: {}", String::from_utf8_lossy(&signed.stderr));
        // The signature alone, in DER: the words are on standard error.
        assert_eq!(
            (signed.stdout.first(), usize::from(signed.stdout[1]) + 2),
            (Some(&0x30), signed.stdout.len()),
            "{out}"
        );
        assert!(String::from_utf8_lossy(&signed.stderr).contains("sha-256"), "{out}");
    }
    assert!(Path::new("/dev/stdout").is_symlink());
    let appended =
        "echo before > log; $C ssh ca >> log; $C sign app --key release --format raw --out /dev/stdout >> log";
    succeed(shell(&house, appended));
    assert!(fs::read(house.path("log")).expect("the log").starts_with(b"before\n"), "what was there stays");
    succeed(shell(&house, "$C sign app --key release --format raw --out /dev/null"));
    assert!(fs::metadata("/dev/null").expect("/dev/null").file_type().is_char_device());
    let said = fail(shell(&house, "$C sign app --key release --format raw --out /dev/full"));
    assert!(said.contains("/dev/full") && said.contains("sign again"), "{said}");
    let through = shell(&house, "$C sign app --key release --format raw --out >(wc -c > count); sleep 0; cat count");
    assert!(status(&mut { through }), "a process substitution is a stream");
}

#[test]
fn a_command_whose_words_cannot_be_written_fails_and_takes_back_what_nobody_got() {
    let house = House::started();
    house.run(&["issue", "tls", "www.example.internal", "--out", text(&house.path("www"))]);
    let serial = serial(&house, "www.example.internal");
    let before = made(&house);
    for script in [
        "$C certs list >/dev/full",
        "$C certs list --json >/dev/full",
        "$C certs show SERIAL >/dev/full",
        "$C certs show SERIAL --pem >/dev/full",
        "$C audit list >/dev/full",
        "$C audit verify >/dev/full",
        "$C token list >/dev/full",
        "$C ssh ca >/dev/full",
        "$C doctor >/dev/full",
        "$C --help >/dev/full",
        "$C completion bash >/dev/full",
        "$C token create x --role auditor --show >/dev/full",
        "$C token create x --role auditor --show --json >/dev/full",
        "$C token create x --role auditor --out - >/dev/full",
        "$C token create x --role auditor --out /dev/full",
        "$C token create x --role auditor --show | true",
    ] {
        let ended = shell(&house, &script.replace("SERIAL", &serial)).stdin(Stdio::null()).output().expect("bash");
        assert_eq!(ended.status.code(), Some(1), "{script}: {}", String::from_utf8_lossy(&ended.stderr));
    }
    assert_eq!(made(&house), before, "no token is left that nobody has");
    let revoked = house.json(&["token", "list"]);
    let revoked = revoked.as_array().into_iter().flatten().filter(|token| token["name"] == "x");
    assert_eq!(revoked.filter(|token| token["state"] == "revoked").count(), 5, "five were made and taken back");
    // A reader that has enough is no failure.
    succeed(shell(&house, "$C certs list | true; $C --help | true; $C certs list | head -n 1"));
}

#[test]
fn nothing_is_signed_for_a_disk_that_is_full() {
    let house = House::started();
    house.run(&["issue", "code", "--key", "release", "--out", text(&house.path("code"))]);
    fs::write(house.path("app"), "artefact").expect("app");
    ssh_key(&house, "id");
    let before = made(&house);
    // A file system of one page beside what it takes itself, in a mount namespace of its own.
    let root = status(&mut command("sh", &["-c", "test $(id -u) = 0"]));
    let unshare = if root { "unshare -m" } else { "unshare -rm" };
    let script = format!(
        "{unshare} bash -c 'mkdir -p full && mount -t tmpfs -o size=8k tmpfs full && cp id.pub app full/ && \
         for i in \"sign app --key release --format raw --out full/s\" \"token create x --role auditor --out full/t\" \
         \"issue tls a.example.internal --out full\" \"ssh sign-user id.pub --principal a --out full/c\"; do \
         $C $i && exit 9; done; ls -A full | wc -l'"
    );
    let said = succeed(shell(&house, &script));
    assert_eq!(said.trim(), "2", "nothing is left but what was put there");
    assert_eq!(made(&house), before, "nothing was made");
}

#[test]
fn what_is_signed_is_read_once_and_its_name_is_a_note() {
    let house = House::started();
    house.run(&["issue", "code", "--key", "release", "--out", text(&house.path("code"))]);
    fs::write(house.path("app"), "artefact").expect("app");
    ssh_key(&house, "id");
    let public = "openssl x509 -in code/cert.pem -noout -pubkey > release.pub";
    for script in [
        public,
        "cat app | $C sign - --key release --format raw --out s1",
        "cat app | $C sign /dev/stdin --key release --format raw --out s2",
        "mkfifo f; cat app > f & $C sign f --key release --format raw --out s3",
        "$C sign <(cat app) --key release --format raw --out s4",
        "for s in s1 s2 s3 s4; do openssl dgst -sha256 -verify release.pub -signature $s app || exit 1; done",
        "cat id.pub | $C ssh sign-user - --principal alice --out c1 && ssh-keygen -L -f c1",
        "cat id.pub | $C ssh sign-user /dev/stdin --principal alice --out c2 && ssh-keygen -L -f c2",
    ] {
        succeed(shell(&house, script));
    }
    fail(shell(&house, "cat app | $C sign - --key release --format raw"));
    // Any bytes: neither the terminal nor the register gets them raw.
    let name = std::ffi::OsStr::from_bytes(b"a\x1b[31m\xff\xe2\x80\xae.bin");
    let path = house.path("").join(name);
    fs::write(&path, "artefact").expect("a file");
    let mut sign = house.command(&["sign", "--key", "release", "--format", "raw"]);
    let signed = sign.arg(&path).output().expect("the binary runs");
    assert!(signed.status.success(), "{}", String::from_utf8_lossy(&signed.stderr));
    let said = String::from_utf8(signed.stdout).expect("text");
    assert!(said.contains("a\\u{1b}[31m\\xff\\u{202e}.bin.sig") && !said.contains('\u{1b}'), "{said}");
    let mut beside = path.into_os_string();
    beside.push(".sig");
    assert!(Path::new(&beside).exists());
}

#[test]
fn a_list_is_whole_or_says_that_it_is_not_and_fits_a_terminal() {
    let house = House::started();
    for name in ["a", "b", "c"] {
        let long = format!("{name}.a-rather-long-label-of-a-service.example.internal");
        house.run(&["issue", "tls", &long, "--validity", "30d", "--out", text(&house.path(name))]);
    }
    let said = house.output(&["certs", "list", "--limit", "2"]);
    assert!(String::from_utf8_lossy(&said.stderr).contains("more than these 2"), "{said:?}");
    assert!(house.output(&["certs", "list"]).stderr.is_empty());
    for list in
        [&["certs", "list"][..], &["token", "list"], &["audit", "list"], &["certs", "list", "--expiring", "60d"]]
    {
        for (columns, widest) in [(None, 80), (Some("80"), 80), (Some("60"), 80), (Some("200"), 200)] {
            let mut listed = house.command(list);
            listed.env_remove("COLUMNS");
            if let Some(columns) = columns {
                listed.env("COLUMNS", columns);
            }
            let table = succeed(listed);
            let width = table.lines().map(|line| line.chars().count()).max().unwrap_or(0);
            assert!(width <= widest, "{list:?} has {width} columns of {widest}:\n{table}");
            assert!(!table.contains('\u{1b}'), "no colour where there is no terminal");
        }
    }
    let table = house.run(&["certs", "list"]);
    assert!(table.contains("LEFT") && table.contains("29d"), "{table}");
    let wide = {
        let mut list = house.command(&["certs", "list"]);
        list.env("COLUMNS", "200");
        succeed(list)
    };
    let whole = serial(&house, "a.a-rather-long-label-of-a-service.example.internal");
    assert!(wide.contains(&whole) && wide.contains("tls-server"), "{wide}");
    // On a terminal, unless somebody says no.
    let terminal = |environment: &str| {
        succeed(shell(
            &house,
            &format!("{environment} script -qec '$C certs list --name localhost; $C certs list' /dev/null"),
        ))
    };
    house.run(&["issue", "tls", "soon.example.internal", "--validity", "1h", "--out", text(&house.path("soon"))]);
    house.run(&["certs", "revoke", &serial(&house, "soon.example.internal")]);
    assert!(terminal("TERM=xterm").contains("\u{1b}[2m"), "what is over is faint");
    for quiet in ["TERM=xterm NO_COLOR=1", "TERM=dumb"] {
        assert!(!terminal(quiet).contains("\u{1b}[2m"), "{quiet}");
    }
    assert!(terminal("TERM=xterm NO_COLOR=").contains("\u{1b}[2m"), "an empty variable is none");
}

#[test]
fn a_list_of_more_than_a_page_is_whole_and_shown_as_it_comes() {
    const MANY: usize = 1_100;
    let mut house = House::started();
    succeed(command(
        "openssl",
        &[
            "req",
            "-new",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-keyout",
            "/dev/null",
            "-subj",
            "/CN=many.example.internal",
            "-addext",
            "subjectAltName=DNS:many.example.internal",
            "-out",
            text(&house.path("csr")),
        ],
    ));
    let bearer = format!("Authorization: Bearer {}", house.admin_token());
    let (csr, url) = (format!("@{}", house.path("csr").display()), house.https("/api/v1/certificates"));
    // One connection and one request each; what is counted is no part of the request.
    let url = format!("{url}?profile=tls-server&owner=default#[1-{MANY}]");
    let mut curl = Command::new("curl");
    curl.args(["-sS", "--parallel", "--parallel-max", "16", "--cacert", text(&house.ca("roots.pem")), "-H", &bearer]);
    curl.args(["-H", "Content-Type: application/pkcs10", "--data-binary", &csr, "-o", "/dev/null", &url]);
    curl.args(["-w", "%{http_code}\n"]);
    let codes = succeed(curl);
    assert_eq!(codes.lines().filter(|code| *code == "201").count(), MANY, "{codes}");
    let listed = |more: &[&str]| {
        house
            .json(&[&["certs", "list", "--name", "many.example.internal"], more].concat())
            .as_array()
            .map_or(0, Vec::len)
    };
    assert_eq!(listed(&[]), MANY);
    assert_eq!(listed(&["--limit", "1050"]), 1_050);
    let table = house.run(&["certs", "list", "--name", "many.example.internal"]);
    assert_eq!(
        table.lines().filter(|line| line.contains("many.example.internal")).count(),
        MANY,
        "{}",
        table.lines().take(6).collect::<Vec<_>>().join("\n")
    );
    assert_eq!(table.lines().filter(|line| line.contains("EXPIRES")).count(), 1);

    // The page's file is the list too.
    let session = sign_in(&house);
    let csv = house.curl(&["-H", &session, &house.https("/certificates.csv?q=many.example")]).text();
    assert_eq!(csv.lines().filter(|line| line.contains("dns:many.example.internal")).count(), MANY);
    assert!(csv.lines().count() == MANY + 1 && csv.starts_with("serial,"), "its head once, and nothing else");

    // What was read is shown before the rest is: the server ends while the first page waits for its reader.
    let mut listing = house.command(&["certs", "list", "--json", "--name", "many.example.internal"]);
    let mut listing = listing.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a list");
    let mut begin = [0; 3];
    let mut out = listing.stdout.take().expect("its output");
    out.read_exact(&mut begin).expect("a beginning");
    house.stop();
    let mut rest = String::new();
    out.read_to_string(&mut rest).expect("the rest");
    let end = listing.wait_with_output().expect("an end");
    assert_eq!(end.status.code(), Some(4), "{}", String::from_utf8_lossy(&end.stderr));
    assert_eq!(rest.matches("\"serial\"").count(), 1_000, "the first page");
}

#[test]
fn times_are_written_as_people_write_them_everywhere() {
    let house = House::started();
    ssh_key(&house, "id");
    let public = house.path("id.pub");
    let life = |item: &Value| {
        let seconds = |field: &str| {
            let at = succeed(command("date", &["+%s", "-d", item[field].as_str().expect("a time")]));
            at.trim().parse::<i64>().expect("seconds")
        };
        seconds("not_after") - seconds("not_before") + 1
    };
    house.run(&["issue", "tls", "a.example.internal", "--validity", "16h", "--out", text(&house.path("a"))]);
    assert_eq!(life(&house.json(&["certs", "list", "--limit", "1"])[0]), 16 * 3_600);
    house.run(&["issue", "client", "b.example.internal", "--validity", "30d", "--out", text(&house.path("b"))]);
    assert_eq!(life(&house.json(&["certs", "list", "--limit", "1"])[0]), 30 * 86_400);
    house.run(&["ssh", "sign-user", text(&public), "--principal", "alice", "--validity", "90m"]);
    house.run(&[
        "ssh",
        "sign-host",
        text(&public),
        "--principal",
        "h.example.internal",
        "--validity",
        "2w",
        "--out",
        text(&house.path("h")),
    ]);
    for wrong in ["16", "16y", "-1h", "1.5h", ""] {
        for command in [
            &["issue", "tls", "a.example.internal", "--out", "x", "--validity", wrong][..],
            &["ssh", "sign-user", "x", "--principal", "alice", "--validity", wrong],
            &["certs", "list", "--expiring", wrong],
            &["token", "create", "x", "--role", "auditor", "--show", "--expires", wrong],
        ] {
            let ended = house.output(command);
            assert_eq!(ended.status.code(), Some(2), "{command:?}");
        }
    }
}

#[test]
fn a_serial_is_found_as_the_world_writes_it() {
    let house = House::started();
    house.run(&["issue", "tls", "www.example.internal", "--out", text(&house.path("www"))]);
    ssh_key(&house, "id");
    house.run(&["ssh", "sign-user", text(&house.path("id.pub")), "--principal", "alice"]);
    let tls = serial(&house, "www.example.internal");
    let ssh = house.json(&["certs", "list", "--kind", "ssh-user"])[0]["serial"].as_str().expect("a serial").to_owned();
    let pem = house.path("www").join("cert.pem");
    let openssl = succeed(command("openssl", &["x509", "-in", text(&pem), "-noout", "-serial"]));
    let upper = openssl.trim().trim_start_matches("serial=").to_owned();
    let colons = upper.as_bytes().chunks(2).map(|two| String::from_utf8_lossy(two)).collect::<Vec<_>>().join(":");
    let number = u64::from_str_radix(&ssh[16..], 16).expect("hex").to_string();
    let printed = succeed(command("ssh-keygen", &["-L", "-f", text(&house.path("id-cert.pub"))]));
    assert!(printed.contains(&number), "ssh-keygen prints {number}: {printed}");
    for (written, meant) in [
        (tls.clone(), &tls),
        (upper.clone(), &tls),
        (openssl.trim().to_owned(), &tls),
        (colons, &tls),
        (format!("0x{upper}"), &tls),
        (format!("0x{}", upper.trim_start_matches('0')), &tls),
        (upper.trim_start_matches('0').to_owned(), &tls),
        (tls[..22].to_owned(), &tls),
        (tls[..21].to_uppercase(), &tls),
        (u128::from_str_radix(&tls, 16).expect("hex").to_string(), &tls),
        (ssh.clone(), &ssh),
        (number.clone(), &ssh),
        (format!("{number}\n"), &ssh),
    ] {
        let found = house.json(&["certs", "show", &written]);
        assert_eq!(found["serial"].as_str(), Some(meant.as_str()), "{written}");
    }
    // The same through the API.
    let answer = house.curl_admin(&[&house.https(&format!("/api/v1/certificates/{}", &upper[..22]))]);
    assert_eq!((answer.status, answer.json()["serial"].as_str()), (200, Some(tls.as_str())));
    // What everything begins with is nobody's, and a table's short form is enough.
    let said = fail(house.command(&["certs", "show", "0101"]));
    assert!(said.contains("write more digits"), "{said}");
    for (none, code) in [("0101ffffffff", 1), ("zz", 1), ("01", 1)] {
        assert_eq!(house.output(&["certs", "show", none]).status.code(), Some(code), "{none}");
    }
    let table = house.run(&["certs", "list", "--name", "www.example.internal"]);
    let short =
        table.split_whitespace().find(|word| word.starts_with("0101")).expect("a serial in the table").to_owned();
    house.run(&["certs", "revoke", &short]);
    assert_eq!(house.json(&["certs", "show", &tls])["state"], "revoked");
    house.run(&["certs", "revoke", &number]);
    assert_eq!(house.json(&["certs", "show", &ssh])["state"], "revoked");
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
        (&house.http(""), roots.clone(), 1, "https address"),
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
fn an_agent_as_root_rewrites_a_bound_file_and_follows_no_link_of_a_service() {
    let house = House::started();
    let (roots, token) = (house.ca("roots.pem"), house.ca("admin.token"));
    // As root, in folders of root's own, with a file bound over each of the two.
    let script = format!(
        r#"set -e
        dir=$(mktemp -d); chmod 755 $dir; cd $dir; trap 'umount $dir/web/*.pem; rm -rf $dir' EXIT
        mkdir host web; touch host/cert.pem host/key.pem web/cert.pem web/key.pem
        for f in cert key; do mount --bind host/$f.pem web/$f.pem; done
        inode=$(stat -c %i host/key.pem)
        cp {token} token; chmod 600 token
        cat > plan.toml <<END
state_dir = "$dir/state"
[[certificate]]
name = "web"
names = ["localhost"]
files = {{ cert = "web/cert.pem", key = "web/key.pem" }}
source = {{ kind = "chancery", url = "{url}", ca_file = "{roots}", token_file = "token", owner = "default" }}
END
        {binary} agent --plan plan.toml --once
        test $(stat -c %i host/key.pem) = $inode
        grep -q 'PRIVATE KEY' host/key.pem; grep -q 'BEGIN CERTIFICATE' host/cert.pem
        # What is not taken up comes back, byte for byte, in the same files.
        cp host/key.pem old.key; cp host/cert.pem old.cert
        sed 's/^names = .*/names = ["localhost", "a.localhost"]\nreload = ["false"]/' plan.toml > broken.toml
        if {binary} agent --plan broken.toml --once; then exit 6; fi
        {binary} agent --plan plan.toml --status | grep rolled-back
        cmp host/key.pem old.key; cmp host/cert.pem old.cert; test $(stat -c %i host/key.pem) = $inode
        mkdir -p svc victim/15; echo precious > victim/15/x; chown 4242 svc; ln -s ../victim svc/.chancery-app
        sed -e 's/"web"/"app"/; s,web/,svc/,g' plan.toml > app.toml
        if {binary} agent --plan app.toml --once; then exit 7; fi
        sed -i 's/files = {{/files = {{ owner = "4242",/' app.toml
        if {binary} agent --plan app.toml --once; then exit 8; fi
        test "$(find victim -type f | xargs cat)" = precious; test $(find victim | wc -l) = 3
        rm svc/.chancery-app
        # A folder of root's that stands there gets the name of the agent's own: whoever owns the folder above can rename it.
        mkdir -p svc/backups/20261101; echo precious > svc/backups/20261101/x; mv svc/backups svc/.chancery-app
        if {binary} agent --plan app.toml --once; then exit 11; fi
        test "$(cat svc/.chancery-app/20261101/x)" = precious; mv svc/.chancery-app svc/backups
        {binary} agent --plan app.toml --once
        test "$(stat -L -c %u svc/key.pem)" = 4242
        mkdir -m 700 others; chown 4242 others; sed 's,/state",/others",' plan.toml > others.toml
        if {binary} agent --plan others.toml --once; then exit 9; fi
        ln -s state link; sed 's,/state",/link",' plan.toml > link.toml
        if {binary} agent --plan link.toml --once; then exit 10; fi
        "#,
        token = token.display(),
        roots = roots.display(),
        url = house.https(""),
        binary = env!("CARGO_BIN_EXE_chancery"),
    );
    let root = status(&mut command("sh", &["-c", "test $(id -u) = 0"]));
    let mut bash = command("unshare", &["-m", "bash", "-c", &script]);
    if !root {
        bash = command("sudo", &["-n", "unshare", "-m", "bash", "-c", &script]);
    }
    succeed(bash);
}

/// The blocks of shell in a document.
fn shell_blocks(text: &str) -> Vec<&str> {
    text.split("```sh\n").skip(1).map(|part| part.split("```").next().unwrap_or_default()).collect()
}

/// A machine of its own: a home, a checkout with the binary where the README says, and the demo running.
struct Newcomer {
    home: tempfile::TempDir,
    demo: std::process::Child,
}

impl Newcomer {
    fn new() -> Self {
        let home = tempfile::tempdir().expect("a home");
        let checkout = home.path().join("chancery");
        fs::create_dir_all(checkout.join("target/release")).expect("a checkout");
        symlink(env!("CARGO_BIN_EXE_chancery"), checkout.join("target/release/chancery")).expect("the binary");
        for name in ["deploy", "README.md"] {
            symlink(Path::new(env!("CARGO_MANIFEST_DIR")).join(name), checkout.join(name)).expect("a checkout");
        }
        fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/.gitignore"), checkout.join(".gitignore")).expect("a checkout");
        // What else stands in a checkout is not to be written into.
        for entry in fs::read_dir(env!("CARGO_MANIFEST_DIR")).expect("the checkout").flatten() {
            if entry.path().join("Cargo.toml").is_file() {
                fs::create_dir(checkout.join(entry.file_name())).expect("a crate's folder");
            }
        }
        succeed(Self::shell(home.path(), "git init -q . && git add -A"));
        let mut demo = Self::shell(home.path(), "exec deploy/quickstart.sh");
        let mut demo = demo.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("the demo");
        let mut words = std::io::BufReader::new(demo.stdout.take().expect("its words"));
        let mut said = String::new();
        while !said.contains("\nrunning ") {
            let read = std::io::BufRead::read_line(&mut words, &mut said).expect("words");
            assert!(read > 0, "the demo ended:\n{said}");
        }
        Self { home, demo }
    }

    fn shell(home: &Path, script: &str) -> Command {
        let mut bash = Command::new("bash");
        bash.env_clear().env("HOME", home).env("USER", "alice").env("EDITOR", "true").env("LANG", "C.UTF-8");
        bash.env("PATH", std::env::var_os("PATH").expect("PATH"));
        bash.env("CHANCERY_BIN", env!("CARGO_BIN_EXE_chancery")).current_dir(home.join("chancery"));
        bash.args(["-c", script]);
        bash
    }

    /// Types lines, one after the other, and stops at the first that fails. A line that serves goes on in the background until
    /// it is ready, and to the end.
    fn types(&self, lines: &str) {
        let mut script = "set -eo pipefail\ntrap 'kill $server 2>/dev/null && wait $server || true' EXIT\n".to_owned();
        for line in lines.lines() {
            match line.split('#').next().is_some_and(|line| line.trim_end().ends_with(" serve")) {
                true => script.push_str(&format!(
                    "{line} &\nserver=$!\nuntil curl -sf http://127.0.0.1:9080/readyz; do kill -0 $server; sleep 0.1; done\n"
                )),
                false => script.push_str(&format!("{line}\n")),
            }
        }
        let ended = Self::shell(self.home.path(), &script).stdin(Stdio::null()).output().expect("bash");
        let (out, err) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
        assert!(ended.status.success(), "these lines fail:\n{lines}\n--- they said:\n{out}\n{err}");
    }
}

impl Drop for Newcomer {
    fn drop(&mut self) {
        status(Command::new("kill").arg(self.demo.id().to_string()));
        let _ = self.demo.wait();
    }
}

/// Where an example of `--help` is typed: after what a person there has done already. Those that are left out need more than a
/// machine with the demo: `agent` a plan, `clock accept` a clock that is doubted, `audit resume` and `rebuild` a harmed register.
const EXAMPLES: [(&str, &str); 16] = [
    ("issue tls", ""),
    ("issue client", ""),
    ("issue code", ""),
    ("sign", "cp chancery-demo/roots.pem .; rm app.tar.gz.p7s"),
    ("ssh sign-user", "mkdir -m 700 ~/.ssh; ssh-keygen -q -t ed25519 -N '' -f ~/.ssh/id_ed25519"),
    ("ssh sign-host", "ssh-keygen -q -t ed25519 -N '' -f ssh_host_ed25519_key"),
    ("certs list", ""),
    ("audit show", ""),
    (
        "audit verify",
        "rm -rf my-ca; ln -s chancery-demo my-ca; mkdir kept; curl -sf http://localhost:8080/log/checkpoint > kept/checkpoint; \
         chancery audit export export",
    ),
    ("token create", ""),
    ("token rescue", ""),
    ("completion", "mkdir -p ~/.local/share/bash-completion/completions ~/.zfunc ~/.config/fish/completions"),
    ("man", ""),
    ("login", "cp chancery-demo/admin.token token"),
    ("init", "rm -rf my-ca pin so-pin"),
    ("", "rm -rf my-ca pin so-pin"),
];

/// The lines of shell under a heading of examples.
fn examples(help: &str) -> String {
    let begins = |line: &str| line.starts_with("Example") || line.starts_with("First steps");
    let after = help.lines().skip_while(|line| !begins(line)).skip(1);
    let lines = after.take_while(|line| line.is_empty() || line.starts_with("  ")).filter(|line| !line.is_empty());
    lines.map(|line| format!("{}\n", line.trim_start())).collect()
}

#[test]
fn the_readmes_lines_and_those_of_help_work_when_typed_in_order_beside_the_demo() {
    let _ports = DEMO_PORTS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).expect("README.md");
    let blocks = shell_blocks(&readme);
    let [quickstart, first, own] = blocks.as_slice() else { panic!("the README has {} blocks of shell", blocks.len()) };
    assert!(quickstart.starts_with("deploy/quickstart.sh "), "{quickstart}");
    let newcomer = Newcomer::new();
    newcomer.types(&format!("{first}\n{own}"));
    newcomer.types("git ls-files --others --exclude-standard > ~/left; test ! -s ~/left || { cat ~/left; false; }");
    let environment: String =
        first.lines().filter(|line| line.starts_with("export ")).map(|line| format!("{line}\n")).collect();
    for (name, before) in EXAMPLES {
        let mut help = Command::new(env!("CARGO_BIN_EXE_chancery"));
        help.args(name.split_whitespace()).arg("--help").env("COLUMNS", "80");
        let lines = examples(&succeed(help));
        assert!(lines.contains("chancery"), "{name} --help has no example");
        newcomer.types(&format!("{environment}{before}\n{lines}"));
    }
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

#[test]
fn what_is_on_hold_is_found_again_in_the_list_its_csv_and_its_page() {
    let house = House::started();
    for name in ["a", "b", "c"] {
        house.run(&["issue", "tls", &format!("{name}.example.internal"), "--out", text(&house.path(name))]);
    }
    let serial = |name: &str| {
        let found = house.json(&["certs", "list", "--name", &format!("{name}.example.internal")]);
        found[0]["serial"].as_str().expect("a serial").to_owned()
    };
    let (a, b) = (serial("a"), serial("b"));
    house.run(&["certs", "hold", &a]);
    house.run(&["certs", "revoke", &b, "--reason", "superseded"]);
    let listed = |state: &str| {
        let found = house.json(&["certs", "list", "--state", state]);
        let all = found.as_array().expect("a list").iter();
        all.map(|one| (one["serial"].clone(), one["state"].clone())).collect::<Vec<_>>()
    };
    assert_eq!(listed("held"), [(a.as_str().into(), "held".into())]);
    assert_eq!(listed("revoked"), [(b.as_str().into(), "revoked".into())]);
    let csv = house.curl_admin(&[&house.https("/api/v1/certificates?state=held&format=csv")]).text();
    assert!(csv.contains(&a) && csv.contains("held") && !csv.contains(&b), "{csv}");
    let session = sign_in(&house);
    let page = house.curl(&["-H", &session, &house.https("/certificates?state=held")]).text();
    assert!(page.contains("a.example.internal") && !page.contains("b.example.internal"), "{page}");
    house.run(&["certs", "release", &a]);
    assert!(listed("held").is_empty());
}
