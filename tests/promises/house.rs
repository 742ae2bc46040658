//! A whole Chancery in a temporary folder: its own SoftHSM2 token, register, configuration and server process.
//!
//! Servers listen on loopback at ports that were free a moment ago and end with the value, by process id.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use load::free_port;
use serde_json::Value;

/// The module under every test token.
/// Debian's own, which knows Debian's packages.
pub const PYTHON: &str = "/usr/bin/python3";
pub const SOFTHSM: &str = "/usr/lib/softhsm/libsofthsm2.so";
/// A step that takes longer hangs.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The demo listens where the README says, and so do the tests of it: one at a time.
pub static DEMO_PORTS: std::sync::Mutex<()> = std::sync::Mutex::new(());

/// An initialised authority, with or without a running server.
pub struct House {
    folder: tempfile::TempDir,
    https: u16,
    http: u16,
    server: Option<Child>,
}

impl House {
    /// `chancery init --demo` on a fresh token, with a register in SQLite.
    pub fn new() -> Self {
        Self::with(&["--demo"])
    }

    /// `chancery init` with further arguments.
    pub fn with(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let root = folder.path();
        std::fs::create_dir(root.join("tokens")).expect("a token folder");
        std::fs::write(
            root.join("softhsm2.conf"),
            format!(
                "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n",
                root.join("tokens").display()
            ),
        )
        .expect("softhsm2.conf");
        std::fs::write(root.join("pin"), "648219").expect("pin");
        std::fs::write(root.join("so-pin"), "90817263").expect("so-pin");
        for secret in ["pin", "so-pin"] {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(root.join(secret), std::fs::Permissions::from_mode(0o600)).expect("mode");
        }
        let mut house = Self { folder, https: 0, http: 0, server: None };
        (house.https, house.http) = (free_port(), free_port());
        let (https, http) = (format!("127.0.0.1:{}", house.https), format!("127.0.0.1:{}", house.http));
        let (dir, pin, so_pin) = (house.path("ca"), house.path("pin"), house.path("so-pin"));
        let mut init = house.command(&["init"]);
        init.arg(&dir).args(["--module", SOFTHSM, "--token-label", "test", "--https", &https, "--http", &http]);
        init.arg("--pin-file").arg(pin).arg("--create-token").arg(so_pin).args(arguments);
        succeed(init);
        house
    }

    /// The same, started.
    pub fn started() -> Self {
        let mut house = Self::new();
        house.start();
        house
    }

    /// A path in the house's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A path in the folder that `init` wrote.
    pub fn ca(&self, name: &str) -> PathBuf {
        self.path("ca").join(name)
    }

    /// `https://localhost:PORT` + path.
    pub fn https(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.https)
    }

    /// `http://localhost:PORT` + path.
    pub fn http(&self, path: &str) -> String {
        format!("http://localhost:{}{path}", self.http)
    }

    /// The administrator's token.
    pub fn admin_token(&self) -> String {
        std::fs::read_to_string(self.ca("admin.token")).expect("admin.token").trim().to_owned()
    }

    /// Replaces text in chancery.toml; the text must be there.
    pub fn configure(&self, from: &str, to: &str) {
        let path = self.ca("chancery.toml");
        let text = std::fs::read_to_string(&path).expect("chancery.toml");
        assert!(text.contains(from), "chancery.toml has no {from:?}");
        std::fs::write(&path, text.replace(from, to)).expect("chancery.toml is written");
    }

    /// The built binary with this house's configuration and token.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chancery"));
        command
            .env("SOFTHSM2_CONF", self.path("softhsm2.conf"))
            .env("CHANCERY_CONFIG", self.ca("chancery.toml"))
            .env("HOME", self.folder.path())
            .env_remove("XDG_CONFIG_HOME")
            .env_remove("XDG_RUNTIME_DIR")
            .env_remove("SSH_AUTH_SOCK")
            .args(arguments);
        for variable in ["CHANCERY_URL", "CHANCERY_TOKEN", "CHANCERY_CACERT", "CHANCERY_TOKEN_FILE"] {
            command.env_remove(variable);
        }
        command
    }

    /// Runs the binary; it must succeed. Returns its standard output.
    pub fn run(&self, arguments: &[&str]) -> String {
        succeed(self.command(arguments))
    }

    /// Runs the binary with `--json`; it must succeed.
    pub fn json(&self, arguments: &[&str]) -> Value {
        let text = succeed({
            let mut command = self.command(arguments);
            command.arg("--json");
            command
        });
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{arguments:?} printed no JSON ({e}): {text}"))
    }

    /// Runs the binary; whatever comes.
    pub fn output(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the binary runs")
    }

    /// Starts the server and waits until it is ready.
    pub fn start(&mut self) {
        self.launch(&[]);
        self.await_ready();
    }

    /// Starts the server with more in its environment.
    pub fn launch(&mut self, environment: &[(&str, &str)]) {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.path("server.log"));
        self.launch_with(environment, log.expect("a log file").into());
    }

    /// The same with its standard error somewhere else.
    pub fn launch_with(&mut self, environment: &[(&str, &str)], log: Stdio) {
        assert!(self.server.is_none(), "the server runs already");
        let mut serve = self.command(&["serve"]);
        serve.envs(environment.iter().copied()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.server = Some(serve.spawn().expect("the server starts"));
    }

    /// Waits until the server is ready.
    pub fn await_ready(&mut self) {
        let url = self.http("/readyz");
        let ready = until(PATIENCE, || {
            let gone = self.server.as_mut().and_then(|c| c.try_wait().ok().flatten());
            assert!(gone.is_none(), "the server ended ({gone:?}):\n{}", self.server_log());
            status(Command::new("curl").args(["-s", "-o", "/dev/null", "--max-time", "2", "-f", &url]))
        });
        assert!(ready, "the server is not ready after {PATIENCE:?}:\n{}", self.server_log());
    }

    /// The server's process id.
    pub fn pid(&self) -> u32 {
        self.server.as_ref().expect("a running server").id()
    }

    /// Sends the server a signal.
    pub fn signal(&self, name: &str) {
        assert!(status(Command::new("kill").arg(format!("-{name}")).arg(self.pid().to_string())), "kill -{name}");
    }

    /// Appends to chancery.toml.
    pub fn append(&self, more: &str) {
        let path = self.ca("chancery.toml");
        let text = std::fs::read_to_string(&path).expect("chancery.toml");
        std::fs::write(&path, text + more).expect("chancery.toml is written");
    }

    /// What the server wrote to standard error so far.
    pub fn server_log(&self) -> String {
        std::fs::read_to_string(self.path("server.log")).unwrap_or_default()
    }

    /// kill -9, and waits for the end.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.server.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// SIGTERM; the server must end in good order.
    pub fn stop(&mut self) {
        let mut child = self.server.take().expect("a running server");
        assert!(status(Command::new("kill").arg(child.id().to_string())), "kill");
        let ended = until(PATIENCE, || child.try_wait().expect("wait").is_some());
        if !ended {
            let _ = child.kill();
        }
        let code = child.wait().expect("an exit code");
        assert!(ended && code.success(), "the server ended with {code}:\n{}", self.server_log());
    }

    /// `curl` against the server with our roots, silent, with the body on standard output and the status after it.
    pub fn curl(&self, arguments: &[&str]) -> Answer {
        let mut curl = Command::new("curl");
        curl.args(["-s", "--max-time", "30", "-D", "-", "--cacert"]).arg(self.ca("roots.pem")).args(arguments);
        let output = curl.output().expect("curl runs");
        Answer::parse(&output.stdout)
    }

    /// The same as the administrator.
    pub fn curl_admin(&self, arguments: &[&str]) -> Answer {
        let bearer = format!("Authorization: Bearer {}", self.admin_token());
        self.curl(&[&["-H", &bearer], arguments].concat())
    }

    /// One ACME request with the key of a file, which is made where there is none: `status`, `location`, `body`. Account `-`: with
    /// the key itself. What goes where: `tests/clients/acme_post.py`.
    pub fn acme_post(&self, key: &str, account: &str, url: &str, payload: Option<&str>) -> Value {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/acme_post.py");
        let (directory, roots, key) = (self.https("/acme/directory"), self.ca("roots.pem"), self.path(key));
        let mut post = command(PYTHON, &[script, &directory, text(&roots), text(&key), account, url]);
        post.args(payload);
        serde_json::from_str(&succeed(post)).expect("JSON")
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = self.server_log();
            let tail: Vec<&str> = log.lines().rev().take(30).collect();
            eprintln!("--- the server's last lines ---");
            tail.iter().rev().for_each(|line| eprintln!("{line}"));
        }
    }
}

/// An HTTP answer as curl saw it.
#[derive(Debug)]
pub struct Answer {
    /// The status; 0 when there was no answer.
    pub status: u16,
    /// The header block.
    pub headers: String,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    fn parse(bytes: &[u8]) -> Self {
        let mut rest = bytes;
        let (mut status, mut headers) = (0, String::new());
        // Interim answers (100 Continue) come first, each with a block of its own.
        while rest.starts_with(b"HTTP/") {
            let Some(end) = rest.windows(4).position(|w| w == b"\r\n\r\n") else { break };
            headers = String::from_utf8_lossy(&rest[..end]).into_owned();
            status = headers.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
            rest = &rest[end + 4..];
        }
        Self { status, headers, body: rest.to_vec() }
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|e| panic!("no JSON ({e}), status {}: {}", self.status, self.text()))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<String> {
        self.headers
            .lines()
            .filter_map(|l| l.split_once(':'))
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v.trim().to_owned())
    }
}

/// Runs a command that must succeed; returns its standard output.
pub fn succeed(mut command: Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(
        output.status.success(),
        "{command:?} ended with {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs a command that must fail; returns what it said on both streams.
pub fn fail(mut command: Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(!output.status.success(), "{command:?} succeeded: {said}");
    said
}

/// Whether a command succeeds.
pub fn status(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|s| s.success())
}

/// Asks again until it holds or patience ends.
pub fn until(patience: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + patience;
    loop {
        if holds() {
            return true;
        }
        if Instant::now() > end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A command with arguments, for short tests.
pub fn command(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments);
    command
}

/// A path as text.
pub fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}
