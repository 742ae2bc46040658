//! A program of this host, as the server's configuration names it.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use drivers::{ANSWER_BYTES_MAX, Driver, Exec, Fault, Login, Program, carry_out};
use secrets::rotation::{Credential, Others, Outcome, Plan, Step};

use crate::register::{ADMIN, ADMIN_SECRET, rotates_whenever_it_is_killed, secret};

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// A program that does this, with its folder as first argument.
    fn program(&self, text: &str, secs: u64) -> Exec {
        let file = self.path("program");
        std::fs::write(&file, text).expect("a program");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o700)).expect("its mode");
        let command = vec![text_of(&file), text_of(self.0.path())];
        Exec::new(Program { command, time: Duration::from_secs(secs) }, "prod/router", "prod/router:7")
    }
}

fn text_of(path: &Path) -> String {
    path.to_str().expect("a path").to_owned()
}

/// Keeps one password of each user in a file, as a device would.
const DEVICE: &str = r#"#!/usr/bin/python3
import json, os, sys
told = json.loads(sys.stdin.readline())
place = os.path.join(sys.argv[1], "user-" + told["user"])
has = open(place).read() if os.path.exists(place) else None
if told["step"] == "set":
    assert told["others"] == "replaced" and told["admin"]["user"] == "chancery-admin" and told["operation"]
    open(place, "w").write(told["secret"])
elif told["step"] == "retire":
    if os.path.exists(place):
        os.remove(place)
elif has != told["secret"]:
    print(json.dumps({"outcome": "refused", "said": "wrong: " + told["secret"]}))
    sys.exit()
print(json.dumps({"outcome": "done"}))
"#;

#[tokio::test]
async fn a_program_exchanges_what_only_it_knows_of_and_a_kill_at_any_step_ends_in_what_is_let_in() {
    let folder = Folder::new();
    let device = folder.program(DEVICE, 30);
    let (ours, first) = (secret(ADMIN_SECRET), secret("first"));
    let admin = Login { user: ADMIN, secret: &ours };
    let login = Login { user: "app-a", secret: &first };
    assert!(matches!(device.test(login).await, Err(Fault::Refused(_))));
    device.set(admin, login, Others::Replaced).await.expect("it is set");
    device.test(login).await.expect("it is let in");
    // What a program repeats is not told.
    let test = Step::Test { credential: Credential { version: 2, user: "app-a".to_owned() } };
    let said = carry_out(&device, &test, admin, |_| secret("canary-of-the-program")).await;
    assert_eq!(said, Some(Outcome::Refused("wrong: ...".to_owned())));
    let pair = Plan::Pair { users: ["app-a".to_owned(), "app-b".to_owned()] };
    rotates_whenever_it_is_killed(&device, pair, "app-a", "first").await;
}

/// Says what it was told, in the form that the end of the user's name numbers; the last behind more than is kept of any answer.
const PARROT: &str = r#"#!/usr/bin/python3
import base64, json, sys, urllib.parse as url
told = json.loads(sys.stdin.readline())
def forms(text):
    raw = text.encode()
    return [
        text,
        base64.b64encode(raw).decode(),
        base64.urlsafe_b64encode(raw).decode().rstrip("="),
        base64.b64encode(b"x:" + raw).decode(),
        base64.b64encode(b"me:" + raw + b"\n").decode(),
        raw.hex(),
        raw.hex().upper(),
        url.quote(text, safe=""),
        url.quote_plus(text),
        json.dumps(text),
        json.dumps(text, ensure_ascii=False),
        "-" * 190 + text,
    ]
which = int(told["user"].rsplit("-", 1)[1])
secrets = [told["admin"]["secret"], told["secret"]]
said = " and ".join(forms(text)[which] for text in secrets)
print(json.dumps({"outcome": ["refused", "away", "unknown"][which % 3], "said": said}))
"#;

#[tokio::test]
async fn what_a_program_repeats_of_either_secret_is_told_in_no_form() {
    let folder = Folder::new();
    let parrot = folder.program(PARROT, 30);
    let (ours, new) = (secret(ADMIN_SECRET), "n\u{e4}w \"canary\" / of+the=program");
    let admin = Login { user: ADMIN, secret: &ours };
    for which in 0..12 {
        let credential = Credential { version: 2, user: format!("app-{which}") };
        let set = Step::Set { credential, others: Others::Replaced };
        let outcome = carry_out(&parrot, &set, admin, |_| secret(new)).await;
        let said = match (&outcome, which % 3) {
            (Some(Outcome::Refused(said)), 0) | (Some(Outcome::Away(said)), 1) | (Some(Outcome::Unknown(said)), 2) => {
                said
            }
            other => panic!("{which}: {other:?}"),
        };
        // Quotes, and the characters of base64 that a neighbour of the secret shares, may stay.
        let rest = said.replace("...", "").replace(" and ", "").replace(['"', '-'], "");
        assert!(rest.len() <= 16 && said.contains("..."), "{which}: {said}");
    }
}

#[tokio::test]
async fn nothing_secret_stands_where_others_of_the_host_read() {
    let folder = Folder::new();
    let looks = "#!/bin/sh\ncat /proc/$$/cmdline /proc/$$/environ > \"$1/seen\"\ncat > \"$1/told\"\necho '{\"outcome\":\"done\"}'\n";
    let password = secret("canary-of-the-host");
    let login = Login { user: "app", secret: &password };
    let ours = secret(ADMIN_SECRET);
    let program = folder.program(looks, 30);
    program.set(Login { user: ADMIN, secret: &ours }, login, Others::Kept).await.expect("it is done");
    let (seen, told) = (folder.read("seen"), folder.read("told"));
    assert!(seen.contains("PATH=/usr/local/bin:/usr/bin:/bin") && !seen.contains("HOME="), "{seen:?}");
    assert!(!seen.contains("canary") && !seen.contains("administrator"), "{seen:?}");
    let told: serde_json::Value = serde_json::from_str(&told).expect("one line of JSON");
    assert_eq!(told["secret"], "canary-of-the-host");
    assert_eq!((&told["operation"], &told["path"]), (&"prod/router:7".into(), &"prod/router".into()));
    assert_eq!((&told["others"], &told["admin"]["secret"]), (&"kept".into(), &ADMIN_SECRET.into()));
    // A login needs no administrator, and is told none.
    program.test(login).await.expect("it is done");
    assert!(!folder.read("told").contains("admin"), "{}", folder.read("told"));
}

#[tokio::test]
async fn what_a_program_does_not_say_is_not_taken_for_done() {
    let password = secret("p");
    let login = Login { user: "app", secret: &password };
    let ours = secret(ADMIN_SECRET);
    let admin = Login { user: ADMIN, secret: &ours };
    let long = format!("#!/bin/sh\nhead -c {} /dev/zero\n", ANSWER_BYTES_MAX + 1);
    let cases = [
        "#!/bin/sh\n",
        "#!/bin/sh\necho done\n",
        "#!/bin/sh\necho '{\"outcome\":\"good\"}'\n",
        "#!/bin/sh\necho '{\"outcome\":\"done\"}'; exit 1\n",
        "#!/bin/sh\necho '{\"outcome\":\"unknown\",\"said\":\"who knows\"}'\n",
        &long,
    ];
    for text in cases {
        let folder = Folder::new();
        let program = folder.program(text, 30);
        let done = program.set(admin, login, Others::Replaced).await;
        assert!(matches!(done, Err(Fault::Unknown(_))), "{text}: {done:?}");
        // A login changes nothing.
        let done = program.test(login).await;
        assert!(matches!(done, Err(Fault::Away(_))), "{text}: {done:?}");
    }
    let nowhere = Program { command: vec!["/nowhere/program".to_owned()], time: Duration::from_secs(1) };
    let done = Exec::new(nowhere, "p", "p:1").set(admin, login, Others::Replaced).await;
    assert!(matches!(done, Err(Fault::Away(_))), "{done:?}");
    // One that answers without having listened has answered.
    let folder = Folder::new();
    let deaf = folder.program("#!/bin/sh\nexec <&-\necho '{\"outcome\":\"done\"}'\n", 30);
    deaf.set(admin, login, Others::Replaced).await.expect("it answered");
}

#[tokio::test]
async fn a_program_that_does_not_end_is_ended_with_all_that_it_started() {
    let folder = Folder::new();
    let hangs = "#!/bin/sh\nsleep 1000 &\necho $! > \"$1/child\"\necho $$ > \"$1/pid\"\nsleep 1000\n";
    let password = secret("p");
    let done = folder.program(hangs, 1).test(Login { user: "app", secret: &password }).await;
    assert!(matches!(done, Err(Fault::Away(_))), "{done:?}");
    for name in ["pid", "child"] {
        await_end(folder.read(name).trim());
    }
    // One that has answered leaves nobody behind either.
    let leaves = "#!/bin/sh\nsleep 1000 >&- 2>&- <&- &\necho $! > \"$1/child\"\necho '{\"outcome\":\"done\"}'\n";
    folder.program(leaves, 30).test(Login { user: "app", secret: &password }).await.expect("it answered");
    await_end(folder.read("child").trim());
}

/// A process that is ended may stand there as a zombie until somebody asks for it.
fn await_end(pid: &str) {
    assert!(!pid.is_empty(), "it never began");
    let is_there = || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit(')').next().is_some_and(|rest| !rest.trim().is_empty() && !rest.trim().starts_with('Z'))
    };
    let end = Instant::now() + Duration::from_secs(30);
    while is_there() {
        assert!(Instant::now() < end, "process {pid} is still there");
        std::thread::sleep(Duration::from_millis(10));
    }
}
