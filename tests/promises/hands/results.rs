//! What a command writes: over nothing, whole, and not without somebody who has it.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use super::{made, serial, shell, ssh_key};
use crate::house::{House, PATIENCE, command, fail, status, succeed, text, until};

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
