//! Secrets are brought to where they are used, and to nowhere else: `run`, `read` and `inject` of the built binary, with a server.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Output, Stdio};

use serde_json::{Value, json};

use crate::house::{House, PATIENCE, PYTHON, command, fail, status, succeed, text, until};

const BINARY: &str = env!("CARGO_BIN_EXE_chancery");
/// What no place shows but the one that was named for it.
const CANARY: &str = "canary-9d1f0c6b52";

/// A house with a secret, and a token that reads it and no more.
fn house() -> House {
    let house = House::started();
    put(&house, "prod/db", &json!({"user": "app", "password": CANARY}));
    let token = house.path("reader.token");
    house.run(&["token", "create", "app", "--role", "secret-reader", "--owner", "default", "--out", text(&token)]);
    house
}

fn put(house: &House, path: &str, fields: &Value) {
    let body = json!({"owner": "default", "fields": fields}).to_string();
    let url = house.https(&format!("/api/v1/secrets/{path}"));
    let answer = house.curl_admin(&["-X", "PUT", "-H", "Content-Type: application/json", "--data-binary", &body, &url]);
    assert_eq!(answer.status, 201, "{}", answer.text());
}

/// The binary as an application has it: with the reader's token alone.
fn app(house: &House, arguments: &[&str]) -> Command {
    let mut command = house.command(&[]);
    command.arg("--token-file").arg(house.path("reader.token")).args(arguments);
    command
}

/// Another program, which calls the binary as an application does.
fn within(house: &House, program: &str, arguments: &[&str]) -> Command {
    let mut within = command(program, arguments);
    let variables = house.command(&[]);
    let set = variables.get_envs().filter_map(|(name, value)| Some((name, value?)));
    within.envs(set).env("CHANCERY_TOKEN_FILE", house.path("reader.token"));
    within
}

fn output(mut command: Command) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command.stdin(Stdio::null()).output().expect("the binary runs");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (status.code(), text(stdout), text(stderr))
}

/// How many entries of the log say that the application was shown a secret. Whoever writes one field of a secret opens the others: that is
/// an entry too, and the writer's.
fn accesses(house: &House) -> usize {
    let leaves = house.json(&["audit", "list", "--limit", "1000"]);
    let is_ours = |leaf: &&Value| leaf["event"] == "access" && leaf["actor"]["id"] == "token:app";
    leaves.as_array().expect("leaves").iter().filter(is_ours).count()
}

/// How often somebody asked where the labels of a secret stand.
fn looks(house: &House) -> u64 {
    let metrics = house.curl_admin(&[&house.https("/metrics")]).text();
    let ours = metrics.lines().filter(|line| {
        line.contains("http_requests_total{") && line.contains("/api/v1/secrets/") && line.contains("method=\"GET\"")
    });
    ours.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

/// Whether a file of `/proc/PID` has the canary; one that is closed to us has nothing for us.
fn shows(pid: u32, file: &str) -> bool {
    let bytes = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
    bytes.windows(CANARY.len()).any(|some| some == CANARY.as_bytes())
}

/// Started, with its standard output in a file, and ended with the value.
struct Running(Child);

impl Running {
    fn start(mut command: Command, out: &std::path::Path) -> Self {
        let out = fs::File::create(out).expect("a file");
        Self(command.stdin(Stdio::null()).stdout(out).stderr(Stdio::inherit()).spawn().expect("the binary runs"))
    }

    fn signal(&self, name: &str) {
        assert!(status(Command::new("kill").arg(format!("-{name}")).arg(self.0.id().to_string())), "kill -{name}");
    }

    /// Ends it by a signal that it cannot pass on: whatever it started is gone soon after.
    fn ended_with_all_below(mut self, name: &str) {
        let all = below(self.0.id());
        assert!(all.iter().any(|pid| lives(*pid)), "something runs below it: {all:?}");
        self.signal(name);
        self.0.wait().expect("an end");
        let has_left = || all.iter().copied().filter(|pid| lives(*pid)).collect::<Vec<_>>();
        assert!(until(PATIENCE, || has_left().is_empty()), "{:?} of {all:?} are left behind by {name}", has_left());
    }
}

/// Whatever was started below a process, by whom and however deep.
fn below(pid: u32) -> Vec<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let children = children.split_whitespace().filter_map(|pid| pid.parse().ok());
    children.flat_map(|child| std::iter::once(child).chain(below(child))).collect()
}

/// Whether a process is there and no zombie.
fn lives(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.lines().any(|line| line.starts_with("State:") && !line.contains('Z') && !line.contains('X'))
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_program_reads_its_secrets_and_nobody_else_is_shown_them() {
    let house = house();
    let before = accesses(&house);
    // Length and digest pass the mask; the value does not. What the token reads is not the program's.
    let script = "printf %s \"$(cat $SECRET)\" | sha256sum; cat $SECRET; echo \" $USER_NAME\"; cat \
                  $CREDENTIALS_DIRECTORY/password | base64; echo ${CHANCERY_TOKEN-none}; exit 7";
    let places = ["--file", "SECRET=chy://prod/db#password", "--env", "USER_NAME=chy://prod/db#user"];
    let mut command = house.command(&["run"]);
    let token = fs::read_to_string(house.path("reader.token")).expect("a token");
    command.env("CHANCERY_TOKEN", token.trim()).args(places);
    command.args(["--credential", "password=chy://prod/db#password", "--", "sh", "-c", script]);
    let (code, out, said) = output(command);
    assert_eq!(code, Some(7), "{out}{said}");
    let digest = succeed(self::command("sh", &["-c", &format!("printf %s {CANARY} | sha256sum")]));
    assert_eq!(out.lines().next(), digest.lines().next(), "{out}");
    assert_eq!(out.lines().nth(3), Some("none"), "{out}");
    assert!(!out.contains(CANARY) && !said.contains(CANARY), "{out}{said}");
    assert_eq!(out.matches("[hidden]").count(), 2, "{out}");
    assert_eq!(accesses(&house), before + 1, "one run is one entry of the log");

    // Without a mask it is the program's own affair.
    let raw = ["run", "--no-mask", "--stdin", "chy://prod/db#password", "--", "cat"];
    assert_eq!(succeed(app(&house, &raw)), CANARY);
    let mut resolved = app(&house, &["run", "--no-mask", "--resolve-env", "--", "sh", "-c", "echo $PASS $OTHER"]);
    resolved.env("PASS", "chy://prod/db#password").env("OTHER", "see chy://prod/db");
    assert_eq!(succeed(resolved), format!("{CANARY} see chy://prod/db\n"));
    assert_eq!(accesses(&house), before + 3);
}

#[test]
fn while_it_runs_the_value_is_in_its_place_alone_and_after_it_nowhere() {
    let house = house();
    let out = house.path("out");
    let script = "trap 'echo ended; exit 9' TERM; echo $CREDENTIALS_DIRECTORY; echo $SECRET; \
                  while :; do sleep 0.05; done";
    let mut run = app(&house, &["run", "--file", "SECRET=chy://prod/db#password"]);
    run.args(["--credential", "password=chy://prod/db#password", "--", "sh", "-c", script]);
    let mut running = Running::start(run, &out);
    let printed = || fs::read_to_string(&out).unwrap_or_default();
    assert!(until(PATIENCE, || printed().lines().count() == 2), "it started: {}", printed());
    let folder = printed().lines().next().expect("a folder").to_owned();
    let held = fs::read_to_string(format!("{folder}/password")).expect("the credential");
    assert_eq!(held, CANARY);
    let mode = |path: &str| fs::metadata(path).expect("metadata").permissions().mode() & 0o777;
    assert_eq!(mode(&format!("{folder}/password")), 0o400);

    let parent = running.0.id();
    let all: Vec<u32> = below(parent).into_iter().chain([parent]).collect();
    assert!(all.len() >= 3, "the parent has an usher, and the program is his: {all:?}");
    for pid in all {
        assert!(!shows(pid, "environ") && !shows(pid, "cmdline"), "process {pid}");
    }
    // Nor in the house's folder, where the parent is at home.
    let grep = command("grep", &["-rlF", CANARY, text(&house.path(""))]);
    assert_eq!(fail(grep), "", "a file of the house has it");

    running.signal("TERM");
    let ended = running.0.wait().expect("an end");
    assert_eq!((ended.code(), ended.signal()), (Some(9), None), "the program's own code: {}", printed());
    assert!(printed().ends_with("ended\n"), "{}", printed());
    assert!(!std::path::Path::new(&folder).exists(), "{folder} went with it");

    // A program that a signal ends, ends us by the same.
    let killed = app(&house, &["run", "--file", "A=chy://prod/db#user", "--", "sh", "-c", "kill -USR1 $$"]);
    let ended = { killed }.stdin(Stdio::null()).status().expect("the binary runs");
    assert_eq!(ended.signal(), Some(10), "{ended}");
}

#[test]
fn where_a_secret_is_missing_nothing_is_started_and_it_is_named() {
    let mut house = house();
    put(&house, "prod/other", &json!({"value": "there"}));
    let mark = house.path("mark");
    let start = |places: &[&str]| {
        let places = [&["run"], places, &["--", "touch", text(&mark)]].concat();
        output(app(&house, &places))
    };
    let before = accesses(&house);
    let (code, out, said) =
        start(&["--file", "A=chy://prod/other", "--file", "B=chy://prod/none", "--env", "C=chy://prod/db#pin"]);
    assert_eq!(code, Some(125), "{out}{said}");
    for word in ["2 of 3 secrets", "chy://prod/none", "chy://prod/db#pin", "password, user"] {
        assert!(said.contains(word), "{word} is missing: {said}");
    }
    assert!(!said.contains("chy://prod/other") && !said.contains("there"), "{said}");
    assert!(accesses(&house) > before, "what was opened is in the log, whatever came of it");
    // Each mistake before anything is asked.
    let before = accesses(&house);
    for (places, exit, word) in [
        (&["--file", "A=hunter2"][..], 2, "chy://PATH#FIELD@LABEL"),
        (&["--file", "A=chy://prod/db", "--env", "A=chy://prod/other"], 125, "A is given twice"),
        (&["--file", "A=chy://prod/db", "--on-change", "signal:HUP"], 125, "restart the program on change"),
        (&["--file", "A=chy://prod/db", "--on-change", "signal:KILL"], 2, "signal is HUP"),
        (&[], 2, "--file"),
    ] {
        let (code, out, said) = start(places);
        assert_eq!(code, Some(exit), "{places:?}: {out}{said}");
        assert!(said.contains(word), "{places:?}: {word} is missing: {said}");
    }
    assert_eq!(accesses(&house), before);
    for (program, exit) in [("/no/such/program", 127), ("/etc/passwd", 126)] {
        let (code, _, said) = output(app(&house, &["run", "--file", "A=chy://prod/other", "--", program]));
        assert_eq!(code, Some(exit), "{said}");
    }
    let json = app(&house, &["run", "--json", "--file", "A=chy://prod/none", "--", "true"]);
    let (code, _, said) = output(json);
    let failure: Value = serde_json::from_str(&said).expect("one JSON object");
    assert_eq!((code, &failure["exit"]), (Some(125), &json!(125)), "{said}");
    house.stop();
    let (code, _, said) = output(app(&house, &["run", "--file", "A=chy://prod/other", "--", "true"]));
    assert!(code == Some(125) && said.contains("cannot reach"), "{said}");
    assert!(!mark.exists(), "nothing was started");
}

#[test]
fn a_new_version_restarts_the_program_or_is_brought_to_it_and_looks_leave_nothing_in_the_log() {
    let house = house();
    let (restarted, told) = (house.path("restarted"), house.path("told"));
    // The last letter alone passes the mask.
    let script = "echo started $(tail -c 1 $SECRET); while :; do sleep 0.05; done";
    let places = ["--file", "SECRET=chy://prod/db#password", "--file", "PINNED=chy://prod/db#user@1"];
    let mut run = app(&house, &["run", "--poll", "1", "--on-change", "restart", "--grace", "1"]);
    run.args(places).args(["--", "sh", "-c", script]);
    let restarting = Running::start(run, &restarted);
    let script = "show() { echo has $(tail -c 1 $CREDENTIALS_DIRECTORY/password); }; trap show HUP; show; \
                  while :; do sleep 0.05; done";
    let mut run = app(&house, &["run", "--poll", "1", "--on-change", "signal:HUP"]);
    run.args(["--credential", "password=chy://prod/db#password", "--", "sh", "-c", script]);
    let signalled = Running::start(run, &told);
    let has = |file: &std::path::Path, lines: &str| {
        let came = until(PATIENCE, || fs::read_to_string(file).is_ok_and(|text| text == lines));
        assert!(came, "{lines:?} is not {:?}", fs::read_to_string(file));
    };
    has(&restarted, "started 2\n");
    has(&told, "has 2\n");
    let before = accesses(&house);
    // Each looks once it has a place in the stream of changes, and then at what it is told moved.
    let look = |times: u64| assert!(until(PATIENCE, || looks(&house) >= times), "{times} looks: {}", looks(&house));
    look(2);
    assert_eq!(accesses(&house), before, "a look opens nothing");
    put(&house, "prod/db", &json!({"password": "another-value-7"}));
    has(&restarted, "started 2\nstarted 7\n");
    has(&told, "has 2\nhas 7\n");
    look(4);
    assert_eq!(
        accesses(&house),
        before + 2,
        "one entry for each program that was brought the new value, none for looks"
    );
    // The one that was restarted is bound as the first was.
    restarting.ended_with_all_below("KILL");
    signalled.ended_with_all_below("KILL");
}

#[test]
fn whatever_ends_a_run_without_being_passed_on_ends_its_program_too() {
    let house = house();
    // Of a real-time signal no safe code can send another one.
    for (mask, name) in [(None, "KILL"), (Some("--no-mask"), "KILL"), (None, "40")] {
        let out = house.path("out");
        let mut run = app(&house, &["run", "--credential", "password=chy://prod/db#password"]);
        run.args(mask).args(["--", "sh", "-c", "echo ready; exec sleep 1000"]);
        let running = Running::start(run, &out);
        let is_ready = || fs::read_to_string(&out).is_ok_and(|text| text == "ready\n");
        assert!(until(PATIENCE, is_ready), "{mask:?} {name}");
        running.ended_with_all_below(name);
    }
}

#[test]
fn one_value_is_printed_as_it_is() {
    let house = house();
    put(&house, "prod/db", &json!({"password": "the-second"}));
    let read = |arguments: &[&str]| app(&house, &[&["read"], arguments].concat());
    assert_eq!(succeed(read(&["chy://prod/db#password"])), "the-second");
    assert_eq!(succeed(read(&["chy://prod/db#password@previous"])), CANARY);
    assert_eq!(succeed(read(&["-n", "chy://prod/db#password@1"])), CANARY);
    // On a terminal a line ends.
    let terminal = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";
    for (more, ends) in [(&[][..], "the-second\r\n"), (&["-n"][..], "the-second")] {
        let words = [&["-c", terminal, BINARY, "read", "chy://prod/db#password"], more].concat();
        assert_eq!(succeed(within(&house, PYTHON, &words)), ends, "{more:?}");
    }
    // Bytes that are no text travel as such.
    let url = house.https("/api/v1/secrets/prod/bytes");
    let body = json!({"owner": "default", "base64": {"value": "/wAK"}}).to_string();
    let answer = house.curl_admin(&["-X", "PUT", "-H", "Content-Type: application/json", "-d", &body, &url]);
    assert_eq!(answer.status, 201, "{}", answer.text());
    let bytes = read(&["chy://prod/bytes"]).output().expect("the binary runs");
    assert_eq!(bytes.stdout, [255, 0, 10]);
    let told: Value = serde_json::from_str(&succeed(read(&["--json", "chy://prod/bytes"]))).expect("JSON");
    assert_eq!((&told["base64"], &told["version"]), (&json!("/wAK"), &json!(1)), "{told}");

    let out = house.path("password");
    succeed(read(&["chy://prod/db#password", "--out", text(&out)]));
    assert_eq!(fs::read_to_string(&out).expect("a file"), "the-second");
    assert_eq!(fs::metadata(&out).expect("metadata").mode() & 0o777, 0o600);
    let before = accesses(&house);
    assert!(fail(read(&["chy://prod/db#password", "--out", text(&out)])).contains("--force"));
    assert_eq!(accesses(&house), before, "nothing is opened that cannot be kept");
    succeed(read(&["chy://prod/db#password@1", "--out", text(&out), "--force"]));
    assert_eq!(fs::read_to_string(&out).expect("a file"), CANARY);
    let (code, out, said) = output(read(&["chy://prod/none"]));
    assert!(code != Some(0) && out.is_empty() && said.contains("chy://prod/none"), "{out}{said}");
}

#[test]
fn a_template_becomes_a_file_for_its_owner_whole_or_not_at_all() {
    let house = house();
    let (template, out) = (house.path("app.tpl"), house.path("app.toml"));
    let whole = "u = '{{chy://prod/db#user}}'\np = '{{ chy://prod/db#password@1 }}' # {{ other }}\n";
    fs::write(&template, whole).expect("a template");
    let inject = |more: &[&str]| app(&house, &[&["inject", "-i", text(&template), "-o", text(&out)], more].concat());
    let expected = format!("u = 'app'\np = '{CANARY}' # {{{{ other }}}}\n");
    let mode = || fs::metadata(&out).expect("metadata").mode() & 0o777;
    let before = accesses(&house);
    let told = succeed(inject(&[]));
    assert_eq!(fs::read_to_string(&out).expect("a file"), expected);
    assert_eq!((mode(), accesses(&house)), (0o600, before + 1), "one entry for both: {told}");
    assert!(!told.contains(CANARY), "{told}");
    assert!(fail(inject(&[])).contains("--force"));

    // What others may read is not written to, unless that is said.
    fs::set_permissions(&out, fs::Permissions::from_mode(0o644)).expect("mode");
    let said = fail(inject(&["--force"]));
    assert!(said.contains("mode 0644") && said.contains("--mode 0644"), "{said}");
    succeed(inject(&["--force", "--mode", "0644"]));
    assert_eq!(mode(), 0o644);
    fs::remove_file(&out).expect("a file");
    succeed(inject(&["--mode", "0640"]));
    assert_eq!(mode(), 0o640);

    // Never half: what is missing leaves what was there.
    fs::write(&template, format!("{whole}{{{{ chy://prod/none }}}}")).expect("a template");
    assert!(fail(inject(&["--force", "--mode", "0640"])).contains("chy://prod/none"));
    assert_eq!(fs::read_to_string(&out).expect("a file"), expected);
    fs::remove_file(&out).expect("a file");
    fail(inject(&[]));
    let left: Vec<_> = fs::read_dir(house.path("")).expect("files").flatten().map(|file| file.file_name()).collect();
    assert!(
        !left.iter().any(|name| name == "app.toml" || name.to_string_lossy().starts_with(".chancery-")),
        "{left:?}"
    );

    // As a filter; nothing else is printed.
    let line = format!("echo 'a {{{{ chy://prod/db#user }}}} b' | {BINARY} inject 2>&1");
    let filter = within(&house, "sh", &["-c", &line]);
    assert_eq!(succeed(filter), "a app b\n");
}
