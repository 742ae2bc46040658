//! A PostgreSQL cluster of its own in a temporary folder, on a free port of loopback, ended by process id.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use load::free_port;

use crate::house::{PATIENCE, status, succeed, text, until};

/// The running cluster.
pub struct Postgres {
    child: Child,
    port: u16,
    folder: tempfile::TempDir,
}

impl Postgres {
    /// initdb and postgres. As root they run as the user `postgres`, since PostgreSQL refuses root.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let data = folder.path().join("data");
        if is_root() {
            succeed(crate::house::command("chown", &["postgres", text(folder.path())]));
        }
        let mut initdb = tool("initdb");
        initdb.args(["-A", "trust", "-U", "chancery", "-E", "UTF8", "--locale=C", "-D", text(&data)]);
        succeed(initdb);
        let port = free_port();
        let mut server = tool("postgres");
        server.args(["-D", text(&data), "-p", &port.to_string(), "-k", text(folder.path())]);
        server.args(["-c", "listen_addresses=127.0.0.1", "-c", "logging_collector=off"]);
        let child =
            server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("postgres starts");
        let postgres = Self { child, port, folder };
        let ready = until(PATIENCE, || {
            let mut psql = tool("psql");
            psql.args([
                "-h",
                "127.0.0.1",
                "-p",
                &port.to_string(),
                "-U",
                "chancery",
                "-d",
                "postgres",
                "-c",
                "SELECT 1",
            ]);
            status(&mut psql)
        });
        assert!(ready, "PostgreSQL is ready");
        postgres
    }

    /// Runs SQL in it.
    pub fn run(&self, sql: &str) {
        let port = self.port.to_string();
        let mut psql = tool("psql");
        psql.args([
            "-h",
            "127.0.0.1",
            "-p",
            &port,
            "-U",
            "chancery",
            "-d",
            "postgres",
            "-v",
            "ON_ERROR_STOP=1",
            "-c",
            sql,
        ]);
        succeed(psql);
    }

    /// The first cell of an answer.
    pub fn ask(&self, sql: &str) -> String {
        let port = self.port.to_string();
        let mut psql = tool("psql");
        psql.args(["-h", "127.0.0.1", "-p", &port, "-U", "chancery", "-d", "postgres", "-qAt", "-c", sql]);
        succeed(psql).trim().to_owned()
    }

    /// Freezes the server and everything it started: connections stay open, and nothing is answered.
    pub fn freeze(&self) {
        self.signal_all("-STOP");
    }

    /// Lets a frozen server go on.
    pub fn thaw(&self) {
        self.signal_all("-CONT");
    }

    fn signal_all(&self, signal: &str) {
        let id = self.child.id().to_string();
        let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
        // The server first: then it makes no more of them.
        status(Command::new("kill").arg(signal).arg(&id).args(children.split_whitespace()));
    }

    /// Makes a user with a database of the same name, who has to say a password; answers the URL.
    pub fn with_password(&self, user: &str, password: &str) -> String {
        self.run(&format!("CREATE ROLE {user} LOGIN PASSWORD '{password}'"));
        self.run(&format!("CREATE DATABASE {user} OWNER {user}"));
        let rules = format!("host all {user} 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n");
        std::fs::write(self.folder.path().join("data/pg_hba.conf"), rules).expect("pg_hba.conf");
        self.run("SELECT pg_reload_conf()");
        format!("postgres://{user}@127.0.0.1:{}/{user}", self.port)
    }

    /// Everybody but this user has to say a password.
    pub fn ask_for_passwords(&self, but: &str) {
        let rules = format!("host all {but} 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n");
        std::fs::write(self.folder.path().join("data/pg_hba.conf"), rules).expect("pg_hba.conf");
        self.run("SELECT pg_reload_conf()");
    }

    /// Its port, of loopback.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A URL that Chancery understands.
    pub fn url(&self) -> String {
        format!("postgres://chancery@127.0.0.1:{}/postgres", self.port)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // A frozen server would not hear.
        self.thaw();
        // SIGINT is PostgreSQL's fast shutdown; setpriv replaced itself with the server, so this is its process id.
        status(Command::new("kill").args(["-INT", &self.child.id().to_string()]));
        let _ = self.child.wait();
    }
}

fn is_root() -> bool {
    succeed(crate::house::command("id", &["-u"])).trim() == "0"
}

fn tool(name: &str) -> Command {
    let path = newest(name);
    if !is_root() {
        return Command::new(path);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(path);
    command
}

fn newest(name: &str) -> PathBuf {
    let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .expect("PostgreSQL is installed")
        .flatten()
        .map(|e| e.path().join("bin").join(name))
        .filter(|p: &PathBuf| Path::new(p).exists())
        .collect();
    versions.sort();
    versions.pop().expect("a PostgreSQL server is installed")
}
