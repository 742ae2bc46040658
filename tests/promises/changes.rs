//! Changes of secrets are heard and not asked for: by `secret watch`, by `run --on-change`, over restarts and nodes.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use load::free_port;
use serde_json::{Value, json};

use crate::house::{House, PATIENCE, PYTHON, command, fail, status, text, until};
use crate::postgres::Postgres;

fn put(house: &House, path: &str, value: &str) {
    let body = json!({"owner": "default", "fields": {"value": value}}).to_string();
    let url = house.https(&format!("/api/v1/secrets/{path}"));
    let answer = house.curl_admin(&["-X", "PUT", "-H", "Content-Type: application/json", "--data-binary", &body, &url]);
    assert!(answer.status < 300, "{}", answer.text());
}

/// A program that prints lines, ended with the value.
struct Lines {
    child: Child,
    lines: Receiver<String>,
}

impl Lines {
    fn of(command: Command) -> Self {
        Self::with(command, Stdio::inherit())
    }

    fn with(mut command: Command, notices: Stdio) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(notices).spawn().expect("it starts");
        let out: ChildStdout = child.stdout.take().expect("its output");
        let (tell, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if tell.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, lines }
    }

    fn next(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("a line comes")
    }

    fn json(&self) -> Value {
        let line = self.next();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        // Ended, and not killed: it ends its own program then.
        let _ = status(Command::new("kill").args(["-TERM", &self.child.id().to_string()]));
        let _ = self.child.wait();
    }
}

/// Where the stream stands now.
fn now(house: &House) -> String {
    let told = house.curl_admin(&[&house.https("/api/v1/secret-changes")]).json();
    told["next"].as_str().expect("a cursor").to_owned()
}

#[test]
fn a_watch_prints_each_change_as_it_comes_and_goes_on_where_it_ended_after_a_kill() {
    let mut house = House::started();
    let start = now(&house);
    let watch = Lines::of(house.command(&["secret", "watch", "prod", "--since", &start, "--json"]));
    put(&house, "other/x", "unheard");
    put(&house, "prod/a", "canary-1");
    let first = watch.json();
    assert_eq!((&first["path"], &first["event"], &first["current"]), (&json!("prod/a"), &json!("written"), &json!(1)));
    let cursor = first["next"].as_str().expect("a cursor").to_owned();
    // The server is killed under it: the watch goes on by itself, and misses nothing of what came before it is asked again.
    house.kill();
    house.start();
    put(&house, "prod/b", "canary-2");
    house.run(&["secret", "delete", "prod/a"]);
    assert_eq!(watch.json()["path"], "prod/b");
    let last = watch.json();
    assert_eq!((&last["path"], &last["event"]), (&json!("prod/a"), &json!("deleted")));
    // Another one begins where the first one stood.
    let again = house.command(&["secret", "watch", "prod", "--since", &cursor, "--json", "--count", "2"]);
    let again = crate::house::succeed(again);
    assert_eq!(again.lines().count(), 2, "{again}");
    assert!(again.contains("prod/b") && again.contains("deleted") && !again.contains("canary"), "{again}");
    // For eyes it is a table.
    let table = house.run(&["secret", "watch", "--since", &cursor, "--count", "2"]);
    assert!(table.contains("EVENT") && table.contains("written") && table.contains("prod/b"), "{table}");
    assert!(fail(house.command(&["secret", "watch", "--since", "yesterday"])).contains("next"));
    assert!(fail(house.command(&["secret", "watch", "a//b"])).contains("this is no path of a secret"));
}

/// It is asked for again after a day at the earliest, so what comes was told.
#[test]
fn a_program_is_brought_a_new_version_by_being_told_and_not_by_looking() {
    let house = House::started();
    put(&house, "prod/db", "value-1");
    let script = "echo started $(tail -c 1 $SECRET); while :; do sleep 0.05; done";
    let mut run = house.command(&["run", "--poll", "86400", "--on-change", "restart", "--grace", "1"]);
    run.args(["--file", "SECRET=chy://prod/db#value", "--", "sh", "-c", script]);
    let run = Lines::of(run);
    assert_eq!(run.next(), "started 1");
    put(&house, "prod/other", "not his");
    put(&house, "prod/db", "value-2");
    assert_eq!(run.next(), "started 2");
    house.run(&["secret", "rollback", "prod/db"]);
    assert_eq!(run.next(), "started 1", "a label that moves is a change");
}

#[test]
fn a_version_with_the_same_value_restarts_nothing_and_a_secret_that_is_deleted_is_told() {
    let house = House::started();
    put(&house, "prod/db", "value-1");
    let script = "echo started $(tail -c 1 $SECRET); while :; do sleep 0.05; done";
    let mut run = house.command(&["run", "--poll", "1", "--on-change", "restart", "--grace", "1"]);
    run.args(["--file", "SECRET=chy://prod/db#value", "--", "sh", "-c", script]);
    let notices = house.path("run.notices");
    let run = Lines::with(run, fs::File::create(&notices).expect("a file").into());
    assert_eq!(run.next(), "started 1");
    let said = || fs::read_to_string(&notices).unwrap_or_default();
    put(&house, "prod/db", "value-1");
    put(&house, "prod/db", "value-2");
    assert_eq!(run.next(), "started 2");
    assert!(until(PATIENCE, || said().contains("the program was restarted")), "{}", said());
    assert_eq!(said().matches("the program was restarted").count(), 1, "{}", said());
    house.run(&["secret", "delete", "prod/db"]);
    assert!(until(PATIENCE, || said().contains("leads to a secret that is deleted")), "{}", said());
}

#[test]
fn a_token_that_was_exchanged_in_its_file_is_asked_with() {
    let house = House::started();
    put(&house, "prod/db", "value-1");
    let token = |name: &str| {
        let file = house.path(name);
        house.run(&["token", "create", name, "--role", "secret-reader", "--owner", "default", "--out", text(&file)]);
        let tokens = house.json(&["token", "list"]);
        let made = tokens.as_array().expect("tokens").iter().find(|token| token["name"] == name).expect("it is listed");
        (file, made["id"].as_str().expect("an id").to_owned())
    };
    let (file, id) = token("one");
    let script = "echo started $(tail -c 1 $SECRET); while :; do sleep 0.05; done";
    let mut run = house.command(&["--token-file", text(&file), "run", "--poll", "1", "--on-change", "restart"]);
    run.args(["--grace", "1", "--file", "SECRET=chy://prod/db#value", "--", "sh", "-c", script]);
    let run = Lines::of(run);
    assert_eq!(run.next(), "started 1");
    house.run(&["token", "revoke", &id]);
    let (second, _) = token("two");
    fs::rename(second, &file).expect("another token in its place");
    put(&house, "prod/db", "value-2");
    assert_eq!(run.next(), "started 2");
}

/// The house as a server that has no stream of changes yet: what is asked of that is answered as what no server knows, all else by the house.
struct Older {
    child: Child,
    port: u16,
}

const OLDER: &str = r#"
import http.server, ssl, sys, urllib.error, urllib.request
port, house, roots, chain, key = sys.argv[1:]
to_house = ssl.create_default_context(cafile=roots)
class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *_):
        pass
    def reply(self, status, kind, body):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))) or None
        print(self.path.split("?")[0], file=sys.stderr, flush=True)
        if self.path.startswith("/api/v1/secret-changes"):
            return self.reply(404, "application/problem+json", b'{"title": "Not found", "status": 404}')
        headers = {name: self.headers[name] for name in ("Authorization", "Content-Type") if name in self.headers}
        asked = urllib.request.Request(house + self.path, data=body, headers=headers, method=self.command)
        try:
            told = urllib.request.urlopen(asked, context=to_house)
        except urllib.error.HTTPError as refused:
            told = refused
        self.reply(told.status, told.headers.get("Content-Type", ""), told.read())
    do_GET = do_POST = answer
server = http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), Answer)
own = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
own.load_cert_chain(chain, key)
server.socket = own.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"#;

impl Older {
    fn start(house: &House) -> Self {
        let folder = house.path("older");
        house.run(&["issue", "tls", "localhost", "--out", text(&folder)]);
        let (port, url, roots) = (free_port(), house.https(""), house.ca("roots.pem"));
        let (chain, key) = (folder.join("fullchain.pem"), folder.join("key.pem"));
        let port_text = port.to_string();
        let arguments = ["-c", OLDER, &port_text, &url, text(&roots), text(&chain), text(&key)];
        let mut python = command(PYTHON, &arguments);
        let log = fs::File::create(house.path("older.log")).expect("a log");
        let child = python.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().expect("it starts");
        let url = format!("https://localhost:{port}/healthz");
        let is_there = || {
            let curl = ["-s", "-o", "/dev/null", "--cacert", text(&roots), &url];
            status(&mut command("curl", &curl))
        };
        assert!(until(PATIENCE, is_there), "{}", fs::read_to_string(house.path("older.log")).unwrap_or_default());
        Self { child, port }
    }

    /// The binary, asking it.
    fn command(&self, house: &House, arguments: &[&str]) -> Command {
        let mut command = house.command(arguments);
        command.env("CHANCERY_URL", format!("https://localhost:{}", self.port));
        command.env("CHANCERY_CACERT", house.ca("roots.pem")).env("CHANCERY_TOKEN_FILE", house.ca("admin.token"));
        command
    }
}

impl Drop for Older {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_server_that_tells_nobody_is_looked_at_and_that_is_said_once() {
    let house = House::started();
    put(&house, "prod/db", "value-1");
    let older = Older::start(&house);
    let watch = fail(older.command(&house, &["secret", "watch", "prod"]));
    assert!(watch.contains("the server is older than this program"), "{watch}");
    let asked = || {
        let log = fs::read_to_string(house.path("older.log")).expect("its log");
        let of = |path: &str| log.lines().filter(|line| *line == path).count();
        (of("/api/v1/secret-changes"), of("/api/v1/secrets/prod/db"))
    };
    assert_eq!(asked().0, 1);
    let script = "echo started $(tail -c 1 $SECRET); while :; do sleep 0.05; done";
    let mut run = older.command(&house, &["run", "--poll", "1", "--on-change", "restart", "--grace", "1"]);
    run.args(["--file", "SECRET=chy://prod/db#value", "--", "sh", "-c", script]);
    let notices = house.path("run.notices");
    let run = Lines::with(run, fs::File::create(&notices).expect("a file").into());
    assert_eq!(run.next(), "started 1");
    put(&house, "prod/db", "value-2");
    assert_eq!(run.next(), "started 2");
    house.run(&["secret", "rollback", "prod/db"]);
    assert_eq!(run.next(), "started 1");
    // It was heard of by looking, and the stream is asked for once.
    let (streams, looks) = asked();
    assert!(streams == 2 && looks >= 2, "{streams} {looks}");
    let said = fs::read_to_string(&notices).expect("what it said");
    let notice = "the server is older than this program, and tells nobody of changes: asked every 1 s instead";
    assert_eq!(said.matches(notice).count(), 1, "{said}");
}

/// A second server over the same register.
struct Second {
    child: Child,
    https: u16,
}

impl Second {
    fn start(house: &House) -> Self {
        let (https, http) = (free_port(), free_port());
        let config = fs::read_to_string(house.ca("chancery.toml")).expect("chancery.toml");
        let port = |of: String| of.rsplit(':').next().expect("a port").to_owned();
        let config = config
            .replace(&port(house.https("")), &https.to_string())
            .replace(&port(house.http("")), &http.to_string())
            .replace("instance = 1", "instance = 2")
            .replace("origin = ", "state = \"state-2\"\norigin = ");
        let path = house.ca("second.toml");
        fs::write(&path, config).expect("second.toml");
        let mut serve = house.command(&["serve", "--config", text(&path)]);
        let log = fs::File::create(house.path("second.log")).expect("a log");
        let child = serve.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().expect("it starts");
        let url = format!("http://localhost:{http}/readyz");
        let ready = until(PATIENCE, || status(Command::new("curl").args(["-s", "-o", "/dev/null", "-f", &url])));
        assert!(ready, "{}", fs::read_to_string(house.path("second.log")).unwrap_or_default());
        Self { child, https }
    }
}

impl Drop for Second {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn what_one_node_writes_is_heard_at_the_other_and_a_place_is_the_same_at_both_on_postgresql() {
    let postgres = Postgres::start();
    let mut house = House::with(&["--demo", "--database", &postgres.url()]);
    house.start();
    let second = Second::start(&house);
    let start = now(&house);
    let url = format!("https://localhost:{}", second.https);
    let watching = |since: &str| {
        let mut command = house.command(&["secret", "watch", "prod", "--since", since, "--json", "--url", &url]);
        command.arg("--cacert").arg(house.ca("roots.pem")).arg("--token-file").arg(house.ca("admin.token"));
        Lines::of(command)
    };
    let there = watching(&start);
    for turn in 1..=3 {
        put(&house, &format!("prod/{turn}"), "x");
        assert_eq!(there.json()["path"], format!("prod/{turn}"));
    }
    // A place of the first is one of the second, although that may not know so much of the log yet.
    put(&house, "prod/4", "x");
    let ahead = now(&house);
    put(&house, "prod/5", "x");
    assert_eq!(watching(&ahead).json()["path"], "prod/5");
    assert_eq!(there.json()["path"], "prod/4");
}
